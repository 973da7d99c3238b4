"""The rules that the webhooks of a real fabric enforce, as one check over a whole store."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.admission import endpoints
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import BY_KIND


def specs(cluster: Cluster, kind: str) -> dict[str, Any]:
    return {made["metadata"]["name"]: made["spec"] for made in cluster.objects(kind)}


def broken_rules(cluster: Cluster) -> Iterator[str]:
    """Every rule of the webhooks that the fabric breaks."""
    yield from _broken_ports(cluster)
    yield from _broken_addresses(cluster)
    yield from _broken_references(cluster)
    yield from _broken_tenants(cluster)


def _broken_ports(cluster: Cluster) -> Iterator[str]:
    switches, known = specs(cluster, "Switch"), specs(cluster, "SwitchProfile")
    used: Counter[str] = Counter()
    for name, spec in specs(cluster, "Connection").items():
        for role, device, port in endpoints(spec):
            if device in switches:
                profile, modes = known[switches[device]["profile"]], switches[device].get("portBreakouts", {})
                port = profiles.normalise(profile, port)
                if port not in profiles.available(profile, modes):
                    yield f"{name}: {device} has no port {port} in its modes"
            elif role not in ("server", "gateway"):
                yield f"{name}: no switch {device}"
            used[f"{device}/{port}"] += 1
    yield from (f"{port} is used {count} times" for port, count in used.items() if count > 1)


def _broken_addresses(cluster: Cluster) -> Iterator[str]:
    fabric, seen = ipaddress.ip_network("172.30.128.0/17"), Counter[str]()
    for name, spec in specs(cluster, "Connection").items():
        for link in next(iter(spec.values())).get("links", ()):
            ends = [ipaddress.ip_interface(end["ip"]) for end in link.values() if "ip" in end]
            seen.update(str(end) for end in ends)
            if ends and (len({end.network for end in ends}) != 1 or ends[0].network.prefixlen != 31):
                yield f"{name}: {ends} are not the ends of one /31"
            if any(end not in fabric for end in ends):
                yield f"{name}: {ends} lie outside {fabric}"
    shared = {name for name, spec in specs(cluster, "Switch").items() if spec["redundancy"].get("type") == "mclag"}
    for kind in ("Switch", "Gateway"):
        for name, spec in specs(cluster, kind).items():
            fields = ("ip", "protocolIP") if name in shared else ("ip", "protocolIP", "vtepIP")
            seen.update(spec[field] for field in fields if field in spec)
            if kind == "Switch" and ("vtepIP" in spec) is (spec["role"] == "spine"):
                yield f"{name}: a VTEP belongs to leaves alone"
    yield from (f"{address} is given {count} times" for address, count in seen.items() if count > 1)
    asns = Counter(s["asn"] for n, s in specs(cluster, "Switch").items() if s["role"] != "spine" and n not in shared)
    yield from (f"ASN {asn} of a leaf is given {count} times" for asn, count in asns.items() if count > 1)


def _broken_references(cluster: Cluster) -> Iterator[str]:
    names = {kind: set(cluster.names(kind)) for kind in BY_KIND}
    vpcs = specs(cluster, "VPC")
    wanted: list[tuple[str, str, str]] = []
    for name, spec in specs(cluster, "Switch").items():
        groups = [*spec.get("groups", ()), *([spec["redundancy"]["group"]] if spec["redundancy"] else [])]
        wanted += [(name, "SwitchProfile", spec["profile"]), *((name, "SwitchGroup", group) for group in groups)]
    for name, spec in specs(cluster, "Connection").items():
        kinds = {"server": "Server", "gateway": "Gateway"}
        wanted += [(name, kinds.get(role, "Switch"), device) for role, device, _ in endpoints(spec)]
        within = spec.get("staticExternal", {}).get("withinVPC")
        wanted += [(name, "VPC", within)] if within else []
    for name, spec in specs(cluster, "VPCAttachment").items():
        vpc, _, subnet = spec["subnet"].partition("/")
        wanted.append((name, "Connection", spec["connection"]))
        if subnet not in vpcs.get(vpc, {}).get("subnets", {}):
            yield f"{name}: no subnet {spec['subnet']}"
    for name, spec in specs(cluster, "VPCPeering").items():
        wanted += [(name, "VPC", vpc) for vpc in spec["permit"][0]]
    for name, spec in specs(cluster, "ExternalAttachment").items():
        wanted += [(name, "Connection", spec["connection"]), (name, "External", spec["external"])]
    for name, spec in specs(cluster, "ExternalPeering").items():
        wanted += [(name, "VPC", spec["permit"]["vpc"]["name"]), (name, "External", spec["permit"]["external"]["name"])]
    wanted += [(name, "Switch", name) for name in names["Agent"]]
    wanted += [(name, "Gateway", name) for name in names["GatewayAgent"]]
    yield from (f"{name}: no {kind} {target}" for name, kind, target in wanted if target not in names[kind])


def _broken_tenants(cluster: Cluster) -> Iterator[str]:
    pools = [ipaddress.ip_network(net) for net in specs(cluster, "IPv4Namespace")["default"]["subnets"]]
    ranges = specs(cluster, "VLANNamespace")["default"]["ranges"]
    vlans, networks = Counter[int](), []
    for name, spec in specs(cluster, "VPC").items():
        if len(name) > 11:
            yield f"{name}: a VPC's name has at most 11 characters"
        for net in spec["subnets"].values():
            vlans[net["vlan"]] += 1
            network = ipaddress.ip_network(net["subnet"])
            networks.append(network)
            if not any(network.subnet_of(pool) for pool in pools):
                yield f"{name}: {network} lies outside the namespace"
            if not any(span["from"] <= net["vlan"] <= span["to"] for span in ranges):
                yield f"{name}: VLAN {net['vlan']} lies outside the namespace"
            span = net.get("dhcp", {}).get("range", {})
            if any(ipaddress.ip_address(address) not in network for address in span.values()):
                yield f"{name}: {span} lies outside {network}"
    yield from (f"VLAN {vlan} is given {count} times" for vlan, count in vlans.items() if count > 1)
    ordered = sorted(networks)
    yield from (f"{a} overlaps {b}" for a, b in pairwise(ordered) if a.overlaps(b))
    natives = Counter(s["connection"] for s in specs(cluster, "VPCAttachment").values() if s.get("nativeVLAN"))
    yield from (f"{name} has {count} native VLANs" for name, count in natives.items() if count > 1)
