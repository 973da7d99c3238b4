"""The underlay: the VRF that keeps a fabric's own addresses apart from another's, and the pools they come from."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from functions.records import Record, Ref, Value
from functions.translate.networks import Network, address_at, network_at, written
from functions.translate.scene import Scene
from functions.translate.spec import Thing, things

POOL, LINK = Ref("role", "fabric-underlay"), Ref("role", "fabric-p2p")
_ROLES = {POOL: "Fabric underlay", LINK: "Fabric point-to-point link"}

MANAGEMENT_SUBNET = "management"
"""The DHCPSubnet that is no VPC's: it serves the switches' management ports."""

FABRICATOR_POOLS = (
    (("control", "managementSubnet"), "management", "Management"),
    (("fabric", "protocolSubnet"), "protocol", "Protocol loopbacks"),
    (("fabric", "vtepSubnet"), "vtep", "VTEPs"),
    (("fabric", "fabricSubnet"), "fabric", "Fabric links"),
    (("fabric", "mclagSessionSubnet"), "mclag-session", "MCLAG sessions"),
    (("fabric", "vpcWorkaroundSubnet"), "vpc-workaround", "VPC loopback workaround"),
)
"""The pools that the installer's configuration names: the field below `spec.config`, the identity, the description."""


def translate(scene: Scene) -> Iterator[Record]:
    """The VRF, the networks of the links, and those pools that the fabric names: no default is made up."""
    if not scene.built:
        return
    fabric = scene.fabric.name
    yield Record(
        "vrf",
        scene.addresses.vrf.key,
        {
            "name": f"{fabric}:underlay",
            "enforce_unique": True,
            "description": f"Underlay of the fabric {fabric}: management, loopbacks, VTEPs and links",
        },
    )
    known = scene.snapshot.known
    taken: set[Network] = set()
    # Each source only when the ones before it are known: it must not name a network that they do.
    if known("Switch", "Gateway", "SwitchProfile", "Connection"):
        yield from _links(scene, taken)
        if known("DHCPSubnet"):
            yield from _management(scene, taken)
            if known("Fabricator"):
                yield from _installed(scene, taken)


def _prefix(scene: Scene, key: str, network: Network, role: Ref, status: str, text: str, source: Thing) -> Record:
    fields: dict[str, Value] = {
        "prefix": str(network),
        "vrf": scene.addresses.vrf,
        "status": status,
        "role": role,
        "scope": Ref("site", scene.fabric.site),
        "description": text,
    }
    return Record("prefix", key, fields, {"fabric_source": source.origin})


def _role(role: Ref) -> Record:
    return Record(role.model, role.key, {"name": _ROLES[role], "slug": role.key})


def _links(scene: Scene, taken: set[Network]) -> Iterator[Record]:
    for place in scene.addresses.places:
        network = ip_network((place.address, place.length), strict=False)
        if not place.link or place.length == place.address.max_prefixlen or network in taken:
            continue
        taken.add(network)
        yield _role(LINK)
        key = f"{place.source.key(scene.fabric.name)}#net:{network}"
        yield _prefix(scene, key, network, LINK, "active", "", place.source)


def _management(scene: Scene, taken: set[Network]) -> Iterator[Record]:
    """The network of the management ports, and the part of it that is given out while switches are installed."""
    for thing in things(scene.snapshot, "DHCPSubnet", scene.notes):
        network = network_at(thing.spec, "cidrBlock") if thing.name == MANAGEMENT_SUBNET else None
        if network is None:
            continue
        yield _role(POOL)
        if network not in taken:
            taken.add(network)
            key = f"{thing.key(scene.fabric.name)}#pool"
            yield _prefix(scene, key, network, POOL, "container", "Management", thing)
        yield from _range(scene, thing, network)


def _range(scene: Scene, thing: Thing, network: Network) -> Iterator[Record]:
    start, end = address_at(thing.spec, "startIP"), address_at(thing.spec, "endIP")
    if start is None or end is None:
        return
    if start[0] not in network or end[0] not in network or int(start[0]) > int(end[0]):
        thing.spec.malformed(("startIP",), f"to endIP is no part of {network}")
        return
    fields: dict[str, Value] = {
        "start_address": written(start[0], network.prefixlen),
        "end_address": written(end[0], network.prefixlen),
        "vrf": scene.addresses.vrf,
        "status": "active",
        "role": POOL,
        "description": "DHCP of the management network",
    }
    key = f"{thing.key(scene.fabric.name)}#range"
    yield Record("ip_range", key, fields, {"fabric_source": thing.origin})


def _installed(scene: Scene, taken: set[Network]) -> Iterator[Record]:
    for thing in things(scene.snapshot, "Fabricator", scene.notes):
        for path, part, text in FABRICATOR_POOLS:
            network = network_at(thing.spec, "config", *path)
            if network is None or network in taken:
                continue
            taken.add(network)
            yield _role(POOL)
            key = f"{thing.key(scene.fabric.name)}#pool:{part}"
            yield _prefix(scene, key, network, POOL, "container", text, thing)
