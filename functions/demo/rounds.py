"""One round of the demonstration: what was asked, what was heard of it, and whether it ended as it should. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from functions.errors import Code
from functions.kinds import KINDS
from functions.outcome import Result


@dataclass(frozen=True, slots=True)
class Cast:
    """One fabric of the demonstration: its content (`spec`), how a person would call its shape, its faults."""

    name: str
    spec: str
    shape: str
    faults: tuple[str, ...] = ()


CAST: Final = (
    Cast("mesh", "topology:mesh,gateways=1", "three leaves in a mesh, a gateway"),
    Cast("clos", "topology:spine_leaf,spines=2,leaves=14,orphans=0,servers=24", "two spines, 14 leaves, 24 servers"),
    Cast("mute", "topology:spine_leaf,spines=1,leaves=1,servers=2", "one spine, one leaf, 2 servers", ("hang",)),
)


class Phase(StrEnum):
    """Where a request is, by what was heard last."""

    QUEUED = "queued"  # published; the function has not begun
    READING = "reading the fabric"  # the function has begun
    COMPARING = "comparing with NetBox"  # the fabric was read
    WRITING = "writing NetBox"  # the plan is known
    CONTINUED = "goes on in the next run"  # cut off with progress made; the follow-up request is on its way
    ENDED = "ended"  # the final outcome came


_PHASE_OF_STEP: Final = {
    "requested": Phase.READING,
    "observed": Phase.READING,
    "translated": Phase.COMPARING,
    "surveyed": Phase.COMPARING,
    "planned": Phase.WRITING,
    "applied": Phase.WRITING,
}
"""Step of a run, as the function logs it → phase."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How a request should end: the result, the error's code, and whether it should write anything."""

    result: Result = Result.SUCCEEDED
    code: Code | None = None
    writes: bool | None = None


@dataclass(slots=True)
class Request:
    """One fabric's request in a round, and what was heard of it. Times are seconds of the listener's clock.

    `correlation_id` is None as long as the scheduler has not asked.
    """

    cast: Cast
    correlation_id: str | None
    expected: Expected
    asked_at: float
    phase: Phase = Phase.QUEUED
    attempt: int = 1
    kinds: int = 0
    done: int = 0
    planned: int | None = None
    ended_at: float | None = None
    outcomes: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def final(self) -> Mapping[str, Any] | None:
        """The outcome that ended the chain, once it is there."""
        ended = self.outcomes and self.outcomes[-1]["result"] != Result.CONTINUED.value
        return self.outcomes[-1] if ended else None

    @property
    def confirmed(self) -> int:
        """Objects written, by the outcomes that came."""
        return sum(outcome["written"] for outcome in self.outcomes)

    @property
    def progress(self) -> str:
        """How far it is: kinds read while it reads, objects written of those planned afterwards, at last all."""
        if self.final is not None:
            return f"{self.confirmed} objects written"
        if self.phase is Phase.READING:
            return f"{self.kinds} of {len(KINDS)} kinds"
        if self.planned is None:
            return ""
        return f"{self.confirmed + self.done} of {self.planned} objects"

    def faults(self) -> list[str]:
        """What was not as it should be; nothing when all was well."""
        name, final = self.cast.name, self.final
        if final is None:
            return [f"{name}: no final outcome came (last known: {self.phase})"]
        found = []
        error = final["error"] or {}
        if final["result"] != self.expected.result.value:
            text = error.get("text") or "; ".join(final["reasons"][:3])
            found.append(f"{name}: ended as {final['result']}, not as {self.expected.result}: {text}")
        elif error.get("code") != (self.expected.code.value if self.expected.code else None):
            found.append(f"{name}: the error is {error.get('code')}, not {self.expected.code}")
        if self.expected.writes is not None and self.expected.writes != (self.confirmed > 0):
            found.append(
                f"{name}: wrote {self.confirmed} objects, expected {'some' if self.expected.writes else 'none'}"
            )
        found += [
            f"{name}: attempt {one['attempt']} took {one['duration_s']:.1f} s, over its deadline of {one['deadline_s']}"
            for one in self.outcomes
            if one["duration_s"] > one["deadline_s"]
        ]
        return found


class Round:
    """The requests of one round by their chain (correlation id); chains of `past` rounds are none of it."""

    def __init__(self, requests: Iterable[Request], past: Collection[str] = ()) -> None:
        self.requests = tuple(requests)
        self._past = frozenset(past)

    @property
    def chains(self) -> set[str]:
        """The correlation ids that were heard of."""
        return {request.correlation_id for request in self.requests if request.correlation_id}

    def ended(self) -> bool:
        """Whether every fabric has its final outcome."""
        return all(request.final is not None for request in self.requests)

    def faults(self) -> list[str]:
        """What was not as it should be, of any fabric."""
        return [fault for request in self.requests for fault in request.faults()]

    def hear_outcome(self, outcome: Mapping[str, Any], now: float) -> Request | None:
        """Take in an outcome event; the request it belongs to. A double (Pub/Sub may deliver twice) is passed over."""
        request = None if outcome["result"] == Result.SKIPPED.value else self._of(outcome)
        if request is None or any(one["attempt"] == outcome["attempt"] for one in request.outcomes):
            return None
        request.outcomes.append(outcome)
        request.done = 0
        if request.final is not None:
            request.phase, request.ended_at = Phase.ENDED, now
        elif request.attempt <= outcome["attempt"]:
            request.phase = Phase.CONTINUED
        return request

    def hear_step(self, line: Mapping[str, Any]) -> Request | None:
        """Take in a step that the function logged; the request it belongs to."""
        request = self._of(line) if line.get("step") in _PHASE_OF_STEP else None
        phase = _PHASE_OF_STEP.get(str(line.get("step")))
        if request is None or phase is None or request.final is not None:
            return None
        request.phase = phase
        match line["step"]:
            case "requested":
                request.attempt, request.kinds, request.done = int(line["attempt"]), 0, 0
            case "observed":
                request.kinds += 1
            case "planned":
                request.planned = request.confirmed + int(line["creates"]) + int(line["updates"])
            case "applied":
                request.done = int(line["done"])
        return request

    def _of(self, told: Mapping[str, Any]) -> Request | None:
        """The request that an event or a line belongs to; a fabric's first one of the scheduler becomes its request."""
        chain = str(told.get("correlation_id"))
        for request in self.requests:
            if request.correlation_id == chain:
                return request
            if request.correlation_id is None and request.cast.name == told.get("fabric") and chain not in self._past:
                request.correlation_id = chain
                return request
        return None
