"""Cables: one for each link of a connection whose two ends are known and used by nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from functions.records import Record
from functions.translate.names import LABEL_LIMIT, shorten
from functions.translate.scene import Scene


def translate(scene: Scene) -> Iterator[Record]:
    """A cable per link: its identity is the connection and the first end in the variant's order (the switch's)."""
    for first, second in scene.wiring.cables:
        thing = first.wire.connection
        yield Record(
            "cable",
            f"{thing.key(scene.fabric.name)}#{first.device.thing.name}/{first.port}",
            {
                "a_terminations": (first.ref,),
                "b_terminations": (second.ref,),
                "status": "connected",
                "label": shorten(thing.name + first.wire.variant.suffix, LABEL_LIMIT),
            },
            {"fabric_source": thing.origin},
        )
