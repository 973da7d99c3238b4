"""Pure: what an outcome tells of the objects that NetBox confirmed as updated: who had moved, what was put back, what
was adopted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.drift import Drift
from functions.fields import KEY, NAME, STALE_RUN, STALE_SINCE
from functions.plan import Change, Create, Delete, Update

MOST_OBJECTS: Final = 20
"""Objects told one by one; the rest is a count."""

_BY_PEOPLE: Final = frozenset({Drift.NETBOX_EDITED, Drift.BOTH})
_OUR_MARKS: Final = frozenset({KEY, NAME, STALE_SINCE, STALE_RUN})
"""Custom fields that say whose an object is; of these nobody can tell who moved them."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """An object of which people had edited owned fields: field → who had moved it (`netbox_edited` or `both`)."""

    model: str
    key: str
    fields: Mapping[str, Drift]

    def as_dict(self) -> dict[str, Any]:
        """The object as JSON."""
        return {"model": self.model, "key": self.key, "fields": {name: str(d) for name, d in self.fields.items()}}


@dataclass(frozen=True, slots=True)
class Mended:
    """What the confirmed updates of a run came to. `drift` counts fields; `adopted` are (model, key)."""

    drift: Mapping[Drift, int] = field(default_factory=dict)
    put_back: tuple[PutBack, ...] = ()
    adopted: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The facts as they stand in an outcome: the first objects, and how many there are."""
        return {
            "drift": {drift.value: self.drift.get(drift, 0) for drift in Drift},
            "put_back": [one.as_dict() for one in self.put_back[:MOST_OBJECTS]],
            "put_back_total": len(self.put_back),
            "adopted": [{"model": model, "key": key} for model, key in self.adopted[:MOST_OBJECTS]],
            "adopted_total": len(self.adopted),
        }


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
