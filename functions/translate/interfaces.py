"""Interfaces: the ports of every device, its loopbacks and its LAGs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from functions.records import Json, Record, Ref, Value
from functions.translate import macs
from functions.translate.addressing import node_port
from functions.translate.canonical import told
from functions.translate.inventory import CONTROL_KIND, GATEWAY_KIND, NODE_KIND, SERVER_KIND, SWITCH, Device, of_kind
from functions.translate.names import DESCRIPTION_LIMIT, NAME_LIMIT, clean, shorten
from functions.translate.overlay import Overlay, overlay, part, switched
from functions.translate.ports import MANAGEMENT, OTHER, Port
from functions.translate.scene import Scene
from functions.translate.spec import Spec
from functions.translate.wiring import Lag, Use

_MTU_MAX = 65_536

SWITCH_LOOPBACKS = (("Loopback1", "protocolIP", "Protocol loopback"), ("Loopback2", "vtepIP", "VTEP loopback"))
"""The loopbacks of a switch: its own name for them, the field that calls for one, and the agent's description."""

FALLING_BACK = ("bundled", "eslag", "mclag")
"""The variants of a connection whose LAG may let a single port work before the server speaks LACP."""

GATEWAY_LOOPBACKS = (("lo", "protocolIP", "Protocol loopback"), ("vtep", "vtepIP", "VTEP"))


def translate(scene: Scene) -> Iterator[Record]:
    """The interfaces of every switch, server and gateway, LAGs and parts of ports last (a real port keeps its name)."""
    over = overlay(scene)
    for device in of_kind(scene.inventory, SWITCH):
        yield from _switch(scene, device, over)
    for device in of_kind(scene.inventory, SERVER_KIND):
        for use in _used(scene, device):
            yield _interface(device, use.port, OTHER, {"enabled": True, "lag": _lag(use)})
    for device in of_kind(scene.inventory, GATEWAY_KIND):
        yield from _gateway(scene, device)
    for device in scene.inventory.devices:
        yield from _node(scene, device)
    for lag in scene.wiring.lags:
        if lag.device.writable and lag.name is not None:
            yield _bundle(lag, over)
    for leg in over.legs:
        if leg.vlan is not None and leg.device.writable:
            yield part(leg)


def _used(scene: Scene, device: Device) -> list[Use]:
    return scene.uses.get(device.key, [])


def _interface(
    device: Device, port: str, kind: str, fields: dict[str, Value], custom: Mapping[str, Json] | None = None
) -> Record:
    mac = macs.primary(device, port)
    own: dict[str, Value] = {"device": device.ref, "name": shorten(port, NAME_LIMIT), "type": kind}
    return Record(
        "interface",
        device.port_key(port),
        {**own, **fields, **({"primary_mac_address": mac} if mac else {})},
        {"fabric_source": device.thing.origin, **(custom or {})},
    )


def _switch(scene: Scene, device: Device, over: Overlay) -> Iterator[Record]:
    uses = {use.port: use for use in _used(scene, device)}
    ports = dict(device.ports.by_name)
    if not device.ports.closed:
        named = {MANAGEMENT: Port(MANAGEMENT, "1000base-t", management=True)}
        ports = named | {name: Port(name, OTHER) for name in uses if name not in named}
    on_when_free = device.thing.spec.flag("enableAllPorts")
    for port in ports.values():
        fields: dict[str, Value] = {
            "label": shorten(port.label or "", NAME_LIMIT),
            "mgmt_only": port.management,
        }
        if port.speed:
            fields["speed"] = port.speed
        if scene.snapshot.known("Connection"):
            fields |= _service(scene, port, uses.get(port.name), on_when_free)
        custom: dict[str, Json] = {"fabric_nos_name": port.nos_name, "fabric_breakout": port.breakout}
        if not port.management:
            key = device.port_key(port.name)
            routed, said = over.routing(key)
            fields |= over.switching(key) | routed
            custom |= said
        yield _interface(device, port.name, port.type, fields, custom)
    for name, field, text in SWITCH_LOOPBACKS:
        if device.thing.spec.text(field) and name not in ports:
            yield _loopback(device, name, text, {})


def _service(scene: Scene, port: Port, use: Use | None, on_when_free: bool) -> dict[str, Value]:
    """What the agent configures on a switch port because of its use, or of having none."""
    if port.management:
        return {"enabled": True, "description": "Management link", "mtu": None, "mark_connected": False, "lag": None}
    if use is None:
        free = {"description": "Unused", "mtu": None, "mark_connected": False, "lag": None}
        return {"enabled": on_when_free, **free}
    fields: dict[str, Value] = {"enabled": True, "mtu": use.mtu, "mark_connected": not use.cabled}
    if use.lag is None:
        return {**fields, "description": use.description, "lag": None}
    if use.lag.name is None:
        return fields
    prefix = f"PC{use.lag.channel} " if use.lag.channel else ""
    return {**fields, "description": shorten(prefix + use.description, DESCRIPTION_LIMIT), "lag": use.lag.ref}


def _lag(use: Use) -> Ref | None:
    return use.lag.ref if use.lag and use.lag.name is not None else None


def _gateway(scene: Scene, device: Device) -> Iterator[Record]:
    table = device.thing.spec.child("interfaces")
    own = {clean(key): table.child(key) for key in table.names()}
    names = sorted({name for name in own if name} | {use.port for use in _used(scene, device)})
    for name in names:
        port = own.get(name)
        fields: dict[str, Value] = {"enabled": True}
        if port is not None:
            fields["mtu"] = _mtu(port)
        yield _interface(device, name, OTHER, fields, {"fabric_nos_name": (port and port.text("kernel")) or name})
    for name, field, text in GATEWAY_LOOPBACKS:
        if device.thing.spec.text(field) and name not in names:
            mtu = device.thing.spec.number("vtepMTU", high=_MTU_MAX) if field == "vtepIP" else None
            yield _loopback(device, name, text, {"mtu": mtu} if mtu else {})


def _node(scene: Scene, device: Device) -> Iterator[Record]:
    """The management port of a node of the fabric, by the node's own identity: a gateway may come and go on it."""
    node = device.node or device.thing
    port = node.spec.text("management", "interface") if node.kind in (CONTROL_KIND, NODE_KIND) else None
    if port and device.writable and scene.snapshot.known("Connection"):
        fields: dict[str, Value] = {"enabled": True, "mgmt_only": True, "description": "Management link"}
        record = _interface(device, port, OTHER, fields, {"fabric_nos_name": port})
        custom = {**record.custom, "fabric_source": node.origin}
        yield replace(record, key=node_port(node, scene.fabric, port), custom=custom)


def _mtu(port: Spec) -> int | None:
    return port.number("mtu", high=_MTU_MAX)


def _loopback(device: Device, name: str, text: str, fields: dict[str, Value]) -> Record:
    return _interface(
        device, name, "virtual", {"enabled": True, "description": text, **fields}, {"fabric_nos_name": name}
    )


def _bundle(lag: Lag, over: Overlay) -> Record:
    fields: dict[str, Value] = {
        "device": lag.device.ref,
        "name": lag.name,
        "type": "lag",
        "label": shorten(lag.connection.name, NAME_LIMIT),
        "enabled": True,
    }
    if lag.description is not None:
        fields |= {"description": lag.description, "mtu": lag.mtu}
    if switched(lag):
        fields |= over.switching(lag.key)
    custom: dict[str, Json] = {"fabric_source": lag.connection.origin}
    if lag.description is not None:
        custom["fabric_nos_name"] = f"PortChannel{lag.channel}" if lag.channel else None
        custom["fabric_spec"] = told(fallback=any(lag.connection.spec.flag(key, "fallback") for key in FALLING_BACK))
    return Record("interface", lag.key, fields, custom)
