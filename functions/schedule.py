"""Pure: when people want a fabric to be synced, read from its cluster in NetBox; what makes no sense is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from functions.fields import INTERVAL, SUSPEND_REASON, SUSPENDED_UNTIL, WINDOWS
from functions.moments import moment
from functions.standing import Standing
from functions.status import Facts
from functions.windows import BadWindowsError, Windows, read_windows

USUAL_INTERVAL: Final = timedelta(seconds=300)
SHORTEST: Final = timedelta(seconds=60)
LONGEST: Final = timedelta(seconds=86400)

SYNCED_STATUSES: Final = frozenset({"active", "staging"})
"""The statuses of a cluster in NetBox in which its fabric is synced by itself: it is there, or about to be."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a fabric is to be synced. `interval` is None where it is never due by itself (`fabric_interval` 0).

    `suspended_until` is there only with the time at which the suspension ends by itself; `since` is when the cluster
    was last changed; `problems` are settings that make no sense: then it is not synced, and says so.
    """

    interval: timedelta | None = USUAL_INTERVAL
    windows: Windows = field(default_factory=Windows)
    enabled: bool = True
    cluster_status: str = "active"
    suspended_until: datetime | None = None
    suspend_reason: str = ""
    since: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether its cluster is in a status in which fabrics are synced."""
        return self.cluster_status in SYNCED_STATUSES

    def suspended(self, now: datetime) -> bool:
        """Whether people suspended it, for a time that is not over yet."""
        return self.suspended_until is not None and now < self.suspended_until


def schedule_of(row: Mapping[str, Any], unfit: str | None = None) -> Schedule:
    """The schedule that a cluster configures; `unfit` is what else is wrong with it. Never raises."""
    custom = row.get("custom_fields") or {}
    status = row.get("status")
    problems = [unfit] if unfit else []
    interval, windows = _interval(custom.get(INTERVAL), problems), _windows(custom.get(WINDOWS), problems)
    until = custom.get(SUSPENDED_UNTIL)
    if until and moment(until) is None:
        problems.append(f"{SUSPENDED_UNTIL} {str(until)[:40]!r} is not a time with its zone")
    return Schedule(
        interval=interval,
        windows=windows,
        enabled=custom.get("fabric_enabled") is not False,
        cluster_status=str(status.get("value") if isinstance(status, Mapping) else status or "active"),
        suspended_until=moment(until),
        suspend_reason=str(custom.get(SUSPEND_REASON) or ""),
        since=moment(row.get("last_updated")),
        problems=tuple(problems),
    )


def facts_of(schedule: Schedule, standing: Standing, now: datetime, tick: timedelta) -> Facts:
    """What the fabric's status depends on. It cannot be late while nobody may sync it."""
    waits = not schedule.active or schedule.suspended(now) or not schedule.windows.open(now)
    began = [standing.last_attempt or schedule.since, schedule.windows.opening(now), schedule.suspended_until]
    return Facts(
        configured=not schedule.problems,
        enabled=schedule.enabled and schedule.active and not schedule.suspended(now),
        interval=None if waits else schedule.interval,
        since=max((at for at in began if at is not None), default=None),
        tick=tick,
    )


def _interval(given: Any, problems: list[str]) -> timedelta | None:
    if given is None:
        return USUAL_INTERVAL
    if given == 0:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not SHORTEST <= timedelta(seconds=given) <= LONGEST:
        problems.append(f"{INTERVAL} {str(given)[:40]} is not 0 (off), nor from 60 to 86400 seconds")
        return USUAL_INTERVAL
    return timedelta(seconds=given)


def _windows(given: Any, problems: list[str]) -> Windows:
    try:
        return read_windows(str(given or ""))
    except BadWindowsError as bad:
        problems.append(f"{WINDOWS}: {bad}")
        return Windows()
