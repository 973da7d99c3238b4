"""VPCs: each field of a VPC and of its subnets, where it goes, and what the fabric decides by itself."""

from __future__ import annotations

from typing import Any

import pytest

from functions.records import Record, Ref
from functions.translate import Code, Translation
from functions.translate.names import digest
from tests.functions.translate.hedgehog import codes, of, thing, translated

NAMESPACE = thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 1999}]})
VNIS = thing("Catalog", "vpcs", {"vpcVNIs": {"v": 100}, "vpcSubnetVNIs": {"v": {"a": 101, "b": 102}}})
KEY = "lab1/VPC/default/v"
VRF = Ref("vrf", KEY)
SLUG = f"fabric-lab1-v-a-{digest('fabric-lab1:v/a')}"
SOURCE = {"fabric_source": "vpc.githedgehog.com/VPC default/v"}


def vpc(subnets: dict[str, Any], **spec: Any) -> Any:
    return thing("VPC", "v", {"subnets": subnets} | spec)


def found_of(subnets: dict[str, Any], *more: Any, unread: tuple[str, ...] = (), **spec: Any) -> Translation:
    return translated(NAMESPACE, VNIS, vpc(subnets, **spec), *more, unread=unread)


def subnet(**more: Any) -> dict[str, Any]:
    return {"a": {"subnet": "10.0.1.0/24", "vlan": 1001} | more}


def test_a_vpc_with_one_subnet_becomes_exactly_these_records() -> None:
    options = {"dnsServers": ["8.8.8.8", "1.1.1.1"], "interfaceMTU": 9036, "leaseTimeSeconds": 3600, "pxeURL": ""}
    found = found_of(
        subnet(
            gateway="10.0.1.1",
            isolated=True,
            dhcp={
                "enable": True,
                "range": {"start": "10.0.1.10", "end": "10.0.1.99"},
                "options": options,
                "static": {"02:00:00:00:00:aa": {"ip": "10.0.1.20"}},
            },
        )
    )
    assert [record for record in found.records if record.model not in ("vlan_group", "role")] == [
        Record(
            "vrf",
            KEY,
            {"name": "lab1:v", "enforce_unique": True},
            SOURCE
            | {
                "fabric_vni": 100,
                "fabric_peerings": None,
                "fabric_spec": {"mode": "l2vni", "ipv4Namespace": "default", "vlanNamespace": "default"},
            },
        ),
        Record(
            "vlan",
            f"{KEY}#a",
            {
                "group": Ref("vlan_group", "lab1/VLANNamespace/default/default"),
                "vid": 1001,
                "name": "v/a",
                "status": "active",
            },
            SOURCE,
        ),
        Record(
            "l2vpn",
            f"{KEY}#a",
            {"name": "lab1:v/a", "slug": SLUG, "type": "vxlan-evpn", "identifier": 101},
            SOURCE,
        ),
        Record(
            "prefix",
            f"{KEY}#a",
            {
                "prefix": "10.0.1.0/24",
                "vrf": VRF,
                "status": "active",
                "role": Ref("role", "fabric-vpc-subnet"),
                "vlan": Ref("vlan", f"{KEY}#a"),
                "scope": Ref("site", "dc1"),
            },
            SOURCE
            | {
                "fabric_vni": 101,
                "fabric_spec": {
                    "isolated": True,
                    "dhcp": {
                        "enable": True,
                        "options": {
                            "dnsServers": ["1.1.1.1", "8.8.8.8"],
                            "interfaceMTU": 9036,
                            "leaseTimeSeconds": 3600,
                        },
                    },
                },
            },
        ),
        Record(
            "ip_range",
            f"{KEY}#a/dhcp",
            {
                "start_address": "10.0.1.10/24",
                "end_address": "10.0.1.99/24",
                "vrf": VRF,
                "status": "active",
                "role": Ref("role", "fabric-dhcp"),
            },
            SOURCE,
        ),
        Record(
            "ip_address",
            f"{KEY}#a/gateway",
            {"address": "10.0.1.1/24", "vrf": VRF, "status": "active", "role": "anycast"},
            SOURCE,
        ),
        Record(
            "ip_address",
            f"{KEY}#a/static:02:00:00:00:00:aa",
            {"address": "10.0.1.20/24", "vrf": VRF, "status": "reserved"},
            SOURCE | {"fabric_mac": "02:00:00:00:00:AA"},
        ),
        Record(
            "l2vpn_termination",
            f"{KEY}#a",
            {"l2vpn": Ref("l2vpn", f"{KEY}#a"), "assigned_object": Ref("vlan", f"{KEY}#a")},
            SOURCE,
        ),
    ]
    assert found.issues == ()


def test_what_a_vpc_says_of_itself_is_kept_in_one_field() -> None:
    found = found_of(
        subnet(),
        mode="l3vni",
        ipv4Namespace="n4",
        defaultIsolated=True,
        defaultRestricted=False,
        permit=[["b", "a"], ["c"]],
        staticRoutes=[{"prefix": "10.9.0.0/24", "nextHops": ["10.0.1.9", "10.0.1.8"]}],
    )
    assert of(found, "vrf")[KEY].custom["fabric_spec"] == {
        "mode": "l3vni",
        "ipv4Namespace": "n4",
        "vlanNamespace": "default",
        "defaultIsolated": True,
        "permit": [["a", "b"], ["c"]],
        "staticRoutes": [{"prefix": "10.9.0.0/24", "nextHops": ["10.0.1.8", "10.0.1.9"]}],
    }


@pytest.mark.parametrize(("mode", "stretched"), [("", True), (None, True), ("l3vni", False), ("l3flat", False)])
def test_only_an_l2_vpc_has_l2_vpns(mode: str | None, stretched: bool) -> None:
    found = found_of(subnet(), mode=mode)
    assert bool(of(found, "l2vpn")) == bool(of(found, "l2vpn_termination")) == stretched
    assert f"{KEY}#a" in of(found, "vlan"), "the VLAN between switch and server is there in every mode"


def test_the_first_address_is_the_gateway_where_none_is_named() -> None:
    assert of(found_of(subnet()), "ip_address")[f"{KEY}#a/gateway"].fields["address"] == "10.0.1.1/24"


def test_dhcp_without_a_range_serves_from_the_second_address_to_the_broadcast_address() -> None:
    record = of(found_of(subnet(dhcp={"enable": True})), "ip_range")[f"{KEY}#a/dhcp"]
    assert (record.fields["start_address"], record.fields["end_address"]) == ("10.0.1.2/24", "10.0.1.255/24")


@pytest.mark.parametrize("dhcp", [{}, {"enable": False}, {"relay": "10.9.9.9/32"}, {"range": {"start": "10.0.1.10"}}])
def test_a_subnet_whose_dhcp_is_off_has_no_range(dhcp: dict[str, Any]) -> None:
    assert not of(found_of(subnet(dhcp=dhcp)), "ip_range")


def test_relays_and_routes_of_dhcp_are_kept_with_the_prefix() -> None:
    routes = [{"destination": "10.2.0.0/16", "gateway": "10.0.1.3"}, {"destination": "10.1.0.0/16", "gateway": "::"}]
    dhcp = {"relay": "10.9.9.9/32", "relayVPC": "w", "options": {"advertisedRoutes": routes, "timeServers": []}}
    spec = of(found_of(subnet(dhcp=dhcp, restricted=True)), "prefix")[f"{KEY}#a"].custom["fabric_spec"]
    assert spec == {
        "restricted": True,
        "dhcp": {"relay": "10.9.9.9/32", "relayVPC": "w", "options": {"advertisedRoutes": [routes[1], routes[0]]}},
    }


@pytest.mark.parametrize(
    "broken",
    [
        {"subnet": "10.0.1.0/33"},
        {"gateway": "10.0.2.1"},
        {"gateway": "first"},
        {"vlan": 5000},
        {"vlan": "1001"},
        {"dhcp": {"enable": True, "range": {"start": "10.0.1.99", "end": "10.0.1.9"}}},
        {"dhcp": {"enable": True, "range": {"start": "10.0.0.9"}}},
        {"dhcp": {"static": {"no mac": {"ip": "10.0.1.9"}}}},
        {"dhcp": {"static": {"02:00:00:00:00:01": {"ip": "10.0.9.9"}}}},
        {"dhcp": "on"},
    ],
)
def test_one_bad_field_of_a_subnet_is_noted_and_costs_no_other_subnet_anything(broken: dict[str, Any]) -> None:
    other = {"b": {"subnet": "10.0.2.0/24", "vlan": 1002}}
    alone, found = found_of(other), found_of(subnet(**broken) | other)
    assert {code for _, code in codes(found)} == {Code.MALFORMED}
    for record in alone.records:
        if record.key.endswith(("#b", "#b/gateway")):
            assert record in found.records
    assert {"prefix", "ip_address", "ip_range", "vlan"}.isdisjoint(found.complete)


def test_netbox_is_not_asked_for_two_addresses_or_ranges_in_one_place() -> None:
    static = {"02:00:00:00:00:01": {"ip": "10.0.1.1"}, "02:00:00:00:00:02": {"ip": "10.0.1.2"}}
    found = found_of(
        {
            "a": {"subnet": "10.0.1.0/24", "vlan": 1001, "dhcp": {"enable": True, "static": static}},
            "b": {"subnet": "10.0.1.128/25", "vlan": 1002, "dhcp": {"enable": True}},
        }
    )
    assert set(of(found, "ip_range")) == {f"{KEY}#a/dhcp"}
    assert set(of(found, "ip_address")) == {
        f"{KEY}#a/gateway",
        f"{KEY}#b/gateway",
        f"{KEY}#a/static:02:00:00:00:00:02",
    }
    assert codes(found) == [("VPC default/v", Code.ADDRESS_IN_USE)] * 2


def test_a_host_with_bgp_has_a_vlan_only_if_one_is_given_and_is_never_stretched() -> None:
    found = found_of(
        {
            "a": {"subnet": "10.0.1.0/24", "vlan": 0, "hostBGP": True, "hostBGPMaxPrefixLen": 32},
            "b": {"subnet": "10.0.2.0/24", "vlan": 77, "hostBGP": True},
            "c": {"subnet": "10.0.3.0/24", "vlan": 1003, "hostBGP": True},
        }
    )
    group = Ref("vlan_group", "lab1/VLANNamespace/default/default")
    vlans = {key[-1]: (record.fields["vid"], record.fields["group"]) for key, record in of(found, "vlan").items()}
    assert vlans == {"b": (77, None), "c": (1003, group)}
    assert not of(found, "l2vpn")
    prefixes = of(found, "prefix")
    assert prefixes[f"{KEY}#a"].fields["vlan"] is None
    assert prefixes[f"{KEY}#a"].custom["fabric_spec"] == {"hostBGP": True, "hostBGPMaxPrefixLen": 32}
    assert found.issues == ()


def test_a_vlan_belongs_to_one_subnet_of_its_namespace_and_hosts_with_bgp_stand_back() -> None:
    found = translated(
        NAMESPACE,
        thing("VPC", "a", {"subnets": {"h": {"subnet": "10.0.1.0/24", "vlan": 1001, "hostBGP": True}}}),
        thing("VPC", "b", {"subnets": {"s": {"subnet": "10.0.2.0/24", "vlan": 1001}}}),
        thing("VPC", "c", {"subnets": {"s": {"subnet": "10.0.3.0/24", "vlan": 1001}}}),
        thing("VPC", "d", {"subnets": {"s": {"subnet": "10.0.4.0/24", "vlan": 2001}}}),
        thing("VPC", "e", {"subnets": {"s": {"subnet": "10.0.5.0/24", "vlan": 1005}}, "vlanNamespace": "gone"}),
    )
    grouped = {key.split("/")[3][0] for key, record in of(found, "vlan").items() if record.fields["group"]}
    assert grouped == {"b"}
    assert len(of(found, "vlan")) == 5, "NetBox takes VLANs of no group as often as one likes"
    assert codes(found) == [(f"VPC default/{name}", Code.VLAN_OUTSIDE) for name in "cde"]
    assert "vlan" in found.complete


def test_equal_prefixes_in_two_vpcs_stay_two() -> None:
    found = translated(
        NAMESPACE,
        thing("VPC", "a", {"subnets": {"s": {"subnet": "10.0.1.0/24", "vlan": 1001}}, "ipv4Namespace": "x"}),
        thing("VPC", "b", {"subnets": {"s": {"subnet": "10.0.1.0/24", "vlan": 1002}}, "ipv4Namespace": "y"}),
    )
    assert len(of(found, "prefix")) == len(of(found, "ip_address")) == 2
    assert found.issues == ()


def test_a_vni_arrives_late_and_changes_no_identity() -> None:
    early, late = translated(NAMESPACE, vpc(subnet())), found_of(subnet())
    assert {(record.model, record.key) for record in early.records} == {
        (record.model, record.key) for record in late.records
    }
    assert (of(early, "vrf")[KEY].custom["fabric_vni"], of(late, "vrf")[KEY].custom["fabric_vni"]) == (None, 100)
    one, two = (of(found, "l2vpn")[f"{KEY}#a"].fields for found in (early, late))
    assert (one["identifier"], two["identifier"]) == (None, 101)
    assert {**one, "identifier": 101} == two


def test_without_the_catalogs_no_vni_is_said_to_be_missing() -> None:
    found = found_of(subnet(), unread=("Catalog",))
    assert "fabric_vni" not in of(found, "vrf")[KEY].custom
    assert "fabric_vni" not in of(found, "prefix")[f"{KEY}#a"].custom
    assert "identifier" not in of(found, "l2vpn")[f"{KEY}#a"].fields
    assert {"vrf", "prefix", "l2vpn"} <= found.complete


def test_without_the_vlan_namespaces_no_vlan_is_put_into_the_wrong_group() -> None:
    found = found_of(subnet(), unread=("VLANNamespace",))
    assert not of(found, "vlan")
    assert not of(found, "l2vpn_termination")
    assert "vlan" not in of(found, "prefix")[f"{KEY}#a"].fields
    assert {"vlan", "l2vpn_termination", "vlan_group"}.isdisjoint(found.complete)


def test_a_release_may_say_less_or_more_than_is_known_here() -> None:
    old = {"subnet": "10.0.1.0/24", "vlan": 1001, "gateway": "10.0.1.1", "dhcp": {"enable": True, "options": None}}
    found = translated(NAMESPACE, vpc({"a": old | {"tomorrow": {"x": 1}}}, tomorrow=True))
    assert {record.model for record in found.records} >= {"vrf", "prefix", "vlan", "l2vpn", "ip_range", "ip_address"}
    assert "tomorrow" not in repr(found.records)
    assert found.issues == ()


def test_two_vpcs_of_one_name_are_one_to_everybody_who_refers_to_it() -> None:
    found = translated(NAMESPACE, vpc(subnet()), thing("VPC", "v", {"subnets": {}}, namespace="other"))
    assert set(of(found, "vrf")) == {KEY}
    assert codes(found) == [("VPC other/v", Code.CLASH)]
    assert "vrf" not in found.complete


def test_long_names_are_cut_without_becoming_one() -> None:
    names = ["s" * 80 + end for end in "12"]
    found = found_of({name: {"subnet": f"10.0.{at}.0/24", "vlan": 1001 + at} for at, name in enumerate(names, start=1)})
    for model, limit in (("vlan", 64), ("l2vpn", 100)):
        shown = [str(record.fields["name"]) for record in of(found, model).values()]
        assert len(set(shown)) == 2
        assert max(map(len, shown)) <= limit
