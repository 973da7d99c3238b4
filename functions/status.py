"""Pure: what a fabric's status is, from what is recorded of it and the clock. Nobody stores a status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from functions.errors import Code
from functions.outcome import Result
from functions.standing import RECORD_EVERY, Standing


class Status(StrEnum):
    """What a fabric is, in one word; only `in_sync` is green."""

    NOT_CONFIGURED = "not_configured"  # its cluster lacks what a sync needs
    DISABLED = "disabled"  # people switched it off
    SYNCING = "syncing"  # a run holds its lease
    NEVER_SYNCED = "never_synced"  # no run has ended yet
    ERROR = "error"  # the last run failed, timed out, or ended without a word
    OUT_OF_SYNC = "out_of_sync"  # the last run left something to do, and said what
    IN_SYNC = "in_sync"  # the last run read to the end, applied, and left nothing to change


class Connection(StrEnum):
    """What is known of the way to the fabric's control cluster."""

    UNKNOWN = "unknown"  # nobody has asked it yet
    CONNECTED = "connected"  # it answered the last run
    UNREACHABLE = "unreachable"  # it did not answer, or not as an API server does
    DENIED = "denied"  # it refused the credentials


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status depends on besides the standing: the fabric's settings, and since when it is to be synced.

    `interval` is None while it is not to be synced by itself; `tick` is how often the scheduler looks.
    """

    configured: bool = True
    enabled: bool = True
    interval: timedelta | None = None
    since: datetime | None = None
    tick: timedelta = timedelta(minutes=1)


_BY_RESULT: Final[dict[Result | None, Status]] = {
    None: Status.NEVER_SYNCED,
    Result.SUCCEEDED: Status.IN_SYNC,
    Result.CONTINUED: Status.OUT_OF_SYNC,
    Result.INCOMPLETE: Status.OUT_OF_SYNC,
    Result.FAILED: Status.ERROR,
    Result.TIMED_OUT: Status.ERROR,
    Result.SKIPPED: Status.NEVER_SYNCED,  # a skipped run is never recorded as the last one
}

_RULES: Final[tuple[tuple[Callable[[Facts, Standing, datetime], bool], Status], ...]] = (
    (lambda facts, _s, _now: not facts.configured, Status.NOT_CONFIGURED),
    (lambda facts, _s, _now: not facts.enabled, Status.DISABLED),
    (lambda _facts, s, now: s.lease.held(now), Status.SYNCING),
    (lambda _facts, s, now: s.lease.abandoned(now), Status.ERROR),
)
"""The first rule that holds decides; where none does, the last run's result."""


def status(facts: Facts, standing: Standing, now: datetime) -> Status:
    """The status at `now`."""
    for holds, found in _RULES:
        if holds(facts, standing, now):
            return found
    return _BY_RESULT[standing.result]


def late(facts: Facts, standing: Standing, now: datetime) -> bool:
    """Whether nothing was tried for an interval, what may be recorded late, and a tick; though it is to be synced."""
    times = [at for at in (standing.last_attempt, facts.since) if at is not None]
    if not (facts.configured and facts.enabled and facts.interval and times) or standing.lease.held(now):
        return False
    return now - max(times) > facts.interval + RECORD_EVERY + facts.tick


DENIED: Final = frozenset({Code.FABRIC_UNAUTHORIZED, Code.FABRIC_FORBIDDEN})


def connection_after(before: str | None, answered: bool, code: Code | None) -> Connection:
    """What a run tells of the connection: whether the fabric `answered` a list, and the error that ended the run."""
    if code in DENIED:
        return Connection.DENIED
    if code is not None and code.value.startswith("fabric_"):
        return Connection.UNREACHABLE
    if answered:
        return Connection.CONNECTED
    return Connection(before) if before in set(Connection) else Connection.UNKNOWN
