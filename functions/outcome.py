"""What came of one run, as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from functions.errors import Problem
from functions.mended import Mended

if TYPE_CHECKING:
    from functions.applied import Refused

MOST_REASONS: Final = 20
"""Reasons and refusals told one by one in an outcome; the rest is a count. An event stays a few kilobytes."""


WRITTEN: Final = ("created", "updated", "marked", "deleted")
"""What can be done to an object; so the counts of `Applied` are called."""


class Result(StrEnum):
    """How a run ended. Every accepted request ends in exactly one."""

    SUCCEEDED = "succeeded"  # read to the end, applied, nothing left to change: the fabric is in sync
    CONTINUED = "continued"  # the deadline came with progress made; the next request is on its way
    INCOMPLETE = "incomplete"  # something could not be read, was refused or held; `reasons` says what
    FAILED = "failed"  # an error ended the run; `problem` says which
    TIMED_OUT = "timed_out"  # the deadline came without progress
    SKIPPED = "skipped"  # nothing was tried; `reasons` says why


class Verified(StrEnum):
    """How a run knows that a fabric is in sync."""

    FULL = "full"  # everything was compared
    CHANGES = "changes"  # what moved on either side since was compared, and `verified_at` tells since when


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run's end, as it is published and shown. Times are UTC, durations in seconds."""

    fabric: str
    result: Result
    request_id: str
    correlation_id: str
    attempt: int
    trigger: str
    started_at: datetime
    finished_at: datetime
    deadline_s: float
    netbox_requests: int
    requested_by: str | None = None
    reasons: tuple[str, ...] = ()
    skip: str | None = None
    problem: Problem | None = None
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()
    unconfirmed: int = 0
    left: int = 0
    plan_digest: str | None = None
    plan_left: str | None = None
    mended: Mended = field(default_factory=Mended)
    insecure_tls: bool = False
    told_again: bool = False
    verified: Verified | None = None
    verified_at: datetime | None = None

    @property
    def written(self) -> int:
        """How many objects NetBox confirmed as written in this run."""
        return sum(counts.get(verb, 0) for counts in self.objects.values() for verb in WRITTEN)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON: the data of the outcome event."""
        return {
            "fabric": self.fabric,
            "result": self.result.value,
            "request_id": self.request_id,
            "correlation_id": self.correlation_id,
            "attempt": self.attempt,
            "trigger": self.trigger,
            "requested_by": self.requested_by,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "duration_s": round((self.finished_at - self.started_at).total_seconds(), 3),
            "deadline_s": self.deadline_s,
            "error": self.problem.as_dict() if self.problem else None,
            "reasons": list(self.reasons[:MOST_REASONS]),
            "reasons_total": len(self.reasons),
            "skip": self.skip,
            "kinds": {kind: dict(facts) for kind, facts in self.kinds.items()},
            "objects": {model: dict(counts) for model, counts in self.objects.items()},
            "refused": [{"model": r.model, "key": r.key, "text": r.text} for r in self.refused[:MOST_REASONS]],
            "refused_total": len(self.refused),
            "written": self.written,
            "unconfirmed": self.unconfirmed,
            "left": self.left,
            "netbox_requests": self.netbox_requests,
            "plan_digest": self.plan_digest,
            "plan_left": self.plan_left,
            **self.mended.as_dict(),
            "insecure_tls": self.insecure_tls,
            "told_again": self.told_again,
            "verified": self.verified.value if self.verified else None,
            "verified_at": self.verified_at.isoformat() if self.verified_at else None,
        }
