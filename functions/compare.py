"""Pure: the records a fabric wants and the objects NetBox holds in, the plan of differences out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from functions.actual import Actual, Existing
from functions.drift import Drift, direction
from functions.fields import APPLIED, HOLD_TAG, KEY, own_tag
from functions.records import MODELS, Record, Ref, Shape
from functions.rows import NOTHING, comparable, identity


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one object, from what NetBox holds to what the fabric wants, and who moved."""

    field: str
    before: Any
    after: Any
    drift: Drift = Drift.UNKNOWN


@dataclass(frozen=True, slots=True)
class Create:
    """An object that NetBox does not hold yet."""

    record: Record


@dataclass(frozen=True, slots=True)
class Update:
    """An object whose owned fields differ. `tags` is the whole merged set when tags change, else None.

    `id` is None for an object that is made in the same run; `extra` parts finish what another operation counts.
    `last` is the note of what was last applied to it.
    """

    record: Record
    id: int | None
    changes: tuple[Change, ...]
    tags: frozenset[str] | None = None
    extra: bool = False
    last: Mapping[str, str] = field(default_factory=dict)

    @property
    def adopts(self) -> bool:
        """Whether the object was nobody's before: it gets our key by this."""
        return any(change.field == KEY and not change.before for change in self.changes)


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
            *(["create", c.record.model, c.record.key, _plain(c.record), sorted(c.record.tags)] for c in self.creates),
            *(["update", u.record.model, u.record.key, _changed(u), sorted(u.tags or ())] for u in self.updates),
            *(["stale", s.model, s.key] for s in self.stale),
        ]
        text = json.dumps(sorted(ops, key=lambda op: op[:3]), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(record: Record) -> dict[str, str]:
    """What a record wants, as texts without NetBox's ids; references stay references."""
    fields = {name: sorted(value) if isinstance(value, tuple) else value for name, value in record.fields.items()}
    return {name: str(value) for name, value in {**record.custom, **fields}.items()}


def _changed(update: Update) -> dict[str, str]:
    wanted = _plain(update.record)
    return {change.field: wanted.get(change.field, str(change.after)) for change in update.changes}


def compare(records: Iterable[Record], actual: Actual, fabric: str, complete: frozenset[str]) -> Plan:
    """The plan that makes NetBox hold `records` of `fabric`.

    `complete` names the models whose records are all there: only of these can an object be stale. An object that
    lost its key but is the same by nature (its name on its device, its two ends) is the same object with a new key;
    `actual.ids` then knows it by both.
    """
    order = {name: at for at, name in enumerate(MODELS)}
    wanted = sorted(records, key=lambda record: order[record.model])
    found, orphans = _matched(wanted, actual, complete)
    creates: list[Create] = []
    updates: list[Update] = []
    held: list[Update] = []
    unchanged: Counter[str] = Counter()
    for record in wanted:
        ref = Ref(record.model, record.key)
        existing = found.get(ref)
        if existing is None and not (MODELS[record.model].shared and ref in actual.ids):
            creates.append(Create(record))
            continue
        changes = _directed(record, existing, actual.ids, fabric) if existing else ()
        tags = merged_tags(record, existing, fabric) if existing else None
        if existing is None or (not changes and tags is None):
            unchanged[record.model] += 1
        elif HOLD_TAG in existing.tags:
            held.append(Update(record, existing.id, changes, tags))
        else:
            updates.append(Update(record, existing.id, changes, tags, last=existing.custom.get(APPLIED) or {}))
    stale = tuple(
        Stale(name, key, existing.id)
        for name, objects in orphans.items()
        if name in complete
        for key, existing in objects.items()
    )
    return Plan(tuple(creates), tuple(updates), tuple(held), stale, dict(unchanged))


def _matched(
    wanted: Iterable[Record], actual: Actual, complete: frozenset[str]
) -> tuple[dict[Ref, Existing], dict[str, dict[str, Existing]]]:
    """The owned objects that records are about, by key or else by nature, and by model those no record is about.

    All are matched before any is compared: a record that refers to another must find it under its new key. `wanted`
    is in the order of `MODELS`, since the nature of a port holds its device.
    """
    wanted = tuple(wanted)
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
    found: dict[Ref, Existing] = {}
    for record in wanted:
        if MODELS[record.model].shared:
            if shared := actual.shared.get(Ref(record.model, record.key)):
                found[Ref(record.model, record.key)] = shared
            continue
        existing = actual.owned.get(record.model, {}).get(record.key)
        if existing is None:
            key = by_nature.get(record.model, {}).pop(_wanted_nature(record, actual.ids), None)
            if key is None:
                continue
            existing = orphans[record.model].pop(key)
            actual.ids[Ref(record.model, record.key)] = existing.id
        found[Ref(record.model, record.key)] = existing
    return found, orphans


def _directed(record: Record, existing: Existing, ids: Mapping[Ref, int], fabric: str) -> tuple[Change, ...]:
    """The differences of an object, each with who moved."""
    last, fields = existing.custom.get(APPLIED), MODELS[record.model].fields
    return tuple(
        replace(
            change,
            drift=direction(
                last,
                change.field,
                fields[change.field].shape if change.field in fields else Shape.JSON,
                change.before,
                change.after,
                ids,
            ),
        )
        for change in differences(record, existing, ids, fabric)
    )


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
        if spec.shape is Shape.ENDS or (spec.once and not created) or (_shared(record) and not spec.merged):
            continue
        before, after = existing.values.get(name), comparable(value, spec.shape, ids)
        if spec.merged:
            after = before | after
        elif spec.shape is Shape.OWN_KEYS:
            after = {**(before or {}), **after}
        if not _same(before, after):
            changes.append(Change(name, before, after))
    changes += _different_ends(record, existing, ids)
    for name, value in identity(record, fabric).items():
        before = existing.custom.get(name)
        if not _same(before, value):
            changes.append(Change(name, before, value))
    return tuple(changes)


def _shared(record: Record) -> bool:
    return MODELS[record.model].shared


def _same(before: Any, after: Any) -> bool:
    """Whether two values mean the same: NetBox has both an empty string and null for nothing."""
    return bool(before == after) or (before in NOTHING and after in NOTHING)


def _different_ends(record: Record, existing: Existing, ids: Mapping[Ref, int]) -> list[Change]:
    names = [name for name, spec in MODELS[record.model].fields.items() if spec.shape is Shape.ENDS]
    before = {name: existing.values.get(name, frozenset()) for name in names}
    after = {name: comparable(record.fields[name], Shape.ENDS, ids) for name in names if name in record.fields}
    if not after or frozenset(before.values()) == frozenset(after.values()):
        return []
    return [Change(name, before[name], after[name]) for name in after if before[name] != after[name]]


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
    fields = MODELS[record.model].fields
    values = {name: comparable(value, fields[name].shape, ids) for name, value in record.fields.items()}
    return _nature(record.model, values)
