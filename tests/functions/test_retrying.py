"""Waiting after failures: longer each time, never for ever where it mends by itself, for a person where it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import NATURES, Code, Problem
from functions.outcome import Result
from functions.retrying import COOL_DOWN, JITTER, LONGEST_WAIT, NOT_OF_THE_FABRIC, OPEN_AFTER, Failures, after, wait

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TIMEOUT = Problem(Code.FABRIC_TIMEOUT, "x")
DENIED = Problem(Code.FABRIC_UNAUTHORIZED, "x")


def failed(before: Failures | None, problem: Problem = TIMEOUT, now: datetime = NOW) -> Failures:
    found = after(before, Result.FAILED, problem, "lab", "c1", now)
    assert found is not None
    return found


def test_waits_double_from_half_a_minute_to_five_and_the_circuit_opens() -> None:
    usual = [30, 60, 120, 240, COOL_DOWN.total_seconds(), COOL_DOWN.total_seconds()]
    for count, seconds in enumerate(usual, 1):
        assert abs(wait(count, "lab").total_seconds() - seconds) <= seconds * JITTER + 1


@given(st.integers(1, 10_000), st.text(max_size=16))
def test_no_wait_is_longer_than_the_cool_down_and_its_jitter(count: int, fabric: str) -> None:
    longest = COOL_DOWN if count >= OPEN_AFTER else LONGEST_WAIT
    assert timedelta(seconds=20) < wait(count, fabric) <= longest * (1 + JITTER) + timedelta(seconds=1)
    assert wait(count, fabric) == wait(count, fabric)


def test_fabrics_that_failed_together_do_not_come_back_together() -> None:
    assert len({wait(3, f"fabric-{number}") for number in range(100)}) > 30


@pytest.mark.parametrize("code", list(Code))
def test_what_mends_by_itself_is_tried_again_and_the_rest_waits_for_somebody(code: Code) -> None:
    found = after(None, Result.FAILED, Problem(code, "x"), "lab", "c1", NOW)
    if code in NOT_OF_THE_FABRIC:
        assert found is None
        return
    assert found is not None
    assert (found.retry_at is not None) == NATURES[code].retryable
    assert found.holds_back(NOW + timedelta(seconds=1), "c1")
    assert found.holds_back(NOW + timedelta(days=30), "c1") != NATURES[code].retryable


def test_a_change_of_the_settings_ends_the_waiting_for_a_person() -> None:
    denied = failed(None, DENIED)
    assert denied.holds_back(NOW + timedelta(days=1), "c1")
    assert not denied.holds_back(NOW, "c2")


def test_failures_are_counted_in_a_row_and_one_success_ends_the_row() -> None:
    row: Failures | None = None
    for count in range(1, 8):
        row = failed(row, now=NOW + timedelta(minutes=count))
        assert (row.count, row.since, row.open) == (count, NOW + timedelta(minutes=1), count >= OPEN_AFTER)
    assert after(row, Result.SKIPPED, None, "lab", "c1", NOW) == row
    assert after(row, Result.FAILED, Problem(Code.PLAN_MOVED, "x"), "lab", "c1", NOW) == row
    for result in (Result.SUCCEEDED, Result.CONTINUED, Result.INCOMPLETE):
        assert after(row, result, None, "lab", "c1", NOW) is None


def test_what_is_recorded_is_read_again_and_nonsense_is_nothing() -> None:
    for found in (failed(None), failed(failed(None)), failed(None, DENIED)):
        assert Failures.from_json(found.as_json()) == found
    for nonsense in (None, 3, [], {}, {"count": 0}, {"count": 2}, {"count": 1, "since": "2026-01-01T00:00:00"}):
        assert Failures.from_json(nonsense) is None
