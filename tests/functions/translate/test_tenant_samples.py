"""Tenants of real and generated fabrics: counts by hand, and what must hold of every attachment, subnet and peering."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest

from functions.kinds import KINDS
from functions.records import Ref
from functions.translate import Translation, translate
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import BY_KIND, Release
from infra.sandbox.fabric.topology import mesh, spine_leaf
from tests.functions.translate.hedgehog import EVERYTHING, LAB, of, snapshot
from tests.functions.translate.test_samples import SAMPLES, objects

__all__ = ["objects"]

COUNTS = {
    # 100 VPCs of 3 subnets of which one has DHCP; 480 links of the underlay; one IPv4 namespace of one prefix.
    # The authors of the sample count 780 prefixes and 102 VRFs: without that namespace, and without the underlay's VRF.
    "medium-64": {
        "vlan_group": 1,
        "vrf": 100 + 2 + 1 + 1,
        "prefix": 480 + 300 + 1,
        "vlan": 300,
        "l2vpn": 300,
        "l2vpn_termination": 300,
        "ip_range": 100,
    },
    # One External with one attachment on VLAN 10, no VPC.
    "mesh-gw": {"vlan_group": 1, "vrf": 1 + 1 + 1, "vlan": 0, "l2vpn": 0, "ip_range": 0},
    "spineleaf-default": {"vlan_group": 1, "vrf": 2, "vlan": 0, "l2vpn": 0, "ip_range": 0},
}


def generated(name: str) -> Cluster:
    everything = {"size": "everything", "agents": False, "managed_fields": False}
    match name:
        case "mesh":
            return mesh(vpcs=6, servers=9, externals=2, static_externals=2, gateways=1, **everything)
        case "hardware":
            return spine_leaf(hardware=True, **everything)
        case "many":
            return spine_leaf(leaves=6, servers=30, vpcs=12, subnets=3, attachments=90, externals=5, **everything)
        case _:
            return spine_leaf(release=Release(name), **everything)


GENERATED = ("mesh", "hardware", "many", *(str(release.value) for release in Release))


@pytest.fixture(scope="session")
def fabrics(request: pytest.FixtureRequest) -> Any:
    """The objects of a sample or of a generated fabric and their translation, each made once."""
    made: dict[str, tuple[list[Any], Translation]] = {}

    def load(name: str) -> tuple[list[Any], Translation]:
        if name not in made:
            if name in SAMPLES:
                items = request.getfixturevalue("objects")(name)
            else:
                cluster, known = generated(name), {kind.name for kind in KINDS}
                items = [item for kind in BY_KIND if kind in known for item in cluster.objects(kind)]
            made[name] = (items, translate(snapshot(*items), LAB))
        return made[name]

    return load


def specs(items: list[Any], kind: str) -> dict[str, Any]:
    return {item["metadata"]["name"]: item["spec"] for item in items if item["kind"] == kind}


def ports(spec: dict[str, Any]) -> set[tuple[str, str]]:
    """The (switch, port) ends of a connection to a server."""
    (body,) = spec.values()
    links = body.get("links") or [body["link"]]
    return {tuple(link["switch"]["port"].split("/", 1)) for link in links}


EVERY = [*SAMPLES, *GENERATED]


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_amiss_in_a_fabric_that_its_webhooks_let_through(name: str, fabrics: Any) -> None:
    _, found = fabrics(name)
    assert found.issues == ()
    assert found.complete == EVERYTHING


@pytest.mark.parametrize("name", COUNTS)
def test_the_numbers_are_those_counted_by_hand(name: str, fabrics: Any) -> None:
    counted = Counter(record.model for record in fabrics(name)[1].records)
    assert {model: counted[model] for model in COUNTS[name]} == COUNTS[name]


@pytest.mark.parametrize("name", EVERY)
def test_every_attachments_vlan_is_on_the_lag_of_every_switch_and_nothing_else_is(name: str, fabrics: Any) -> None:
    items, found = fabrics(name)
    interfaces, vpcs, connections = of(found, "interface"), specs(items, "VPC"), specs(items, "Connection")
    wanted: dict[str, set[int]] = {}
    native: dict[str, int] = {}
    for spec in specs(items, "VPCAttachment").values():
        vpc, _, subnet = spec["subnet"].partition("/")
        vid = vpcs[vpc]["subnets"][subnet]["vlan"]
        conn = spec["connection"]
        (variant,) = connections[conn]
        for switch, port in ports(connections[conn]):
            keys = (
                [f"lab1/Switch/default/{switch}#{port}", f"lab1/Switch/default/{switch}#{port}/1"]
                if variant == "unbundled"
                else [f"lab1/Connection/default/{conn}#lag:{switch}"]
            )
            (key,) = [key for key in keys if key in interfaces]
            if spec.get("nativeVLAN"):
                native[key] = vid
            else:
                wanted.setdefault(key, set()).add(vid)
    vlans = of(found, "vlan")
    for key, record in interfaces.items():
        tagged = {vlans[ref.key].fields["vid"] for ref in record.fields.get("tagged_vlans", ())}
        own = record.fields.get("untagged_vlan")
        assert tagged == wanted.get(key, set()) - {native.get(key)}, key
        assert (vlans[own.key].fields["vid"] if own else None) == native.get(key), key
        if "mode" in record.fields:
            assert bool(record.fields["mode"]) == bool(tagged or own)
    assert set(wanted) | set(native) <= set(interfaces)


@pytest.mark.parametrize("name", EVERY)
def test_every_subnet_has_its_prefix_vlan_gateway_range_and_vni(name: str, fabrics: Any) -> None:
    items, found = fabrics(name)
    catalog = specs(items, "Catalog").get("vpcs", {})
    prefixes, vlans, vpns = of(found, "prefix"), of(found, "vlan"), of(found, "l2vpn")
    ranges, addresses, vrfs = of(found, "ip_range"), of(found, "ip_address"), of(found, "vrf")
    expected = 0
    for vpc, spec in specs(items, "VPC").items():
        key = f"lab1/VPC/default/{vpc}"
        assert vrfs[key].custom["fabric_vni"] == catalog["vpcVNIs"][vpc]
        for subnet, body in spec["subnets"].items():
            part, expected = f"{key}#{subnet}", expected + 1
            network = ip_network(body["subnet"])
            assert prefixes[part].fields["prefix"] == str(network)
            assert prefixes[part].fields["vrf"] == Ref("vrf", key)
            assert prefixes[part].custom["fabric_vni"] == catalog["vpcSubnetVNIs"][vpc][subnet]
            assert (vlans[part].fields["vid"], vlans[part].fields["name"]) == (body["vlan"], f"{vpc}/{subnet}")
            gateway = body.get("gateway", str(network[1]))
            assert addresses[f"{part}/gateway"].fields["address"] == f"{gateway}/{network.prefixlen}"
            assert (part in vpns) == (not spec.get("mode"))
            if part in vpns:
                assert vpns[part].fields["identifier"] == catalog["vpcSubnetVNIs"][vpc][subnet]
            assert (f"{part}/dhcp" in ranges) == bool(body.get("dhcp", {}).get("enable"))
            for mac, entry in body.get("dhcp", {}).get("static", {}).items():
                kept = addresses[f"{part}/static:{mac.lower()}"]
                assert kept.fields["address"] == f"{entry['ip']}/{network.prefixlen}"
                assert kept.custom["fabric_mac"] == mac.upper()
    assert len(vlans) == expected
    assert len(of(found, "l2vpn_termination")) == len(vpns)


@pytest.mark.parametrize("name", EVERY)
def test_every_peering_is_on_the_vrfs_of_both_its_sides(name: str, fabrics: Any) -> None:
    items, found = fabrics(name)
    wanted: Counter[tuple[str, str, str]] = Counter()
    for kind in ("VPCPeering", "ExternalPeering", "GatewayPeering", "Peering"):
        for peering, spec in specs(items, kind).items():
            match kind:
                case "VPCPeering":
                    sides = {f"VPC/default/{vpc}" for row in spec["permit"] for vpc in row}
                case "ExternalPeering":
                    permit = spec["permit"]
                    sides = {f"VPC/default/{permit['vpc']['name']}", f"External/default/{permit['external']['name']}"}
                case _:
                    sides = {f"VPC/default/{vpc}" for vpc in spec["peering"]}
            assert len(sides) == 2
            wanted.update((f"lab1/{side}", kind, peering) for side in sides)
    shown: Counter[tuple[str, str, str]] = Counter()
    for key, record in of(found, "vrf").items():
        for entry in record.custom.get("fabric_peerings") or ():
            shown[key, entry["kind"], entry["name"]] += 1
    assert shown == wanted


@pytest.mark.parametrize("name", EVERY)
def test_every_external_attachment_and_static_connection_is_one_routed_leg_with_an_address(
    name: str, fabrics: Any
) -> None:
    items, found = fabrics(name)
    interfaces, connections = of(found, "interface"), specs(items, "Connection")
    addresses = {
        (record.fields["vrf"], record.fields["address"]): record.fields.get("assigned_object")
        for record in of(found, "ip_address").values()
        if "role" not in record.fields
    }
    legs = [
        (f"lab1/External/default/{spec['external']}", spec["connection"], spec.get("static") or spec["switch"])
        for spec in specs(items, "ExternalAttachment").values()
    ]
    for conn, spec in connections.items():
        if body := spec.get("staticExternal"):
            vpc = body.get("withinVPC")
            legs.append((f"lab1/VPC/default/{vpc}" if vpc else "lab1/Fabric/default/lab1#underlay", conn, body))
    for vrf, conn, body in legs:
        (outer,) = connections[conn].values()
        end = body["link"]["switch"] if "link" in body else body
        switch, port = outer["link"]["switch"]["port"].split("/", 1)
        place = addresses[Ref("vrf", vrf), end["ip"]]
        assert isinstance(place, Ref)
        leg = interfaces[place.key]
        assert leg.fields["vrf"] == Ref("vrf", vrf)
        assert leg.fields["device"] == Ref("device", f"lab1/Switch/default/{switch}")
        vlan = end.get("vlan")
        names = {f"{port}.{vlan}", f"{port}/1.{vlan}"} if vlan else {port, f"{port}/1"}
        assert leg.fields["name"] in names
        if vlan:
            parent = interfaces[leg.fields["parent"].key]  # type: ignore[union-attr]
            assert (parent.fields["vrf"], parent.fields["mark_connected"]) == (None, True)


@pytest.mark.parametrize("name", EVERY)
def test_netbox_is_asked_for_no_range_twice_and_for_no_vlan_out_of_its_group(name: str, fabrics: Any) -> None:
    _, found = fabrics(name)
    groups, taken = of(found, "vlan_group"), Counter[tuple[Any, ...]]()
    for record in of(found, "vlan").values():
        group = record.fields["group"]
        if isinstance(group, Ref):
            taken[group, record.fields["vid"]] += 1
            spans: Any = groups[group.key].fields["vid_ranges"]
            assert any(first <= record.fields["vid"] <= last for first, last in spans)  # type: ignore[operator]
    assert set(taken.values()) <= {1}
    names = Counter((record.fields["group"], record.fields["name"]) for record in of(found, "vlan").values())
    assert set(names.values()) <= {1}
    unshared = Counter(
        (record.fields["vrf"], str(record.fields["address"]).partition("/")[0])
        for record in of(found, "ip_address").values()
        if record.fields.get("role") != "anycast"
    )
    assert set(unshared.values()) <= {1}
