"""Pure: the records a fabric wants and the objects NetBox holds in, the plan of differences out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.actual import Actual, Existing
from functions.fields import HOLD_TAG, KEY, NAME, own_tag
from functions.records import MODELS, Record, Ref, Shape


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one object, from what NetBox holds to what the fabric wants."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Create:
    """An object that NetBox does not hold yet."""

    record: Record


@dataclass(frozen=True, slots=True)
class Update:
    """An object whose owned fields differ. `tags` is the whole merged set when tags change, else None."""

    record: Record
    id: int
    changes: tuple[Change, ...]
    tags: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Stale:
    """An object of ours that the fabric no longer has, by a complete reading."""

    model: str
    key: str
    id: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands between NetBox and the fabric. `held` objects differ, but carry the tag that forbids a change."""

    creates: tuple[Create, ...] = ()
    updates: tuple[Update, ...] = ()
    held: tuple[Update, ...] = ()
    stale: tuple[Stale, ...] = ()
    unchanged: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many objects would be written."""
        return len(self.creates) + len(self.updates)

    @property
    def digest(self) -> str:
        """Identifies the plan by what it does, not by NetBox's ids: 16 hexadecimal digits."""
        ops = [
            *(["create", c.record.model, c.record.key, _plain(c.record.fields), c.record.custom] for c in self.creates),
            *(["update", u.record.model, u.record.key, [[c.field, c.after] for c in u.changes]] for u in self.updates),
            *(["stale", s.model, s.key] for s in self.stale),
        ]
        text = json.dumps(sorted(ops, key=lambda op: op[:3]), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


def compare(records: Iterable[Record], actual: Actual, fabric: str, complete: frozenset[str]) -> Plan:
    """The plan that makes NetBox hold `records` of `fabric`.

    `complete` names the models whose records are all there: only of these can an object be stale. An object that
    lost its key but is the same by nature (its name on its device, its two ends) is the same object with a new key.
    """
    wanted = tuple(records)
    keys = {(record.model, record.key) for record in wanted}
    orphans = {
        name: {key: existing for key, existing in objects.items() if (name, key) not in keys}
        for name, objects in actual.owned.items()
    }
    by_nature = {
        name: {_nature(name, existing.values): key for key, existing in objects.items()}
        for name, objects in orphans.items()
        if name in complete
    }
    creates: list[Create] = []
    updates: list[Update] = []
    held: list[Update] = []
    unchanged: Counter[str] = Counter()
    for record in wanted:
        if MODELS[record.model].shared:
            if Ref(record.model, record.key) in actual.ids:
                unchanged[record.model] += 1
            else:
                creates.append(Create(record))
            continue
        existing = actual.owned.get(record.model, {}).get(record.key)
        if existing is None:
            key = by_nature.get(record.model, {}).pop(_wanted_nature(record, actual.ids), None)
            existing = orphans[record.model].pop(key) if key is not None else None
            if existing is not None:
                # Records that refer to this one must find it under the key it is about to get.
                actual.ids[Ref(record.model, record.key)] = existing.id
        if existing is None:
            creates.append(Create(record))
            continue
        changes = differences(record, existing, actual.ids, fabric)
        tags = merged_tags(record, existing, fabric)
        if not changes and tags is None:
            unchanged[record.model] += 1
        elif HOLD_TAG in existing.tags:
            held.append(Update(record, existing.id, changes, tags))
        else:
            updates.append(Update(record, existing.id, changes, tags))
    stale = tuple(
        Stale(name, key, existing.id)
        for name, objects in orphans.items()
        if name in complete
        for key, existing in objects.items()
    )
    return Plan(tuple(creates), tuple(updates), tuple(held), stale, dict(unchanged))


def differences(
    record: Record, existing: Existing, ids: Mapping[Ref, int], fabric: str, *, created: bool = False
) -> tuple[Change, ...]:
    """The owned fields in which an object is not what its record wants.

    With `created` the fields that are set once count too: the answer to a create is held against all that was sent.
    A reference to a record that has no id yet is a difference. A cable is the same whichever end is called A.
    """
    changes = []
    for name, value in record.fields.items():
        spec = MODELS[record.model].fields[name]
        if (spec.once and not created) or spec.shape is Shape.ENDS:
            continue
        before, after = existing.values.get(name), resolved(value, ids)
        if not _same(before, after):
            changes.append(Change(name, before, after))
    changes += _different_ends(record, existing, ids)
    for name, value in {KEY: record.key, NAME: fabric, **record.custom}.items():
        before = existing.custom.get(name)
        if not _same(before, value):
            changes.append(Change(name, before, value))
    return tuple(changes)


def _same(before: Any, after: Any) -> bool:
    """Whether two values mean the same: NetBox has both an empty string and null for nothing."""
    return bool(before == after) or (before in (None, "") and after in (None, ""))


def _different_ends(record: Record, existing: Existing, ids: Mapping[Ref, int]) -> list[Change]:
    names = [name for name, spec in MODELS[record.model].fields.items() if spec.shape is Shape.ENDS]
    before = {name: existing.values.get(name, frozenset()) for name in names}
    after = {name: resolved(record.fields[name], ids) for name in names if name in record.fields}
    if not after or frozenset(before.values()) == frozenset(after.values()):
        return []
    return [Change(name, before[name], after[name]) for name in after if before[name] != after[name]]


def resolved(value: Any, ids: Mapping[Ref, int]) -> Any:
    """A record's value with every reference as NetBox's id; one that has none yet stays a reference."""
    if isinstance(value, Ref):
        return ids.get(value, value)
    if isinstance(value, tuple):
        return frozenset(ids.get(ref, ref) for ref in value)
    return value


def merged_tags(record: Record, existing: Existing, fabric: str) -> frozenset[str] | None:
    """The tags that the object must get, or None when it has them: ours that are wanted, and all of other people's."""
    kept = frozenset(tag for tag in existing.tags if not own_tag(tag, fabric))
    tags = kept | record.tags
    return None if tags == existing.tags else tags


def _nature(model: str, values: Mapping[str, Any]) -> Any:
    natural = tuple(values.get(name) for name in MODELS[model].natural)
    ends = any(MODELS[model].fields[name].shape is Shape.ENDS for name in MODELS[model].natural)
    return frozenset(natural) if ends else natural


def _wanted_nature(record: Record, ids: Mapping[Ref, int]) -> Any:
    return _nature(record.model, {name: resolved(value, ids) for name, value in record.fields.items()})
