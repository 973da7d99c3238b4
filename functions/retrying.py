"""Pure: when a fabric whose run failed is tried again. All of it is recorded with the fabric, none is in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from functions.errors import Code, Problem
from functions.outcome import Result

FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=5)
JITTER: Final = 0.2
"""The share by which a wait is longer or shorter: fabrics that failed together do not come back together."""

OPEN_AFTER: Final = 5
"""Failures in a row after which the circuit is open: one trial run at a time, `COOL_DOWN` apart."""
COOL_DOWN: Final = timedelta(minutes=15)

NOT_OF_THE_FABRIC: Final = frozenset({Code.PLAN_MOVED, Code.BAD_REQUEST, Code.UNKNOWN_FABRIC, Code.LEASE_LOST})
"""Errors of one request: they tell nothing of how the fabric's next run will end."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures in a row: how many, since when, of what kind, and when to try again (UTC).

    `retry_at` is None for what does not mend by itself: the next run waits for a change of the fabric's settings
    (`config` is what they were, as a digest) or for a person.
    """

    count: int
    code: str
    since: datetime
    retry_at: datetime | None
    config: str = ""

    @property
    def open(self) -> bool:
        """Whether the circuit breaker is open."""
        return self.count >= OPEN_AFTER

    def holds_back(self, now: datetime, config: str) -> bool:
        """Whether a scheduled run is still to wait at `now`, with the settings of the digest `config`."""
        if self.retry_at is None:
            return config == self.config
        return now < self.retry_at

    def as_json(self) -> dict[str, Any]:
        """The failures as they are recorded."""
        retry_at = self.retry_at.isoformat(timespec="seconds") if self.retry_at else None
        since = self.since.isoformat(timespec="seconds")
        return {"count": self.count, "code": self.code, "since": since, "retry_at": retry_at, "config": self.config}

    @classmethod
    def from_json(cls, row: Any) -> Failures | None:
        """What `as_json` made; None for anything else."""
        if not isinstance(row, Mapping) or not isinstance(row.get("count"), int) or row["count"] < 1:
            return None
        try:
            since = datetime.fromisoformat(str(row.get("since")))
            retry_at = datetime.fromisoformat(str(row["retry_at"])) if row.get("retry_at") else None
        except ValueError:
            return None
        if since.tzinfo is None or (retry_at is not None and retry_at.tzinfo is None):
            return None
        return cls(row["count"], str(row.get("code")), since, retry_at, str(row.get("config") or ""))


def after(
    before: Failures | None, result: Result, problem: Problem | None, fabric: str, config: str, now: datetime
) -> Failures | None:
    """The failures in a row once another run ended with `result`; None when it was none."""
    if result is Result.SKIPPED or (problem is not None and problem.code in NOT_OF_THE_FABRIC):
        return before
    if result not in (Result.FAILED, Result.TIMED_OUT) or problem is None:
        return None
    count, now = before.count + 1 if before else 1, now.replace(microsecond=0)
    retry_at = now + wait(count, fabric) if problem.nature.retryable else None
    return Failures(count, problem.code.value, before.since if before else now, retry_at, config)


def wait(count: int, fabric: str) -> timedelta:
    """How long to wait after the `count`-th failure in a row: doubled each time, with the fabric's own jitter."""
    usual = COOL_DOWN if count >= OPEN_AFTER else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (count - 1))
    digest = hashlib.sha256(f"{fabric}#{count}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return timedelta(seconds=round((usual * (1 + JITTER * (2 * share - 1))).total_seconds()))
