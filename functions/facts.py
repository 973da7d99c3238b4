"""What a run got to, and what may be said of it: by what was read and answered, never by what was intended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.agreed import rest
from functions.applied import Applied
from functions.errors import Code, Problem
from functions.fields import RELEASE
from functions.mended import Mended
from functions.outcome import WRITTEN, Result
from functions.plan import Hold, Plan
from functions.putback import mended
from functions.snapshot import Reading, Snapshot

if TYPE_CHECKING:
    from functions.translate import Translation


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run got to: each step's result, None where it was not reached.

    `same`: the fabric says what it said when all that follows from it was confirmed, and was not translated again.
    """

    snapshot: Snapshot | None = None
    translation: Translation | None = None
    plan: Plan | None = None
    applied: Applied | None = None
    problem: Problem | None = None
    timed_out: bool = False
    skipped: str | None = None
    skip: str | None = None
    insecure_tls: bool = False
    same: bool = False

    @property
    def stalled(self) -> bool:
        """Whether there was something to write, and the deadline came before any write was confirmed."""
        return self.applied is not None and self.applied.cut and self.applied.written == 0


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
    understood = facts.translation is not None or facts.same
    if facts.snapshot is None or not understood or facts.plan is None or applied is None:
        return Result.FAILED, Problem(Code.INTERNAL, "the run ended before it was applied, and nothing says why"), ()
    reasons = (*gaps(facts.snapshot, facts.translation), *_left(facts.plan, applied))
    return (Result.INCOMPLETE if reasons else Result.SUCCEEDED), None, reasons


def gaps(snapshot: Snapshot, translation: Translation | None) -> list[str]:
    """What of the fabric could not be read, and what of it could not be translated; only what was without a gap is
    known again without a translation."""
    unread = [
        f"{listing.kind} could not be read: {listing.error}"
        for listing in snapshot.listings.values()
        if listing.reading is Reading.UNREAD and not listing.optional
    ]
    return unread + [f"{issue.source}: {issue.text}" for issue in (translation.issues if translation else ())]


def _left(plan: Plan, applied: Applied) -> list[str]:
    reasons = [f"{refused.model} {refused.key} was refused: {refused.text}" for refused in applied.refused]
    reasons += [f"{held.record.model} {held.record.key} differs and is held by its tag" for held in plan.held]
    reasons += [told(hold) for hold in plan.holds]
    reasons += [
        f"{stale.model} {stale.key} is no longer in the fabric, and nothing was decided" for stale in plan.undecided
    ]
    if plan.more:
        reasons.append(f"{plan.more} objects of the fabric were not compared")
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
