"""Pure: how long the last runs took, as bars for the page and in words for who cannot see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 96
HEIGHT: Final = 24
LEAST: Final = 2.0
"""The height of the shortest bar: a run that took no time was there all the same."""

_STEP: Final = 12
_BAD: Final = frozenset({"failed", "timed_out"})


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: where its bar stands, how high it is, in units of the picture, and whether the run failed."""

    x: int
    y: float
    height: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Spark:
    """The last runs of a fabric, the newest on the right."""

    bars: tuple[Bar, ...]
    text: str
    last: str


def spark(ends: Sequence[Mapping[str, Any]]) -> Spark | None:
    """The picture of a fabric's ends as `seen` tells them, the newest first; None where no run ended yet."""
    shown = ends[: WIDTH // _STEP]
    if not shown:
        return None
    longest = max(float(one["duration_s"]) for one in shown) or 1.0
    bars = []
    for at, one in enumerate(shown, start=1):
        height = round(max(LEAST, HEIGHT * max(0.0, one["duration_s"]) / longest), 1)
        bars.append(Bar(WIDTH - at * _STEP, round(HEIGHT - height, 1), height, one["result"] in _BAD))
    return Spark(tuple(bars), _words(shown), f"{shown[0]['duration_s']:.1f} s")


def _words(shown: Sequence[Mapping[str, Any]]) -> str:
    seconds = [f"{one['duration_s']:.1f}" for one in sorted(shown, key=lambda one: float(one["duration_s"]))]
    if len(shown) == 1:
        text = f"the one recorded run: {seconds[0]} s"
    else:
        text = f"last {len(shown)} recorded runs: {seconds[0]} to {seconds[-1]} s, last {shown[0]['duration_s']:.1f} s"
    failed = sum(one["result"] in _BAD for one in shown)
    return f"{text}, {failed} failed" if failed else text
