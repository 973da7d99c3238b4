"""What runs over a generated fabric: VPCs and their attachments, peerings, externals, gateways."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import pairwise
from typing import Any

from infra.sandbox.fabric.admission import variant
from infra.sandbox.fabric.offering import Release
from infra.sandbox.fabric.plan import GATEWAY_ASN, Draft, numbered

type Json = dict[str, Any]


def add_vpcs(draft: Draft) -> None:
    """VPCs with /24 subnets and, in turn, every option that a subnet has."""
    first_vlan = draft.objects["VLANNamespace", "default"]["spec"]["ranges"][0]["from"]
    base = int(ip_network("10.0.0.0/8").network_address) + 256
    for number, name in enumerate(numbered("vpc", draft.size.vpcs)):
        subnets: Json = {}
        for subnet in numbered("subnet", draft.size.subnets):
            place = draft.count("subnets")
            network = ip_network((base + 256 * place, 24))
            subnets[subnet] = {"subnet": str(network), "vlan": first_vlan + place} | _options(
                draft, place, str(network)
            )
        spec: Json = {"subnets": subnets}
        if number % 4 == 1:
            spec |= {"defaultIsolated": True, "defaultRestricted": number % 8 == 1}
            if len(subnets) > 1:
                spec["permit"] = [sorted(subnets)[:2]]
        if number % 5 == 2:
            spec["staticRoutes"] = [{"prefix": f"10.254.{number % 256}.0/24", "nextHops": [_host(subnets, 9)]}]
        if number % 6 == 4:
            spec["mode"] = "l3vni"
        draft.add("VPC", name, spec)


def _options(draft: Draft, place: int, network: str) -> Json:
    hosts = ip_network(network)
    match place % 5:
        case 0:
            return {"dhcp": {"enable": True}}
        case 1:
            return {}
        case 2:
            options = {"dnsServers": ["192.0.2.53"], "timeServers": ["192.0.2.123"], "leaseTimeSeconds": 7200}
            span = {"start": str(hosts[10]), "end": str(hosts[199])}
            return {"dhcp": {"enable": True, "range": span, "options": options}}
        case 3:
            return {"isolated": True, "restricted": True, "dhcp": {"relay": "10.255.0.10/32"}}
        case _:
            static = {f"02:00:00:00:{place >> 8:02x}:{place & 255:02x}": {"ip": str(hosts[20])}}
            return {"dhcp": {"enable": True} | ({} if draft.release is Release.V0_87 else {"static": static})}


def _host(subnets: Json, number: int) -> str:
    return str(ip_network(next(iter(subnets.values()))["subnet"])[number])


def attach(draft: Draft, connections: list[str]) -> None:
    """Attach server connections to VPC subnets in turn; a connection never meets one subnet twice."""
    vpcs = draft.specs("VPC")
    wanted = len(connections) if draft.size.attachments is None else draft.size.attachments
    targets = [(vpc, subnet) for vpc, spec in vpcs.items() for subnet in spec["subnets"]]
    if not targets or not connections:
        return
    native: set[str] = set()
    tried = 0
    while wanted > 0 and tried < len(connections) * len(targets):
        lap, place = divmod(tried, len(connections))
        connection = connections[place]
        vpc, subnet = targets[(place + lap) % len(targets)]
        tried += 1
        spec = draft.objects["Connection", connection]["spec"]
        if variant(spec) == "eslag" and vpcs[vpc].get("mode"):
            continue  # ESLAG needs an L2 VNI
        wanted -= 1
        attachment: Json = {"connection": connection, "subnet": f"{vpc}/{subnet}"}
        if variant(spec) == "unbundled" and connection not in native and place % 2:
            native.add(connection)
            attachment["nativeVLAN"] = True
        server = connection.split("--")[0]
        draft.add("VPCAttachment", f"{server}--{vpc}--{subnet}", attachment)


def peer(draft: Draft) -> None:
    """Every second VPC with the next; every third with an external; the first two over a gateway."""
    names = list(draft.specs("VPC"))
    for first, second in list(pairwise(names))[::2]:
        draft.add("VPCPeering", f"{first}--{second}", {"permit": [{first: {}, second: {}}]})
    externals = list(draft.specs("External"))
    for number, vpc in enumerate(names[::3]):
        if externals:
            external = externals[number % len(externals)]
            subnets = [next(iter(draft.objects["VPC", vpc]["spec"]["subnets"]))]
            permit = {
                "external": {"name": external, "prefixes": [{"prefix": "0.0.0.0/0"}]},
                "vpc": {"name": vpc, "subnets": subnets},
            }
            draft.add("ExternalPeering", f"{vpc}--{external}", {"permit": permit})
    if draft.size.gateways and len(names) > 1:
        _peer_over_gateway(draft, names[0], names[1])


def _peer_over_gateway(draft: Draft, first: str, second: str) -> None:
    def exposed(vpc: str) -> list[Json]:
        return [{"ips": [{"vpcSubnet": next(iter(draft.objects["VPC", vpc]["spec"]["subnets"]))}]}]

    peering: Json = {first: {"expose": exposed(first)}, second: {"expose": exposed(second)}}
    if draft.release is Release.V0_126:
        nat = {"masquerade": {"idleTimeout": "2m"}}
        peering[second]["expose"][0] |= {"as": [{"cidr": "198.51.100.0/28"}], "nat": nat}
        draft.add("GatewayPeering", f"{first}--{second}", {"acl": {"default": ""}, "peering": peering})
    elif draft.release is Release.V0_99:
        draft.add("Peering", f"{first}--{second}", {"peering": peering})


def add_externals(draft: Draft, leaves: list[str]) -> None:
    """Externals behind the last leaves: two share a port by VLAN; the last is static where the release has that."""
    names = numbered("ext", draft.size.externals)
    for number, name in enumerate(names):
        leaf = leaves[-1 - (number // 2) % len(leaves)]
        connection = f"{leaf}--external"
        if ("Connection", connection) not in draft.objects:
            port = draft.spelled(draft.switches[leaf].access())
            draft.add("Connection", connection, {"external": {"link": {"switch": {"port": port}}}})
        static = draft.release is Release.V0_126 and number > 0 and number == len(names) - 1
        vlan, net = 10 + number, f"100.{64 + number // 256}.{number % 256}"
        if static:
            draft.add("External", name, {"ipv4Namespace": "default", "static": {"prefixes": ["0.0.0.0/0"]}})
            reach: Json = {"static": {"ip": f"{net}.1/24", "remoteIP": f"{net}.6", "vlan": vlan}}
            reach |= {"neighbor": {}, "switch": {}}
        else:
            communities = {"inboundCommunity": f"65102:{1000 + number}", "outboundCommunity": f"{5000 + number}:65102"}
            draft.add("External", name, {"ipv4Namespace": "default"} | communities)
            reach = {
                "neighbor": {"asn": 64102 + number, "ip": f"{net}.6"},
                "switch": {"ip": f"{net}.1/24", "vlan": vlan},
            }
        draft.add("ExternalAttachment", f"{leaf}--{name}", {"connection": connection, "external": name} | reach)


def add_static_externals(draft: Draft, leaves: list[str]) -> None:
    """Ports with a static neighbour, in a VPC and in the underlay by turns."""
    vpcs = list(draft.specs("VPC"))
    for number in range(draft.size.static_externals):
        leaf = leaves[-1 - number % len(leaves)]
        net = f"192.0.2.{8 * number}"
        switch: Json = {
            "port": draft.spelled(draft.switches[leaf].access()),
            "ip": f"192.0.2.{8 * number + 1}/29",
            "nextHop": f"192.0.2.{8 * number + 2}",
            "subnets": [f"203.0.113.{16 * number % 256}/28"],
        }
        spec: Json = {"link": {"switch": switch}}
        if number % 2 == 0:
            switch["vlan"] = 40 + number
        elif vpcs:
            spec["withinVPC"] = vpcs[0]
        name = f"net-{net.replace('.', '-')}--static-external--{leaf}"
        draft.add("Connection", name, {"staticExternal": spec})


def add_gateways(draft: Draft, switches: list[str]) -> None:
    """Gateways, each wired to two switches (spines, or leaves of a mesh); none in releases that have none."""
    if draft.release is Release.V0_87:
        return
    if draft.size.gateways:
        draft.add("GatewayGroup", "default", {})
    for number, name in enumerate(f"gateway-{n}" for n in range(1, draft.size.gateways + 1)):
        protocol, vtep = draft.protocol(), draft.vtep()
        interfaces: Json = {}
        neighbors = []
        for nic, switch in enumerate(switches[:2], start=1):
            near, far = draft.link()
            own = f"enp2s{nic}"
            wire = {
                "gateway": {"ip": far, "port": f"{name}/{own}"},
                "switch": {"ip": near, "port": draft.spelled(draft.switches[switch].uplink())},
            }
            draft.add("Connection", f"{switch}--gateway--{name}", {"gateway": {"links": [wire]}})
            interfaces[own] = {"ips": [far], "mtu": 9100}
            asn = draft.objects["Switch", switch]["spec"]["asn"]
            neighbors.append({"asn": asn, "ip": near.partition("/")[0], "source": own})
        spec: Json = {
            "asn": GATEWAY_ASN,
            "groups": [{"name": "default"} | ({"priority": number} if number else {})],
            "interfaces": interfaces,
            "neighbors": neighbors,
            "protocolIP": protocol,
            "vtepIP": vtep,
            "vtepMAC": f"CA:FE:BA:BE:01:{number + 1:02X}",
            "vtepMTU": 9036,
            "workers": 4,
        }
        draft.add("Gateway", name, spec)
