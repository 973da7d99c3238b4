"""Switches, servers and the wires between them: every variant of a connection."""

from __future__ import annotations

from itertools import combinations, cycle
from typing import Any

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.offering import Release
from infra.sandbox.fabric.plan import LEAF_ASN, SPINE_ASN, Draft, SwitchPlan, TopologyError, numbered

type Json = dict[str, Any]

_LEAF_CAGES = tuple(f"E1/{number}" for number in range(49, 57))
_SPINE_CHOICES = (  # profile, breakout mode of all cages, lanes
    (profiles.SPINE_100, "1x100G", 32),
    (profiles.SPINE_400, "2x200G", 64),
    (profiles.SPINE_400, "4x100G", 128),
    (profiles.SPINE_400, "8x50G", 256),
    (profiles.SPINE_800, "8x100G", 512),
)

_TURNS = {1: ("unbundled", "bundled"), 2: ("both", "both", "bundled", "unbundled")}
"""What the servers of a rack get, in turn; "both" is ESLAG or MCLAG over both leaves."""


def add_namespaces(draft: Draft) -> None:
    """The namespaces, widened to what the plan needs, and all profiles, as the controller makes them."""
    needed = draft.size.vpcs * draft.size.subnets
    if needed > 2990 or draft.size.subnets > 20:
        raise TopologyError("a VLAN namespace holds up to 2990 subnets, a VPC up to 20")
    first = min(1000, 3000 - needed)
    draft.add("VLANNamespace", "default", {"ranges": [{"from": first, "to": 2999}]})
    draft.add("IPv4Namespace", "default", {"subnets": ["10.0.0.0/16" if needed <= 200 else "10.0.0.0/8"]})
    for name, spec in profiles.profiles().items():
        old = draft.release is Release.V0_87
        draft.add("SwitchProfile", name, profiles.without_pipelines(spec) if old else {**spec})


def add_spines(draft: Draft) -> list[str]:
    size = draft.size
    if not size.spines:
        return []
    needed = size.leaves * size.links + size.gateways
    if size.hardware:
        fitting = [(name, mode) for name, mode, lanes in _SPINE_CHOICES if lanes >= needed]
        if not fitting:
            raise TopologyError(f"no spine has {needed} ports")
        profile, mode = fitting[0]
        spec = profiles.profiles()[profile]
        cages = [cage for cage in spec["ports"] if profiles.breakout_of(spec, cage)]
        usual = spec["portProfiles"][profiles.port_profile(spec, spec["ports"][cages[0]])]["breakout"]["default"]
        breakouts = {} if mode == usual else dict.fromkeys(cages, mode)
    else:
        profile, breakouts = profiles.VIRTUAL, {}
    names = numbered("spine", size.spines)
    for name in names:
        _add_switch(draft, name, "spine", profile, breakouts, SPINE_ASN)
    return names


def add_leaves(draft: Draft, uplinks: int) -> list[str]:
    """Leaves in pairs and alone; `uplinks` ports of each must be left for other switches and gateways."""
    size = draft.size
    profile = profiles.LEAF if size.hardware else profiles.VIRTUAL
    breakouts: dict[str, str] = {}
    if size.hardware and uplinks > 7:
        if uplinks > 30:
            raise TopologyError(f"no leaf has {uplinks} uplinks")
        breakouts = dict.fromkeys(_LEAF_CAGES, "2x50G" if uplinks <= 15 else "4x25G")
    names = numbered("leaf", size.leaves)
    paired = (max(size.leaves - size.orphans, 0) // 2) * 2
    for index, name in enumerate(names):
        own = dict(breakouts)
        if size.hardware and not own and index % 2 == 0 and uplinks <= 6:
            own = {_LEAF_CAGES[0]: "4x25G"}
        group: Json = {}
        if index < paired:
            kind = "mclag" if index // 2 >= paired // 2 - size.mclag else "eslag"
            group = {"group": f"{kind}-{index // 2 + 1}", "type": kind}
            draft.pairs[group["group"]] = (*draft.pairs.get(group["group"], ()), name)
        role = "server-leaf" if index < paired or size.leaves < 2 else "mixed-leaf"
        asn = LEAF_ASN + draft.count("leaf ASNs", limit=433)
        _add_switch(draft, name, role, profile, own, asn, redundancy=group)
        if size.hardware and not breakouts:
            draft.switches[name].bring_forward(_LEAF_CAGES[0])  # so that servers hang on lanes, too
    draft.add("SwitchGroup", "empty", {})
    for group_name, members in draft.pairs.items():
        draft.add("SwitchGroup", group_name, {})
        if group_name.startswith("mclag"):
            shared = draft.objects["Switch", members[0]]["spec"]
            draft.objects["Switch", members[1]]["spec"] |= {"asn": shared["asn"], "vtepIP": shared["vtepIP"]}
    return names


def _add_switch(
    draft: Draft,
    name: str,
    role: str,
    profile: str,
    breakouts: dict[str, str],
    asn: int,
    *,
    redundancy: Json | None = None,
) -> None:
    number = len(draft.switches) + 1
    spec: Json = {
        "asn": asn,
        "boot": {"mac": draft.mac()} | ({"serial": f"SBX{number:06d}"} if draft.size.hardware else {}),
        "description": f"{'Rack' if role != 'spine' else 'Row'} {(number + 1) // 2}, {name}",
        "ip": draft.management(),
        "profile": profile,
        "protocolIP": draft.protocol(),
        "redundancy": redundancy or {},
        "role": role,
    }
    if role != "spine":
        spec["vtepIP"] = draft.vtep()
    if breakouts:
        spec["portBreakouts"] = breakouts
    if profile == profiles.VIRTUAL and number % 2:
        spec["portGroupSpeeds"] = {"2": "10G"}
    if profile == profiles.LEAF:
        spec |= {"enableAllPorts": number % 3 == 0, "portSpeeds": {"E1/48": "10G"}}
        spec["ecmp"] = {"roceQPN": True} if number % 4 == 0 else {}
    draft.switches[name] = SwitchPlan(name, role, profile, breakouts)
    draft.add("Switch", name, spec)


def wire_fabric(draft: Draft, spines: list[str], leaves: list[str]) -> None:
    for spine in spines:
        for leaf in leaves:
            links = []
            for _ in range(draft.size.links):
                near, far = draft.link()
                links.append({"leaf": _end(draft, leaf) | {"ip": far}, "spine": _end(draft, spine) | {"ip": near}})
            draft.add("Connection", f"{spine}--fabric--{leaf}", {"fabric": {"links": links}})


def wire_mesh(draft: Draft, leaves: list[str]) -> None:
    for first, second in combinations(leaves, 2):
        links = []
        for _ in range(draft.size.links):
            near, far = draft.link()
            links.append({"leaf1": _end(draft, first) | {"ip": near}, "leaf2": _end(draft, second) | {"ip": far}})
        draft.add("Connection", f"{first}--mesh--{second}", {"mesh": {"links": links}})


def wire_legacy(draft: Draft, leaves: list[str]) -> None:
    """MCLAG peer and session links, and the loopbacks of before 25.03."""
    for name, (first, second) in draft.pairs.items():
        if not name.startswith("mclag"):
            continue

        def pair(a: str = first, b: str = second) -> Json:
            return {"switch1": {"port": draft.switches[a].access()}, "switch2": {"port": draft.switches[b].access()}}

        domain = {"peerLinks": [pair(), pair()], "sessionLinks": [pair(), pair()]}
        draft.add("Connection", f"{first}--mclag-domain--{second}", {"mclagDomain": domain})
    alone = [leaf for leaf in leaves if not any(leaf in pair for pair in draft.pairs.values())]
    for leaf in alone if draft.size.loopbacks else ():
        plan = draft.switches[leaf]
        links = [{"switch1": {"port": plan.access()}, "switch2": {"port": plan.access()}} for _ in range(2)]
        draft.add("Connection", f"{leaf}--vpc-loopback", {"vpcLoopback": {"links": links}})


def wire_servers(draft: Draft, leaves: list[str]) -> list[str]:
    """Servers, spread over the racks, each with one connection; the connections' names."""
    racks: list[tuple[str, ...]] = [*draft.pairs.values()]
    racks += [(leaf,) for leaf in leaves if not any(leaf in pair for pair in racks)]
    made = []
    turn = {rack: cycle(_TURNS[len(rack)]) for rack in racks}
    for number, name in enumerate(numbered("server", draft.size.servers)):
        lap, place = divmod(number, len(racks))
        rack = racks[place]
        kind = next(turn[rack])
        made.append(_wire_server(draft, name, number, rack, kind, rack[lap // 2 % len(rack)]))
    return made


def _wire_server(draft: Draft, name: str, number: int, rack: tuple[str, ...], kind: str, switch: str) -> str:
    draft.add("Server", name, {"description": f"S-{number + 1:02d} on {' and '.join(rack)}"})
    nic = "nic0/port{}" if number % 5 == 4 else "enp2s{}"  # port names of servers are free text

    def link(lane: int, at: str) -> Json:
        port = draft.spelled(draft.switches[at].access())
        return {"server": {"port": f"{name}/{nic.format(lane)}"}, "switch": {"port": port}}

    if kind == "unbundled":
        spec: Json = {"unbundled": {"link": link(1, switch)}}
        return _connect(draft, f"{name}--unbundled--{switch}", spec, mtu=number % 3 == 0)
    if kind == "bundled":
        spec = {"bundled": {"links": [link(1, switch), link(2, switch)]}}
        return _connect(draft, f"{name}--bundled--{switch}", spec, mtu=False)
    group = next(group for group, members in draft.pairs.items() if members == rack)
    both = "mclag" if group.startswith("mclag") else "eslag"
    lanes = [link(lane, switch) for lane, switch in enumerate(rack * (2 if number % 7 == 6 else 1), start=1)]
    spec = {both: {"links": lanes}}
    if number % 4 == 0:
        spec[both]["fallback"] = True
    return _connect(draft, f"{name}--{both}--{'--'.join(rack)}", spec, mtu=number % 3 == 0)


def _connect(draft: Draft, name: str, spec: Json, *, mtu: bool) -> str:
    if mtu:
        next(iter(spec.values()))["mtu"] = 9000
    draft.add("Connection", name, spec)
    return name


def _end(draft: Draft, switch: str) -> Json:
    return {"port": draft.spelled(draft.switches[switch].uplink())}
