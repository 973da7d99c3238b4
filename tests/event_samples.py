"""Events of every type for tests: some that are always the same, and hypothesis strategies for all that can be made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from functions.contract import (
    Adopted,
    Direction,
    DriftDetected,
    Edited,
    Event,
    Failure,
    KindRead,
    Refusal,
    Result,
    Status,
    StatusChanged,
    SyncEnded,
    SyncRequest,
    SyncStarted,
)
from functions.outcome import Outcome
from functions.outcome import Result as Ended
from infra.pubsub import Message

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WANTED = SyncRequest("lab-1", "e-1", "c-1", "manual", "ann", 2)
EDITED = {"model": "interface", "key": "lab-1/Switch/default/leaf#E1/1", "fields": {"mtu": "netbox_edited"}}


def outcome_of(request: SyncRequest, **more: Any) -> Outcome:
    return Outcome(
        fabric=request.fabric,
        result=more.pop("result", Ended.SUCCEEDED),
        request_id=request.id,
        correlation_id=request.correlation_id,
        attempt=request.attempt,
        trigger=request.trigger,
        started_at=NOW,
        finished_at=NOW,
        deadline_s=30.0,
        netbox_requests=3,
        **more,
    )


def unwrapped(message: Message) -> tuple[dict[str, str], bytes]:
    return dict(message.attributes), message.data


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?", fullmatch=True)
printable = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=40)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
digests = st.text("0123456789abcdef", min_size=16, max_size=16)
counts = st.integers(0, 10**12)
attempts = st.integers(1, 1_000_000)
durations = st.integers(0, 10**6) | st.floats(-10, 10**6, allow_nan=False)
zones = st.sampled_from([UTC, *(timezone(timedelta(minutes=minutes)) for minutes in (-720, 345, 840))])
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
asides = st.just({}) | st.dictionaries(texts.map(lambda name: f"x_{name}"), values, max_size=3)
"""Fields that this version does not know."""

failures = st.builds(Failure, code=texts, side=texts, retryable=st.booleans(), text=texts, hint=texts, extra=asides)
kinds_read = st.builds(KindRead, reading=texts, objects=counts, error=st.none() | texts, extra=asides)
refusals = st.builds(Refusal, model=texts, key=texts, text=texts, extra=asides)
edited = st.builds(
    Edited,
    model=texts,
    key=texts,
    fields=st.dictionaries(texts, st.sampled_from(Direction), max_size=3),
    extra=asides,
)
adopted = st.builds(Adopted, model=texts, key=texts, extra=asides)


def some(of: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    """A tuple of a few."""
    return st.lists(of, min_size=least, max_size=3).map(tuple)


def by_name(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Mapping[str, Any]]:
    """A map with a few names."""
    return st.dictionaries(texts, of, max_size=3)


requests = st.builds(
    SyncRequest,
    fabric=names,
    id=printable,
    correlation_id=printable,
    trigger=printable,
    requested_by=st.none() | printable,
    attempt=attempts,
    plan=st.none() | digests,
    requested_at=st.none() | moments,
    force=st.booleans(),
    extra=asides,
)
of_a_run = {
    "fabric": names,
    "request_id": printable,
    "correlation_id": printable,
    "attempt": attempts,
    "trigger": printable,
    "started_at": moments,
    "deadline_s": durations,
    "extra": asides,
}
starts = st.builds(SyncStarted, **of_a_run)
ends = st.builds(
    SyncEnded,
    result=st.sampled_from(Result),
    finished_at=moments,
    duration_s=durations,
    error=st.none() | failures,
    reasons=some(texts),
    reasons_total=counts,
    kinds=by_name(kinds_read),
    objects=by_name(by_name(counts)),
    refused=some(refusals),
    refused_total=counts,
    written=counts,
    unconfirmed=counts,
    left=counts,
    netbox_requests=counts,
    plan_digest=st.none() | texts,
    plan_left=st.none() | texts,
    drift=by_name(counts),
    put_back=some(edited),
    put_back_total=counts,
    adopted=some(adopted),
    adopted_total=counts,
    insecure_tls=st.booleans(),
    **of_a_run,
)
drifts = st.builds(
    DriftDetected,
    fabric=names,
    request_id=printable,
    detected_at=moments,
    objects=some(edited, 1),
    objects_total=counts,
    fields_total=counts,
    extra=asides,
)
statuses = st.builds(
    StatusChanged,
    fabric=names,
    request_id=printable,
    from_=st.sampled_from(Status),
    to=st.sampled_from(Status),
    late=st.booleans(),
    since=moments,
    reason=texts,
    extra=asides,
)
events: st.SearchStrategy[Event] = requests | starts | ends | drifts | statuses
"""Any event that can be made."""
