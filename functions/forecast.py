"""Pure: how many requests and invocations a plan is likely to take. A prediction, and it says from what it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from functions.operations import verb_of
from functions.pace import Pace
from functions.plan import Plan
from functions.waves import waves

type Stretch = tuple[str, str, int]
"""Operations of one wave: model, verb and how many."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading both sides took, just now: seconds, and requests to NetBox. Every invocation reads anew."""

    seconds: float
    requests: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan is likely to take.

    `writes` are bulk requests, `looks` those that see whether deleted objects are gone, `reads` those of all
    invocations together. `invocations` is None where one invocation has no time for a single object; the other
    numbers are then those up to there.
    """

    writes: int
    looks: int
    reads: int
    invocations: int | None
    seconds: float
    basis: str

    @property
    def requests(self) -> int:
        """Requests to NetBox, of all kinds."""
        return self.writes + self.looks + self.reads

    def as_dict(self) -> dict[str, Any]:
        """The prediction as JSON."""
        return {
            "prediction": True,
            "requests": self.requests,
            "writes": self.writes,
            "looks": self.looks,
            "reads": self.reads,
            "invocations": self.invocations,
            "seconds": round(self.seconds, 1),
            "basis": self.basis,
        }


def forecast(plan: Plan, reading: Reading, work_s: float, *, batch: int = 100) -> Forecast:
    """The prediction for a plan, when an invocation has `work_s` seconds (its deadline without the reserve)."""
    return simulate(stretches(plan), reading, work_s, Pace(batch))


def stretches(plan: Plan) -> list[Stretch]:
    """The plan's operations as they will be sent; deletes that are for later runs come last."""
    sent = [(wave[0].model, verb_of(wave[0]), len(wave)) for wave in waves(plan)]
    later = groupby(sorted(stale.model for stale in plan.later))
    return sent + [(model, "delete", len(list(some))) for model, some in later]


def simulate(stretches: Iterable[Stretch], reading: Reading, work_s: float, pace: Pace) -> Forecast:
    """Send `stretches` in thought, as `apply` sends them: batches that fit, and another invocation where none does."""
    whole = left = work_s - reading.seconds
    writes = looks = 0
    invocations, spent, never = 1, 0.0, False
    for model, verb, count in stretches:
        while count and not never:
            size = min(count, pace.fits(model, verb, left))
            if size < 1:
                never = left >= whole
                invocations, left = invocations + (not never), whole
                continue
            seconds = pace.predict(model, verb, size)
            count, left, spent = count - size, left - seconds, spent + seconds
            writes, looks = writes + 1, looks + (verb == "delete")
    return Forecast(
        writes=writes,
        looks=looks,
        reads=invocations * reading.requests,
        invocations=None if never else invocations,
        seconds=invocations * reading.seconds + spent,
        basis=(
            f"reading took {reading.seconds:.1f} s and {reading.requests} requests just now; an invocation has "
            f"{work_s:g} s without the reserve for reporting; seconds an object as they were measured on two slow cores"
        ),
    )
