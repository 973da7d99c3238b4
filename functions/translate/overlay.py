"""What tenants put on the interfaces of switches: VLANs, VRFs, and virtual interfaces on ports that are routed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.records import Json, Record, Value
from functions.translate import legs as routed
from functions.translate.attachments import Vlans, attachments, vlans
from functions.translate.inventory import SWITCH
from functions.translate.legs import Leg, legs
from functions.translate.scene import Scene
from functions.translate.wiring import Lag


@dataclass(frozen=True, slots=True)
class Overlay:
    """All that tenants need of the switches' interfaces.

    `carried` are the VLANs by interface key, None when they cannot be known. `ports` are the legs that are a port
    itself, by its key; `settled` is whether a port without one is in no VRF.
    """

    carried: Mapping[str, Vlans] | None
    legs: tuple[Leg, ...]
    ports: Mapping[str, Leg]
    settled: bool

    def switching(self, key: str) -> dict[str, Value]:
        """The VLANs of a data port or LAG: the fabric alone decides them, so that one without has none."""
        return {} if self.carried is None else self.carried.get(key, Vlans()).fields

    def routing(self, key: str) -> tuple[dict[str, Value], dict[str, Json]]:
        """The VRF of a data port, and what its custom field says of it."""
        leg = self.ports.get(key)
        if not self.settled or (leg and not leg.vrf_known):
            return {}, {}
        return ({"vrf": leg.vrf}, {"fabric_spec": leg.spec}) if leg else ({"vrf": None}, {"fabric_spec": None})


def overlay(scene: Scene) -> Overlay:
    """Work out what attachments, externals and hosts that speak BGP need."""
    attached = attachments(scene)
    found = tuple(legs(scene, attached))
    ports: dict[str, Leg] = {}
    for leg in found:
        if leg.vlan is None:
            ports.setdefault(leg.key, leg)
    return Overlay(vlans(scene, attached), found, ports, scene.snapshot.known(*routed.KINDS))


def part(leg: Leg) -> Record:
    """The virtual interface that a leg on a VLAN is."""
    fields: dict[str, Value] = {
        "device": leg.device.ref,
        "name": leg.name,
        "type": "virtual",
        "parent": leg.parent,
        "enabled": True,
        "description": leg.description,
    }
    if leg.vrf_known:
        fields["vrf"] = leg.vrf
    return Record("interface", leg.key, fields, {"fabric_source": leg.thing.origin, "fabric_spec": leg.spec})


def switched(lag: Lag) -> bool:
    """Whether a LAG is a switch's and leads to a server: only then are its VLANs those of attachments."""
    return lag.device.thing.kind == SWITCH and not lag.connection.spec.has("mclagDomain")
