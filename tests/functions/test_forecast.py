"""The prediction of what a plan takes: never less than a request for each wave, and never less for more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from functions.forecast import Reading, Stretch, forecast, simulate
from functions.pace import Pace
from functions.plan import Create, Delete, Plan, Stale
from functions.records import MODELS, Record
from functions.waves import waves

READING = Reading(4.0, 30)
STRETCHES = st.lists(
    st.tuples(st.sampled_from(sorted(MODELS)), st.sampled_from(["create", "update", "delete"]), st.integers(1, 400)),
    max_size=8,
)


def ports(count: int) -> tuple[Create, ...]:
    return tuple(Create(Record("interface", f"a/Switch/d/s#{at}", {"name": f"E{at}"})) for at in range(count))


@given(STRETCHES, st.floats(6.0, 600.0), st.integers(1, 200))
def test_every_stretch_takes_a_request_and_every_object_is_sent(
    stretches: list[Stretch], work_s: float, batch: int
) -> None:
    told = simulate(stretches, READING, work_s, Pace(batch))
    assert told.invocations is not None
    assert told.writes >= len(stretches)
    assert told.writes * batch >= sum(count for _, _, count in stretches)
    assert told.reads == told.invocations * READING.requests
    assert told.requests == told.reads + told.writes + told.looks


@given(STRETCHES, st.data(), st.floats(6.0, 600.0))
def test_more_to_do_never_takes_less(stretches: list[Stretch], data: st.DataObject, work_s: float) -> None:
    cut = data.draw(st.integers(0, len(stretches)))
    fewer = stretches[:cut]
    if fewer:
        model, verb, count = fewer[-1]
        fewer[-1] = (model, verb, data.draw(st.integers(1, count)))
    some, all_ = (simulate(each, READING, work_s, Pace()) for each in (fewer, stretches))
    assert some.requests <= all_.requests
    assert (some.invocations or 0) <= (all_.invocations or 0)
    assert some.seconds <= all_.seconds + 1e-6


@given(st.integers(0, 300), st.integers(0, 60), st.integers(0, 60))
def test_a_plan_takes_a_request_for_each_wave_at_least(new: int, gone: int, later: int) -> None:
    stale = tuple(Stale("cable", f"a/Connection/d/c{at}", at + 1) for at in range(gone + later))
    plan = Plan(creates=ports(new), deletes=tuple(map(Delete, stale[:gone])), later=stale[gone:])
    told = forecast(plan, READING, 27.0)
    assert told.writes >= len(waves(plan)) + bool(later)
    assert told.looks >= bool(gone) + bool(later)


def test_nothing_to_write_takes_one_invocation_that_reads() -> None:
    told = forecast(Plan(), READING, 27.0)
    assert (told.writes, told.invocations, told.requests, told.seconds) == (0, 1, 30, 4.0)


def test_what_one_invocation_cannot_hold_takes_several_and_each_reads_anew() -> None:
    told = forecast(Plan(creates=ports(1000)), READING, 27.0)
    assert told.invocations is not None
    assert told.invocations > 1
    assert told.reads == told.invocations * 30


def test_where_reading_leaves_no_time_for_a_single_object_no_number_is_promised() -> None:
    told = forecast(Plan(creates=ports(3)), replace(READING, seconds=26.95), 27.0)
    assert (told.invocations, told.writes) == (None, 0)
    assert told.as_dict()["prediction"] is True
    assert "just now" in told.basis
