"""What came of one run: derived from what was read and answered, never from what was intended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from functions.agreed import rest
from functions.applied import Applied, Refused
from functions.errors import Code, Problem
from functions.fields import RELEASE
from functions.plan import Hold, Plan
from functions.putback import Mended, mended
from functions.snapshot import Reading, Snapshot

if TYPE_CHECKING:
    from functions.translate import Translation

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


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run got to: each step's result, None where it was not reached."""

    snapshot: Snapshot | None = None
    translation: Translation | None = None
    plan: Plan | None = None
    applied: Applied | None = None
    problem: Problem | None = None
    timed_out: bool = False
    skipped: str | None = None
    skip: str | None = None
    insecure_tls: bool = False

    @property
    def stalled(self) -> bool:
        """Whether there was something to write, and the deadline came before any write was confirmed."""
        return self.applied is not None and self.applied.cut and self.applied.written == 0


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


def left_of(facts: Facts) -> str | None:
    """The digest of what is left of a plan that was cut off; None where all was done, or nobody knows what was."""
    if facts.plan is None or facts.applied is None or not facts.applied.cut or facts.applied.unconfirmed:
        return None
    return rest(facts.plan, facts.applied.settled).digest


def mended_by(facts: Facts) -> Mended:
    """Who had moved what was updated, by NetBox's own answers."""
    return mended(facts.applied.settled) if facts.applied else Mended()


def judge(facts: Facts, stalled_before: int = 0) -> tuple[Result, Problem | None, tuple[str, ...]]:
    """The result that the facts allow, the error behind it, and why it is no better.

    `stalled_before` counts the runs in a row before this one that had something to write and confirmed no write: the
    second of them fails (no_progress), for more of the same would end no better.

    `succeeded` needs every kind known, every record translated, every difference confirmed as written by NetBox,
    nothing held; what is gone from the fabric is marked and waits, or was deleted, as the policy wants it. An error
    outranks the deadline only where the deadline did not cause it.
    """
    if facts.skipped is not None:
        return Result.SKIPPED, None, (facts.skipped,)
    applied = facts.applied
    progress = applied is not None and applied.written > 0
    if facts.timed_out or (applied is not None and applied.cut):
        if progress:
            return Result.CONTINUED, None, ()
        if facts.stalled and stalled_before:
            text = f"{stalled_before + 1} runs in a row had objects to write, and no write was confirmed in time"
            return Result.FAILED, Problem(Code.NO_PROGRESS, text), ()
        return Result.TIMED_OUT, facts.problem or Problem(Code.NETBOX_TIMEOUT, "no write was confirmed in time"), ()
    if facts.problem is not None:
        return Result.FAILED, facts.problem, ()
    if applied is not None and applied.stopped is not None:
        return Result.FAILED, applied.stopped, ()
    if facts.snapshot is None or facts.translation is None or facts.plan is None or applied is None:
        return Result.FAILED, Problem(Code.INTERNAL, "the run ended before it was applied, and nothing says why"), ()
    reasons = (*gaps(facts.snapshot, facts.translation), *_left(facts.plan, applied))
    return (Result.INCOMPLETE if reasons else Result.SUCCEEDED), None, reasons


def gaps(snapshot: Snapshot, translation: Translation) -> list[str]:
    """What of the fabric could not be read, and what of it could not be translated."""
    unread = [
        f"{listing.kind} could not be read: {listing.error}"
        for listing in snapshot.listings.values()
        if listing.reading is Reading.UNREAD and not listing.optional
    ]
    return unread + [f"{issue.source}: {issue.text}" for issue in translation.issues]


def _left(plan: Plan, applied: Applied) -> list[str]:
    reasons = [f"{refused.model} {refused.key} was refused: {refused.text}" for refused in applied.refused]
    reasons += [f"{held.record.model} {held.record.key} differs and is held by its tag" for held in plan.held]
    reasons += [told(hold) for hold in plan.holds]
    reasons += [
        f"{stale.model} {stale.key} is no longer in the fabric, and nothing was decided" for stale in plan.undecided
    ]
    if applied.left > 0:
        reasons.append(f"{applied.left} objects were planned and not written")
    return reasons


def told(hold: Hold) -> str:
    """One line on stale objects that are held: which, why, and how to let them pass."""
    first, *rest = hold.stale
    some = f"{first.model} {first.key}" + (f" and {len(rest)} more" if rest else "")
    line = f"{some}: no longer in the fabric, and held: {hold.reason}"
    return f"{line}; to release, set {RELEASE} on the cluster to {hold.release}" if hold.release else line


def kinds_of(facts: Facts) -> dict[str, dict[str, Any]]:
    """Per kind: how far its reading got, how many objects, and what was in the way."""
    if facts.snapshot is None:
        return {}
    return {
        kind: {
            "reading": listing.reading.value,
            "objects": len(listing.items),
            **({"error": listing.error} if listing.error else {}),
        }
        for kind, listing in facts.snapshot.listings.items()
    }


def objects_of(facts: Facts) -> dict[str, dict[str, int]]:
    """Per NetBox model: objects created, updated, marked, deleted and refused by NetBox's own answers, and unchanged,
    held, stale (gone from the fabric) and waiting (marked before, and not to be deleted yet)."""
    counts: dict[str, dict[str, int]] = {}

    def add(model: str, name: str, count: int) -> None:
        if count:
            row = counts.setdefault(model, {})
            row[name] = row.get(name, 0) + count

    if facts.plan is not None:
        for model, count in facts.plan.unchanged.items():
            add(model, "unchanged", count)
        held = [*(update.model for update in facts.plan.held), *(s.model for h in facts.plan.holds for s in h.stale)]
        waiting = [stale.model for stale in (*facts.plan.waiting, *facts.plan.later)]
        stale = [stale.model for stale in facts.plan.stale]
        for name, models in (("held", held), ("waiting", waiting), ("stale", stale)):
            for model in models:
                add(model, name, 1)
    if facts.applied is not None:
        for verb in WRITTEN:
            for model, count in getattr(facts.applied, verb).items():
                add(model, verb, count)
        for refused in facts.applied.refused:
            add(refused.model, "refused", 1)
    return counts
