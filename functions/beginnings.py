"""Pure: many names asked for by what they begin with: in few texts, and for no others."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby, takewhile


def beginnings(chosen: Collection[str], known: Collection[str]) -> list[str]:
    """Few texts of which each of `chosen` begins with one, and of the others that are `known` none.

    One exception: a name that begins with a chosen one, which nothing shorter than both could tell apart.
    """
    found: list[str] = []

    def look(names: list[str]) -> None:
        among = [name for name in names if name in chosen]
        if not among:
            return
        start = _both(names[0], names[-1])  # of names in order, the outer two have the least in common
        if len(among) == len(names) or start in chosen:
            found.append(start)
            return
        longer = (name for name in names if name != start)
        for _, group in groupby(longer, lambda name: name[len(start)]):
            look(list(group))

    look(sorted({*chosen, *known}))
    return found


def _both(one: str, other: str) -> str:
    """What two texts begin with."""
    return "".join(left for left, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
