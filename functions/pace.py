"""How many objects fit into the next bulk request: predicted from what this NetBox was measured to take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

BATCH_SECONDS: Final = 6.0
"""How long a batch may take. NetBox writes a bulk request object by object, so size gains nothing above some fifty
(`netbox.md` §2), while a shorter batch is a finer unit of progress."""

MARGIN: Final = 0.8
"""The share of the time left that a batch may be predicted to take, so that the last one ends before the deadline."""

FIRST_GUESS: Final[dict[tuple[str, str], float]] = {
    ("device", "create"): 0.14,
    ("device", "update"): 0.08,
    ("interface", "create"): 0.08,
    ("interface", "update"): 0.08,
    ("cable", "create"): 0.37,
    ("cable", "update"): 0.45,
    ("device", "delete"): 0.18,
    ("cable", "delete"): 0.35,
}
"""Seconds an object, measured on two slow cores; replaced by the run's own measures after the first batch."""

UNKNOWN: Final = 0.12
REQUEST: Final = 0.1  # the fixed cost of a bulk request, seconds


@dataclass(slots=True)
class Pace:
    """Learns seconds an object by model and verb, and sizes the next batch. `most` caps a batch's objects."""

    most: int = 100
    _cost: dict[tuple[str, str], float] = field(default_factory=lambda: dict(FIRST_GUESS))
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def predict(self, model: str, verb: str, count: int) -> float:
        """Seconds that a batch of `count` objects is likely to take."""
        return REQUEST + count * self._cost.get((model, verb), UNKNOWN)

    def fits(self, model: str, verb: str, left: float) -> int:
        """How many objects to send with `left` seconds to go; 0 when not even one is likely to be done in time."""
        if self.predict(model, verb, 1) > left * MARGIN:
            return 0
        usable = min(BATCH_SECONDS, left * MARGIN) - REQUEST
        # On a NetBox that takes longer than a batch may for a single object, one at a time is still progress.
        return max(1, min(self.most, int(usable / self._cost.get((model, verb), UNKNOWN))))

    def learn(self, model: str, verb: str, count: int, seconds: float) -> None:
        """Take in that a batch of `count` objects took `seconds`."""
        cost = max(0.001, (seconds - REQUEST) / count)
        key = (model, verb)
        self._cost[key] = (cost + self._cost[key]) / 2 if key in self._seen else cost
        self._seen.add(key)
