"""VPC attachments: the VLANs of each interface of a switch, from all attachments of its connection together."""

from __future__ import annotations

from typing import Any

import pytest

from functions.records import Ref, Value
from functions.translate import Code, Translation
from tests.functions.translate.hedgehog import (
    codes,
    connection,
    device,
    interface,
    link,
    of,
    profile,
    server,
    switch,
    thing,
    translated,
)

LAB = (
    profile(),
    switch("leaf-01", redundancy={"group": "g", "type": "eslag"}),
    switch("leaf-02", redundancy={"group": "g", "type": "eslag"}),
    thing("SwitchGroup", "g", {}),
    server("server-01"),
    connection("one", unbundled={"link": link(server="server-01/a", switch="leaf-01/E1/1")}),
    connection(
        "two",
        eslag={
            "links": [
                link(server="server-01/b", switch="leaf-01/E1/2"),
                link(server="server-01/c", switch="leaf-02/E1/2"),
            ]
        },
    ),
    thing("Catalog", "redundancy.g", {"portChannelIDs": {"two": 7}}),
    thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 1999}]}),
    thing(
        "VPC",
        "v",
        {
            "subnets": {
                "a": {"subnet": "10.0.1.0/24", "vlan": 1001},
                "b": {"subnet": "10.0.2.0/24", "vlan": 1002},
                "h": {"subnet": "10.0.3.0/24", "vlan": 30, "hostBGP": True},
                "z": {"subnet": "10.0.4.0/24", "hostBGP": True},
            }
        },
    ),
)
PORT = "lab1/Switch/default/leaf-01#E1/1"
LAGS = ("lab1/Connection/default/two#lag:leaf-01", "lab1/Connection/default/two#lag:leaf-02")
A, B = Ref("vlan", "lab1/VPC/default/v#a"), Ref("vlan", "lab1/VPC/default/v#b")
NONE: dict[str, Value] = {"mode": "", "untagged_vlan": None, "tagged_vlans": ()}


def attach(conn: str, subnet: str, name: str = "", **more: Any) -> Any:
    return thing("VPCAttachment", name or f"{conn}-{subnet}", {"connection": conn, "subnet": f"v/{subnet}"} | more)


def vlans(found: Translation, key: str) -> dict[str, Value]:
    return {name: value for name, value in of(found, "interface")[key].fields.items() if name in NONE}


@pytest.mark.parametrize(
    ("attached", "expected"),
    [
        ([], NONE),
        ([("a", False)], {"mode": "tagged", "untagged_vlan": None, "tagged_vlans": (A,)}),
        ([("b", False), ("a", False)], {"mode": "tagged", "untagged_vlan": None, "tagged_vlans": (A, B)}),
        ([("a", True)], {"mode": "access", "untagged_vlan": A, "tagged_vlans": ()}),
        ([("a", True), ("b", False)], {"mode": "tagged", "untagged_vlan": A, "tagged_vlans": (B,)}),
        ([("a", True), ("a", False)], {"mode": "access", "untagged_vlan": A, "tagged_vlans": ()}),
        ([("a", False), ("a", False)], {"mode": "tagged", "untagged_vlan": None, "tagged_vlans": (A,)}),
    ],
)
def test_a_port_carries_what_all_attachments_of_its_connection_say(
    attached: list[tuple[str, bool]], expected: dict[str, Value]
) -> None:
    found = translated(
        *LAB, *(attach("one", subnet, f"x{at}", nativeVLAN=native) for at, (subnet, native) in enumerate(attached))
    )
    assert vlans(found, PORT) == expected
    assert [vlans(found, key) for key in LAGS] == [NONE, NONE]
    assert found.issues == ()


def test_a_bundle_carries_its_vlans_on_the_lag_of_each_switch_and_on_no_member() -> None:
    found = translated(*LAB, attach("two", "a"), attach("two", "b", nativeVLAN=True))
    expected = {"mode": "tagged", "untagged_vlan": B, "tagged_vlans": (A,)}
    assert [vlans(found, key) for key in LAGS] == [expected, expected]
    for leaf in ("leaf-01", "leaf-02"):
        assert vlans(found, f"lab1/Switch/default/{leaf}#E1/2") == NONE
    assert vlans(found, PORT) == NONE


def test_only_the_data_ports_of_switches_are_ours_to_speak_for() -> None:
    found = translated(*LAB, attach("one", "a"))
    for key, record in of(found, "interface").items():
        data = key.startswith("lab1/Switch/") and not key.endswith("#M1")
        ours = data or key in LAGS
        assert NONE.keys() <= record.fields.keys() if ours else NONE.keys().isdisjoint(record.fields), key


def test_a_host_with_bgp_is_routed_on_its_vlan_of_the_port() -> None:
    found = translated(*LAB, attach("one", "h"))
    record = of(found, "interface")["lab1/VPCAttachment/default/one-h#leaf-01"]
    assert record.fields == {
        "device": device("Switch/default/leaf-01"),
        "name": "E1/1.30",
        "type": "virtual",
        "parent": interface("Switch/default/leaf-01#E1/1"),
        "enabled": True,
        "description": "Host BGP v/h",
        "vrf": Ref("vrf", "lab1/VPC/default/v"),
    }
    assert record.custom == {"fabric_source": "vpc.githedgehog.com/VPCAttachment default/one-h", "fabric_spec": None}
    assert vlans(found, PORT) == NONE
    assert of(found, "interface")[PORT].fields["vrf"] is None


def test_a_host_with_bgp_and_no_vlan_is_routed_on_the_port_itself() -> None:
    found = translated(*LAB, attach("one", "z"))
    assert of(found, "interface")[PORT].fields["vrf"] == Ref("vrf", "lab1/VPC/default/v")
    assert not any("VPCAttachment" in key for key in of(found, "interface"))


def test_a_second_native_vlan_is_noted_and_stays_tagged() -> None:
    found = translated(*LAB, attach("one", "a", "x1", nativeVLAN=True), attach("one", "b", "x2", nativeVLAN=True))
    assert vlans(found, PORT) == {"mode": "tagged", "untagged_vlan": A, "tagged_vlans": (B,)}
    assert codes(found) == [("VPCAttachment default/x2", Code.MALFORMED)]


@pytest.mark.parametrize(
    "spec", [{"connection": "gone", "subnet": "v/a"}, {"connection": "one", "subnet": "v/gone"}, {"subnet": "v/a"}]
)
def test_an_attachment_to_what_is_not_there_is_noted_and_adds_nothing(spec: dict[str, str]) -> None:
    found = translated(*LAB, thing("VPCAttachment", "x", spec), attach("one", "b"))
    assert codes(found) == [("VPCAttachment default/x", Code.DANGLING)]
    assert vlans(found, PORT)["tagged_vlans"] == (B,)
    assert "interface" in found.complete


def test_an_attachment_that_does_not_say_its_subnet_silences_the_ports_of_its_connection() -> None:
    found = translated(*LAB, thing("VPCAttachment", "x", {"connection": "one", "subnet": 7}), attach("one", "b"))
    assert vlans(found, PORT) == {}
    assert vlans(found, LAGS[0]) == NONE
    assert {code for _, code in codes(found)} == {Code.MALFORMED}


@pytest.mark.parametrize("kind", ["VPC", "VPCAttachment", "VLANNamespace"])
def test_what_is_unread_leaves_the_vlans_of_every_port_as_they_are(kind: str) -> None:
    found = translated(*LAB, attach("one", "a"), unread=[kind])
    for record in of(found, "interface").values():
        assert NONE.keys().isdisjoint(record.fields)
    if kind != "VLANNamespace":
        assert "vrf" not in of(found, "interface")[PORT].fields
        assert "interface" not in found.complete


def test_a_lag_without_its_number_is_not_created_for_a_vlan() -> None:
    found = translated(*LAB, attach("two", "a"), unread=["Catalog"])
    assert not set(LAGS) & set(of(found, "interface"))
