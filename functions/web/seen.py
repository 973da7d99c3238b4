"""Pure: a fabric as programs and people see it, from its cluster in NetBox and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from functions import registry
from functions.errors import NATURES, SyncStopped
from functions.schedule import facts_of, schedule_of
from functions.standing import End, Standing, standing_of
from functions.status import Connection, Status, late, status


def seen(row: Mapping[str, Any], netbox_url: str, now: datetime, tick: timedelta) -> dict[str, Any]:
    """A fabric as JSON: status, what is recorded of its runs, and where to look in NetBox.

    `tick` is how often the scheduler looks.
    """
    schedule = schedule_of(row, _unfit(row))
    standing, name = standing_of(row.get("custom_fields") or {}), str(row.get("name"))
    facts, suspended = facts_of(schedule, standing, now, tick), schedule.suspended(now)
    lease = standing.lease
    running = lease.held(now)
    return {
        "fabric": name,
        "site": (row.get("scope") or {}).get("slug") if isinstance(row.get("scope"), Mapping) else None,
        "status": status(facts, standing, now).value,
        "late": late(facts, standing, now),
        "connection": standing.connection if standing.connection in set(Connection) else Connection.UNKNOWN.value,
        "configured": facts.configured,
        "missing": "; ".join(schedule.problems),
        "enabled": schedule.enabled,
        "suspended_until": _text(schedule.suspended_until) if suspended else None,
        "suspend_reason": schedule.suspend_reason if suspended else "",
        "last_result": standing.result.value if standing.result else None,
        "result_since": _text(standing.result_since),
        "last_attempt": _text(standing.last_attempt),
        "last_success": _text(standing.last_success),
        "error": standing.error,
        "running": {
            "request_id": lease.request,
            "trigger": lease.trigger,
            "since": _text(lease.since),
            "until": _text(lease.until),
            "status_url": request_path(name, lease.request or ""),
        }
        if running
        else None,
        "failures": _failures(standing),
        "last_run": dict(standing.last_run),
        "ends": [_end(name, end) for end in standing.ends],
        "links": links(row, netbox_url),
    }


def request_path(fabric: str, request_id: str) -> str:
    """Where the state of a request is told; "/" and what else a path cannot hold is quoted."""
    return f"/fabrics/{quote(fabric, safe='')}/requests/{quote(request_id, safe='')}"


def request_state(row: Mapping[str, Any], request_id: str, now: datetime) -> dict[str, Any]:
    """What is known of one request: `running`, `ended` (with its end), or `unknown`: it waits, or is long forgotten."""
    standing, name = standing_of(row.get("custom_fields") or {}), str(row.get("name"))
    told: dict[str, Any] = {"fabric": name, "request_id": request_id, "state": "unknown", "end": None, "until": None}
    if (end := standing.ended(request_id)) is not None:
        return {**told, "state": "ended", "end": _end(name, end)}
    if standing.lease.held(now) and standing.lease.request == request_id:
        return {**told, "state": "running", "until": _text(standing.lease.until)}
    return told


def links(row: Mapping[str, Any], netbox_url: str) -> dict[str, str]:
    """Where people find a fabric's things in NetBox."""
    cluster = f"{netbox_url}/virtualization/clusters/{int(row['id'])}/"
    return {
        "cluster": cluster,
        "devices": f"{netbox_url}/dcim/devices/?cluster_id={int(row['id'])}",
        "journal": f"{cluster}journal/",
        "changelog": f"{cluster}changelog/",
    }


def _unfit(row: Mapping[str, Any]) -> str | None:
    try:
        registry.fabric_of(dict(row))
    except SyncStopped as stopped:
        return stopped.problem.text
    return None


def _failures(standing: Standing) -> dict[str, Any] | None:
    failures = standing.failures
    if failures is None:
        return None
    retry_at = _text(failures.retry_at)
    return {"count": failures.count, "code": failures.code, "retry_at": retry_at}


def _end(fabric: str, end: End) -> dict[str, Any]:
    hint = next((nature.hint for code, nature in NATURES.items() if code.value == end.code), None)
    return {
        "request_id": end.request,
        "result": end.result.value,
        "finished_at": _text(end.finished_at),
        "duration_s": end.duration_s,
        "written": end.written,
        "trigger": end.trigger,
        "requested_by": end.requested_by,
        "attempt": end.attempt,
        "correlation_id": end.correlation,
        "code": end.code,
        "hint": hint,
    }


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


WORDS: Final[Mapping[Status, str]] = {
    Status.NOT_CONFIGURED: "not configured",
    Status.DISABLED: "switched off",
    Status.SYNCING: "syncing",
    Status.NEVER_SYNCED: "never synced",
    Status.ERROR: "error",
    Status.OUT_OF_SYNC: "out of sync",
    Status.IN_SYNC: "in sync",
}
"""Status → what people read; a colour goes with it, and never alone."""


def age(text: str | None, now: datetime) -> str:
    """How long ago a time in RFC 3339 was, in words."""
    if not text:
        return "never"
    seconds = (now - datetime.fromisoformat(text)).total_seconds()
    if seconds < 0:
        return "in the future"
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return f"{int(seconds)} s ago"
