"""The deadline itself, by a clock that the tests hold in their hand."""

from __future__ import annotations

import pytest

from infra.deadline import Deadline, DeadlineExceeded


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_left_shrinks_with_the_clock_and_leaves_the_reserve_out(clock: Clock) -> None:
    deadline = Deadline.after(30, reserve=5, clock=clock)
    assert deadline.left() == 25
    clock.now += 20
    assert deadline.left() == 5
    assert not deadline.expired()


def test_work_ends_where_the_reserve_begins_and_reporting_may_use_it(clock: Clock) -> None:
    deadline = Deadline.after(30, reserve=5, clock=clock)
    clock.now += 26
    assert deadline.expired()
    with pytest.raises(DeadlineExceeded, match="no time left for reading"):
        deadline.check("reading")
    assert deadline.reporting().check("publishing") == 4


def test_the_last_moment_is_already_too_late(clock: Clock) -> None:
    deadline = Deadline.after(1, clock=clock)
    clock.now += 1
    with pytest.raises(DeadlineExceeded):
        deadline.check("anything")


def test_a_cap_is_the_smaller_of_both(clock: Clock) -> None:
    deadline = Deadline.after(10, clock=clock)
    assert deadline.cap(3, "a step") == 3
    assert deadline.cap(30, "a step") == 10


def test_a_step_ends_by_itself_but_never_after_the_whole(clock: Clock) -> None:
    deadline = Deadline.after(10, reserve=2, clock=clock)
    assert deadline.within(3).left() == 3
    assert deadline.within(30).left() == 8
    assert deadline.within(30).reporting().left() == 8


@pytest.mark.parametrize(("seconds", "reserve"), [(0, 0), (-1, 0), (5, 5), (5, 6), (5, -1)])
def test_a_deadline_without_time_for_work_cannot_be_made(seconds: float, reserve: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Deadline.after(seconds, reserve=reserve)


def test_running_out_of_time_is_not_an_error_that_http_clients_swallow() -> None:
    assert not issubclass(DeadlineExceeded, OSError)
    assert not issubclass(DeadlineExceeded, ValueError)
