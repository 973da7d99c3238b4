"""How many objects fit into the next bulk request: predicted from what this NetBox was measured to take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

BATCH_SECONDS: Final = 4.0
"""How long a batch may take. NetBox writes a bulk request object by object, so size gains nothing above some fifty
(`netbox.md` §2), while a shorter batch is a finer unit of progress, and parts the work more evenly among workers."""

MARGIN: Final = 0.8
"""The share of the time left that a batch may be predicted to take, so that the last one ends before the deadline."""

UNMEASURED: Final = 0.4
"""The same share for a kind of which nothing was measured yet: this NetBox may be slower than the first guess."""

FIRST_GUESS: Final[dict[tuple[str, str], float]] = {
    ("device", "create"): 0.14,
    ("device", "update"): 0.08,
    ("interface", "create"): 0.08,
    ("interface", "update"): 0.08,
    ("vlan", "create"): 0.04,
    ("prefix", "create"): 0.06,
    ("ip_address", "create"): 0.07,
    ("cable", "create"): 0.37,
    ("cable", "update"): 0.45,
    ("device", "delete"): 0.18,
    ("cable", "delete"): 0.35,
}
"""Seconds an object, measured on two slow cores; replaced by the run's own measures after the first batch."""

TELLING: Final = 10
"""Objects from which a batch can make a prediction shorter: of smaller ones the request itself is most of the cost."""

UNKNOWN: Final = 0.12
REQUEST: Final = 0.1  # the fixed cost of a bulk request, seconds


@dataclass(slots=True)
class Pace:
    """Learns seconds an object by model and verb, and sizes the next batch. `most` caps a batch's objects.

    An object takes longer with more requests in flight than NetBox has workers. How many it has is not known, so what
    was measured beside few is predicted to grow in proportion with the requests in flight: the worst there is.
    """

    most: int = 100
    _cost: dict[tuple[str, str], float] = field(default_factory=lambda: dict(FIRST_GUESS))
    _beside: dict[tuple[str, str], float] = field(default_factory=dict)

    def predict(self, model: str, verb: str, count: int, at_once: int = 1) -> float:
        """Seconds that a batch of `count` objects is likely to take, with `at_once` requests in flight."""
        return REQUEST + count * self._worst(model, verb, at_once)

    def fits(self, model: str, verb: str, left: float, at_once: int = 1) -> int:
        """How many objects to send with `left` seconds to go and up to `at_once` requests in flight.

        0 when not even one is likely to be done in time.
        """
        usable = left * (MARGIN if (model, verb) in self._beside else UNMEASURED) - REQUEST
        in_time = int(usable / self._worst(model, verb, at_once))
        if in_time < 1:
            # One at a time is still progress, and the next run has no more time for it than this one.
            return int(self.predict(model, verb, 1, at_once) <= left * MARGIN)
        # On a NetBox that takes longer than a batch may for a single object, one at a time is still progress.
        usual = max(1, int((BATCH_SECONDS - REQUEST) / self._cost.get((model, verb), UNKNOWN)))
        return min(self.most, usual, in_time)

    def learn(self, model: str, verb: str, count: int, seconds: float, beside: float = 1.0) -> None:
        """Take in that a batch of `count` objects took `seconds`, with `beside` requests in flight on average."""
        key = (model, verb)
        cost = max(0.001, (seconds - REQUEST) / count)
        if count < TELLING:
            cost = max(cost, self._cost.get(key, UNKNOWN))
        if key in self._beside:
            cost = (cost + self._cost[key]) / 2
            beside = (beside + self._beside[key]) / 2
        self._cost[key], self._beside[key] = cost, max(1.0, beside)

    def _worst(self, model: str, verb: str, at_once: int) -> float:
        cost = self._cost.get((model, verb), UNKNOWN)
        return cost * max(1.0, at_once / self._beside.get((model, verb), 1.0))
