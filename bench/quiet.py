"""What a run costs after the first: where nothing changed, and where one VPC did; beside its requests alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import requests

from bench.aside import aside
from bench.measure import Measure
from bench.stage import FABRIC, Stage, staged, sync_once
from functions.outcome import Outcome, Result, Verified
from infra.kubernetes import KubernetesClient
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import ServedFabric
from infra.transport import BoundedSession

ROUNDS = 5


def quiet_runs(cluster: Cluster, size: str, state: Path) -> Iterator[Measure]:
    """Requests and seconds of a run of an unchanged fabric, and of one in which one VPC changed, from the start."""
    with staged(cluster, state) as stage:
        stage.empty()
        first = _synced(stage, 3600)[0]
        objects = sum(counts.get("created", 0) for counts in first.objects.values())
        yield from after_the_first(stage, cluster, f"{objects} objects ({size})")


def after_the_first(stage: Stage, cluster: Cluster, size: str) -> Iterator[Measure]:
    """The same, in a NetBox that holds the fabric; and what memory a whole comparison takes."""
    (requests_, seconds), peak = aside(compared, stage.url, stage.token, stage.secrets)
    yield Measure("whole comparison, peak memory of its process", size, round(peak), "MiB", "≤ 200")
    yield Measure("whole comparison, NetBox requests", size, requests_, "")
    yield Measure("whole comparison, wall time", size, round(seconds, 2), "s")
    _synced(stage, 3600)
    with stage.netbox(60) as netbox:
        before = netbox.count("core/object-changes")
    runs = [_synced(stage, 300) for _ in range(ROUNDS)]
    with stage.netbox(60) as netbox:
        after = netbox.count("core/object-changes")
    yield Measure("nothing changed, rows in NetBox's log", size, after - before, "", "0")
    yield from _cost("nothing changed", size, runs, 6)
    with _watched() as (asked, listed):
        _synced(stage, 300)
    floor = median(_again(asked) + _listing(stage.fabric, listed) for _ in range(ROUNDS))
    wall = median(seconds for _, seconds in runs)
    told = "the same requests to NetBox and the fabric alone, one after the other"
    yield Measure("nothing changed, wall time ÷ its requests", size, round(wall / floor, 2), "x", "≤ 1.5", told)
    changed = []
    for number in range(ROUNDS):
        _change(cluster, number)
        changed.append(_synced(stage, 300))
        if not changed[-1][0].written:
            raise RuntimeError("the changed VPC was not seen")
    yield from _cost("one VPC changed", size, changed, 20)


def compared(url: str, token: str, secrets: Path) -> tuple[int, float]:
    """A run that reads everything, as one with no memory of the fabric does: its requests to NetBox, and seconds."""
    with patch("functions.run.recollect", lambda *_: None):
        outcome, seconds = sync_once(url, token, secrets, 3600)
    if outcome.result is not Result.SUCCEEDED or outcome.verified is not Verified.FULL:
        raise RuntimeError(f"a whole comparison ended {outcome.result}, verified {outcome.verified}")
    return outcome.netbox_requests, seconds


@contextmanager
def _watched() -> Iterator[tuple[list[Any], list[tuple[Any, ...]]]]:
    """The requests to NetBox meanwhile, and what was asked of the fabric (path, query, accepted types)."""
    asked: list[Any] = []
    listed: list[tuple[Any, ...]] = []
    send, read = BoundedSession.send, KubernetesClient._read

    def noted(self: BoundedSession, request: Any, **options: Any) -> Any:
        asked.append(request)
        return send(self, request, **options)

    def heard(self: KubernetesClient, path: str, query: Any = None, accept: str = "application/json") -> Any:
        listed.append((path, dict(query or {}), accept))
        return read(self, path, query, accept=accept)

    with patch.object(BoundedSession, "send", noted), patch.object(KubernetesClient, "_read", heard):
        yield asked, listed


def _again(asked: list[Any]) -> float:
    """Seconds for the reading requests to NetBox, in a plain session."""
    with requests.Session() as session:
        began = time.monotonic()
        for request in asked:
            if request.method == "GET":
                session.send(request, timeout=60).json()
        return time.monotonic() - began


def _listing(fabric: ServedFabric, listed: list[tuple[Any, ...]]) -> float:
    """Seconds for the lists of the fabric, in a plain session."""
    with requests.Session() as session, tempfile.NamedTemporaryFile() as authority:
        authority.write(fabric.ca_pem)
        authority.flush()
        session.verify, session.trust_env = authority.name, False
        began = time.monotonic()
        for path, query, accept in listed:
            headers = {"Authorization": f"Bearer {fabric.token}", "Accept": accept}
            session.get(fabric.url + path, params=query, headers=headers, timeout=60).json()
        return time.monotonic() - began


def _synced(stage: Stage, seconds: float) -> tuple[Outcome, float]:
    started = time.monotonic()
    outcome, _ = stage.sync(seconds)
    if outcome.result is not Result.SUCCEEDED:
        raise RuntimeError(f"a run ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
    return outcome, time.monotonic() - started


def _cost(what: str, size: str, runs: list[tuple[Outcome, float]], goal: int) -> Iterator[Measure]:
    most = max(outcome.netbox_requests for outcome, _ in runs)
    yield Measure(f"{what}, NetBox requests", size, most, "", f"≤ {goal}")
    yield Measure(f"{what}, wall time", size, round(median(seconds for _, seconds in runs), 2), "s")


def _change(cluster: Cluster, number: int) -> None:
    """Move the start of the DHCP range of the first VPC's first subnet."""
    vpc = cluster.get("VPC", cluster.names("VPC")[0])
    if vpc is None:
        raise RuntimeError(f"{FABRIC} has no VPC")
    subnet = next(iter(vpc["spec"]["subnets"].values()))
    start = f"{subnet['gateway'].rpartition('.')[0]}.{20 + number}"
    subnet["dhcp"] = {"enable": True, "range": {"start": start}}
    cluster.load([vpc])
