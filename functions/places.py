"""Pure: the places in NetBox that only one object can have, and how objects make way for one another.

NetBox holds every row of a bulk request against what it has before it writes the first: two objects that exchange
their numbers, or one that takes what another gives up, are refused even in one request. So who holds a place that
another object of the plan is to have steps aside first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Any, Final

from functions.actual import Existing
from functions.fields import HOLD_TAG
from functions.plan import Change, Update
from functions.records import MODELS, Record, Shape

UNIQUE: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "vlan_group": (("scope", "name"), ("scope", "slug")),
    "vlan": (("group", "vid"), ("group", "name")),
    "device": (("site", "name"),),
    "interface": (("device", "name"),),
    "l2vpn": (("name",), ("slug",)),
    "prefix": (("vrf", "prefix"),),
    "ip_address": (("vrf", "address"),),
}
"""Fields whose values together only one object has, the parents before the last (NetBox's own constraints, and its
check for duplicates in a VRF that enforces unique space).
Cables have their ports, and ranges must not overlap."""

_NOWHERE: Final = int(IPv6Address("2001:db8::"))
"""Where addresses step aside to: the documentation prefix (RFC 3849), with NetBox's own id as the host part."""


def _name(id_: int) -> str:
    return f"stepping-aside-{id_}"


def _address(id_: int) -> str:
    return f"{IPv6Address(_NOWHERE + id_)}/128"


SHARED_ROLES: Final = frozenset({"anycast", "vip", "vrrp", "hsrp", "glbp", "carp"})
"""Roles of an address that several objects may have (NetBox's `IPADDRESS_ROLES_NONUNIQUE`)."""

ASIDE: Final[Mapping[str, Callable[[int], Mapping[str, Any]]]] = {
    "vlan_group": lambda id_: {"name": _name(id_), "slug": _name(id_)},
    "vlan": lambda id_: {"group": None},
    "device": lambda id_: {"name": _name(id_)},
    "interface": lambda id_: {"name": _name(id_)},
    "l2vpn": lambda id_: {"name": _name(id_), "slug": _name(id_)},
    "prefix": lambda id_: {"prefix": _address(id_)},
    "ip_range": lambda id_: {"start_address": _address(id_), "end_address": _address(id_)},
    "ip_address": lambda id_: {"address": _address(id_)},
    "cable": lambda id_: {"a_terminations": (), "b_terminations": ()},
}
"""Model → what an object with that id holds while it makes way: a place that nothing else has."""


def untangled(updates: Collection[Update]) -> tuple[tuple[Update, ...], tuple[Update, ...]]:
    """`updates` so that none is in another's way: those that step aside first, and then all of them.

    Who steps aside is given back all that it had, and gets what it is to have, by its own update.
    """
    moves = [op for op in updates if op.model in ASIDE and op.id is not None and not op.mark]
    wanted: dict[Hashable, set[int]] = {}
    for at, op in enumerate(moves):
        for place in _places(op, before=False):
            wanted.setdefault(place, set()).add(at)
    ranges = {at: span for at, op in enumerate(moves) if (span := _range(op, before=False))}
    away: dict[int, Update] = {}
    for at, op in enumerate(moves):
        there = _range(op, before=True)
        if any(wanted.get(place, set()) - {at} for place in _places(op, before=True)) or (
            there and any(overlap(span, there) for other, span in ranges.items() if other != at)
        ):
            away[id(op)] = op
    return tuple(map(_aside, away.values())), tuple(_back(op) if id(op) in away else op for op in updates)


def letting_go(updates: Collection[Update], devices: Mapping[str, Existing]) -> tuple[Update, ...]:
    """What makes the `devices` (by key) let go of their primary address, which an update gives to another port.

    NetBox refuses that while the old device has the address for its own, also when that is gone from the fabric.
    """
    moving = {
        op.id for op in updates if op.model == "ip_address" and any(c.field == "assigned_object" for c in op.changes)
    }
    none = {"primary_ip4": None}
    return tuple(
        Update(Record("device", key, none), existing.id, (Change("primary_ip4", moved, None),), extra=True, aside=True)
        for key, existing in devices.items()
        if (moved := existing.values.get("primary_ip4")) in moving and HOLD_TAG not in existing.tags and moved
    )


def _aside(op: Update) -> Update:
    """The update that lets an object make way: nobody counts it, and it notes nothing."""
    there = ASIDE[op.model](op.id or 0)
    changes = tuple(Change(name, None, _as_read(op.record, name, value)) for name, value in there.items())
    record = Record(op.model, op.key, there)
    return Update(record, op.id, changes, extra=True, aside=True)


def _back(op: Update) -> Update:
    """The update of an object that has made way: it also writes what that took."""
    changed = {change.field for change in op.changes}
    lost = (name for name in ASIDE[op.model](op.id or 0) if name not in changed and name in op.record.fields)
    more = tuple(Change(name, None, _as_read(op.record, name, op.record.fields[name])) for name in lost)
    return replace(op, changes=(*op.changes, *more))


def _as_read(record: Record, name: str, value: Any) -> Any:
    return frozenset(value or ()) if MODELS[record.model].fields[name].shape is Shape.ENDS else value


def _places(op: Update, *, before: bool) -> Iterator[Hashable]:
    """The places that an update gives up (`before`) or takes, whatever their parent: to step aside is never wrong."""
    changes = {change.field: change.before if before else change.after for change in op.changes}
    if op.model == "cable":
        for name in MODELS["cable"].natural:
            yield from (("port", port) for port in changes.get(name) or () if isinstance(port, int))
    for names in UNIQUE.get(op.model, ()):
        if changes.keys() & set(names):
            yield op.model, names, _folded(op.model, changes.get(names[-1], op.record.fields.get(names[-1])))


def places_of(model: str, values: Mapping[str, Any]) -> Iterator[Hashable]:
    """The places of an object that holds these values (of fields as `Actual` has them)."""
    for names in UNIQUE.get(model, ()):
        yield from _place(model, names, values)


def _place(model: str, names: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[Hashable]:
    *parents, last = (values.get(name) for name in names)
    many = model == "ip_address" and values.get("role") in SHARED_ROLES
    if None not in parents and not many:
        yield model, names, tuple(parents), _folded(model, last)


def _folded(model: str, value: Any) -> Hashable:
    """A value as NetBox tells two apart: names of devices without case, addresses without their prefix length."""
    if model == "device":
        return str(value).lower()
    return str(value).partition("/")[0] if model == "ip_address" else value


type Span = tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]


def _range(op: Update, *, before: bool) -> tuple[Any, Span] | None:
    changes = {change.field: change.before if before else change.after for change in op.changes}
    if op.model != "ip_range" or not changes.keys() & {"start_address", "end_address", "vrf"}:
        return None
    return placed(None, {**op.record.fields, **changes})


def placed(vrf: Any, values: Mapping[str, Any]) -> tuple[Any, Span] | None:
    """A range's VRF and addresses; None when it cannot be read."""
    try:
        start, end = (ip_interface(str(values.get(name))).ip for name in ("start_address", "end_address"))
    except ValueError:
        return None
    return vrf, (start, end)


def overlap(one: tuple[Any, Span], other: tuple[Any, Span]) -> bool:
    """Whether two ranges have an address of one VRF in common."""
    (vrf, (start, end)), (other_vrf, (other_start, other_end)) = one, other
    if vrf != other_vrf or start.version != other_start.version:
        return False
    return int(start) <= int(other_end) and int(other_start) <= int(end)
