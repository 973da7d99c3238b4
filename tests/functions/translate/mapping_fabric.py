"""A small fabric that has one of everything, for holding the page on the mapping against what translation does."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.translate import Translation, translate
from tests.functions.translate.hedgehog import LAB, connection, link, profile, server, snapshot, switch, thing

PORTS = {
    "M1": {"management": True, "nos": "Management0"},
    **{f"E1/{n}": {"label": str(n), "nos": f"Ethernet{n}", "profile": "SFP28-25G"} for n in range(1, 25)},
    "E1/30": {"label": "30", "nos": "Ethernet30", "group": "g1"},
    **{f"E1/{n}": {"label": str(n), "baseNOSName": f"Ethernet{n}", "profile": "QSFP28-100G"} for n in (40, 41)},
}


def _profile(name: str, title: str, nos: str, **ports: Any) -> dict[str, Any]:
    item = dict(profile(name, displayName=title, nosType=nos, ports=PORTS | ports))
    rules = deepcopy(item["spec"]["portProfiles"])
    rules["RJ45-10G"] = {"speed": {"default": "10G", "supported": ["1G", "10G"]}}
    rules["QSFP28-100G"]["breakout"]["supported"]["2x50G"] = {"offsets": ["0", "2"]}
    groups = {"g1": {"nos": "1", "profile": "RJ45-10G"}}
    return {**item, "spec": {**item["spec"], "portProfiles": rules, "portGroups": groups, "pipelines": {}}}


def _pair(kind: str, one: str, two: str, **more: Any) -> dict[str, Any]:
    ends = [link(server="server-01/" + kind + n, switch=sw) for n, sw in (("1", one), ("2", two))]
    return {kind: {"links": ends, **more}}


def _wire(kind: str, one: tuple[str, str, str], two: tuple[str, str, str]) -> Any:
    link = {name: {"port": port, "ip": ip} for name, port, ip in (one, two)}
    return connection(kind, **{kind: {"links": [link]}})


VPC = {
    "mode": "l2vni",
    "permit": [["a", "b"]],
    "staticRoutes": [{"prefix": "10.100.0.0/24", "nextHops": ["10.0.1.9"]}],
    "subnets": {
        "a": {
            "subnet": "10.0.1.0/24",
            "gateway": "10.0.1.1",
            "vlan": 1001,
            "dhcp": {
                "enable": True,
                "range": {"start": "10.0.1.50", "end": "10.0.1.99"},
                "static": {"02:00:00:00:00:01": {"ip": "10.0.1.5"}},
                "options": {"advertisedRoutes": [{"destination": "9.9.9.0/24", "gateway": "10.0.1.2"}]},
            },
        },
        "b": {"subnet": "10.0.2.0/24", "vlan": 1002, "dhcp": {}},
    },
}
EXPOSED = {
    "ips": [{"cidr": "10.0.1.0/24"}],
    "as": [{"cidr": "192.0.2.0/24"}],
    "nat": {"masquerade": {}, "portForward": {"ports": [{"proto": "tcp"}]}},
}
RULE = {"action": "deny", "match": {"src": [{"cidr": "10.0.1.0/24"}], "dst": [{"cidr": "10.0.2.0/24"}]}}
ACL = {"statements": [{"seq": 10, "action": "permit", "protocol": "tcp", "tcpFilters": {}}]}

OBJECTS: tuple[Any, ...] = (
    _profile("acme-1", "Acme One", "sonic-bcm-base"),
    _profile("other-2", "Beta Two", "sonic-cls-plus", **{"E1/99": {"nos": "Ethernet99"}}),
    thing("SwitchGroup", "rg-1", {}),
    thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 1999}]}),
    thing("VLANNamespace", "wide", {"ranges": [{"from": 1000, "to": 1999}]}),
    thing("IPv4Namespace", "default", {"subnets": ["10.0.0.0/16"]}),
    switch("leaf-01", vlanNamespaces=["default"]),
    switch("leaf-02", description="a leaf", boot={"mac": "02:00:00:00:00:03", "serial": "SN-2"}),
    switch("spine-01", "spine", asn=65100),
    server("server-01"),
    server("server-02"),
    thing("ServerProfile", "x", {}),
    thing("Gateway", "gw-1", {
        "protocolIP": "10.9.0.1/32", "vtepIP": "10.9.1.1/32", "groups": [{"name": "gg", "priority": 1}],
        "interfaces": {"enp1s0": {"ips": ["10.9.2.1/31"], "mtu": 9000}, "enp2s0": {}}, "asn": 65534,
        "neighbors": [{"ip": "10.9.2.0", "asn": 65100, "source": "enp1s0"}],
    }),
    thing("Gateway", "gw-2", {"vtepMAC": "02:00:00:00:00:02"}),
    thing("GatewayGroup", "gg", {}),
    connection("unbundled", unbundled={"link": link(server="server-02/u", switch="leaf-01/E1/1")}),
    connection("host", unbundled={"link": link(server="server-02/h", switch="leaf-02/E1/1")}),
    connection("bundled", **_pair("bundled", "leaf-01/E1/2", "leaf-01/E1/3")),
    connection("eslag", **_pair("eslag", "leaf-01/E1/4", "leaf-02/E1/4")),
    connection("mclag", **_pair("mclag", "leaf-01/E1/5", "leaf-02/E1/5")),
    connection("domain", mclagDomain={
        "peerLinks": [link(switch1="leaf-01/E1/6", switch2="leaf-02/E1/6")],
        "sessionLinks": [link(switch1="leaf-01/E1/7", switch2="leaf-02/E1/7")],
    }),
    _wire("fabric", ("leaf", "leaf-01/E1/8", "10.8.0.1/31"), ("spine", "spine-01/E1/8", "10.8.0.0/31")),
    _wire("mesh", ("leaf1", "leaf-01/E1/9", "10.8.1.0/31"), ("leaf2", "leaf-02/E1/9", "10.8.1.1/31")),
    _wire("gateway", ("switch", "spine-01/E1/10", "10.8.2.0/31"), ("gateway", "gw-1/enp3s0", "10.8.2.1/31")),
    connection("loop", vpcLoopback={"links": [link(switch1="leaf-01/E1/11", switch2="leaf-01/E1/12")]}),
    connection("external", external={"link": link(switch="leaf-01/E1/13")}),
    connection("external-2", external={"link": link(switch="leaf-01/E1/14")}),
    connection("static", staticExternal={"withinVPC": "vpc-1", "link": {"switch": {
        "port": "leaf-01/E1/15", "ip": "10.7.0.5/24", "vlan": 1005, "nextHop": "10.7.0.1", "subnets": ["10.99.0.0/24"],
    }}}),
    connection("static-2", staticExternal={"link": {"switch": {
        "port": "leaf-01/E1/16", "ip": "10.6.0.5/24", "vlan": 1006, "nextHop": "10.6.0.1", "subnets": ["10.98.0.0/24"],
    }}}),
    thing("VPC", "vpc-1", VPC),
    thing("VPC", "vpc-2", {"subnets": {"a": {"subnet": "10.0.4.0/24", "vlan": 1003}}}),
    thing("VPC", "vpc-3", {"subnets": {"a": {"subnet": "10.0.5.0/24", "vlan": 1004, "hostBGP": True}}}),
    thing("VPCAttachment", "at-1", {"connection": "unbundled", "subnet": "vpc-1/a", "nativeVLAN": True}),
    thing("VPCAttachment", "at-2", {"connection": "unbundled", "subnet": "vpc-1/b"}),
    thing("VPCAttachment", "at-3", {"connection": "mclag", "subnet": "vpc-1/a"}),
    thing("VPCAttachment", "at-4", {"connection": "host", "subnet": "vpc-3/a"}),
    thing("VPCPeering", "vpc-1--vpc-2", {"permit": [{"vpc-1": {"subnets": ["a"]}, "vpc-2": {}}]}),
    thing("External", "ext-1", {"static": {"prefixes": ["192.0.2.0/24"]}}),
    thing("External", "ext-2", {}),
    thing("ExternalAttachment", "leaf-01--ext-1", {
        "connection": "external", "external": "ext-1", "neighbor": {"asn": 64602, "ip": "100.1.10.6"},
        "switch": {"ip": "100.1.10.1/24", "vlan": 10}, "inboundACL": ACL,
    }),
    thing("ExternalAttachment", "static--ext-2", {
        "connection": "external-2", "external": "ext-2",
        "static": {"ip": "100.1.20.1/24", "remoteIP": "100.1.20.2", "vlan": 20},
    }),
    thing("ExternalPeering", "vpc-1--ext-1", {
        "permit": {"external": {"name": "ext-1", "prefixes": [{"prefix": "0.0.0.0/0"}]}, "vpc": {"name": "vpc-1"}}
    }),
    thing("GatewayPeering", "vpc-1--vpc-2", {
        "peering": {"vpc-1": {"expose": [EXPOSED]}, "vpc-2": {"expose": [{"ips": [{"cidr": "10.0.4.0/24"}]}]}},
        "acl": {"default": "", "rules": [RULE]},
    }),
    thing("VPCInfo", "vpc-1", {}),
    thing("Catalog", "vpcs", {"vpcVNIs": {"vpc-1": 100}, "vpcSubnetVNIs": {"vpc-1": {"a": 101}}}),
    thing("Catalog", "switch.leaf-01", {"portChannelIDs": {"bundled": 1, "eslag": 2, "mclag": 3}}),
    thing("Catalog", "redundancy.rg-1", {"portChannelIDs": {"bundled": 11, "eslag": 12, "mclag": 13}}),
    thing("DHCPSubnet", "management", {
        "cidrBlock": "172.30.0.0/21", "startIP": "172.30.4.0", "endIP": "172.30.7.254", "subnet": "management",
    }),
    thing("DHCPSubnet", "vpc-1--a", {"cidrBlock": "10.0.1.0/24", "subnet": "vpc-1/a"}),
    thing("Agent", "leaf-01", {}),
    thing("GatewayAgent", "gw-1", {}),
    thing("ControlNode", "control-1", {"management": {"ip": "172.30.0.5/21", "interface": "enp2s1"}}),
    thing("ControlNode", "control-2", {"management": {"interface": "enp2s1"}}),
    thing("FabNode", "node-2", {"management": {"interface": "enp2s1"}}),
    thing("FabNode", "node-1", {"management": {"ip": "172.30.0.6/21", "interface": "enp2s1"}, "roles": ["control"]}),
    thing("Fabricator", "default", {"config": {"fabric": {"mode": "spine-leaf", "vtepSubnet": "10.9.1.0/24"}}}),
)  # fmt: skip


def translated(*objects: Any) -> Translation:
    """The records of a fabric as `observe` would let it through."""
    read = [
        trimmed({**item, "metadata": {**item["metadata"], "generation": 7}}, BY_NAME[item["kind"]]) for item in objects
    ]
    return translate(snapshot(*read), LAB)
