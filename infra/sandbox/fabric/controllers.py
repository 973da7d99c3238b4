"""What the controllers of a fabric derive from its objects: Catalogs, DHCPSubnets, VPCInfos, agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.sandbox.fabric.admission import endpoints, make, variant
from infra.sandbox.fabric.agents import Surroundings, agent, gateway_agent, surroundings
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import BY_KIND, Release

type Json = dict[str, Any]
type Specs = dict[str, dict[str, Json]]
"""Kind → name → spec."""

DERIVED = ("Catalog", "DHCPSubnet", "VPCInfo", "GatewayAgent", "Agent")
_INPUTS = (
    *("SwitchProfile", "Switch", "Server", "Connection", "VLANNamespace", "IPv4Namespace", "VPC", "VPCAttachment"),
    *("VPCPeering", "External", "ExternalAttachment", "ExternalPeering", "Gateway", "GatewayPeering"),
)
_LAGS = ("eslag", "mclag", "bundled")


def reconcile(cluster: Cluster, *, agents: bool = True) -> None:
    """Bring the derived objects of a store in line with the others, keeping the numbers given out before.

    Agents whose spec changes get a new generation, and have applied it.
    """
    specs: Specs = {kind: {o["metadata"]["name"]: o["spec"] for o in cluster.objects(kind)} for kind in _INPUTS}
    before = {o["metadata"]["name"]: o["spec"] for o in cluster.objects("Catalog")}
    wanted = list(derive(specs, before, cluster.release, agents=agents))
    names = {(made["kind"], made["metadata"]["name"]) for made in wanted}
    for kind in DERIVED:
        for name in cluster.names(kind):
            if (kind, name) not in names:
                cluster.delete(kind, name)
    for made in wanted:
        _settle(cluster, made)


def _settle(cluster: Cluster, made: Json) -> None:
    kind, name = made["kind"], made["metadata"]["name"]
    stored = cluster.stored(kind, name)
    same = stored is not None and stored.object["spec"] == made["spec"]
    if kind in ("Agent", "GatewayAgent"):
        held = stored.object["metadata"]["generation"] if stored else 0
        generation = held if same else held + 1
        made["status"]["lastAppliedGen"] = generation
        if kind == "Agent":
            made["status"]["lastAttemptGen"] = generation
            made["status"]["conditions"][0]["message"] = f"Config applied, gen={generation}"
        else:
            made["status"]["state"]["frr"]["lastAppliedGen"] = generation
    if not same or (stored is not None and stored.object.get("status") != made.get("status")):
        cluster.apply(made)


def derive(specs: Specs, before: Mapping[str, Json], release: Release, *, agents: bool) -> Iterable[Json]:
    """All derived objects from the specs of the others.

    Args:
        before: the Catalogs of before by name, so that numbers stay what they were.
    """
    catalogs = _catalogs(specs, before)
    for name, spec in catalogs.items():
        if name == "vpcinfos" and not (specs["Gateway"] and release is Release.V0_126):
            continue
        yield make("Catalog", name, spec, release=release)
    yield from _dhcp(specs["VPC"], release)
    if specs["Gateway"]:
        yield from _vpc_infos(specs, catalogs, release)
    if not agents:
        return
    around = surroundings(specs)
    for name in specs["Switch"]:
        yield agent(name, specs, around[name], _copied(specs, name, around[name], catalogs), release)
    for name in specs["Gateway"]:
        yield gateway_agent(name, specs, release)


def _copied(specs: Specs, switch: str, around: Surroundings, catalogs: Mapping[str, Json]) -> Json:
    """The parts of the catalogs that concern one switch, as its Agent carries them."""
    made: Json = {**catalogs.get(f"switch.{switch}", {}), **catalogs[_holder(specs, switch)]}
    fields: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("connections", "connectionIDs", around.connections),
        ("vpcs", "vpcVNIs", around.vpcs),
        ("vpcs", "vpcSubnetVNIs", around.vpcs),
    )
    for catalog, field, wanted in fields:
        numbers = {name: number for name, number in catalogs[catalog].get(field, {}).items() if name in wanted}
        if numbers:
            made[field] = numbers
    return made


def _catalogs(specs: Specs, before: Mapping[str, Json]) -> dict[str, Json]:
    def given(catalog: str, field: str, names: Iterable[str], first: int, step: int = 1) -> dict[str, int]:
        return _number(before.get(catalog, {}).get(field, {}), names, first, step)

    eslag = [name for name, spec in specs["Connection"].items() if variant(spec) == "eslag"]
    carriers = [*specs["VPC"], *(f"ext@{name}" for name in specs["External"])]
    vnis = given("vpcs", "vpcVNIs", carriers, 100, 100)
    held = before.get("vpcs", {}).get("vpcSubnetVNIs", {})
    subnets = {
        name: _number(held.get(name, {}), reversed(list(spec["subnets"])), vnis[name] + 1)
        for name, spec in specs["VPC"].items()
    }
    made: dict[str, Json] = {
        "connections": {"connectionIDs": given("connections", "connectionIDs", eslag, 1)},
        "vpcs": {"vpcSubnetVNIs": subnets, "vpcVNIs": vnis},
        "vpcinfos": {"vpcInfoIDs": given("vpcinfos", "vpcInfoIDs", _info_names(specs), 1)},
    }
    on_group: dict[str, tuple[list[str], list[str]]] = {_holder(specs, name): ([], []) for name in specs["Switch"]}
    lags = {name: spec for name, spec in specs["Connection"].items() if variant(spec) in _LAGS}
    for name, spec in lags.items():
        for holder in {_holder(specs, device) for role, device, _ in endpoints(spec) if role == "switch"}:
            on_group[holder][0].append(name)
    for attachment in specs["VPCAttachment"].values():
        spec = specs["Connection"].get(attachment["connection"], {})
        for holder in {_holder(specs, device) for role, device, _ in endpoints(spec) if role == "switch"}:
            on_group[holder][1].append(attachment["subnet"].partition("/")[0])
    for holder, (connections, vpcs) in on_group.items():
        made[holder] = {
            "irbVLANs": given(holder, "irbVLANs", dict.fromkeys(vpcs), 3000),
            "portChannelIDs": given(holder, "portChannelIDs", connections, 1),
        }
    for switch in specs["Switch"]:
        made.setdefault(f"switch.{switch}", {})
    return {name: {key: value for key, value in spec.items() if value} for name, spec in made.items()}


def _number(held: Mapping[str, int], names: Iterable[str], first: int, step: int = 1) -> dict[str, int]:
    """Numbers for names: those held stay, the lowest free ones are given to the new (freed ones are used again)."""
    wanted = list(names)
    kept = {name: held[name] for name in wanted if name in held}
    taken, free = set(kept.values()), first
    for name in wanted:
        if name not in kept:
            while free in taken:
                free += step
            kept[name] = free
            taken.add(free)
    return dict(sorted(kept.items()))


def _holder(specs: Specs, switch: str) -> str:
    """The catalog that numbers LAGs and IRB VLANs for a switch: its own or its redundancy group's."""
    group = (specs["Switch"].get(switch, {}).get("redundancy") or {}).get("group")
    return f"redundancy.{group}" if group else f"switch.{switch}"


def _dhcp(vpcs: Mapping[str, Json], release: Release) -> Iterable[Json]:
    for vpc, spec in vpcs.items():
        for subnet, net in spec["subnets"].items():
            dhcp = net.get("dhcp") or {}
            if not dhcp.get("enable"):
                continue
            options = dhcp.get("options") or {}
            made: Json = {
                "cidrBlock": net["subnet"],
                "circuitID": f"Vlan{net['vlan']}",
                "defaultURL": "",
                "dnsServers": options.get("dnsServers", []),
                "endIP": dhcp["range"]["end"],
                "gateway": net["gateway"],
                "interfaceMTU": options.get("interfaceMTU", 9036),
                "leaseTimeSeconds": options.get("leaseTimeSeconds", 3600),
                "pxeURL": options.get("pxeURL", ""),
                "startIP": dhcp["range"]["start"],
                "subnet": f"{vpc}/{subnet}",
                "timeServers": options.get("timeServers", []),
                "vrf": vpc.lower(),
            } | ({"static": dhcp["static"]} if dhcp.get("static") else {})
            labels = {"fabric.githedgehog.com/subnet": subnet, "fabric.githedgehog.com/vpc": vpc}
            name = f"{vpc}--{subnet}"
            leased = make("DHCPSubnet", name, made, release=release)
            leased["metadata"]["labels"] = labels
            lease = {"expiry": "2026-01-05T12:00:00Z", "hostname": f"host-{vpc}", "ip": dhcp["range"]["start"]}
            leased["status"] = {"allocated": {"02:00:5e:00:00:01": lease}}
            yield leased


def _info_names(specs: Specs) -> list[str]:
    return [*specs["VPC"], *(f"ext.{name}" for name in specs["External"])]


def _vpc_infos(specs: Specs, catalogs: Mapping[str, Json], release: Release) -> Iterable[Json]:
    if release not in BY_KIND["VPCInfo"].releases:
        return
    ids, vnis = catalogs["vpcinfos"].get("vpcInfoIDs", {}), catalogs["vpcs"].get("vpcVNIs", {})
    for name in _info_names(specs):
        external = name.startswith("ext.")
        subnets = {} if external else {s: {"cidr": n["subnet"]} for s, n in specs["VPC"][name]["subnets"].items()}
        vni = vnis["ext@" + name.removeprefix("ext.") if external else name]
        made = make("VPCInfo", name, {"subnets": subnets, "vni": vni}, release=release)
        made["status"] = {"internalID": f"{ids[name]:05d}"}
        yield made
