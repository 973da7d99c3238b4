"""Tenants in the real NetBox: what it takes and refuses by itself, and that it takes all that translation makes."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from functions.fabric import Fabric
from infra.deadline import Deadline
from infra.netbox import NetBox, NetBoxError, Row
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import BY_KIND
from infra.sandbox.fabric.topology import spine_leaf
from tests.functions.test_underlay_in_netbox import synced
from tests.functions.translate.test_reading import LAB_FABRIC
from tests.netbox_content import bootstrapped, with_fabric
from tests.netbox_fixtures import ServedNetBox


def items_of(cluster: Cluster) -> list[Any]:
    return [item for kind in BY_KIND if kind != "Fabricator" for item in cluster.objects(kind)]


def edited(kind: str, name: str, **spec: Any) -> list[Any]:
    """The lab with other fields in the spec of one object."""
    items = deepcopy(list(LAB_FABRIC))
    for item in items:
        if (item["kind"], item["metadata"]["name"]) == (kind, name):
            item["spec"] |= spec
    return items


def clean(netbox: NetBox, fabric: Fabric, items: list[Any]) -> dict[str, int]:
    """Sync `items`, which NetBox must take whole; what was updated. A second sync has nothing to do."""
    done = synced(netbox, fabric, *items)
    assert (done.refused, done.stopped, done.left) == ([], None, 0)
    again = synced(netbox, fabric, *items)
    assert (again.written, again.refused) == (0, [])
    return dict(done.updated)


def test_netbox_takes_all_tenants_and_their_changes_and_then_has_nothing_to_do(netbox_server: ServedNetBox) -> None:
    served = bootstrapped(netbox_server)
    with NetBox(served.url, served.token_v2, Deadline.after(300)) as netbox:
        lab = with_fabric(netbox, "tenants")
        clean(netbox, lab, list(LAB_FABRIC))
        (port,) = netbox.read("dcim/interfaces", {"cf_fabric_key": "tenants/Connection/default/b#lag:leaf-01"})
        assert (port["mode"]["value"], port["untagged_vlan"]["vid"]) == ("tagged", 1001)
        assert [vlan["vid"] for vlan in port["tagged_vlans"]] == [1002]
        (vrf,) = netbox.read("ipam/vrfs", {"cf_fabric_key": "tenants/VPC/default/vpc-1"})
        assert [entry["name"] for entry in vrf["custom_fields"]["fabric_peerings"]] == ["vpc-1--vpc-2", "vpc-1--ext-1"]

        detached = [item for item in LAB_FABRIC if item["metadata"]["name"] not in ("b-1", "b-2", "h-1")]
        assert clean(netbox, lab, detached) == {"interface": 1}
        assert clean(netbox, lab, edited("VLANNamespace", "default", ranges=[{"from": 1000, "to": 3000}])) == {
            "vlan_group": 1,
            "interface": 1,
        }
        assert clean(netbox, lab, list(LAB_FABRIC)) == {"vlan_group": 1}
        renamed = clean(netbox, lab, json.loads(json.dumps(LAB_FABRIC).replace("vpc-1", "vpc-9")))
        assert renamed["l2vpn_termination"] == 2, "a VLAN ends one L2VPN, whoever the subnet belongs to"
        clean(netbox, lab, list(LAB_FABRIC))
        numbers = {"vpcVNIs": {"vpc-1": 900}, "vpcSubnetVNIs": {"vpc-1": {"subnet-1": 901}}}
        assert clean(netbox, lab, edited("Catalog", "vpcs", **numbers))["l2vpn"] == 2

        every = with_fabric(netbox, "every")
        clean(netbox, every, items_of(spine_leaf(size="everything", managed_fields=False)))


@pytest.fixture(scope="module")
def netbox(netbox_server: ServedNetBox) -> Any:
    served = bootstrapped(netbox_server)
    with NetBox(served.url, served.token_v2, Deadline.after(300)) as door:
        yield door


def vrf(netbox: NetBox, name: str) -> int:
    return int(netbox.create("ipam/vrfs", [{"name": name, "enforce_unique": True}])[0]["id"])


def refused(netbox: NetBox, path: str, row: Row) -> str:
    with pytest.raises(NetBoxError) as refusal:
        netbox.create(path, [row])
    return " ".join(refusal.value.rows.values())


def test_netbox_refuses_a_prefix_of_length_0(netbox: NetBox) -> None:
    assert "/0" in refused(netbox, "ipam/prefixes", {"prefix": "0.0.0.0/0", "vrf": vrf(netbox, "default-route")})


def test_netbox_takes_a_range_to_the_broadcast_address_and_none_that_overlaps_it(netbox: NetBox) -> None:
    place = {"vrf": vrf(netbox, "ranges")}
    netbox.create("ipam/ip-ranges", [{"start_address": "10.0.1.2/24", "end_address": "10.0.1.255/24", **place}])
    other = {"start_address": "10.0.1.255/24", "end_address": "10.0.1.255/24", **place}
    assert "overlap" in refused(netbox, "ipam/ip-ranges", other)


def test_netbox_takes_an_anycast_address_as_often_as_one_likes_and_any_other_once_whatever_its_length(
    netbox: NetBox,
) -> None:
    place = {"vrf": vrf(netbox, "addresses")}
    gateway = {"address": "10.0.1.1/24", "role": "anycast", **place}
    netbox.create("ipam/ip-addresses", [gateway])
    netbox.create("ipam/ip-addresses", [gateway])
    assert "Duplicate" in refused(netbox, "ipam/ip-addresses", {"address": "10.0.1.1/32", **place})
    for address in ("10.0.2.0/31", "10.0.2.1/31", "10.0.3.0/32", "10.0.1.255/24"):
        netbox.create("ipam/ip-addresses", [{"address": address, **place}])


def test_netbox_takes_vlans_without_a_group_twice_and_none_outside_the_ranges_of_one(netbox: NetBox) -> None:
    kind = netbox.create("virtualization/cluster-types", [{"name": "Probe", "slug": "probe"}])[0]
    cluster = netbox.create("virtualization/clusters", [{"name": "probe", "type": kind["id"]}])[0]
    scope = {"scope_type": "virtualization.cluster", "scope_id": cluster["id"]}
    spans = {"vid_ranges": [[10, 20], [30, 30]]}
    (group,) = netbox.create("ipam/vlan-groups", [{"name": "probe", "slug": "probe", **scope, **spans}])
    assert group["vid_ranges"] == [[10, 20], [30, 30]]
    assert "ranges" in refused(netbox, "ipam/vlans", {"group": group["id"], "vid": 25, "name": "a"})
    netbox.create("ipam/vlans", [{"vid": 25, "name": "a"}])
    netbox.create("ipam/vlans", [{"vid": 25, "name": "a"}])


def test_netbox_takes_l2_vpns_without_a_number_and_with_the_number_of_another(netbox: NetBox) -> None:
    rows = [
        {"name": f"probe-{at}", "slug": f"probe-{at}", "type": "vxlan-evpn", "identifier": number}
        for at, number in enumerate((None, None, 7, 7))
    ]
    assert [row["identifier"] for row in netbox.create("vpn/l2vpns", rows)] == [None, None, 7, 7]
