"""The devices of a fabric: what each is called, what it is, and which ports it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from functions.fabric import Fabric, Naming
from functions.records import Ref
from functions.snapshot import Snapshot
from functions.translate.issues import Code, Notes
from functions.translate.names import assign
from functions.translate.ports import Ports, ports_of
from functions.translate.profiles import GATEWAY, NODE, SERVER, UNKNOWN, Make, Profile, profiles
from functions.translate.spec import Thing, things

SWITCH, SERVER_KIND, GATEWAY_KIND = "Switch", "Server", "Gateway"
CONTROL_KIND, NODE_KIND = "ControlNode", "FabNode"

NAMED: tuple[tuple[str, str], ...] = (
    (SWITCH, "-switch"),
    (SERVER_KIND, "-server"),
    (GATEWAY_KIND, "-gateway"),
    (CONTROL_KIND, "-control"),
    (NODE_KIND, "-node"),
)
"""The kinds that are devices, in the order in which they choose their names, and what a loser's name ends in.

The last two are optional kinds: they come last, so that whether they may be read changes nothing for the others.
"""


@dataclass(frozen=True, slots=True)
class Device:
    """One device: the object it comes from, its name in NetBox, its make and its ports.

    `name` is None when it cannot be known (an earlier kind of `NAMED` is unread, so a collision cannot be excluded)
    and `make` when the profiles are unread: such a device is known, but yields no records. `node` is what the device
    is to the installer, where that is not `thing` itself: the FabNode of the same name that a gateway runs on.
    """

    thing: Thing
    key: str
    name: str | None
    make: Make | None
    ports: Ports
    node: Thing | None = None

    @property
    def writable(self) -> bool:
        """Whether enough is known to write the device and what belongs to it."""
        return self.name is not None and self.make is not None

    @property
    def ref(self) -> Ref:
        """The device's record."""
        return Ref("device", self.key)

    def port_key(self, port: str) -> str:
        """The identity of the interface for the port of that normalised name."""
        return f"{self.key}#{port}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All devices of a fabric, sorted by kind (in the order of `NAMED`), namespace and name."""

    devices: tuple[Device, ...]
    by_place: Mapping[tuple[str, str, str], Device]
    by_name: Mapping[tuple[str, str], Device]

    def find(self, kind: str, namespace: str, name: str) -> Device | None:
        """The device an object in `namespace` means by `name`: the one beside it, or the only one of that name.

        References carry no namespace (webhooks allow `default` alone, yet manuals show gateways in `fab`).
        """
        return self.by_place.get((kind, namespace, name)) or self.by_name.get((kind, name))


def inventory(snapshot: Snapshot, fabric: Fabric, notes: Notes) -> Inventory:
    """Every Switch, Server, Gateway and node of `snapshot` as a device of `fabric`; a gateway and its node are one."""
    known = profiles(things(snapshot, "SwitchProfile", notes)) if snapshot.known("SwitchProfile") else None
    devices: list[Device] = []
    taken: set[str] = set()
    earlier: list[str] = []
    for kind, suffix in NAMED:
        found = things(snapshot, kind, notes)
        if kind == NODE_KIND:
            found = _joined(found, devices)
        names = _names(found, fabric, taken, suffix)
        settled = snapshot.known(*earlier)
        for thing in found:
            key = thing.key(fabric.name)
            make, ports = _nature(thing, known, notes)
            devices.append(Device(thing, key, names[key] if settled else None, make, ports))
        earlier.append(kind)
    named: dict[tuple[str, str], Device] = {}
    for device in devices:
        named.setdefault((device.thing.kind, device.thing.name), device)
    places = {(device.thing.kind, device.thing.namespace, device.thing.name): device for device in devices}
    return Inventory(tuple(devices), places, named)


def _joined(nodes: list[Thing], devices: list[Device]) -> list[Thing]:
    """The nodes that are no gateway; the others are put to the gateway of their name."""
    gateways: dict[str, int] = {}
    for place, device in enumerate(devices):
        if device.thing.kind == GATEWAY_KIND:
            gateways.setdefault(device.thing.name, place)
    alone = []
    for node in nodes:
        place = gateways.get(node.name, -1)
        if place < 0 or devices[place].node is not None:
            alone.append(node)
        else:
            devices[place] = replace(devices[place], node=node)
    return alone


def _names(found: list[Thing], fabric: Fabric, taken: set[str], suffix: str) -> dict[str, str]:
    wishes = {
        thing.key(fabric.name): f"{fabric.name}-{thing.name}" if fabric.naming is Naming.PREFIXED else thing.name
        for thing in found
    }
    names = assign(wishes.items(), taken, suffix)
    for thing in found:
        key = thing.key(fabric.name)
        if names[key] != wishes[key]:
            text = f"cannot be called {wishes[key]} in NetBox (taken, or too long): it is called {names[key]}"
            thing.spec.notes.add(thing.source, Code.NAME_COLLISION, text)
    return names


def _nature(thing: Thing, known: Mapping[str, Profile] | None, notes: Notes) -> tuple[Make | None, Ports]:
    if thing.kind == SERVER_KIND:
        return SERVER, Ports()
    if thing.kind == GATEWAY_KIND or (thing.kind == NODE_KIND and "gateway" in thing.spec.texts("roles")):
        return GATEWAY, Ports()
    if thing.kind in (CONTROL_KIND, NODE_KIND):
        return NODE, Ports()
    if known is None:
        return None, Ports()
    name = thing.spec.text("profile")
    profile = known.get(name or "")
    if profile is None:
        text = f"has the profile {name or '(none)'}, which the fabric does not have: only ports in use are shown"
        notes.add(thing.source, Code.UNKNOWN_PROFILE, text)
        return UNKNOWN, Ports()
    return profile.make, ports_of(profile.spec, thing.spec, virtual=profile.virtual)


def of_kind(found: Inventory, kind: str) -> Iterator[Device]:
    """The writable devices that come from objects of `kind`."""
    return (device for device in found.devices if device.thing.kind == kind and device.writable)
