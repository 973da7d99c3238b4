"""All that the families of translation look at: the snapshot, and what was worked out from it once for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.fabric import Fabric
from functions.snapshot import Snapshot
from functions.translate.inventory import Inventory, inventory
from functions.translate.issues import Notes
from functions.translate.spec import things
from functions.translate.wiring import Use, Wiring, wiring


@dataclass(frozen=True, slots=True)
class Scene:
    """One fabric as the families see it; `uses` are the uses of ports by device key, sorted by port.

    `groups` are the names of the switch and gateway groups by kind; a kind that is unread is not in it.
    """

    snapshot: Snapshot
    fabric: Fabric
    notes: Notes
    inventory: Inventory
    wiring: Wiring
    uses: Mapping[str, list[Use]]
    groups: Mapping[str, frozenset[str]]


def scene(snapshot: Snapshot, fabric: Fabric) -> Scene:
    """Work out devices and wiring of `snapshot`."""
    notes = Notes()
    devices = inventory(snapshot, fabric, notes)
    wires = wiring(snapshot, fabric, devices, notes)
    uses: dict[str, list[Use]] = {}
    for (device, _), use in sorted(wires.uses.items(), key=lambda item: item[0]):
        uses.setdefault(device, []).append(use)
    groups = {
        kind: frozenset(thing.name for thing in things(snapshot, kind, notes))
        for kind in ("SwitchGroup", "GatewayGroup")
        if snapshot.known(kind)
    }
    return Scene(snapshot, fabric, notes, devices, wires, uses, groups)
