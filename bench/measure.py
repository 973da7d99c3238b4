"""One measured figure, the machine it was measured on, and how figures are kept and shown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. `goal` is what it should be (None: told for what it teaches), `floor` what it is held against."""

    measure: str
    size: str
    value: float
    unit: str
    goal: str | None = None
    floor: str | None = None


def machine() -> str:
    """The machine in a few words: cores, memory, Python."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores, {round(pages / 2**30)} GiB, {platform.machine()}, Python {platform.python_version()}"
    )


def keep(measures: Iterable[Measure], folder: Path) -> None:
    """Write `latest.json` and `latest.md` into `folder`; measures of an earlier run that are not in this one stay."""
    path = folder / "latest.json"
    earlier = _rows(path.read_text()) if path.is_file() else []
    on = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    new = [{**asdict(measure), **on} for measure in measures]
    names = {(row["measure"], row["size"]) for row in new}
    rows = [row for row in earlier if (row["measure"], row["size"]) not in names] + new
    rows.sort(key=lambda row: (row["measure"], row["size"]))
    path.write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        "# The last bench",
        "",
        "| measure | size | value | goal | floor | machine | date |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        value = f"{row['value']:g} {row['unit']}".strip()
        cells = (row["measure"], row["size"], value, row["goal"] or "", row["floor"] or "", row["machine"], row["date"])
        lines.append("| " + " | ".join(cells) + " |")
    missed = [f"{row['measure']}, {row['size']}" for row in rows if meets(row["value"], row["goal"]) is False]
    lines += ["", f"Goals that are not met: {'; '.join(missed) or 'none'}."]
    (folder / "latest.md").write_text("\n".join(lines) + "\n")


def meets(value: float, goal: str | None) -> bool | None:
    """Whether a value is as good as its goal, such as `≤ 1.05`, `≥ 0.9` or `0`; None where there is none."""
    if not goal:
        return None
    limit = float(goal.lstrip("≤≥< "))
    return value >= limit if goal[0] == "≥" else value < limit if goal[0] == "<" else value <= limit


def committed(folder: Path) -> dict[tuple[str, str], float]:
    """The figures of the last run that was committed, by measure and size; empty outside of a checkout."""
    shown = subprocess.run(
        ["git", "show", "HEAD:./latest.json"], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )
    rows = _rows(shown.stdout) if shown.returncode == 0 else []
    return {(row["measure"], row["size"]): row["value"] for row in rows}


def _rows(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)
    return rows
