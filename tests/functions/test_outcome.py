"""The outcome: success is what was read and confirmed to the last object, and nothing less."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.applied import Applied, Refused
from functions.errors import Code, Problem
from functions.facts import Facts, judge, kinds_of, objects_of
from functions.outcome import MOST_REASONS, Outcome, Result
from functions.plan import Create, Plan, Stale, Update
from functions.records import Record
from functions.snapshot import Listing, Reading, Snapshot
from functions.translate import Code as IssueCode
from functions.translate import Issue, Translation

RECORD = Record("device", "lab/Switch/default/one", {"name": "one"})
READ = Snapshot("lab", {"Switch": Listing("Switch", Reading.COMPLETE), "Peering": Listing("Peering", Reading.ABSENT)})
TRANSLATED = Translation((RECORD,), (), frozenset({"device"}))
DONE = Facts(READ, TRANSLATED, Plan((Create(RECORD),)), Applied(created=Counter(device=1)))
PROBLEM = Problem(Code.FABRIC_ERROR, "x")


def applied(**changes: object) -> Facts:
    return replace(DONE, applied=replace(Applied(created=Counter(device=1)), **changes))


def unread(*, optional: bool) -> Snapshot:
    listing = Listing("Agent", Reading.UNREAD, error="403", optional=optional)
    return Snapshot("lab", {**READ.listings, "Agent": listing})


def test_everything_read_and_confirmed_is_success() -> None:
    assert judge(DONE) == (Result.SUCCEEDED, None, ())


def test_an_optional_kind_that_cannot_be_read_is_no_blemish() -> None:
    assert judge(replace(DONE, snapshot=unread(optional=True)))[0] is Result.SUCCEEDED


ISSUE = Issue("Switch default/one", IssueCode.UNKNOWN_PROFILE, "its profile is unknown")

LESS = {
    "a kind was not read": (replace(DONE, snapshot=unread(optional=False)), Result.INCOMPLETE),
    "an object was not understood": (
        replace(DONE, translation=replace(TRANSLATED, issues=(ISSUE,))),
        Result.INCOMPLETE,
    ),
    "an object was refused": (applied(refused=[Refused("device", RECORD.key, "no")]), Result.INCOMPLETE),
    "an object is held": (replace(DONE, plan=Plan(held=(Update(RECORD, 1, ()),))), Result.INCOMPLETE),
    "an object is stale": (replace(DONE, plan=Plan(stale=(Stale("device", "k", 1),))), Result.INCOMPLETE),
    "an object was planned and not written": (applied(left=1), Result.INCOMPLETE),
    "NetBox stopped it": (applied(stopped=PROBLEM), Result.FAILED),
    "an error ended it": (replace(DONE, problem=PROBLEM), Result.FAILED),
    "it was never applied": (replace(DONE, applied=None), Result.FAILED),
    "nothing was done": (Facts(), Result.FAILED),
    "the deadline came while writing": (applied(cut=True, left=5), Result.CONTINUED),
    "the deadline came before the first write": (
        applied(created=Counter(), cut=True, left=5),
        Result.TIMED_OUT,
    ),
    "what was sent was not confirmed": (
        applied(created=Counter(), cut=True, unconfirmed=5),
        Result.TIMED_OUT,
    ),
    "the deadline came while reading": (
        replace(DONE, plan=None, applied=None, timed_out=True, problem=PROBLEM),
        Result.TIMED_OUT,
    ),
    "it was switched off": (Facts(skipped="off"), Result.SKIPPED),
}


@pytest.mark.parametrize("case", LESS)
def test_whatever_is_missing_is_no_success_and_has_a_reason(case: str) -> None:
    facts, wanted = LESS[case]
    result, problem, reasons = judge(facts)
    assert result is wanted
    assert (problem is not None) == (result in (Result.FAILED, Result.TIMED_OUT))
    if result in (Result.INCOMPLETE, Result.SKIPPED):
        assert reasons


def some[T](*values: T) -> st.SearchStrategy[T]:
    return st.sampled_from(values)


facts_ = st.builds(
    Facts,
    snapshot=some(None, READ, unread(optional=True), unread(optional=False)),
    translation=some(None, TRANSLATED, replace(TRANSLATED, issues=(ISSUE,))),
    plan=some(None, Plan(), Plan(held=(Update(RECORD, 1, ()),)), Plan(stale=(Stale("device", "k", 1),))),
    applied=st.none()
    | st.builds(
        Applied,
        created=some(Counter(), Counter(device=2)),
        updated=some(Counter(), Counter(cable=1)),
        refused=st.lists(some(Refused("device", "k", "no")), max_size=2),
        unconfirmed=st.integers(0, 2),
        left=st.integers(0, 2),
        stopped=some(None, PROBLEM),
        cut=st.booleans(),
    ),
    problem=some(None, PROBLEM),
    timed_out=st.booleans(),
    skipped=some(None, "off"),
)


@given(facts_)
def test_success_needs_every_fact(facts: Facts) -> None:
    result, problem, reasons = judge(facts)
    if result is Result.SUCCEEDED:
        assert facts.snapshot is not None
        assert facts.translation is not None
        assert facts.plan is not None
        assert facts.applied is not None
        assert not facts.timed_out
        assert not facts.applied.cut
        assert facts.problem is None
        assert facts.applied.stopped is None
        assert facts.applied.left == 0
        assert (facts.applied.refused, facts.plan.held, facts.plan.stale) == ([], (), ())
        assert facts.translation.issues == ()
        assert all(each.reading is not Reading.UNREAD or each.optional for each in facts.snapshot.listings.values())
    if result is Result.CONTINUED:
        assert facts.applied is not None
        assert facts.applied.written > 0
    assert (problem is not None) == (result in (Result.FAILED, Result.TIMED_OUT))
    assert not (problem and reasons)


@given(facts_)
def test_an_outcome_is_json_and_its_counts_agree(facts: Facts) -> None:
    result, problem, reasons = judge(facts)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    outcome = Outcome(
        fabric="lab",
        result=result,
        request_id="e",
        correlation_id="c",
        attempt=1,
        trigger="schedule",
        started_at=began,
        finished_at=began + timedelta(seconds=1.5),
        deadline_s=30.0,
        netbox_requests=3,
        reasons=reasons,
        problem=problem,
        kinds=kinds_of(facts),
        objects=objects_of(facts),
        refused=tuple(facts.applied.refused) if facts.applied else (),
    )
    told = json.loads(json.dumps(outcome.as_dict()))
    assert told["written"] == (facts.applied.written if facts.applied else 0)
    assert told["duration_s"] == 1.5
    assert (told["error"] is None) == (problem is None)


def test_an_outcome_with_many_reasons_stays_small_and_says_how_many() -> None:
    refused = tuple(Refused("device", f"lab/Switch/default/{number}", "x" * 500) for number in range(5000))
    facts = applied(refused=list(refused))
    result, _, reasons = judge(facts)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = Outcome(
        fabric="lab",
        result=result,
        request_id="e",
        correlation_id="c",
        attempt=1,
        trigger="schedule",
        started_at=now,
        finished_at=now,
        deadline_s=30.0,
        netbox_requests=3,
        reasons=reasons,
        refused=refused,
    ).as_dict()
    assert len(json.dumps(told)) < 64 * 1024
    assert (len(told["reasons"]), told["reasons_total"]) == (MOST_REASONS, 5000)
    assert (len(told["refused"]), told["refused_total"]) == (MOST_REASONS, 5000)


def test_a_fabric_of_which_a_part_was_not_compared_is_not_in_sync() -> None:
    assert judge(replace(DONE, plan=Plan()))[0] is Result.SUCCEEDED
    assert judge(replace(DONE, plan=Plan(more=3)))[0] is Result.INCOMPLETE
