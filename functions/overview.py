"""Pure: all that is to be said of a fabric at a moment, as JSON: its status and what that derives from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from functions import registry
from functions.due import due
from functions.errors import SyncStopped
from functions.schedule import facts_of, schedule_of
from functions.settle import config_digest
from functions.standing import standing_of
from functions.status import Connection, status


def overview(row: Mapping[str, Any], url: str, now: datetime, tick: timedelta) -> dict[str, Any]:
    """A fabric by its cluster in NetBox (`row`) at `now`; `url` is NetBox's address. Times are UTC, or null."""
    custom, name = row.get("custom_fields") or {}, str(row["name"])
    try:
        registry.fabric_of(dict(row))
        unfit = None
    except SyncStopped as stopped:
        unfit = stopped.problem.text
    schedule, standing = schedule_of(row, unfit), standing_of(custom)
    verdict = due(name, schedule, standing, config_digest(row), now, now, tick)
    naming, failures = custom.get("fabric_naming"), standing.failures
    return {
        "fabric": name,
        "site": (row.get("scope") or {}).get("slug"),
        "secret": custom.get("fabric_secret"),
        "naming": naming["value"] if isinstance(naming, Mapping) else naming,
        "enabled": schedule.enabled,
        "status": status(facts_of(schedule, standing, now, tick), standing, now).value,
        "connection": standing.connection or Connection.UNKNOWN.value,
        "late_s": int(verdict.late.total_seconds()) if verdict.late is not None else None,
        "waits_for": verdict.wait.value if verdict.wait else None,
        "next_due": _text(verdict.next_at),
        "interval_s": int(schedule.interval.total_seconds()) if schedule.interval else 0,
        "suspended_until": _text(schedule.suspended_until) if schedule.suspended(now) else None,
        "suspend_reason": schedule.suspend_reason if schedule.suspended(now) else "",
        "cluster_status": schedule.cluster_status,
        "problems": list(schedule.problems),
        "result": standing.result.value if standing.result else None,
        "since": _text(standing.result_since),
        "last_attempt": _text(standing.last_attempt),
        "last_success": _text(standing.last_success),
        "failures": failures.as_json() if failures else None,
        "error": standing.error,
        "url": f"{url}/virtualization/clusters/{row['id']}/",
    }


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
