"""What is recorded of a fabric: read as it was written, and never believed where people edited it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.errors import Code, Problem
from functions.events import SyncRequest
from functions.outcome import Outcome, Result
from functions.retrying import Failures
from functions.settle import announcements, settled, unheld
from functions.standing import MOST_ENDS, Chain, End, Lease, Standing, fields_of, standing_of

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REQUEST = SyncRequest("lab", "r1", "c1", requested_by="ann")


def outcome(result: Result, problem: Problem | None = None, **changes: Any) -> Outcome:
    usual: dict[str, Any] = {
        "fabric": "lab",
        "result": result,
        "request_id": "r1",
        "correlation_id": "c1",
        "attempt": 1,
        "trigger": "manual",
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=9),
        "deadline_s": 30.0,
        "netbox_requests": 3,
        "problem": problem,
    }
    return Outcome(**{**usual, **changes})


moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
leases = st.builds(
    Lease,
    st.integers(0, 10**6),
    st.none() | words,
    st.none() | words,
    st.none() | words,
    st.none() | moments,
    st.none() | moments,
)
ends = st.builds(
    End,
    words,
    st.sampled_from(Result),
    moments,
    words,
    st.integers(1, 50),
    words,
    st.none() | words,
    st.integers(0, 600).map(float),
    st.integers(0, 10**5),
    st.none() | words,
)
failures = st.builds(
    Failures,
    st.integers(1, 99),
    words,
    moments.map(lambda at: at.replace(microsecond=0)),
    st.none() | moments.map(lambda at: at.replace(microsecond=0)),
    words,
)
standings = st.builds(
    Standing,
    lease=leases,
    chain=st.none() | st.builds(Chain, words, st.integers(1, 99)),
    failures=st.none() | failures,
    stalled=st.integers(0, 9),
    ends=st.lists(ends, max_size=MOST_ENDS).map(tuple),
    last_attempt=st.none() | moments,
    last_success=st.none() | moments,
    synced_from=st.none() | moments,
    result=st.none() | st.sampled_from(Result),
    result_since=st.none() | moments,
    error=words,
)


@given(standings)
def test_what_is_recorded_is_read_again(standing: Standing) -> None:
    assert standing_of(json.loads(json.dumps(fields_of(standing)))) == standing


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["number", "holder", "until", "chain", "failures", "ends", "id", "attempt", "result", "at", "s"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(fields_of(Standing()), anything)))
def test_whatever_people_write_there_is_read_without_a_fault_and_keeps_nobody_out_for_long(custom: Any) -> None:
    standing = standing_of(custom)
    assert not standing.lease.held(NOW) or standing.lease.until is not None
    fields_of(standing)


@given(standings, st.sampled_from([r for r in Result if r is not Result.SKIPPED]), st.booleans())
def test_a_success_is_recorded_of_a_success_alone(before: Standing, result: Result, stalled: bool) -> None:
    problem = Problem(Code.FABRIC_TIMEOUT, "x") if result in (Result.FAILED, Result.TIMED_OUT) else None
    after = settled(before, REQUEST, outcome(result, problem), stalled, "c")
    if result is Result.SUCCEEDED:
        assert (after.last_success, after.synced_from) == (NOW + timedelta(seconds=9), NOW)
    else:
        assert (after.last_success, after.synced_from) == (before.last_success, before.synced_from)
    assert after.last_attempt == NOW
    assert (after.chain is not None) == (result is Result.CONTINUED)
    assert (after.failures is not None) == (problem is not None)
    ended = after.ended("r1")
    assert ended is not None
    assert (ended.result, ended.requested_by) == (result, "ann")
    assert len(after.ends) <= MOST_ENDS


@given(standings)
def test_that_a_plan_had_moved_says_nothing_of_the_fabric(before: Standing) -> None:
    after = settled(before, REQUEST, outcome(Result.FAILED, Problem(Code.PLAN_MOVED, "x")), False, "c")
    assert replace(after, ends=before.ends) == unheld(before)


def test_a_result_is_dated_from_the_first_run_that_had_it() -> None:
    first = settled(Standing(), REQUEST, outcome(Result.SUCCEEDED), False, "c")
    later = outcome(Result.SUCCEEDED, finished_at=NOW + timedelta(hours=1))
    assert settled(first, REQUEST, later, False, "c").result_since == first.result_since


def test_the_status_that_is_told_is_not_that_of_the_run_which_tells_it() -> None:
    held = Lease(4, "run", "r1", "manual", NOW, NOW + timedelta(seconds=35))
    after = settled(Standing(lease=held), REQUEST, outcome(Result.SUCCEEDED), False, "c")
    assert (after.lease.number, after.lease.holder) == (4, None)
    told = announcements(Standing(), after, outcome(Result.SUCCEEDED), NOW + timedelta(seconds=9))
    assert (told["status"]["before"], told["status"]["now"]) == ("never_synced", "in_sync")


def test_a_change_of_the_status_is_told_once() -> None:
    broken = settled(Standing(), REQUEST, outcome(Result.FAILED, Problem(Code.FABRIC_TIMEOUT, "gone")), False, "c")
    told = announcements(Standing(), broken, outcome(Result.FAILED, Problem(Code.FABRIC_TIMEOUT, "gone")), NOW)
    assert (told["status"]["before"], told["status"]["now"]) == ("never_synced", "error")
    assert "gone" in told["status"]["reason"]
    again = announcements(broken, broken, outcome(Result.FAILED, Problem(Code.FABRIC_TIMEOUT, "gone")), NOW)
    assert again["status"] is None
