"""Pure: who had moved the objects that NetBox confirmed as updated, what was put back, what was adopted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from functions.drift import Drift
from functions.fields import KEY, NAME, STALE_RUN, STALE_SINCE
from functions.mended import Mended, PutBack
from functions.plan import Change, Create, Delete, Update

_BY_PEOPLE: Final = frozenset({Drift.NETBOX_EDITED, Drift.BOTH})
_OUR_MARKS: Final = frozenset({KEY, NAME, STALE_SINCE, STALE_RUN})
"""Custom fields that say whose an object is; of these nobody can tell who moved them."""


def mended(confirmed: Iterable[Create | Update | Delete]) -> Mended:
    """What the operations that NetBox `confirmed` tell of the objects that were there before."""
    updates = [op for op in confirmed if isinstance(op, Update) and not (op.mark or op.aside) and op.id]
    drift = Counter(change.drift for op in updates for change in _owned(op))
    edited: dict[tuple[str, str], dict[str, Drift]] = {}
    for op in updates:
        for change in _owned(op):
            if change.drift in _BY_PEOPLE:
                edited.setdefault((op.model, op.key), {})[change.field] = change.drift
    return Mended(
        dict(drift),
        tuple(PutBack(model, key, fields) for (model, key), fields in sorted(edited.items())),
        tuple(sorted((op.model, op.key) for op in updates if op.adopts)),
    )


def _owned(op: Update) -> Iterator[Change]:
    return (change for change in op.changes if change.field not in _OUR_MARKS)
