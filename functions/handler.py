"""The `sync` function behind its entry point: one HTTP request in, one fabric synced, one outcome event out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from functions.errors import Code, Problem
from functions.events import MOST_BYTES, BadRequestError, SyncRequest, sync_request, too_large
from functions.outcome import Outcome, Result
from functions.service import Served, SyncService
from infra.deadline import Deadline
from infra.settings import Settings
from infra.telemetry import fields

log = logging.getLogger(__name__)

JSON = {"Content-Type": "application/json"}
type Answer = tuple[str, int, dict[str, str]]
type Read = Callable[[int], bytes]
"""Reads at most so many bytes of a request's body."""


class SyncHandler:
    """Answers sync requests that come as events.

    A request that can never be served (not JSON, an unknown fabric, the wrong type, too large) is answered with 200,
    so that it is not delivered again, and with a `failed` outcome where its fabric can be named. The answer is 503
    when the outcome could not be published, or while the first delivery of the request still runs: it then comes
    again, and finds the work done.
    """

    def __init__(self, settings: Settings) -> None:
        self.service = SyncService(settings)

    def answer(self, headers: Mapping[str, str], read: Read, length: int | None) -> Answer:
        """The HTTP answer to one request: status 200 with the outcome, or 503."""
        started_at, deadline = datetime.now(UTC), self.service.settings.deadline()
        self.service.supervisor.prewarm()
        try:
            request = sync_request(headers, _body(headers, read, length))
        except BadRequestError as bad:
            return self._refuse(bad, deadline, started_at)
        return _told(self.service.serve(request, deadline))

    def _refuse(self, bad: BadRequestError, deadline: Deadline, started_at: datetime) -> Answer:
        log.error("refused a request: %s", bad, extra=fields(fabric=bad.fabric, event_id=bad.id))
        problem = Problem(Code.BAD_REQUEST, str(bad))
        if bad.fabric is None:
            return json.dumps({"result": Result.FAILED.value, "error": problem.as_dict()}), 200, JSON
        request = SyncRequest(bad.fabric, bad.id, bad.id, trigger="unknown")
        outcome = Outcome(
            fabric=bad.fabric,
            result=Result.FAILED,
            request_id=bad.id,
            correlation_id=bad.id,
            attempt=1,
            trigger="unknown",
            started_at=started_at,
            finished_at=datetime.now(UTC),
            deadline_s=round(deadline.length, 3),
            netbox_requests=0,
            problem=problem,
        )
        return _told(self.service.publish(request, outcome.as_dict(), {}, deadline))


def _told(served: Served) -> Answer:
    if served.running:
        return json.dumps({"running": True}), 503, {**JSON, "Retry-After": "10"}
    if served.unpublished is not None:
        return json.dumps({**served.outcome, "publish_error": served.unpublished.as_dict()}), 503, JSON
    return json.dumps(served.outcome), 200, JSON


def _body(headers: Mapping[str, str], read: Read, length: int | None) -> bytes:
    """The request's body, never more than one byte above what is allowed (so that too much can be seen)."""
    if length is not None and length > MOST_BYTES:
        raise too_large(headers, length)
    return read(MOST_BYTES + 1)
