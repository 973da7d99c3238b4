"""VLAN and IPv4 namespaces: a group of ranges that NetBox takes, and containers in a VRF of their own."""

from __future__ import annotations

import pytest

from functions.records import Record, Ref
from functions.translate import Code
from tests.functions.translate.hedgehog import codes, of, thing, translated


def test_a_vlan_namespace_is_a_group_of_the_fabrics_cluster() -> None:
    found = translated(thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 2999}]}))
    assert [record for record in found.records if record.model == "vlan_group"] == [
        Record(
            "vlan_group",
            "lab1/VLANNamespace/default/default",
            {
                "name": "lab1:default",
                "slug": "fabric-lab1-default",
                "scope": Ref("cluster", "lab1"),
                "vid_ranges": [[1000, 2999]],
            },
            {"fabric_source": "wiring.githedgehog.com/VLANNamespace default/default"},
        )
    ]
    assert found.issues == ()


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([{"from": 20, "to": 30}, {"from": 10, "to": 15}], [[10, 15], [20, 30]]),
        ([{"from": 10, "to": 20}, {"from": 15, "to": 30}], [[10, 30]]),
        ([{"from": 10, "to": 20}, {"from": 21, "to": 30}], [[10, 30]]),
        ([{"from": 10, "to": 30}, {"from": 12, "to": 14}, {"from": 32}], [[10, 30], [32, 32]]),
        ([{"from": 1, "to": 4094}], [[1, 4094]]),
    ],
)
def test_ranges_are_sorted_and_merged_and_an_old_one_without_an_end_is_one_vlan(
    ranges: list[dict[str, int]], merged: list[list[int]]
) -> None:
    found = translated(thing("VLANNamespace", "n", {"ranges": ranges}))
    assert of(found, "vlan_group")["lab1/VLANNamespace/default/n"].fields["vid_ranges"] == merged
    assert found.issues == ()


@pytest.mark.parametrize("ranges", [[], [{"from": 30, "to": 20}], [{"to": 20}], [{"from": 4095}], "all", [7]])
def test_a_vlan_namespace_without_a_usable_range_is_noted_and_is_no_group(ranges: object) -> None:
    found = translated(thing("VLANNamespace", "n", {"ranges": ranges}))
    assert not of(found, "vlan_group")
    assert {code for _, code in codes(found)} == {Code.MALFORMED}
    assert {"vlan_group", "vlan"}.isdisjoint(found.complete)


def test_an_ipv4_namespace_is_a_vrf_of_containers() -> None:
    found = translated(thing("IPv4Namespace", "default", {"subnets": ["10.1.0.0/16", "10.0.0.0/16", "10.0.0.0/16"]}))
    source = {"fabric_source": "vpc.githedgehog.com/IPv4Namespace default/default"}
    key = "lab1/IPv4Namespace/default/default"

    def container(prefix: str) -> Record:
        fields = {
            "prefix": prefix,
            "vrf": Ref("vrf", key),
            "status": "container",
            "role": Ref("role", "fabric-ipns"),
            "scope": Ref("site", "dc1"),
        }
        return Record("prefix", f"{key}#{prefix}", fields, source)

    assert list(found.records) == [
        Record("role", "fabric-ipns", {"name": "Fabric IPv4 namespace", "slug": "fabric-ipns"}),
        Record("vrf", key, {"name": "lab1:ipns:default", "enforce_unique": True}, source),
        container("10.0.0.0/16"),
        container("10.1.0.0/16"),
    ]


def test_a_subnet_that_is_none_is_noted_and_the_others_stay() -> None:
    found = translated(thing("IPv4Namespace", "n", {"subnets": ["10.0.0.0/16", "10.0.0.0/99", "here", "0.0.0.0/0"]}))
    assert set(of(found, "prefix")) == {"lab1/IPv4Namespace/default/n#10.0.0.0/16"}
    assert codes(found) == [("IPv4Namespace default/n", Code.MALFORMED)] * 2
    assert "prefix" not in found.complete
