"""The underlay: its VRF, pools and links, and who has which address."""

from __future__ import annotations

from typing import Any

import pytest

from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.records import Record, Ref
from functions.translate import Code, Translation
from functions.translate.addressing import SWITCH_SLOTS
from tests.functions.translate.hedgehog import (
    codes,
    connection,
    gateway,
    interface,
    of,
    profile,
    server,
    switch,
    thing,
    translated,
)

VRF = Ref("vrf", "lab1/Fabric/default/lab1#underlay")
FABRICATOR = "fabricator.githedgehog.com/Fabricator fab/default"


def end(port: str, ip: str) -> dict[str, str]:
    return {"port": port, "ip": ip}


def addresses(found: Translation) -> dict[str, tuple[object, object]]:
    """The address and role of each record, by what comes after the fabric in its key."""
    return {
        key.removeprefix("lab1/"): (record.fields["address"], record.fields["role"])
        for key, record in of(found, "ip_address").items()
    }


def prefixes(found: Translation) -> dict[str, object]:
    return {key.removeprefix("lab1/"): record.fields["prefix"] for key, record in of(found, "prefix").items()}


LINK = connection(
    "c",
    fabric={
        "links": [
            {"spine": end("spine-01/E1/1", "172.30.128.0/31"), "leaf": end("leaf-01/E1/3", "172.30.128.1/31")},
            {"spine": end("spine-01/E1/2", "172.30.128.2/31"), "leaf": end("leaf-01/E1/2", "172.30.128.3/31")},
        ]
    },
)
PAIR = (profile(), switch("leaf-01"), switch("spine-01", "spine"))


def test_a_link_is_two_addresses_on_its_two_ports_and_one_network() -> None:
    found = translated(*PAIR, LINK)
    source = {"fabric_source": "wiring.githedgehog.com/Connection default/c"}

    def address(ip: str, port: str) -> Record:
        return Record(
            "ip_address",
            f"lab1/Connection/default/c#ip:{ip}",
            {
                "address": f"{ip}/31",
                "vrf": VRF,
                "status": "active",
                "role": None,
                "assigned_object": interface(f"Switch/default/{port}"),
            },
            source,
        )

    assert list(of(found, "ip_address").values()) == [
        address("172.30.128.0", "spine-01#E1/1"),
        address("172.30.128.1", "leaf-01#E1/3/1"),
        address("172.30.128.2", "spine-01#E1/2"),
        address("172.30.128.3", "leaf-01#E1/2"),
    ]
    network = of(found, "prefix")["lab1/Connection/default/c#net:172.30.128.0/31"]
    assert network.fields == {
        "prefix": "172.30.128.0/31",
        "vrf": VRF,
        "status": "active",
        "role": Ref("role", "fabric-p2p"),
        "scope": Ref("site", "dc1"),
        "description": "",
    }
    assert len(of(found, "prefix")) == 2
    assert of(found, "role")["fabric-p2p"].fields == {"name": "Fabric point-to-point link", "slug": "fabric-p2p"}
    assert found.issues == ()


def test_two_links_that_swap_their_networks_keep_the_identity_of_every_address() -> None:
    one, two = LINK["spec"]["fabric"]["links"]
    swapped = [
        {"spine": end("spine-01/E1/1", two["spine"]["ip"]), "leaf": end("leaf-01/E1/3", two["leaf"]["ip"])},
        {"spine": end("spine-01/E1/2", one["spine"]["ip"]), "leaf": end("leaf-01/E1/2", one["leaf"]["ip"])},
    ]
    before, after = translated(*PAIR, LINK), translated(*PAIR, connection("c", fabric={"links": swapped}))
    assert addresses(before) == addresses(after), "no address has to wait for another to make room"
    assert of(before, "ip_address") != of(after, "ip_address")


def test_mesh_and_gateway_links_have_addresses_and_a_gateways_own_list_says_them_only_once() -> None:
    found = translated(
        *PAIR,
        switch("leaf-02"),
        gateway("gw-1", interfaces={"enp2s1": {"ips": ["10.0.1.1/31", "10.9.0.1"]}}),
        connection(
            "m", mesh={"links": [{"leaf1": end("leaf-01/E1/1", "10.0.0.0/31"), "leaf2": {"port": "leaf-02/E1/1"}}]}
        ),
        connection(
            "g",
            gateway={
                "links": [{"switch": end("spine-01/E1/1", "10.0.1.0/31"), "gateway": end("gw-1/enp2s1", "10.0.1.1/31")}]
            },
        ),
    )
    assert addresses(found) == {
        "Connection/default/m#ip:10.0.0.0": ("10.0.0.0/31", None),
        "Connection/default/g#ip:10.0.1.0": ("10.0.1.0/31", None),
        "Gateway/default/gw-1#ip:enp2s1:10.0.1.1": ("10.0.1.1/31", None),
        "Gateway/default/gw-1#ip:enp2s1:10.9.0.1": ("10.9.0.1/32", None),
    }
    assert prefixes(found) == {
        "Connection/default/m#net:10.0.0.0/31": "10.0.0.0/31",
        "Connection/default/g#net:10.0.1.0/31": "10.0.1.0/31",
    }
    assert found.issues == ()


def test_servers_and_ways_out_of_the_fabric_have_no_address_in_the_underlay() -> None:
    found = translated(
        *PAIR,
        server("server-01"),
        connection(
            "u", unbundled={"link": {"switch": end("leaf-01/E1/1", "10.0.0.1/31"), "server": {"port": "server-01/a"}}}
        ),
    )
    assert not of(found, "ip_address")


def test_a_bare_address_is_one_host_and_a_gateways_loopbacks_are_on_lo_and_vtep() -> None:
    found = translated(gateway("gw-1", protocolIP="172.30.8.3", vtepIP="172.30.12.3/32"))
    assert addresses(found) == {
        "Gateway/default/gw-1#ip:lo": ("172.30.8.3/32", "loopback"),
        "Gateway/default/gw-1#ip:vtep": ("172.30.12.3/32", "loopback"),
    }
    held = {record.fields["assigned_object"] for record in of(found, "ip_address").values()}
    assert held == {interface("Gateway/default/gw-1#lo"), interface("Gateway/default/gw-1#vtep")}
    assert "primary_ip4" not in of(found, "device")["lab1/Gateway/default/gw-1"].fields


def test_a_pair_of_one_redundancy_group_shares_its_vtep_and_both_addresses_are_anycast() -> None:
    pair = [switch(name, vtepIP="10.0.0.9/32", redundancy={"group": "g", "type": "mclag"}) for name in ("a", "b")]
    found = translated(profile(), thing("SwitchGroup", "g", {}), *pair)
    assert addresses(found) == {
        "Switch/default/a#ip:Loopback2": ("10.0.0.9/32", "anycast"),
        "Switch/default/b#ip:Loopback2": ("10.0.0.9/32", "anycast"),
    }
    assert found.issues == ()


def test_an_address_that_two_want_belongs_to_the_first_and_is_noted_at_the_second() -> None:
    found = translated(
        profile(), switch("a", ip="10.0.0.9/24"), switch("b", vtepIP="10.0.0.9/32"), switch("c", ip="10.0.0.9/23")
    )
    assert addresses(found) == {"Switch/default/a#ip:M1": ("10.0.0.9/24", None)}
    assert codes(found) == [("Switch default/b", Code.ADDRESS_IN_USE), ("Switch default/c", Code.ADDRESS_IN_USE)]
    assert "primary_ip4" not in of(found, "device")["lab1/Switch/default/c"].fields
    assert "device" in found.complete, "one doubtful address does not stop the rest"


@pytest.mark.parametrize(
    "text", ["10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/0", "10.0.0.1/33", "ten", "10.0.0", "10.0.0.1/", "fe80::1%a/64"]
)
def test_what_no_interface_can_have_is_noted_and_left_out(text: str) -> None:
    found = translated(profile(), switch("a", ip=text, protocolIP="10.1.1.1/32"))
    assert addresses(found) == {"Switch/default/a#ip:Loopback1": ("10.1.1.1/32", "loopback")}
    assert codes(found) == [("Switch default/a", Code.MALFORMED)]


@pytest.mark.parametrize("text", ["172.30.8.0/32", "172.30.8.0/31", "172.30.9.255/22", "2001:db8::1/64"])
def test_addresses_that_only_look_like_a_networks_own_are_taken(text: str) -> None:
    assert addresses(translated(profile(), switch("a", protocolIP=text))) == {
        "Switch/default/a#ip:Loopback1": (text, "loopback")
    }


def test_the_management_address_is_the_devices_primary_one_if_it_is_ipv4() -> None:
    found = of(translated(profile(), switch("a", ip="10.0.0.2/24"), switch("b", ip="2001:db8::2/64")), "device")
    assert found["lab1/Switch/default/a"].fields["primary_ip4"] == Ref("ip_address", "lab1/Switch/default/a#ip:M1")
    assert "primary_ip4" not in found["lab1/Switch/default/b"].fields


def test_addresses_wait_for_the_kinds_that_may_have_them() -> None:
    items = (*PAIR, LINK, gateway("gw-1", protocolIP="10.0.0.1/32"))
    assert "Gateway/default/gw-1#ip:lo" in addresses(translated(*items))
    for kind in ("Switch", "Gateway", "SwitchProfile", "Connection"):
        found = translated(*items, unread=[kind])
        assert "ip_address" not in found.complete
        assert not any(key.startswith("Connection/") for key in addresses(found)), kind
    assert not addresses(translated(*items, unread=["Switch"]))


def test_without_switch_or_gateway_there_is_no_underlay() -> None:
    found = translated(server("a"), MANAGEMENT)
    assert not {record.model for record in found.records} & {
        "vrf",
        "prefix",
        "ip_range",
        "ip_address",
        "config_context",
    }


MANAGEMENT = thing(
    "DHCPSubnet",
    "management",
    {"cidrBlock": "172.30.0.0/21", "startIP": "172.30.4.0", "endIP": "172.30.7.254", "subnet": "management"},
)


def test_the_management_dhcp_subnet_is_a_container_and_a_range() -> None:
    found = translated(
        profile(), switch("a"), MANAGEMENT, thing("DHCPSubnet", "vpc-1--x", {"cidrBlock": "10.1.0.0/24"})
    )
    source = {"fabric_source": "dhcp.githedgehog.com/DHCPSubnet default/management"}
    role = Ref("role", "fabric-underlay")
    assert list(of(found, "prefix").values()) == [
        Record(
            "prefix",
            "lab1/DHCPSubnet/default/management#pool",
            {
                "prefix": "172.30.0.0/21",
                "vrf": VRF,
                "status": "container",
                "role": role,
                "scope": Ref("site", "dc1"),
                "description": "Management",
            },
            source,
        )
    ]
    assert list(of(found, "ip_range").values()) == [
        Record(
            "ip_range",
            "lab1/DHCPSubnet/default/management#range",
            {
                "start_address": "172.30.4.0/21",
                "end_address": "172.30.7.254/21",
                "vrf": VRF,
                "status": "active",
                "role": role,
                "description": "DHCP of the management network",
            },
            source,
        )
    ]
    assert found.issues == ()


@pytest.mark.parametrize(("start", "end"), [("172.30.7.1", "172.30.4.1"), ("10.0.0.1", "172.30.4.1"), ("::1", "::2")])
def test_a_range_that_is_no_part_of_its_network_is_noted(start: str, end: str) -> None:
    subnet = thing("DHCPSubnet", "management", {"cidrBlock": "172.30.0.0/21", "startIP": start, "endIP": end})
    found = translated(profile(), switch("a"), subnet)
    assert not of(found, "ip_range")
    assert len(of(found, "prefix")) == 1
    assert codes(found) == [("DHCPSubnet default/management", Code.MALFORMED)]


def fabricator(**config: Any) -> Any:
    return thing("Fabricator", "default", {"config": config}, namespace="fab")


INSTALLED = fabricator(
    control={"managementSubnet": "172.30.0.0/21", "controlVIP": "172.30.0.1/32"},
    fabric={
        "mode": "spine-leaf",
        "protocolSubnet": "172.30.8.0/22",
        "vtepSubnet": "172.30.12.0/22",
        "fabricSubnet": "172.30.128.0/17",
        "mclagSessionSubnet": "172.30.95.0/31",
    },
)


def test_the_installers_pools_are_containers_but_never_a_default_that_nobody_wrote() -> None:
    assert prefixes(translated(profile(), switch("a"))) == {}
    found = translated(profile(), switch("a"), INSTALLED, MANAGEMENT)
    assert prefixes(found) == {
        "DHCPSubnet/default/management#pool": "172.30.0.0/21",
        "Fabricator/fab/default#pool:protocol": "172.30.8.0/22",
        "Fabricator/fab/default#pool:vtep": "172.30.12.0/22",
        "Fabricator/fab/default#pool:fabric": "172.30.128.0/17",
        "Fabricator/fab/default#pool:mclag-session": "172.30.95.0/31",
    }
    pool = of(found, "prefix")["lab1/Fabricator/fab/default#pool:vtep"]
    assert (pool.fields["status"], pool.custom) == ("container", {"fabric_source": FABRICATOR})


def test_an_installer_that_may_not_be_read_costs_its_own_pools_and_proves_no_absence_of_them() -> None:
    full = translated(profile(), switch("a"), INSTALLED, MANAGEMENT)
    less = translated(profile(), switch("a"), INSTALLED, MANAGEMENT, unread=["Fabricator"])
    assert prefixes(less) == {"DHCPSubnet/default/management#pool": "172.30.0.0/21"}
    assert less.complete == full.complete, "an optional kind does not stop the absences of others"
    assert less.unseen == {"Fabricator"}
    assert full.unseen == frozenset()


def test_no_secret_of_the_installer_leaves_the_reading_of_the_fabric() -> None:
    secrets = fabricator(
        control={
            "managementSubnet": "10.0.0.0/24",
            "joinToken": "SECRET",
            "defaultUser": {"password": "SECRET", "authorizedKeys": ["SECRET"]},
        },
        registry={"upstream": {"password": "SECRET"}},
        fabric={"mode": "mesh", "defaultSwitchUsers": {"admin": {"password": "SECRET"}}},
    )
    kept = trimmed(secrets, BY_NAME["Fabricator"])
    assert "SECRET" not in repr(kept)
    assert kept["spec"] == {"config": {"control": {"managementSubnet": "10.0.0.0/24"}, "fabric": {"mode": "mesh"}}}


def test_every_slot_of_a_switch_is_an_interface_that_it_has() -> None:
    found = translated(profile(), switch("a", ip="10.0.0.1/24", protocolIP="10.0.1.1", vtepIP="10.0.2.1"))
    for port, _, _ in SWITCH_SLOTS:
        assert f"lab1/Switch/default/a#{port}" in of(found, "interface")
    assert len(of(found, "ip_address")) == len(SWITCH_SLOTS)
