"""The `tick` function behind its entry point: a scheduler's message in any shape, one request for each due fabric."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.moments import moment
from infra.once import once
from infra.settings import Settings
from infra.telemetry import bound

if TYPE_CHECKING:
    from functions.ticks import Ticks

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

    def answer(
        self, headers: Mapping[str, str], read: Callable[[int], bytes], length: int | None
    ) -> tuple[str, int, dict[str, str]]:
        """The HTTP answer to one message."""
        deadline = self.settings.deadline()
        now = datetime.now(UTC)
        at = scheduled_at(headers, read(MOST_BYTES), now)
        if now - at > STALE_AFTER:
            log.warning("a tick of %s came at %s: too late to be of use", at.isoformat(), now.isoformat())
            return json.dumps({"at": at.isoformat(), "stale": True}), 200, JSON
        with bound(deadline=deadline.reporting()):
            report = self._ticks.tick(at, deadline)
        return json.dumps(report.as_dict()), 200 if report.whole else 503, JSON

    @once
    def _ticks(self) -> Ticks:
        # Loaded by the first tick that is served: no start waits for doors that it does not go through.
        from functions.ticks import Ticks

        return Ticks(self.settings)


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
