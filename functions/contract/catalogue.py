"""The types of events: one table of their names, what each is for, where it is published and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .errors import UnknownTypeError, UnknownVersionError
from .types import DriftDetected, Event, StatusChanged, SyncEnded, SyncRequest, SyncStarted
from .values import Result

PREFIX: Final = "io.fabric-sync."
VERSION: Final = ".v1"
"""A version tells what a reader must understand: within it fields are added, and none is taken away or redefined."""


class Channel(StrEnum):
    """Where events of a type are published: the names of the topics, unless they are set otherwise."""

    REQUESTS = "fabric-sync-requests"  # what is asked of this system
    OUTCOMES = "fabric-sync-outcomes"  # what this system tells


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event. `short` is its name without prefix and version; `result` is that of an outcome."""

    short: str
    model: type[Event]
    channel: Channel
    meaning: str
    result: Result | None = None

    @property
    def name(self) -> str:
        """The `type` of the CloudEvent."""
        return f"{PREFIX}{self.short}{VERSION}"


def _ended(result: Result, meaning: str) -> EventType:
    return EventType(f"sync.{result}", SyncEnded, Channel.OUTCOMES, meaning, result)


TYPES: Final = (
    EventType("sync.requested", SyncRequest, Channel.REQUESTS, "somebody asks for a run"),
    EventType("sync.started", SyncStarted, Channel.OUTCOMES, "a run began"),
    _ended(Result.SUCCEEDED, "a run read everything, wrote everything, and left nothing to do"),
    _ended(Result.CONTINUED, "a run came to its deadline with progress made; the next request is published"),
    _ended(Result.INCOMPLETE, "a run ended, and something could not be read, was refused or held"),
    _ended(Result.FAILED, "an error ended a run"),
    _ended(Result.TIMED_OUT, "a run came to its deadline without progress"),
    _ended(Result.SKIPPED, "a request was taken, and nothing was tried"),
    EventType("drift.detected", DriftDetected, Channel.OUTCOMES, "people edited in NetBox what the fabric owns"),
    EventType("fabric.status_changed", StatusChanged, Channel.OUTCOMES, "a fabric's status changed, or its being late"),
)

_BY_NAME: Final = {each.name: each for each in TYPES}
_BY_MODEL: Final = {(each.model, each.result): each for each in TYPES}

REQUESTED: Final = TYPES[0].name


def type_named(name: str) -> EventType:
    """The type of that name; raises `UnknownTypeError` or `UnknownVersionError`, which say what is understood."""
    if found := _BY_NAME.get(name):
        return found
    before, dot, version = name.rpartition(".v")
    if dot and version.isdecimal() and (known := _BY_NAME.get(before + VERSION)):
        raise UnknownVersionError(
            f"the event's type {name[:100]!r} is not understood: of {known.short} it is {known.name}"
        )
    every = ", ".join(each.name for each in TYPES)
    raise UnknownTypeError(f"the event's type {name[:100]!r} is not understood: known are {every}")


def type_of(event: Event) -> EventType:
    """The type of an event."""
    return _BY_MODEL[type(event), event.result if isinstance(event, SyncEnded) else None]
