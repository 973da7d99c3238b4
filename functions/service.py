"""Serves sync requests: each in a child process behind a hard wall, each ending in one outcome that is published."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

from functions.children import SYNC
from functions.contract import ContractError
from functions.contract.objects import write_object
from functions.errors import Code, Problem, Side
from functions.events import (
    SyncRequest,
    drift_message,
    follow_up,
    outcome_message,
    request_message,
    started_message,
    status_message,
)
from functions.problems import problem_of
from infra.deadline import Deadline, DeadlineExceeded
from infra.once import once
from infra.pubsub import Message, Publisher, PublishError, open_publisher
from infra.secrets import SecretStore, open_secrets
from infra.settings import Settings
from infra.supervisor import Ended, Supervisor
from infra.telemetry import bound, fields

log = logging.getLogger(__name__)

WALL_SHARE: Final = 0.35
"""The share of the reserve that is left when the child is killed: its parent then records and publishes for it."""
CHILD_SHARE: Final = 0.4
"""The share of the reserve that is left when the child ought to have ended by itself."""
RECORD_SHARE: Final = 0.5
"""The share of the time left after the wall in which NetBox is told; the rest is for publishing."""
STARTED_SECONDS: Final = 1.0
"""How long the telling of a beginning may take: nobody depends on it."""

_UNREADABLE: Final[Mapping[str, Any]] = {
    "result": "failed",
    "reasons": [],
    "kinds": {},
    "objects": {},
    "refused": [],
    "put_back": [],
    "adopted": [],
    "unconfirmed": 0,
    "left": 0,
}
"""What an outcome that nobody could read is published with in place of its details."""

type Step = Callable[[Mapping[str, Any]], None]
"""Hears a step of a run as it happens: its name (`step`) and facts."""


def _unheard(step: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Served:
    """How a request was served: the outcome's JSON, and the error that kept it from being published.

    `running`: it is a second delivery, and the first is still being served; nothing was published, ask again later.
    """

    outcome: Mapping[str, Any]
    running: bool = False
    unpublished: Problem | None = None


class SyncService:
    """Serves one request at a time or several; between two it keeps the fork server and the channel to Pub/Sub."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.secrets: SecretStore = open_secrets(settings.secrets or "", settings.secret_prefix)
        self.supervisor = Supervisor(("functions.work",), settings.memory_mib * 2**20)

    @once
    def publisher(self) -> Publisher:
        """The channel to Pub/Sub, opened at the first use and kept while the instance is warm."""
        return open_publisher(self.settings.project or "local", broker_url=self.settings.broker_url or "")

    def serve(self, request: SyncRequest, deadline: Deadline, on_step: Step = _unheard) -> Served:
        """Sync the fabric, and publish what came of it, by the deadline; never raises for what the work does."""
        started_at = datetime.now(UTC)
        names = {"fabric": request.fabric, "event_id": request.id, "correlation_id": request.correlation_id}
        # Beside the run: when one has died there is no time to load what speaks for it.
        threading.Thread(target=import_module, args=("functions.aftermath",), name="aftermath", daemon=True).start()
        with bound(**names, deadline=deadline.reporting()):
            log.info(
                "sync of %s requested by %s, attempt %d",
                request.fabric,
                request.trigger,
                request.attempt,
                extra=fields(step="requested", attempt=request.attempt),
            )
            answer = self._work(request, deadline, started_at, on_step)
            if answer["running"]:
                log.info("the first delivery of this request still runs")
                return Served(answer["outcome"], running=True)
            return self.publish(request, answer["outcome"], answer["announcements"], deadline)

    def _work(self, request: SyncRequest, deadline: Deadline, started_at: datetime, on_step: Step) -> Mapping[str, Any]:
        run_id = str(uuid.uuid4())
        reserve = deadline.reserve
        argument = {
            "request": write_object(request),
            "id": request.id,
            "run": run_id,
            "started_at": started_at.isoformat(),
            "ends_at": deadline.ends_at - reserve * CHILD_SHARE,
            "reserve_s": reserve * (1 - CHILD_SHARE),
            "length_s": deadline.length,
        }

        def hear(step: Mapping[str, Any]) -> None:
            if step.get("step") == "started":
                self._tell_started(request, started_at, deadline)
            on_step(step)

        wall = Deadline(deadline.ends_at - reserve * WALL_SHARE)
        ended = self.supervisor.run(SYNC, argument, wall, hear)
        if ended.result is not None:
            return ended.result
        log.error("the run's process left no outcome: %s", ended.text, extra=fields(end=ended.end, trace=ended.trace))
        outcome, announcements = self._speak_for(ended, request, run_id, deadline, started_at)
        return {"outcome": outcome, "running": False, "announcements": announcements}

    def _speak_for(
        self, ended: Ended, request: SyncRequest, run_id: str, deadline: Deadline, started_at: datetime
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        from functions.aftermath import told_for

        reporting = deadline.reporting()
        seconds = max(0.05, reporting.left() * RECORD_SHARE)
        outcome, announcements = told_for(
            ended, request, run_id, self.settings, self.secrets, reporting, started_at, seconds
        )
        return outcome.as_dict(), announcements

    def _tell_started(self, request: SyncRequest, started_at: datetime, deadline: Deadline) -> None:
        message = started_message(request, started_at, deadline.length)
        try:
            self.publisher.publish(self.settings.topic_outcomes, message, deadline.within(STARTED_SECONDS))
        except (PublishError, DeadlineExceeded) as failed:
            log.warning("that the sync of %s began could not be published: %s", request.fabric, failed)

    def publish(
        self, request: SyncRequest, outcome: Mapping[str, Any], told: Mapping[str, Any], deadline: Deadline
    ) -> Served:
        """Publish the outcome, and where the work goes on, the request to do so; know that both were kept."""
        error, result = outcome["error"], outcome["result"]
        text = error["text"] if error else "; ".join(outcome["reasons"][:3])
        log.log(
            logging.INFO if result in ("succeeded", "continued") else logging.WARNING,
            "sync of %s %s after %.1f s: %d written%s",
            request.fabric,
            result,
            outcome["duration_s"],
            outcome["written"],
            f": {text}" if text else "",
            extra=fields(outcome=outcome),
        )
        try:
            try:
                messages = self._messages(request, outcome, told)
            except ContractError as wrong:
                # A fault of ours must end in an outcome, too: one that anybody can read.
                log.exception("the outcome of %s does not keep the contract", request.fabric)
                outcome = {**outcome, **_UNREADABLE, "error": Problem(Code.INTERNAL, str(wrong)).as_dict()}
                messages = self._messages(request, outcome, {})
            for topic, message in messages:
                self.publisher.publish(topic, message, deadline.reporting())
        except (PublishError, DeadlineExceeded) as failed:
            log.error("the outcome of %s could not be published: %s", request.fabric, failed)
            return Served(outcome, unpublished=problem_of(failed, Side.EVENTS))
        return Served(outcome)

    def _messages(
        self, request: SyncRequest, outcome: Mapping[str, Any], told: Mapping[str, Any]
    ) -> list[tuple[str, Message]]:
        """What is to be published, by topic: if only a part of it gets through, the work must go on."""
        outcomes = self.settings.topic_outcomes
        messages = [(outcomes, outcome_message(outcome))]
        if outcome["result"] == "continued":
            messages.insert(
                0, (self.settings.topic_requests, request_message(follow_up(request, outcome["plan_left"])))
            )
        finished = datetime.fromisoformat(outcome["finished_at"])
        if drift := told.get("drift"):
            message = drift_message(
                request.fabric,
                request.id,
                drift["objects"],
                finished,
                objects_total=drift["objects_total"],
                fields_total=drift["fields_total"],
            )
            messages.append((outcomes, message))
        if status := told.get("status"):
            message = status_message(
                request.fabric,
                request.id,
                status["before"],
                status["now"],
                late=False,
                since=finished,
                reason=status["reason"],
            )
            messages.append((outcomes, message))
        return messages
