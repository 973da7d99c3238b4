"""The window of requests in flight: it finds what NetBox can use, never goes beyond the cap, and backs off at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.window import START, Window

EVENTS = st.one_of(
    st.none(), st.tuples(st.sampled_from("abc"), st.integers(1, 200), st.floats(0.001, 60), st.floats(1, 12))
)


@given(st.integers(1, 10), st.lists(EVENTS, max_size=80))
def test_whatever_netbox_does_at_least_one_and_at_most_the_cap_are_in_flight(most: int, events: list[object]) -> None:
    window = Window(most)
    for event in events:
        if event is None:
            window.pushed_back()
        else:
            model, count, seconds, beside = event  # type: ignore[misc]
            window.answered(model, "create", count, seconds, beside)
        assert 1 <= window.room <= most


def answered(window: Window, workers: int, times: int) -> list[int]:
    """What the window was over `times` answers of a NetBox that does one request a worker at a time."""
    rooms = []
    for _ in range(times):
        room = window.room
        window.answered("interface", "create", 50, 50 * 0.03 * max(1.0, room / workers), room)
        rooms.append(room)
    return rooms


@pytest.mark.parametrize("workers", range(2, 8))
def test_the_window_finds_the_workers_of_netbox_and_stays_there(workers: int) -> None:
    rooms = answered(Window(10), workers, 120)[-60:]
    assert max(rooms) <= workers + 1
    assert sum(room == workers for room in rooms) > len(rooms) / 2


def test_a_window_of_one_stays_one() -> None:
    assert set(answered(Window(1), 4, 50)) == {1}


def test_a_cap_that_goes_down_holds_at_once_and_what_was_found_before_is_there_when_it_goes_up() -> None:
    window = Window(8)
    found = answered(window, 6, 80)[-1]
    window.most = 2
    assert window.room == 2
    window.most = 8
    assert window.room >= found - 1


def test_a_netbox_with_less_time_for_us_gets_fewer_requests() -> None:
    window = Window(8)
    assert answered(window, 6, 80)[-1] >= 6
    # Then others want it too: each answer takes longer, and no more come than with two in flight.
    assert min(answered(window, 2, 80)) <= 3


def test_refusals_for_want_of_capacity_halve_it_and_it_does_not_grow_again_at_once() -> None:
    window = Window(8)
    answered(window, 8, 100)
    before = window.room
    window.pushed_back()
    assert window.room == max(1, before // 2)
    assert answered(window, 8, 4) == [window.room] * 4
    assert answered(window, 8, 60)[-1] > window.room // 2


def test_small_batches_say_nothing_of_what_netbox_can_do() -> None:
    window = Window(8)
    for _ in range(50):
        window.answered("tag", "create", 2, 0.05, 2)
    assert window.room == int(START)
