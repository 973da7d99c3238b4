"""Peerings: both sides hold each, in one order, without anything that NetBox or the API server numbers."""

from __future__ import annotations

from typing import Any

import pytest

from functions.translate import Code, Translation
from tests.functions.translate.hedgehog import codes, of, thing, translated

LAB = (
    thing("VPC", "a", {"subnets": {}}),
    thing("VPC", "b", {"subnets": {}}),
    thing("VPC", "c", {"subnets": {}}),
    thing("External", "e", {}),
)


def peerings(found: Translation, name: str, kind: str = "VPC") -> Any:
    return of(found, "vrf")[f"lab1/{kind}/default/{name}"].custom["fabric_peerings"]


def test_a_vpc_peering_is_on_both_vpcs_and_on_no_other() -> None:
    permit = [{"b": {"subnets": ["y", "x"]}, "a": {}}]
    found = translated(*LAB, thing("VPCPeering", "a--b", {"permit": permit, "remote": "border"}))
    entry = {
        "kind": "VPCPeering",
        "name": "a--b",
        "permit": [{"a": [], "b": ["x", "y"]}],
        "remote": "border",
    }
    assert peerings(found, "a") == peerings(found, "b") == [entry]
    assert peerings(found, "c") is None
    assert found.issues == ()


def test_an_external_peering_is_on_the_vpc_and_on_the_external() -> None:
    permit = {
        "vpc": {"name": "a", "subnets": ["y", "x"]},
        "external": {"name": "e", "prefixes": [{"prefix": "8.0.0.0/8"}, {"prefix": "0.0.0.0/0"}]},
    }
    found = translated(*LAB, thing("ExternalPeering", "a--e", {"permit": permit}))
    entry = {
        "kind": "ExternalPeering",
        "name": "a--e",
        "vpc": "a",
        "external": "e",
        "subnets": ["x", "y"],
        "prefixes": ["0.0.0.0/0", "8.0.0.0/8"],
    }
    assert peerings(found, "a") == peerings(found, "e", "External") == [entry]
    assert peerings(found, "b") is None


@pytest.mark.parametrize("kind", ["GatewayPeering", "Peering"])
def test_a_gateways_peering_keeps_nat_and_rules_whatever_its_kind_is_called(kind: str) -> None:
    spec = {
        "peering": {
            "a": {"expose": [{"ips": [{"cidr": "10.0.1.0/24"}], "as": [{"cidr": "198.51.100.0/28"}], "nat": None}]},
            "ext.e": {"expose": [{"default": True, "nat": {"static": {}}}]},
        },
        "acl": {"default": "", "rules": [{"name": "z", "action": "deny", "log": False}, {"name": "y"}]},
    }
    found = translated(*LAB, thing(kind, "a--e", spec))
    entry = {
        "kind": kind,
        "name": "a--e",
        "gatewayGroup": "default",
        "peering": {
            "a": {"expose": [{"ips": [{"cidr": "10.0.1.0/24"}], "as": [{"cidr": "198.51.100.0/28"}]}]},
            "ext.e": {"expose": [{"default": True, "nat": {"static": {}}}]},
        },
        "acl": {"rules": [{"name": "z", "action": "deny"}, {"name": "y"}]},
    }
    assert peerings(found, "a") == peerings(found, "e", "External") == [entry]
    assert peerings(found, "b") is None
    assert found.issues == ()


def test_peerings_are_in_the_order_of_their_kinds_and_names() -> None:
    pair = {"permit": [{"a": {}, "b": {}}]}
    other = {"permit": {"vpc": {"name": "a"}, "external": {"name": "e"}}}
    items = [thing("ExternalPeering", "k", other), thing("VPCPeering", "z", pair), thing("VPCPeering", "m", pair)]
    names = [entry["name"] for entry in peerings(translated(*LAB, *items), "a")]
    assert names == [entry["name"] for entry in peerings(translated(*LAB, *reversed(items)), "a")] == ["m", "z", "k"]


@pytest.mark.parametrize("kind", ["VPCPeering", "ExternalPeering", "GatewayPeering", "Peering"])
def test_an_unread_kind_of_peering_leaves_the_field_as_it_is(kind: str) -> None:
    found = translated(*LAB, thing("VPCPeering", "a--b", {"permit": [{"a": {}, "b": {}}]}), unread=[kind])
    for record in of(found, "vrf").values():
        assert "fabric_peerings" not in record.custom
    assert "vrf" in found.complete, "no VRF comes or goes with a peering"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("VPCPeering", {"permit": [{"a": {}, "gone": {}}]}),
        ("ExternalPeering", {"permit": {"vpc": {"name": "a"}, "external": {"name": "gone"}}}),
        ("GatewayPeering", {"peering": {"a": {}, "ext.gone": {}}}),
    ],
)
def test_a_peering_with_what_is_not_there_is_noted_and_stays_on_the_other_side(kind: str, spec: dict[str, Any]) -> None:
    found = translated(*LAB, thing(kind, "p", spec))
    assert [entry["name"] for entry in peerings(found, "a")] == ["p"]
    assert codes(found) == [(f"{kind} default/p", Code.DANGLING)]
