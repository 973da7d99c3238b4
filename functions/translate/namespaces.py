"""Namespaces: the VLANs of a VLANNamespace as a VLAN group, the prefixes of an IPv4Namespace as containers."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Record, Ref
from functions.translate.names import LABEL_LIMIT, shorten, slug
from functions.translate.networks import Network, as_network
from functions.translate.scene import Scene
from functions.translate.spec import Thing, things

ROLE = "fabric-ipns"


def translate(scene: Scene) -> Iterator[Record]:
    """A VLAN group per VLANNamespace with usable ranges; a VRF with its containers per IPv4Namespace."""
    fabric = scene.fabric.name
    for thing, ranges in scene.tenants.ranges.values():
        if ranges:
            yield Record(
                "vlan_group",
                thing.key(fabric),
                {
                    "name": shorten(f"{fabric}:{thing.name}", LABEL_LIMIT),
                    "slug": slug(f"fabric-{fabric}-{thing.name}"),
                    "scope": Ref("cluster", fabric),
                    "vid_ranges": [[first, last] for first, last in ranges],
                },
                {"fabric_source": thing.origin},
            )
    for thing in things(scene.snapshot, "IPv4Namespace", scene.notes):
        yield from _ipv4(scene, thing)


def _ipv4(scene: Scene, thing: Thing) -> Iterator[Record]:
    key = thing.key(scene.fabric.name)
    source = {"fabric_source": thing.origin}
    name = shorten(f"{scene.fabric.name}:ipns:{thing.name}", LABEL_LIMIT)
    yield Record("vrf", key, {"name": name, "enforce_unique": True}, source)
    yield Record("role", ROLE, {"name": "Fabric IPv4 namespace", "slug": ROLE})
    for network in sorted(set(_networks(thing)), key=lambda network: (network.version, network)):
        if network.prefixlen == 0:
            continue  # NetBox refuses a prefix of length 0
        yield Record(
            "prefix",
            f"{key}#{network}",
            {
                "prefix": str(network),
                "vrf": Ref("vrf", key),
                "status": "container",
                "role": Ref("role", ROLE),
                "scope": Ref("site", scene.fabric.site),
            },
            source,
        )


def _networks(thing: Thing) -> Iterator[Network]:
    for text in thing.spec.texts("subnets"):
        network = as_network(text)
        if network is None:
            thing.spec.malformed(("subnets",), f"holds {text}, which is no prefix")
        else:
            yield network
