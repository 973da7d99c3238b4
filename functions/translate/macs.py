"""MAC addresses: the one a switch boots with, and the one behind a gateway's VTEP."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Record, Ref
from functions.translate.inventory import GATEWAY_KIND, SWITCH, Device, of_kind
from functions.translate.networks import as_mac
from functions.translate.ports import MANAGEMENT
from functions.translate.scene import Scene

SLOTS = {SWITCH: (MANAGEMENT, ("boot", "mac"), None), GATEWAY_KIND: ("vtep", ("vtepMAC",), "vtepIP")}
"""By kind of device: the interface, the field of its MAC address, and the field that calls for the interface."""


def translate(scene: Scene) -> Iterator[Record]:
    """A record per address, on its interface; the interface names it as its primary one."""
    for kind in SLOTS:
        for device in of_kind(scene.inventory, kind):
            if (found := _mac(device)) is not None:
                yield Record(
                    "mac_address",
                    found[0].key,
                    {"mac_address": found[1], "assigned_object": Ref("interface", device.port_key(SLOTS[kind][0]))},
                    {"fabric_source": device.thing.origin},
                )


def primary(device: Device, port: str) -> Ref | None:
    """The MAC address of the device's port; None if the fabric names none."""
    slot = SLOTS.get(device.thing.kind)
    found = _mac(device) if slot is not None and slot[0] == port else None
    return found and found[0]


def _mac(device: Device) -> tuple[Ref, str] | None:
    port, path, condition = SLOTS[device.thing.kind]
    spec = device.thing.spec
    text = spec.text(*path)
    if text is None or (condition is not None and spec.text(condition) is None):
        return None
    mac = as_mac(text)
    if mac is None:
        spec.malformed(path, f"is {text}, which is no MAC address")
        return None
    return Ref("mac_address", f"{device.key}#mac:{port}"), mac
