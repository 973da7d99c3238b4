"""Generated fabrics: spine-leaf and mesh, of any size, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from infra.sandbox.fabric import tenants, wiring
from infra.sandbox.fabric.controllers import reconcile
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import Release
from infra.sandbox.fabric.plan import EVERYTHING, LAB, Draft, Size, TopologyError

MESH_LEAVES = 3
PRESETS: Mapping[str, Size] = {"lab": LAB, "everything": EVERYTHING}


def spine_leaf(
    name: str = "fabric",
    *,
    size: Size | str = LAB,
    seed: int = 1,
    release: Release = Release.V0_126,
    managed_fields: bool = True,
    **changes: Any,
) -> Cluster:
    """A spine-leaf fabric.

    Args:
        name: names the store; uids follow from it.
        size: a `Size`, or the name of a preset (`lab`, `everything`).
        seed: decides what is left to chance (the spelling of ports).
        changes: single fields of `Size` (`leaves=8, servers=100, vpcs=20, gateways=2, hardware=True`).

    Raises:
        TopologyError: a limit of the plan or of the hardware is hit, or there is no such field or preset.
    """
    draft = _draft(size, changes, seed, release)
    wiring.add_namespaces(draft)
    spines = wiring.add_spines(draft)
    leaves = wiring.add_leaves(draft, uplinks=len(spines) * draft.size.links)
    wiring.wire_fabric(draft, spines, leaves)
    return _finish(draft, name, leaves, spines, managed_fields)


def mesh(
    name: str = "fabric",
    *,
    size: Size | str = LAB,
    seed: int = 1,
    release: Release = Release.V0_126,
    managed_fields: bool = True,
    **changes: Any,
) -> Cluster:
    """A mesh of leaves without spines (three at most, as Hedgehog has it); arguments as for `spine_leaf`."""
    draft = _draft(size, {"leaves": 3, **changes, "spines": 0}, seed, release)
    if draft.size.leaves > MESH_LEAVES:
        raise TopologyError(f"a mesh has at most {MESH_LEAVES} leaves")
    wiring.add_namespaces(draft)
    uplinks = (draft.size.leaves - 1) * draft.size.links + draft.size.gateways
    leaves = wiring.add_leaves(draft, uplinks)
    wiring.wire_mesh(draft, leaves)
    return _finish(draft, name, leaves, leaves, managed_fields)


TOPOLOGIES: Mapping[str, Callable[..., Cluster]] = {"spine_leaf": spine_leaf, "mesh": mesh}


def _draft(size: Size | str, changes: Mapping[str, Any], seed: int, release: Release) -> Draft:
    if isinstance(size, str):
        if size not in PRESETS:
            raise TopologyError(f"no size {size!r}; there are {', '.join(PRESETS)}")
        size = PRESETS[size]
    known = {field.name for field in fields(Size)}
    if unknown := sorted(set(changes) - known):
        raise TopologyError(f"no such parameters: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if release is Release.V0_87:
        changes = {**changes, "gateways": 0}
    chosen = replace(size, **changes)
    if chosen.leaves < 1 or (chosen.servers and not chosen.leaves):
        raise TopologyError("a fabric has at least one leaf")
    return Draft(chosen, random.Random(seed), release)


def _finish(draft: Draft, name: str, leaves: list[str], gateways_at: list[str], managed_fields: bool) -> Cluster:
    wiring.wire_legacy(draft, leaves)
    connections = wiring.wire_servers(draft, leaves)
    tenants.add_vpcs(draft)
    tenants.attach(draft, connections)
    tenants.add_externals(draft, leaves)
    tenants.add_static_externals(draft, leaves)
    tenants.add_gateways(draft, gateways_at)
    tenants.peer(draft)
    cluster = Cluster(name, release=draft.release, managed_fields=managed_fields).load(draft.objects.values())
    reconcile(cluster, agents=draft.size.agents)
    return cluster
