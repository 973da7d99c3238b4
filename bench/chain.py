"""A fabric too large for one deadline: how many invocations it takes, and that nothing is written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.load import second_run
from bench.measure import Measure
from bench.stage import Recorder, staged
from functions.outcome import Result
from infra.sandbox.fabric.serve import Content

DEADLINE = 30.0
MOST = 500


def chain(content: Content, size: str, state: Path) -> Iterator[Measure]:
    """Sync from empty to the end in invocations of 30 s, as the deployed function would."""
    recorder = Recorder()
    walls: list[float] = []
    requests = 0
    with staged(content, state) as stage:
        stage.empty()
        for number in range(1, MOST + 1):
            outcome, wall = stage.sync(DEADLINE, recorder)
            walls.append(wall)
            requests += outcome.netbox_requests
            print(
                f"  {number}: {outcome.result} after {wall:.1f} s, {outcome.written} written, {outcome.left} left",
                flush=True,
            )
            if outcome.result is not Result.CONTINUED:
                break
        if outcome.result is not Result.SUCCEEDED:
            raise RuntimeError(f"the chain ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
        twice = _written_twice(recorder)
    writes = sum(len(sent.rows) for sent in recorder.sent)
    name = f"{writes} objects ({size})"
    yield Measure("chain, invocations of 30 s", name, number, "")
    yield Measure("chain, wall time", name, round(sum(walls)), "s")
    yield Measure("chain, longest invocation", name, round(max(walls), 2), "s", "≤ 30")
    yield Measure("chain, objects written more than once", name, twice, "", "0")
    yield Measure("chain, NetBox requests", name, requests, "")
    yield from second_run(content, size, state)


def _written_twice(recorder: Recorder) -> int:
    """Objects that were made twice, or changed twice: what has to wait for others is written once more, no oftener."""
    doings = Counter(
        (sent.path, row.get("id") or row.get("custom_fields", {}).get("fabric_key") or str(row))
        for sent in recorder.sent
        for row in sent.rows
        if not sent.path.startswith("virtualization/")
    )
    return sum(1 for count in doings.values() if count > 1)
