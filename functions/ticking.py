"""The `tick` function behind its entry point: a scheduler's message in any shape, one request for each due fabric."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from functions.errors import Problem, Side, problem_of
from functions.standing import moment
from functions.tick import Report, Tick
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox
from infra.pubsub import Publisher, PublishError, open_publisher
from infra.secrets import SecretError, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound

log = logging.getLogger(__name__)

MOST_BYTES: Final = 64 * 1024
"""A scheduler's message is a few hundred bytes; of a larger one no more is read, and the tick comes all the same."""

STALE_AFTER: Final = timedelta(minutes=10)
"""The age at which a tick is of no use any more: whoever it would have requested is found late by those after it."""

EARLY: Final = timedelta(minutes=5)
"""How far clocks may differ before a tick from the future is taken for one of now."""

JSON: Final = {"Content-Type": "application/json"}

_TIMES: Final = ("x-cloudscheduler-scheduletime", "ce-time", "x-goog-pubsub-publish-time")
"""Headers that tell when a tick was to come: of Cloud Scheduler over HTTP, a CloudEvent, an unwrapped push."""


class TickHandler:
    """Answers a scheduler's messages, whatever they hold: that one comes is the message. Status 200, or 503 when not
    every fabric could be looked at and requested: the same tick then comes again, and requests the same."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def publisher(self) -> Publisher:
        """The channel to Pub/Sub, opened at the first use and kept while the instance is warm."""
        return open_publisher(self.settings.project or "local", broker_url=self.settings.broker_url or "")

    def answer(
        self, headers: Mapping[str, str], read: Callable[[int], bytes], length: int | None
    ) -> tuple[str, int, dict[str, str]]:
        """The HTTP answer to one message."""
        deadline = Deadline.after(self.settings.deadline_s, reserve=self.settings.reserve_s)
        now = datetime.now(UTC)
        at = scheduled_at(headers, read(MOST_BYTES), now)
        if now - at > STALE_AFTER:
            log.warning("a tick of %s came at %s: too late to be of use", at.isoformat(), now.isoformat())
            return json.dumps({"at": at.isoformat(), "stale": True}), 200, JSON
        with bound(deadline=deadline.reporting()):
            report = self.tick(at, deadline)
        return json.dumps(report.as_dict()), 200 if report.whole else 503, JSON

    def tick(self, at: datetime, deadline: Deadline) -> Report:
        """Serve the tick that was to come at `at`; never raises for what the world does."""
        settings = self.settings
        try:
            token = read_netbox_token(settings, deadline)
            publisher = self.publisher
        except (SecretError, DeadlineExceeded, PublishError) as error:
            return _failed(at, problem_of(error, Side.EVENTS if isinstance(error, PublishError) else Side.CONFIG))
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        with NetBox(settings.netbox_url, token.reveal(), deadline, ca_file=ca_file) as netbox:
            every = timedelta(seconds=settings.tick_s)
            topics = settings.topic_requests, settings.topic_outcomes
            return Tick(netbox, publisher, *topics, deadline, at, every).run()

    def close(self) -> None:
        """Give the channel to Pub/Sub back."""
        if "publisher" in self.__dict__:
            self.publisher.close()


def scheduled_at(headers: Mapping[str, str], body: bytes, now: datetime) -> datetime:
    """When a tick was to come: by the scheduler, else by when its message was published, else `now`."""
    lower = {name.lower(): value for name, value in headers.items()}
    told = [lower[name] for name in _TIMES if name in lower] + _times_of(body)
    found = next((at for at in map(moment, told) if at is not None), now)
    return now if found - now > EARLY else found.astimezone(UTC)


def _times_of(body: bytes) -> list[Any]:
    """The times that stand in a body: of a structured CloudEvent, or of a wrapped push and the event in it."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(content, Mapping):
        return []
    message = content.get("message")
    if not isinstance(message, Mapping):
        return [content.get("time")]
    attributes = message.get("attributes")
    own = attributes.get("ce-time") if isinstance(attributes, Mapping) else None
    return [own, message.get("publishTime") or message.get("publish_time")]


def _failed(at: datetime, problem: Problem) -> Report:
    log.error("the tick of %s failed: %s", at.isoformat(), problem.text)
    return Report(at, problem=problem)
