"""VPC attachments: which VLANs each port and LAG of a switch carries, computed from all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from functions.records import Ref, Value
from functions.translate.inventory import SWITCH
from functions.translate.issues import Code
from functions.translate.scene import Scene
from functions.translate.spec import Thing, things
from functions.translate.tenants import Subnet
from functions.translate.wiring import Use

KINDS = ("VPCAttachment", "VPC", "VLANNamespace", "Connection")
"""What must be known before anything is said of the VLANs of an interface."""

ATTACHABLE = frozenset({"unbundled", "bundled", "eslag", "mclag"})
"""The kinds of connection that may carry a VPC: those that lead to servers."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One VPCAttachment: its subnet (None if the fabric has none such) and one use per switch that it is on.

    `clear` is false where the object does not say which subnet it means.
    """

    thing: Thing
    subnet: Subnet | None
    uses: tuple[Use, ...]
    clear: bool


@dataclass(slots=True)
class Vlans:
    """What one interface carries. Not `clear`: an attachment to it could not be read, so that nothing may be said."""

    untagged: Ref | None = None
    tagged: set[Ref] = field(default_factory=set)
    clear: bool = True

    @property
    def fields(self) -> dict[str, Value]:
        """The interface's fields; NetBox calls one untagged VLAN alone `access`."""
        if not self.clear:
            return {}
        tagged = tuple(sorted(self.tagged - {self.untagged}))
        mode = "tagged" if tagged else "access" if self.untagged else ""
        return {"mode": mode, "untagged_vlan": self.untagged, "tagged_vlans": tagged}


def carrier(use: Use) -> Ref:
    """The interface that carries what is attached over a port: its LAG, if it has one."""
    return use.lag.ref if use.lag else use.ref


def attachments(scene: Scene) -> list[Attachment]:
    """Every VPCAttachment over a connection that the fabric has, in the order of their names."""
    return list(_read(scene))


def vlans(scene: Scene, found: Iterable[Attachment]) -> Mapping[str, Vlans] | None:
    """What each interface carries by its key, for those with an attachment; None when it cannot be known."""
    if not scene.snapshot.known(*KINDS):
        return None
    carried: dict[str, Vlans] = {}
    for attachment in found:
        for use in attachment.uses:
            mine = carried.setdefault(carrier(use).key, Vlans())
            mine.clear = mine.clear and attachment.clear
            subnet = attachment.subnet
            if subnet is not None and subnet.vid is not None and not subnet.host_bgp:
                _add(mine, attachment.thing, Ref("vlan", subnet.key))
    return carried


def _add(mine: Vlans, thing: Thing, vlan: Ref) -> None:
    if not thing.spec.flag("nativeVLAN"):
        mine.tagged.add(vlan)
    elif mine.untagged in (None, vlan):
        mine.untagged = vlan
    else:
        thing.spec.malformed(("nativeVLAN",), "is true on a connection that has another native VLAN")
        mine.tagged.add(vlan)


def _read(scene: Scene) -> Iterator[Attachment]:
    connections = _connections(scene)
    existing = {thing.name for thing in things(scene.snapshot, "Connection", scene.notes)}
    for thing in things(scene.snapshot, "VPCAttachment", scene.notes):
        connection = thing.spec.text("connection") or ""
        title = thing.spec.text("subnet") or ""
        vpc, slash, name = title.partition("/")
        subnet = scene.tenants.subnets.get((vpc, name))
        if not slash:
            thing.spec.malformed(("subnet",), "names no `vpc/subnet`")
        elif subnet is None and scene.snapshot.known("VPC"):
            text = f"attaches the subnet {title}, which the fabric does not have"
            scene.notes.add(thing.source, Code.DANGLING, text)
        if connection not in existing and scene.snapshot.known("Connection"):
            text = f"attaches to the Connection {connection or '(none)'}, which the fabric does not have"
            scene.notes.add(thing.source, Code.DANGLING, text)
        yield Attachment(thing, subnet, connections.get(connection, ()), bool(slash))


def _connections(scene: Scene) -> dict[str, tuple[Use, ...]]:
    """The switches' ends of every connection to a server, by its name: one use per interface that carries VLANs."""
    found: dict[str, dict[Ref, Use]] = {}
    for uses in scene.uses.values():
        for use in uses:
            if use.device.thing.kind == SWITCH and use.wire.variant.key in ATTACHABLE:
                found.setdefault(use.wire.connection.name, {}).setdefault(carrier(use), use)
    return {name: tuple(uses.values()) for name, uses in found.items()}
