"""`python -m tests.chaos`: the whole matrix of faults against the real NetBox; a report, and the worst of it first."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from infra.sandbox.netbox import NetBoxSandbox
from tests.chaos.faults import cases
from tests.chaos.stage import Verdict, staged
from tests.netbox_content import bootstrapped
from tests.netbox_fixtures import ServedNetBox

REPORTS = Path(__file__).resolve().parents[2] / "reports"
COLUMNS = ("fault", "place", "moment", "outcome", "code", "overshoot_ms", "wrong_writes", "wrong_deletes")


def main() -> int:
    """Play every case that was asked for; 0 when each ended in one outcome and nobody was harmed."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose text holds this, such as 'netbox' or 'hang'")
    parser.add_argument("--kills", type=int, default=20, help="runs that are killed at random moments")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--state", type=Path, default=Path(".sandbox/chaos"))
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in f"{case.fault} {case.place} {case.moment}"]
    box = NetBoxSandbox(options.state / "netbox")
    verdicts: list[Verdict] = []
    try:
        served = bootstrapped(ServedNetBox(box, box.up(print)))
        with tempfile.TemporaryDirectory() as place, staged(served, Path(place)) as stage:
            began = time.monotonic()
            chance = random.Random(options.seed)
            plays: list[Callable[[], Verdict]] = [partial(stage.play, case) for case in chosen]
            plays += [partial(stage.kill, chance.random()) for _ in range(options.kills)]
            for number, play in enumerate(plays, 1):
                verdict = play()
                verdicts.append(verdict)
                print(f"{time.monotonic() - began:7.1f} s  {number:3} of {len(plays)}  {line(verdict)}", flush=True)
                write(verdicts)
    finally:
        box.down()
    worst = max((verdict.overshoot_ms for verdict in verdicts), default=0)
    wrong = sum(not verdict.good for verdict in verdicts)
    print(f"cases={len(verdicts)} worst_overshoot_ms={worst} wrong={wrong}")
    return 0 if verdicts and len(verdicts) == len(chosen) + options.kills and not wrong else 1


def line(verdict: Verdict) -> str:
    """One case, in a line."""
    judged = "one outcome, no harm" if verdict.good else f"WRONG: {verdict}"
    where = f"{verdict.fault}, {verdict.place}, {verdict.moment}"
    return f"{where}: {verdict.outcome} ({verdict.code}), {verdict.overshoot_ms} ms over, {judged}"


def write(verdicts: list[Verdict]) -> None:
    """The report so far, as JSON and for people, the worst overshoot first."""
    REPORTS.mkdir(exist_ok=True)
    ordered = sorted(verdicts, key=lambda verdict: (verdict.good, -verdict.overshoot_ms))
    rows = [{name: verdict.as_dict()[name] for name in COLUMNS} for verdict in ordered]
    (REPORTS / "chaos.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    table = ["# Faults, and what came of them", "", f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    table += [f"| {' | '.join(str(row[name]) for name in COLUMNS)} |" for row in rows]
    (REPORTS / "chaos.md").write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
