"""The scheduler keeps fabrics true while both sides change, and a program rebuilds their history from events alone."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.churn import differences
from functions import registry
from functions.contract import Result, SyncEnded
from functions.demo.scheduler import scheduler
from functions.history import history
from functions.journal import worth_an_entry
from functions.standing import standing_of
from infra.deadline import Deadline
from infra.sandbox.fabric.churn import churn as changed
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.messaging import DEAD_LETTERS_PULL, OUTCOMES, REQUESTS, take
from infra.sandbox.world import churn
from tests.fabric_content import small_cluster
from tests.proofs.places import Sandbox, sandbox

TICK, INTERVAL = 10, 60
PATIENCE = 300.0
"""Seconds in which the scheduler must have brought a change home: two intervals, a tick and the run are 160."""
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "history.py"
AT_ONCE = {"fabric_delete_policy": "delete", "fabric_grace_runs": 0, "fabric_grace_hours": 0}


@dataclass
class Verdict:
    """What was seen, and all that was not as it should be."""

    fabrics: int
    cycles: int = 0
    changes: int = 0
    edits: int = 0
    runs: int = 0
    wrote: int = 0
    longest_s: float = 0.0
    entries: int = 0
    events: int = 0
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """The figures of the report."""
        return {name: value for name, value in vars(self).items() if name != "wrong"}


def run(state: Path, fabrics: int = 5, cycles: int = 10, seed: int = 2026) -> Verdict:
    """So many cycles: changes on both sides of every fabric, then the scheduler alone until both are alike again."""
    names, verdict, chance = [f"kept-{at}" for at in range(1, fabrics + 1)], Verdict(fabrics), random.Random(seed)
    clusters = {name: small_cluster(name) for name in names}
    settings = {"FABRIC_SYNC_TICK_S": str(TICK)}
    state.mkdir(parents=True, exist_ok=True)
    (state / "history.sqlite").unlink(missing_ok=True)
    past = _example().History(str(state / "history.sqlite"))
    with sandbox(state, names, beside=("tick", "record"), instances=2, settings=settings) as place:
        listening = [place.subscribe(OUTCOMES), place.subscribe(REQUESTS)]
        with place.netbox() as netbox:
            for row in registry.every(netbox):
                custom = {"fabric_interval": INTERVAL, **AT_ONCE}
                netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": custom}])
        with scheduler(place.at, TICK):
            for cycle in range(cycles + 1):
                if cycle:
                    verdict.changes += sum(_change(place, name, clusters[name], seed + cycle) for name in names)
                    verdict.edits += _edit(place, names, chance)
                began = datetime.now(UTC)
                left = _settle(place, names, clusters, listening, past, began)
                verdict.longest_s = max(verdict.longest_s, (datetime.now(UTC) - began).total_seconds())
                verdict.wrong += [f"cycle {cycle}: {text}" for text in left]
                verdict.cycles = cycle
                print(f"cycle {cycle}: {(datetime.now(UTC) - began).total_seconds():.0f} s, {left[:3]}", flush=True)
        _listen(place, listening, past)
        verdict.wrong += _rebuilt(place, names, past, verdict)
        dead = take(place.at.broker, place.at.project, DEAD_LETTERS_PULL)
        verdict.wrong += [f"a dead letter: {attributes}" for _, attributes in dead]
    return verdict


def _change(place: Sandbox, name: str, ours: Cluster, seed: int) -> int:
    """One change in the fabric, and the same in our own copy of it."""
    told = churn(place.at, name, seed, 1)
    if [one.text for one in changed(ours, seed, 1)] != told:
        raise AssertionError(f"{name} and our copy of it went different ways: {told}")
    return len(told)


def _edit(place: Sandbox, names: list[str], chance: random.Random) -> int:
    """One port of each fabric, switched by a person."""
    with place.netbox() as netbox:
        for name in names:
            ports = netbox.read("dcim/interfaces", {"cf_fabric_name": name}, ("enabled",))
            port = chance.choice(ports)
            netbox.update("dcim/interfaces", [{"id": port["id"], "enabled": not port["enabled"]}])
    return len(names)


def _settle(
    place: Sandbox, names: list[str], clusters: dict[str, Cluster], listening: list[str], past: Any, began: datetime
) -> list[str]:
    """Listen until every fabric was synced after `began` and is as NetBox has it; what differs when patience ends."""
    patience, waiting, left = Deadline.after(PATIENCE), set(names), ["nothing was looked at"]
    while waiting and patience.pause(2.0):
        _listen(place, listening, past)
        for name in sorted(waiting):
            ends = (event for event in past.events(name) if isinstance(event, SyncEnded))
            if any(end.result is Result.SUCCEEDED and end.started_at > began for end in ends):
                with place.netbox() as netbox:
                    left = list(differences(netbox, clusters[name], name))
                if not left:
                    waiting.discard(name)
    return [f"{name} is not as its fabric says after {PATIENCE:g} s: {left[:3]}" for name in sorted(waiting)]


def _listen(place: Sandbox, listening: list[str], past: Any) -> None:
    for subscription in listening:
        for data, attributes in take(place.at.broker, place.at.project, subscription, 1000):
            past.keep(attributes, data)


def _rebuilt(place: Sandbox, names: list[str], past: Any, verdict: Verdict) -> Iterator[str]:
    """The history that was rebuilt from events, held against what the clusters and their journals have."""
    for name in names:
        runs = {run.request_id: run for run in past.runs(name)}
        ended = [event for event in past.events(name) if isinstance(event, SyncEnded) and not event.told_again]
        verdict.events += len(past.events(name))
        verdict.runs += len(ended)
        verdict.wrote += sum(event.written for event in ended)
        with place.netbox() as netbox:
            row = registry.find(netbox, name)
            entries = history(netbox, row, 1000)
        verdict.entries += len(entries)
        for end in standing_of(row["custom_fields"]).ends:
            known = runs.get(end.request)
            if known is None or (known.result, known.written) != (end.result.value, end.written):
                yield f"{name}: the cluster has {end}, the events tell {known}"
        before: str | None = None
        worth = set()
        for event in ended:
            if worth_an_entry(event, before):
                worth.add(event.id)
            before = event.result.value
        there = {entry.event for entry in entries if entry.event}
        yield from (f"{name}: the journal lacks {id_}" for id_ in sorted(worth - there))
        yield from (f"{name}: the journal has {id_}, the events do not" for id_ in sorted(there - worth))


def _example() -> ModuleType:
    """The subscriber of the documentation."""
    spec = importlib.util.spec_from_file_location("history_example", EXAMPLE)
    if spec is None or spec.loader is None:
        raise ImportError(f"{EXAMPLE} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
