"""What a device tells of itself and is set to: the generations, versions and serial number of its agent, its settings.

The heartbeat, which moves every 15 seconds, is not among it: what is written here is written when it changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from functions.records import Json
from functions.translate.inventory import GATEWAY_KIND, SWITCH, Device
from functions.translate.issues import Code
from functions.translate.names import DESCRIPTION_LIMIT, PART_NUMBER_LIMIT, clean, shorten
from functions.translate.scene import Scene
from functions.translate.spec import GENERATION_MAX, Spec, Thing, things

AGENTS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    SWITCH: ("Agent", ("version",), ("state", "nos", "softwareVersion")),
    GATEWAY_KIND: ("GatewayAgent", ("agentVersion",), ("state", "dataplane", "version")),
}
"""By kind of device: the kind that tells its state (by the same name), and where in its status the versions are.

What forwards the packets of a gateway is its dataplane: its version stands where a switch has that of its NOS.
"""

FIELDS = ("fabric_applied_gen", "fabric_desired_gen", "fabric_ready", "fabric_agent_version", "fabric_nos_version")
"""The custom fields of a device's state."""

_NUMBER_MAX = 4_294_967_295


def agents(scene: Scene) -> Mapping[tuple[str, str], Thing]:
    """The agents of switches and gateways by (kind of device, name)."""
    return {
        (device, thing.name): thing
        for device, (kind, _, _) in AGENTS.items()
        for thing in things(scene.snapshot, kind, scene.notes)
    }


def custom(scene: Scene, device: Device, agent: Thing | None) -> dict[str, Json]:
    """The custom fields of the device's state: none when agents are unread, all empty for one that has none yet."""
    kind, version, software = AGENTS.get(device.thing.kind, ("", (), ()))
    if not kind or not scene.snapshot.known(kind):
        return {}
    if agent is None:
        return dict.fromkeys(FIELDS)
    status, desired = agent.status, agent.generation
    applied = status.number("lastAppliedGen", high=GENERATION_MAX)
    ready = applied == desired if desired else None
    return dict(zip(FIELDS, (applied, desired, ready, _short(status, version), _short(status, software)), strict=True))


def _short(status: Spec, path: tuple[str, ...]) -> str | None:
    text = status.text(*path)
    return shorten(text, DESCRIPTION_LIMIT) if text else None


def serial(scene: Scene, device: Device, agent: Thing | None) -> str | None:
    """The serial number of a switch: what it tells itself goes before what its object says.

    None while the agents are unread, lest the number change with what could be read.
    """
    if device.thing.kind != SWITCH or not scene.snapshot.known("Agent"):
        return None
    given = device.thing.spec.text("boot", "serial")
    told = agent.status.text("state", "nos", "serialNumber") if agent else None
    if given and told and given != told:
        text = f"has the serial number {told} by its agent, not {given} (boot.serial): the agent's is shown"
        scene.notes.add(device.thing.source, Code.SERIAL_MISMATCH, text)
    found = told or given
    return shorten(found, PART_NUMBER_LIMIT) if found else None


def settings(device: Device) -> dict[str, Json] | None:
    """What a switch or gateway is set to and NetBox has no field for: the key `hedgehog` of its local context.

    None for devices that the fabric does not configure. What is not set is left out.
    """
    spec = device.thing.spec
    if device.thing.kind == SWITCH:
        return {"hedgehog": _told(_switch(spec))}
    if device.thing.kind == GATEWAY_KIND:
        return {"hedgehog": _told(_gateway(spec))}
    return None


def _told(values: Mapping[str, Json]) -> dict[str, Json]:
    """`values` without null, false, "" and empty objects and lists; a 0 stays (a priority, an interval)."""
    return {name: value for name, value in values.items() if value or (value == 0 and value is not False)}


def _switch(spec: Spec) -> dict[str, Json]:
    flap = spec.child("linkFlapErrDisable")
    return {
        "profile": spec.text("profile"),
        "vlanNamespaces": sorted(spec.texts("vlanNamespaces")),
        "roce": spec.flag("roce"),
        "ecmp": _told({"roceQPN": spec.flag("ecmp", "roceQPN")}),
        "redundancy": _told({name: spec.text("redundancy", name) for name in ("group", "type")}),
        "enableAllPorts": spec.flag("enableAllPorts"),
        "portAutoNegs": {clean(port): spec.flag("portAutoNegs", port) for port in spec.names("portAutoNegs")},
        "linkFlapErrDisable": _told(
            {
                name: flap.number(name, high=_NUMBER_MAX, zero=True)
                for name in ("flapThreshold", "recoveryInterval", "samplingInterval")
            }
        ),
        **{
            name: _told({clean(port): spec.text(name, port) for port in spec.names(name)})
            for name in ("portFECs", "portSpeeds", "portGroupSpeeds", "portBreakouts")
        },
    }


def _gateway(spec: Spec) -> dict[str, Json]:
    logs, rate = spec.child("logs"), spec.child("logs", "rateLimit")
    ports = spec.child("interfaces")
    neighbors = [_neighbor(one) for one in spec.children("neighbors")]
    return {
        "workers": spec.number("workers", high=_NUMBER_MAX),
        "flowTableCapacity": spec.number("flowTableCapacity", high=_NUMBER_MAX),
        "profiling": spec.flag("profiling", "enabled"),
        "logs": _told(
            {
                "default": logs.text("default"),
                "tags": _told({clean(tag): logs.text("tags", tag) for tag in logs.names("tags")}),
                "rateLimit": _told(
                    {name: rate.number(name, high=_NUMBER_MAX) for name in ("burst", "replenishPerSecond")}
                ),
            }
        ),
        "groups": {
            name: group.number("priority", high=_NUMBER_MAX) or 0
            for group in spec.children("groups")
            if (name := group.text("name"))
        },
        "neighbors": sorted((one for one in neighbors if one), key=lambda one: json.dumps(one, sort_keys=True)),
        "pci": _told({clean(port): ports.text(port, "pci") for port in ports.names()}),
    }


def _neighbor(one: Spec) -> dict[str, Json]:
    asn = one.number("asn", high=_NUMBER_MAX)
    return _told({"ip": one.text("ip"), "asn": asn, "source": one.text("source")})
