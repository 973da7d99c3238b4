"""One monotonic end for an invocation, asked by everyone who waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace


class DeadlineExceeded(Exception):
    """The time that was given for the work is used up.

    Not an `OSError` and not a `TimeoutError`: urllib3 and requests catch those, wrap them and may retry
    (`http.client` and urllib3 let every other exception pass).
    """


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock after which nothing may wait any more.

    `ends_at` is in seconds of `clock`; the last `reserve` seconds are kept back for reporting the outcome, so
    that `left()` is the time left for *work*. `reporting()` is the same end with the reserve released. `length` is what
    was given at the start, in seconds.
    """

    ends_at: float
    reserve: float = 0.0
    length: float = 0.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, *, reserve: float = 0.0, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The deadline `seconds` from now, the last `reserve` seconds of it kept for reporting."""
        if not 0 <= reserve < seconds:
            raise ValueError(f"a reserve of {reserve} s does not fit into a deadline of {seconds} s")
        return cls(clock() + seconds, reserve, seconds, clock)

    def left(self) -> float:
        """Seconds left for work; zero or negative when there are none."""
        return self.ends_at - self.reserve - self.clock()

    def expired(self) -> bool:
        """Whether no time for work is left."""
        return self.left() <= 0

    def check(self, what: str) -> float:
        """Seconds left for work, always positive; raises `DeadlineExceeded` naming `what` when there are none."""
        left = self.left()
        if left <= 0:
            raise DeadlineExceeded(f"no time left for {what}")
        return left

    def cap(self, seconds: float, what: str) -> float:
        """The smaller of `seconds` and the time left for work; raises `DeadlineExceeded` when there is none."""
        return min(seconds, self.check(what))

    def reporting(self) -> Deadline:
        """The same end without a reserve: for publishing the outcome, after the work has stopped."""
        return replace(self, reserve=0.0)

    def within(self, seconds: float) -> Deadline:
        """A nearer deadline for one step: at most `seconds` from now, never later than this one."""
        now = self.clock()
        return replace(self, ends_at=min(self.ends_at - self.reserve, now + seconds), reserve=0.0)

    def pause(self, seconds: float) -> bool:
        """Wait for `seconds`, never beyond the end; whether there is still time for work afterwards."""
        time.sleep(max(0.0, min(seconds, self.left())))
        return not self.expired()
