"""`python -m bench`: bring up the sandbox, measure, print a table, keep `bench/latest.json` and `bench/latest.md`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.chain import chain
from bench.load import VARIANTS, first_load, second_run
from bench.measure import Measure, keep, machine
from bench.quiet import quiet_runs
from bench.stage import FABRIC
from infra.sandbox.fabric.serve import Content
from infra.sandbox.fabric.topology import spine_leaf
from infra.sandbox.netbox import NetBoxSandbox

SOME = ((50, 1), (25, 2), (50, 2), (100, 2), (25, 4), (50, 4))
FEW = ((50, 2), (50, 4))
LARGE = "generated, 16 leaves, 60 servers, 20 VPCs"
HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the benches that were asked for; 0 when all of them ended, whatever they measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and variants (some eight minutes)")
    parser.add_argument("--only", choices=["load", "quiet", "medium"], help="one bench alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", type=Path, default=Path(".sandbox/bench"))
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    small: Content = "topology:spine_leaf,leaves=3,servers=6"
    large: Content = "topology:spine_leaf,leaves=16,servers=60,vpcs=20"
    variants = SOME if options.quick else VARIANTS
    benches: list[Callable[[], Iterator[Measure]]] = []
    if options.only not in ("medium", "quiet"):
        benches += [
            lambda: first_load(small, "generated lab", options.state, max(rounds, 3), variants=variants, singly=True),
            lambda: second_run(small, "generated lab", options.state),
            # Of the large one only what was best for the small one, and what wins where there is more of it.
            lambda: first_load(large, LARGE, options.state, rounds, variants=FEW, singly=not options.quick),
            lambda: second_run(large, LARGE, options.state),
        ]
    if options.only in (None, "quiet"):
        for leaves, servers, vpcs in ((3, 6, 3), (16, 48, 24))[: 1 if options.quick else 2]:
            size = f"{leaves} leaves, {servers} servers, {vpcs} VPCs"
            lab = spine_leaf(FABRIC, leaves=leaves, servers=servers, vpcs=vpcs)
            benches += [partial(quiet_runs, lab, size, options.state)]
    medium = Path(os.environ.get("FABRIC_SYNC_SHARED", HERE.parent.parent / "shared"))
    medium = medium / "hedgehog" / "samples" / "medium-64.cluster.yaml"
    if options.only == "medium" or not (options.quick or options.only):
        if medium.is_file():
            benches += [lambda: chain(medium, "medium sample, 64 switches", options.state)]
        else:
            print(f"no medium sample at {medium}: that bench is left out (set FABRIC_SYNC_SHARED)")
    print(f"on {machine()}")
    measures: list[Measure] = []
    try:
        for bench in benches:
            for measure in bench():
                measures.append(measure)
                goal = f"   goal {measure.goal}" if measure.goal else ""
                print(
                    f"{measure.measure:48} {measure.size:40} {measure.value:>10g} {measure.unit:10}{goal}", flush=True
                )
    finally:
        if measures:
            keep(measures, HERE)
        NetBoxSandbox(options.state / "netbox").down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
