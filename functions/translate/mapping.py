"""The translation of a fabric: which families there are, what each reads, and what holds of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from functions.fabric import Fabric
from functions.records import MODELS, Record, Ref, Value
from functions.snapshot import Snapshot
from functions.translate import cables, devices, interfaces
from functions.translate.issues import Code, Issue, Notes
from functions.translate.scene import Scene, scene


@dataclass(frozen=True, slots=True)
class Family:
    """One family of records.

    `kinds` are what it reads; `models` are those whose set of records depends on them: unless every kind is known
    in full, an object of these models that has no record may still be wanted.
    """

    translate: Callable[[Scene], Iterable[Record]]
    kinds: tuple[str, ...]
    models: tuple[str, ...]


_DEVICES = ("Switch", "Server", "Gateway", "SwitchProfile")

FAMILIES: tuple[Family, ...] = (
    Family(devices.translate, _DEVICES, ("device",)),
    Family(interfaces.translate, (*_DEVICES, "Connection", "Catalog"), ("interface",)),
    Family(cables.translate, (*_DEVICES, "Connection"), ("cable",)),
)
"""Every family, in the order in which records win when two would be one object in NetBox."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A fabric as NetBox records.

    `records` are unique by (model, key), in the order of `MODELS` and then by key. `issues` tell what could not be
    taken as it was. `complete` names the models whose records are all here, so that absences may be computed.
    """

    records: tuple[Record, ...]
    issues: tuple[Issue, ...]
    complete: frozenset[str]


def translate(snapshot: Snapshot, fabric: Fabric) -> Translation:
    """The records that `fabric` wants to see in NetBox for `snapshot`; pure, and never fails on what it reads."""
    view = scene(snapshot, fabric)
    drafts = (record for family in FAMILIES for record in family.translate(view))
    records = _unique(drafts, view.notes)
    records = list(_whole(records))
    order = {model: place for place, model in enumerate(MODELS)}
    records.sort(key=lambda record: (order[record.model], record.key))
    return Translation(tuple(records), tuple(sorted(view.notes.found)), _complete(snapshot, view.notes))


def _complete(snapshot: Snapshot, notes: Notes) -> frozenset[str]:
    blinded = notes.blinded()
    models = {model for family in FAMILIES for model in family.models}
    for family in FAMILIES:
        if not snapshot.known(*family.kinds) or not blinded.isdisjoint(family.kinds):
            models.difference_update(family.models)
    return frozenset(models)


def _unique(drafts: Iterable[Record], notes: Notes) -> list[Record]:
    """The first record of each identity and, among owned ones, of each natural key; shared ones repeat by design."""
    kept: dict[tuple[str, str], Record] = {}
    natural: set[tuple[str, tuple[object, ...]]] = set()
    for record in drafts:
        identity, model = (record.model, record.key), MODELS[record.model]
        if model.shared:
            kept.setdefault(identity, record)
            continue
        values = tuple(_folded(record.model, record.fields.get(field)) for field in model.natural)
        place = (record.model, values)
        if identity in kept or place in natural:
            text = f"{record.key} would be one {record.model} with another record; it is left out"
            source = str(record.custom.get("fabric_source", "")).partition("/")[2]
            notes.add(source, Code.CLASH, text)
            continue
        natural.add(place)
        kept[identity] = record
    return list(kept.values())


def _folded(model: str, value: Value) -> object:
    return value.lower() if model == "device" and isinstance(value, str) else value


def _whole(records: list[Record]) -> Iterator[Record]:
    """Records that refer to a record left out go with it; a port merely leaves the LAG that is not there."""
    present = {(record.model, record.key) for record in records}

    def held(value: Value) -> bool:
        refs = value if isinstance(value, tuple) else (value,) if isinstance(value, Ref) else ()
        return all((ref.model, ref.key) in present or MODELS[ref.model].shared for ref in refs)

    for record in records:
        lost = [name for name, value in record.fields.items() if not held(value)]
        if lost == ["lag"]:
            yield replace(record, fields={name: value for name, value in record.fields.items() if name != "lag"})
        elif not lost:
            yield record
