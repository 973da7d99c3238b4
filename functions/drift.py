"""Pure: the third side of a comparison. What was last applied, field by field, tells who moved: fabric or people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from functions.records import MODELS, Record, Ref, Shape
from functions.rows import comparable, plain_json


class Drift(StrEnum):
    """Who moved, when a field is not what the fabric wants."""

    FABRIC_MOVED = "fabric_moved"  # NetBox holds what was last applied: the fabric wants something else now
    NETBOX_EDITED = "netbox_edited"  # the fabric wants what was last applied: somebody edited NetBox
    BOTH = "both"  # neither side is what was last applied
    UNKNOWN = "unknown"  # nothing is noted of the field: it was never applied, or is newly mapped


def applied(record: Record, ids: Mapping[Ref, int]) -> dict[str, str]:
    """The note of what a record wants, to be kept with its object: owned field → 6 hexadecimal digits of its value."""
    model = MODELS[record.model]
    noted = {
        name: note(model.fields[name].shape, value, ids)
        for name, value in record.fields.items()
        if _noted(record, name)
    }
    return noted | {name: note(Shape.JSON, value, ids) for name, value in record.custom.items()}


def _noted(record: Record, name: str) -> bool:
    spec = MODELS[record.model].fields[name]
    return not (spec.once or spec.late or spec.merged or spec.shape in (Shape.OWN_KEYS, Shape.ENDS))


def note(shape: Shape, value: Any, ids: Mapping[Ref, int]) -> str:
    """One value's note; what NetBox holds and what a record wants have the same note when they mean the same."""
    plain = comparable(value, shape, ids)
    plain = sorted(plain, key=str) if isinstance(plain, frozenset) else plain_json(plain)
    text = json.dumps(None if plain in ("", []) else plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def direction(last: object, field: str, shape: Shape, before: Any, after: Any, ids: Mapping[Ref, int]) -> Drift:
    """Who moved a field from what NetBox holds (`before`) and what the fabric wants (`after`); `last` is the note."""
    noted = last.get(field) if isinstance(last, Mapping) else None
    if not isinstance(noted, str):
        return Drift.UNKNOWN
    if note(shape, before, ids) == noted:
        return Drift.FABRIC_MOVED
    return Drift.NETBOX_EDITED if note(shape, after, ids) == noted else Drift.BOTH
