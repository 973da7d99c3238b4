"""Pure: a plan that somebody agreed to. What is left of it after a run that was cut off, and how the world moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from functions.operations import Operation
from functions.places import untangled
from functions.plan import Create, Delete, Plan, Update
from functions.waves import parts


@dataclass(frozen=True, slots=True)
class Moved:
    """How another plan differs from the one that was shown: operations as `<verb> <model> <key>`."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """The differences as JSON."""
        return {"new": list(self.new), "gone": list(self.gone), "changed": list(self.changed)}


def moved(shown: Mapping[str, str], now: Mapping[str, str]) -> Moved:
    """What differs between the `operations` of the plan that was shown and those of the plan now."""
    return Moved(
        new=tuple(sorted(now.keys() - shown.keys())),
        gone=tuple(sorted(shown.keys() - now.keys())),
        changed=tuple(sorted(op for op in now.keys() & shown.keys() if now[op] != shown[op])),
    )


def rest(plan: Plan, settled: Iterable[Operation]) -> Plan:
    """The plan that the next run will make when nothing else changes: `plan` without what is `settled`.

    Of an object that was written in parts, the parts that are still to come are left; one that has made way for
    another is found where it stepped aside to.
    """
    settled = tuple(settled)
    done = {_part(op) for op in settled if not (isinstance(op, Update) and op.aside)}
    aside = {(op.model, op.key): op for op in settled if isinstance(op, Update) and op.aside}
    updates_now = (
        _as_found(back, aside[op.model, op.key]) if (op.model, op.key) in aside else op
        for op, back in zip(plan.updates, untangled(plan.updates)[1], strict=True)
    )
    left = [op for _, op in parts(replace(plan, updates=tuple(updates_now))) if _part(op) not in done]
    creates = tuple(op for op in left if isinstance(op, Create))
    new = {(op.model, op.key) for op in creates}
    updates: dict[tuple[str, str], Update] = {}
    for op in left:
        at = (op.model, op.key)
        if isinstance(op, Update) and at not in new:
            updates[at] = _joined(updates[at], op) if at in updates else replace(op, extra=False)
    return replace(
        plan,
        creates=creates,
        updates=tuple(updates.values()),
        stale=tuple(s for s in plan.stale if (Delete, s.model, s.key, False, False) not in done),
        marks=tuple(mark for mark in plan.marks if _part(mark) not in done),
        deletes=tuple(delete for delete in plan.deletes if _part(delete) not in done),
    )


def _part(op: Operation) -> tuple[type, str, str, bool, bool]:
    extra, mark = (op.extra, op.mark) if isinstance(op, Update) else (False, False)
    return type(op), op.model, op.key, extra, mark


def _as_found(op: Update, aside: Update) -> Update:
    """The update of an object that has stepped aside, from the values that it has there."""
    there = {change.field: change.after for change in aside.changes}
    return replace(op, changes=tuple(replace(c, before=there.get(c.field, c.before)) for c in op.changes))


def _joined(one: Update, other: Update) -> Update:
    tags = one.tags if other.tags is None else other.tags
    return replace(one, changes=(*one.changes, *other.changes), tags=tags, extra=False)
