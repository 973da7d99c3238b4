"""Pure: what one operation of a plan needs, what it writes, and what it counts as."""

from __future__ import annotations

from collections.abc import Iterator

from functions.fields import KEY, NAME
from functions.plan import Create, Delete, Update
from functions.records import MODELS, Ref
from functions.rows import references, refs_in

type Operation = Create | Update | Delete


def verb_of(op: Operation) -> str:
    """`create`, `update` or `delete`."""
    if isinstance(op, Delete):
        return "delete"
    return "create" if isinstance(op, Create) else "update"


def needs(op: Create | Update) -> Iterator[Ref]:
    """What must exist before the operation can be sent."""
    if isinstance(op, Create):
        yield from references(op.record, late=False)
        return
    if op.id is None:
        yield Ref(op.record.model, op.record.key)
    for change in op.changes:
        yield from refs_in(change.after)
    for slug in sorted(op.record.tags if op.tags is not None else ()):
        yield Ref("tag", slug)


def fields_of(op: Create | Update) -> set[str]:
    """The fields and custom fields that the operation writes."""
    if isinstance(op, Update):
        return {change.field for change in op.changes}
    fields = MODELS[op.record.model].fields
    return {name for name in op.record.fields if not fields[name].late} | {KEY, NAME, *op.record.custom}


def is_extra(op: Operation) -> bool:
    """Whether the operation finishes what another one counts."""
    return isinstance(op, Update) and op.extra
