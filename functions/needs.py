"""Pure: which of our own objects need which others, so that nothing goes while something that stays refers to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from functions.actual import Existing
from functions.guard import Owned
from functions.plan import Stale, Update
from functions.records import BY_CONTENT_TYPE, MODELS, Shape

type Place = tuple[str, int]
"""One object in NetBox: model and id."""

TARGETS: Final[Mapping[str, str]] = {
    "device": "device",
    "parent": "interface",
    "lag": "interface",
    "group": "vlan_group",
    "vlan": "vlan",
    "untagged_vlan": "vlan",
    "tagged_vlans": "vlan",
    "vrf": "vrf",
    "l2vpn": "l2vpn",
    "primary_ip4": "ip_address",
    "primary_mac_address": "mac_address",
}
"""Field → the model of ours that it refers to; other references are to shared objects, which never go."""


def users(owned: Owned) -> dict[Place, dict[Place, set[str]]]:
    """For each object that another of ours refers to: by whom, and through which fields."""
    found: dict[Place, dict[Place, set[str]]] = {}
    for model, objects in owned.items():
        for existing in objects.values():
            for field, place in _references(model, existing):
                found.setdefault(place, {}).setdefault((model, existing.id), set()).add(field)
    return found


def _references(model: str, existing: Existing) -> Iterator[tuple[str, Place]]:
    for field, spec in MODELS[model].fields.items():
        value = existing.values.get(field)
        if not value:
            continue
        if spec.shape is Shape.GENERIC:
            if value[0] in BY_CONTENT_TYPE:
                yield field, (BY_CONTENT_TYPE[value[0]], value[1])
        elif spec.shape is Shape.ENDS:
            yield from ((field, ("interface", port)) for port in value)
        elif field in TARGETS:
            yield from ((field, (TARGETS[field], id_)) for id_ in (value if spec.shape is Shape.REFS else (value,)))


def parts(of: Place, used: Mapping[Place, Mapping[Place, Collection[str]]]) -> frozenset[Place]:
    """The objects that must be gone before `of` goes: those that refer to it other than by a late field."""
    return frozenset(
        user
        for user, fields in used.get(of, {}).items()
        if any(not MODELS[user[0]].fields[field].late for field in fields)
    )


def blocked(
    going: Collection[Stale], used: Mapping[Place, Mapping[Place, Collection[str]]], updates: Collection[Update]
) -> dict[Stale, Place]:
    """Those of `going` that cannot go, each with an object that needs it and stays.

    What an update of this run lets go of does not need it any more.
    """
    leaving = {((op.model, op.id), change.field) for op in updates if op.id is not None for change in op.changes}
    free = {(s.model, s.id): s for s in going}
    found: dict[Stale, Place] = {}
    while True:
        stuck = {}
        for place, stale in free.items():
            for user, fields in used.get(place, {}).items():
                if user not in free and any((user, field) not in leaving for field in fields):
                    stuck[stale] = user
                    break
        if not stuck:
            return found
        found |= stuck
        free = {place: stale for place, stale in free.items() if stale not in stuck}
