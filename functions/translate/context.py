"""The fabric itself: a config context that every device of it is given, with what the installer knows of the whole."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Json, Record
from functions.translate.devices import fabric_tag
from functions.translate.names import clean
from functions.translate.scene import Scene
from functions.translate.spec import Spec, things

_NUMBER_MAX = 4_294_967_295

SUBNETS = (
    ("management", ("control", "managementSubnet")),
    ("controlVIP", ("control", "controlVIP")),
    ("protocol", ("fabric", "protocolSubnet")),
    ("vtep", ("fabric", "vtepSubnet")),
    ("fabric", ("fabric", "fabricSubnet")),
    ("mclagSession", ("fabric", "mclagSessionSubnet")),
    ("vpcWorkaround", ("fabric", "vpcWorkaroundSubnet")),
)
ASNS = (
    ("spine", ("fabric", "spineASN")),
    ("leafStart", ("fabric", "leafASNStart")),
    ("leafEnd", ("fabric", "leafASNEnd")),
    ("gateway", ("gateway", "asn")),
)
"""What the context says of the fabric, and the field below `spec.config` of the Fabricator that holds it."""


def translate(scene: Scene) -> Iterator[Record]:
    """The context, for devices with the fabric's tag; none while the installer's configuration is unread."""
    if not scene.built or not scene.snapshot.known("Fabricator"):
        return
    fabric = scene.fabric.name
    told: dict[str, Json] = {"fabric": fabric}
    for thing in things(scene.snapshot, "Fabricator", scene.notes)[:1]:
        told |= _installed(thing.spec.child("config"), thing.status)
    tag = fabric_tag(fabric)
    yield tag
    yield Record(
        "config_context",
        f"fabric-{fabric}",
        {"name": f"fabric-{fabric}", "data": {"hedgehog": told}, "description": f"The Hedgehog fabric {fabric}"},
        tags=frozenset({tag.key}),
    )


def _installed(config: Spec, status: Spec) -> dict[str, Json]:
    values: dict[str, Json] = {
        "mode": config.text("fabric", "mode"),
        "release": status.text("versions", "fabricator", "controller"),
        "subnets": _told({name: config.text(*path) for name, path in SUBNETS}),
        "asns": _told({name: config.number(*path, high=_NUMBER_MAX) for name, path in ASNS}),
        "managementDHCP": _told(
            {"start": config.text("fabric", "managementDHCPStart"), "end": config.text("fabric", "managementDHCPEnd")}
        ),
        "baseVPCCommunity": config.text("fabric", "baseVPCCommunity"),
        "gatewayCommunities": _told(
            {
                clean(name): config.text("gateway", "communities", name)
                for name in config.names("gateway", "communities")
            }
        ),
    }
    return _told(values)


def _told(values: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value}
