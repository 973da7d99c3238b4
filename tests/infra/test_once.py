"""What is made once, however many threads ask first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.once import once

THREADS = 8


class House:
    """Makes a door at the first use; as long as `wall` stands, it cannot."""

    def __init__(self) -> None:
        self.made = 0
        self.wall = False

    @once
    def door(self) -> object:
        """A door."""
        self.made += 1
        if self.wall:
            raise OSError("a wall")
        threading.Event().wait(0.05)  # long enough for the others to come
        return object()


def test_threads_that_ask_at_once_get_the_same() -> None:
    house, start = House(), threading.Barrier(THREADS)

    def ask() -> object:
        start.wait()
        return house.door

    with ThreadPoolExecutor(THREADS) as pool:
        doors = [asked.result() for asked in [pool.submit(ask) for _ in range(THREADS)]]
    assert house.made == 1
    assert len(set(map(id, doors))) == 1


def test_each_instance_has_its_own() -> None:
    assert House().door is not House().door


def test_what_could_not_be_made_is_made_by_whoever_asks_next() -> None:
    house = House()
    house.wall = True
    with pytest.raises(OSError, match="a wall"):
        _ = house.door
    house.wall = False
    assert house.door is house.door
    assert house.made == 2
