"""The status of a fabric: every combination of facts, and none that is green without a success."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from functions.errors import Code
from functions.outcome import Result
from functions.standing import LONGEST_LEASE, RECORD_EVERY, Lease, Standing
from functions.status import Connection, Facts, Status, connection_after, late, status

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FREE = Lease(7)
HELD = Lease(7, "run", "request", "schedule", NOW - timedelta(seconds=5), NOW + timedelta(seconds=30))
EXPIRED = Lease(7, "run", "request", "schedule", NOW - timedelta(seconds=60), NOW)
OF_A_WRONG_CLOCK = Lease(7, "run", "request", "schedule", NOW, NOW + LONGEST_LEASE + timedelta(seconds=1))

BY_RESULT = {
    None: Status.NEVER_SYNCED,
    Result.SUCCEEDED: Status.IN_SYNC,
    Result.CONTINUED: Status.OUT_OF_SYNC,
    Result.INCOMPLETE: Status.OUT_OF_SYNC,
    Result.FAILED: Status.ERROR,
    Result.TIMED_OUT: Status.ERROR,
    Result.SKIPPED: Status.NEVER_SYNCED,
}


@pytest.mark.parametrize("result", [None, *Result])
def test_every_combination_of_facts_has_its_one_status(result: Result | None) -> None:
    leases = (FREE, HELD, EXPIRED, OF_A_WRONG_CLOCK)
    for configured, enabled, lease in itertools.product((True, False), (True, False), leases):
        found = status(Facts(configured, enabled), Standing(lease=lease, result=result), NOW)
        if not configured:
            wanted = Status.NOT_CONFIGURED
        elif not enabled:
            wanted = Status.DISABLED
        elif lease is HELD:
            wanted = Status.SYNCING
        elif lease is not FREE:
            wanted = Status.ERROR
        else:
            wanted = BY_RESULT[result]
        assert found is wanted, (configured, enabled, lease, result)


def test_nothing_but_a_success_is_green() -> None:
    green = {
        result
        for result in (None, *Result)
        for lease in (FREE, HELD, EXPIRED)
        if status(Facts(), Standing(lease=lease, result=result), NOW) is Status.IN_SYNC
    }
    assert green == {Result.SUCCEEDED}


def test_a_status_needs_nobody_to_become_unstuck() -> None:
    standing = Standing(lease=HELD, result=Result.SUCCEEDED)
    assert status(Facts(), standing, NOW) is Status.SYNCING
    assert status(Facts(), standing, NOW + timedelta(minutes=1)) is Status.ERROR


def test_a_fabric_is_late_after_an_interval_what_may_be_recorded_late_and_a_tick() -> None:
    facts = Facts(interval=timedelta(hours=1), since=NOW - timedelta(days=9))
    limit = timedelta(hours=1) + RECORD_EVERY + facts.tick
    for age, is_late in ((limit, False), (limit + timedelta(seconds=1), True)):
        assert late(facts, Standing(last_attempt=NOW - age), NOW) is is_late
    assert late(facts, Standing(), NOW), "never tried since it was added"
    assert not late(Facts(enabled=False, interval=timedelta(hours=1)), Standing(last_attempt=NOW - timedelta(9)), NOW)
    assert not late(Facts(interval=None), Standing(last_attempt=NOW - timedelta(9)), NOW)


@pytest.mark.parametrize(
    ("answered", "code", "wanted"),
    [
        (True, None, Connection.CONNECTED),
        (True, Code.NETBOX_ERROR, Connection.CONNECTED),
        (False, Code.FABRIC_UNAUTHORIZED, Connection.DENIED),
        (True, Code.FABRIC_FORBIDDEN, Connection.DENIED),
        (False, Code.FABRIC_TIMEOUT, Connection.UNREACHABLE),
        (False, Code.FABRIC_TLS, Connection.UNREACHABLE),
        (False, Code.NETBOX_TIMEOUT, Connection.UNKNOWN),
        (False, None, Connection.UNKNOWN),
    ],
)
def test_the_connection_is_what_the_run_saw_of_the_fabric(
    answered: bool, code: Code | None, wanted: Connection
) -> None:
    assert connection_after(None, answered, code) is wanted


def test_a_run_that_did_not_get_to_the_fabric_leaves_the_connection_as_it_was() -> None:
    for before in Connection:
        assert connection_after(before.value, False, Code.NETBOX_TIMEOUT) is before
    assert connection_after("edited by somebody", False, None) is Connection.UNKNOWN
