"""What could not be read, or was not as it should be: it thins the translation, and never falsifies it."""

from __future__ import annotations

from typing import Any

import pytest

from functions.records import MODELS, Record
from functions.snapshot import Snapshot
from functions.translate import FAMILIES, Code, Translation, translate
from tests.functions.translate.hedgehog import (
    EVERYTHING,
    LAB,
    TENANTS,
    codes,
    connection,
    gateway,
    link,
    of,
    profile,
    server,
    snapshot,
    switch,
    thing,
    translated,
)

LAB_FABRIC: tuple[Any, ...] = (
    profile(),
    thing("SwitchGroup", "g", {}),
    switch("leaf-01", groups=["g"], protocolIP="10.0.0.1/32"),
    switch("spine-01", "spine"),
    server("server-01"),
    server("leaf-01"),
    gateway("gw-1", interfaces={"enp2s1": {"mtu": 9100}}),
    connection("f", fabric={"links": [link(spine="spine-01/E1/1", leaf="leaf-01/E1/3")]}),
    connection("b", bundled={"links": [link(server="server-01/a", switch="leaf-01/E1/1")]}),
    connection("g", gateway={"links": [link(switch="spine-01/E1/2", gateway="gw-1/enp2s1")]}),
    connection("m", mclagDomain={"peerLinks": [link(switch1="leaf-01/E1/2", switch2="spine-01/E1/3")]}),
    thing("Catalog", "switch.leaf-01", {"portChannelIDs": {"b": 4}}),
    *TENANTS,
)

KINDS_READ = sorted({kind for family in FAMILIES for kind in family.kinds})


def thinner(less: Translation, more: Translation) -> bool:
    """Whether every record of `less` is one of `more`, with the same values in the fields that it has."""
    known = {(record.model, record.key): record for record in more.records}
    for record in less.records:
        other = known.get((record.model, record.key))
        if other is None or not record.fields.items() <= other.fields.items():
            return False
        if not record.custom.items() <= other.custom.items() or not record.tags <= other.tags:
            return False
    return less.complete < more.complete


@pytest.mark.parametrize("kind", KINDS_READ)
def test_an_unread_kind_thins_the_records_and_takes_its_models_out_of_the_complete_ones(kind: str) -> None:
    full = translated(*LAB_FABRIC)
    less = translated(*LAB_FABRIC, unread=[kind])
    assert thinner(less, full)
    assert less.complete == full.complete - {
        model for family in FAMILIES if kind in family.kinds for model in family.models
    }


def test_any_two_unread_kinds_thin_the_records_further() -> None:
    for one in KINDS_READ:
        single = translated(*LAB_FABRIC, unread=[one])
        for two in KINDS_READ:
            both = translated(*LAB_FABRIC, unread={one, two})
            assert both.complete <= single.complete
            assert {(record.model, record.key) for record in both.records} <= {
                (record.model, record.key) for record in single.records
            }


def test_without_the_connections_a_port_says_nothing_of_its_use() -> None:
    found = translated(*LAB_FABRIC, unread=["Connection"])
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"]
    assert not {"enabled", "description", "mtu", "lag", "mark_connected"} & set(port.fields)
    assert {"interface", "cable", "ip_address", "prefix"}.isdisjoint(found.complete)
    assert {"device", "mac_address"} <= found.complete


def test_without_the_catalogs_a_lag_is_not_created_under_a_wrong_name() -> None:
    found = translated(*LAB_FABRIC, unread=["Catalog"])
    assert "lab1/Connection/default/b#lag:leaf-01" not in of(found, "interface")
    port = of(found, "interface")["lab1/Switch/default/leaf-01#E1/1"].fields
    assert "lag" not in port
    assert "description" not in port
    assert port["enabled"] is True
    assert "lab1/Connection/default/b#bond:server-01" in of(found, "interface"), "the server's bond needs no catalog"
    assert "lab1/Connection/default/m#lag:leaf-01" in of(found, "interface"), "MCLAG numbers are fixed"
    assert "interface" not in found.complete
    assert {"device", "cable", "ip_address"} <= found.complete


def test_without_the_profiles_no_switch_is_made_into_something_else() -> None:
    found = translated(*LAB_FABRIC, unread=["SwitchProfile"])
    assert {record.key.split("/")[1] for record in found.records if record.model == "device"} == {"Server", "Gateway"}
    assert Code.UNKNOWN_PROFILE not in {code for _, code in codes(found)}


def test_a_device_of_an_unread_kind_is_not_called_missing() -> None:
    found = translated(*LAB_FABRIC, unread=["Server", "Gateway"])
    assert found.issues == ()
    assert set(of(found, "cable")) == {
        "lab1/Connection/default/f#spine-01/E1/1",
        "lab1/Connection/default/m#leaf-01/E1/2",
    }


def test_without_the_switches_no_server_takes_a_name_that_may_be_a_switchs() -> None:
    assert not of(translated(*LAB_FABRIC, unread=["Switch"]), "device")


def test_a_kind_that_the_fabric_does_not_offer_is_as_good_as_read() -> None:
    seen = snapshot(*LAB_FABRIC)
    gone = snapshot(*LAB_FABRIC, absent=["Gateway", "Catalog"])
    found = translate(gone, LAB)
    assert found.complete == translate(seen, LAB).complete == EVERYTHING
    assert of(found, "interface")["lab1/Connection/default/b#lag:leaf-01"].fields["name"] == "lag:b"


def test_a_snapshot_of_nothing_is_nothing_and_proves_nothing() -> None:
    found = translate(Snapshot("lab1"), LAB)
    assert (found.records, found.issues, found.complete) == ((), (), frozenset())


BAD = [
    switch("bad", profile=7),
    switch("bad", asn="65000"),
    switch("bad", portBreakouts=["4x25G"]),
    switch("bad", portSpeeds={"E1/1": "fast"}),
    switch("bad", groups="g"),
    switch("bad", boot="serial"),
    server("bad", description=["a"]),
    gateway("bad", interfaces=[1]),
    gateway("bad", interfaces={"a": {"mtu": -1}}),
    gateway("bad", groups=["default"]),
    connection("bad", unbundled=3),
    connection("bad", unbundled={"link": {"server": {"port": "server-01"}, "switch": {"port": 4}}}),
    connection("bad", fabric={"links": [None, {"spine": []}]}),
    connection("bad", eslag={"links": {}}),
    connection("bad", external={"link": link(switch="leaf-01/M1"), "mtu": True}),
    {"kind": "Switch", "metadata": {"name": ["x"]}, "spec": {}},
    {"kind": "Server", "metadata": None, "spec": {}},
    {"kind": "Server", "metadata": {"name": "bad"}, "spec": "none"},
    {"kind": "Connection"},
    profile("bad", ports={"E1/1": {"profile": "gone"}}),
    thing("Catalog", "switch.leaf-01", {"portChannelIDs": "b"}),
]


@pytest.mark.parametrize("place", range(len(BAD)))
def test_one_bad_object_is_noted_and_stops_no_other(place: int) -> None:
    bad = BAD[place]
    others = [item for item in LAB_FABRIC if item["kind"] != "Catalog"]
    more = (switch("user", profile="bad"),) if bad["kind"] == "SwitchProfile" else ()
    good, found = translated(*others), translated(*others, bad, *more)
    assert Code.MALFORMED in {code for _, code in codes(found)}
    mine = {(record.model, record.key) for record in found.records}
    assert {(record.model, record.key) for record in good.records} <= mine
    assert "interface" not in found.complete, "what a bad object hides may still be wanted"


def test_an_object_listed_twice_counts_once() -> None:
    found = translated(server("a"), server("a"))
    assert len(of(found, "device")) == 1
    assert codes(found) == [("Server default/a", Code.CLASH)]


def test_a_server_port_that_is_called_as_its_bond_does_not_break_the_batch() -> None:
    bond = of(translated(*LAB_FABRIC), "interface")["lab1/Connection/default/b#bond:server-01"].fields["name"]
    found = translated(
        *LAB_FABRIC, connection("z", unbundled={"link": link(server=f"server-01/{bond}", switch="leaf-01/E1/9")})
    )
    shown = of(found, "interface")
    assert f"lab1/Server/default/server-01#{bond}" in shown
    assert "lab1/Connection/default/b#bond:server-01" not in shown
    assert "lag" not in shown["lab1/Server/default/server-01#a"].fields
    assert ("Connection default/b", Code.CLASH) in codes(found)
    assert "interface" not in found.complete


def test_control_characters_and_half_characters_never_reach_netbox() -> None:
    found = translated(server("a", description=" two\nlines\x00\ud800 "))
    assert of(found, "device")["lab1/Server/default/a"].fields["description"] == "two lines ?"


def test_every_field_that_is_written_is_a_field_of_its_model() -> None:
    for record in translated(*LAB_FABRIC).records:
        assert set(record.fields) <= set(MODELS[record.model].fields), record


def test_records_are_unique_and_refer_to_earlier_records_alone() -> None:
    found = translated(*LAB_FABRIC)
    identities = [(record.model, record.key) for record in found.records]
    assert len(set(identities)) == len(identities)
    order = list(MODELS)
    assert identities == sorted(identities, key=lambda identity: (order.index(identity[0]), identity[1]))


def test_shared_records_come_only_with_somebody_who_uses_them() -> None:
    found = translated(server("a"))
    shared: list[Record] = [record for record in found.records if MODELS[record.model].shared]
    assert [(record.model, record.key) for record in shared] == [
        ("tag", "fabric-lab1"),
        ("tag", "fabric-managed"),
        ("manufacturer", "hedgehog"),
        ("device_role", "fabric-server"),
        ("device_type", "generic-server"),
    ]
