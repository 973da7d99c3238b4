"""The lease against the real NetBox: one holder, whoever races; a stale one can neither go on nor write its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from functions import registry
from functions.errors import Code, SyncStopped
from functions.lease import FabricLease, LeaseHeldError
from functions.standing import standing_of
from infra.netbox import NetBox, Row, StaleObjectError
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.pubsub_fixtures import eventually

RACERS = 50


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


@pytest.fixture
def netbox(ready: ServedNetBox) -> Iterator[NetBox]:
    with opened(ready) as door:
        yield door


def lease_of(netbox: NetBox, fabric: str, holder: str, clock: Callable[[], datetime] = now) -> FabricLease:
    return FabricLease(netbox, registry.find(netbox, fabric), holder, clock)


def edited(netbox: NetBox, fabric: str, **custom: object) -> Row:
    """A person changes the cluster."""
    row = registry.find(netbox, fabric)
    return netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": custom}])[0]


def test_of_fifty_that_try_at_once_one_gets_it_and_each_other_is_told_who(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        with_fabric(netbox, "race")
    start = Barrier(RACERS)

    def race(number: int) -> str | None:
        with opened(ready) as netbox:
            lease = lease_of(netbox, "race", f"run-{number}")
            start.wait(60)
            try:
                lease.acquire(f"request-{number}", "manual", 60.0)
            except LeaseHeldError as held:
                return held.lease.request
            return None

    with ThreadPoolExecutor(RACERS) as pool:
        told = list(pool.map(race, range(RACERS)))
    (winner,) = [number for number, other in enumerate(told) if other is None]
    assert {other for other in told if other is not None} == {f"request-{winner}"}
    with opened(ready) as netbox:
        lease = standing_of(registry.find(netbox, "race")["custom_fields"]).lease
        assert (lease.number, lease.holder) == (1, f"run-{winner}")


def test_an_object_that_was_changed_meanwhile_is_not_changed(netbox: NetBox) -> None:
    with_fabric(netbox, "stale")
    row = registry.find(netbox, "stale")
    edited(netbox, "stale", fabric_grace_runs=7)
    with pytest.raises(StaleObjectError):
        netbox.change(registry.PATH, row, {"custom_fields": {"fabric_error": "never"}})
    assert registry.find(netbox, "stale")["custom_fields"]["fabric_error"] is None


def test_a_person_who_edits_the_cluster_meanwhile_is_in_nobodys_way(netbox: NetBox) -> None:
    with_fabric(netbox, "edited")
    lease = lease_of(netbox, "edited", "run")
    edited(netbox, "edited", fabric_grace_runs=7)
    lease.acquire("request", "manual", 30.0)
    edited(netbox, "edited", fabric_grace_runs=8)
    lease.ask()
    edited(netbox, "edited", fabric_grace_runs=9)
    assert lease.settle({"fabric_error": "told"})
    custom = registry.find(netbox, "edited")["custom_fields"]
    assert (custom["fabric_grace_runs"], custom["fabric_error"]) == (9, "told")
    assert standing_of(custom).lease.holder is None


def test_a_holder_whose_lease_was_taken_over_stops_and_cannot_write_its_end(
    netbox: NetBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_fabric(netbox, "taken")
    stale = lease_of(netbox, "taken", "stale", lambda: now() - timedelta(minutes=5))  # its clock is wrong
    stale.acquire("first", "schedule", 30.0)
    newer = lease_of(netbox, "taken", "newer")
    newer.acquire("second", "schedule", 30.0)
    assert newer.recorded().number == 2
    monkeypatch.setattr("functions.lease.ASK_EVERY", 0.0)
    with pytest.raises(SyncStopped) as stopped:
        stale.ask()
    assert stopped.value.problem.code is Code.LEASE_LOST
    assert not stale.settle({"fabric_error": "from the past"})
    assert newer.settle({"fabric_error": "from now"})
    assert registry.find(netbox, "taken")["custom_fields"]["fabric_error"] == "from now"


def test_who_was_never_asked_to_stop_cannot_write_either(netbox: NetBox) -> None:
    with_fabric(netbox, "fenced")
    stale = lease_of(netbox, "fenced", "stale", lambda: now() - timedelta(minutes=5))
    stale.acquire("first", "schedule", 30.0)
    newer = lease_of(netbox, "fenced", "newer")
    newer.acquire("second", "schedule", 30.0)
    assert newer.settle({"fabric_error": "the truth"})
    assert not stale.settle({"fabric_error": "from the past"})
    assert registry.find(netbox, "fenced")["custom_fields"]["fabric_error"] == "the truth"


def test_an_expired_lease_is_anybodys(netbox: NetBox) -> None:
    with_fabric(netbox, "expired")
    lease_of(netbox, "expired", "dead", lambda: now() - timedelta(minutes=1)).acquire("first", "schedule", 30.0)
    lease = lease_of(netbox, "expired", "next")
    lease.acquire("second", "schedule", 30.0)
    assert lease.recorded().request == "second"


def test_a_lease_that_claims_more_time_than_any_run_has_holds_nothing(netbox: NetBox) -> None:
    with_fabric(netbox, "ahead")
    lease_of(netbox, "ahead", "ahead", lambda: now() + timedelta(hours=1)).acquire("first", "schedule", 30.0)
    lease_of(netbox, "ahead", "next").acquire("second", "schedule", 30.0)


def test_asking_tells_how_many_others_write_to_the_same_netbox(
    ready: ServedNetBox, netbox: NetBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrapped(ready)  # whoever held a lease in another test
    monkeypatch.setattr("functions.lease.ASK_EVERY", 0.0)
    names = ("one", "two", "three", "four")
    for name in names:
        with_fabric(netbox, name)
    one, two, three, four = (lease_of(netbox, name, f"run-{name}") for name in names)
    two.acquire("request-two", "manual", 60.0)
    one.acquire("request-one", "manual", 60.0)
    before = netbox.requests
    one.ask()
    assert (one.others, netbox.requests) == (1, before + 1)
    three.acquire("request-three", "manual", 60.0)
    four.acquire("request-four", "manual", -4.0)
    one.ask()
    assert one.others in (2, 3)  # the lease of four may not have ended yet
    two.settle({})
    assert eventually(lambda: four.recorded().abandoned(now()), 10)
    one.ask()
    assert one.others == 1
    # However many were written since: a few are looked at, and the own cluster by itself.
    monkeypatch.setattr("functions.registry.FEW", 1)
    assert edited(netbox, "three", fabric_grace_runs=9)
    before = netbox.requests
    one.ask()
    assert (one.others, netbox.requests) == (1, before + 2)
    assert one.settle({"fabric_error": "seen to the end"})


def test_who_asks_for_a_cluster_that_was_renamed_is_told(netbox: NetBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.lease.ASK_EVERY", 0.0)
    with_fabric(netbox, "named")
    lease = lease_of(netbox, "named", "run")
    lease.acquire("request", "manual", 60.0)
    netbox.update(registry.PATH, [{"id": lease.row["id"], "name": "another"}])
    with pytest.raises(SyncStopped) as stopped:
        lease.ask()
    assert stopped.value.problem.code is Code.UNKNOWN_FABRIC
