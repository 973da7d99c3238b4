"""The `sync` function behind its entry point: one HTTP request in, one fabric synced, one outcome event out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property

from functions.ending import outcome_of
from functions.errors import Code, Problem, Side, problem_of
from functions.events import (
    MOST_BYTES,
    BadRequestError,
    SyncRequest,
    follow_up,
    outcome_message,
    request_message,
    sync_request,
    too_large,
)
from functions.outcome import Facts, Outcome, Result
from functions.sync import Run, sync
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox
from infra.pubsub import Publisher, PublishError, open_publisher
from infra.secrets import SecretError, SecretStore, open_secrets, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, fields

log = logging.getLogger(__name__)

JSON = {"Content-Type": "application/json"}
type Answer = tuple[str, int, dict[str, str]]
type Read = Callable[[int], bytes]
"""Reads at most so many bytes of a request's body."""


class SyncHandler:
    """Answers sync requests, one at a time; between two of them it keeps nothing but the channel to Pub/Sub.

    A request that can never be served (not JSON, an unknown fabric, the wrong type, too large) is answered with 200,
    so that it is not delivered again, and with a `failed` outcome where its fabric can be named. Only when the
    outcome could not be published is the answer 503: the request then comes again, and finds the work done.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.secrets: SecretStore = open_secrets(settings.secrets or "", settings.secret_prefix)

    @cached_property
    def publisher(self) -> Publisher:
        """The channel to Pub/Sub, opened at the first use and kept while the instance is warm."""
        return open_publisher(self.settings.project or "local", broker_url=self.settings.broker_url or "")

    def answer(self, headers: Mapping[str, str], read: Read, length: int | None) -> Answer:
        """The HTTP answer to one request: status 200 with the outcome, or 503 when it could not be published."""
        started_at = datetime.now(UTC)
        deadline = Deadline.after(self.settings.deadline_s, reserve=self.settings.reserve_s)
        try:
            request = sync_request(headers, _body(headers, read, length))
        except BadRequestError as bad:
            return self._refuse(bad, deadline, started_at)
        names = {"fabric": request.fabric, "event_id": request.id, "correlation_id": request.correlation_id}
        with bound(**names, deadline=deadline.reporting()):
            log.info(
                "sync of %s requested by %s, attempt %d",
                request.fabric,
                request.trigger,
                request.attempt,
                extra=fields(step="requested", attempt=request.attempt),
            )
            run = Run(request, self.secrets, deadline, self.settings.batch, listen=_log_step)
            outcome = self._sync(run, started_at)
            return self._report(outcome, request, deadline)

    def _sync(self, run: Run, started_at: datetime) -> Outcome:
        try:
            token = read_netbox_token(self.settings, run.deadline)
        except (SecretError, DeadlineExceeded) as error:
            run.facts = Facts(problem=problem_of(error, Side.CONFIG), timed_out=isinstance(error, DeadlineExceeded))
            return outcome_of(run, started_at, 0)
        ca_file = self.settings.netbox_ca_file
        with NetBox(
            self.settings.netbox_url, token.reveal(), run.deadline, ca_file=str(ca_file) if ca_file else None
        ) as netbox:
            return sync(run, netbox, started_at)

    def _refuse(self, bad: BadRequestError, deadline: Deadline, started_at: datetime) -> Answer:
        log.error("refused a request: %s", bad, extra=fields(fabric=bad.fabric, event_id=bad.id))
        problem = Problem(Code.BAD_REQUEST, str(bad))
        if bad.fabric is None:
            return json.dumps({"result": Result.FAILED.value, "error": problem.as_dict()}), 200, JSON
        request = SyncRequest(bad.fabric, bad.id, bad.id, trigger="unknown")
        run = Run(request, self.secrets, deadline, facts=Facts(problem=problem))
        return self._report(outcome_of(run, started_at, 0), request, deadline)

    def _report(self, outcome: Outcome, request: SyncRequest, deadline: Deadline) -> Answer:
        """Publish the outcome, and where the work goes on, the request to do so; know that both were kept."""
        level = logging.INFO if outcome.result in (Result.SUCCEEDED, Result.CONTINUED) else logging.WARNING
        text = outcome.problem.text if outcome.problem else "; ".join(outcome.reasons[:3])
        log.log(
            level,
            "sync of %s %s after %.1f s: %d written%s",
            outcome.fabric,
            outcome.result,
            (outcome.finished_at - outcome.started_at).total_seconds(),
            outcome.written,
            f": {text}" if text else "",
            extra=fields(outcome=outcome.as_dict()),
        )
        topics = self.settings
        try:
            if outcome.result is Result.CONTINUED:
                # Before the outcome: if only one of the two gets through, the work must go on.
                again = request_message(follow_up(request, outcome.plan_left))
                self.publisher.publish(topics.topic_requests, again, deadline.reporting())
            self.publisher.publish(topics.topic_outcomes, outcome_message(outcome), deadline.reporting())
        except (PublishError, DeadlineExceeded) as failed:
            log.error("the outcome of %s could not be published: %s", outcome.fabric, failed)
            problem = problem_of(failed, Side.EVENTS)
            return json.dumps({**outcome.as_dict(), "publish_error": problem.as_dict()}), 503, JSON
        return json.dumps(outcome.as_dict()), 200, JSON


def _body(headers: Mapping[str, str], read: Read, length: int | None) -> bytes:
    """The request's body, never more than one byte above what is allowed (so that too much can be seen)."""
    if length is not None and length > MOST_BYTES:
        raise too_large(headers, length)
    return read(MOST_BYTES + 1)


def _log_step(step: str, facts: dict[str, object]) -> None:
    log.debug("%s", step, extra=fields(step=step, **facts))
