"""Agents of switches and gateways: a full copy of the configuration (with fake secrets), and the state of the box."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.admission import endpoints, make
from infra.sandbox.fabric.offering import Release

type Json = dict[str, Any]
type Specs = Mapping[str, Mapping[str, Json]]

FAKE_SECRETS = (
    "$5$sandbox$FAKEPASSWORDHASHofNobody0123456789abcdefghi",
    "ssh-ed25519 AAAAFAKEKEYOFNOBODYAAAAFAKEKEYOFNOBODY nobody@sandbox",
    "FAKE-registry-password-of-nobody",
    "-----BEGIN CERTIFICATE-----\nRkFLRS1DQS1PRi1OT0JPRFk=\n-----END CERTIFICATE-----\n",
)
"""What must never be seen outside `observe`: they are in every Agent, and protect nothing."""

_TIME = "2026-01-05T09:00:00Z"
_HASH, _KEY, _REGISTRY, _CA = FAKE_SECRETS


@dataclass(slots=True)
class Surroundings:
    """What concerns one switch: its connections, what hangs on them, and who is at the other ends."""

    connections: dict[str, Json] = field(default_factory=dict)
    attachments: dict[str, Json] = field(default_factory=dict)
    external_attachments: dict[str, Json] = field(default_factory=dict)
    vpcs: dict[str, bool] = field(default_factory=dict)
    peers: set[str] = field(default_factory=set)


def surroundings(specs: Specs) -> dict[str, Surroundings]:
    """The surroundings of every switch, in one pass over the fabric."""
    found = {name: Surroundings() for name in specs["Switch"]}
    on: dict[str, list[Surroundings]] = {}
    for name, spec in specs["Connection"].items():
        devices = {device for _, device, _ in endpoints(spec)} & found.keys()
        on[name] = [found[device] for device in sorted(devices)]
        for around in on[name]:
            around.connections[name] = spec
            around.peers |= devices
    for name, spec in specs["VPCAttachment"].items():
        for around in on.get(spec["connection"], ()):
            around.attachments[name] = spec
            around.vpcs[spec["subnet"].partition("/")[0]] = True
    for name, spec in specs["ExternalAttachment"].items():
        for around in on.get(spec["connection"], ()):
            around.external_attachments[name] = spec
    return found


def agent(name: str, specs: Specs, around: Surroundings, catalog: Json, release: Release) -> Json:
    """The Agent of a switch; `catalog` is what the catalogs hold for it."""
    switch = specs["Switch"][name]
    profile = specs["SwitchProfile"].get(switch["profile"], {"ports": {}, "portProfiles": {}})
    mine = around.connections
    group = (switch.get("redundancy") or {}).get("group")
    spec: Json = {
        "alloy": {},
        "attachedVPCs": dict(sorted(around.vpcs.items())),
        "catalog": catalog,
        "config": _config(release),
        "connections": mine,
        "description": switch.get("description", ""),
        "externalAttachments": around.external_attachments,
        "ipv4Namespaces": dict(specs["IPv4Namespace"]),
        "redundancyGroupPeers": sorted(
            other
            for other, s in specs["Switch"].items()
            if group and other != name and (s.get("redundancy") or {}).get("group") == group
        ),
        "role": switch["role"],
        "statusUpdates": [{"name": name, "namespace": "default"}],
        "switch": switch,
        "switchProfile": profile,
        "switches": {other: specs["Switch"][other] for other in sorted(around.peers | {name})},
        "users": [
            {"name": "admin", "password": _HASH, "role": "admin", "sshKeys": [_KEY]},
            {"name": "op", "password": _HASH, "role": "operator", "sshKeys": [_KEY]},
        ],
        "version": {
            "ca": _CA,
            "default": "v0.126.0",
            "password": _REGISTRY,
            "repo": "172.30.0.1:31000/sandbox/agent",
            "username": "sandbox-reader",
        },
        "vlanNamespaces": dict(specs["VLANNamespace"]),
        "vpcAttachments": around.attachments,
        "vpcs": {vpc: specs["VPC"][vpc] for vpc in sorted(around.vpcs) if vpc in specs["VPC"]},
    }
    made = make("Agent", name, spec, release=release)
    made["metadata"]["labels"] = make("Switch", name, {**switch}, release=release)["metadata"]["labels"]
    made["status"] = _status(name, switch, profile, mine, specs, release)
    return made


def _config(release: Release) -> Json:
    config: Json = {
        "baseVPCCommunity": "50000:0",
        "controlVIP": "172.30.0.1/32",
        "defaultMaxPathsEBGP": 64,
        "eslagESIPrefix": "00:f2:00:00:",
        "eslagMACBase": "f2:00:00:00:00:00",
        "fabricMTU": 9100,
        "fabricSubnet": "172.30.128.0/17",
        "gatewayASN": 65534,
        "protocolSubnet": "172.30.8.0/22",
        "serverFacingMTUOffset": 64,
        "vtepSubnet": "172.30.12.0/22",
    }
    return config | {"spineASN": 65100} if release is Release.V0_126 else config


def _status(name: str, switch: Json, profile: Json, mine: Mapping[str, Json], specs: Specs, release: Release) -> Json:
    identity = hashlib.sha256(name.encode()).hexdigest()
    ends = _far_ends(name, profile, mine)
    breakouts = switch.get("portBreakouts") or {}
    cages = [cage for cage in profile["ports"] if profiles.breakout_of(profile, cage)]
    state: Json = {
        "bgpNeighbors": {"default": _neighbours(name, switch, mine, specs)},
        "breakouts": {
            cage: {"mode": profiles.mode_of(profile, cage, breakouts), "status": "Completed"} for cage in cages
        },
        "firmware": {"bios": "1.0"},
        "interfaces": _interfaces(identity, switch, profile, ends),
        "nos": {
            "asicVersion": "imaginary",
            "hwskuVersion": profile.get("displayName", "").replace(" ", "-"),
            "mfgName": profile.get("displayName", "").partition(" ")[0],
            "platformName": profile.get("platform", ""),
            "serialNumber": switch.get("boot", {}).get("serial") or f"SN-{name.upper()}",
            "softwareVersion": "4.5.2-Sandbox_Base",
            "uptime": "09:00:00 up 1 day,  1:00,  0 users,  load average: 0.10, 0.20, 0.30",
        },
        "platform": {"fans": {f"FAN {n}": {"presence": True, "speed": 9000, "status": True} for n in range(1, 5)}},
        "transceivers": {
            profiles.cage_of(port): {
                "cable": "fiber",
                "formFactor": "SFP28" if port.count("/") == 1 else "QSFP28",
                "present": "PRESENT",
                "serial": f"TR{identity[:6].upper()}{number:04d}",
                "vendor": "Imaginary Optics",
                "vendorPart": "IO-SR",
            }
            for number, port in enumerate(ends)
        },
    }
    if switch.get("roce"):
        state["roce"] = True
    status: Json = {
        "bootID": f"{identity[:8]}-0000-4000-8000-000000000003",
        "conditions": [
            {
                "lastTransitionTime": _TIME,
                "message": "",
                "reason": "ApplySucceeded",
                "status": "True",
                "type": "Applied",
            }
        ],
        "installID": f"{identity[:8]}-0000-4000-8000-000000000001",
        "lastAppliedTime": _TIME,
        "lastAttemptTime": _TIME,
        "lastHeartbeat": _TIME,
        "runID": f"{identity[:8]}-0000-4000-8000-000000000002",
        "state": state,
        "version": f"{release}.0",
    }
    return status if release is Release.V0_87 else status | {"rebootRequired": False}


def _far_ends(name: str, profile: Json, mine: Mapping[str, Json]) -> dict[str, tuple[str, str]]:
    """Own port (normalised) → far device and port, link by link."""
    found: dict[str, tuple[str, str]] = {}
    for spec in mine.values():
        body = next(iter(spec.values()))
        links = [link for key in ("links", "peerLinks", "sessionLinks") for link in body.get(key, ())]
        for link in links or [body.get("link", {})]:
            ends = [tuple(end["port"].split("/", 1)) for end in link.values()]
            for number, (device, port) in enumerate(ends):
                if device == name:
                    other = ends[1 - number] if len(ends) == 2 else ("", "")
                    found[profiles.normalise(profile, port)] = (other[0], other[1])
    return found


def _interfaces(identity: str, switch: Json, profile: Json, ends: Mapping[str, tuple[str, str]]) -> Json:
    breakouts = switch.get("portBreakouts") or {}
    mac = f"0c:20:12:{identity[0:2]}:{identity[2:4]}:{{:02x}}"
    made: Json = {"M1": {"admin": "up", "enabled": True, "mac": mac.format(0), "oper": "up", "speed": "1G"}}
    for number, port in enumerate(profiles.available(profile, breakouts), start=1):
        far = ends.get(port)
        up = far is not None
        made[port] = {
            "admin": "up" if up or switch.get("enableAllPorts") else "down",
            "counters": {"inb": 1000 * number, "outb": 2000 * number},
            "enabled": up or bool(switch.get("enableAllPorts")),
            "mac": mac.format(number % 256),
            "oper": "up" if up else "down",
            "speed": profiles.speed_of(profile, port, breakouts),
        }
        if far and far[0]:
            made[port]["lldpNeighbors"] = [{"portID": far[1], "sysDescr": "sandbox", "sysName": far[0]}]
    return made


def _neighbours(name: str, switch: Json, mine: Mapping[str, Json], specs: Specs) -> Json:
    found: Json = {}
    for spec in mine.values():
        for link in next(iter(spec.values())).get("links", ()):
            for end in link.values():
                device = end["port"].partition("/")[0]
                known = specs["Switch"].get(device) or specs["Gateway"].get(device)
                if "ip" in end and device != name and known:
                    found[str(ipaddress.ip_interface(end["ip"]).ip)] = {
                        "enabled": True,
                        "localAS": switch["asn"],
                        "peerAS": known["asn"],
                        "peerType": "external",
                        "state": "established",
                    }
    return found


def gateway_agent(name: str, specs: Specs, release: Release) -> Json:
    """The GatewayAgent of a gateway."""
    gateway = specs["Gateway"][name]
    members = [
        {"name": other, "priority": group.get("priority", 0), "vtepIP": spec["vtepIP"]}
        for other, spec in specs["Gateway"].items()
        for group in spec["groups"]
    ]
    spec = {
        "communities": {str(n): f"50001:{n}" for n in range(10)},
        "config": {"fabricBFD": True},
        "gateway": gateway,
        "groups": {"default": {"members": members}},
    }
    made = make("GatewayAgent", name, spec, release=release)
    session = {"enabled": True, "localAS": gateway["asn"], "sessionState": "established"}
    neighbors = {n["ip"]: session | {"peerAS": n["asn"]} for n in gateway["neighbors"]}
    made["status"] = {
        "agentVersion": f"{release}.0",
        "lastAppliedTime": _TIME,
        "lastHeartbeat": _TIME,
        "state": {
            "bgp": {"vrfs": {"default": {"neighbors": neighbors}}},
            "dataplane": {"version": "v0.24.0"},
            "frr": {},
            "lastCollectedTime": _TIME,
        },
    }
    return made
