"""What people hang on our objects, each kind of it on the real NetBox: found before a delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.apply import Applier
from functions.fabric import Fabric
from functions.fields import HOLD_TAG, KEY, NAME
from functions.guard import permit
from functions.hanging import FIELDS, LISTINGS, hanging
from functions.needs import parts, users
from functions.plan import Delete, Plan, Stale
from functions.records import MODELS
from functions.survey import survey
from infra.netbox import NetBox, Row
from tests.netbox_content import bootstrapped, device_of_people, named, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

FABRIC = "hung"


def ours(model: str, name: str) -> dict[str, Any]:
    key = f"{FABRIC}/VPC/default/{model}#{name}"
    return {"custom_fields": {KEY: key, NAME: FABRIC}}


class Place:
    """One object of ours of each model, and what people need to hang things on it."""

    def __init__(self, netbox: NetBox, fabric: Fabric) -> None:
        self.netbox, self.fabric = netbox, fabric
        make = self.make
        box, (port,) = device_of_people(netbox, FABRIC, "ours", ports=1)
        netbox.update("dcim/devices", [{"id": box["id"], "cluster": fabric.cluster_id, **ours("device", "d")}])
        netbox.update("dcim/interfaces", [{"id": port["id"], **ours("interface", "p")}])
        vrf = make("ipam/vrfs", name="ours", **ours("vrf", "v"))
        group = make("ipam/vlan-groups", name="ours", slug="ours", **ours("vlan_group", "g"))
        vlan = make("ipam/vlans", name="ours", vid=100, group=group["id"], **ours("vlan", "v"))
        l2vpn = make("vpn/l2vpns", name="ours", slug="ours", type="vxlan", **ours("l2vpn", "l"))
        prefix = make("ipam/prefixes", prefix="10.1.0.0/24", **ours("prefix", "p"))
        span = {"start_address": "10.1.0.10/24", "end_address": "10.1.0.20/24"}
        spans = make("ipam/ip-ranges", **span, **ours("ip_range", "r"))
        address = make("ipam/ip-addresses", address="10.1.0.1/24", **ours("ip_address", "a"))
        self.rows = {
            "device": box,
            "interface": port,
            "vrf": vrf,
            "vlan_group": group,
            "vlan": vlan,
            "l2vpn": l2vpn,
            "prefix": prefix,
            "ip_range": spans,
            "ip_address": address,
        }
        self.box, self.theirs = device_of_people(netbox, FABRIC, "theirs", ports=3)
        self.actual = survey(netbox, fabric, ())

    def make(self, path: str, **row: Any) -> Row:
        return self.netbox.create(path, [row])[0]

    def id(self, model: str) -> int:
        found: int = self.rows[model]["id"]
        return found

    def stale(self, *models: str) -> list[Stale]:
        names = {"device": "d", "interface": "p", "vlan_group": "g", "l2vpn": "l", "prefix": "p", "ip_range": "r"}
        names |= {"vrf": "v", "vlan": "v", "ip_address": "a"}
        return [Stale(each, f"{FABRIC}/VPC/default/{each}#{names[each]}", self.id(each)) for each in models]

    def seen(self, *models: str) -> dict[Stale, str]:
        return hanging(self.netbox, self.stale(*models), self.actual.owned, FABRIC)

    def contact(self, model: str) -> tuple[str, Row]:
        contact = self.make("tenancy/contacts", name=f"for {model}")
        role = named(self.netbox, "tenancy/contact-roles", "Owner", "owner")
        row = {"object_type": MODELS[model].content_type, "object_id": self.id(model), "contact": contact["id"]}
        return "tenancy/contact-assignments", self.make("tenancy/contact-assignments", role=role["id"], **row)


@pytest.fixture
def place(netbox_server: ServedNetBox) -> Iterator[Place]:
    with opened(bootstrapped(netbox_server), 600) as netbox:
        yield Place(netbox, with_fabric(netbox, FABRIC))


type Hang = Callable[[Place], Any]

HUNG: dict[str, tuple[str, Hang]] = {
    "a port of people on our device": (
        "device",
        lambda at: at.make("dcim/interfaces", device=at.id("device"), name="x", type="virtual"),
    ),
    "a console port": ("device", lambda at: at.make("dcim/console-ports", device=at.id("device"), name="c")),
    "a power port": ("device", lambda at: at.make("dcim/power-ports", device=at.id("device"), name="c")),
    "a module bay": ("device", lambda at: at.make("dcim/module-bays", device=at.id("device"), name="c")),
    "an inventory item": ("device", lambda at: at.make("dcim/inventory-items", device=at.id("device"), name="c")),
    "a service": (
        "device",
        lambda at: at.make(
            "ipam/services",
            name="s",
            protocol="tcp",
            ports=[22],
            parent_object_type="dcim.device",
            parent_object_id=at.id("device"),
        ),
    ),
    "a virtual device context": (
        "device",
        lambda at: at.make(
            "dcim/virtual-device-contexts", device=at.id("device"), name="v", identifier=1, status="active"
        ),
    ),
    "a virtual machine": (
        "device",
        lambda at: at.make(
            "virtualization/virtual-machines", name="vm", cluster=at.fabric.cluster_id, device=at.id("device")
        ),
    ),
    "a virtual chassis": (
        "device",
        lambda at: at.netbox.update(
            "dcim/devices",
            [
                {
                    "id": at.id("device"),
                    "virtual_chassis": at.make("dcim/virtual-chassis", name="vc")["id"],
                    "vc_position": 1,
                }
            ],
        ),
    ),
    "a contact of a device": ("device", lambda at: at.contact("device")),
    "a journal entry": (
        "device",
        lambda at: at.make(
            "extras/journal-entries",
            assigned_object_type="dcim.device",
            assigned_object_id=at.id("device"),
            comments="the fan is loud",
        ),
    ),
    "an address": (
        "interface",
        lambda at: at.make(
            "ipam/ip-addresses",
            address="192.0.2.1/32",
            assigned_object_type="dcim.interface",
            assigned_object_id=at.id("interface"),
        ),
    ),
    "a MAC address": (
        "interface",
        lambda at: at.make(
            "dcim/mac-addresses",
            mac_address="02:00:00:00:00:01",
            assigned_object_type="dcim.interface",
            assigned_object_id=at.id("interface"),
        ),
    ),
    "a cable": (
        "interface",
        lambda at: at.make(
            "dcim/cables",
            a_terminations=[{"object_type": "dcim.interface", "object_id": at.id("interface")}],
            b_terminations=[{"object_type": "dcim.interface", "object_id": at.theirs[0]["id"]}],
        ),
    ),
    "a sub-interface": (
        "interface",
        lambda at: at.make(
            "dcim/interfaces", device=at.id("device"), name="p.1", type="virtual", parent=at.id("interface")
        ),
    ),
    "an L2VPN termination of a port": (
        "interface",
        lambda at: at.make(
            "vpn/l2vpn-terminations",
            l2vpn=at.make("vpn/l2vpns", name="t", slug="t", type="vxlan")["id"],
            assigned_object_type="dcim.interface",
            assigned_object_id=at.id("interface"),
        ),
    ),
    "a tunnel that ends on it": (
        "interface",
        lambda at: at.make(
            "vpn/tunnel-terminations",
            tunnel=at.make("vpn/tunnels", name="t", status="active", encapsulation="gre")["id"],
            role="peer",
            termination_type="dcim.interface",
            termination_id=at.id("interface"),
        ),
    ),
    "an inventory item of a port": (
        "interface",
        lambda at: at.make(
            "dcim/inventory-items",
            device=at.id("device"),
            name="optic",
            component_type="dcim.interface",
            component_id=at.id("interface"),
        ),
    ),
    "a prefix": ("vrf", lambda at: at.make("ipam/prefixes", prefix="192.0.2.0/24", vrf=at.id("vrf"))),
    "an address in the VRF": ("vrf", lambda at: at.make("ipam/ip-addresses", address="192.0.2.1/24", vrf=at.id("vrf"))),
    "a range": (
        "vrf",
        lambda at: at.make(
            "ipam/ip-ranges", start_address="192.0.2.1/24", end_address="192.0.2.9/24", vrf=at.id("vrf")
        ),
    ),
    "a port of people in the VRF": (
        "vrf",
        lambda at: at.netbox.update("dcim/interfaces", [{"id": at.theirs[0]["id"], "vrf": at.id("vrf")}]),
    ),
    "a VLAN": ("vlan_group", lambda at: at.make("ipam/vlans", name="x", vid=7, group=at.id("vlan_group"))),
    "a prefix of the VLAN": ("vlan", lambda at: at.make("ipam/prefixes", prefix="192.0.2.0/24", vlan=at.id("vlan"))),
    "an untagged port": (
        "vlan",
        lambda at: at.netbox.update(
            "dcim/interfaces", [{"id": at.theirs[0]["id"], "mode": "access", "untagged_vlan": at.id("vlan")}]
        ),
    ),
    "a tagged port": (
        "vlan",
        lambda at: at.netbox.update(
            "dcim/interfaces", [{"id": at.theirs[0]["id"], "mode": "tagged", "tagged_vlans": [at.id("vlan")]}]
        ),
    ),
    "an L2VPN termination of a VLAN": (
        "vlan",
        lambda at: at.make(
            "vpn/l2vpn-terminations",
            l2vpn=at.make("vpn/l2vpns", name="u", slug="u", type="vxlan")["id"],
            assigned_object_type="ipam.vlan",
            assigned_object_id=at.id("vlan"),
        ),
    ),
    "a termination of people": (
        "l2vpn",
        lambda at: at.make(
            "vpn/l2vpn-terminations",
            l2vpn=at.id("l2vpn"),
            assigned_object_type="dcim.interface",
            assigned_object_id=at.theirs[0]["id"],
        ),
    ),
    "a contact of an L2VPN": ("l2vpn", lambda at: at.contact("l2vpn")),
    "a contact of a prefix": ("prefix", lambda at: at.contact("prefix")),
    "a contact of a range": ("ip_range", lambda at: at.contact("ip_range")),
    "a contact of an address": ("ip_address", lambda at: at.contact("ip_address")),
    "an address translated to ours": (
        "ip_address",
        lambda at: at.make("ipam/ip-addresses", address="192.0.2.1/32", nat_inside=at.id("ip_address")),
    ),
    "a service on an address": (
        "ip_address",
        lambda at: at.make(
            "ipam/services",
            name="s",
            protocol="tcp",
            ports=[22],
            ipaddresses=[at.id("ip_address")],
            parent_object_type="dcim.device",
            parent_object_id=at.box["id"],
        ),
    ),
}


def test_whatever_people_hang_on_an_object_of_ours_is_found(place: Place) -> None:
    missed = []
    for what, (model, hang) in HUNG.items():
        made = hang(place)
        if set(place.seen(model)) != set(place.stale(model)):
            missed.append(what)
        undo(place, made)
    assert missed == []
    assert place.seen(*place.rows) == {}


def undo(place: Place, made: Any) -> None:
    """Take away what was hung, the way a person does: in NetBox, not by us."""
    path, row = made if isinstance(made, tuple) else (None, made)
    row = row[0] if isinstance(row, list) else row
    if "/dcim/devices/" in row["url"]:
        place.netbox.update("dcim/devices", [{"id": row["id"], "virtual_chassis": None, "vc_position": None}])
    elif "/dcim/interfaces/" in row["url"] and row["device"]["id"] == place.box["id"]:
        bare = {"vrf": None, "untagged_vlan": None, "tagged_vlans": [], "mode": ""}
        place.netbox.update("dcim/interfaces", [{"id": row["id"], **bare}])
    else:
        path = path or row["url"].partition("/api/")[2].rpartition(f"/{row['id']}")[0]
        request = place.netbox._request(path)
        place.netbox._send(lambda: request.delete([{"id": row["id"]}]), path)


def test_what_changed_since_it_was_read_is_seen(place: Place) -> None:
    vrf, group, vlan = place.stale("vrf", "vlan_group", "vlan")
    place.netbox.update("ipam/vrfs", [{"id": vrf.id, "tags": [{"slug": HOLD_TAG}]}])
    place.netbox.update("ipam/vlan-groups", [{"id": group.id, "custom_fields": {KEY: None}}])
    going = [vrf, group, vlan, Stale("vlan", f"{FABRIC}/VPC/default/x", 9_999)]
    found = hanging(place.netbox, going, place.actual.owned, FABRIC)
    assert {one.key.rpartition("/")[2]: reason for one, reason in found.items()} == {
        "vrf#v": f"tagged {HOLD_TAG}",
        "vlan_group#g": "its key was changed meanwhile",
        "x": "it is gone from NetBox already",
    }


def test_what_cannot_go_keeps_what_it_is_a_part_of(place: Place) -> None:
    child = {"device": place.box["id"], "name": "x", "type": "virtual"}
    place.make("dcim/interfaces", **{**child, "device": place.id("device"), "parent": place.id("interface")})
    actual = survey(place.netbox, place.fabric, ())
    going = place.stale("interface", "device", "l2vpn")
    used = users(actual.owned)
    deletes = tuple(Delete(one, parts((one.model, one.id), used)) for one in going)
    applier = Applier(place.netbox, actual, FABRIC, permit=permit(deletes, actual.owned, FABRIC))
    done = applier.apply(Plan(stale=tuple(going), deletes=deletes))
    assert [refused.model for refused in done.refused] == ["interface", "device"]
    assert "1 parts of it could not be deleted" in done.refused[1].text
    assert dict(done.deleted) == {"l2vpn": 1}
    assert place.netbox.count("dcim/interfaces", {"device_id": place.id("device")}) == 2


def test_the_tables_speak_of_models_that_there_are() -> None:
    assert set(FIELDS) | set(LISTINGS) <= set(MODELS)
