"""Externals: VRFs, the legs of a switch that lead out, and the addresses at both ends of them."""

from __future__ import annotations

from typing import Any

import pytest

from functions.records import Record, Ref
from functions.translate import Code
from tests.functions.translate.hedgehog import (
    codes,
    connection,
    device,
    interface,
    link,
    of,
    profile,
    switch,
    thing,
    translated,
)

LAB = (
    profile(),
    switch("leaf-01"),
    switch("leaf-02"),
    connection("out", external={"link": link(switch="leaf-01/E1/1")}),
    connection("out-2", external={"link": link(switch="leaf-02/E1/1")}),
    thing("Catalog", "vpcs", {"vpcVNIs": {"ext@edge": 300}}),
)
EDGE = thing("External", "edge", {"inboundCommunity": "65102:1000", "outboundCommunity": "5000:65102"})
VRF = Ref("vrf", "lab1/External/default/edge")
SOURCE = {"fabric_source": "vpc.githedgehog.com/ExternalAttachment default/x"}
SUB = "lab1/ExternalAttachment/default/x#leaf-01"
UNDERLAY = Ref("vrf", "lab1/Fabric/default/lab1#underlay")


def reach(name: str = "x", conn: str = "out", **more: Any) -> Any:
    spec = {
        "connection": conn,
        "external": "edge",
        "neighbor": {"asn": 64102, "ip": "100.1.10.6"},
        "switch": {"ip": "100.1.10.1/24", "vlan": 10},
    }
    return thing("ExternalAttachment", name, spec | more)


def test_an_external_is_a_vrf_with_its_communities_and_static_prefixes() -> None:
    found = translated(
        *LAB,
        thing(
            "External",
            "edge",
            {
                "ipv4Namespace": "n4",
                "inboundCommunity": "65102:1000",
                "outboundCommunity": "5000:65102",
                "static": {"prefixes": ["8.0.0.0/8", "0.0.0.0/0"]},
            },
        ),
    )
    source = {"fabric_source": "vpc.githedgehog.com/External default/edge"}
    assert of(found, "vrf")[VRF.key] == Record(
        "vrf",
        VRF.key,
        {"name": "lab1:ext:edge", "enforce_unique": True},
        source
        | {
            "fabric_vni": 300,
            "fabric_peerings": None,
            "fabric_spec": {
                "ipv4Namespace": "n4",
                "inboundCommunity": "65102:1000",
                "outboundCommunity": "5000:65102",
                "staticPrefixes": ["0.0.0.0/0", "8.0.0.0/8"],
            },
        },
    )
    fields = {
        "prefix": "8.0.0.0/8",
        "vrf": VRF,
        "status": "active",
        "role": Ref("role", "fabric-external"),
        "scope": Ref("site", "dc1"),
    }
    beyond = {key: record for key, record in of(found, "prefix").items() if "External" in key}
    key = f"{VRF.key}#8.0.0.0/8"
    assert beyond == {key: Record("prefix", key, fields, source)}, "NetBox takes no prefix of length 0"
    assert found.issues == ()


def test_an_attachment_is_a_part_of_the_port_with_an_address_and_a_neighbour() -> None:
    acl = [{"seq": 20, "action": "deny", "protocol": "tcp"}, {"seq": 10, "action": "permit", "icmpType": 0}]
    found = translated(*LAB, EDGE, reach(inboundACL={"statements": acl}))
    assert of(found, "interface")[SUB] == Record(
        "interface",
        SUB,
        {
            "device": device("Switch/default/leaf-01"),
            "name": "E1/1.10",
            "type": "virtual",
            "parent": interface("Switch/default/leaf-01#E1/1"),
            "enabled": True,
            "description": "External edge",
            "vrf": VRF,
        },
        SOURCE
        | {
            "fabric_spec": {
                "neighbor": {"asn": 64102, "ip": "100.1.10.6"},
                "inboundACL": [
                    {"seq": 10, "action": "permit", "icmpType": 0},
                    {"seq": 20, "action": "deny", "protocol": "tcp"},
                ],
            }
        },
    )
    assert sorted(of(found, "ip_address").values(), key=lambda record: str(record.fields["address"])) == [
        Record(
            "ip_address",
            f"{SUB.partition('#')[0]}#address:leaf-01",
            {
                "address": "100.1.10.1/24",
                "vrf": VRF,
                "status": "active",
                "assigned_object": Ref("interface", SUB),
            },
            SOURCE,
        ),
        Record(
            "ip_address",
            f"{VRF.key}#far:100.1.10.6",
            {"address": "100.1.10.6/24", "vrf": VRF, "status": "active"},
            SOURCE,
        ),
    ]
    assert "64102" in of(found, "asn")
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"]
    assert (port.fields["vrf"], port.custom["fabric_spec"]) == (None, None)
    assert found.issues == ()


def test_without_a_vlan_the_port_itself_is_the_leg() -> None:
    found = translated(*LAB, EDGE, reach(switch={"ip": "100.1.10.1/24", "vlan": 0}))
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"]
    assert port.fields["vrf"] == VRF
    assert port.custom["fabric_spec"] == {"neighbor": {"asn": 64102, "ip": "100.1.10.6"}}
    assert SUB not in of(found, "interface")
    near = of(found, "ip_address")["lab1/ExternalAttachment/default/x#address:leaf-01"]
    assert near.fields["assigned_object"] == Ref("interface", port.key)


def test_a_static_attachment_says_what_it_needs_in_one_place() -> None:
    static = {"ip": "100.1.10.1/24", "remoteIP": "100.1.10.6", "vlan": 12, "proxy": True}
    found = translated(*LAB, EDGE, reach(static=static, neighbor={}, switch={}))
    record = of(found, "interface")[SUB]
    assert record.fields["name"] == "E1/1.12"
    assert record.custom["fabric_spec"] == {"static": {"ip": "100.1.10.1/24", "remoteIP": "100.1.10.6", "proxy": True}}
    assert {address.fields["address"] for address in of(found, "ip_address").values()} == {
        "100.1.10.1/24",
        "100.1.10.6/24",
    }


def test_a_static_attachment_without_an_address_of_its_own_knows_the_whole_address_of_the_other() -> None:
    found = translated(*LAB, EDGE, reach(static={"remoteIP": "100.1.10.6", "proxy": True}, neighbor={}, switch={}))
    assert {address.fields["address"] for address in of(found, "ip_address").values()} == {"100.1.10.6/32"}


def test_a_neighbour_of_two_switches_is_one_address() -> None:
    other = reach("y", "out-2", switch={"ip": "100.1.10.2/24", "vlan": 10})
    found = translated(*LAB, EDGE, reach(), other)
    assert sorted(str(record.fields["address"]) for record in of(found, "ip_address").values()) == [
        "100.1.10.1/24",
        "100.1.10.2/24",
        "100.1.10.6/24",
    ]
    assert found.issues == ()


def test_a_neighbour_that_is_a_switch_of_the_same_vrf_is_no_second_address() -> None:
    ends = [{"ip": "100.1.10.1/24", "vlan": 10}, {"ip": "100.1.10.2/24", "vlan": 10}]
    found = translated(
        *LAB,
        EDGE,
        reach(neighbor={"ip": "100.1.10.2"}, switch=ends[0]),
        reach("y", "out-2", neighbor={"ip": "100.1.10.1"}, switch=ends[1]),
    )
    assert set(of(found, "ip_address")) == {
        "lab1/ExternalAttachment/default/x#address:leaf-01",
        "lab1/ExternalAttachment/default/y#address:leaf-02",
    }
    assert found.issues == ()


def test_two_switches_cannot_have_one_address() -> None:
    found = translated(*LAB, EDGE, reach(), reach("y", "out-2"))
    assert len(of(found, "ip_address")) == 2
    assert codes(found) == [("ExternalAttachment default/y", Code.ADDRESS_IN_USE)]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"external": "gone"}, Code.DANGLING),
        ({"connection": "gone"}, Code.DANGLING),
        ({"switch": {"ip": "100.1.10.0/24", "vlan": 10}}, Code.MALFORMED),
        ({"switch": {"ip": "100.1.10/24", "vlan": 10}}, Code.MALFORMED),
        ({"neighbor": {"ip": "someone", "asn": 64102}}, Code.MALFORMED),
        ({"neighbor": {"asn": -1}}, Code.MALFORMED),
        ({"static": []}, Code.MALFORMED),
    ],
)
def test_an_attachment_that_cannot_be_used_as_it_is_is_noted(broken: dict[str, Any], code: Code) -> None:
    found = translated(*LAB, EDGE, reach(**broken))
    assert {code for _, code in codes(found)} == {code}
    assert VRF.key in of(found, "vrf")
    assert ("interface" in found.complete) == (code is Code.DANGLING)


def test_without_the_externals_a_leg_is_in_no_wrong_vrf() -> None:
    found = translated(*LAB, EDGE, reach(), unread=["External"])
    assert "vrf" not in of(found, "interface")[SUB].fields
    assert not of(found, "ip_address")
    assert "vrf" not in of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"].fields
    assert {"vrf", "prefix", "ip_address"}.isdisjoint(found.complete)


def test_a_release_that_has_no_static_externals_is_mapped_the_same() -> None:
    old = thing("External", "edge", {"inboundCommunity": "65102:1000"})
    found = translated(*LAB, old, reach())
    assert of(found, "vrf")[VRF.key].custom["fabric_spec"] == {
        "ipv4Namespace": "default",
        "inboundCommunity": "65102:1000",
    }
    assert found.issues == ()


def static(name: str = "s", port: str = "leaf-01/E1/2", vpc: str | None = None, **more: Any) -> Any:
    end = {
        "port": port,
        "ip": "172.30.50.5/24",
        "vlan": 1005,
        "nextHop": "172.30.50.1",
        "subnets": ["10.99.0.1/24", "10.199.0.100/32", "0.0.0.0/0"],
    }
    body: dict[str, Any] = {"link": {"switch": end | more}}
    return connection(name, staticExternal=body | ({"withinVPC": vpc} if vpc else {}))


V = thing("VPC", "v", {"subnets": {}})


@pytest.mark.parametrize(("vpc", "vrf"), [("v", Ref("vrf", "lab1/VPC/default/v")), (None, UNDERLAY)])
def test_a_static_connection_is_a_leg_of_its_vpc_or_of_the_underlay(vpc: str | None, vrf: Ref) -> None:
    found = translated(*LAB, V, static(vpc=vpc))
    source = {"fabric_source": "wiring.githedgehog.com/Connection default/s"}
    sub = "lab1/Connection/default/s#leaf-01"
    record = of(found, "interface")[sub]
    assert (record.fields["name"], record.fields["vrf"]) == ("E1/2.1005", vrf)
    assert record.fields["description"] == "StaticExt s"
    subnets = ["0.0.0.0/0", "10.199.0.100/32", "10.99.0.1/24"]
    said = {"nextHop": "172.30.50.1", "subnets": subnets} | ({"withinVPC": vpc} if vpc else {})
    assert record.custom == source | {"fabric_spec": said}
    near, far = "lab1/Connection/default/s#address:leaf-01", f"{vrf.key}#far:172.30.50.1"
    assert of(found, "ip_address") == {
        near: Record(
            "ip_address",
            near,
            {"address": "172.30.50.5/24", "vrf": vrf, "status": "active", "assigned_object": Ref("interface", sub)},
            source,
        ),
        far: Record("ip_address", far, {"address": "172.30.50.1/24", "vrf": vrf, "status": "active"}, source),
    }
    assert {key: (prefix.fields["prefix"], prefix.fields["vrf"]) for key, prefix in of(found, "prefix").items()} == {
        f"{vrf.key}#behind:10.99.0.0/24": ("10.99.0.0/24", vrf),
        f"{vrf.key}#behind:10.199.0.100/32": ("10.199.0.100/32", vrf),
    }
    assert found.issues == ()


def test_a_network_behind_two_static_connections_is_one_prefix() -> None:
    found = translated(*LAB, static(), static("t", "leaf-02/E1/2", ip="172.30.50.6/24"))
    assert len(of(found, "prefix")) == 2
    assert found.issues == ()


def test_a_static_connection_in_a_vpc_that_is_not_there_is_in_no_other_vrf() -> None:
    found = translated(*LAB, static(vpc="gone"))
    assert of(found, "interface")["lab1/Connection/default/s#leaf-01"].fields["vrf"] is None
    assert not of(found, "ip_address")
    assert codes(found) == [("Connection default/s", Code.DANGLING)]


def test_without_the_vpcs_a_static_connection_keeps_the_vrf_it_has() -> None:
    found = translated(*LAB, V, static(vpc="v"), unread=["VPC"])
    assert "vrf" not in of(found, "interface")["lab1/Connection/default/s#leaf-01"].fields
    assert not of(found, "ip_address")
