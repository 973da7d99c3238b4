"""Two pictures of the last bench: what a run costs by size, and every goal that has one, met or not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "fabric-sync"  # the same figures make the same file

from matplotlib import pyplot  # noqa: E402 - the backend is chosen before

from bench.measure import meets  # noqa: E402

MET, MISSED, LINE = "#2f7d4f", "#c2402d", "#4a4a4a"
COSTS = ("nothing changed, NetBox requests", "one VPC changed, NetBox requests")


def plot(folder: Path) -> None:
    """Draw `latest.json` of a folder into `cost.svg` and `goals.svg` beside it."""
    rows: list[dict[str, Any]] = json.loads((folder / "latest.json").read_text())
    _cost(rows, folder / "cost.svg")
    _goals([row for row in rows if row["goal"] and meets(row["value"], row["goal"]) is not None], folder / "goals.svg")


def _cost(rows: list[dict[str, Any]], path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for name, style in zip(COSTS, ("o-", "s--"), strict=True):
        points = sorted((int(re.match(r"\d+", row["size"])[0]), row["value"]) for row in rows if row["measure"] == name)  # type: ignore[index]
        axes.plot([x for x, _ in points], [y for _, y in points], style, color=LINE, label=name.partition(",")[0])
    axes.set(xscale="log", ylim=(0, 25), xlabel="objects of the fabric in NetBox", ylabel="requests to NetBox")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _goals(rows: list[dict[str, Any]], path: Path) -> None:
    rows = [row for row in rows if float(row["goal"].lstrip("≤≥< ")) > 0]
    shares = [row["value"] / float(row["goal"].lstrip("≤≥< ")) for row in rows]
    colours = [MET if meets(row["value"], row["goal"]) else MISSED for row in rows]
    names = [
        f"{row['measure']}, {row['size'].partition(' (')[0]}  ({row['value']:g}, goal {row['goal']})" for row in rows
    ]
    figure, axes = pyplot.subplots(figsize=(11, 0.6 + 0.28 * len(rows)), layout="constrained")
    axes.barh(names, shares, color=colours)
    axes.axvline(1.0, color=LINE, linewidth=1)
    axes.set(xlabel="measured ÷ goal", xlim=(0, max([1.5, *shares]) * 1.02))
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
