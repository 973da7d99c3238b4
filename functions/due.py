"""Pure: whether a fabric is due in a tick of the scheduler, and if not, why not, and when next.

A fabric has slots: moments `interval` apart, shifted by a hash of its name, so that fabrics spread evenly. It is due in
the first tick after one. Who was not synced for too long is late, and due at closer moments until somebody tried.
Nothing is remembered for it, so the same tick twice finds the same fabrics due, for the same moments.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from functions.schedule import Schedule, facts_of
from functions.standing import Standing
from functions.status import late

CATCH_UP: Final = timedelta(minutes=5)
"""How often a fabric that is late, or was never tried, is requested until a run of it is recorded: long enough for a
queue of many to be worked off, and by the slots of this interval they do not all come back at once."""


class Cause(StrEnum):
    """Why a fabric is due; what stands first is published first."""

    FIRST = "first"  # no run has ended yet
    CHANGED = "changed"  # the last runs failed by its settings, and these were changed
    RETRY = "retry"  # the last runs failed, and it is time to try again
    LATE = "late"  # nothing was tried for too long
    OPENED = "opened"  # a maintenance window opened, and its last run is an interval ago
    SLOT = "slot"  # its interval is over


class Wait(StrEnum):
    """Why a fabric is not due."""

    NOT_CONFIGURED = "not_configured"  # its settings are missing or make no sense
    DISABLED = "disabled"  # people switched it off, or gave it no interval
    INACTIVE = "inactive"  # its cluster is planned, offline or being decommissioned
    SUSPENDED = "suspended"  # people suspended it for a time that is not over
    RUNNING = "running"  # a run holds its lease
    WINDOW = "window"  # no maintenance window is open
    BACKING_OFF = "backing_off"  # the last runs failed, and it is not time to try again
    NOT_YET = "not_yet"  # its next slot is still to come


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a fabric is due: the `cause` and the moment (`slot`) for which it is, or what it waits for (`wait`).

    `next_at` is when it will be due next (UTC), None where nobody knows; `late` is by how much it is late.
    """

    cause: Cause | None = None
    slot: datetime | None = None
    wait: Wait | None = None
    next_at: datetime | None = None
    late: timedelta | None = None


def due(
    fabric: str, schedule: Schedule, standing: Standing, config: str, at: datetime, now: datetime, tick: timedelta
) -> Verdict:
    """The verdict on a fabric in the tick that was to come at `at` and is served at `now`; ticks come each `tick`.

    `config` is the digest of the fabric's settings (`settle.config_digest`).
    """
    late_by = lateness(schedule, standing, now, tick)
    for waits, wait in _WAITS:
        if waits(schedule, standing, config, now):
            return Verdict(wait=wait, next_at=next_due(fabric, schedule, standing, config, now), late=late_by)
    end = _floor(at, tick)
    for cause, moment in _moments(fabric, schedule, standing, end, late_by is not None):
        if end - tick < moment <= end:
            return Verdict(cause, moment, None, next_due(fabric, schedule, standing, config, now), late_by)
    return Verdict(
        wait=Wait.NOT_YET,
        next_at=next_due(fabric, schedule, standing, config, now + timedelta(seconds=1)),
        late=late_by,
    )


def request_id(fabric: str, moment: datetime) -> str:
    """The id of the request for a fabric and a moment: the same tick twice asks for the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"fabric-sync:{fabric}@{moment.astimezone(UTC).isoformat()}"))


def lateness(schedule: Schedule, standing: Standing, now: datetime, tick: timedelta) -> timedelta | None:
    """For how long a fabric has been due without an attempt, if it is late; None if it is not."""
    facts = facts_of(schedule, standing, now, tick)
    if facts.interval is None or facts.since is None or not late(facts, standing, now):
        return None
    return now - facts.since - facts.interval


def next_due(fabric: str, schedule: Schedule, standing: Standing, config: str, now: datetime) -> datetime | None:
    """The next moment for which a fabric will be due (UTC), as far as anybody knows now."""
    failures = standing.failures
    if schedule.problems or not schedule.enabled or not schedule.active or schedule.interval is None:
        return None
    if failures is not None and failures.retry_at is None and failures.holds_back(now, config):
        return None
    begin = max(now, schedule.suspended_until or now)
    if failures is not None and failures.retry_at is not None and failures.retry_at > now:
        return schedule.windows.next_open(max(begin, failures.retry_at))
    step = schedule.interval if standing.last_attempt else min(schedule.interval, CATCH_UP)
    return schedule.windows.next_open(slot_from(fabric, step, begin))


def slot_before(fabric: str, interval: timedelta, at: datetime) -> datetime:
    """The last slot of a fabric until `at`, which it may be itself."""
    seconds = interval.total_seconds()
    shift = int.from_bytes(hashlib.sha256(fabric.encode()).digest()[:8], "big") % int(seconds)
    count = math.floor((at.timestamp() - shift) / seconds)
    return datetime.fromtimestamp(shift + count * seconds, UTC)


def slot_from(fabric: str, interval: timedelta, at: datetime) -> datetime:
    """The first slot of a fabric from `at` on, which it may be itself."""
    before = slot_before(fabric, interval, at)
    return before if before == at else before + interval


_WAITS: Final[tuple[tuple[Callable[[Schedule, Standing, str, datetime], bool], Wait], ...]] = (
    (lambda schedule, _s, _c, _now: bool(schedule.problems), Wait.NOT_CONFIGURED),
    (lambda schedule, _s, _c, _now: not schedule.enabled or schedule.interval is None, Wait.DISABLED),
    (lambda schedule, _s, _c, _now: not schedule.active, Wait.INACTIVE),
    (lambda schedule, _s, _c, now: schedule.suspended(now), Wait.SUSPENDED),
    (lambda _schedule, s, _c, now: s.lease.held(now), Wait.RUNNING),
    (lambda schedule, _s, _c, now: not schedule.windows.open(now), Wait.WINDOW),
    (lambda _schedule, s, c, now: s.failures is not None and s.failures.holds_back(now, c), Wait.BACKING_OFF),
)
"""The first rule that holds says what a fabric waits for."""


def _moments(
    fabric: str, schedule: Schedule, standing: Standing, end: datetime, is_late: bool
) -> Iterator[tuple[Cause, datetime]]:
    """The last moments until `end` for which the fabric is due, each with its cause."""
    interval = schedule.interval or CATCH_UP
    last, failures = standing.last_attempt, standing.failures
    closer = slot_before(fabric, min(interval, CATCH_UP), end)
    if last is None:
        yield from ((Cause.FIRST, moment) for moment in (schedule.since, closer) if moment is not None)
    if failures is not None and failures.retry_at is None and schedule.since is not None:
        yield Cause.CHANGED, schedule.since
    if failures is not None and failures.retry_at is not None:
        yield Cause.RETRY, failures.retry_at
    if is_late:
        yield Cause.LATE, closer
    opened = schedule.windows.opening(end)
    if opened is not None and (last is None or opened - last > interval):
        yield Cause.OPENED, opened
    slot = slot_before(fabric, interval, end)
    if last is None or last < slot:
        yield Cause.SLOT, slot


def _floor(at: datetime, tick: timedelta) -> datetime:
    """The moment up to which the tick at `at` looks: ticks share the time among them, whenever exactly they come."""
    seconds = tick.total_seconds()
    return datetime.fromtimestamp(math.floor(at.timestamp() / seconds) * seconds, UTC)
