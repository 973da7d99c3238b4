"""VPCs: a VRF each, and for every subnet its prefix, VLAN, gateway, DHCP addresses and L2 VPN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from functions.records import Json, Record, Ref, Value
from functions.translate.canonical import canonical, ordered, told
from functions.translate.issues import Code
from functions.translate.names import LABEL_LIMIT, NAME_LIMIT, shorten, slug
from functions.translate.networks import Address, Network, address_at, as_mac, written
from functions.translate.peerings import Peerings, peerings
from functions.translate.scene import Scene
from functions.translate.spec import Spec, Thing
from functions.translate.tenants import DEFAULT, L2_MODES, Subnet

SUBNET_ROLE, DHCP_ROLE = "fabric-vpc-subnet", "fabric-dhcp"


def translate(scene: Scene) -> Iterator[Record]:
    """The VRF of every VPC, then what its subnets are."""
    peered = peerings(scene)
    for vpc in scene.tenants.vpcs.values():
        yield _vrf(scene, vpc, peered)
    ranges: dict[str, list[range]] = {}
    for subnet in scene.tenants.subnets.values():
        yield from _layer2(scene, subnet)
        if subnet.network is not None:
            yield Record("role", SUBNET_ROLE, {"name": "Fabric VPC subnet", "slug": SUBNET_ROLE})
            yield _prefix(scene, subnet, subnet.network)
            yield from _addresses(scene, subnet, subnet.network)
            yield from _range(scene, subnet, subnet.network, ranges.setdefault(subnet.vpc.name, []))


def _vrf(scene: Scene, vpc: Thing, peered: Peerings) -> Record:
    spec, fabric = vpc.spec, scene.fabric.name
    routes = ordered(
        {"prefix": route.text("prefix"), "nextHops": sorted(route.texts("nextHops"))}
        for route in spec.children("staticRoutes")
    )
    custom: dict[str, Json] = {
        "fabric_source": vpc.origin,
        "fabric_spec": told(
            mode=_mode(vpc) or "l2vni",
            ipv4Namespace=spec.text("ipv4Namespace") or DEFAULT,
            vlanNamespace=spec.text("vlanNamespace") or DEFAULT,
            defaultIsolated=spec.flag("defaultIsolated"),
            defaultRestricted=spec.flag("defaultRestricted"),
            permit=ordered(sorted(group) for group in spec.lists("permit")),
            staticRoutes=routes,
        ),
    }
    name = shorten(f"{fabric}:{vpc.name}", LABEL_LIMIT)
    return Record(
        "vrf",
        vpc.key(fabric),
        {"name": name, "enforce_unique": True},
        custom | scene.tenants.vni(vpc.name) | peered.of_vpc(vpc.name),
    )


def _mode(vpc: Thing) -> str:
    return (vpc.spec.text("mode") or "").lower()


def _vlan_known(scene: Scene) -> bool:
    return scene.tenants.vlans_known


def _layer2(scene: Scene, subnet: Subnet) -> Iterator[Record]:
    """The VLAN, and the L2 VPN that carries it between switches where the VPC has one.

    A subnet whose hosts speak BGP is routed up to the host: it may share a VLAN's number, and is not stretched.
    """
    source: dict[str, Json] = {"fabric_source": subnet.vpc.origin}
    vlan = subnet.vid is not None and _vlan_known(scene)
    if vlan:
        yield Record(
            "vlan",
            subnet.key,
            {
                "group": subnet.group,
                "vid": subnet.vid,
                "name": shorten(subnet.title, NAME_LIMIT),
                "status": "active",
            },
            source,
        )
    if _mode(subnet.vpc) not in L2_MODES or subnet.host_bgp:
        return
    name = f"{scene.fabric.name}:{subnet.title}"
    fields = {"name": shorten(name, LABEL_LIMIT), "slug": slug(f"fabric-{name}"), "type": "vxlan-evpn"}
    if scene.tenants.vnis is not None:
        # The number comes from the fabric's controller after the subnet, and is used again after it: never a key.
        yield Record("l2vpn", subnet.key, {**fields, "identifier": scene.tenants.subnet_vni(subnet)}, source)
    else:
        yield Record("l2vpn", subnet.key, fields, source)
    if vlan:
        ends = {"l2vpn": Ref("l2vpn", subnet.key), "assigned_object": Ref("vlan", subnet.key)}
        yield Record("l2vpn_termination", subnet.key, ends, source)


def _prefix(scene: Scene, subnet: Subnet, network: Network) -> Record:
    spec, fields = subnet.spec, {}
    if _vlan_known(scene):
        fields["vlan"] = Ref("vlan", subnet.key) if subnet.vid is not None else None
    custom: dict[str, Json] = {
        "fabric_source": subnet.vpc.origin,
        "fabric_spec": told(
            isolated=spec.flag("isolated"),
            restricted=spec.flag("restricted"),
            hostBGP=subnet.host_bgp,
            hostBGPMinPrefixLen=spec.number("hostBGPMinPrefixLen", high=128),
            hostBGPMaxPrefixLen=spec.number("hostBGPMaxPrefixLen", high=128),
            hostBGPExtraPrefixes=sorted(spec.texts("hostBGPExtraPrefixes")),
            dhcp=_dhcp(spec),
        ),
    }
    if scene.tenants.vnis is not None:
        custom["fabric_vni"] = scene.tenants.subnet_vni(subnet)
    return Record(
        "prefix",
        subnet.key,
        {
            "prefix": str(network),
            "vrf": scene.tenants.vpc(subnet.vpc.name),
            "status": "active",
            "role": Ref("role", SUBNET_ROLE),
            "scope": Ref("site", scene.fabric.site),
            **fields,
        },
        custom,
    )


def _dhcp(spec: Spec) -> Json:
    options = canonical(spec.child("dhcp", "options").data)
    if isinstance(options, dict):
        for name in ("dnsServers", "timeServers", "advertisedRoutes"):
            if isinstance(options.get(name), list):
                options[name] = ordered(options[name])
    return told(
        enable=spec.flag("dhcp", "enable"),
        relay=spec.text("dhcp", "relay"),
        relayVPC=spec.text("dhcp", "relayVPC"),
        options=options,
    )


def _address(scene: Scene, subnet: Subnet, part: str, address: Address, length: int, **more: Value) -> Record:
    fields = {"address": written(address, length), "vrf": scene.tenants.vpc(subnet.vpc.name), **more}
    return Record("ip_address", f"{subnet.key}/{part}", fields, {"fabric_source": subnet.vpc.origin})


def _inside(spec: Spec, network: Network, *path: str) -> Address | None:
    """The address at `path`, which must lie in the subnet; one that does not is noted."""
    found = address_at(spec, *path)
    if found is None or found[0] in network:
        return found and found[0]
    spec.malformed(path, f"is {found[0]}, which is not in {network}")
    return None


def _addresses(scene: Scene, subnet: Subnet, network: Network) -> Iterator[Record]:
    """The gateway, which every switch of the subnet answers for, and the addresses that DHCP keeps for a MAC.

    The Fabric takes the first address for a gateway where none is named.
    """
    gateway = _inside(subnet.spec, network, "gateway")
    if gateway is None and not subnet.spec.text("gateway"):
        gateway = network[min(1, network.num_addresses - 1)]
    taken, seen = set(), set()
    if gateway is not None:
        taken.add(gateway)
        yield _address(scene, subnet, "gateway", gateway, network.prefixlen, status="active", role="anycast")
    table = subnet.spec.child("dhcp", "static")
    for raw in table.names():
        mac, address = as_mac(raw), _inside(table.child(raw), network, "ip")
        if mac is None or mac in seen:
            table.malformed((raw,), "is no MAC address of its own")
        elif address in taken:
            text = f"keeps {address} in subnet {subnet.name} for {mac}, but that is taken already; it is left out"
            scene.notes.add(subnet.vpc.source, Code.ADDRESS_IN_USE, text)
        elif address is not None:
            seen.add(mac)
            taken.add(address)
            kept = _address(scene, subnet, f"static:{mac.lower()}", address, network.prefixlen, status="reserved")
            yield replace(kept, custom={**kept.custom, "fabric_mac": mac})


def _range(scene: Scene, subnet: Subnet, network: Network, others: list[range]) -> Iterator[Record]:
    """What DHCP gives out: by itself from the second host to the last address, the broadcast address included.

    `others` are the ranges of the VPC so far: NetBox takes no two that overlap.
    """
    spec = subnet.spec.child("dhcp")
    if not spec.flag("enable"):
        return
    start = _inside(spec, network, "range", "start")
    end = _inside(spec, network, "range", "end")
    if not spec.text("range", "start"):
        start = network[min(2, network.num_addresses - 1)]
    if not spec.text("range", "end"):
        end = network.broadcast_address
    if start is None or end is None:
        return
    if int(start) > int(end):
        spec.malformed(("range",), f"goes from {start} down to {end}")
        return
    span = range(int(start), int(end) + 1)
    if any(span.start < other.stop and other.start < span.stop for other in others):
        text = f"has a DHCP range in subnet {subnet.name} that overlaps another of its own; it is left out"
        scene.notes.add(subnet.vpc.source, Code.ADDRESS_IN_USE, text)
        return
    others.append(span)
    yield Record("role", DHCP_ROLE, {"name": "Fabric DHCP", "slug": DHCP_ROLE})
    yield Record(
        "ip_range",
        f"{subnet.key}/dhcp",
        {
            "start_address": written(start, network.prefixlen),
            "end_address": written(end, network.prefixlen),
            "vrf": scene.tenants.vpc(subnet.vpc.name),
            "status": "active",
            "role": Ref("role", DHCP_ROLE),
        },
        {"fabric_source": subnet.vpc.origin},
    )
