"""Which address of the underlay belongs to which interface: worked out once, so that all who ask agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from functions.fabric import Fabric
from functions.records import Ref
from functions.snapshot import Snapshot
from functions.translate.inventory import CONTROL_KIND, GATEWAY_KIND, NODE_KIND, SWITCH, Device, Inventory
from functions.translate.issues import Code, Notes
from functions.translate.names import clean
from functions.translate.networks import Address, as_address, unfit, written
from functions.translate.ports import MANAGEMENT
from functions.translate.spec import Spec, Thing
from functions.translate.wiring import Use, Wiring

SWITCH_SLOTS = ((MANAGEMENT, "ip", None), ("Loopback1", "protocolIP", "loopback"), ("Loopback2", "vtepIP", "loopback"))
GATEWAY_SLOTS = (("lo", "protocolIP", "loopback"), ("vtep", "vtepIP", "loopback"))
"""The addresses that a device has by itself: the interface, the field, and NetBox's role for it."""

LINKED = frozenset({"fabric", "mesh", "gateway"})
"""The variants of a connection whose ends have addresses of the underlay."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address on one interface.

    `key` is its identity, `source` the object that names it and `interface` the record of `port`. `length` is the
    prefix length as given (all bits where none was). `link`: it is one end of a link between two devices. `primary`:
    it is where its device is managed.
    """

    key: str
    source: Thing
    device: Device
    port: str
    interface: Ref
    address: Address
    length: int
    role: str | None = None
    link: bool = False
    primary: bool = False

    @property
    def text(self) -> str:
        """The address as NetBox writes it."""
        return written(self.address, self.length)

    @property
    def ref(self) -> Ref:
        """The address's own record."""
        return Ref("ip_address", self.key)


def underlay_key(fabric: str) -> str:
    """The identity of the VRF that holds a fabric's underlay."""
    return f"{fabric}/Fabric/default/{fabric}#underlay"


@dataclass(frozen=True, slots=True)
class Addressing:
    """The underlay of a fabric: its addresses by identity, none twice but those that a pair of switches shares."""

    fabric: str
    places: tuple[Place, ...] = ()

    @property
    def vrf(self) -> Ref:
        """The record of the VRF that holds the underlay."""
        return Ref("vrf", underlay_key(self.fabric))

    def primary(self, device: Device) -> Ref | None:
        """The address at which a device is managed; None if it has none that NetBox can call primary (IPv4)."""
        for place in self.places:
            if place.primary and place.device.key == device.key and place.address.version == 4:
                return place.ref
        return None


@dataclass(slots=True)
class _Claims:
    """Who has which address: whoever came first, and those that may share it."""

    notes: Notes
    owners: dict[Address, Place] = field(default_factory=dict)
    granted: dict[str, Place] = field(default_factory=dict)

    def claim(self, place: Place) -> None:
        owner = self.owners.setdefault(place.address, place)
        if owner is place:
            self.granted.setdefault(place.key, place)
        elif _shared(owner, place):
            self.granted[owner.key] = replace(owner, role="anycast")
            self.granted[place.key] = replace(place, role="anycast")
        elif owner.interface != place.interface:
            where = f"{owner.device.thing.name}/{owner.port}"
            text = f"gives {place.address} to {place.device.thing.name}/{place.port}, but {where} has it; left out"
            self.notes.add(place.source.source, Code.ADDRESS_IN_USE, text)


def _shared(one: Place, other: Place) -> bool:
    """Whether two switches have one address on purpose: the VTEP of a redundancy group (MCLAG)."""
    groups = [place.device.thing.spec.text("redundancy", "group") for place in (one, other)]
    return one.port == other.port == "Loopback2" and groups[0] is not None and groups[0] == groups[1]


def addressing(snapshot: Snapshot, fabric: Fabric, devices: Inventory, wires: Wiring, notes: Notes) -> Addressing:
    """The addresses of switches, gateways, links and nodes, in this order where two want the same one.

    Those of a kind are left out while a kind before it is unread: somebody there may have the address.
    """
    claims = _Claims(notes)
    steps = (
        (SWITCH, _switches(devices)),
        (GATEWAY_KIND, _gateways(devices)),
        ("Connection", _links(wires, fabric) if snapshot.known("SwitchProfile") else iter(())),
        (CONTROL_KIND, _nodes(devices, CONTROL_KIND, fabric)),
        (NODE_KIND, _nodes(devices, NODE_KIND, fabric)),
    )
    for kind, places in steps:
        if not snapshot.known(kind):
            break
        for place in places:
            claims.claim(place)
    kept = [place for place in claims.granted.values() if place.device.writable]
    return Addressing(fabric.name, tuple(sorted(kept, key=lambda place: place.key)))


def _usable(spec: Spec, *path: str) -> tuple[Address, int] | None:
    """The address at `path` with its length, where NetBox lets an interface have it."""
    text = spec.text(*path)
    return _fitting(spec, path, text) if text else None


def _fitting(spec: Spec, path: tuple[str, ...], text: str) -> tuple[Address, int] | None:
    found = as_address(text)
    if found is None:
        spec.malformed(path, f"holds {text}, which is no address")
        return None
    address, length = found[0], found[0].max_prefixlen if found[1] is None else found[1]
    if (why := unfit(address, length)) is not None:
        spec.malformed(path, f"holds {text}, {why}")
        return None
    return address, length


def _slots(device: Device, slots: tuple[tuple[str, str, str | None], ...]) -> Iterator[Place]:
    for port, name, role in slots:
        if found := _usable(device.thing.spec, name):
            key = f"{device.key}#ip:{port}"
            interface, primary = _port(device, port), port == MANAGEMENT
            yield Place(key, device.thing, device, port, interface, *found, role, primary=primary)


def _port(device: Device, port: str) -> Ref:
    return Ref("interface", device.port_key(port))


def _of(devices: Inventory, kind: str) -> Iterator[Device]:
    return (device for device in devices.devices if device.thing.kind == kind)


def _switches(devices: Inventory) -> Iterator[Place]:
    for device in _of(devices, SWITCH):
        yield from _slots(device, SWITCH_SLOTS)


def _gateways(devices: Inventory) -> Iterator[Place]:
    for device in _of(devices, GATEWAY_KIND):
        yield from _slots(device, GATEWAY_SLOTS)
        table = device.thing.spec.child("interfaces")
        for raw in table.names():
            port = clean(raw)
            for text in table.texts(raw, "ips") if port else ():
                if found := _fitting(table, (raw, "ips"), text):
                    key = f"{device.key}#ip:{port}:{found[0]}"
                    yield Place(key, device.thing, device, port, _port(device, port), *found)


def _links(wires: Wiring, fabric: Fabric) -> Iterator[Place]:
    """The two ends of every link of the underlay, by connection and address: links that swap addresses keep theirs."""
    for use in sorted(wires.uses.values(), key=_order):
        thing = use.wire.connection
        if use.wire.variant.key in LINKED and (found := _usable(use.end, "ip")):
            key = f"{thing.key(fabric.name)}#ip:{found[0]}"
            yield Place(key, thing, use.device, use.port, use.ref, *found, link=True)


def _order(use: Use) -> tuple[str, ...]:
    thing = use.wire.connection
    return (thing.namespace, thing.name, use.device.key, use.port)


def _nodes(devices: Inventory, kind: str, fabric: Fabric) -> Iterator[Place]:
    for device in devices.devices:
        node = device.thing if device.thing.kind == kind else device.node if kind == NODE_KIND else None
        port = node and node.spec.text("management", "interface")
        if node and port and (found := _usable(node.spec, "management", "ip")):
            interface = Ref("interface", node_port(node, fabric, port))
            yield Place(f"{node.key(fabric.name)}#ip:management", node, device, port, interface, *found, primary=True)


def node_port(node: Thing, fabric: Fabric, port: str) -> str:
    """The identity of a node's management port: the node's own, though the device may be a gateway's."""
    return f"{node.key(fabric.name)}#{port}"
