"""All that the families of translation look at: the snapshot, and what was worked out from it once for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.fabric import Fabric
from functions.snapshot import Snapshot
from functions.translate.addressing import Addressing, addressing
from functions.translate.inventory import GATEWAY_KIND, SWITCH, Inventory, inventory
from functions.translate.issues import Notes
from functions.translate.spec import things
from functions.translate.tenants import Tenants, tenants
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
    tenants: Tenants
    addresses: Addressing

    @property
    def built(self) -> bool:
        """Whether there is a switch or a gateway: only then there is an underlay, and a fabric to tell of."""
        return any(device.thing.kind in (SWITCH, GATEWAY_KIND) for device in self.inventory.devices)


def scene(snapshot: Snapshot, fabric: Fabric) -> Scene:
    """Work out devices, wiring and tenants of `snapshot`."""
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
    vpcs = tenants(snapshot, fabric, notes)
    places = addressing(snapshot, fabric, devices, wires, notes)
    return Scene(snapshot, fabric, notes, devices, wires, uses, groups, vpcs, places)
