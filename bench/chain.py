"""A fabric too large for one deadline: how many invocations it takes, and that nothing is written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.aside import aside
from bench.bare import waves_of
from bench.load import fewest
from bench.measure import Measure
from bench.quiet import after_the_first
from bench.stage import Recorder, Sent, staged, sync_once
from functions.fields import KEY, MEMORY
from functions.outcome import Result
from infra.sandbox.fabric.manifests import Cluster

DEADLINE = 30.0
MOST = 500


def chain(cluster: Cluster, size: str, state: Path) -> Iterator[Measure]:
    """Sync from empty to the end in invocations of 30 s, as the deployed function would; then what comes after."""
    recorder = Recorder()
    walls: list[float] = []
    requests = 0
    with staged(cluster, state) as stage:
        stage.empty()
        for number in range(1, MOST + 1):
            outcome, wall = stage.sync(DEADLINE, recorder)
            walls.append(wall)
            requests += outcome.netbox_requests
            print(
                f"  {number}: {outcome.result} after {wall:.1f} s, {outcome.netbox_requests} requests, "
                f"{outcome.written} written, {outcome.left} left",
                flush=True,
            )
            if outcome.result is not Result.CONTINUED:
                break
        if outcome.result is not Result.SUCCEEDED:
            raise RuntimeError(f"the chain ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
        writes = [sent for sent in recorder.sent if not _of_itself(sent)]
        name = f"{sum(sum(counts.values()) for counts in outcome.objects.values())} objects ({size})"
        yield Measure("chain, invocations of 30 s", name, number, "")
        yield Measure("chain, wall time", name, round(sum(walls)), "s")
        yield Measure("chain, longest invocation", name, round(max(walls), 2), "s", "≤ 30")
        yield Measure("chain, objects written more than once", name, _written_twice(writes), "", "0")
        yield Measure("chain, NetBox requests", name, requests, "")
        ratio = round(len(writes) / fewest(waves_of(writes), writes), 2)
        told = "batches as large as they could be"
        yield Measure("chain, bulk requests ÷ fewest possible", name, ratio, "x", "≤ 1.1", told)
        yield from after_the_first(stage, cluster, name)


def first_invocation(cluster: Cluster, size: str, state: Path) -> Iterator[Measure]:
    """The memory of an invocation that reads a large fabric, plans all of it, and writes what 30 s allow."""
    with staged(cluster, state) as stage:
        stage.empty()
        (outcome, planned), peak = aside(_planned, stage.url, stage.token, stage.secrets)
    told = f"{planned} objects planned ({size})"
    yield Measure(f"first invocation ({outcome}), peak memory of its process", told, round(peak), "MiB", "≤ 600")


def _planned(url: str, token: str, secrets: Path) -> tuple[str, int]:
    outcome, _ = sync_once(url, token, secrets, DEADLINE)
    return outcome.result.value, outcome.written + outcome.left + outcome.unconfirmed


def _of_itself(sent: Sent) -> bool:
    """Whether a request wrote how a run went, or what the next one is to remember, and nothing of the fabric."""
    memory = all(row.keys() == {"id", "custom_fields"} and row["custom_fields"].keys() == {MEMORY} for row in sent.rows)
    return sent.path == "virtualization/clusters" or (sent.verb == "update" and memory)


def _written_twice(writes: Sequence[Sent]) -> int:
    """Objects that were made twice, or changed twice: what has to wait for others is written once more, no oftener."""
    doings = Counter(
        (sent.path, row.get("id") or row.get("custom_fields", {}).get(KEY) or str(row))
        for sent in writes
        for row in sent.rows
    )
    again = [doing for doing, count in doings.items() if count > 1]
    if again:
        print("  again: " + ", ".join(f"{path} {key}" for path, key in again[:20]), flush=True)
    return len(again)
