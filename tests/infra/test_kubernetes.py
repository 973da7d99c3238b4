"""The door to Kubernetes against a small server that gives the recorded answers of a real one."""

from __future__ import annotations

import copy
import gzip
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import ApiClient, Configuration

from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import (
    Credentials,
    KubeconfigError,
    KubernetesClient,
    KubernetesError,
    ListExpired,
    Malformed,
    Resource,
)
from infra.transport import Fault, TransportError
from tests import hostile

TOKEN = "sEcReT.token"
PATIENCE = 30.0
WIRING = "wiring.githedgehog.com"
CONNECTIONS = Resource(WIRING, "v1beta1", "connections", "Connection")
SWITCHES = Resource(WIRING, "v1beta1", "switches", "Switch")
LISTS = f"/apis/{WIRING}/v1beta1"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Api:
    """What the small server answers: the first answer left for a path, in order; and what it was asked."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def add(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.setdefault(path, []).append((status, {"Content-Type": "application/json", **headers}, raw))

    def add_recorded(self, path: str, exchange: dict[str, Any]) -> None:
        response = exchange["response"]
        raw = response["body_text"].encode() if "body_text" in response else json.dumps(response["body"]).encode()
        headers = {name: value for name, value in response["headers"] if name in ("Content-Type", "Retry-After")}
        self.answers.setdefault(path, []).append((int(response["status_line"].split()[1]), headers, raw))

    def behaviour(self, peer: hostile.Peer) -> None:
        while head := peer.request().decode():
            request, *lines = head.split("\r\n")
            target = urlsplit(request.split()[1])
            sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            query = {
                name: values[0] for name, values in parse_qs(target.query, strict_parsing=bool(target.query)).items()
            }
            self.asked.append((target.path, query, sent))
            if sent.get("authorization") not in (None, f"Bearer {TOKEN}"):
                peer.send(hostile.answer(b"{}", status="401 Unauthorized"))
                continue
            left = self.answers.get(target.path)
            status, headers, body = (
                left.pop(0) if left else (404, {"Content-Type": "text/plain"}, b"404 page not found\n")
            )
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "Content-Type")
            peer.send(hostile.answer(body, kind=headers["Content-Type"], status=f"{status} Some Phrase", headers=more))


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def client(api: Api) -> Iterator[KubernetesClient]:
    with hostile.serve(api.behaviour, tls=True) as server:
        credentials = Credentials(server.url, hostile.authority().certificate, TOKEN)
        with KubernetesClient(credentials, Deadline.after(PATIENCE)) as client:
            yield client


@pytest.fixture
def recorded(shared: Path) -> Callable[[str], list[dict[str, Any]]]:
    def read(name: str) -> list[dict[str, Any]]:
        exchanges: list[dict[str, Any]] = json.loads((shared / "facts" / "kubernetes" / f"{name}.json").read_text())[
            "exchanges"
        ]
        return exchanges

    return read


Recorded = Callable[[str], list[dict[str, Any]]]


def item(name: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "managedFields": [{"manager": "kubectl"}]}
    return {"apiVersion": f"{WIRING}/v1beta1", "kind": "Connection", "metadata": metadata, **more}


def page(*items: Any, token: str = "", version: str = "7", kind: str = "ConnectionList", **metadata: Any) -> Any:
    return {
        "apiVersion": f"{WIRING}/v1beta1",
        "items": list(items),
        "kind": kind,
        "metadata": {"continue": token, "resourceVersion": version, **metadata},
    }


def names(client: KubernetesClient, **options: Any) -> list[str]:
    return [item["metadata"]["name"] for page in client.pages(CONNECTIONS, **options) for item in page.items]


def test_a_recorded_list_is_followed_to_its_end(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    first, second = recorded("01-list-limit2-page1-page2")
    last = copy.deepcopy(second)
    last["response"]["body"]["items"] = [item("zz-last")]
    last["response"]["body"]["metadata"] = {"continue": "", "resourceVersion": "2174"}
    for exchange in (first, second, last):
        api.add_recorded(f"{LISTS}/connections", exchange)
    pages = list(client.pages(CONNECTIONS, limit=2))
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {page.resource_version for page in pages} == {"2174"}
    assert all("managedFields" not in item["metadata"] for page in pages for item in page.items)
    assert pages[0].items[0]["spec"] == first["response"]["body"]["items"][0]["spec"]
    tokens = [exchange["response"]["body"]["metadata"]["continue"] for exchange in (first, second)]
    assert [query for _, query, _ in api.asked] == [
        {"limit": "2"},
        {"limit": "2", "continue": tokens[0]},
        {"limit": "2", "continue": tokens[1]},
    ]
    assert {path for path, _, _ in api.asked} == {f"{LISTS}/connections"}, "not all namespaces"
    assert {sent["authorization"] for _, _, sent in api.asked} == {f"Bearer {TOKEN}"}


def test_an_empty_list_is_one_empty_page(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    groups = Resource(WIRING, "v1beta1", "switchgroups", "SwitchGroup")
    api.add_recorded(groups.path, recorded("04-list-empty-missing-namespace-clusterwide")[0])
    assert [page.items for page in client.pages(groups)] == [[]]


def test_metadata_alone_is_asked_for_by_its_own_media_type(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    first = recorded("32-partialobjectmetadata")[0]
    api.add_recorded(f"{LISTS}/connections", first)
    # On the last page of this kind of list `continue` is left out altogether.
    api.add(f"{LISTS}/connections", {
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": first["response"]["body"]["metadata"]["resourceVersion"]},
        "items": [{"kind": "PartialObjectMetadata", "metadata": {"name": "zz", "namespace": "default"}}],
    })  # fmt: skip
    pages = list(client.pages(CONNECTIONS, limit=2, metadata_only=True))
    assert sum(len(page.items) for page in pages) == len(first["response"]["body"]["items"]) + 1
    assert {sent["accept"] for _, _, sent in api.asked} == {first["request"]["headers"]["Accept"]}


def test_a_list_without_pages_says_no_limit(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections", page(item("a"), item("b")))
    assert names(client, limit=0) == ["a", "b"]
    assert api.asked[0][1] == {}


def test_one_name_in_two_namespaces_is_two_objects(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections", page(item("a", "one"), item("a", "two")))
    assert names(client) == ["a", "a"]


def test_a_packed_list_is_unpacked(client: KubernetesClient, api: Api) -> None:
    packed = gzip.compress(json.dumps(page(item("a"))).encode())
    api.add(f"{LISTS}/connections", packed, **{"Content-Encoding": "gzip"})
    assert names(client) == ["a"]
    assert api.asked[0][2]["accept-encoding"] == "gzip"


LIES: dict[str, tuple[list[Any], Malformed]] = {
    "another snapshot": ([page(item("a"), token="t"), page(item("b"), version="8")], Malformed.INCONSISTENT),
    "an object on two pages": ([page(item("a"), token="t"), page(item("a"))], Malformed.INCONSISTENT),
    "an object twice on a page": ([page(item("a"), item("a"))], Malformed.INCONSISTENT),
    "a circle": ([page(item("a"), token="t"), page(item("b"), token="t")], Malformed.INCONSISTENT),
    "a circle of empty pages": ([page(token="t"), page(token="t")], Malformed.INCONSISTENT),
    "an end before the end": ([page(item("a"), remainingItemCount=3)], Malformed.INCONSISTENT),
    "a token that is no text": ([page(item("a"), **{"continue": 5})], Malformed.INCONSISTENT),
    "another kind": ([page(item("a"), kind="SwitchList")], Malformed.SHAPE),
    "an object for a list": ([item("a")], Malformed.SHAPE),
    "a status": ([{"kind": "Status", "status": "Success"}], Malformed.SHAPE),
    "no items": ([{**page(), "items": None}], Malformed.SHAPE),
    "items that are no objects": ([page("a")], Malformed.SHAPE),
    "an item without metadata": ([page({"kind": "Connection"})], Malformed.SHAPE),
    "an item without a name": ([page({"metadata": {"namespace": "default"}})], Malformed.SHAPE),
    "no metadata": ([{"kind": "ConnectionList", "items": []}], Malformed.SHAPE),
    "no resourceVersion": ([page(version="")], Malformed.SHAPE),
    "a list": ([[1, 2]], Malformed.SHAPE),
    "null": ([None], Malformed.SHAPE),
    "truncated": ([b'{"kind": "ConnectionList", "items": [{"meta'], Malformed.NOT_JSON),
    "nothing": ([b""], Malformed.NOT_JSON),
    "too deep": ([b"[" * 200_000], Malformed.NOT_JSON),
    "no text": ([b"\xff\xfe\xfd"], Malformed.NOT_JSON),
    "a web page": ([b"\n<html><body>Log in"], Malformed.HTML),
}


@pytest.mark.parametrize("bodies", LIES)
def test_a_list_is_not_believed_with(bodies: str, client: KubernetesClient, api: Api) -> None:
    sent, reason = LIES[bodies]
    for body in sent:
        api.add(f"{LISTS}/connections", body)
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.status, refused.value.reason) == (200, reason)


def test_an_expired_list_is_said_to_be_expired(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    for exchange in recorded("41-expired-continue-410")[:2]:
        api.add_recorded(f"{LISTS}/connections", exchange)
    pages = client.pages(CONNECTIONS, limit=2)
    next(pages)
    with pytest.raises(ListExpired) as expired:
        next(pages)
    assert (expired.value.status, expired.value.reason) == (410, "Expired")


# File, exchange, and what must be read out of it: status, reason, part of the message, seconds to wait.
REFUSALS = [
    ("12-bad-token-401", 0, 401, "Unauthorized", "Unauthorized", None),
    ("12-bad-token-401", 2, 403, "Forbidden", "system:anonymous", None),
    ("11-unknown-kind-404", 0, 404, "", "404 page not found", None),
    ("40-first-list-after-start-429", 0, 429, "TooManyRequests", "storage is (re)initializing", 1.0),
    ("43-too-many-requests-429-plain", 0, 429, "", "Too many requests, please try again later.", 1.0),
    ("43-too-many-requests-429-apf", 0, 429, "", "Too many requests, please try again later.", 1.0),
    ("10-bogus-continue-token-400", 0, 400, "BadRequest", "continue key is not valid", None),
    ("45-etcd-killed", 0, 504, "Timeout", "did not complete within the allotted timeout", None),
]


@pytest.mark.parametrize(
    ("name", "index", "status", "reason", "message", "wait"), REFUSALS, ids=[f"{row[0]}-{row[1]}" for row in REFUSALS]
)
def test_a_recorded_refusal_is_read(
    name: str, index: int, status: int, reason: str, message: str, wait: float | None,
    client: KubernetesClient, api: Api, recorded: Recorded,
) -> None:  # fmt: skip
    api.add_recorded(f"{LISTS}/connections", recorded(name)[index])
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (status, reason, wait)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b"<html><h1>502 Bad Gateway</h1>", Malformed.HTML, "a web page came instead"),
        (b"", "", "Some Phrase"),
        (b"upstream\x1b[31m sad\r\nX: y", "", "upstream [31m sad  X: y"),
        (b"x" * 100_000, "", "x" * 300),
        (json.dumps({"message": ["a"], "reason": {"b": 1}}).encode(), "{'b': 1}", "['a']"),
        (json.dumps({"message": "m" * 100_000, "reason": "r" * 100_000}).encode(), "r" * 300, "m" * 300),
    ],
    ids=["web page", "nothing", "control letters", "long text", "odd status", "long status"],
)
def test_a_proxys_refusal_is_told_in_few_plain_letters(
    body: bytes, reason: str, message: str, client: KubernetesClient, api: Api
) -> None:
    api.add(f"{LISTS}/connections", body, status=502, **{"Retry-After": "soon"})
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.reason, refused.value.retry_after) == (reason, None)
    assert refused.value.message.startswith(message)
    assert len(refused.value.message) <= 300


def test_the_version_is_the_servers(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    api.add_recorded("/version", recorded("36-version-health")[0])
    assert client.version() == "v1.36.2"


def test_discovery_in_one_answer_and_group_by_group_find_the_same(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    api.add_recorded("/apis", recorded("31-discovery-aggregated")[0])
    at_once = client.discover()
    assert len(api.asked) == 1
    for exchange in recorded("30-discovery")[:4]:
        api.add_recorded(exchange["request"]["path"], exchange)
    groups = {"wiring.githedgehog.com", "vpc.githedgehog.com"}
    older = json.loads(api.answers["/apis"][0][2])
    older["groups"] = [group for group in older["groups"] if group["name"] in groups or "hedgehog" not in group["name"]]
    api.answers["/apis"] = [(200, {"Content-Type": "application/json"}, json.dumps(older).encode())]
    one_by_one = client.discover()
    assert {CONNECTIONS, SWITCHES} <= at_once
    assert one_by_one
    assert {found for found in at_once if found.group in groups} == one_by_one
    assert not [found for found in at_once if "/" in found.plural]


def test_discovery_keeps_to_hedgehogs_own_groups(client: KubernetesClient, api: Api) -> None:
    def group(name: str) -> dict[str, Any]:
        kind = {"resource": "things", "responseKind": {"kind": "Thing"}, "verbs": ["list"]}
        return {
            "metadata": {"name": name},
            "versions": [{"version": "v1", "resources": [kind, {**kind, "resource": "x", "verbs": ["get"]}]}],
        }

    groups = ["githedgehog.com", "a.githedgehog.com", "evilgithedgehog.com", "githedgehog.com.evil", "apps"]
    api.add("/apis", {"kind": "APIGroupDiscoveryList", "items": [group(name) for name in groups]})
    found = client.discover()
    assert {(each.group, each.plural) for each in found} == {
        ("githedgehog.com", "things"),
        ("a.githedgehog.com", "things"),
    }


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "Status"},
        {"kind": "APIGroupDiscoveryList"},
        {"kind": "APIGroupDiscoveryList", "items": [{}]},
        {"kind": "APIGroupList", "groups": [{"name": "a.githedgehog.com"}]},
    ],
    ids=["status", "no items", "a group without a name", "a group without versions"],
)
def test_a_discovery_of_another_shape_is_not_believed(body: Any, client: KubernetesClient, api: Api) -> None:
    api.add("/apis", body)
    with pytest.raises(KubernetesError) as refused:
        client.discover()
    assert refused.value.reason == Malformed.SHAPE


def test_an_object_is_got_by_its_name(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    exchange = recorded("05-get-one")[0]
    api.add_recorded(exchange["request"]["path"], exchange)
    switch = client.get(SWITCHES, "default", "leaf-01")
    assert switch is not None
    assert switch["spec"] == exchange["response"]["body"]["spec"]
    assert "managedFields" not in switch["metadata"]


def test_a_missing_object_is_none_and_a_missing_kind_is_an_error(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    exchange = recorded("16-get-missing-404")[0]
    api.add_recorded(exchange["request"]["path"], exchange)
    assert client.get(SWITCHES, "default", "no-such-switch") is None
    api.add_recorded(f"{LISTS}/namespaces/default/switches/leaf-01", recorded("11-unknown-kind-404")[0])
    with pytest.raises(KubernetesError) as refused:
        client.get(SWITCHES, "default", "leaf-01")
    assert refused.value.status == 404


def test_an_object_without_a_namespace_is_got_from_the_cluster(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections/a", item("a", ""))
    assert client.get(CONNECTIONS, "", "a") is not None


def test_another_object_than_asked_for_is_not_believed(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/namespaces/default/connections/a", item("b"))
    with pytest.raises(KubernetesError, match="another object"):
        client.get(CONNECTIONS, "default", "a")


@pytest.mark.parametrize("name", ["", "..", "../secrets", "a/b", "a?x=1", "A", "a\r\nHost: b", "a" * 300])
def test_a_name_that_no_object_has_is_not_sent(name: str, client: KubernetesClient, api: Api) -> None:
    with pytest.raises(KubernetesError) as refused:
        client.get(CONNECTIONS, "default", name)
    assert (refused.value.status, refused.value.reason) == (0, Malformed.NAME)
    assert api.asked == []


def test_the_deadline_can_be_set_anew(client: KubernetesClient, api: Api) -> None:
    api.add("/version", {"gitVersion": "v1"})
    client.deadline = Deadline(time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded):
        client.version()
    client.deadline = Deadline.after(PATIENCE)
    assert client.version() == "v1"


def test_an_answer_above_the_cap_is_refused(api: Api) -> None:
    api.add("/version", {"gitVersion": "v1", "rest": "x" * 5000})
    with (
        hostile.serve(api.behaviour) as server,
        KubernetesClient(Credentials(server.url, None, TOKEN), Deadline.after(PATIENCE), max_bytes=4000) as client,
        pytest.raises(TransportError) as failed,
    ):
        client.version()
    assert failed.value.fault is Fault.TOO_LARGE


@contextmanager
def demanding(api: Api) -> Iterator[str]:
    """The small server, for clients with a certificate alone."""
    context = hostile.server_context(demand_client=True)

    def behaviour(peer: hostile.Peer) -> None:
        with context.wrap_socket(peer.sock, server_side=True) as sock:
            api.behaviour(hostile.Peer(sock, peer.server, peer.stop))

    with hostile.serve(behaviour) as server:
        yield server.url.replace("http:", "https:")


def test_a_client_certificate_opens_the_door_and_nothing_is_on_disk(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    api.add("/version", {"gitVersion": "v1"})
    pair = hostile.certificate("reader")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with demanding(api) as url:
        credentials = Credentials(url, hostile.authority().certificate, None, pair.certificate, pair.key)
        with KubernetesClient(credentials, Deadline.after(PATIENCE)) as client:
            assert client.version() == "v1"
            assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert "authorization" not in api.asked[0][2]


def test_without_its_client_certificate_the_door_stays_shut(api: Api) -> None:
    ca = hostile.authority().certificate
    with (
        demanding(api) as url,
        KubernetesClient(Credentials(url, ca, TOKEN), Deadline.after(PATIENCE)) as client,
        pytest.raises(TransportError) as failed,
    ):
        client.version()
    assert failed.value.fault in (Fault.TLS, Fault.RESET)
    assert api.asked == []


def test_a_server_whose_certificate_is_for_another_address_gets_no_token(api: Api) -> None:
    with hostile.serve(api.behaviour, tls=True) as server:
        elsewhere = Credentials(server.url.replace("127.0.0.1", "localhost"), hostile.authority().certificate, TOKEN)
        with (
            KubernetesClient(elsewhere, Deadline.after(PATIENCE)) as client,
            pytest.raises(TransportError) as failed,
        ):
            client.version()
    assert failed.value.fault is Fault.TLS
    assert api.asked == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_unverified_fabric_is_read_when_that_was_allowed(api: Api) -> None:
    api.add("/version", {"gitVersion": "v1"})
    with (
        hostile.serve(api.behaviour, tls=True) as server,
        KubernetesClient(Credentials(server.url, None, TOKEN), Deadline.after(PATIENCE)) as client,
    ):
        assert client.version() == "v1"


def test_certificates_that_cannot_be_used_are_told_before_anything_is_sent() -> None:
    with pytest.raises(KubeconfigError, match="no usable certificate"):
        KubernetesClient(Credentials("https://a", "-----BEGIN NOTHING-----", TOKEN), Deadline.after(PATIENCE))


def test_two_fabrics_at_once_do_not_know_of_each_other(api: Api) -> None:
    default = copy.copy(Configuration.__dict__.get("_default"))
    other = Api()
    api.add("/version", {"gitVersion": "v1"})
    other.add("/version", {"gitVersion": "v2"})
    ca = hostile.authority().certificate
    with hostile.serve(api.behaviour, tls=True) as one, hostile.serve(other.behaviour, tls=True) as two:
        deadline = Deadline.after(PATIENCE)
        with (
            KubernetesClient(Credentials(one.url, ca, TOKEN), deadline) as first,
            KubernetesClient(Credentials(two.url, ca, None), deadline) as second,
        ):
            assert (first.version(), second.version()) == ("v1", "v2")
    assert "authorization" not in other.asked[0][2]
    assert Configuration.__dict__.get("_default") == default
    assert ApiClient._default is None


def test_a_client_starts_no_thread_for_an_address(client: KubernetesClient, api: Api) -> None:
    before = threading.active_count()
    api.add("/version", {"gitVersion": "v1"})
    client.version()
    assert threading.active_count() == before + 1  # the server's own, for the connection


def test_secrets_are_in_no_error(client: KubernetesClient) -> None:
    with pytest.raises(KubernetesError) as refused:
        client.version()
    assert TOKEN not in f"{refused.value!r} {refused.value} {client!r}"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LISTLIKE = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.just("ConnectionList") | ANY_JSON,
        "items": st.lists(st.fixed_dictionaries({}, optional={"metadata": ANY_JSON}) | ANY_JSON, max_size=3) | ANY_JSON,
        "metadata": st.fixed_dictionaries(
            {}, optional={"resourceVersion": st.just("1") | ANY_JSON, "continue": st.just("") | ANY_JSON}
        )
        | ANY_JSON,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=LISTLIKE | ANY_JSON)
def test_whatever_json_comes_no_other_error_escapes(body: Any, client: KubernetesClient, api: Api) -> None:
    api.answers[f"{LISTS}/connections"] = [(200, {"Content-Type": "application/json"}, json.dumps(body).encode())]
    try:
        names(client)
    except KubernetesError as refused:
        assert str(refused)
