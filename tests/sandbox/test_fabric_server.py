"""The simulated fabrics as their users meet them: the official client, hostile moods, another process."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from infra.sandbox.fabric.faults import FaultError, Trouble
from infra.sandbox.fabric.offering import OFFERS, Release
from infra.sandbox.fabric.serve import Fabrics, ServedFabric, serve
from infra.sandbox.fabric.topology import mesh, spine_leaf
from tests.sandbox.fabric_asker import SWITCHES, WIRING, Asker


@pytest.fixture(scope="module")
def fabrics() -> Iterator[Fabrics]:
    content = {
        "lab": spine_leaf("lab"),
        "ring": mesh("ring", gateways=2),
        "old": spine_leaf("old", release=Release.V0_87),
    }
    with serve(content) as running:
        yield running


@pytest.fixture
def lab(fabrics: Fabrics) -> Iterator[ServedFabric]:
    fabrics["lab"].fabric.forget_audit()
    yield fabrics["lab"]
    fabrics["lab"].faults.set()


def official(fabric: ServedFabric) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(config.new_client_from_config_dict(yaml.safe_load(fabric.kubeconfig)))


def test_the_official_client_reads_all_pages_of_one_snapshot_from_the_kubeconfig(lab: ServedFabric) -> None:
    api, found, token = official(lab), [], ""
    first_version = None
    while True:
        page = api.list_cluster_custom_object(
            "wiring.githedgehog.com", "v1beta1", "connections", limit=4, _continue=token
        )
        found += [item["metadata"]["name"] for item in page["items"]]
        first_version = first_version or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == first_version
        if len(found) == 4:  # a later write is not in this snapshot
            lab.cluster.patch("Server", "server-01", {"spec": {"description": "changed meanwhile"}})
        token = page["metadata"]["continue"]
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == len(lab.cluster.names("Connection")) - len(found)
    assert tuple(found) == lab.cluster.names("Connection")


def test_the_official_client_meets_the_right_exceptions(lab: ServedFabric) -> None:
    api = official(lab)
    with pytest.raises(client.ApiException) as missing:
        api.get_namespaced_custom_object("wiring.githedgehog.com", "v1beta1", "default", "switches", "no-such")
    assert (missing.value.status, json.loads(missing.value.body)["reason"]) == (404, "NotFound")
    with pytest.raises(client.ApiException) as denied:
        api.delete_namespaced_custom_object("wiring.githedgehog.com", "v1beta1", "default", "switches", "leaf-01")
    assert denied.value.status == 403
    assert lab.cluster.get("Switch", "leaf-01") is not None


def test_pages_stay_true_to_their_snapshot_when_objects_come_and_go(lab: ServedFabric) -> None:
    ask = Asker(lab)
    _, first = ask.get(f"{WIRING}/servers?limit=2")
    removed = lab.cluster.names("Server")[-1]
    held = lab.cluster.get("Server", removed)
    lab.cluster.delete("Server", removed)
    _, rest = ask.get(f"{WIRING}/servers?limit=500&continue={first['metadata']['continue']}")
    assert rest["items"][-1]["metadata"]["name"] == removed
    assert removed not in [item["metadata"]["name"] for item in ask.get(f"{WIRING}/servers")[1]["items"]]
    assert held is not None
    lab.cluster.create(held)


@pytest.mark.parametrize("release", Release)
def test_discovery_offers_the_kinds_of_the_release_and_no_others(release: Release) -> None:
    with serve({"one": spine_leaf("one", release=release, gateways=1)}) as running:
        ask = Asker(running["one"])
        offered: set[str] = set()
        for group in ask.get("/apis")[1]["groups"]:
            if group["name"].endswith("githedgehog.com"):
                listed = ask.get(f"/apis/{group['preferredVersion']['groupVersion']}")[1]["resources"]
                offered |= {resource["kind"] for resource in listed}
        assert offered == {offer.kind for offer in OFFERS if release in offer.releases}
        for offer in OFFERS:
            status, _ = ask.get(f"/apis/{offer.group}/{offer.version}/{offer.plural}?limit=1")
            assert status == (200 if release in offer.releases else 404)


def test_the_audit_tells_every_request_and_who_asked(lab: ServedFabric) -> None:
    ask = Asker(lab)
    ask.get(f"{SWITCHES}?limit=1")
    ask.get(SWITCHES, method="POST")
    assert [(one.method, one.target, one.user) for one in lab.audit] == [
        ("GET", f"{SWITCHES}?limit=1", "fabric-reader"),
        ("POST", SWITCHES, "fabric-reader"),
    ]


def test_a_watch_is_refused_rather_than_passed_off_as_a_list(lab: ServedFabric) -> None:
    assert Asker(lab).get(f"{SWITCHES}?watch=1")[0] == 405


# What goes wrong.


def heard(fabric: ServedFabric, seconds: float) -> bytes:
    """What a patient listener has heard after so many seconds."""
    context, got, end = ssl.create_default_context(cadata=fabric.ca_pem.decode()), b"", time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", fabric.listener.port), timeout=seconds) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
                wire.sendall(f"GET {SWITCHES} HTTP/1.1\r\nAuthorization: Bearer {fabric.token}\r\n\r\n".encode())
                while (left := end - time.monotonic()) > 0:
                    wire.settimeout(left)
                    got += wire.recv(65536)
        except TimeoutError:
            pass
    return got


@pytest.mark.parametrize(
    ("trouble", "least", "most"),
    [("hang", 0, 0), ("tls_silence", 0, 0), ("drip_header", 2, 60), ("drip_body", 200, 600)],
)
def test_a_fabric_that_never_finishes_says_little_and_can_be_healed(
    lab: ServedFabric, trouble: str, least: int, most: int
) -> None:
    lab.faults.set([{"trouble": trouble, "seconds": 0.02}])
    assert least <= len(heard(lab, 0.6)) <= most
    lab.faults.set()
    assert Asker(lab).get(SWITCHES)[0] == 200


def test_a_hanging_client_is_let_go_when_the_fabric_is_healed(lab: ServedFabric) -> None:
    lab.faults.set(["hang"])
    ask = Asker(lab)
    ask.connection.request("GET", SWITCHES, headers={"Authorization": f"Bearer {lab.token}"})
    deadline = time.monotonic() + 20
    while not lab.audit and time.monotonic() < deadline:
        time.sleep(0.01)
    lab.faults.set()
    with pytest.raises((ConnectionError, ssl.SSLError)):
        ask.connection.getresponse()


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("reset", (ConnectionResetError, http.client.IncompleteRead)),
        ("cut_connection", (http.client.IncompleteRead, ssl.SSLError)),
        ("cut_json", json.JSONDecodeError),
    ],
)
def test_an_answer_that_breaks_off_is_never_a_whole_one(lab: ServedFabric, trouble: str, error: Any) -> None:
    lab.faults.set([trouble])
    with pytest.raises(error):
        Asker(lab).get(SWITCHES)


def test_an_endless_body_goes_on_beyond_any_list(lab: ServedFabric) -> None:
    lab.faults.set(["endless"])
    ask = Asker(lab)
    ask.connection.request("GET", SWITCHES, headers={"Authorization": f"Bearer {lab.token}"})
    assert len(ask.connection.getresponse().read(8_000_000)) == 8_000_000
    ask.connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ({"trouble": "server_error", "code": 503}, 503, "ServiceUnavailable"),
        ({"trouble": "unauthorized"}, 401, "Unauthorized"),
        ({"trouble": "forbidden", "kind": "switches"}, 403, "Forbidden"),
        ({"trouble": "throttled"}, 429, "Too many requests, please try again later.\n"),
        ({"trouble": "initializing"}, 429, "TooManyRequests"),
        ({"trouble": "crd_stale", "kind": "switches"}, 404, "404 page not found\n"),
    ],
)
def test_refusals_come_in_the_words_of_the_real_server(
    lab: ServedFabric, fault: dict[str, Any], status: int, said: str
) -> None:
    lab.faults.set([fault])
    got, body = Asker(lab).get(SWITCHES)
    assert (got, body["reason"] if isinstance(body, dict) else body) == (status, said)
    if fault.get("kind"):
        assert Asker(lab).get(f"{WIRING}/servers")[0] == 200


@pytest.mark.parametrize(("trouble", "listed"), [("crd_missing", False), ("crd_stale", True)])
def test_a_kind_can_vanish_with_or_without_a_word_in_discovery(lab: ServedFabric, trouble: str, listed: bool) -> None:
    lab.faults.set([f"{trouble}:switches"])
    ask = Asker(lab)
    assert ask.get(SWITCHES)[0] == 404
    names = [resource["name"] for resource in ask.get(WIRING)[1]["resources"]]
    assert ("switches" in names) is listed and "servers" in names


def test_half_a_page_may_be_missing_without_a_word(lab: ServedFabric) -> None:
    lab.faults.set(["cut_items:connections"])
    status, page = Asker(lab).get(f"{WIRING}/connections?limit=500")
    assert (status, page["metadata"]["continue"]) == (200, "")
    assert 0 < len(page["items"]) < len(lab.cluster.names("Connection"))


def test_a_token_expires_once_and_the_fresh_one_goes_on(lab: ServedFabric) -> None:
    lab.faults.set([{"trouble": "expired", "kind": "connections", "times": 1}])
    ask = Asker(lab)
    _, first = ask.get(f"{WIRING}/connections?limit=3")
    status, gone = ask.get(f"{WIRING}/connections?limit=3&continue={first['metadata']['continue']}")
    assert (status, gone["reason"]) == (410, "Expired")
    status, rest = ask.get(f"{WIRING}/connections?limit=500&continue={gone['metadata']['continue']}")
    assert status == 200 and len(rest["items"]) == len(lab.cluster.names("Connection")) - 3


def test_a_page_of_html_is_no_json(lab: ServedFabric) -> None:
    lab.faults.set(["html"])
    status, body = Asker(lab).get(SWITCHES)
    assert status == 200 and body.startswith("<!doctype html>")


def test_a_fault_may_wait_for_its_turn_and_end_after_it(lab: ServedFabric) -> None:
    lab.faults.set([{"trouble": "server_error", "after": 2, "times": 1}])
    ask = Asker(lab)
    assert [ask.get(SWITCHES)[0] for _ in range(4)] == [200, 200, 500, 200]


def test_a_slow_fabric_answers_rightly(lab: ServedFabric) -> None:
    lab.faults.set([{"trouble": "slow", "seconds": 0.2}])
    before = time.monotonic()
    assert Asker(lab).get(SWITCHES)[0] == 200
    assert time.monotonic() - before >= 0.2


def test_faults_of_one_fabric_are_not_those_of_another(fabrics: Fabrics, lab: ServedFabric) -> None:
    lab.faults.set(["server_error"])
    assert Asker(lab).get(SWITCHES)[0] == 500
    assert Asker(fabrics["ring"]).get(SWITCHES)[0] == 200


def test_a_fault_that_nobody_knows_is_refused_and_changes_nothing(lab: ServedFabric) -> None:
    lab.faults.set(["html"])
    with pytest.raises(FaultError, match="troubles are hang"):
        lab.faults.set(["earthquake"])
    assert [fault.trouble for fault in lab.faults.active] == [Trouble.HTML]
