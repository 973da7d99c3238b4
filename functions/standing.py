"""What is recorded of a fabric on its cluster: its lease, its runs, its failures. Statuses derive from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from functions.moments import moment
from functions.outcome import Outcome, Result
from functions.retrying import Failures

LEASE: Final = "fabric_lease"
STATE: Final = "fabric_state"
LAST_ATTEMPT: Final = "fabric_last_attempt"
LAST_SUCCESS: Final = "fabric_last_success"
LAST_RUN: Final = "fabric_last_run"
CONNECTION: Final = "fabric_connection"
RESULT: Final = "fabric_result"
RESULT_SINCE: Final = "fabric_result_since"
ERROR: Final = "fabric_error"

MOST_ENDS: Final = 8
"""Runs that are remembered with a fabric: enough to know a request that comes again. NetBox copies the whole cluster
into its change log at each write, so little is kept; the history is in the journal."""

RECORD_EVERY: Final = timedelta(minutes=10)
"""How old the last success on a cluster may be before a run that found nothing to do writes that it is so still."""

LONGEST_LEASE: Final = timedelta(seconds=600)
"""No invocation lasts longer (Pub/Sub's longest ack deadline); who claims more had a wrong clock, and holds nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write for a fabric. `holder` is a run's id (None: nobody), `request` the request it serves.

    `number` grows with every holder: by it a run knows whether it still is the one (a fencing token).
    """

    number: int = 0
    holder: str | None = None
    request: str | None = None
    trigger: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def held(self, now: datetime) -> bool:
        """Whether somebody holds it at `now`; an expired lease belongs to nobody."""
        if self.holder is None or self.until is None:
            return False
        return now < self.until <= now + LONGEST_LEASE

    def abandoned(self, now: datetime) -> bool:
        """Whether its holder ended without a word."""
        return self.holder is not None and not self.held(now)

    def as_json(self) -> dict[str, Any]:
        """The lease as its custom field holds it."""
        names = ("number", "holder", "request", "trigger")
        return {name: getattr(self, name) for name in names} | {
            name: _text(moment) for name, moment in (("since", self.since), ("until", self.until))
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of runs that is under way: its correlation id, and the attempt that is to come."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class End:
    """One run that ended, as it is remembered: what a request that comes again is answered with."""

    request: str
    result: Result
    finished_at: datetime
    correlation: str = ""
    attempt: int = 1
    trigger: str = ""
    requested_by: str | None = None
    duration_s: float = 0.0
    written: int = 0
    code: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The run in few bytes: what is as usual is left out."""
        return {
            name: value
            for name, value in (
                ("request", self.request),
                ("result", self.result.value),
                ("at", _text(self.finished_at)),
                ("chain", self.correlation if self.correlation != self.request else None),
                ("attempt", self.attempt if self.attempt > 1 else None),
                ("trigger", self.trigger),
                ("by", self.requested_by),
                ("s", round(self.duration_s, 1)),
                ("written", self.written or None),
                ("code", self.code),
            )
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is recorded of a fabric. Times are UTC; `synced_from` is when the last successful run began to read.

    `late_told` is when it was told that the fabric is late; None while it is not.
    """

    lease: Lease = field(default_factory=Lease)
    chain: Chain | None = None
    failures: Failures | None = None
    stalled: int = 0
    ends: tuple[End, ...] = ()
    last_attempt: datetime | None = None
    last_success: datetime | None = None
    synced_from: datetime | None = None
    result: Result | None = None
    result_since: datetime | None = None
    error: str = ""
    connection: str | None = None
    last_run: Mapping[str, Any] = field(default_factory=dict)
    late_told: datetime | None = None

    def ended(self, request: str) -> End | None:
        """How the run for a request ended, if it is remembered."""
        return next((end for end in self.ends if end.request == request), None)


def standing_of(custom: Mapping[str, Any]) -> Standing:
    """What a cluster's custom fields record; what cannot be read (people may edit it) is as if it had never been."""
    state = _mapping(custom.get(STATE))
    chain = _mapping(state.get("chain"))
    return Standing(
        lease=_lease(_mapping(custom.get(LEASE))),
        chain=Chain(str(chain["id"]), _count(chain.get("attempt"), 2)) if chain.get("id") else None,
        failures=Failures.from_json(state.get("failures")),
        stalled=_count(state.get("stalled"), 0),
        ends=tuple(end for end in map(_end, _list(state.get("ends"))) if end is not None),
        last_attempt=moment(custom.get(LAST_ATTEMPT)),
        last_success=moment(custom.get(LAST_SUCCESS)),
        synced_from=moment(state.get("synced_from")),
        result=_result(custom.get(RESULT)),
        result_since=moment(custom.get(RESULT_SINCE)),
        error=str(custom.get(ERROR) or ""),
        connection=_string(custom.get(CONNECTION)),
        last_run=_mapping(custom.get(LAST_RUN)),
        late_told=moment(state.get("late_told")),
    )


def fields_of(standing: Standing) -> dict[str, Any]:
    """The custom fields that record it."""
    chain, failures = standing.chain, standing.failures
    return {
        LEASE: standing.lease.as_json(),
        STATE: {
            "chain": {"id": chain.id, "attempt": chain.attempt} if chain else None,
            "failures": failures.as_json() if failures else None,
            "stalled": standing.stalled,
            "synced_from": _text(standing.synced_from),
            "ends": [end.as_json() for end in standing.ends],
            "late_told": _text(standing.late_told),
        },
        LAST_ATTEMPT: _text(standing.last_attempt),
        LAST_SUCCESS: _text(standing.last_success),
        LAST_RUN: dict(standing.last_run) or None,
        CONNECTION: standing.connection or "",
        RESULT: standing.result.value if standing.result else "",
        RESULT_SINCE: _text(standing.result_since),
        ERROR: standing.error,
    }


def remembered(standing: Standing, outcome: Outcome, requested_by: str | None) -> Standing:
    """The standing with one more run that ended; the oldest are forgotten."""
    end = End(
        request=outcome.request_id,
        result=outcome.result,
        finished_at=outcome.finished_at,
        correlation=outcome.correlation_id,
        attempt=outcome.attempt,
        trigger=outcome.trigger,
        requested_by=requested_by,
        duration_s=(outcome.finished_at - outcome.started_at).total_seconds(),
        written=outcome.written,
        code=outcome.problem.code.value if outcome.problem else None,
    )
    return replace(standing, ends=(end, *(e for e in standing.ends if e.request != end.request))[:MOST_ENDS])


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None


def _lease(row: Mapping[str, Any]) -> Lease:
    return Lease(
        number=_count(row.get("number"), 0),
        holder=_string(row.get("holder")),
        request=_string(row.get("request")),
        trigger=_string(row.get("trigger")),
        since=moment(row.get("since")),
        until=moment(row.get("until")),
    )


def _end(row: Any) -> End | None:
    row = _mapping(row)
    at, result = moment(row.get("at")), _result(row.get("result"))
    if at is None or result is None or not isinstance(row.get("request"), str):
        return None
    return End(
        request=row["request"],
        result=result,
        finished_at=at,
        correlation=_string(row.get("chain")) or row["request"],
        attempt=_count(row.get("attempt"), 1),
        trigger=_string(row.get("trigger")) or "",
        requested_by=_string(row.get("by")),
        duration_s=row["s"] if isinstance(row.get("s"), int | float) else 0.0,
        written=_count(row.get("written"), 0),
        code=_string(row.get("code")),
    )


def _result(value: Any) -> Result | None:
    return next((result for result in Result if result.value == value), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any, usual: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else usual
