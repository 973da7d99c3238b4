"""AS numbers, which all fabrics share, and MAC addresses, which belong to one port."""

from __future__ import annotations

import pytest

from functions.records import Record, Ref
from functions.translate import Code, asns
from tests.functions.translate.hedgehog import codes, gateway, interface, of, profile, server, switch, translated


@pytest.mark.parametrize(
    ("asn", "rir"),
    [
        (64511, "public"), (64512, "private"), (65100, "private"), (65534, "private"), (65535, "public"), (1, "public"),
        (4199999999, "public"), (4200000000, "private"), (4294967294, "private"), (4294967295, "public"),
    ],
)  # fmt: skip
def test_an_as_number_is_one_for_all_and_under_the_registry_of_its_range(asn: int, rir: str) -> None:
    registry, number = asns.records("dc1", asn)
    assert (registry.model, registry.key, registry.fields["is_private"]) == ("rir", rir, rir == "private")
    assert number == Record("asn", str(asn), {"asn": asn, "rir": Ref("rir", rir), "sites": (Ref("site", "dc1"),)})
    assert asns.ref(asn) == Ref("asn", str(asn))


def test_the_spines_share_their_number_and_servers_have_none() -> None:
    items = [switch(name, "spine", asn=65100) for name in ("s1", "s2")]
    found = translated(profile(), *items, switch("l1", asn=65101), gateway("gw-1", asn=65534), server("a", asn=1))
    assert list(of(found, "asn")) == ["65100", "65101", "65534"]


def test_a_mac_address_is_written_as_netbox_does_on_the_port_that_has_it() -> None:
    found = translated(
        profile(),
        switch("a", boot={"mac": "0c:20:12:fe:01:0a"}),
        gateway("gw-1", vtepIP="10.0.0.1/32", vtepMAC="CAFE.babe.0101"),
        gateway("gw-2", vtepMAC="CA:FE:BA:BE:01:02"),
    )
    assert {key: (record.fields["mac_address"], record.fields["assigned_object"]) for key, record in of(
        found, "mac_address"
    ).items()} == {
        "lab1/Switch/default/a#mac:M1": ("0C:20:12:FE:01:0A", interface("Switch/default/a#M1")),
        "lab1/Gateway/default/gw-1#mac:vtep": ("CA:FE:BA:BE:01:01", interface("Gateway/default/gw-1#vtep")),
    }  # fmt: skip
    ports = of(found, "interface")
    for key, mac in (("Switch/default/a#M1", "Switch/default/a#mac:M1"), ("Gateway/default/gw-1#vtep",) * 2):
        wanted = Ref("mac_address", f"lab1/{mac}".replace("#vtep", "#mac:vtep"))
        assert ports[f"lab1/{key}"].fields["primary_mac_address"] == wanted
    assert "primary_mac_address" not in ports["lab1/Switch/default/a#E1/1"].fields


@pytest.mark.parametrize("text", ["0c:20:12:fe:01", "nonsense", "0c:20:12:fe:01:zz"])
def test_what_is_no_mac_address_is_noted(text: str) -> None:
    found = translated(profile(), switch("a", boot={"mac": text}))
    assert not of(found, "mac_address")
    assert codes(found) == [("Switch default/a", Code.MALFORMED)]
