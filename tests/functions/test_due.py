"""Who is due: by the slot, in the first tick after it, never twice, and never forgotten, whatever ticks do not come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.due import CATCH_UP, Cause, Verdict, Wait, due, request_id, slot_before
from functions.retrying import Failures
from functions.schedule import Schedule, schedule_of
from functions.standing import RECORD_EVERY, Lease, Standing
from functions.windows import read_windows

TICK = timedelta(seconds=60)
NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
RECENT = Standing(last_attempt=NOW - timedelta(seconds=200))
HOUR = timedelta(hours=1)
NOON = read_windows("12:00-13:00 UTC")


def verdict(schedule: Schedule | None = None, standing: Standing = RECENT, now: datetime = NOW) -> Verdict:
    return due("lab", schedule or Schedule(), standing, "cfg", now, now, TICK)


def failed(retry_at: datetime | None, config: str = "cfg") -> Standing:
    return replace(RECENT, failures=Failures(2, "fabric_timeout", NOW - HOUR, retry_at, config))


@pytest.mark.parametrize(
    ("schedule", "standing", "wait"),
    [
        (Schedule(problems=("fabric_secret is empty",)), RECENT, Wait.NOT_CONFIGURED),
        (Schedule(enabled=False), RECENT, Wait.DISABLED),
        (Schedule(interval=None), RECENT, Wait.DISABLED),
        (Schedule(cluster_status="planned"), RECENT, Wait.INACTIVE),
        (Schedule(cluster_status="decommissioning"), RECENT, Wait.INACTIVE),
        (Schedule(cluster_status="offline"), RECENT, Wait.INACTIVE),
        (Schedule(suspended_until=NOW + HOUR), RECENT, Wait.SUSPENDED),
        (Schedule(), Standing(lease=Lease(1, "run", "r", until=NOW + timedelta(seconds=20))), Wait.RUNNING),
        (Schedule(windows=read_windows("02:00-03:00 UTC")), RECENT, Wait.WINDOW),
        (Schedule(), failed(NOW + timedelta(seconds=10)), Wait.BACKING_OFF),
        (Schedule(), failed(None), Wait.BACKING_OFF),
    ],
)
def test_who_waits_is_told_why_in_every_tick(schedule: Schedule, standing: Standing, wait: Wait) -> None:
    for minute in range(3):
        found = due("lab", schedule, standing, "cfg", NOW - minute * TICK, NOW, TICK)
        assert (found.wait, found.cause, found.slot) == (wait, None, None)


@pytest.mark.parametrize(
    ("schedule", "standing", "cause"),
    [
        (Schedule(since=NOW - timedelta(seconds=5)), Standing(), Cause.FIRST),
        (Schedule(interval=HOUR * 24), failed(NOW - timedelta(seconds=5)), Cause.RETRY),
        (Schedule(interval=HOUR * 24, since=NOW - timedelta(seconds=5)), failed(None, "before"), Cause.CHANGED),
        (
            Schedule(interval=HOUR, windows=read_windows("12:00-13:00 UTC")),
            Standing(last_attempt=NOW - 2 * HOUR),
            Cause.OPENED,
        ),
        (Schedule(cluster_status="staging", since=NOW), Standing(), Cause.FIRST),
        (Schedule(suspended_until=NOW - HOUR, since=NOW), Standing(), Cause.FIRST),  # a suspension ends by itself
    ],
)
def test_what_makes_a_fabric_due_besides_its_slot(schedule: Schedule, standing: Standing, cause: Cause) -> None:
    assert verdict(schedule, standing).cause is cause


def test_the_same_tick_twice_asks_for_the_same_and_another_for_another() -> None:
    slot = slot_before("lab", timedelta(seconds=300), NOW)
    assert request_id("lab", slot) == request_id("lab", slot.astimezone()) != request_id("lab", slot + CATCH_UP)
    assert request_id("lab", slot) != request_id("lab2", slot)


def test_fabrics_spread_evenly_over_an_interval() -> None:
    slots = [slot_before(f"fabric-{n}", timedelta(seconds=300), NOW) for n in range(3000)]
    ticks = [int((NOW - slot).total_seconds() // 60) for slot in slots]
    assert all(500 < ticks.count(minute) < 700 for minute in range(5))


def test_a_fabric_that_was_tried_since_its_slot_is_not_due_again() -> None:
    slot = slot_before("lab", timedelta(seconds=300), NOW)
    tick = slot + TICK
    tried = Standing(last_attempt=slot + timedelta(seconds=1))
    assert due("lab", Schedule(), tried, "cfg", tick, tick, TICK).wait is Wait.NOT_YET
    before = Standing(last_attempt=slot - timedelta(seconds=1))
    assert due("lab", Schedule(), before, "cfg", tick, tick, TICK).cause is Cause.SLOT


def test_a_suspension_without_an_end_is_none() -> None:
    row = {"name": "lab", "status": {"value": "active"}, "custom_fields": {"fabric_suspend_reason": "move"}}
    assert not schedule_of(row).suspended(NOW)
    forever: dict[str, Any] = {**row, "custom_fields": {"fabric_suspended_until": "for ever"}}
    assert schedule_of(forever).problems == ("fabric_suspended_until 'for ever' is not a time with its zone",)


@pytest.mark.parametrize("interval", [1, 59, 86401, -5, "often", True, 3.5])
def test_an_interval_that_makes_no_sense_is_told_and_stops_that_fabric_alone(interval: Any) -> None:
    schedule = schedule_of({"name": "lab", "custom_fields": {"fabric_interval": interval}})
    assert len(schedule.problems) == 1
    assert verdict(schedule).wait is Wait.NOT_CONFIGURED


def test_intervals_are_read_and_0_is_off() -> None:
    def read(value: Any) -> timedelta | None:
        return schedule_of({"name": "lab", "custom_fields": {"fabric_interval": value}}).interval

    assert [read(value) for value in (None, 0, 60, 86400)] == [
        timedelta(seconds=300),
        None,
        timedelta(seconds=60),
        timedelta(days=1),
    ]


def test_late_is_who_was_not_tried_for_an_interval_and_what_may_be_recorded_late_and_a_tick() -> None:
    limit = timedelta(seconds=300) + RECORD_EVERY + TICK
    just = Standing(last_attempt=NOW - limit)
    assert verdict(standing=just).late is None
    later = Standing(last_attempt=NOW - limit - timedelta(seconds=1))
    assert verdict(standing=later).late == RECORD_EVERY + TICK + timedelta(seconds=1)
    closed = Schedule(windows=read_windows("02:00-03:00 UTC"))
    assert verdict(closed, later).late is None
    just_opened = Schedule(windows=read_windows("11:55-13:00 UTC"))
    assert verdict(just_opened, later).late is None
    assert verdict(Schedule(enabled=False), later).late is None


seconds = st.integers(0, 59)
gaps = st.lists(st.integers(1, 40), min_size=10, max_size=60)
"""Minutes between one tick and the next: mostly 1, at times an outage."""


def simulated(
    name: str, interval: timedelta, steps: list[int], shift: int, records: bool
) -> list[tuple[datetime, Verdict]]:
    """The verdicts over a sequence of ticks; each run that is requested is recorded as an attempt, if `records`."""
    standing, now, told = RECENT, NOW + timedelta(seconds=shift), []
    for step in steps:
        now += step * TICK
        found = due(name, Schedule(interval=interval), standing, "cfg", now, now, TICK)
        told.append((now, found))
        if found.cause is not None and records:
            standing = Standing(last_attempt=now)
    return told


names = st.from_regex(r"[a-z][a-z0-9]{0,12}", fullmatch=True)
intervals = st.sampled_from([60, 61, 90, 300, 301, 3600, 5000, 86400]).map(lambda s: timedelta(seconds=s))


@settings(max_examples=200)
@given(names, intervals, seconds, st.integers(5, 400))
def test_while_ticks_come_each_fabric_is_requested_once_an_interval(
    name: str, interval: timedelta, shift: int, count: int
) -> None:
    told = simulated(name, interval, [1] * count, shift, records=True)
    asked = [now for now, found in told if found.cause is not None]
    moments = [NOW + timedelta(seconds=shift), *asked, told[-1][0]]
    allowed = interval + TICK + timedelta(seconds=shift)  # ticks look at whole minutes, and come so much after
    assert all(later - earlier <= allowed for earlier, later in pairwise(moments))
    slots = [found.slot for _, found in told if found.cause is not None]
    assert len(slots) == len(set(slots)), "a slot was requested twice"


@settings(max_examples=200)
@given(names, intervals, seconds, gaps)
def test_after_an_outage_whoever_was_missed_is_caught_up_and_no_slot_is_asked_for_twice(
    name: str, interval: timedelta, shift: int, steps: list[int]
) -> None:
    steps = [*steps, *[1] * (int(interval / TICK) + 30)]
    told = simulated(name, interval, steps, shift, records=True)
    asked = [now for now, found in told if found.cause is not None]
    ids = [request_id(name, found.slot) for _, found in told if found.slot is not None]
    assert len(ids) == len(set(ids))
    # Once ticks come again, a fabric waits no longer than what makes it late, and a slot of the closer kind.
    quiet = told[-1][0] - interval - 30 * TICK
    last = max([at for at in asked if at <= quiet], default=NOW - timedelta(seconds=200))
    after = [at for at in asked if at > last]
    bound = max(last + interval + RECORD_EVERY + 2 * TICK + CATCH_UP, quiet + CATCH_UP + TICK)
    assert not after or after[0] <= bound
    assert after or told[-1][0] <= bound


@settings(max_examples=100)
@given(names, intervals, seconds)
def test_whoever_is_never_tried_is_asked_for_again_and_again_and_not_in_each_tick(
    name: str, interval: timedelta, shift: int
) -> None:
    told = simulated(name, interval, [1] * 1500, shift, records=False)
    late = [(now, found) for now, found in told if found.late is not None]
    asked = [now for now, found in late if found.cause is not None]
    assert not late or len(asked) <= len(late) * TICK / min(interval, CATCH_UP) * 2 + 2
    moments = [late[0][0], *asked, late[-1][0]] if late else []
    assert all(b - a <= min(interval, CATCH_UP) + TICK for a, b in pairwise(moments))


@given(names, intervals, st.integers(0, 100_000))
def test_a_tick_that_came_twice_or_late_asks_for_the_moments_it_was_to_ask_for(
    name: str, interval: timedelta, ahead: int
) -> None:
    at = NOW + timedelta(seconds=ahead)
    schedule = Schedule(interval=interval)
    standing = Standing(last_attempt=at - interval)
    first = due(name, schedule, standing, "cfg", at, at, TICK)
    again = due(name, schedule, standing, "cfg", at, at + timedelta(seconds=30), TICK)
    assert (first.cause, first.slot) == (again.cause, again.slot)


@given(names, intervals, st.integers(0, 100_000))
def test_the_next_moment_that_is_told_is_when_it_is_due(name: str, interval: timedelta, ahead: int) -> None:
    now = NOW + timedelta(seconds=ahead)
    schedule, standing = Schedule(interval=interval), Standing(last_attempt=now - timedelta(seconds=1))
    told = due(name, schedule, standing, "cfg", now, now, TICK).next_at
    assert told is not None
    assert now <= told <= now + interval + TICK
    tick = told + TICK - timedelta(microseconds=1)
    assert due(name, schedule, standing, "cfg", tick, tick, TICK).slot is not None or told == now
