"""Pure: the records a fabric wants and the objects NetBox holds in, the plan of differences out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from functions.actual import Actual, Existing
from functions.drift import direction
from functions.fields import APPLIED, HOLD_TAG, own_tag
from functions.places import letting_go
from functions.plan import Change, Create, Plan, Stale, Update
from functions.records import MODELS, Record, Ref, Shape
from functions.rows import NOTHING, comparable, identity


def compare(
    records: Iterable[Record],
    actual: Actual,
    fabric: str,
    complete: frozenset[str],
    *,
    unseen: frozenset[str] = frozenset(),
    reuse: bool = True,
) -> Plan:
    """The plan that makes NetBox hold `records` of `fabric`.

    `complete` names the models whose records are all there: only of these can an object be stale, and only if its
    key does not name a kind that was `unseen` in this run. An object that
    lost its key but is the same by nature (its name on its device, its two ends) is the same object with a new key;
    `actual.ids` then knows it by both. With `reuse`, a cable that the fabric no longer has becomes the new one on
    one of its ports, since NetBox takes one cable on a port.
    """
    order = {name: at for at, name in enumerate(MODELS)}
    wanted = sorted(records, key=lambda record: order[record.model])
    found, orphans = _matched(wanted, actual, complete, unseen, reuse=reuse)
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
            held.append(Update(record, existing.id, changes, tags, existing.tags))
        else:
            last = existing.custom.get(APPLIED) or {}
            updates.append(Update(record, existing.id, changes, tags, existing.tags, last=last))
    stale = tuple(
        Stale(name, key, existing.id)
        for name, objects in orphans.items()
        if name in complete
        for key, existing in objects.items()
    )
    first = letting_go(updates, actual.owned.get("device", {}))
    return Plan(tuple(creates), tuple(updates), tuple(held), stale, dict(unchanged), first=first)


def _matched(
    wanted: Iterable[Record], actual: Actual, complete: frozenset[str], unseen: frozenset[str], *, reuse: bool
) -> tuple[dict[Ref, Existing], dict[str, dict[str, Existing]]]:
    """The owned objects that records are about, by key or else by nature, and by model those no record is about.

    All are matched before any is compared: a record that refers to another must find it under its new key. `wanted`
    is in the order of `MODELS`, since the nature of a port holds its device.
    """
    wanted = tuple(wanted)
    keys = {(record.model, record.key) for record in wanted}
    orphans = {
        name: {
            key: existing for key, existing in objects.items() if (name, key) not in keys and kind_of(key) not in unseen
        }
        for name, objects in actual.owned.items()
    }
    by_nature = {
        name: {nature(name, existing.values): key for key, existing in objects.items()}
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
            key = by_nature.get(record.model, {}).pop(wanted_nature(record, actual.ids), None)
            if key is None:
                continue
            existing = orphans[record.model].pop(key)
            actual.ids[Ref(record.model, record.key)] = existing.id
        found[Ref(record.model, record.key)] = existing
    if reuse and "cable" in complete:
        new = [record for record in wanted if record.model == "cable" and Ref("cable", record.key) not in found]
        found |= _reused(new, orphans.get("cable", {}), actual.ids)
    return found, orphans


def kind_of(key: str) -> str:
    """The kind of the fabric's object behind a key `<fabric>/<Kind>/<namespace>/<name>#<part>`."""
    return key.partition("/")[2].partition("/")[0]


def _reused(new: Iterable[Record], orphans: dict[str, Existing], ids: dict[Ref, int]) -> dict[Ref, Existing]:
    """The orphaned cables that become new ones, taken from `orphans`: of those on the same ports the nearest."""
    by_port: dict[int, set[str]] = {}
    for key, existing in orphans.items():
        if HOLD_TAG not in existing.tags:
            for port in ends_of(existing.values):
                by_port.setdefault(port, set()).add(key)
    found: dict[Ref, Existing] = {}
    for record in sorted(new, key=lambda record: record.key):
        near = Counter(key for port in wanted_ends(record, ids) for key in by_port.get(port, ()) if key in orphans)
        if near:
            ref, key = Ref("cable", record.key), min(near, key=lambda key: (-near[key], key))
            found[ref] = orphans.pop(key)
            ids[ref] = found[ref].id
    return found


def ends_of(values: Mapping[str, Any]) -> frozenset[int]:
    """The ports on either end of a cable as NetBox holds it, by id."""
    return frozenset(port for name in MODELS["cable"].natural for port in values.get(name, ()))


def wanted_ends(record: Record, ids: Mapping[Ref, int]) -> frozenset[int]:
    """The ports on either end of a wanted cable, by id; those that are still to be made are left out."""
    values = [comparable(record.fields.get(name), Shape.ENDS, ids) for name in MODELS["cable"].natural]
    return frozenset(port for value in values for port in value if isinstance(port, int))


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
        if (record.model, name) == ("device", "cluster") and _elsewhere(record, existing, ids):
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


def _elsewhere(record: Record, existing: Existing, ids: Mapping[Ref, int]) -> bool:
    """Whether people have moved a device to another site, where NetBox refuses the fabric's cluster for it."""
    site = record.fields.get("site")
    return isinstance(site, Ref) and existing.values.get("site") != ids.get(site)


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


def nature(model: str, values: Mapping[str, Any]) -> Any:
    """What an object is by itself, whatever its key: the values of its model's natural fields."""
    natural = tuple(values.get(name) for name in MODELS[model].natural)
    ends = any(MODELS[model].fields[name].shape is Shape.ENDS for name in MODELS[model].natural)
    return frozenset(natural) if ends else natural


def wanted_nature(record: Record, ids: Mapping[Ref, int]) -> Any:
    """The nature of the object that a record wants."""
    fields = MODELS[record.model].fields
    values = {name: comparable(value, fields[name].shape, ids) for name, value in record.fields.items()}
    return nature(record.model, values)
