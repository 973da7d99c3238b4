"""Pace: batches cut by time, so that the last one ends before the deadline, whatever NetBox is like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.pace import BATCH_SECONDS, FIRST_GUESS, REQUEST, Pace

KINDS = sorted(FIRST_GUESS)
LEVELS = st.integers(1, 6)


@given(
    st.floats(0.05, 300.0),
    st.lists(st.tuples(st.sampled_from(KINDS), LEVELS, st.floats(0.93, 1.08)), min_size=1, max_size=60),
    st.floats(0.05, 2.2),
    st.integers(1, 6),
)
def test_the_last_batch_ends_before_the_deadline_on_a_netbox_up_to_twice_as_slow_as_guessed(
    left: float, sends: list[tuple[tuple[str, str], int, float]], speed: float, workers: int
) -> None:
    pace, known = Pace(), set[tuple[str, str]]()
    for (model, verb), at_once, noise in sends:
        if not (size := pace.fits(model, verb, left, at_once)):
            continue
        # As NetBox does it: one request a worker at a time, and what is beyond its workers shares them.
        seconds = REQUEST * min(1.0, speed) + size * FIRST_GUESS[model, verb] * speed * max(1.0, at_once / workers)
        seconds *= noise
        left -= seconds
        # A single object may be tried where it is not known yet that there is no time for it: else no run ever did.
        if left < 0:
            assert size == 1
            assert (model, verb) not in known
            return
        known.add((model, verb))
        pace.learn(model, verb, size, seconds, beside=at_once)


@given(st.floats(0.001, 5.0), LEVELS, st.integers(1, 1000))
def test_a_batch_is_no_longer_than_it_may_be_once_its_kind_is_known(cost: float, at_once: int, most: int) -> None:
    pace = Pace(most=most)
    pace.learn("vlan", "create", 10, REQUEST + 10 * cost, beside=at_once)
    size = pace.fits("vlan", "create", 10_000.0, at_once)
    assert 1 <= size <= most
    assert size == 1 or REQUEST + size * cost <= BATCH_SECONDS + 1e-6


@given(st.sampled_from(KINDS), st.floats(0.0, 60.0), LEVELS)
def test_more_at_once_never_makes_a_batch_larger_and_never_a_prediction_shorter(
    kind: tuple[str, str], left: float, at_once: int
) -> None:
    pace = Pace()
    pace.learn(*kind, 20, 3.0)
    assert pace.fits(*kind, left, at_once + 1) <= pace.fits(*kind, left, at_once)
    assert pace.predict(*kind, 20, at_once + 1) >= pace.predict(*kind, 20, at_once)


def test_a_single_object_is_always_tried_where_it_is_likely_to_be_done_in_time() -> None:
    assert Pace().fits("cable", "create", 0.7) == 1
    assert Pace().fits("cable", "create", 0.5) == 0


def test_of_a_kind_that_was_never_sent_less_goes_before_the_deadline() -> None:
    known, unknown = Pace(), Pace()
    known.learn("cable", "create", 10, REQUEST + 10 * FIRST_GUESS["cable", "create"])
    assert 0 < unknown.fits("cable", "create", 4.0) < known.fits("cable", "create", 4.0)
