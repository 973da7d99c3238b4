"""The translation of a fabric: which families there are, what each reads, and what holds of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from functions.fabric import Fabric
from functions.kinds import KINDS
from functions.records import MODELS, Record, Ref, Shape, Value
from functions.snapshot import Snapshot
from functions.translate import (
    addresses,
    asns,
    cables,
    context,
    devices,
    externals,
    interfaces,
    macs,
    namespaces,
    underlay,
    vpcs,
)
from functions.translate.inventory import CONTROL_KIND, NODE_KIND
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
    Family(
        interfaces.translate,
        (*_DEVICES, "Connection", "Catalog", "VPC", "VPCAttachment", "ExternalAttachment"),
        ("interface",),
    ),
    Family(cables.translate, (*_DEVICES, "Connection"), ("cable",)),
    Family(underlay.translate, (*_DEVICES, "Connection", "DHCPSubnet"), ("vrf", "prefix", "ip_range")),
    Family(addresses.translate, (*_DEVICES, "Connection"), ("ip_address",)),
    Family(macs.translate, _DEVICES, ("mac_address",)),
    Family(asns.translate, ("Switch", "Gateway"), ()),
    Family(context.translate, ("Switch", "Gateway"), ()),
    Family(namespaces.translate, ("VLANNamespace", "IPv4Namespace"), ("vlan_group", "vrf", "prefix")),
    Family(
        vpcs.translate,
        ("VPC", "VLANNamespace"),
        ("vrf", "prefix", "vlan", "ip_address", "ip_range", "l2vpn", "l2vpn_termination"),
    ),
    Family(
        externals.translate,
        (*_DEVICES, "Connection", "VPC", "External", "ExternalAttachment"),
        ("vrf", "prefix", "ip_address"),
    ),
)
"""Every family, in the order in which records win when two would be one object in NetBox.

Optional kinds are in none: what comes from them alone carries their name in its key (`Translation.unseen`).
"""

SHARED_ROLES = frozenset({"anycast", "vip", "vrrp", "hsrp", "glbp", "carp"})
"""Roles of an address that several interfaces may have (NetBox's `IPADDRESS_ROLES_NONUNIQUE`)."""

_LOOSE = frozenset(
    {
        ("interface", "lag"),
        ("interface", "vrf"),
        ("interface", "untagged_vlan"),
        ("interface", "tagged_vlans"),
        ("prefix", "vlan"),
    }
)
"""References that a record can lose and still be told, as it can every `late` one."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A fabric as NetBox records.

    `records` are unique by (model, key), in the order of `MODELS` and then by key. `issues` tell what could not be
    taken as it was. `complete` names the models whose records are all here, so that absences may be computed;
    `unseen` are the kinds of the fabric that were not, or not wholly, read: an object that carries one of them in its
    key (`<fabric>/<Kind>/…`) is not absent, whatever its model.
    """

    records: tuple[Record, ...]
    issues: tuple[Issue, ...]
    complete: frozenset[str]
    unseen: frozenset[str] = frozenset()


def translate(snapshot: Snapshot, fabric: Fabric) -> Translation:
    """The records that `fabric` wants to see in NetBox for `snapshot`; pure, and never fails on what it reads."""
    view = scene(snapshot, fabric)
    drafts = (record for family in FAMILIES for record in family.translate(view))
    records = _whole(_unique(drafts, view.notes))
    order = {model: place for place, model in enumerate(MODELS)}
    records.sort(key=lambda record: (order[record.model], record.key))
    complete, unseen = _complete(snapshot, view.notes), _unseen(snapshot, view.notes)
    return Translation(tuple(records), tuple(sorted(view.notes.found)), complete, unseen)


def _complete(snapshot: Snapshot, notes: Notes) -> frozenset[str]:
    blinded = notes.blinded()
    models = {model for family in FAMILIES for model in family.models}
    for family in FAMILIES:
        if not snapshot.known(*family.kinds) or not blinded.isdisjoint(family.kinds):
            models.difference_update(family.models)
    return frozenset(models)


def _unseen(snapshot: Snapshot, notes: Notes) -> frozenset[str]:
    unseen = {kind.name for kind in KINDS if not snapshot.known(kind.name)} | notes.blinded()
    if CONTROL_KIND in unseen:
        unseen.add(NODE_KIND)  # whose names and addresses wait for those of the control nodes
    return frozenset(unseen)


def _unique(drafts: Iterable[Record], notes: Notes) -> list[Record]:
    """The first record of each identity and, among owned ones, of each natural key; shared ones repeat by design."""
    kept: dict[tuple[str, str], Record] = {}
    natural: dict[tuple[str, tuple[object, ...]], bool] = {}
    for record in drafts:
        identity, model = (record.model, record.key), MODELS[record.model]
        if model.shared:
            kept.setdefault(identity, record)
            continue
        values = tuple(_folded(record.model, record.fields.get(field)) for field in model.natural)
        place = (record.model, values)
        shared = record.model == "ip_address" and record.fields.get("role") in SHARED_ROLES
        if identity in kept or (_bound(record) and place in natural and not (shared and natural[place])):
            text = f"{record.key} would be one {record.model} with another record; it is left out"
            source = str(record.custom.get("fabric_source", "")).partition("/")[2]
            notes.add(source, Code.CLASH, text)
            continue
        natural[place] = shared
        kept[identity] = record
    return list(kept.values())


def _bound(record: Record) -> bool:
    """Whether what is unique in NetBox binds the record: it does not where the parent is none (a VLAN of no group)."""
    model = MODELS[record.model]
    parents = [name for name in model.natural if model.fields[name].shape in (Shape.REF, Shape.GENERIC)]
    return all(record.fields.get(name) is not None for name in parents)


def _folded(model: str, value: Value) -> object:
    """A value as NetBox tells two apart: names of devices without case, addresses without their prefix length."""
    if not isinstance(value, str):
        return value
    return value.lower() if model == "device" else value.partition("/")[0] if model == "ip_address" else value


def _whole(records: list[Record]) -> list[Record]:
    """Records without those that refer to a record left out, and so on to the end; some references are only dropped."""
    while True:
        present = {(record.model, record.key) for record in records}
        kept = [whole for record in records if (whole := _held(record, present)) is not None]
        if len(kept) == len(records):
            return kept
        records = kept


def _held(record: Record, present: set[tuple[str, str]]) -> Record | None:
    model = MODELS[record.model]
    lost = {name for name, value in record.fields.items() if not all(_there(ref, present) for ref in _refs(value))}
    if not lost:
        return record
    if all((record.model, name) in _LOOSE or model.fields[name].late for name in lost):
        return replace(record, fields={name: value for name, value in record.fields.items() if name not in lost})
    return None


def _there(ref: Ref, present: set[tuple[str, str]]) -> bool:
    return (ref.model, ref.key) in present or MODELS[ref.model].shared


def _refs(value: Value) -> tuple[Ref, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, Ref) else ()
