"""The first load: what a whole run costs beside the floor, the same rows in a bare loop into the same NetBox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median

from bench.bare import Wave, bulk_loop, object_loop, waves_of
from bench.measure import Measure
from bench.stage import Recorder, Sent, Stage, staged
from functions.outcome import Result
from infra.sandbox.fabric.serve import Content

VARIANTS = tuple((batch, at_once) for at_once in (1, 2, 4) for batch in (25, 50, 100))
"""Rows a request, and requests at once, of the bare loop; its best is the floor."""

AGAIN = 2
"""How many of the variants that were the best in the first round are measured in the later ones, too."""


@dataclass(slots=True)
class _Seen:
    """What the rounds have measured, in seconds: ours, the bare loop by variant, one object after the other."""

    ours: list[float] = field(default_factory=list)
    bare: dict[tuple[int, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)
    single: list[float] = field(default_factory=list)

    def best(self, count: int) -> list[tuple[int, int]]:
        return sorted(self.bare, key=lambda variant: median(self.bare[variant]))[:count]


def first_load(
    content: Content, size: str, state: Path, rounds: int, *, variants: tuple[tuple[int, int], ...], singly: bool
) -> Iterator[Measure]:
    """Our wall time against the floor, ours and the bare loop by turns; `singly`: also object by object.

    Medians of all rounds, for the machine may have other work. The first round tries every variant of the bare loop.
    """
    seen = _Seen()
    with staged(content, state) as stage:
        for _ in range(rounds):
            wall, sent = _ours(stage)
            seen.ours.append(wall)
            waves = waves_of(sent)
            for batch, at_once in seen.best(AGAIN) or variants:
                seconds, seen.kinds[batch, at_once] = bulk_loop(stage, waves, batch, at_once)
                seen.bare[batch, at_once].append(seconds)
        if singly:
            seen.single.append(object_loop(stage, waves))
    counts = _counts(waves)
    name = f"{sum(counts.values())} objects ({size})"
    (best,) = seen.best(1)
    ours, floor = median(seen.ours), median(seen.bare[best])
    for kind, count in counts.items():
        if count >= 10:
            text = f"write rate, {kind.split('/')[-1]}, bare loop"
            yield Measure(text, f"{count} of {size}", round(count / seen.kinds[best][kind], 1), "objects/s")
    told = f"bare bulk loop, same rows, its best: {best[0]} rows a request, {best[1]} at once"
    yield Measure("first load, whole run", name, round(ours, 2), "s")
    yield Measure("first load, whole run ÷ bare loop", name, round(ours / floor, 2), "x", "≤ 1.05", told)
    one = [median(times) for (_, at_once), times in seen.bare.items() if at_once == 1]
    if one:
        told = "bare bulk loop, same rows, one request at a time"
        yield Measure("first load, whole run ÷ bare loop in sequence", name, round(ours / min(one), 2), "x", None, told)
    if seen.single:
        told = "pynetbox, same rows, one by one"
        ratio = round(ours / median(seen.single), 2)
        yield Measure("first load, whole run ÷ object by object", name, ratio, "x", "≤ 0.4", told)
    writes = [each for each in sent if each.path != "virtualization/clusters"]
    ratio = round(len(writes) / fewest(waves, writes), 2)
    yield Measure(
        "first load, bulk requests ÷ fewest possible", name, ratio, "x", "≤ 1.1", "batches as large as they could be"
    )


def _ours(stage: Stage) -> tuple[float, list[Sent]]:
    recorder = Recorder()
    stage.empty()
    outcome, wall = stage.sync(1800, recorder)
    if outcome.result is not Result.SUCCEEDED:
        raise RuntimeError(f"the first load ended {outcome.result}: {outcome.problem} {outcome.reasons[:3]}")
    return wall, recorder.sent


def _counts(waves: list[Wave]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for wave in waves:
        counts[wave.name] += len(wave.rows)
    return dict(counts)


def fewest(waves: list[Wave], writes: list[Sent]) -> int:
    """The requests that these rows take at the least, in batches as large as they could be at each moment."""
    fitting = {(sent.verb, sent.path, id_): sent.fitting for sent in writes for id_ in sent.ids}
    return sum(ceil(sum(1 / fitting[wave.verb, wave.path, id_] for id_, _ in wave.rows) - 1e-9) for wave in waves)
