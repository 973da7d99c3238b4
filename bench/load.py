"""The first load: what `apply` reaches of what the same NetBox takes of the same rows from a bare loop."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import requests

from bench.measure import Measure
from bench.stage import Recorder, Sent, Stage, staged
from functions.outcome import Result
from infra.netbox import Row
from infra.sandbox.fabric.serve import Content

FLOOR_BATCHES = (50, 100)


def first_load(content: Content, size: str, state: Path, rounds: int) -> Iterator[Measure]:
    """Our wall time and objects a second by kind, against a bare loop with the rows that we sent, round by round."""
    ours: dict[str, list[float]] = defaultdict(list)
    bare: dict[str, list[float]] = defaultdict(list)
    ratios: list[float] = []
    with staged(content, state) as stage:
        for _ in range(rounds):
            recorder = Recorder()
            stage.empty()
            outcome, wall = stage.sync(1800, recorder)
            if outcome.result is not Result.SUCCEEDED:
                raise RuntimeError(f"the first load ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
            writes = [sent for sent in recorder.sent if not sent.path.startswith("virtualization/")]
            floors = {batch: _bare(stage, writes, batch) for batch in FLOOR_BATCHES}
            floor = min(sum(seconds.values()) for seconds in floors.values())
            best = min(floors.values(), key=lambda seconds: sum(seconds.values()))
            ratios.append(wall / floor)
            counts = _counts(writes)
            for sent in writes:
                ours[_name(sent)].append(sent.seconds / counts[_name(sent)])
            for path, seconds in best.items():
                bare[path].append(seconds / counts[path])
        for path, count in counts.items():
            if count < 10:
                continue
            mine, theirs = rounds / sum(ours[path]), rounds / sum(bare[path])
            kind = path.split("/")[-1]
            yield Measure(f"write rate, {kind}, bare loop", f"{count} of {size}", round(theirs, 1), "objects/s")
            yield Measure(
                f"write rate, {kind}, apply ÷ bare loop",
                f"{count} of {size}",
                round(mine / theirs, 2),
                "x",
                "≥ 0.9",
                "bare bulk loop, same rows",
            )
        total = sum(counts.values())
        ratio = sorted(ratios)[len(ratios) // 2]
        yield Measure(
            "first load, whole run ÷ bare loop",
            f"{total} objects ({size})",
            round(ratio, 2),
            "x",
            "≤ 1.11",
            "bare bulk loop, same rows",
        )


def _counts(writes: list[Sent]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for sent in writes:
        counts[_name(sent)] += len(sent.rows)
    return dict(counts)


def _name(sent: Sent) -> str:
    """What was written: the model, and whether it was changed only (late fields)."""
    return sent.path if sent.verb == "create" else f"{sent.path} (changes)"


def _bare(stage: Stage, writes: list[Sent], batch: int) -> dict[str, float]:
    """Seconds by path for the same rows into an empty NetBox, `batch` rows a request: no reads, no checks.

    The database is set back to where it was, so its ids come out the same and the rows fit as they are.
    """
    stage.empty()
    seconds: dict[str, float] = defaultdict(float)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {stage.token}"
        for first, rows in _runs(writes):
            send = session.post if first.verb == "create" else session.patch
            for at in range(0, len(rows), batch):
                started = time.monotonic()
                answer = send(f"{stage.url}/api/{first.path}/", json=rows[at : at + batch], timeout=600)
                seconds[_name(first)] += time.monotonic() - started
                answer.raise_for_status()
    return dict(seconds)


def _runs(writes: list[Sent]) -> Iterator[tuple[Sent, list[Row]]]:
    """The writes in their order, neighbours alike joined (a LAG must stay before its members)."""
    for _, alike in groupby(writes, key=_name):
        some = list(alike)
        yield some[0], [row for sent in some for row in sent.rows]


def second_run(content: Content, size: str, state: Path) -> Iterator[Measure]:
    """What a run that finds nothing to do costs, and that it writes nothing, by NetBox's own change log."""
    with staged(content, state) as stage:
        stage.sync(300)  # a bare loop before this one has left no result on the cluster
        with stage.netbox(60) as netbox:
            before = netbox.count("core/object-changes")
        outcome, wall = stage.sync(300)
        with stage.netbox(60) as netbox:
            after = netbox.count("core/object-changes")
        if outcome.result is not Result.SUCCEEDED:
            raise RuntimeError(f"the second run ended {outcome.result}")
    yield Measure("second run, changes in NetBox's log", size, after - before, "", "0")
    yield Measure("second run, NetBox requests", size, outcome.netbox_requests, "")
    yield Measure("second run, wall time", size, round(wall, 2), "s")
