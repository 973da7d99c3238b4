"""Bulk requests on their way, each in a thread that does nothing else; how long each took, and beside how many."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Self

from functions.operations import Operation
from infra.netbox import Row


@dataclass(frozen=True, slots=True)
class Landed:
    """A request that has ended. `beside` is how many were in flight on average meanwhile, itself included.

    `answer` gives its rows, or raises what the request raised.
    """

    batch: list[Operation]
    seconds: float
    beside: float
    answer: Callable[[], list[Row]]


@dataclass(slots=True)
class _Flight:
    batch: list[Operation]
    sent_at: float
    area: float
    ended_at: float | None = None


class Flights:
    """Up to `most` requests in flight, for one thread that waits for them by `landed`.

    Leaving it by an error waits for those that are still on their way: each ends by its own deadline. Who leaves
    because the platform stops (`Stopped`, which is no `Exception`) waits for none.
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="netbox")
        self._flying: dict[Future[list[Row]], _Flight] = {}
        self._area = 0.0  # request seconds in flight until `_looked_at`
        self._looked_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._pool.shutdown(wait=kind is not None and issubclass(kind, Exception), cancel_futures=True)

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def batches(self) -> list[list[Operation]]:
        """The batches that are on their way."""
        return [flight.batch for flight in self._flying.values()]

    @property
    def age(self) -> float:
        """Seconds for which the oldest has been on its way; 0 when there is none."""
        return time.monotonic() - min((flight.sent_at for flight in self._flying.values()), default=time.monotonic())

    def send(self, batch: list[Operation], write: Callable[[], list[Row]]) -> None:
        """Let `write` send a batch."""
        flight = _Flight(batch, self._look(), self._area)

        def timed() -> list[Row]:
            try:
                return write()
            finally:
                flight.ended_at = time.monotonic()

        self._flying[self._pool.submit(timed)] = flight

    def landed(self, seconds: float) -> Landed | None:
        """One that has ended, waited for at most so many seconds; None when none has."""
        ended, _ = wait(self._flying, timeout=max(0.0, seconds), return_when=FIRST_COMPLETED)
        if not ended:
            return None
        now = self._look()
        future = min(ended, key=lambda each: self._flying[each].ended_at or now)
        flight = self._flying.pop(future)
        beside = (self._area - flight.area) / max(now - flight.sent_at, 1e-6)
        return Landed(flight.batch, (flight.ended_at or now) - flight.sent_at, max(1.0, beside), future.result)

    def _look(self) -> float:
        now = time.monotonic()
        self._area += len(self._flying) * (now - self._looked_at)
        self._looked_at = now
        return now
