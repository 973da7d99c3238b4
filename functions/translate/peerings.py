"""Peerings: NetBox has no home for them, so that both sides of one hold it in a custom field of their VRFs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from functions.records import Json
from functions.translate.canonical import canonical, ordered, told
from functions.translate.issues import Code
from functions.translate.names import clean
from functions.translate.scene import Scene
from functions.translate.spec import Spec, Thing, things
from functions.translate.tenants import DEFAULT

EXTERNAL_PREFIX = "ext."
"""How a gateway's peering names an External: `ext.<name>`; no VPC may be called so."""

KINDS = ("VPCPeering", "ExternalPeering", "GatewayPeering", "Peering")
"""The kinds of peering; `Peering` is what GatewayPeering was called before v0.113."""


@dataclass(frozen=True, slots=True)
class Peerings:
    """All peerings by the name of their sides (`ext.<name>` for an External), sorted by kind and name.

    None when a kind is unread: nobody can then say what is not peered.
    """

    by_side: Mapping[str, list[Json]] | None

    def of_vpc(self, name: str) -> dict[str, Json]:
        """The custom field of the VRF of a VPC; none at all when it cannot be known."""
        return self._of(name)

    def of_external(self, name: str) -> dict[str, Json]:
        """The custom field of the VRF of an External; none at all when it cannot be known."""
        return self._of(EXTERNAL_PREFIX + name)

    def _of(self, side: str) -> dict[str, Json]:
        return {} if self.by_side is None else {"fabric_peerings": self.by_side.get(side) or None}


def peerings(scene: Scene) -> Peerings:
    """Every peering, under each side that it names."""
    if not scene.snapshot.known(*KINDS):
        return Peerings(None)
    found: dict[str, list[Json]] = {}
    for kind in KINDS:
        for thing in things(scene.snapshot, kind, scene.notes):
            read = {"VPCPeering": _vpc, "ExternalPeering": _external}.get(kind, _gateway)
            sides, what = read(thing)
            sides = sorted(set(sides))
            _resolved(scene, thing, sides)
            for side in sides:
                found.setdefault(side, []).append({"kind": kind, "name": thing.name, **what})
    return Peerings(found)


def _resolved(scene: Scene, thing: Thing, sides: Iterable[str]) -> None:
    for side in sides:
        external = side.startswith(EXTERNAL_PREFIX)
        kind, name = ("External", side.removeprefix(EXTERNAL_PREFIX)) if external else ("VPC", side)
        there = scene.tenants.externals if external else scene.tenants.vpcs
        if name not in there and scene.snapshot.known(kind):
            scene.notes.add(thing.source, Code.DANGLING, f"names the {kind} {name}, which the fabric does not have")


def _vpc(thing: Thing) -> tuple[list[str], dict[str, Json]]:
    """Rows of `{vpc: {subnets}}`; a VPC without subnets takes part as a whole."""
    rows: list[Json] = []
    sides: list[str] = []
    for row in thing.spec.children("permit"):
        names = dict(_names(row))
        sides += names
        rows.append({name: sorted(row.texts(raw, "subnets")) for name, raw in names.items()})
    return sides, _body(permit=ordered(rows), remote=thing.spec.text("remote"))


def _external(thing: Thing) -> tuple[list[str], dict[str, Json]]:
    permit = thing.spec.child("permit")
    vpc, external = permit.text("vpc", "name"), permit.text("external", "name")
    prefixes = sorted(text for row in permit.children("external", "prefixes") if (text := row.text("prefix")))
    sides = ([vpc] if vpc else []) + ([EXTERNAL_PREFIX + external] if external else [])
    return sides, _body(vpc=vpc, external=external, subnets=sorted(permit.texts("vpc", "subnets")), prefixes=prefixes)


def _gateway(thing: Thing) -> tuple[list[str], dict[str, Json]]:
    """What each side shows of itself, and the rules between them; the order of rules and prefixes has a meaning."""
    peering = thing.spec.child("peering")
    names = dict(_names(peering))
    return list(names), _body(
        gatewayGroup=thing.spec.text("gatewayGroup") or DEFAULT,
        peering={name: canonical(peering.child(raw).data) for name, raw in names.items()},
        acl=canonical(thing.spec.child("acl").data),
    )


def _names(table: Spec) -> Iterator[tuple[str, str]]:
    return ((name, raw) for raw in table.names() if (name := clean(raw)))


def _body(**values: Json) -> dict[str, Json]:
    said = told(**values)
    return dict(said) if isinstance(said, Mapping) else {}
