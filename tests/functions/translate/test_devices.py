"""Devices and what they are made as: the whole of a one-switch fabric, names, and unknown things."""

from __future__ import annotations

import pytest

from functions.records import Record, Ref
from functions.translate import Code
from tests.functions.translate.hedgehog import (
    BARE,
    EVERYTHING,
    PREFIXED,
    codes,
    device,
    gateway,
    interface,
    of,
    profile,
    server,
    switch,
    thing,
    translated,
)

LEAF = device("Switch/default/leaf-01")
PLACE = "Switch/default/leaf-01"
NO_AGENT = dict.fromkeys(
    ("fabric_applied_gen", "fabric_desired_gen", "fabric_ready", "fabric_agent_version", "fabric_nos_version")
)
SOURCE = {"fabric_source": "wiring.githedgehog.com/Switch default/leaf-01"}


def test_a_fabric_of_one_switch_becomes_exactly_these_records() -> None:
    found = translated(
        profile(),
        thing("SwitchGroup", "eslag-1", {}),
        switch(
            "leaf-01",
            asn=65101,
            boot={"mac": "0c:20:12:ff:00:00", "serial": "SN-1"},
            description="rack 4",
            groups=["eslag-1"],
            redundancy={"group": "eslag-1", "type": "eslag"},
            ip="172.30.0.8/21",
            protocolIP="172.30.8.2/32",
            vtepIP="172.30.12.0/32",
        ),
    )

    def port(name: str, nos: str | None, **fields: object) -> Record:
        free = {"enabled": False, "description": "Unused", "mtu": None, "mark_connected": False, "lag": None}
        own = {"device": LEAF, "name": name, "mgmt_only": False}
        breakout = "1x100G lane 1/1" if name == "E1/3/1" else None
        custom = SOURCE | {"fabric_nos_name": nos, "fabric_breakout": breakout}
        if name != "M1":
            free, custom = {**free, **BARE}, {**custom, "fabric_spec": None}
        return Record("interface", f"lab1/Switch/default/leaf-01#{name}", own | free | fields, custom)

    def loopback(name: str, text: str) -> Record:
        fields = {"device": LEAF, "name": name, "type": "virtual", "enabled": True, "description": text}
        return Record("interface", f"lab1/Switch/default/leaf-01#{name}", fields, SOURCE | {"fabric_nos_name": name})

    def address(port: str, text: str, role: str | None) -> Record:
        at = {"vrf": Ref("vrf", "lab1/Fabric/default/lab1#underlay"), "assigned_object": interface(f"{PLACE}#{port}")}
        return Record(
            "ip_address",
            f"lab1/{PLACE}#ip:{port}",
            {"address": text, "status": "active", "role": role, **at},
            SOURCE,
        )

    assert list(found.records) == [
        Record("tag", "fabric-lab1", {"name": "fabric-lab1", "slug": "fabric-lab1", "color": "00bcd4"}),
        Record("tag", "fabric-managed", {"name": "fabric-managed", "slug": "fabric-managed", "color": "009688"}),
        Record(
            "tag",
            "fabric-sg-lab1-eslag-1",
            {"name": "lab1 switch group eslag-1", "slug": "fabric-sg-lab1-eslag-1", "color": "ffc107"},
        ),
        Record("rir", "private", {"name": "Private", "slug": "private", "is_private": True}),
        Record("manufacturer", "acme", {"name": "Acme", "slug": "acme"}),
        Record(
            "device_role",
            "fabric-server-leaf",
            {"name": "Fabric server leaf", "slug": "fabric-server-leaf", "color": "009688"},
        ),
        Record(
            "device_type",
            "acme-1",
            {
                "manufacturer": Ref("manufacturer", "acme"),
                "model": "Acme One",
                "slug": "acme-1",
                "part_number": "Acme AS-1",
                "u_height": 1,
                "description": "td4",
            },
        ),
        Record("platform", "sonic-bcm-base", {"name": "sonic-bcm-base", "slug": "sonic-bcm-base"}),
        Record("asn", "65101", {"asn": 65101, "rir": Ref("rir", "private"), "sites": (Ref("site", "dc1"),)}),
        Record(
            "config_context",
            "fabric-lab1",
            {
                "name": "fabric-lab1",
                "data": {"hedgehog": {"fabric": "lab1"}},
                "description": "The Hedgehog fabric lab1",
            },
            tags=frozenset({"fabric-lab1"}),
        ),
        Record(
            "vrf",
            "lab1/Fabric/default/lab1#underlay",
            {
                "name": "lab1:underlay",
                "enforce_unique": True,
                "description": "Underlay of the fabric lab1: management, loopbacks, VTEPs and links",
            },
        ),
        Record(
            "device",
            "lab1/Switch/default/leaf-01",
            {
                "name": "leaf-01",
                "device_type": Ref("device_type", "acme-1"),
                "role": Ref("device_role", "fabric-server-leaf"),
                "platform": Ref("platform", "sonic-bcm-base"),
                "site": Ref("site", "dc1"),
                "cluster": Ref("cluster", "lab1"),
                "status": "active",
                "serial": "SN-1",
                "description": "rack 4",
                "local_context_data": {
                    "hedgehog": {"profile": "acme-1", "redundancy": {"group": "eslag-1", "type": "eslag"}}
                },
                "primary_ip4": Ref("ip_address", "lab1/Switch/default/leaf-01#ip:M1"),
            },
            SOURCE | NO_AGENT | {"fabric_asn": 65101},
            frozenset({"fabric-managed", "fabric-lab1", "fabric-sg-lab1-eslag-1"}),
        ),
        port("E1/1", "Ethernet0", type="25gbase-x-sfp28", label="1", speed=25_000_000),
        port("E1/2", "Ethernet1", type="25gbase-x-sfp28", label="2", speed=25_000_000),
        port("E1/3/1", "Ethernet4", type="100gbase-x-qsfp28", label="3", speed=100_000_000),
        loopback("Loopback1", "Protocol loopback"),
        loopback("Loopback2", "VTEP loopback"),
        port(
            "M1",
            "Management0",
            type="1000base-t",
            label="",
            mgmt_only=True,
            enabled=True,
            description="Management link",
            primary_mac_address=Ref("mac_address", "lab1/Switch/default/leaf-01#mac:M1"),
        ),
        Record(
            "mac_address",
            "lab1/Switch/default/leaf-01#mac:M1",
            {"mac_address": "0C:20:12:FF:00:00", "assigned_object": Ref("interface", f"{LEAF.key}#M1")},
            SOURCE,
        ),
        address("Loopback1", "172.30.8.2/32", "loopback"),
        address("Loopback2", "172.30.12.0/32", "loopback"),
        address("M1", "172.30.0.8/21", None),
    ]
    assert found.issues == ()
    assert found.complete == EVERYTHING


def test_a_server_is_a_generic_device_and_its_finer_points_are_left_to_people() -> None:
    found = translated(server("server-01", description="mail"))
    assert of(found, "device") == {
        "lab1/Server/default/server-01": Record(
            "device",
            "lab1/Server/default/server-01",
            {
                "name": "server-01",
                "device_type": Ref("device_type", "generic-server"),
                "role": Ref("device_role", "fabric-server"),
                "site": Ref("site", "dc1"),
                "cluster": Ref("cluster", "lab1"),
                "status": "active",
                "description": "mail",
            },
            {"fabric_source": "wiring.githedgehog.com/Server default/server-01"},
            frozenset({"fabric-managed", "fabric-lab1"}),
        )
    }
    assert of(found, "device_type")["generic-server"].fields["manufacturer"] == Ref("manufacturer", "hedgehog")
    assert not of(found, "interface")


def test_a_gateway_has_its_interfaces_loopbacks_and_groups() -> None:
    found = translated(
        thing("GatewayGroup", "default", {}),
        gateway(
            "gw-1",
            asn=65534,
            groups=[{"name": "default", "priority": 1}],
            interfaces={"enp2s1": {"mtu": 9100}, "enp2s2": {"kernel": "eth7", "mtu": 0}},
            protocolIP="172.30.8.3/32",
            vtepIP="172.30.12.3/32",
            vtepMTU=9036,
        ),
    )
    record = of(found, "device")["lab1/Gateway/default/gw-1"]
    assert record.fields["role"] == Ref("device_role", "fabric-gateway")
    source = {"fabric_source": "gateway.githedgehog.com/Gateway default/gw-1"}
    assert record.custom == source | NO_AGENT | {"fabric_asn": 65534}
    assert record.tags == {"fabric-managed", "fabric-lab1", "fabric-gwg-lab1-default"}
    shown = {
        item.fields["name"]: (item.fields["type"], item.fields.get("mtu"), item.custom["fabric_nos_name"])
        for item in of(found, "interface").values()
    }
    assert shown == {
        "enp2s1": ("other", 9100, "enp2s1"),
        "enp2s2": ("other", None, "eth7"),
        "lo": ("virtual", None, "lo"),
        "vtep": ("virtual", 9036, "vtep"),
    }
    assert found.issues == ()


def test_a_gateways_own_interface_of_a_loopbacks_name_stays_what_it_is() -> None:
    found = translated(gateway("gw-1", interfaces={"lo": {"mtu": 1500}}, protocolIP="10.0.0.1/32"))
    assert [(item.fields["name"], item.fields["type"]) for item in of(found, "interface").values()] == [("lo", "other")]
    assert found.issues == ()


def test_a_redundancy_group_is_a_group_even_if_the_webhook_did_not_add_it() -> None:
    found = translated(profile(), thing("SwitchGroup", "g", {}), switch("s1", redundancy={"group": "g"}))
    assert "fabric-sg-lab1-g" in of(found, "device")["lab1/Switch/default/s1"].tags


def test_a_virtual_switch_is_made_by_hedgehog_and_takes_no_room() -> None:
    found = translated(profile("vs", displayName="Virtual Switch", switchSilicon="vs"), switch("s1", profile="vs"))
    kind = of(found, "device_type")["vs"].fields
    assert (kind["manufacturer"], kind["u_height"]) == (Ref("manufacturer", "hedgehog"), 0)


def test_what_a_profile_knows_beyond_netbox_is_told_with_its_device_type() -> None:
    able = {"roce": True, "acls": True, "mclag": False}
    facts = {"platform": "x86_64-acme-r0", "features": able, "notes": "No L2VNI."}
    found = translated(profile(**facts), switch("s1"))
    assert of(found, "device_type")["acme-1"].fields["description"] == "td4; x86_64-acme-r0; acls, roce; No L2VNI."


def test_profiles_that_no_switch_uses_leave_no_trace() -> None:
    assert translated(profile()).records == ()


def test_an_unknown_profile_gives_an_unknown_switch_and_proves_no_absence() -> None:
    found = translated(switch("leaf-01", profile="gone"))
    assert of(found, "device")["lab1/Switch/default/leaf-01"].fields["device_type"] == Ref(
        "device_type", "unknown-switch"
    )
    assert list(of(found, "interface")) == ["lab1/Switch/default/leaf-01#M1"]
    assert codes(found) == [("Switch default/leaf-01", Code.UNKNOWN_PROFILE)]
    assert {"device", "interface", "cable", "ip_address", "mac_address", "vrf"}.isdisjoint(found.complete)


@pytest.mark.parametrize("role", ["spine", "server-leaf", "border-leaf", "mixed-leaf"])
def test_every_role_of_hedgehog_is_a_role_in_netbox(role: str) -> None:
    found = translated(profile(), switch("s1", role))
    assert list(of(found, "device_role")) == [f"fabric-{role}"]
    assert found.issues == ()


@pytest.mark.parametrize("role", ["virtual-edge", "", None])
def test_another_role_is_shown_as_a_plain_switch(role: str | None) -> None:
    found = translated(profile(), switch("s1", role=role))
    assert list(of(found, "device_role")) == ["fabric-switch"]
    assert codes(found) == [("Switch default/s1", Code.UNKNOWN_ROLE)]


def test_a_group_that_does_not_exist_is_a_tag_all_the_same_and_noted() -> None:
    found = translated(profile(), switch("s1", groups=["b.1", "b-1"]))
    tags = of(found, "device")["lab1/Switch/default/s1"].tags
    assert len(tags) == 4, "a dot and a dash stay two groups"
    assert {code for _, code in codes(found)} == {Code.DANGLING}


def names(found: object) -> dict[str, object]:
    return {key.split("/", 1)[1]: record.fields["name"] for key, record in of(found, "device").items()}  # type: ignore[arg-type]


def test_a_switch_keeps_its_name_and_the_others_give_way_whatever_the_case() -> None:
    found = translated(profile(), switch("box"), server("BOX"), server("box-server"), gateway("Box"))
    assert names(found) == {
        "Switch/default/box": "box",
        "Server/default/box-server": "box-server",
        "Server/default/BOX": names(found)["Server/default/BOX"],
        "Gateway/default/Box": "Box-gateway",
    }
    assert str(names(found)["Server/default/BOX"]).startswith("BOX-"), "box-server was taken by its owner"
    assert names(found)["Server/default/BOX"] != "BOX-server"
    assert set(codes(found)) == {
        ("Server default/BOX", Code.NAME_COLLISION),
        ("Gateway default/Box", Code.NAME_COLLISION),
    }


def test_prefixed_names_carry_the_fabric() -> None:
    found = translated(profile(), switch("leaf-01"), server("leaf-01"), fabric=PREFIXED)
    assert names(found) == {
        "Switch/default/leaf-01": "lab1-leaf-01",
        "Server/default/leaf-01": "lab1-leaf-01-server",
    }


def test_long_names_are_cut_to_what_netbox_takes_and_stay_apart() -> None:
    one, two = "s" * 80 + "1", "s" * 80 + "2"
    found = names(translated(server(one), server(two)))
    assert all(len(str(name)) == 64 for name in found.values())
    assert len(set(found.values())) == 2


def test_long_texts_and_part_numbers_fit_netbox() -> None:
    found = translated(
        profile(displayName="Acme " + "x" * 200, otherNames=["p" * 80]),
        switch("s1", description="d" * 300, boot={"serial": "n" * 80}),
    )
    kind, record = of(found, "device_type")["acme-1"].fields, of(found, "device")["lab1/Switch/default/s1"].fields
    assert [len(str(kind[field])) for field in ("model", "part_number")] == [100, 50]
    assert [len(str(record[field])) for field in ("description", "serial")] == [200, 50]


def test_two_profiles_of_one_display_name_become_two_models() -> None:
    found = translated(profile(), profile("acme-2"), switch("s1"), switch("s2", profile="acme-2"))
    assert {key: record.fields["model"] for key, record in of(found, "device_type").items()} == {
        "acme-1": "Acme One",
        "acme-2": "Acme One (acme-2)",
    }
