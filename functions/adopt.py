"""Adoption: objects that people made and that a record is about are taken over, for the models a fabric allows.

Found by their natural key (`Model.natural`), never when they carry somebody's `fabric_key`. The plan shows each as an
update that sets the key; without adoption NetBox refuses the new object, and that is reported on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.actual import Actual, existing_of
from functions.compare import compare, ends_of, nature, wanted_ends, wanted_nature
from functions.fabric import DeletePolicy, Fabric
from functions.fields import KEY, NAME
from functions.plan import Create, Plan
from functions.records import MODELS, Record, Ref
from functions.rows import references
from functions.survey import fields_to_read
from functions.translate import Translation
from infra.netbox import NetBoxReader

ADOPTABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "vrf": {"name": "name"},
    "vlan_group": {"slug": "slug"},
    "vlan": {"group_id": "group", "vid": "vid"},
    "device": {"site_id": "site", "name": "name"},
    "interface": {"device_id": "device"},
    "prefix": {"vrf_id": "vrf", "prefix": "prefix"},
    "ip_address": {"vrf_id": "vrf", "address": "address"},
    "l2vpn": {"slug": "slug"},
    "cable": {},
}
"""The models that may be adopted, and NetBox's filters for them: filter → field of the record. A cable is found through
the interfaces at its ends."""

VALUES_PER_REQUEST: Final = 50


def adopt(netbox: NetBoxReader, creates: Iterable[Create], models: frozenset[str], actual: Actual) -> int:
    """Take into `actual` the unowned objects that the `creates` of `models` are about; how many there are.

    Parents go first: an adopted device's id is what its interfaces are looked up by.
    """
    wanted: dict[str, list[Record]] = {}
    for create in creates:
        if create.record.model in models and create.record.model in ADOPTABLE:
            wanted.setdefault(create.record.model, []).append(create.record)
    return sum(_adopt(netbox, model, wanted[model], actual) for model in MODELS if model in wanted)


def _adopt(netbox: NetBoxReader, model: str, records: list[Record], actual: Actual) -> int:
    natures = {wanted_nature(record, actual.ids): record for record in records}
    found = 0
    for row in _candidates(netbox, model, records, actual.ids):
        if (row.get("custom_fields") or {}).get(KEY):
            continue  # another fabric's, or ours under another key: never taken
        existing = existing_of(model, row)
        record = natures.pop(nature(model, existing.values), None)
        if record is not None:
            actual.owned.setdefault(model, {})[record.key] = existing
            actual.ids[Ref(model, record.key)] = existing.id
            found += 1
    return found


def compare_and_adopt(
    netbox: NetBoxReader, records: Collection[Record], translation: Translation, actual: Actual, fabric: Fabric
) -> Plan:
    """The plan that makes NetBox hold `records`, with what the fabric may adopt taken into `actual`."""

    def compared() -> Plan:
        return compare(
            records,
            actual,
            fabric.name,
            translation.complete,
            unseen=translation.unseen,
            reuse=fabric.deletion.policy is not DeletePolicy.NEVER,
        )

    plan = compared()
    return compared() if fabric.adopt and adopt(netbox, plan.creates, fabric.adopt, actual) else plan


@dataclass(frozen=True, slots=True)
class Conflict:
    """An object that is not ours where a record wants one: NetBox may refuse ours.

    `id` is the number of what is there, `fabric` the name of the fabric that has it, None where it is people's.
    """

    model: str
    key: str
    id: int
    fabric: str | None


def conflicts(netbox: NetBoxReader, creates: Iterable[Create], actual: Actual) -> list[Conflict]:
    """What is already in the place of the `creates`: the same by its natural key, or a cable on one of the ports."""
    wanted: dict[str, list[Record]] = {}
    for create in creates:
        if create.model in ADOPTABLE:
            wanted.setdefault(create.model, []).append(create.record)
    found: list[Conflict] = []
    for model, records in wanted.items():
        places: dict[Any, str] = {}
        for record in records:
            natures = wanted_ends(record, actual.ids) if model == "cable" else (wanted_nature(record, actual.ids),)
            places |= dict.fromkeys(natures, record.key)
        ours = {existing.id for existing in actual.owned.get(model, {}).values()}
        for row in _candidates(netbox, model, records, actual.ids):
            existing = existing_of(model, row)
            there = ends_of(existing.values) if model == "cable" else (nature(model, existing.values),)
            keys = {places[place] for place in there if place in places} if existing.id not in ours else ()
            fabric = existing.custom.get(NAME) if existing.custom.get(KEY) else None
            found += [Conflict(model, key, existing.id, fabric) for key in sorted(keys)]
    return found


def _candidates(
    netbox: NetBoxReader, model: str, records: list[Record], ids: Mapping[Ref, int]
) -> Iterable[dict[str, Any]]:
    """The rows among which the objects of `records` are, if they are in NetBox at all."""
    if model == "cable":
        yield from _cables(netbox, records, ids)
        return
    filters = ADOPTABLE[model]
    fields = (*fields_to_read(model), "custom_fields", "tags")
    known = [values for record in records if (values := _values(record, filters, ids))]
    if not known:
        return
    *parents, last = filters
    for parent in sorted({tuple(values[name] for name in parents) for values in known}, key=str):
        some = sorted({v[last] for v in known if tuple(v[name] for name in parents) == parent}, key=str)
        for at in range(0, len(some), VALUES_PER_REQUEST):
            asked = dict(zip(parents, parent, strict=True)) | {last: some[at : at + VALUES_PER_REQUEST]}
            yield from netbox.read(MODELS[model].path, asked, fields)


def _values(record: Record, filters: Mapping[str, str], ids: Mapping[Ref, int]) -> dict[str, Any] | None:
    """What to filter by for one record; None when it refers to something that is not in NetBox yet."""
    values: dict[str, Any] = {}
    for name, field in filters.items():
        value = record.fields.get(field)
        if isinstance(value, Ref):
            if value not in ids:
                return None
            value = ids[value]
        values[name] = "null" if value is None else value
    return values


def _cables(netbox: NetBoxReader, records: list[Record], ids: Mapping[Ref, int]) -> Iterable[dict[str, Any]]:
    """The cables on the interfaces that the records' cables are wanted on, with their ends."""
    ends = {ids[ref] for record in records for ref in references(record) if ref.model == "interface" and ref in ids}
    cables: set[int] = set()
    for some in _slices(sorted(ends)):
        for row in netbox.read(MODELS["interface"].path, {"id": some}, ("cable",)):
            if row.get("cable"):
                cables.add(row["cable"]["id"])
    fields = (*MODELS["cable"].fields, "custom_fields", "tags")
    for some in _slices(sorted(cables)):
        yield from netbox.read(MODELS["cable"].path, {"id": some}, fields)


def _slices(ids: list[int]) -> Iterable[list[int]]:
    return (ids[at : at + VALUES_PER_REQUEST] for at in range(0, len(ids), VALUES_PER_REQUEST))
