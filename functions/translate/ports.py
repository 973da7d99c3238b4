"""Port math: which ports a switch has, from its profile and its own breakouts and speeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from functions.translate.issues import Code
from functions.translate.names import clean
from functions.translate.spec import Spec

OTHER = "other"
MANAGEMENT_TYPE = "1000base-t"
MANAGEMENT = "M1"

PORT_TYPES: Mapping[str, str] = {
    "SFP28-25G": "25gbase-x-sfp28",
    "SFP28-10G": "10gbase-x-sfpp",
    "RJ45-1G": "1000base-t",
    "RJ45-2.5G": "2.5gbase-t",
    "RJ45-10G": "10gbase-t",
    "QSFP28-100G-nb": "100gbase-x-qsfp28",
}
"""NetBox interface type by the name of a port profile without breakout."""

_LOW_SPEEDS = {"40G": "40gbase-x-qsfpp", "25G": "25gbase-x-sfp28", "10G": "10gbase-x-sfpp"}
_QSFP28 = {"100G": "100gbase-x-qsfp28", "50G": "50gbase-x-sfp28", **_LOW_SPEEDS}
_QSFPDD = {
    "400G": "400gbase-x-qsfpdd",
    "200G": "200gbase-x-qsfp56",
    "100G": "100gbase-x-qsfp28",
    "50G": "50gbase-x-sfp56",
    **_LOW_SPEEDS,
}
_OSFP = {
    "800G": "800gbase-x-osfp",
    "400G": "400gbase-x-osfp",
    "200G": "200gbase-x-qsfpdd",
    "100G": "100gbase-x-sfp112",
    "50G": "50gbase-x-sfp56",
    **_LOW_SPEEDS,
}
LANE_TYPES: Mapping[str, Mapping[str, str]] = {
    "QSFP28-100G": _QSFP28,
    "QSFPDD-400G": _QSFPDD,
    "QSFP56DD-400G": _QSFPDD,
    "OSFP-800G": _OSFP,
    "OSFP-2x400G": _OSFP,
}
"""NetBox interface type of one lane, by the name of a breakout profile and the lane's speed."""

_MODE = re.compile(r"([1248])x(?:SPEED_)?(\d{1,5}(?:\.\d{1,3})?G)")
_SPEED = re.compile(r"(?:SPEED_)?(\d{1,5}(?:\.\d{1,3})?)([GM])")
_OFFSET = re.compile(r"\d{1,4}")
_KBITS = {"G": 1_000_000, "M": 1_000}
_BASE_NAME = re.compile(r"Ethernet(\d{1,6})")
_SUBINTERFACE = re.compile(r"(E\d+/\d+(?:/\d+)?)\.\d+")


@dataclass(frozen=True, slots=True)
class Port:
    """One usable port of a switch, under its normalised name (`M1`, `E1/1`, `E1/49/1`).

    `label` is the number on the front panel, `speed` kbit/s, `nos_name` the name on the switch itself and `breakout`
    the mode and lane (`4x25G lane 2/4`); each None when it is not known or does not apply.
    """

    name: str
    type: str
    label: str | None = None
    speed: int | None = None
    nos_name: str | None = None
    breakout: str | None = None
    management: bool = False


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one device by normalised name, and the cages that are always addressed by lane.

    `closed` is false where the ports cannot be listed (servers, gateways, switches of an unknown profile): there
    every port that something names exists.
    """

    by_name: Mapping[str, Port] = field(default_factory=dict)
    cages: frozenset[str] = frozenset()
    closed: bool = False

    def normalise(self, name: str) -> str:
        """The one name of a port: `E1/49` is `E1/49/1` where the cage has a breakout profile, even at `1x100G`.

        Source: `SwitchProfileSpec.NormalizePortName` of the Fabric; `.subif` at the end names no other port.
        """
        if part := _SUBINTERFACE.fullmatch(name):
            name = part[1]
        return f"{name}/1" if name in self.cages else name

    def get(self, name: str) -> Port | None:
        """The port of that normalised name; None if the device cannot have it."""
        return self.by_name.get(name) or (None if self.closed else Port(name, OTHER))


def kbits(speed: str) -> int | None:
    """`25G`, `2.5G`, `SPEED_25G` or `100M` in kbit/s; None if it is none of these or zero."""
    part = _SPEED.fullmatch(speed)
    return round(float(part[1]) * _KBITS[part[2]]) or None if part else None


def lanes(mode: str) -> tuple[int, str] | None:
    """The number of lanes and the speed of each in a breakout mode: `4x25G` is (4, "25G"); None if it is no mode."""
    part = _MODE.fullmatch(mode)
    return (int(part[1]), part[2]) if part else None


def ports_of(profile: Spec, switch: Spec, *, virtual: bool) -> Ports:
    """Every port that a switch has now.

    `profile` is the spec of its SwitchProfile and `switch` its own; `virtual` switches have no connectors, so that
    their data ports are of type `other`. What cannot be used is noted at the object that holds it.
    Source: `GetAvailableAPIPorts` and `GetAPI2NOSPortsFor` of the Fabric.
    """
    found: dict[str, Port] = {}
    cages: set[str] = set()
    overrides = {clean(cage) for cage in switch.names("portBreakouts")}
    for raw in profile.names("ports"):
        name, port = clean(raw), profile.child("ports", raw)
        if port.flag("management"):
            found[name] = Port(name, MANAGEMENT_TYPE, port.text("label"), None, port.text("nos"), management=True)
            continue
        group = port.text("group")
        kind = profile.text("portGroups", group, "profile") if group else port.text("profile")
        rules = profile.child("portProfiles", kind or "")
        if kind and not rules.data:
            profile.malformed(("ports", raw), f"is of profile {kind}, which portProfiles does not describe")
        if rules.has("breakout"):
            cages.add(name)
            found.update((lane.name, lane) for lane in _broken_out(name, port, kind or "", rules, switch, virtual))
        else:
            found[name] = _plain(name, port, group, kind, rules, switch, virtual)
    found.setdefault(MANAGEMENT, Port(MANAGEMENT, MANAGEMENT_TYPE, management=True))
    for cage in sorted(overrides - cages):
        switch.notes.add(
            switch.source, Code.PORT_NOT_IN_PROFILE, f"portBreakouts names {cage}, which cannot be broken out"
        )
    return Ports(found, frozenset(cages), closed=True)


def _plain(
    name: str, port: Spec, group: str | None, kind: str | None, rules: Spec, switch: Spec, virtual: bool
) -> Port:
    where = ("portGroupSpeeds", group) if group else ("portSpeeds", name)
    own = switch.text(*where)
    speed = own or rules.text("speed", "default")
    if own and kbits(own) is None:
        switch.malformed(where, f"is {own}, which is no speed")
    kind_type = OTHER if virtual else PORT_TYPES.get(kind or "", OTHER)
    return Port(name, kind_type, port.text("label"), kbits(speed) if speed else None, port.text("nos"))


def _broken_out(cage: str, port: Spec, kind: str, rules: Spec, switch: Spec, virtual: bool) -> Iterator[Port]:
    own = switch.text("portBreakouts", cage)
    mode = (own or rules.text("breakout", "default") or "").replace("SPEED_", "")
    parts = lanes(mode)
    if parts is None:
        holder, path = (switch, ("portBreakouts", cage)) if own else (port, ("profile",))
        holder.malformed(path, f"leads to the breakout mode {mode!r}, which is none")
        return
    count, speed = parts
    if not rules.child("breakout", "supported").has(mode):
        text = f"{cage} is broken out as {mode}, which its profile does not support: names on the switch are unknown"
        switch.notes.add(switch.source, Code.UNKNOWN_MODE, text)
    offsets = rules.texts("breakout", "supported", mode, "offsets")
    base = _BASE_NAME.fullmatch(port.text("baseNOSName") or "")
    for lane in range(1, count + 1):
        nos_name = None
        if base and len(offsets) == count and _OFFSET.fullmatch(offsets[lane - 1]):
            nos_name = f"Ethernet{int(base[1]) + int(offsets[lane - 1])}"
        yield Port(
            f"{cage}/{lane}",
            OTHER if virtual else LANE_TYPES.get(kind, {}).get(speed, OTHER),
            port.text("label"),
            kbits(speed),
            nos_name,
            f"{mode} lane {lane}/{count}",
        )
