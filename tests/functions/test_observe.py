"""Observe, against simulated fabrics with their faults switched on: what could not be read never looks like nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import observe as room
from functions.errors import Code, SyncStopped
from functions.kinds import BY_NAME, KINDS, Kind
from functions.observe import observe, trimmed
from functions.snapshot import Listing, Reading, Snapshot
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubeconfig import parse_kubeconfig
from infra.kubernetes import KubernetesClient, KubernetesError
from infra.sandbox.fabric.faults import Fault, Trouble
from infra.sandbox.fabric.serve import ServedFabric, serve
from infra.transport import TransportError
from tests.fabric_content import small_cluster

type Observed = Callable[..., Snapshot]


@pytest.fixture(scope="module")
def fabric() -> Iterator[ServedFabric]:
    """A fabric with three switches, one server and three connections."""
    with serve({"lab": small_cluster("lab", switches=3)}) as served:
        yield served["lab"]


@pytest.fixture
def observed(fabric: ServedFabric) -> Iterator[Observed]:
    """Observe the fabric with these faults switched on."""

    def observed_with(*faults: str | Fault, seconds: float = 60.0, **options: Any) -> Snapshot:
        fabric.faults.set(faults)
        deadline = Deadline.after(seconds)
        with KubernetesClient(parse_kubeconfig(fabric.kubeconfig), deadline) as client:
            return observe("lab", client, deadline, **options)

    yield observed_with
    fabric.faults.set()


@pytest.fixture
def one_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAGE", 1)


def names(snapshot: Snapshot, kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in snapshot.items(kind)]


def lists(fabric: ServedFabric, plural: str) -> int:
    return sum(1 for audited in fabric.audit if f"/{plural}" in audited.target)


def test_a_healthy_fabric_is_read_in_full(observed: Observed) -> None:
    heard: list[Listing] = []
    snapshot = observed(on_kind=heard.append)
    assert [listing.kind for listing in heard] == [kind.name for kind in KINDS]
    assert names(snapshot, "Switch") == ["leaf-1", "leaf-2", "leaf-3"]
    assert len(names(snapshot, "Connection")) == 3
    assert snapshot.known("Switch", "Server", "Connection", "SwitchProfile")
    assert {listing.reading for listing in heard} <= {Reading.COMPLETE, Reading.ABSENT}


def test_page_by_page_it_is_the_same(observed: Observed, one_a_page: None) -> None:
    assert names(observed(), "Switch") == ["leaf-1", "leaf-2", "leaf-3"]


UNREAD = {
    "forbidden": "forbidden:switches",
    "gone, though discovery offers it": "crd_stale:switches",
    "failing": "server_error:switches",
    "a page of HTML": "html:switches",
    "cut off in the JSON": "cut_json:switches",
    "cut off in the connection": "cut_connection:switches",
    "reset": "reset:switches",
    "throttled for ever": "throttled:switches",
}


@pytest.mark.parametrize("case", UNREAD)
def test_a_kind_that_cannot_be_read_is_unread_and_the_others_are_read(observed: Observed, case: str) -> None:
    snapshot = observed(UNREAD[case], seconds=20.0)
    listing = snapshot.listings["Switch"]
    assert (listing.reading, listing.items) == (Reading.UNREAD, ())
    assert listing.error
    assert not snapshot.known("Switch")
    assert snapshot.known("Server", "Connection")
    assert len(names(snapshot, "Connection")) == 3


def test_a_kind_that_discovery_does_not_offer_is_absent_and_therefore_known(observed: Observed) -> None:
    snapshot = observed("crd_missing:switches")
    assert snapshot.listings["Switch"].reading is Reading.ABSENT
    assert snapshot.known("Switch")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "Server"], ids=lambda kind: str(kind.name))
@pytest.mark.parametrize("trouble", [Trouble.FORBIDDEN, Trouble.CUT_JSON])
def test_no_kind_that_is_offered_and_unreadable_ever_looks_absent(
    observed: Observed, kind: Kind, trouble: Trouble
) -> None:
    healthy = observed(kinds=(BY_NAME["Server"], kind)).listings[kind.name]
    listing = observed(Fault(trouble, kind.plural), kinds=(BY_NAME["Server"], kind)).listings[kind.name]
    # A kind that this release does not have is absent either way.
    assert listing.reading is (Reading.ABSENT if healthy.reading is Reading.ABSENT else Reading.UNREAD)
    assert listing.optional is (kind.optional and healthy.reading is not Reading.ABSENT)


def test_half_a_page_that_claims_to_be_all_is_not_believed(observed: Observed, one_a_page: None) -> None:
    # Of a page of one object the second half is the object itself: the server still says that more remain.
    snapshot = observed("cut_items:switches")
    assert snapshot.listings["Switch"].reading is Reading.UNREAD


def test_a_snapshot_that_expires_once_is_read_again_from_the_start(observed: Observed, one_a_page: None) -> None:
    snapshot = observed(Fault(Trouble.EXPIRED, "switches", times=1))
    assert names(snapshot, "Switch") == ["leaf-1", "leaf-2", "leaf-3"]


def test_a_snapshot_that_always_expires_is_unread(observed: Observed, one_a_page: None) -> None:
    listing = observed("expired:switches").listings["Switch"]
    assert (listing.reading, listing.items) == (Reading.UNREAD, ())
    assert "410" in str(listing.error)


@pytest.mark.parametrize("trouble", [Trouble.RESET, Trouble.THROTTLED, Trouble.CUT_CONNECTION])
def test_a_trouble_that_passes_is_tried_again(observed: Observed, trouble: Trouble) -> None:
    assert len(names(observed(Fault(trouble, "switches", times=1)), "Switch")) == 3


def test_a_denial_is_not_asked_for_again(observed: Observed, fabric: ServedFabric) -> None:
    before = lists(fabric, "switches")
    observed("forbidden:switches")
    assert lists(fabric, "switches") == before + 1


@pytest.mark.parametrize("trouble", [Trouble.HANG, Trouble.DRIP_BODY, Trouble.DRIP_HEADER])
def test_a_kind_that_hangs_costs_the_others_nothing_but_its_share(observed: Observed, trouble: Trouble) -> None:
    snapshot = observed(Fault(trouble, "connections"), seconds=6.0)
    assert snapshot.listings["Connection"].reading is Reading.UNREAD
    assert all(
        listing.reading is not Reading.UNREAD for name, listing in snapshot.listings.items() if name != "Connection"
    )


def test_two_kinds_that_hang_leave_the_others_read(observed: Observed) -> None:
    snapshot = observed("hang:switchprofiles", "hang:connections", seconds=8.0)
    unread = {name for name, listing in snapshot.listings.items() if listing.reading is Reading.UNREAD}
    assert unread == {"SwitchProfile", "Connection"}


def test_a_fabric_that_hangs_altogether_ends_at_the_deadline(observed: Observed) -> None:
    with pytest.raises(DeadlineExceeded):
        observed("hang", seconds=1.0)


def test_a_fabric_that_hangs_in_every_list_ends_at_the_deadline(observed: Observed) -> None:
    deadline = Deadline.after(20.0)
    with pytest.raises((DeadlineExceeded, SyncStopped)) as stopped:
        observed(*(f"hang:{kind.plural}" for kind in KINDS), seconds=2.0)
    assert not deadline.expired()
    if isinstance(stopped.value, SyncStopped):
        assert stopped.value.problem.code is Code.FABRIC_TIMEOUT


def test_a_fabric_none_of_whose_kinds_can_be_read_stops_with_the_first_problem(observed: Observed) -> None:
    with pytest.raises(SyncStopped) as stopped:
        observed("server_error:switchprofiles", *(f"forbidden:{kind.plural}" for kind in KINDS))
    assert stopped.value.problem.code is Code.FABRIC_ERROR


def test_a_fabric_without_any_hedgehog_kind_is_no_empty_fabric(observed: Observed) -> None:
    with pytest.raises(SyncStopped) as stopped:
        observed("crd_missing")
    assert stopped.value.problem.code is Code.FABRIC_BAD_ANSWER


def test_a_token_that_is_refused_in_the_middle_ends_the_reading(observed: Observed, fabric: ServedFabric) -> None:
    before = lists(fabric, "connections")
    with pytest.raises(SyncStopped) as stopped:
        observed("unauthorized:switches")
    assert stopped.value.problem.code is Code.FABRIC_UNAUTHORIZED
    assert lists(fabric, "connections") == before


@pytest.mark.parametrize("fault", ["server_error", "forbidden", "html", "reset", "cut_json"])
def test_a_discovery_that_fails_is_no_empty_fabric(observed: Observed, fault: str) -> None:
    with pytest.raises((KubernetesError, TransportError)):
        observed(fault)


AGENT = {
    "apiVersion": "agent.githedgehog.com/v1beta1",
    "kind": "Agent",
    "metadata": {
        "name": "leaf-1",
        "namespace": "default",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"password": "HIDDEN"}'},
    },
    "spec": {
        "users": [{"name": "admin", "password": "$5$HIDDEN"}],
        "config": {"registry": {"password": "HIDDEN"}},
        "version": {"password": "HIDDEN"},
    },
    "status": {
        "version": "v1",
        "lastHeartbeat": "2026-01-01T00:00:00Z",
        "installID": "HIDDEN",
        "state": {"nos": {"serialNumber": "S1"}, "secret": "HIDDEN"},
    },
}


def test_what_an_agent_keeps_to_itself_never_leaves_the_room(observed: Observed, fabric: ServedFabric) -> None:
    fabric.cluster.load([AGENT])
    snapshot = observed()
    (agent,) = snapshot.items("Agent")
    assert "HIDDEN" not in str(snapshot)
    assert "spec" not in agent
    assert agent["status"] == {"version": "v1", "state": {"nos": {"serialNumber": "S1"}}}


def test_what_moves_by_itself_does_not_move_what_was_seen(observed: Observed, fabric: ServedFabric) -> None:
    def digest(heartbeat: str, temperature: float, leases: dict[str, str]) -> str:
        state = {**AGENT["status"]["state"], "transceivers": {"E1/1": {"temp": temperature}}}
        fabric.cluster.load(
            [
                {**AGENT, "status": {**AGENT["status"], "lastHeartbeat": heartbeat, "state": state}},
                {
                    "apiVersion": "dhcp.githedgehog.com/v1beta1",
                    "kind": "DHCPSubnet",
                    "metadata": {"name": "vpc-1--default", "namespace": "default"},
                    "spec": {"cidrBlock": "10.0.1.0/24"},
                    "status": {"allocated": leases},
                },
            ]
        )
        return observed().digest()

    once = digest("2026-01-01T00:00:00Z", 34.5, {})
    assert digest("2026-01-01T00:00:15Z", 34.6, {"0c:20:12:fe:01:01": "10.0.1.10"}) == once
    fabric.cluster.load([{**AGENT, "status": {**AGENT["status"], "version": "v2"}}])
    assert observed().digest() != once


words = st.sampled_from(["spec", "status", "state", "nos", "version", "config", "fabric", "mode", "roles", "other"])
trees = st.recursive(
    st.none() | st.integers() | st.just("x"),
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=20,
)


@given(st.sampled_from([kind for kind in KINDS if kind.keep is not None]), st.dictionaries(words, trees))
def test_only_the_paths_of_the_table_leave_the_room(kind: Kind, item: dict[str, Any]) -> None:
    before = repr(item)
    kept = trimmed({"kind": kind.name, "metadata": {"name": "n", "annotations": {"a": "HIDDEN"}}, **item}, kind)
    assert repr(item) == before
    assert "HIDDEN" not in repr(kept)
    allowed = {"apiVersion", "kind", "metadata", *(kind.keep or ())}

    def check(value: Any, path: str) -> None:
        if path in allowed:
            return
        assert any(each.startswith(f"{path}.") for each in allowed), path
        assert isinstance(value, dict)
        for name, inner in value.items():
            check(inner, f"{path}.{name}")

    for name, value in kept.items():
        check(value, name)


@pytest.mark.parametrize("kind", ["Agent", "Fabricator", "ControlNode", "FabNode", "GatewayAgent"])
def test_kinds_that_carry_credentials_have_a_list_of_what_may_leave(kind: str) -> None:
    assert BY_NAME[kind].keep is not None
