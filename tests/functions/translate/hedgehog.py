"""Small fabrics for the tests of translation, written as a Hedgehog API server answers them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from functions.fabric import Fabric, Naming
from functions.kinds import BY_NAME, KINDS
from functions.records import Record, Ref, Value
from functions.snapshot import Listing, Reading, Resource, Snapshot
from functions.translate import FAMILIES, Code, Translation, translate

LAB = Fabric("lab1", 1, "dc1", "secret")
BARE: Mapping[str, Value] = {"mode": "", "untagged_vlan": None, "tagged_vlans": (), "vrf": None}
"""A data port of a switch that nothing is attached to."""

EVERYTHING = frozenset(model for family in FAMILIES for model in family.models)
PREFIXED = Fabric("lab1", 1, "dc1", "secret", naming=Naming.PREFIXED)


def thing(kind: str, name: str, spec: dict[str, Any], namespace: str = "default") -> Resource:
    return {
        "apiVersion": f"{BY_NAME[kind].group}/v1beta1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
        "spec": spec,
        "status": {},
    }


def profile(name: str = "acme-1", **more: Any) -> Resource:
    """Two plain ports (E1/1, E1/2), one cage (E1/3) and M1, of the maker Acme."""
    spec = {
        "displayName": "Acme One",
        "otherNames": ["Acme AS-1"],
        "nosType": "sonic-bcm-base",
        "switchSilicon": "td4",
        "portProfiles": {
            "SFP28-25G": {"speed": {"default": "25G", "supported": ["10G", "25G"]}},
            "QSFP28-100G": {
                "breakout": {
                    "default": "1x100G",
                    "supported": {"1x100G": {"offsets": ["0"]}, "4x25G": {"offsets": ["0", "1", "2", "3"]}},
                }
            },
        },
        "ports": {
            "M1": {"management": True, "nos": "Management0", "oniePortName": "eth0"},
            "E1/1": {"label": "1", "nos": "Ethernet0", "profile": "SFP28-25G"},
            "E1/2": {"label": "2", "nos": "Ethernet1", "profile": "SFP28-25G"},
            "E1/3": {"label": "3", "nos": "1/3", "baseNOSName": "Ethernet4", "profile": "QSFP28-100G"},
        },
    }
    return thing("SwitchProfile", name, spec | more)


def switch(name: str, role: str = "server-leaf", **more: Any) -> Resource:
    return thing("Switch", name, {"profile": "acme-1", "role": role} | more)


def server(name: str, **more: Any) -> Resource:
    return thing("Server", name, more)


def gateway(name: str, **more: Any) -> Resource:
    return thing("Gateway", name, more)


def connection(name: str, **spec: Any) -> Resource:
    return thing("Connection", name, spec)


def link(**ends: str) -> dict[str, Any]:
    return {end: {"port": port} for end, port in ends.items()}


TENANTS: tuple[Resource, ...] = (
    thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 1999}, {"from": 2000}]}),
    thing("IPv4Namespace", "default", {"subnets": ["10.0.0.0/16"]}),
    switch("border-01", "border-leaf"),
    server("server-02"),
    connection("e", external={"link": link(switch="border-01/E1/1")}),
    connection(
        "s",
        staticExternal={
            "withinVPC": "vpc-1",
            "link": {
                "switch": {
                    "port": "border-01/E1/2",
                    "ip": "172.30.50.5/24",
                    "vlan": 1005,
                    "nextHop": "172.30.50.1",
                    "subnets": ["10.99.0.1/24", "10.199.0.100/32"],
                }
            },
        },
    ),
    connection("h", unbundled={"link": link(server="server-02/a", switch="border-01/E1/3")}),
    thing(
        "VPC",
        "vpc-1",
        {
            "mode": "",
            "permit": [["subnet-1", "host-1"]],
            "staticRoutes": [{"prefix": "10.100.0.0/24", "nextHops": ["10.0.1.9"]}],
            "subnets": {
                "subnet-1": {
                    "subnet": "10.0.1.0/24",
                    "gateway": "10.0.1.1",
                    "vlan": 1001,
                    "dhcp": {
                        "enable": True,
                        "range": {"start": "10.0.1.2", "end": "10.0.1.255"},
                        "options": {"dnsServers": ["1.1.1.1", "8.8.8.8"], "interfaceMTU": 9036},
                        "static": {"02:00:00:00:00:01": {"ip": "10.0.1.5"}},
                    },
                },
                "subnet-2": {"subnet": "10.0.2.0/24", "vlan": 1002, "isolated": True},
                "host-1": {"subnet": "10.0.3.0/24", "vlan": 30, "hostBGP": True},
            },
        },
    ),
    thing("VPC", "vpc-2", {"mode": "l3vni", "subnets": {"subnet-1": {"subnet": "10.0.4.0/24", "vlan": 1003}}}),
    thing("VPCAttachment", "b-1", {"connection": "b", "subnet": "vpc-1/subnet-1", "nativeVLAN": True}),
    thing("VPCAttachment", "b-2", {"connection": "b", "subnet": "vpc-1/subnet-2"}),
    thing("VPCAttachment", "h-1", {"connection": "h", "subnet": "vpc-1/host-1"}),
    thing("VPCPeering", "vpc-1--vpc-2", {"permit": [{"vpc-1": {"subnets": ["subnet-1"]}, "vpc-2": {}}]}),
    thing("External", "ext-1", {"inboundCommunity": "65102:1000", "static": {"prefixes": ["0.0.0.0/0", "8.0.0.0/8"]}}),
    thing(
        "ExternalAttachment",
        "border-01--ext-1",
        {
            "connection": "e",
            "external": "ext-1",
            "neighbor": {"asn": 64102, "ip": "100.1.10.6"},
            "switch": {"ip": "100.1.10.1/24", "vlan": 10},
            "inboundACL": {"statements": [{"seq": 10, "action": "permit", "protocol": "icmp", "icmpType": 0}]},
        },
    ),
    thing(
        "ExternalPeering",
        "vpc-1--ext-1",
        {
            "permit": {
                "external": {"name": "ext-1", "prefixes": [{"prefix": "0.0.0.0/0"}]},
                "vpc": {"name": "vpc-1", "subnets": ["subnet-1"]},
            }
        },
    ),
    thing(
        "GatewayPeering",
        "vpc-2--ext-1",
        {
            "peering": {
                "vpc-2": {"expose": [{"ips": [{"cidr": "10.0.4.0/24"}], "nat": {"static": {}}}]},
                "ext.ext-1": {"expose": [{"default": True}]},
            },
            "acl": {"default": "", "rules": [{"name": "b", "action": "deny"}, {"name": "a", "action": "allow"}]},
        },
    ),
    thing(
        "Catalog",
        "vpcs",
        {
            "vpcVNIs": {"vpc-1": 100, "vpc-2": 200, "ext@ext-1": 300},
            "vpcSubnetVNIs": {"vpc-1": {"subnet-1": 101, "subnet-2": 102, "host-1": 103}, "vpc-2": {"subnet-1": 201}},
        },
    ),
)
"""Two VPCs and an External over the devices of a lab: needs the connection `b` of another leaf."""


def snapshot(*objects: Resource, unread: Iterable[str] = (), absent: Iterable[str] = ()) -> Snapshot:
    """All kinds read to the end, but for `unread` and `absent` ones."""
    by_kind: dict[str, list[Resource]] = defaultdict(list)
    for item in objects:
        by_kind[item["kind"]].append(item)
    listings = {kind.name: Listing(kind.name, Reading.COMPLETE, tuple(by_kind[kind.name])) for kind in KINDS}
    listings |= {kind: Listing(kind, Reading.UNREAD, error="hung") for kind in unread}
    listings |= {kind: Listing(kind, Reading.ABSENT) for kind in absent}
    return Snapshot("lab1", listings)


def translated(*objects: Resource, unread: Iterable[str] = (), fabric: Fabric = LAB) -> Translation:
    return translate(snapshot(*objects, unread=unread), fabric)


def of(found: Translation, model: str) -> dict[str, Record]:
    """The records of `model` by key."""
    return {record.key: record for record in found.records if record.model == model}


def codes(found: Translation) -> list[tuple[str, Code]]:
    return [(issue.source, issue.code) for issue in found.issues]


def interface(key: str) -> Ref:
    return Ref("interface", f"lab1/{key}")


def device(key: str) -> Ref:
    return Ref("device", f"lab1/{key}")
