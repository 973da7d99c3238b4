"""IP addresses of the underlay: management, loopbacks, VTEPs, and both ends of every link."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Record
from functions.translate.scene import Scene


def translate(scene: Scene) -> Iterator[Record]:
    """One record per address, on the interface that has it."""
    for place in scene.addresses.places if scene.built else ():
        yield Record(
            "ip_address",
            place.key,
            {
                "address": place.text,
                "vrf": scene.addresses.vrf,
                "status": "active",
                "role": place.role,
                "assigned_object": place.interface,
            },
            {"fabric_source": place.source.origin},
        )
