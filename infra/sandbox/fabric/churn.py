"""A seeded script of changes that people make to a fabric, each valid, each told in one line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.admission import admit, endpoints, make, variant
from infra.sandbox.fabric.controllers import reconcile
from infra.sandbox.fabric.manifests import Cluster

type Json = dict[str, Any]

_EMPTIED = ("ExternalPeering", "VPCPeering")  # kinds that nothing else refers to


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was made: what it did, and to which objects (kind, name)."""

    action: str
    text: str
    touched: tuple[tuple[str, str], ...]


def steps(cluster: Cluster, seed: int, n: int) -> Iterator[Change]:
    """Make `n` changes, one per step of the iterator; controllers catch up before each is yielded.

    The same store, seed and number give the same changes. Catalog, DHCPSubnet, VPCInfo and (where the fabric has any)
    Agents follow, as in a live fabric. A fabric that leaves nothing to change ends the script early.
    """
    rng = random.Random(seed)
    agents = bool(cluster.names("Agent"))
    for number in range(n):
        hand = _Hand(cluster, rng, number)
        for action in rng.sample(sorted(_ACTIONS), len(_ACTIONS)):
            text = _ACTIONS[action](hand)
            if text:
                reconcile(cluster, agents=agents)
                yield Change(action, text, tuple(hand.touched))
                break
        else:
            return


def churn(cluster: Cluster, seed: int, n: int) -> list[Change]:
    """Make `n` changes at once."""
    return list(steps(cluster, seed, n))


@dataclass(slots=True)
class _Hand:
    """One change in the making; every write goes through admission and is noted."""

    cluster: Cluster
    rng: random.Random
    number: int
    touched: list[tuple[str, str]] = field(default_factory=list)

    def pick(self, kind: str, test: Callable[[Json], bool] = lambda spec: True) -> tuple[str, Json] | None:
        """An object of a kind whose spec passes: name and spec (a copy)."""
        found = [(o["metadata"]["name"], o["spec"]) for o in self.cluster.objects(kind) if test(o["spec"])]
        return self.rng.choice(found) if found else None

    def put(self, kind: str, name: str, spec: Json) -> None:
        held = self.cluster.get(kind, name)
        made = (
            admit(held | {"spec": spec}, self.cluster.release)
            if held
            else make(kind, name, spec, release=self.cluster.release)
        )
        self.cluster.apply(made)
        self.touched.append((kind, name))

    def drop(self, kind: str, name: str) -> None:
        self.cluster.delete(kind, name)
        self.touched.append((kind, name))

    def drop_where(self, kind: str, test: Callable[[Json], bool]) -> None:
        for made in list(self.cluster.objects(kind)):
            if test(made["spec"]):
                self.drop(kind, made["metadata"]["name"])

    def used(self, switch: str) -> set[str]:
        """The ports of a switch that connections use, by their one name."""
        profile = self.profile(switch)
        return {
            profiles.normalise(profile, port)
            for made in self.cluster.objects("Connection")
            for _, device, port in endpoints(made["spec"])
            if device == switch
        }

    def free(self, switch: str, but: frozenset[str] = frozenset()) -> list[str]:
        """The ports of a switch that nothing uses."""
        breakouts = self.spec("Switch", switch).get("portBreakouts", {})
        taken = self.used(switch) | but
        return [port for port in profiles.available(self.profile(switch), breakouts) if port not in taken]

    def profile(self, switch: str) -> Mapping[str, Any]:
        return self.spec("SwitchProfile", self.spec("Switch", switch)["profile"])

    def spec(self, kind: str, name: str) -> Json:
        held = self.cluster.stored(kind, name)
        return held.object["spec"] if held else {}


def _describe(hand: _Hand) -> str | None:
    picked = hand.pick("Switch")
    if not picked:
        return None
    name, spec = picked
    spec["description"] = f"moved to row {hand.rng.randrange(1, 99)}, change {hand.number}"
    hand.put("Switch", name, spec)
    return f"switch {name} is described as {spec['description']!r}"


def _is_leaf(spec: Json) -> bool:
    return bool(spec["role"] != "spine")


def _add_server(hand: _Hand) -> str | None:
    picked = hand.pick("Switch", _is_leaf)
    if not picked or not (free := hand.free(picked[0])):
        return None
    taken = set(hand.cluster.names("Server"))
    server = next(name for n in range(1, 100_000) if (name := f"new-{n:02d}") not in taken)
    hand.put("Server", server, {"description": f"added by change {hand.number}"})
    link = {"server": {"port": f"{server}/enp2s1"}, "switch": {"port": f"{picked[0]}/{free[0]}"}}
    hand.put("Connection", f"{server}--unbundled--{picked[0]}", {"unbundled": {"link": link}})
    return f"server {server} is added at {picked[0]}/{free[0]}"


def _remove_server(hand: _Hand) -> str | None:
    if len(hand.cluster.names("Server")) < 2 or not (picked := hand.pick("Server")):
        return None
    server = picked[0]
    for made in list(hand.cluster.objects("Connection")):
        if any(device == server for _, device, _ in endpoints(made["spec"])):
            _disconnect(hand, made["metadata"]["name"])
    hand.drop("Server", server)
    return f"server {server} is removed with its connections"


def _disconnect(hand: _Hand, connection: str) -> None:
    hand.drop_where("VPCAttachment", lambda spec: spec["connection"] == connection)
    hand.drop_where("ExternalAttachment", lambda spec: spec["connection"] == connection)
    hand.drop("Connection", connection)


def _remove_connection(hand: _Hand) -> str | None:
    picked = hand.pick("Connection", lambda spec: variant(spec) in ("unbundled", "bundled", "eslag", "mclag"))
    if not picked:
        return None
    _disconnect(hand, picked[0])
    return f"connection {picked[0]} is removed"


def _move_link(hand: _Hand) -> str | None:
    picked = hand.pick("Connection", lambda spec: variant(spec) in ("unbundled", "external"))
    if not picked:
        return None
    name, spec = picked
    end = next(iter(spec.values()))["link"]["switch"]
    switch, _, old = end["port"].partition("/")
    free = hand.free(switch)
    if not free:
        return None
    end["port"] = f"{switch}/{hand.rng.choice(free[:8])}"
    hand.put("Connection", name, spec)
    return f"connection {name} moves from {switch}/{old} to {end['port']}"


def _swap_links(hand: _Hand) -> str | None:
    """Two servers exchange their ports, as when cables were plugged the wrong way round."""
    made = [(o["metadata"]["name"], o["spec"]) for o in hand.cluster.objects("Connection")]
    single = [(name, spec) for name, spec in made if variant(spec) == "unbundled"]
    if len(single) < 2:
        return None
    (name, spec), (other_name, other) = hand.rng.sample(single, 2)
    end, other_end = spec["unbundled"]["link"]["switch"], other["unbundled"]["link"]["switch"]
    end["port"], other_end["port"] = other_end["port"], end["port"]
    hand.put("Connection", name, spec)
    hand.put("Connection", other_name, other)
    return f"connections {name} and {other_name} exchange their ports"


def _replace_switch(hand: _Hand) -> str | None:
    """A switch goes, and one with another name takes its place and its wires."""
    picked = hand.pick("Switch")
    if not picked:
        return None
    name, spec = picked
    new = f"{name.partition('-new')[0]}-new{hand.number}"
    hand.put("Switch", new, spec)
    for made in list(hand.cluster.objects("Connection")):
        if any(device == name for _, device, _ in endpoints(made["spec"])):
            hand.put("Connection", made["metadata"]["name"], _replugged(made["spec"], name, new))
    hand.drop("Switch", name)
    return f"switch {name} is replaced by {new}"


def _replugged(value: Any, old: str, new: str) -> Any:
    """A connection's spec with the ports of one switch on another."""
    if isinstance(value, list):
        return [_replugged(inner, old, new) for inner in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _replugged(inner, old, new) for key, inner in value.items()}
    port = value.get("port")
    if isinstance(port, str) and port.startswith(f"{old}/"):
        moved["port"] = f"{new}/{port.partition('/')[2]}"
    return moved


def _rebreak(hand: _Hand) -> str | None:
    """A cage changes its mode: one that is free of wires, or whose only wire is on the lane that stays."""
    picked = hand.pick("Switch")
    if not picked:
        return None
    name, spec = picked
    profile, used = hand.profile(name), hand.used(name)
    modes = spec.get("portBreakouts", {})
    choices: list[tuple[str, str]] = []
    for cage in profile["ports"]:
        breakout = profiles.breakout_of(profile, cage)
        busy = {port for port in used if profiles.cage_of(port) == cage}
        if breakout and busy <= {f"{cage}/1"}:
            now = profiles.mode_of(profile, cage, modes)
            choices += [(cage, mode) for mode in breakout["supported"] if mode != now]
    if not choices:
        return None
    cage, mode = hand.rng.choice(choices)
    spec["portBreakouts"] = {**modes, cage: mode}
    hand.put("Switch", name, spec)
    return f"{name} breaks {cage} out as {mode}"


def _networks(hand: _Hand) -> tuple[set[str], set[int]]:
    nets = [net for made in hand.cluster.objects("VPC") for net in made["spec"].get("subnets", {}).values()]
    return {net["subnet"] for net in nets}, {net.get("vlan", 0) for net in nets}


def _free_network(hand: _Hand) -> tuple[str, int] | None:
    """A /24 and a VLAN that no VPC has, inside the default namespaces."""
    nets, vlans = _networks(hand)
    space = hand.spec("IPv4Namespace", "default").get("subnets", [])
    used = [ip_network(net) for net in nets]
    ranges = hand.spec("VLANNamespace", "default").get("ranges", [])
    vlan = next((v for span in ranges for v in range(span["from"], span["to"] + 1) if v not in vlans), None)
    for pool in space:
        for candidate in ip_network(pool).subnets(new_prefix=24):
            if vlan and not any(candidate.overlaps(net) for net in used):
                return str(candidate), vlan
    return None


def _renumber(hand: _Hand) -> str | None:
    picked, fresh = hand.pick("VPC", lambda spec: bool(spec.get("subnets"))), _free_network(hand)
    if not picked or not fresh:
        return None
    name, spec = picked
    subnet = hand.rng.choice(sorted(spec["subnets"]))
    held = spec["subnets"][subnet]
    old = held["subnet"]
    dhcp = {key: value for key, value in held.get("dhcp", {}).items() if key not in ("range", "static")}
    spec["subnets"][subnet] = {"subnet": fresh[0], "vlan": fresh[1], "dhcp": dhcp}
    hand.put("VPC", name, spec)
    return f"VPC {name} renumbers {subnet} from {old} to {fresh[0]}, VLAN {fresh[1]}"


def _swap_subnets(hand: _Hand) -> str | None:
    """Two subnets of a VPC exchange all that they are, their VLANs and networks included."""
    picked = hand.pick("VPC", lambda spec: len(spec.get("subnets", {})) > 1)
    if not picked:
        return None
    name, spec = picked
    one, other = hand.rng.sample(sorted(spec["subnets"]), 2)
    spec["subnets"][one], spec["subnets"][other] = spec["subnets"][other], spec["subnets"][one]
    hand.put("VPC", name, spec)
    return f"subnets {one} and {other} of VPC {name} exchange their networks"


def _add_vpc(hand: _Hand) -> str | None:
    fresh = _free_network(hand)
    if not fresh:
        return None
    taken = set(hand.cluster.names("VPC"))
    name = next(name for n in range(1, 100_000) if (name := f"new-{n:02d}") not in taken)
    hand.put("VPC", name, {"subnets": {"default": {"subnet": fresh[0], "vlan": fresh[1], "dhcp": {"enable": True}}}})
    return f"VPC {name} is added with {fresh[0]}"


def _remove_vpc(hand: _Hand) -> str | None:
    if len(hand.cluster.names("VPC")) < 2 or not (picked := hand.pick("VPC")):
        return None
    name = picked[0]
    hand.drop_where("VPCAttachment", lambda spec: spec["subnet"].startswith(f"{name}/"))
    hand.drop_where("VPCPeering", lambda spec: name in spec["permit"][0])
    hand.drop_where("ExternalPeering", lambda spec: spec["permit"]["vpc"]["name"] == name)
    for kind in ("GatewayPeering", "Peering"):
        hand.drop_where(kind, lambda spec: name in spec["peering"])
    for made in list(hand.cluster.objects("Connection")):
        if made["spec"].get("staticExternal", {}).get("withinVPC") == name:
            hand.drop("Connection", made["metadata"]["name"])
    hand.drop("VPC", name)
    return f"VPC {name} is removed with what hung on it"


def _empty(hand: _Hand) -> str | None:
    kinds = [kind for kind in _EMPTIED if hand.cluster.names(kind)]
    if not kinds:
        return None
    kind = hand.rng.choice(kinds)
    hand.drop_where(kind, lambda spec: True)
    return f"every {kind} is removed"


_ACTIONS: Mapping[str, Callable[[_Hand], str | None]] = {
    "add_server": _add_server,
    "add_vpc": _add_vpc,
    "change_breakout": _rebreak,
    "describe_switch": _describe,
    "empty_kind": _empty,
    "move_link": _move_link,
    "remove_connection": _remove_connection,
    "remove_server": _remove_server,
    "remove_vpc": _remove_vpc,
    "renumber_vpc": _renumber,
    "replace_switch": _replace_switch,
    "swap_links": _swap_links,
    "swap_subnets": _swap_subnets,
}
