"""The simulated API server is held against recorded answers of a real one: same shape, same words, own values."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.sandbox.fabric import listing
from infra.sandbox.fabric.apiserver import AUDITOR, NOBODY, READER
from infra.sandbox.fabric.serve import ServedFabric, serve
from infra.sandbox.fabric.topology import spine_leaf

REPLAYED = (
    *("01-list-limit2-page1-page2", "02-list-last-page", "03-list-labelselector-limit"),
    *("04-list-empty-missing-namespace-clusterwide", "05-get-one", "10-bogus-continue-token-400"),
    *("11-unknown-kind-404", "12-bad-token-401", "13-anonymous-403", "14-forbidden-403", "15-bad-selectors-400"),
    *("16-get-missing-404", "17-method-and-media-errors", "30-discovery", "31-discovery-aggregated"),
    *("32-partialobjectmetadata", "33-table", "34-resourceversion", "36-version-health", "37-gzip"),
)
UNSIMULATED_ACCEPTS = ("application/yaml", "application/vnd.kubernetes.protobuf")  # bodies that no JSON reader asks for
FRAMING = {"Content-Length", "Transfer-Encoding", "Content-Encoding"}
SAME_VALUES = ("Cache-Control", "Content-Type", "Retry-After", "X-Content-Type-Options", "Vary")


@pytest.fixture(scope="module")
def fabric() -> Iterator[ServedFabric]:
    """As many objects of each kind as the recorded server had."""
    size = {"spines": 4, "leaves": 26, "links": 1, "servers": 400, "vpcs": 200, "subnets": 1, "hardware": True}
    with serve({"real": spine_leaf("real", agents=False, **size)}) as fabrics:
        yield fabrics["real"]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PATIENCE", 0.01)


class Answered:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.line = f"HTTP/1.1 {response.status} {response.reason}"
        self.headers = response.getheaders()
        self.raw = response.read()

    @property
    def named(self) -> dict[str, str]:
        return dict(self.headers)

    def json(self) -> Any:
        return json.loads(self.raw)


def ask(fabric: ServedFabric, method: str, path: str, headers: dict[str, str]) -> Answered:
    context = ssl.create_default_context(cadata=fabric.ca_pem.decode())
    connection = http.client.HTTPSConnection("127.0.0.1", fabric.listener.port, context=context, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        return Answered(connection.getresponse())
    finally:
        connection.close()


def as_reader(fabric: ServedFabric, **headers: str) -> dict[str, str]:
    return {"Accept": "application/json", "Authorization": f"Bearer {fabric.token}", **headers}


def _ours(fabric: ServedFabric, request: dict[str, Any], etag: str | None) -> tuple[str, dict[str, str]]:
    """The recorded request with our token, revision and snapshot in the place of theirs."""
    revision = fabric.cluster.pin()
    headers = dict(request["headers"])
    who = re.search(r"<(\S+) token>", headers.pop("Authorization", "") or "")
    tokens = {"ro": READER, "admin": AUDITOR, "nobody": NOBODY}
    if who and who[1] in tokens:
        headers["Authorization"] = f"Bearer {fabric.token_of(tokens[who[1]])}"
    elif who and who[1] == "bad":
        headers["Authorization"] = "Bearer nobody-ever-had-this"
    if "If-None-Match" in headers:
        headers["If-None-Match"] = etag or ""

    def fresh(match: re.Match[str]) -> str:
        token = json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
        start = token["start"].replace("vpc-00150", "vpc-150")
        return "continue=" + listing.Token(revision if token["rv"] > 0 else token["rv"], start).encode()

    path = re.sub(r"continue=(eyJ[\w-]+)", fresh, request["path"])
    path = path.replace("resourceVersion=2179", f"resourceVersion={revision}")
    return path.replace("resourceVersion=102179", f"resourceVersion={revision + 100_000}"), headers


def _exchanges(shared: Path, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for exchange in json.loads((shared / "facts" / "kubernetes" / f"{name}.json").read_text())["exchanges"]:
        request = exchange["request"]
        writes = request["method"] != "GET" and "<ro token>" not in request["headers"].get("Authorization", "")
        if not writes and request["headers"].get("Accept") not in UNSIMULATED_ACCEPTS:
            yield request, exchange["response"]


def _same_words(theirs: Any, ours: Any) -> None:
    """A Status, key order included; users and revisions are each server's own."""

    def words(value: Any) -> str:
        text = json.dumps(value).replace("hh-reader", READER).replace("hh-nobody", NOBODY)
        return re.sub(r"version: \d+, current: \d+", "version: N, current: N", text)

    assert words(ours) == words(theirs)


def _same_shape(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert [key for key in ours if key != "status"] == list(theirs)  # ours hold what admission adds: status {}
    if "items" in theirs or "rows" in theirs:
        assert list(ours["metadata"]) == list(theirs["metadata"])
    for key in ("kind", "apiVersion", "groupVersion", "name", "columnDefinitions"):
        if key == "columnDefinitions" and key in theirs:
            first = {**theirs[key][0], "description": ours[key][0]["description"]}  # a long text that says nothing
            assert ours[key] == [first, *theirs[key][1:]]
        else:
            assert ours.get(key) == theirs.get(key)
    for rows in ("items", "rows"):
        if theirs.get(rows):
            their_row, our_row = theirs[rows][0], ours[rows][0]
            assert [key for key in our_row if key != "status"] == list(their_row)
            order = [key for key in our_row.get("metadata", {}) if key in their_row.get("metadata", {})]
            assert order == list(their_row.get("metadata", {}))
    for resource in theirs.get("resources", ()):
        assert resource in ours["resources"]


@pytest.mark.parametrize("name", REPLAYED)
def test_it_answers_recorded_requests_as_the_real_one_did(fabric: ServedFabric, shared: Path, name: str) -> None:
    etag: str | None = None
    for request, recorded in _exchanges(shared, name):
        path, headers = _ours(fabric, request, etag)
        answered = ask(fabric, request["method"], path, headers)
        etag = answered.named.get("Etag", etag)
        theirs = dict(recorded["headers"])
        assert answered.line == recorded["status_line"], path
        names = [header for header, _ in recorded["headers"] if header not in FRAMING]
        assert [header for header, _ in answered.headers if header not in FRAMING] == names, path
        for header in SAME_VALUES:
            assert answered.named.get(header) == theirs.get(header), path
        assert answered.named.get("Content-Encoding") == theirs.get("Content-Encoding"), path
        body = recorded.get("body")
        if body is None:
            if "verbose" not in path:
                assert answered.raw.decode() == recorded["body_text"]
        elif body == "(dropped)":
            continue
        elif body.get("kind") == "Status":
            _same_words(body, answered.json())
        elif body.get("kind") == "APIGroupDiscoveryList":
            _same_aggregate(body, answered.json())
        else:
            _same_shape(body, answered.json())


def _same_aggregate(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    mine = {item["metadata"].get("name"): item for item in ours["items"]}
    for item in theirs["items"]:
        if item["metadata"]:
            assert list(item) == list(mine[item["metadata"]["name"]])
            (their_version,), (our_version,) = item["versions"], mine[item["metadata"]["name"]]["versions"]
            assert list(our_version) == list(their_version)
            assert all(resource in our_version["resources"] for resource in their_version["resources"])


def test_a_list_in_an_empty_namespace_is_the_recorded_one_to_the_byte(fabric: ServedFabric, shared: Path) -> None:
    recorded = json.loads((shared / "facts/kubernetes/04-list-empty-missing-namespace-clusterwide.json").read_text())
    exchange = recorded["exchanges"][1]
    answered = ask(fabric, "GET", exchange["request"]["path"], as_reader(fabric))
    rest = len(str(fabric.cluster.revision)) - len(exchange["response"]["body"]["metadata"]["resourceVersion"])
    assert len(answered.raw) == exchange["response"]["body_bytes"] + rest


def test_an_expired_token_is_refused_with_a_fresh_one_that_goes_on(fabric: ServedFabric, shared: Path) -> None:
    recorded = json.loads((shared / "facts/kubernetes/41-expired-continue-410.json").read_text())["exchanges"]
    place = "/apis/wiring.githedgehog.com/v1beta1/namespaces/default/connections?limit=2"
    first = ask(fabric, "GET", place, as_reader(fabric)).json()
    fabric.cluster.compact()
    gone = ask(fabric, "GET", f"{place}&continue={first['metadata']['continue']}", as_reader(fabric))
    theirs, ours = recorded[1]["response"], gone.json()
    assert gone.line == theirs["status_line"]
    fresh = ours["metadata"].pop("continue")
    assert theirs["body"]["metadata"].pop("continue") and ours == theirs["body"]
    rest = ask(fabric, "GET", f"{place}&continue={fresh}", as_reader(fabric)).json()
    names = fabric.cluster.names("Connection")
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == list(names[:4])


@pytest.mark.parametrize(
    ("fault", "recording"),
    [("initializing", "40-first-list-after-start-429"), ("throttled", "43-too-many-requests-429-plain")],
)
def test_both_kinds_of_429_are_the_recorded_ones(
    fabric: ServedFabric, shared: Path, fault: str, recording: str
) -> None:
    request, recorded = next(_exchanges(shared, recording))
    fabric.faults.set([{"trouble": fault, "times": 1}])
    answered = ask(fabric, "GET", request["path"], as_reader(fabric))
    assert answered.line == recorded["status_line"]
    assert [name for name, _ in answered.headers] == [name for name, _ in recorded["headers"]]
    assert {name: answered.named.get(name) for name in SAME_VALUES} == {
        name: dict(recorded["headers"]).get(name) for name in SAME_VALUES
    }
    said = recorded.get("body_text") or json.dumps(recorded["body"], separators=(",", ":")) + "\n"
    assert answered.raw.decode() == said
    assert ask(fabric, "GET", request["path"], as_reader(fabric)).line == "HTTP/1.1 200 OK"


def test_plain_http_on_the_tls_port_is_told_so(fabric: ServedFabric, shared: Path) -> None:
    recorded = json.loads((shared / "facts/kubernetes/38-tls.json").read_text())["plain_http_raw"]
    with socket.create_connection(("127.0.0.1", fabric.listener.port), timeout=10) as plain:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.shutdown(socket.SHUT_WR)
        assert plain.makefile("rb").read().decode() == recorded
