"""Switch profiles of our own making (their makers do not exist), and the port arithmetic that profiles stand for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

type Json = dict[str, Any]

VIRTUAL, LEAF, SPINE_100, SPINE_400, SPINE_800 = "vs", "orbital-l4808", "orbital-s3200", "orbital-s3240", "tern-s6480"
_LANES_4 = ["0", "1", "2", "3"]
_LANES_8 = ["0", "1", "2", "3", "4", "5", "6", "7"]
_EVEN_8 = ["0", "2", "4", "6"]
_PORT_PROFILES: dict[str, Json] = {
    "RJ45-1G": {"autoNegAllowed": True, "autoNegDefault": True, "speed": {"default": "1G", "supported": ["1G"]}},
    "SFP28-10G": {"speed": {"default": "10G", "supported": ["1G", "10G"]}},
    "SFP28-25G": {"speed": {"default": "25G", "supported": ["10G", "25G"]}},
    "QSFP28-100G": {
        "autoNegAllowed": True,
        "breakout": {
            "default": "1x100G",
            "supported": {
                "1x40G": {"offsets": ["0"]},
                "1x100G": {"offsets": ["0"]},
                "2x50G": {"offsets": ["0", "2"]},
                "4x10G": {"offsets": _LANES_4},
                "4x25G": {"offsets": _LANES_4},
            },
        },
    },
    "QSFPDD-400G": {
        "breakout": {
            "default": "1x400G",
            "supported": {
                "1x100G": {"offsets": ["0"]},
                "1x400G": {"offsets": ["0"]},
                "2x200G": {"offsets": ["0", "4"]},
                "4x100G": {"offsets": _EVEN_8},
                "8x50G": {"offsets": _LANES_8},
            },
        }
    },
    "OSFP-800G": {
        "autoNegAllowed": True,
        "breakout": {
            "default": "1x800G",
            "supported": {
                "1x400G": {"offsets": ["0"]},
                "1x800G": {"offsets": ["0"]},
                "2x400G": {"offsets": ["0", "4"]},
                "4x200G": {"offsets": _EVEN_8},
                "8x100G": {"offsets": _LANES_8},
            },
        },
    },
}
_STRIDE = {"QSFP28-100G": 4, "QSFPDD-400G": 8, "OSFP-800G": 8}
_LEAF_FEATURES = dict.fromkeys(("acls", "eslag", "l2vni", "l3vni", "mclag", "roce", "subinterfaces"), True)
_SPINE_FEATURES = {"acls": True, "roce": True}


def _profile(
    title: str,
    platform: str,
    silicon: str,
    features: Json,
    *rows: tuple[int, str],
    nos: str = "sonic-bcm-base",
    groups_of: int = 0,
    pipelines: int = 0,
    **more: Any,
) -> Json:
    """A profile spec from rows of (number of ports, port profile); `groups_of` ports share a port group."""
    ports: Json = {"M1": {"management": True, "nos": "Management0", "oniePortName": "eth0"}}
    groups: Json = {}
    number, lane = 0, 0
    for count, name in rows:
        for _ in range(count):
            number += 1
            label = str(number)
            if name in _STRIDE:
                port: Json = {"baseNOSName": f"Ethernet{lane}", "label": label, "nos": f"1/{label}", "profile": name}
            elif groups_of:
                group = str((number - 1) // groups_of + 1)
                groups[group] = {"nos": group, "profile": name}
                port = {"group": group, "label": label, "nos": f"Ethernet{lane}"}
            else:
                port = {"label": label, "nos": f"Ethernet{lane}", "profile": name}
            if pipelines and name in _STRIDE:
                port["pipeline"] = str((number - 1) * pipelines // count + 1)
            ports[f"E1/{label}"] = port
            lane += _STRIDE.get(name, 1)
    spec: Json = {
        "config": {},
        "displayName": title,
        "features": features,
        "nosType": nos,
        "platform": platform,
        "portProfiles": {name: _PORT_PROFILES[name] for _, name in rows},
        "ports": ports,
        "switchSilicon": silicon,
    }
    if groups:
        spec["portGroups"] = groups
    if pipelines:
        most = (rows[0][0] // pipelines) * 8
        spec["pipelines"] = {str(n): {"maxPorts": most} for n in range(1, pipelines + 1)}
        spec["maxPorts"] = rows[0][0] * 8
    return spec | more


@cache
def profiles() -> Mapping[str, Json]:
    """All profiles by name: specs of SwitchProfile objects, not to be changed."""
    return {
        VIRTUAL: _profile(
            "Virtual Switch", "x86_64-sandbox_vs-r0", "vs", _LEAF_FEATURES, (40, "SFP28-25G"),
            nos="sonic-bcm-vs", groups_of=8, config={"maxPathsEBGP": 16},
        ),
        LEAF: _profile(
            "Orbital L4808", "x86_64-orbital_l4808-r0", "Imaginary T3 2.0T", _LEAF_FEATURES,
            (48, "SFP28-25G"), (8, "QSFP28-100G"), otherNames=["Orbital Kestrel"],
        ),
        SPINE_100: _profile(
            "Orbital S3200", "x86_64-orbital_s3200-r0", "Imaginary T3 3.2T", _LEAF_FEATURES,
            (32, "QSFP28-100G"), (1, "SFP28-10G"), otherNames=["Orbital Osprey", "Orbital S3200-R"],
        ),
        SPINE_400: _profile(
            "Orbital S3240", "x86_64-orbital_s3240-r0", "Imaginary H3", _SPINE_FEATURES,
            (32, "QSFPDD-400G"), (1, "SFP28-10G"), pipelines=8,
        ),
        SPINE_800: _profile(
            "Tern S6480", "x86_64-tern_s6480-r0", "Imaginary H5", _SPINE_FEATURES, (64, "OSFP-800G"),
            (2, "SFP28-25G"), pipelines=16, notes="Upper rows supply up to 24 W per port.",
        ),
        "tern-c4804": _profile(
            "Tern C4804", "x86_64-tern_c4804-r0", "Imaginary C3", {"acls": True, "l3vni": True}, (48, "RJ45-1G"),
            (4, "SFP28-25G"), nos="sonic-bcm-campus", notes="No subinterfaces.", config={"maxPathsEBGP": 16},
        ),
    }  # fmt: skip


def without_pipelines(spec: Mapping[str, Any]) -> Json:
    """A profile as it was before v0.99, when port limits were not yet told."""
    ports = {name: {k: v for k, v in port.items() if k != "pipeline"} for name, port in spec["ports"].items()}
    return {key: value for key, value in spec.items() if key not in ("pipelines", "maxPorts")} | {"ports": ports}


def annotation(spec: Mapping[str, Any]) -> str:
    """The port summary that the webhook writes beside a profile: `48xSFP28-25G, 8xQSFP28-100G`."""
    counts: dict[str, int] = {}
    for port in spec["ports"].values():
        name = port_profile(spec, port)
        if name:
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count}x{name}" for name, count in counts.items())


def port_profile(spec: Mapping[str, Any], port: Mapping[str, Any]) -> str | None:
    """The name of a port's profile, its own or its group's; None for the management port."""
    name = port.get("profile") or spec.get("portGroups", {}).get(port.get("group"), {}).get("profile")
    return str(name) if name else None


def breakout_of(spec: Mapping[str, Any], cage: str) -> Mapping[str, Any] | None:
    """The breakout part of a port's profile, or None for a port of fixed lanes."""
    port = spec["ports"].get(cage)
    name = port_profile(spec, port) if port else None
    return spec["portProfiles"][name].get("breakout") if name else None


def mode_of(spec: Mapping[str, Any], cage: str, breakouts: Mapping[str, str]) -> str | None:
    """The breakout mode in use: the switch's own, or the default of the profile."""
    breakout = breakout_of(spec, cage)
    return breakouts.get(cage, breakout["default"]) if breakout else None


def lanes(spec: Mapping[str, Any], cage: str, breakouts: Mapping[str, str]) -> tuple[str, ...]:
    """The API names of what one cage offers in its mode: `E1/1`, or `E1/49/1` … `E1/49/4`."""
    breakout, mode = breakout_of(spec, cage), mode_of(spec, cage, breakouts)
    if breakout is None or mode is None:
        return (cage,)
    return tuple(f"{cage}/{lane}" for lane in range(1, len(breakout["supported"][mode]["offsets"]) + 1))


def available(spec: Mapping[str, Any], breakouts: Mapping[str, str]) -> tuple[str, ...]:
    """All data ports of a switch, in the order of the front panel."""
    return tuple(
        lane
        for cage, port in spec["ports"].items()
        if not port.get("management")
        for lane in lanes(spec, cage, breakouts)
    )


def normalise(spec: Mapping[str, Any], port: str) -> str:
    """The one name of a port: `E1/49` is `E1/49/1` where the cage has a breakout profile."""
    return f"{port}/1" if breakout_of(spec, port) else port


def cage_of(port: str) -> str:
    """The cage of a port or lane: `E1/49` for `E1/49/2`."""
    return "/".join(port.split("/")[:2])


def speed_of(spec: Mapping[str, Any], port: str, breakouts: Mapping[str, str]) -> str:
    """The speed of a port or lane as the agent prints it: `25G`."""
    cage = cage_of(port)
    mode = mode_of(spec, cage, breakouts)
    if mode:
        return mode.split("x")[1]
    name = port_profile(spec, spec["ports"][cage])
    return str(spec["portProfiles"][name]["speed"]["default"]) if name else "1G"
