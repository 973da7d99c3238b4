"""Pure: what the rows of NetBox's change log mean for a fabric: which of its units somebody may have moved.

Sound because NetBox writes a row for every change of an object that comes by its API, its pages and its own cascades
(a deleted VLAN's ports have rows of their own), and because what a fabric's objects are compared by stands on these
objects alone. What stands elsewhere is judged by its type: shared objects by their natural key, the custom fields
and tags as such. What comes past the log (SQL, `bulk_update` in a script) is found by the next full comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.fields import KEY, MEMORY, NAME
from functions.memory import unit_of
from functions.records import BY_CONTENT_TYPE, MODELS, Record, Ref
from functions.rows import references

CLUSTERS: Final = "virtualization.cluster"
"""Written by every run; what of it matters is in the digest of the fabric's settings, and is read by every run."""

SCHEMA: Final = frozenset({"extras.customfield", "extras.customfieldchoiceset"})
"""Types whose changes reach into objects without a row for each of them."""

LOOKED_INTO: Final = (BY_CONTENT_TYPE.keys() | SCHEMA) - {CLUSTERS}
"""The types of objects whose changes may concern a fabric."""

_MERGED: Final = frozenset({"asn", "config_context"})
"""Models without a key of ours of which fields are compared: one such object can be looked at by itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the change log; `before` and `after` are the object's data, empty where that is not looked into."""

    id: int
    type: str
    object: int
    action: str
    request: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    def concerns(self, fabric: str, wanted: Collection[Ref] | None = None) -> bool:
        """Whether it may be a change of an object of `fabric`, or of one of the `wanted` shared and named objects; of
        any of these where it is not known which are wanted."""
        if self._is_memory:
            return False
        shared = bool(self._refs) if wanted is None else not self._refs.isdisjoint(wanted)
        return bool(self._keys(fabric)) or self._of_all or shared

    @property
    def _is_memory(self) -> bool:
        """Whether it wrote a fabric's memory and nothing else: that is read, and doubted, by every run."""
        customs = [_mapping(data.get("custom_fields")) for data in (self.before, self.after)]
        before, after = (
            {**data, "custom_fields": {**custom, MEMORY: None}}
            for data, custom in zip((self.before, self.after), customs, strict=True)
        )
        return self.action == "update" and before == after and customs[0].get(MEMORY) != customs[1].get(MEMORY)

    @property
    def _of_all(self) -> bool:
        return self.type in SCHEMA and self.action != "create"

    @property
    def _refs(self) -> frozenset[Ref]:
        name = BY_CONTENT_TYPE.get(self.type)
        if name is None or not (MODELS[name].shared or MODELS[name].named):
            return frozenset()
        natural = MODELS[name].natural[0]
        return frozenset(Ref(name, str(data[natural])) for data in (self.before, self.after) if natural in data)

    def _keys(self, fabric: str) -> frozenset[str]:
        """The keys of the fabric's object before and after the change."""
        both = [_mapping(data.get("custom_fields")) for data in (self.before, self.after)]
        if all(custom.get(NAME) != fabric for custom in both):
            return frozenset()
        return frozenset(str(custom.get(KEY) or "") for custom in both)


@dataclass(frozen=True, slots=True)
class Moved:
    """What the log says moved: units to be looked at, each with the models that moved, or `all_of_it`, why nothing less
    than everything will do."""

    units: Mapping[str, frozenset[str]] = field(default_factory=dict)
    all_of_it: str | None = None


def moved(entries: Iterable[Entry], fabric: str, wanted: Collection[Ref], records: Iterable[Record]) -> Moved:
    """What of `fabric` may be another by the log's `entries`; `wanted` are the shared and named objects it refers to.

    With an object that was deleted, those that refer to it are looked at too: NetBox empties their references.
    """
    touched: dict[str, set[str]] = {}
    gone: set[str] = set()
    for entry in entries:
        if not entry.concerns(fabric, wanted):
            continue
        model = BY_CONTENT_TYPE.get(entry.type)
        if model is None or (MODELS[model].shared and model not in _MERGED):
            return Moved(all_of_it=f"{entry.type} {entry.object} was changed ({entry.action}), and others depend on it")
        if MODELS[model].shared or MODELS[model].named:
            for ref in entry._refs & set(wanted):
                touched.setdefault(unit_of(ref.model, ref.key), set()).add(model)
            continue
        keys = {key for key in entry._keys(fabric) if key}
        if any(not key.startswith(f"{fabric}/") for key in keys) or not keys:
            return Moved(all_of_it=f"{entry.type} {entry.object} was given a key of its own")
        for key in keys:
            touched.setdefault(unit_of(model, key), set()).add(model)
        if entry.action != "update":
            gone |= {unit_of(model, key) for key in keys}
    for record in records if gone else ():
        if any(unit_of(ref.model, ref.key) in gone for ref in references(record)):
            touched.setdefault(unit_of(record.model, record.key), set()).add(record.model)
    return Moved({name: frozenset(models) for name, models in touched.items()})


def entry_of(row: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Entry:
    """The entry in a row of the change log, and `data`, the same row's contents where they were read."""
    action = row["action"]
    data = data or {}
    return Entry(
        id=row["id"],
        type=row["changed_object_type"],
        object=row["changed_object_id"],
        action=action["value"] if isinstance(action, Mapping) else str(action),
        request=str(row["request_id"]),
        before=_mapping(data.get("prechange_data")),
        after=_mapping(data.get("postchange_data")),
    )


def gaps(seen: Collection[int], after: int, to: int) -> list[int]:
    """The ids after `after` and up to `to` that no row had: never to be used, or of a transaction that is not over."""
    return [id_ for id_ in range(after + 1, to + 1) if id_ not in seen]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
