"""What NetBox holds of a fabric, in the shape in which it can be compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.records import MODELS, Ref, Shape


@dataclass(frozen=True, slots=True)
class Existing:
    """One object in NetBox: its values in the shape in which compare wants them.

    References are NetBox ids, lists of them and a cable's ends frozensets of ids, generic references pairs of
    (content type, id), choices their values; `tags` are slugs. `seen` is its `last_updated`, where that was read.
    """

    id: int
    values: Mapping[str, Any]
    custom: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    seen: str = ""


@dataclass(slots=True)
class Actual:
    """Everything that was read, and the ids of all records that exist: `ids` grows as `apply` creates.

    `shared` holds those shared objects of which a field of ours is merged into what is there.
    """

    owned: dict[str, dict[str, Existing]]
    ids: dict[Ref, int]
    shared: dict[Ref, Existing] = field(default_factory=dict)


type Ends = Mapping[int, Mapping[str, Collection[int]]]
"""What was read of the cables' ends beside the cables: cable id → "A" and "B" → interface ids."""


def existing_of(model: str, row: Mapping[str, Any], ends: Ends | None = None) -> Existing:
    """An object as compare wants it, from a list or from the answer to a write.

    A cable's ends are taken from `ends`; without it, from the row's own terminations.
    """
    values = {name: _value(name, spec.shape, row, ends) for name, spec in MODELS[model].fields.items()}
    # Config contexts answer tags as slugs, everything else as nested objects.
    tags = frozenset(tag["slug"] if isinstance(tag, Mapping) else str(tag) for tag in row.get("tags") or ())
    return Existing(row["id"], values, row.get("custom_fields") or {}, tags, row.get("last_updated") or "")


def _value(name: str, shape: Shape, row: Mapping[str, Any], ends: Ends | None) -> Any:
    value = row.get(name)
    if shape is Shape.ENDS:
        if ends is not None:
            return frozenset(ends.get(row["id"], {}).get(name[0].upper(), ()))
        return frozenset(end["object_id"] for end in value or () if end["object_type"] == "dcim.interface")
    if shape is Shape.GENERIC:
        type_, id_ = row.get(f"{name}_type"), row.get(f"{name}_id")
        return (type_, id_) if type_ and id_ else None
    if shape is Shape.REFS:
        return frozenset(item["id"] for item in value or ())
    if shape is Shape.REF:
        return value["id"] if isinstance(value, Mapping) else value
    if shape is Shape.CHOICE:
        return value.get("value") if isinstance(value, Mapping) else value
    return value
