"""What NetBox would hold had it taken a small fabric's records exactly, and ways to let it hold something else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from functions.actual import Actual, Existing
from functions.fields import KEY, NAME
from functions.records import MODELS, Record, Ref
from functions.rows import comparable
from tests.wanted import SHARED, cable, device, port

FABRIC = "lab"
ALL = frozenset({"device", "interface", "cable"})
SITE, CLUSTER = Ref("site", FABRIC), Ref("cluster", FABRIC)


def small_fabric() -> list[Record]:
    """Two devices, three ports each, the first of them a LAG of the second, and two cables."""
    one, two = device(FABRIC, "one"), device(FABRIC, "two", serial="S2")
    lags = [port(each, "lag0", type="lag") for each in (one, two)]
    ports = [
        port(each, name, lag=Ref("interface", lag.key))
        for each, lag in ((one, lags[0]), (two, lags[1]))
        for name in ("E1/1", "E1/2")
    ]
    cables = [cable(FABRIC, "c1", ports[0], ports[2]), cable(FABRIC, "c2", ports[1], ports[3])]
    return [*SHARED, one, two, *lags, *ports, *cables]


def held_by(records: Iterable[Record], first_id: int = 1) -> Actual:
    """What NetBox would hold had it taken exactly these records."""
    records = tuple(records)
    ids = {SITE: 900, CLUSTER: 901}
    for number, record in enumerate(records, first_id):
        ids[Ref(record.model, record.key)] = number
    owned: dict[str, dict[str, Existing]] = {name: {} for name in ALL}
    for record in records:
        if MODELS[record.model].shared:
            continue
        fields = MODELS[record.model].fields
        values = {name: comparable(value, fields[name].shape, ids) for name, value in record.fields.items()}
        custom = {KEY: record.key, NAME: FABRIC, **record.custom}
        owned[record.model][record.key] = Existing(ids[Ref(record.model, record.key)], values, custom, record.tags)
    return Actual(owned, ids)


def changed(actual: Actual, record: Record, **values: Any) -> Existing:
    """Let NetBox hold other `values` of the record's object (`tags` and `custom` among them)."""
    objects = actual.owned[record.model]
    before = objects[record.key]
    tags = frozenset(values.pop("tags", before.tags))
    custom = {**before.custom, **values.pop("custom", {})}
    objects[record.key] = replace(before, values={**before.values, **values}, tags=tags, custom=custom)
    return objects[record.key]


def rekeyed(record: Record, old: str, new: str) -> Record:
    """The record as it would be had the objects of the fabric other names."""

    def moved(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(value.model, value.key.replace(old, new))
        return tuple(moved(each) for each in value) if isinstance(value, tuple) else value

    fields = {name: moved(value) for name, value in record.fields.items()}
    return replace(record, key=record.key.replace(old, new), fields=fields)


def closed(records: Iterable[Record]) -> list[Record]:
    """Records together with all they refer to."""
    every = {Ref(record.model, record.key): record for record in small_fabric()}
    found: dict[Ref, Record] = {}

    def take(record: Record) -> None:
        if found.setdefault(Ref(record.model, record.key), record) is record:
            for value in record.fields.values():
                for ref in value if isinstance(value, tuple) else (value,):
                    if isinstance(ref, Ref) and ref in every:
                        take(every[ref])

    for record in records:
        take(record)
    return list(found.values())
