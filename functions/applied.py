"""What NetBox confirmed of a plan, object by object, and what it would not take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from functions.errors import Problem
from functions.operations import Operation


@dataclass(frozen=True, slots=True)
class Refused:
    """One object that NetBox would not take, and what it said."""

    model: str
    key: str
    text: str


@dataclass(slots=True)
class Applied:
    """What NetBox confirmed, object by object.

    `settled` are the operations that need not be sent again. `unconfirmed` objects were sent in a request that got no
    answer; `left` were not sent. `stopped` is what ended the work before its time, or None; `cut` is True when the
    deadline did.
    """

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    settled: list[Operation] = field(default_factory=list)
    unconfirmed: int = 0
    left: int = 0
    requests: int = 0
    stopped: Problem | None = None
    cut: bool = False

    @property
    def written(self) -> int:
        """How many objects NetBox confirmed as written."""
        return sum(counts.total() for counts in (self.created, self.updated, self.marked, self.deleted))
