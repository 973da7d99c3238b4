"""Pure: the operations of a plan in the order in which NetBox can take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from functions.operations import Operation
from functions.places import untangled
from functions.plan import Change, Create, Delete, Plan, Update
from functions.records import MODELS, Record, Ref
from functions.rows import references


class _Stage(IntEnum):
    """The parts of a run, in their order."""

    CLEARING = 0  # what is in the way of the rest goes
    WRITING = 1  # models in the order of `MODELS`
    LATE = 2  # fields that refer to models further down the order
    MARKING = 3  # what is gone from the fabric is said to be
    DELETING = 4  # models in reverse, leaf first


_WAITING = frozenset({("interface", "mark_connected")})
"""Fields that may be set only when a port's cable has gone or moved elsewhere; cables come after ports."""


def waves(plan: Plan) -> list[list[Operation]]:
    """The plan's operations, alike ones together.

    Models go in the order of `MODELS`; inside a model, what refers to another new object of it goes one step later
    (a port after the LAG it joins). What changes goes before what is new: a cable may have to free a port first. And
    who holds what another is to have steps aside before that.
    Late fields (a device's primary address) come when what they refer to is there. Deletes go last of all and in
    reverse: parts before ports, members before LAGs, ports before devices; but first what is in the way.
    """
    order = {name: at for at, name in enumerate(MODELS)}
    new = {Ref(op.model, op.key): op.record for op in plan.creates}
    going = {(op.model, op.stale.id): op for op in plan.deletes}

    def depth(record: Record) -> int:
        alike = [new[ref] for ref in references(record, late=False) if ref.model == record.model and ref in new]
        return 1 + max(map(depth, alike)) if alike else 0

    def height(op: Delete) -> int:
        alike = [going[each] for each in op.after if each[0] == op.model and each in going]
        return 1 + max(map(height, alike)) if alike else 0

    grouped: dict[tuple[_Stage, int, int, bool], list[Operation]] = {}
    aside, updates = untangled(plan.updates)
    for first in (*plan.first, *aside):
        grouped.setdefault((_Stage.WRITING, order[first.model], -1, False), []).append(first)
    for late, op in parts(replace(plan, updates=updates)):
        stage = _Stage.LATE if late else _Stage.WRITING
        at = (stage, order[op.model], 0 if late else depth(op.record), isinstance(op, Create))
        grouped.setdefault(at, []).append(op)
    for mark in plan.marks:
        grouped.setdefault((_Stage.MARKING, order[mark.model], 0, False), []).append(mark)
    for delete in plan.deletes:
        stage = _Stage.CLEARING if delete.first else _Stage.DELETING
        grouped.setdefault((stage, -order[delete.model], height(delete), False), []).append(delete)
    return [grouped[at] for at in sorted(grouped)]


def parts(plan: Plan) -> Iterator[tuple[bool, Create | Update]]:
    """Every operation, parted into what can go in its turn and what must wait (True) for later models."""
    for update in plan.updates:
        fields = MODELS[update.record.model].fields
        waiting = tuple(
            change
            for change in update.changes
            if (change.field in fields and fields[change.field].late)
            or (change.after and (update.model, change.field) in _WAITING)
        )
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
