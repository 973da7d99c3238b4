"""When the end of a quiet run is written on its cluster, and that nobody is late for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.outcome import Outcome, Result
from functions.settle import worth_recording
from functions.standing import RECORD_EVERY, Standing
from functions.status import Facts, late

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUIET = Outcome(
    fabric="f",
    result=Result.SUCCEEDED,
    request_id="r",
    correlation_id="r",
    attempt=1,
    trigger="schedule",
    started_at=NOW,
    finished_at=NOW,
    deadline_s=30,
    netbox_requests=4,
)
BEFORE = Standing(result=Result.SUCCEEDED, last_success=NOW - timedelta(minutes=9), last_attempt=NOW)


def test_a_quiet_end_is_not_written_where_the_cluster_says_the_same_since_less_than_ten_minutes() -> None:
    assert not worth_recording(BEFORE, QUIET)


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        (replace(BEFORE, last_success=NOW - RECORD_EVERY), QUIET),
        (replace(BEFORE, last_success=NOW + timedelta(hours=1)), QUIET),
        (replace(BEFORE, last_success=None), QUIET),
        *((replace(BEFORE, result=result), QUIET) for result in (None, *Result) if result is not Result.SUCCEEDED),
        *((BEFORE, replace(QUIET, result=result)) for result in Result if result is not Result.SUCCEEDED),
    ],
)
def test_an_end_that_says_something_new_is_written(before: Standing, outcome: Outcome) -> None:
    assert worth_recording(before, outcome)


@given(st.integers(1, 240), st.integers(1, 3000))
def test_a_fabric_in_which_nothing_changes_is_never_late(minutes: int, runs: int) -> None:
    interval = timedelta(minutes=minutes)
    standing = replace(BEFORE, last_success=NOW, last_attempt=NOW)
    for number in range(1, min(runs, 40)):
        at = NOW + number * interval
        assert not late(Facts(interval=interval), standing, at)
        if worth_recording(standing, replace(QUIET, started_at=at, finished_at=at)):
            standing = replace(standing, last_success=at, last_attempt=at)
