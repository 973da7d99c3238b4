"""What a run costs after the first: where nothing changed, and where one VPC did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Measure
from bench.stage import FABRIC, Stage, staged
from functions.outcome import Outcome, Result
from infra.sandbox.fabric.manifests import Cluster

ROUNDS = 3


def quiet_runs(cluster: Cluster, size: str, state: Path) -> Iterator[Measure]:
    """Requests and seconds of a run of an unchanged fabric, and of one in which one VPC changed."""
    with staged(cluster, state) as stage:
        stage.empty()
        first = _synced(stage, 3600)[0]
        objects = sum(counts.get("created", 0) for counts in first.objects.values())
        told = f"{objects} objects ({size})"
        with stage.netbox(60) as netbox:
            before = netbox.count("core/object-changes")
        runs = [_synced(stage, 300) for _ in range(ROUNDS)]
        with stage.netbox(60) as netbox:
            after = netbox.count("core/object-changes")
        yield Measure("nothing changed, rows in NetBox's log", told, after - before, "", "0")
        yield from _cost("nothing changed", told, runs, 6)
        changed = []
        for number in range(ROUNDS):
            _change(cluster, number)
            changed.append(_synced(stage, 300))
            if not changed[-1][0].written:
                raise RuntimeError("the changed VPC was not seen")
        yield from _cost("one VPC changed", told, changed, 20)


def _synced(stage: Stage, seconds: float) -> tuple[Outcome, float]:
    started = time.monotonic()
    outcome, _ = stage.sync(seconds)
    if outcome.result is not Result.SUCCEEDED:
        raise RuntimeError(f"a run ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
    return outcome, time.monotonic() - started


def _cost(what: str, size: str, runs: list[tuple[Outcome, float]], goal: int) -> Iterator[Measure]:
    most = max(outcome.netbox_requests for outcome, _ in runs)
    wall = sorted(seconds for _, seconds in runs)[len(runs) // 2]
    yield Measure(f"{what}, NetBox requests", size, most, "", f"≤ {goal}")
    yield Measure(f"{what}, wall time", size, round(wall, 2), "s")


def _change(cluster: Cluster, number: int) -> None:
    """Move the start of the DHCP range of the first VPC's first subnet."""
    vpc = cluster.get("VPC", cluster.names("VPC")[0])
    if vpc is None:
        raise RuntimeError(f"{FABRIC} has no VPC")
    subnet = next(iter(vpc["spec"]["subnets"].values()))
    start = f"{subnet['gateway'].rpartition('.')[0]}.{20 + number}"
    subnet["dhcp"] = {"enable": True, "range": {"start": start}}
    cluster.load([vpc])
