"""Every variant of a Connection: the cables, the LAGs, and what becomes of the ports at both ends."""

from __future__ import annotations

from typing import Any

import pytest

from functions.records import Record, Ref, Value
from functions.translate import Code, Translation
from functions.translate.names import digest
from tests.functions.translate.hedgehog import (
    BARE,
    EVERYTHING,
    codes,
    connection,
    device,
    gateway,
    interface,
    link,
    of,
    profile,
    server,
    switch,
    thing,
    translated,
)

HARDWARE = (
    profile(),
    switch("leaf-01", redundancy={"group": "eslag-1", "type": "eslag"}),
    switch("leaf-02", redundancy={"group": "eslag-1", "type": "eslag"}),
    switch("spine-01", "spine"),
    thing("SwitchGroup", "eslag-1", {}),
    server("server-01"),
    gateway("gw-1"),
)


def wired(*more: Any, unread: tuple[str, ...] = ()) -> Translation:
    return translated(*HARDWARE, *more, unread=unread)


def cable(conn: str, first: str, a: str, b: str, label: str | None = None) -> Record:
    return Record(
        "cable",
        f"lab1/Connection/default/{conn}#{first}",
        {
            "a_terminations": (interface(a),),
            "b_terminations": (interface(b),),
            "status": "connected",
            "label": label or conn,
        },
        {"fabric_source": f"wiring.githedgehog.com/Connection default/{conn}"},
    )


def lag(conn: str, part: str, on: str, name: str, text: str, mtu: int | None, label: str | None = None) -> Record:
    to_servers = {name: BARE[name] for name in ("mode", "untagged_vlan", "tagged_vlans")}
    return Record(
        "interface",
        f"lab1/Connection/default/{conn}#{part}",
        (to_servers if name not in ("PortChannel250", "PortChannel251") else {})
        | {
            "device": device(on),
            "name": name,
            "type": "lag",
            "label": label or conn,
            "enabled": True,
            "description": text,
            "mtu": mtu,
        },
        {
            "fabric_source": f"wiring.githedgehog.com/Connection default/{conn}",
            "fabric_nos_name": name if name.startswith("PortChannel") else None,
            "fabric_spec": None,
        },
    )


def bond(conn: str, on: str = "server-01") -> Record:
    return Record(
        "interface",
        f"lab1/Connection/default/{conn}#bond:{on}",
        {
            "device": device(f"Server/default/{on}"),
            "name": f"bond-{digest(conn)}",
            "type": "lag",
            "label": conn,
            "enabled": True,
        },
        {"fabric_source": f"wiring.githedgehog.com/Connection default/{conn}"},
    )


def server_port(name: str, lag: Ref | None = None) -> Record:
    return Record(
        "interface",
        f"lab1/Server/default/server-01#{name}",
        {"device": device("Server/default/server-01"), "name": name, "type": "other", "enabled": True, "lag": lag},
        {"fabric_source": "wiring.githedgehog.com/Server default/server-01"},
    )


def used(text: str, mtu: int | None, lag: Ref | None = None, mark: bool = False) -> dict[str, Value]:
    """What a use gives to a switch port."""
    return {"enabled": True, "description": text, "mtu": mtu, "mark_connected": mark, "lag": lag}


def check(found: Translation, expected: list[Record], ports: dict[str, dict[str, Value]]) -> None:
    """`found` is the bare hardware, and `expected`, and `ports` of switches changed: no more and no less."""
    bare = wired()
    base = of(bare, "interface")
    for key, fields in ports.items():
        record = base[f"lab1/Switch/default/{key}"]
        base[record.key] = Record(record.model, record.key, {**record.fields, **fields}, record.custom, record.tags)
    wanted = base | {record.key: record for record in expected if record.model == "interface"}
    assert of(found, "interface") == wanted
    assert list(of(found, "cable").values()) == [record for record in expected if record.model == "cable"]
    assert of(found, "device") == of(bare, "device")
    assert found.issues == ()
    assert found.complete == EVERYTHING


def test_unbundled_is_one_cable() -> None:
    found = wired(connection("c", unbundled={"link": link(server="server-01/enp2s1", switch="leaf-01/E1/1")}))
    check(
        found,
        [
            server_port("enp2s1"),
            cable("c", "leaf-01/E1/1", "Switch/default/leaf-01#E1/1", "Server/default/server-01#enp2s1"),
        ],
        {"leaf-01#E1/1": used("Unbundled server-01 c", 9036)},
    )


def test_bundled_is_a_lag_on_the_switch_and_a_bond_on_the_server() -> None:
    found = wired(
        connection(
            "c",
            bundled={
                "mtu": 1500,
                "links": [
                    link(server="server-01/enp2s1", switch="leaf-01/E1/1"),
                    link(server="server-01/enp2s2", switch="leaf-01/E1/2"),
                ],
            },
        ),
        thing("Catalog", "redundancy.eslag-1", {"portChannelIDs": {"c": 3}}),
    )
    on_switch = interface("Connection/default/c#lag:leaf-01")
    on_server = interface("Connection/default/c#bond:server-01")
    check(
        found,
        [
            server_port("enp2s1", on_server),
            server_port("enp2s2", on_server),
            bond("c"),
            lag("c", "lag:leaf-01", "Switch/default/leaf-01", "PortChannel3", "Bundled server-01 c", 1500),
            cable("c", "leaf-01/E1/1", "Switch/default/leaf-01#E1/1", "Server/default/server-01#enp2s1"),
            cable("c", "leaf-01/E1/2", "Switch/default/leaf-01#E1/2", "Server/default/server-01#enp2s2"),
        ],
        {
            "leaf-01#E1/1": used("PC3 Bundled server-01 c", 1500, on_switch),
            "leaf-01#E1/2": used("PC3 Bundled server-01 c", 1500, on_switch),
        },
    )


@pytest.mark.parametrize(("variant", "title"), [("eslag", "ESLAG"), ("mclag", "MCLAG")])
def test_eslag_and_mclag_are_a_lag_of_one_number_on_every_switch(variant: str, title: str) -> None:
    found = wired(
        connection(
            "c",
            **{
                variant: {
                    "links": [
                        link(server="server-01/enp2s1", switch="leaf-01/E1/1"),
                        link(server="server-01/enp2s2", switch="leaf-02/E1/1"),
                    ]
                }
            },
        ),
        thing("Catalog", "redundancy.eslag-1", {"portChannelIDs": {"c": 1}}),
    )
    on_server = interface("Connection/default/c#bond:server-01")
    text = f"{title} server-01 c"
    check(
        found,
        [
            server_port("enp2s1", on_server),
            server_port("enp2s2", on_server),
            bond("c"),
            lag("c", "lag:leaf-01", "Switch/default/leaf-01", "PortChannel1", text, 9036),
            lag("c", "lag:leaf-02", "Switch/default/leaf-02", "PortChannel1", text, 9036),
            cable("c", "leaf-01/E1/1", "Switch/default/leaf-01#E1/1", "Server/default/server-01#enp2s1"),
            cable("c", "leaf-02/E1/1", "Switch/default/leaf-02#E1/1", "Server/default/server-01#enp2s2"),
        ],
        {
            "leaf-01#E1/1": used(f"PC1 {text}", 9036, interface("Connection/default/c#lag:leaf-01")),
            "leaf-02#E1/1": used(f"PC1 {text}", 9036, interface("Connection/default/c#lag:leaf-02")),
        },
    )


def test_an_mclag_domain_is_a_peer_lag_and_a_session_lag_with_fixed_numbers() -> None:
    found = wired(
        connection(
            "c",
            mclagDomain={
                "peerLinks": [link(switch1="leaf-01/E1/1", switch2="leaf-02/E1/1")],
                "sessionLinks": [link(switch1="leaf-01/E1/2", switch2="leaf-02/E1/2")],
            },
        )
    )
    one, two = "Switch/default/leaf-01", "Switch/default/leaf-02"
    check(
        found,
        [
            lag("c", "lag:leaf-01", one, "PortChannel250", "MCLAG peer leaf-02", None),
            lag("c", "lag:leaf-02", two, "PortChannel250", "MCLAG peer leaf-01", None),
            lag("c", "session:leaf-01", one, "PortChannel251", "MCLAG session leaf-02", None),
            lag("c", "session:leaf-02", two, "PortChannel251", "MCLAG session leaf-01", None),
            cable("c", "leaf-01/E1/1", f"{one}#E1/1", f"{two}#E1/1", "c peer"),
            cable("c", "leaf-01/E1/2", f"{one}#E1/2", f"{two}#E1/2", "c session"),
        ],
        {
            "leaf-01#E1/1": used("PC250 MCLAG peer leaf-02/E1/1", None, interface("Connection/default/c#lag:leaf-01")),
            "leaf-02#E1/1": used("PC250 MCLAG peer leaf-01/E1/1", None, interface("Connection/default/c#lag:leaf-02")),
            "leaf-01#E1/2": used(
                "PC251 MCLAG session leaf-02/E1/2", None, interface("Connection/default/c#session:leaf-01")
            ),
            "leaf-02#E1/2": used(
                "PC251 MCLAG session leaf-01/E1/2", None, interface("Connection/default/c#session:leaf-02")
            ),
        },
    )


def test_fabric_is_a_cable_per_link_from_the_spine_whatever_the_port_was_called() -> None:
    found = wired(
        connection(
            "c",
            fabric={
                "links": [
                    link(spine="spine-01/E1/1", leaf="leaf-01/E1/3"),
                    link(spine="spine-01/E1/3/1", leaf="leaf-01/E1/2"),
                ]
            },
        )
    )
    spine, leaf = "Switch/default/spine-01", "Switch/default/leaf-01"
    check(
        found,
        [
            cable("c", "spine-01/E1/1", f"{spine}#E1/1", f"{leaf}#E1/3/1"),
            cable("c", "spine-01/E1/3/1", f"{spine}#E1/3/1", f"{leaf}#E1/2"),
        ],
        {
            "spine-01#E1/1": used("Fabric leaf-01/E1/3 c", 9100),
            "leaf-01#E1/3/1": used("Fabric spine-01/E1/1 c", 9100),
            "spine-01#E1/3/1": used("Fabric leaf-01/E1/2 c", 9100),
            "leaf-01#E1/2": used("Fabric spine-01/E1/3/1 c", 9100),
        },
    )


def test_mesh_is_a_cable_between_leaves() -> None:
    found = wired(connection("c", mesh={"links": [link(leaf1="leaf-01/E1/1", leaf2="leaf-02/E1/2")]}))
    check(
        found,
        [cable("c", "leaf-01/E1/1", "Switch/default/leaf-01#E1/1", "Switch/default/leaf-02#E1/2")],
        {
            "leaf-01#E1/1": used("Mesh leaf-02/E1/2 c", 9100),
            "leaf-02#E1/2": used("Mesh leaf-01/E1/1 c", 9100),
        },
    )


def test_gateway_is_a_cable_to_the_gateways_port_even_if_only_the_connection_names_it() -> None:
    found = wired(connection("c", gateway={"links": [link(switch="spine-01/E1/1", gateway="gw-1/enp2s1")]}))
    port = Record(
        "interface",
        "lab1/Gateway/default/gw-1#enp2s1",
        {"device": device("Gateway/default/gw-1"), "name": "enp2s1", "type": "other", "enabled": True},
        {"fabric_source": "gateway.githedgehog.com/Gateway default/gw-1", "fabric_nos_name": "enp2s1"},
    )
    check(
        found,
        [port, cable("c", "spine-01/E1/1", "Switch/default/spine-01#E1/1", "Gateway/default/gw-1#enp2s1")],
        {"spine-01#E1/1": used("Gateway gw-1/enp2s1 c", 9100)},
    )


def test_a_vpc_loopback_is_a_cable_between_two_ports_of_one_switch() -> None:
    found = wired(connection("c", vpcLoopback={"links": [link(switch1="leaf-01/E1/2", switch2="leaf-01/E1/1")]}))
    check(
        found,
        [cable("c", "leaf-01/E1/2", "Switch/default/leaf-01#E1/2", "Switch/default/leaf-01#E1/1")],
        {"leaf-01#E1/1": used("VPC loopback c", None), "leaf-01#E1/2": used("VPC loopback c", None)},
    )


def test_a_connection_to_an_external_marks_its_port_as_connected() -> None:
    found = wired(connection("c", external={"link": link(switch="leaf-01/E1/1")}))
    check(found, [], {"leaf-01#E1/1": used("External c", None, mark=True)})


def test_a_static_connection_puts_its_port_into_the_underlay() -> None:
    found = wired(connection("c", staticExternal={"link": link(switch="leaf-01/E1/1")}))
    underlay = Ref("vrf", "lab1/Fabric/default/lab1#underlay")
    check(found, [], {"leaf-01#E1/1": used("StaticExt c", None, mark=True) | {"vrf": underlay}})


def test_a_servers_port_may_hold_slashes() -> None:
    found = wired(connection("c", unbundled={"link": link(server="server-01/pci/0/1", switch="leaf-01/E1/1")}))
    assert of(found, "interface")["lab1/Server/default/server-01#pci/0/1"].fields["name"] == "pci/0/1"


def bundle(name: str, *links: dict[str, Any]) -> Any:
    return connection(name, bundled={"links": list(links)})


def test_a_lag_without_a_number_yet_is_named_after_its_connection() -> None:
    name = "server-01--bundled--" + "x" * 80
    found = wired(bundle(name, link(server="server-01/a", switch="leaf-01/E1/1")))
    record = of(found, "interface")[f"lab1/Connection/default/{name}#lag:leaf-01"]
    assert str(record.fields["name"]).startswith("lag:server-01--bundled--")
    assert len(str(record.fields["name"])) == 64
    assert record.custom["fabric_nos_name"] is None
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"]
    assert port.fields["description"] == f"Bundled server-01 {name}"
    assert "interface" in found.complete


def test_the_catalog_of_the_switch_counts_where_there_is_no_redundancy_group() -> None:
    found = wired(
        bundle("c", link(server="server-01/a", switch="spine-01/E1/1")),
        thing("Catalog", "switch.spine-01", {"portChannelIDs": {"c": 7}}),
        thing("Catalog", "switch.leaf-01", {"portChannelIDs": {"c": 8}}),
    )
    assert of(found, "interface")["lab1/Connection/default/c#lag:spine-01"].fields["name"] == "PortChannel7"


def test_one_number_for_two_lags_of_a_switch_leaves_the_second_with_its_own_name() -> None:
    found = wired(
        bundle("c1", link(server="server-01/a", switch="leaf-01/E1/1")),
        bundle("c2", link(server="server-01/b", switch="leaf-01/E1/2")),
        thing("Catalog", "switch.leaf-01", {"portChannelIDs": {"c1": 1, "c2": 1}}),
    )
    names = [of(found, "interface")[f"lab1/Connection/default/{c}#lag:leaf-01"].fields["name"] for c in ("c1", "c2")]
    assert names == ["PortChannel1", "lag:c2"]
    assert codes(found) == [("Connection default/c2", Code.NAME_COLLISION)]


@pytest.mark.parametrize("kind", ["bundled", "eslag", "mclag"])
def test_a_lag_that_may_work_with_a_single_port_says_so(kind: str) -> None:
    links = [link(server="server-01/a", switch="leaf-01/E1/1")]
    found = wired(connection("c", **{kind: {"links": links, "fallback": True}}))
    lags = {key: record for key, record in of(found, "interface").items() if record.fields["type"] == "lag"}
    assert {key: record.custom.get("fabric_spec") for key, record in lags.items()} == {
        "lab1/Connection/default/c#bond:server-01": None,
        "lab1/Connection/default/c#lag:leaf-01": {"fallback": True},
    }


def test_a_port_belongs_to_the_first_connection_that_names_it_by_either_of_its_names() -> None:
    found = wired(
        connection("b", mesh={"links": [link(leaf1="leaf-01/E1/3/1", leaf2="leaf-02/E1/2")]}),
        connection("a", mesh={"links": [link(leaf1="leaf-01/E1/3", leaf2="leaf-02/E1/1")]}),
    )
    assert list(of(found, "cable")) == ["lab1/Connection/default/a#leaf-01/E1/3/1"]
    assert codes(found) == [("Connection default/b", Code.PORT_IN_USE)]


def test_which_link_wins_a_port_does_not_hang_on_the_order_of_links() -> None:
    links = [link(leaf1="leaf-01/E1/1", leaf2="leaf-02/E1/2"), link(leaf1="leaf-01/E1/1", leaf2="leaf-02/E1/1")]
    one, two = (wired(connection("c", mesh={"links": order})) for order in (links, links[::-1]))
    assert one == two
    assert [record.fields["b_terminations"] for record in of(one, "cable").values()] == [
        (interface("Switch/default/leaf-02#E1/1"),)
    ]


def test_a_link_from_a_port_to_itself_is_no_cable() -> None:
    found = wired(connection("a", vpcLoopback={"links": [link(switch1="leaf-01/E1/1", switch2="leaf-01/E1/1")]}))
    assert not of(found, "cable")
    assert codes(found) == [("Connection default/a", Code.PORT_IN_USE)]


def test_a_dangling_end_costs_the_cable_and_not_what_the_switch_is_set_to() -> None:
    found = wired(connection("c", unbundled={"link": link(server="server-99/enp2s1", switch="leaf-01/E1/1")}))
    assert not of(found, "cable")
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"]
    assert port.fields["description"] == "Unbundled server-99 c"
    assert codes(found) == [("Connection default/c", Code.DANGLING)]
    assert found.complete == EVERYTHING


def test_a_port_that_the_switch_does_not_have_is_neither_invented_nor_cabled() -> None:
    found = wired(connection("c", unbundled={"link": link(server="server-01/enp2s1", switch="leaf-01/E1/77")}))
    assert not of(found, "cable")
    assert "lab1/Switch/default/leaf-01#E1/77" not in of(found, "interface")
    assert "lab1/Server/default/server-01#enp2s1" in of(found, "interface")
    assert codes(found) == [("Connection default/c", Code.PORT_NOT_IN_PROFILE)]


def test_a_switch_of_an_unknown_profile_shows_the_ports_that_connections_name() -> None:
    found = wired(
        switch("old", profile="gone"),
        connection("c", unbundled={"link": link(server="server-01/enp2s1", switch="old/E1/49")}),
    )
    port = of(found, "interface")["lab1/Switch/default/old#E1/49"]
    assert (port.fields["type"], port.fields["description"]) == ("other", "Unbundled server-01 c")
    assert list(of(found, "cable")) == ["lab1/Connection/default/c#old/E1/49"]


def test_a_connection_of_a_type_to_come_is_noted_and_hides_nothing() -> None:
    found = wired(connection("c", quantum={"links": []}))
    assert codes(found) == [("Connection default/c", Code.UNKNOWN_TYPE)]
    assert found.complete == EVERYTHING


def test_a_connection_of_two_types_or_none_is_malformed() -> None:
    ends = {"link": link(switch="leaf-01/E1/1")}
    found = wired(connection("a", external=ends, staticExternal=ends), connection("b"))
    assert {("Connection default/a", Code.MALFORMED), ("Connection default/b", Code.MALFORMED)} <= set(codes(found))


def test_all_ports_enabled_are_enabled_without_a_use() -> None:
    found = translated(profile(), switch("s1", enableAllPorts=True))
    assert {record.fields["enabled"] for record in of(found, "interface").values()} == {True}


def test_a_gateway_in_another_namespace_is_found_by_its_name() -> None:
    found = translated(
        profile(),
        switch("spine-01", "spine"),
        thing("Gateway", "gw-1", {}, namespace="fab"),
        connection("c", gateway={"links": [link(switch="spine-01/E1/1", gateway="gw-1/enp2s1")]}),
    )
    assert [record.fields["b_terminations"] for record in of(found, "cable").values()] == [
        (interface("Gateway/fab/gw-1#enp2s1"),)
    ]
