"""Pure: the operations of a plan in the order in which NetBox can take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from functions.plan import Change, Create, Plan, Update
from functions.records import MODELS, Record, Ref
from functions.rows import references

type Operation = Create | Update


def waves(plan: Plan) -> list[list[Operation]]:
    """The plan's operations, alike ones together.

    Models go in the order of `MODELS`; inside a model, what refers to another new object of it goes one step later
    (a port after the LAG it joins). What changes goes before what is new: a cable may have to free a port first.
    Late fields (a device's primary address) come last of all, when what they refer to is there.
    """
    order = {name: at for at, name in enumerate(MODELS)}
    new = {Ref(op.record.model, op.record.key): op.record for op in plan.creates}

    def depth(record: Record) -> int:
        alike = [new[ref] for ref in references(record, late=False) if ref.model == record.model and ref in new]
        return 1 + max(map(depth, alike)) if alike else 0

    grouped: dict[tuple[bool, int, int, bool], list[Operation]] = {}
    for late, op in _parts(plan):
        at = (late, order[op.record.model], 0 if late else depth(op.record), isinstance(op, Create))
        grouped.setdefault(at, []).append(op)
    return [grouped[at] for at in sorted(grouped)]


def _parts(plan: Plan) -> Iterator[tuple[bool, Operation]]:
    """Every operation, parted into what can go in its turn and what must wait (True) for later models."""
    for update in plan.updates:
        fields = MODELS[update.record.model].fields
        waiting = tuple(c for c in update.changes if c.field in fields and fields[c.field].late)
        if not waiting:
            yield False, update
        elif len(waiting) == len(update.changes) and update.tags is None:
            yield True, update
        else:
            yield False, replace(update, changes=tuple(c for c in update.changes if c not in waiting))
            yield True, replace(update, changes=waiting, tags=None, extra=True)
    for create in plan.creates:
        yield False, create
        record = create.record
        fields = MODELS[record.model].fields
        waiting = tuple(
            Change(name, None, value) for name, value in record.fields.items() if fields[name].late and value
        )
        if waiting:
            yield True, Update(record, None, waiting, extra=True)
