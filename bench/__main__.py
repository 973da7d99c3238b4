"""`python -m bench`: bring up the sandbox, measure, print a table, keep `bench/latest.json`, `.md` and the plots."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.chain import chain, first_invocation
from bench.cold import cold_starts
from bench.delivery import deliveries
from bench.fleet import fleet
from bench.latency import latencies
from bench.load import VARIANTS, first_load
from bench.many import ticks
from bench.measure import Measure, committed, keep, machine, meets
from bench.quiet import quiet_runs
from bench.stage import FABRIC
from infra.sandbox.emulator import EmulatorMissing
from infra.sandbox.fabric.spec import read_spec
from infra.sandbox.fabric.topology import spine_leaf
from infra.sandbox.netbox import NetBoxSandbox

SOME = ((50, 1), (25, 2), (50, 2), (100, 2), (25, 4), (50, 4))
FEW = ((50, 2), (50, 4))
SMALL, LARGE = "topology:spine_leaf,leaves=3,servers=6", "topology:spine_leaf,leaves=16,servers=60,vpcs=20"
HUGE = "topology:spine_leaf,spines=18,leaves=432,servers=1200,vpcs=100,hardware=true,links=1"
HERE = Path(__file__).resolve().parent

type Bench = Callable[[], Iterator[Measure]]


def main() -> int:
    """Run the benches that were asked for; 0 when all of them ended, whatever they measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and nothing large (some ten minutes)")
    parser.add_argument("--only", action="append", default=[], help="one bench alone (may be given again)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long the fleet is watched")
    parser.add_argument("--loaded", action="store_true", help="the fleet is in NetBox since an earlier run")
    parser.add_argument("--state", type=Path, default=Path(".sandbox/bench"))
    options = parser.parse_args()
    every = benches(options.state, 1 if options.quick else options.rounds, options.minutes, options.loaded)
    if unknown := set(options.only) - every.keys():
        parser.error(f"no bench {', '.join(sorted(unknown))}: there are {', '.join(every)}")
    quick = [name for name in every if name not in ("quiet-large", "load-large", "medium", "huge", "fleet")]
    chosen = options.only or (quick if options.quick else list(every))
    print(f"{', '.join(chosen)}, on {machine()}")
    before = committed(HERE)
    measures: list[Measure] = []
    try:
        for name in chosen:
            try:
                for measure in every[name]():
                    measures.append(measure)
                    print(line(measure, before), flush=True)
            except (EmulatorMissing, FileNotFoundError) as missing:
                print(f"{name}: left out: {missing}", flush=True)
    finally:
        if measures:
            keep(measures, HERE)
            from bench.plots import plot

            plot(HERE)
        NetBoxSandbox(options.state / "netbox").down()
    return 0


def benches(state: Path, rounds: int, minutes: float, loaded: bool) -> Mapping[str, Bench]:
    """Every bench by its name."""

    def quiet(leaves: int, servers: int, vpcs: int) -> Iterator[Measure]:
        lab = spine_leaf(FABRIC, leaves=leaves, servers=servers, vpcs=vpcs)
        return quiet_runs(lab, f"{leaves} leaves, {servers} servers, {vpcs} VPCs", state)

    def medium() -> Iterator[Measure]:
        shared = Path(os.environ.get("FABRIC_SYNC_SHARED", HERE.parent.parent / "shared"))
        sample = shared / "hedgehog" / "samples" / "medium-64.cluster.yaml"
        if not sample.is_file():
            raise FileNotFoundError(f"no medium sample at {sample} (set FABRIC_SYNC_SHARED)")
        return chain(read_spec(FABRIC, str(sample)), "medium sample, 64 switches", state)

    large = "generated, 16 leaves, 60 servers, 20 VPCs"
    return {
        "cold": lambda: cold_starts(state),
        "delivery": lambda: deliveries(state),
        "tick": lambda: ticks(state),
        "latency": lambda: latencies(SMALL, "generated lab", state),
        "quiet": lambda: quiet(3, 6, 3),
        "quiet-large": lambda: quiet(16, 48, 24),
        "load": lambda: first_load(
            SMALL, "generated lab", state, rounds, variants=VARIANTS if rounds > 1 else SOME, singly=True
        ),
        # Of the large one only what was best for the small one, and what wins where there is more of it.
        "load-large": lambda: first_load(LARGE, large, state, rounds, variants=FEW, singly=True),
        "huge": lambda: first_invocation(read_spec(FABRIC, HUGE), "generated, 450 switches", state),
        "medium": medium,
        "fleet": lambda: fleet(state, minutes=minutes, loaded=loaded),
    }


def line(measure: Measure, before: Mapping[tuple[str, str], float]) -> str:
    """One measure in a line: its goal, and what it was in the run that was committed last."""
    goal = f"goal {measure.goal}" if measure.goal else ""
    goal += {None: "", True: " met", False: " MISSED"}[meets(measure.value, measure.goal)]
    was = before.get((measure.measure, measure.size))
    text = f"{measure.measure:48} {measure.size:44} {measure.value:>10g} {measure.unit:10} {goal:18}"
    return text if was is None else f"{text} was {was:g}"


if __name__ == "__main__":
    sys.exit(main())
