"""Who is served and who is turned away: at-least-once in, one effect out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.admit import BY_ITSELF, STALE_AFTER, Skip, admit
from functions.events import SyncRequest
from functions.fabric import Fabric
from functions.outcome import Result
from functions.retrying import Failures
from functions.standing import Chain, End, Lease, Standing

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FABRIC = Fabric("lab", 1, "lab", "fabric-lab")
OFF = Fabric("lab", 1, "lab", "fabric-lab", enabled=False)
HELD = Lease(3, "run", "other", "schedule", NOW, NOW + timedelta(seconds=30))


def request(**changes: Any) -> SyncRequest:
    return SyncRequest(**{"fabric": "lab", "id": "r1", "correlation_id": "c1", "requested_at": NOW, **changes})


def skipped(asked: SyncRequest, standing: Standing, fabric: Fabric = FABRIC) -> Skip | None:
    refusal = admit(asked, fabric, standing, "config", NOW)
    return refusal.skip if refusal else None


def test_a_request_for_an_idle_fabric_is_served() -> None:
    assert admit(request(), FABRIC, Standing(), "config", NOW) is None
    assert admit(request(requested_at=None), FABRIC, Standing(), "config", NOW) is None


@pytest.mark.parametrize("result", list(Result))
def test_a_request_that_ended_before_is_answered_with_that_end_whatever_else_holds(result: Result) -> None:
    end = End("r1", result, NOW - timedelta(days=7))
    for standing in (Standing(ends=(end,)), Standing(ends=(End("r0", result, NOW), end), lease=HELD)):
        for fabric in (FABRIC, OFF):
            refusal = admit(request(requested_at=NOW - timedelta(days=7)), fabric, standing, "config", NOW)
            assert refusal is not None
            assert refusal.ended == end


def test_while_one_runs_another_is_busy_and_its_own_second_delivery_is_to_come_again() -> None:
    refusal = admit(request(), FABRIC, Standing(lease=HELD), "config", NOW)
    assert refusal is not None
    assert (refusal.skip, refusal.running) == (Skip.BUSY, False)
    assert "other" in refusal.text
    again = admit(request(id="other"), FABRIC, Standing(lease=HELD), "config", NOW)
    assert again is not None
    assert again.running


def test_an_expired_lease_keeps_nobody_out() -> None:
    expired = Lease(3, "run", "other", "schedule", NOW - timedelta(seconds=99), NOW)
    assert admit(request(), FABRIC, Standing(lease=expired), "config", NOW) is None


def test_a_fabric_that_is_switched_off_is_synced_by_force_alone() -> None:
    assert skipped(request(), Standing(), OFF) is Skip.DISABLED
    assert skipped(request(trigger="manual"), Standing(), OFF) is Skip.DISABLED
    assert skipped(request(force=True), Standing(), OFF) is None


@pytest.mark.parametrize("trigger", ["schedule", "continuation", "manual"])
def test_last_weeks_request_is_stale(trigger: str) -> None:
    assert skipped(request(trigger=trigger, requested_at=NOW - timedelta(days=7)), Standing()) is Skip.STALE
    assert skipped(request(trigger=trigger, requested_at=NOW - STALE_AFTER), Standing()) is None


def test_what_a_later_run_has_synced_need_not_be_synced_again_but_a_person_is_served() -> None:
    synced = Standing(synced_from=NOW + timedelta(seconds=1))
    for trigger in BY_ITSELF:
        assert skipped(request(trigger=trigger), synced) is Skip.SUPERSEDED
    assert skipped(request(trigger="manual"), synced) is None
    assert skipped(request(), Standing(synced_from=NOW - timedelta(seconds=1))) is None


def test_a_chain_that_another_took_over_ends() -> None:
    asked = request(trigger="continuation", attempt=3)
    assert skipped(asked, Standing(chain=Chain("c1", 3))) is None
    assert skipped(asked, Standing(chain=Chain("c2", 2))) is Skip.SUPERSEDED
    assert skipped(asked, Standing(chain=Chain("c1", 4))) is Skip.SUPERSEDED
    assert skipped(asked, Standing()) is None, "its predecessor could not record itself: the work goes on all the same"


def test_a_fabric_that_fails_is_left_alone_by_the_schedule_and_not_by_people() -> None:
    waits = Standing(failures=Failures(2, "fabric_timeout", NOW, NOW + timedelta(seconds=60)))
    for_ever = Standing(failures=Failures(1, "fabric_unauthorized", NOW, None, "config"))
    for standing in (waits, for_ever):
        assert skipped(request(), standing) is Skip.BACKING_OFF
        assert skipped(request(trigger="manual"), standing) is None
        assert skipped(request(trigger="continuation"), standing) is None
    assert admit(request(), FABRIC, for_ever, "another config", NOW) is None


moments = st.one_of(st.none(), st.integers(-(10**6), 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds)))


@given(
    trigger=st.sampled_from(["schedule", "continuation", "manual", "hook"]),
    asked=moments,
    synced=moments,
    until=moments,
    force=st.booleans(),
)
def test_a_person_is_turned_away_only_by_a_run_that_is_going_on_or_by_the_age_of_the_request(
    trigger: str, asked: datetime | None, synced: datetime | None, until: datetime | None, force: bool
) -> None:
    lease = Lease(1, "run" if until else None, "other", "manual", NOW, until)
    found = skipped(request(trigger=trigger, requested_at=asked, force=force), Standing(lease, synced_from=synced))
    if trigger in BY_ITSELF:
        assert found in (None, Skip.BUSY, Skip.STALE, Skip.SUPERSEDED)
    else:
        assert found in (None, Skip.BUSY, Skip.STALE)
    assert (found is Skip.BUSY) == lease.held(NOW)
