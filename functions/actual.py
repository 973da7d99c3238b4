"""What NetBox holds of a fabric, in the shape in which it can be compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.records import MODELS, Ref, Shape


@dataclass(frozen=True, slots=True)
class Existing:
    """One object in NetBox: its values in the shape in which compare wants them.

    References are NetBox ids, choices their values, a cable's ends frozensets of interface ids; `tags` are slugs.
    """

    id: int
    values: Mapping[str, Any]
    custom: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


@dataclass(slots=True)
class Actual:
    """Everything that was read, and the ids of all records that exist: `ids` grows as `apply` creates."""

    owned: dict[str, dict[str, Existing]]
    ids: dict[Ref, int]


def existing_of(
    model: str, row: Mapping[str, Any], ends: Mapping[int, Mapping[str, Collection[int]]] | None = None
) -> Existing:
    """An object as compare wants it, from a list or from the answer to a write.

    A cable's ends are taken from `ends`; without it, from the row's own terminations.
    """
    values: dict[str, Any] = {}
    for name, spec in MODELS[model].fields.items():
        value = row.get(name)
        if spec.shape is Shape.ENDS and ends is not None:
            value = frozenset(ends.get(row["id"], {}).get(name[0].upper(), ()))
        elif spec.shape is Shape.ENDS:
            value = frozenset(end["object_id"] for end in value or () if end["object_type"] == "dcim.interface")
        elif isinstance(value, dict):
            value = value["id"] if spec.shape is Shape.REF else value.get("value")
        values[name] = value
    tags = frozenset(tag["slug"] for tag in row.get("tags") or ())
    return Existing(row["id"], values, row.get("custom_fields") or {}, tags)
