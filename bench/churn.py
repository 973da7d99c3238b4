"""`python -m bench.churn`: many random changes to a fabric, synced step by step into a real NetBox. After each step the
content of NetBox is held against what the fabric says now, and every few steps against a fresh sync into an empty one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.stage import FABRIC, Stage, staged
from functions import registry
from functions.fields import APPLIED, KEY, MEMORY, NAME
from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.outcome import Result
from functions.records import MODELS, Shape
from functions.rows import NOTHING, comparable, found_by_key
from functions.snapshot import Listing, Reading, Snapshot
from functions.survey import survey
from functions.translate import translate
from infra.netbox import NetBox
from infra.sandbox.fabric.churn import steps
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.topology import spine_leaf
from infra.sandbox.netbox import NetBoxSandbox

OWNED = tuple(name for name, model in MODELS.items() if not (model.shared or model.named))

AT_ONCE: Mapping[str, Any] = {"fabric_delete_policy": "delete", "fabric_grace_runs": 0, "fabric_grace_hours": 0}
"""The settings of a fabric whose gone objects go in the run after the one that marks them."""

_ELSEWHERE = frozenset({"id", "url", "display_url", "object_id", "created", "last_updated", APPLIED, MEMORY})
"""What is another in every database: numbers, pages, times, and the notes that are made of numbers."""


_NOT_A_NAME = frozenset({"description", "cable", "_occupied"})
"""What NetBox tells of an object beside another that refers to it, and that is no name of it."""


def content(netbox: NetBox, fabric: str) -> dict[str, str]:
    """All that NetBox holds of a fabric, by model and key, as JSON without what only this database knows.

    Fields that are set once are left out: of an object that was there before, people may have refined them.
    """
    found = {}
    for name in OWNED:
        model = MODELS[name]
        fields = ["custom_fields", "tags"]
        for field, spec in model.fields.items():
            if spec.once:
                continue
            fields += [f"{field}_type", field] if spec.shape is Shape.GENERIC else [field]
        for row in netbox.read(model.path, {f"cf_{NAME}": fabric}, fields):
            key = row["custom_fields"][KEY]
            found[f"{name} {key}"] = json.dumps(_plain(row), sort_keys=True)
    return found


def _plain(value: Any, top: bool = True) -> Any:
    """A row without what is another elsewhere, and other objects by their names alone."""
    if isinstance(value, dict):
        hidden = _ELSEWHERE if top else _ELSEWHERE | _NOT_A_NAME
        return {
            name: _plain(inner, top=name == "custom_fields")
            for name, inner in value.items()
            if name not in hidden and not name.endswith("_count")
        }
    if isinstance(value, list):
        return sorted(
            (_plain(inner, top=False) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True)
        )
    return value


def differences(netbox: NetBox, cluster: Cluster, fabric: str) -> Iterator[str]:
    """Where NetBox is not what the fabric says: objects too many or too few, and fields of ours that differ."""
    config = registry.fabric_of(registry.find(netbox, fabric))
    kinds = {kind: tuple(trimmed(item, BY_NAME[kind]) for item in cluster.objects(kind)) for kind in BY_NAME}
    listings = {kind: Listing(kind, Reading.COMPLETE, items) for kind, items in kinds.items()}
    records = translate(Snapshot(fabric, listings), config).records
    actual = survey(netbox, config, found_by_key(records))
    wanted = {(record.model, record.key): record for record in records if record.model in OWNED}
    there = {(model, key) for model in OWNED for key in actual.owned[model]}
    yield from (f"{model} {key} is missing" for model, key in sorted(wanted.keys() - there))
    yield from (f"{model} {key} is too many" for model, key in sorted(there - wanted.keys()))
    for (model, key), record in wanted.items():
        held = actual.owned[model].get(key)
        for name, value in record.fields.items() if held else ():
            spec = MODELS[model].fields[name]
            says, holds = comparable(value, spec.shape, actual.ids), held.values[name] if held else None
            same = says == holds or (says in NOTHING and holds in NOTHING)
            if not (same or spec.once or spec.shape in (Shape.OWN_KEYS, Shape.ENDS)):
                yield f"{model} {key}: {name} is {holds!r}, not {says!r}"
        if held and not record.tags <= held.tags:
            yield f"{model} {key} lacks {sorted(record.tags - held.tags)}"


def different(stepped: Mapping[str, str], fresh: Mapping[str, str]) -> list[str]:
    """What differs between two contents, told in full."""
    return [
        f"{key}\n    stepped {stepped.get(key)}\n    fresh   {fresh.get(key)}"
        for key in sorted(stepped.keys() | fresh.keys())
        if stepped.get(key) != fresh.get(key)
    ]


def run(stage: Stage, fresh: Stage, cluster: Cluster, seed: int, count: int, every: int) -> int:
    """Walk the script; how many steps left NetBox other than the fabric."""
    bad, actions = 0, Counter[str]()
    stage.empty()
    _configure(stage)
    _settle(stage)
    for number, change in enumerate(steps(cluster, seed, count), 1):
        actions[change.action] += 1
        runs = _settle(stage)
        with stage.netbox(120) as netbox:
            wrong = list(differences(netbox, cluster, FABRIC))
            stepped = content(netbox, FABRIC) if number % every == 0 or number == count else None
        if stepped is not None:
            fresh.empty()
            _settle(fresh)
            with fresh.netbox(120) as netbox:
                wrong += different(stepped, content(netbox, FABRIC))
        bad += bool(wrong or runs > ENOUGH)
        held = f", as a fresh sync ({len(stepped)} objects)" if stepped and not wrong else ""
        print(f"{number:4} {change.text}: {runs} runs{held}", *wrong[:10], sep="\n     ", flush=True)
    print(", ".join(f"{action} {times}" for action, times in sorted(actions.items())))
    return bad


ENOUGH = 3
"""Runs after a change: one that writes and marks, one that deletes, one that has nothing to do."""


def _settle(stage: Stage) -> int:
    """Sync until there is nothing to write; how many runs that took."""
    for number in range(1, ENOUGH + 3):
        outcome, _ = stage.sync(600)
        if outcome.result is not Result.SUCCEEDED:
            print(f"     run {number} {outcome.result}: {outcome.problem} {outcome.reasons[:3]}", flush=True)
        if outcome.result is Result.SUCCEEDED and not outcome.written:
            return number
    return ENOUGH + 3


def _configure(stage: Stage) -> None:
    with stage.netbox(60) as netbox:
        row = registry.find(netbox, FABRIC)
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": dict(AT_ONCE)}])


def main() -> int:
    """Run the script; 0 when every step left NetBox as the fabric says."""
    parser = argparse.ArgumentParser(prog="bench.churn", description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=10, help="hold every so many steps against a fresh sync")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path(".sandbox/bench"))
    options = parser.parse_args()
    cluster = spine_leaf(FABRIC, leaves=3, servers=4, vpcs=3, externals=1, gateways=1, hardware=True, agents=True)
    started = time.monotonic()
    try:
        with staged(cluster, options.state) as stage, staged(cluster, options.state / "fresh") as fresh:
            bad = run(stage, fresh, cluster, options.seed, options.steps, options.every)
    finally:
        for place in (options.state, options.state / "fresh"):
            NetBoxSandbox(place / "netbox").down()
    print(f"{options.steps} steps in {time.monotonic() - started:.0f} s, {bad} of them wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
