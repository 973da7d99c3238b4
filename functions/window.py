"""How many requests one run keeps in flight to NetBox: more while that brings more, fewer when NetBox pushes back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from functions.pace import TELLING

START: Final = 2.0
"""What a run starts with: NetBox has two workers at the least (`netbox.md` §2), and nothing is known of this one."""

GAIN: Final = 1.1
"""How many times more objects a second another request in flight must bring to be kept. Each worker of NetBox does
one request at a time, so what goes beyond its workers or cores only queues: no faster, and each answer later."""

PATIENCE: Final = 6
"""Answers after which it is tried again whether more would bring more: other users of NetBox come and go."""

FIRST_PAUSE: Final = 1.0
"""Seconds to wait where NetBox has too many requests and does not say for how long."""

MOST_PAUSES: Final = 5
"""Pauses in a row, without an answer between them, after which NetBox's refusal is what the run ends with."""


@dataclass(slots=True)
class Window:
    """Additive increase, multiplicative decrease (as TCP has it, RFC 5681), in requests.

    `most` is the cap, which its user may change at any time: runs of other fabrics use the same NetBox, and instances
    share no memory, so each keeps to its part by what is recorded of the others.

    The signal is the rate: objects a second of one kind (model and verb), times the requests in flight beside each
    other. Where a rate is as good with fewer in flight, the window goes back to those; a kind that was not seen with
    fewer is no reason against more. Refusals for want of capacity halve it.
    """

    most: int = 4
    size: float = START
    _rates: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    _patience: int = 0
    _shut_until: float = 0.0
    _pauses: int = 0

    def __post_init__(self) -> None:
        self.size = min(self.size, float(self.most))

    @property
    def room(self) -> int:
        """How many requests may be in flight now, at least 1."""
        return max(1, int(min(self.size, self.most)))

    def answered(self, model: str, verb: str, count: int, seconds: float, beside: float) -> None:
        """Take in an answer: `count` objects in `seconds`, with `beside` requests in flight on average, all counted.

        Small batches tell nothing of the rate.
        """
        self._pauses = 0
        if count < TELLING:
            return
        rates = self._rates.setdefault((model, verb), {})
        level, rate = max(1, round(beside)), beside * count / max(seconds, 1e-6)
        rates[level] = (rates[level] + rate) / 2 if level in rates else rate
        fewer = max((at for at in rates if at < level), key=rates.__getitem__, default=None)
        if fewer is not None and rates[level] < GAIN * rates[fewer]:
            self.size, self._patience = min(self.size, float(fewer)), PATIENCE
            del rates[level]  # what was learnt of it holds for a while only
        elif self._patience:
            self._patience -= 1
        else:
            self.size = min(float(self.most), self.size + 1 / self.size)

    def pushed_back(self) -> None:
        """NetBox, or what stands before it, had too much: half of it from now on."""
        self.size, self._patience = max(1.0, self.size / 2), PATIENCE

    def pause(self) -> float:
        """Seconds for which NetBox is not to be asked; 0 when it may be."""
        return max(0.0, self._shut_until - time.monotonic())

    def wait(self, seconds: float | None, left: float) -> bool:
        """Send nothing for so many `seconds` (None: NetBox did not say); False when that is no use.

        It is none when fewer are `left` before the deadline, or when NetBox said so again and again.
        """
        seconds = FIRST_PAUSE if seconds is None else seconds
        if self.pause() == 0.0:
            self._pauses += 1  # several in flight are told together
        if self._pauses > MOST_PAUSES or seconds >= left:
            return False
        self._shut_until = max(self._shut_until, time.monotonic() + seconds)
        return True
