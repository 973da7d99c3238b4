"""Very many syncs in one warm process of the served function: what its processes hold does not grow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any

from infra.sandbox.fabric.serve import serve
from tests.fabric_content import small_cluster
from tests.house import House, house
from tests.infra.processes import children, descriptors, resident, state
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.pubsub_fixtures import eventually

FABRIC = "soaked"
MIB = 2**20
SETTLED = 10.0
"""Seconds in which the processes of a run that ended are gone."""


@dataclass(frozen=True)
class Sample:
    """What the serving processes hold after so many runs; memory in MiB, `pss` with shared pages parted among them."""

    runs: int
    master_rss: float
    worker_rss: float
    server_rss: float
    pss: float
    descriptors: int
    threads: int
    processes: int
    zombies: int


@dataclass(frozen=True)
class Soak:
    """The samples of a soak, the first one of the warm process."""

    samples: list[Sample]
    seconds: float
    bad: list[str]

    @property
    def counts(self) -> set[tuple[int, int, int, int]]:
        """Every different set of descriptors, threads, processes and zombies that was seen."""
        return {(one.descriptors, one.threads, one.processes, one.zombies) for one in self.samples}

    def growth(self, what: str = "pss") -> float:
        """MiB that came on top in the second half."""
        middle = self.samples[len(self.samples) // 2]
        return float(getattr(self.samples[-1], what) - getattr(middle, what))

    def slope(self, what: str = "pss") -> float:
        """MiB for each 1,000 runs, over the second half."""
        half = self.samples[len(self.samples) // 2 :]
        return linear_regression([one.runs for one in half], [getattr(one, what) for one in half]).slope * 1000

    def figures(self) -> dict[str, Any]:
        """The soak in numbers."""
        last, memory = self.samples[-1], ("pss", "worker_rss", "server_rss")
        return {
            "runs": last.runs,
            "seconds": round(self.seconds, 1),
            "bad": len(self.bad),
            "descriptors": last.descriptors,
            "threads": last.threads,
            "processes": last.processes,
            "zombies": last.zombies,
            "different_counts": len(self.counts),
            **{f"{what}_mib": round(getattr(last, what), 1) for what in memory},
            **{f"{what}_growth_mib": round(self.growth(what), 2) for what in memory},
            **{f"{what}_slope_mib_per_1000": round(self.slope(what), 2) for what in memory},
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """The samples as rows of a table."""
        for one in self.samples:
            yield {name: round(value, 1) for name, value in asdict(one).items()}


def run(served: ServedNetBox, runs: int, every: int, tell: Callable[[Sample], object] = lambda sample: None) -> Soak:
    """So many syncs of a fabric that does not change, a sample after `every` so many of them."""
    bootstrapped(served)
    with opened(served) as netbox:
        with_fabric(netbox, FABRIC)
    with (
        tempfile.TemporaryDirectory() as place,
        serve({FABRIC: small_cluster(FABRIC)}) as fabrics,
        house(Path(place), served.url, served.token_v2, deadline=30.0, reserve=3.0) as home,
    ):
        home.secret(FABRIC, fabrics[FABRIC].kubeconfig)
        for _ in range(5):
            if _unlike_no_change(home) is None:
                break
        began, samples, bad = time.monotonic(), [sample(home, 0)], []
        for number in range(1, runs + 1):
            if (text := _unlike_no_change(home)) is not None:
                bad.append(f"run {number}: {text}")
            if number % every == 0:
                samples.append(sample(home, number))
                tell(samples[-1])
        return Soak(samples, time.monotonic() - began, bad)


def _unlike_no_change(home: House) -> str | None:
    """Ask for a sync: what it was other than one that found nothing to do."""
    asked = home.ask(FABRIC)
    home.netbox.seen.clear()
    home.events.seen.clear()
    told = asked.answer
    fine = (asked.status, told["result"], told["written"], len(asked.outcomes)) == (200, "succeeded", 0, 1)
    return None if fine else f"{asked.status} {told['result']} {told['error']}, {told['written']} written"


def sample(home: House, runs: int) -> Sample:
    """Measure the serving processes once the last run's own are gone."""
    eventually(lambda: not _of_runs(home.serving.pid), SETTLED)
    tree = list(_tree(home.serving.pid))
    alive = [pid for pid in tree if state(pid) not in ("Z", "X", "")]
    (worker,) = children(home.serving.pid)
    server = sum(resident(pid) for pid in alive if pid not in (home.serving.pid, worker))
    return Sample(
        runs,
        resident(home.serving.pid) / MIB,
        resident(worker) / MIB,
        server / MIB,
        sum(map(_proportional, alive)) / MIB,
        sum(map(descriptors, alive)),
        sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in alive),
        len(tree),
        len(tree) - len(alive),
    )


def _tree(pid: int) -> Iterator[int]:
    """A process and all that came of it, zombies too."""
    yield pid
    for child in children(pid):
        yield from _tree(child)


def _of_runs(master: int) -> list[int]:
    """The processes of runs: children of the fork server, which is one of the worker, which is one of the master."""
    return [run for worker in children(master) for server in children(worker) for run in children(server)]


def _proportional(pid: int) -> int:
    """Bytes of memory that a process holds, each shared page parted among those that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
