"""The events as Python types: frozen dataclasses whose fields say what they hold, and how that looks in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from .objects import ObjectOf, Said
from .shapes import Flag, ListOf, MapOf, Moment, Number, OneOf, OrNull
from .values import (
    ATTEMPT,
    COUNT,
    DIGEST,
    FABRIC,
    MOST_OBJECTS,
    SHORT,
    TEXT,
    Direction,
    Result,
    Status,
)

type Aside = Mapping[str, Any]
"""Fields of a JSON object that this contract does not know, as they came."""

_FABRIC = Said(FABRIC, "which fabric")
_REQUEST = Said(SHORT, "the id of the request that was served")
_CHAIN = Said(SHORT, "the same for a chain of continued runs")
_ATTEMPT = Said(ATTEMPT, "which run of its chain this is, from 1")
_TRIGGER = Said(SHORT, "what asked for the run, such as `schedule`, `manual`, `continuation`; others may be added")
_STARTED = Said(Moment(), "when the run began")
_MODEL = Said(TEXT, "the NetBox model, such as `interface`")
_KEY = Said(TEXT, "the object's `fabric_key` in NetBox")


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A request to sync one fabric. The event's id names it: the same id is the same request."""

    fabric: Annotated[
        str, Said(FABRIC, "which fabric; may stand in the attribute `fabric` or the subject instead", filled=True)
    ]
    id: str
    correlation_id: Annotated[
        str, Said(OrNull(SHORT), "the same for a chain of continued runs; the id unless given", filled=True)
    ]
    trigger: Annotated[str, Said(OrNull(SHORT), "what asks: `schedule`, `manual`, `continuation`, …")] = "schedule"
    requested_by: Annotated[str | None, Said(OrNull(SHORT), "who asks")] = None
    attempt: Annotated[int, _ATTEMPT] = 1
    plan: Annotated[
        str | None, Said(OrNull(DIGEST), "the digest of a plan that somebody agreed to: no other is applied")
    ] = None
    requested_at: Annotated[
        datetime | None, Said(OrNull(Moment()), "when it was asked for; the event's time unless given")
    ] = None
    force: Annotated[bool, Said(Flag(), "run although nothing seems to call for it, and trust no earlier run")] = False
    extra: Aside = field(default_factory=dict, hash=False)

    @property
    def time(self) -> datetime | None:
        """The event's time."""
        return self.requested_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStarted:
    """A run began: the request was taken, and will end in one outcome within its deadline."""

    fabric: Annotated[str, _FABRIC]
    request_id: Annotated[str, _REQUEST]
    correlation_id: Annotated[str, _CHAIN]
    attempt: Annotated[int, _ATTEMPT]
    trigger: Annotated[str, _TRIGGER]
    started_at: Annotated[datetime, _STARTED]
    deadline_s: Annotated[float, Said(Number(), "seconds within which the run will have ended")]
    extra: Aside = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """The event's id: one for each request that was taken."""
        return f"{self.request_id}/started"

    @property
    def time(self) -> datetime:
        """The event's time."""
        return self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error of the closed list in `functions/errors.py`."""

    code: Annotated[str, Said(TEXT, "a stable word to act on; others may be added")]
    side: Annotated[str, Said(TEXT, "where it lies: `fabric`, `netbox`, `events`, `config`, `self`")]
    retryable: Annotated[bool, Said(Flag(), "whether the same request may do better later")]
    text: Annotated[str, Said(TEXT, "what happened, to which object")]
    hint: Annotated[str, Said(TEXT, "what a person can do")] = ""
    extra: Aside = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRead:
    """How far one kind of the fabric was read."""

    reading: Annotated[str, Said(TEXT, "`complete`, `absent` (the fabric has no such kind) or `unread`")]
    objects: Annotated[int, Said(COUNT, "how many objects were read")] = 0
    error: Annotated[str | None, Said(OrNull(TEXT), "what was in the way", omitted=True)] = None
    extra: Aside = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An object that NetBox would not take."""

    model: Annotated[str, _MODEL]
    key: Annotated[str, _KEY]
    text: Annotated[str, Said(TEXT, "what NetBox said")]
    extra: Aside = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An object of which people edited fields that the fabric owns."""

    model: Annotated[str, _MODEL]
    key: Annotated[str, _KEY]
    fields: Annotated[Mapping[str, Direction], Said(MapOf(OneOf(Direction)), "field → who had moved it")]
    extra: Aside = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """An object of people that was taken over."""

    model: Annotated[str, _MODEL]
    key: Annotated[str, _KEY]
    extra: Aside = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncEnded:
    """A run ended: what came of it, by what was read and answered. `result` is the last word of the event's type."""

    fabric: Annotated[str, _FABRIC]
    result: Annotated[Result, Said(OneOf(Result), "how it ended")]
    request_id: Annotated[str, _REQUEST]
    correlation_id: Annotated[str, _CHAIN]
    attempt: Annotated[int, _ATTEMPT]
    trigger: Annotated[str, _TRIGGER]
    started_at: Annotated[datetime, _STARTED]
    finished_at: Annotated[datetime, Said(Moment(), "when the run ended")]
    duration_s: Annotated[float, Said(Number(), "seconds that it took, by the clock")]
    deadline_s: Annotated[float, Said(Number(), "seconds that it had")]
    requested_by: Annotated[str | None, Said(OrNull(SHORT), "who asked, where somebody did")] = None
    error: Annotated[Failure | None, Said(OrNull(ObjectOf(Failure)), "what ended it, or null")] = None
    reasons: Annotated[
        tuple[str, ...], Said(ListOf(TEXT), "why it is `incomplete` or `skipped`: the first twenty")
    ] = ()
    reasons_total: Annotated[int, Said(COUNT, "how many reasons there are")] = 0
    skip: Annotated[
        str | None,
        Said(OrNull(TEXT), "why it was `skipped`: `busy`, `disabled`, `stale`, `superseded`, `backing_off`, …"),
    ] = None
    kinds: Annotated[
        Mapping[str, KindRead], Said(MapOf(ObjectOf(KindRead)), "kind of the fabric → how far it was read")
    ] = field(default_factory=dict)
    objects: Annotated[
        Mapping[str, Mapping[str, int]],
        Said(
            MapOf(MapOf(COUNT)),
            "NetBox model → counts by NetBox's own answers: `created`, `updated`, `marked`, `deleted`, `refused`; and "
            "`unchanged`, `held`, `stale` (gone from the fabric), `waiting` (marked before)",
        ),
    ] = field(default_factory=dict)
    refused: Annotated[
        tuple[Refusal, ...], Said(ListOf(ObjectOf(Refusal)), "objects that NetBox would not take: the first twenty")
    ] = ()
    refused_total: Annotated[int, Said(COUNT, "how many were refused")] = 0
    written: Annotated[int, Said(COUNT, "objects that NetBox confirmed as written")] = 0
    unconfirmed: Annotated[int, Said(COUNT, "objects that were sent without an answer")] = 0
    left: Annotated[int, Said(COUNT, "objects that were planned and not sent")] = 0
    netbox_requests: Annotated[int, Said(COUNT, "requests that were sent to NetBox")] = 0
    plan_digest: Annotated[
        str | None, Said(OrNull(TEXT), "names the plan that was made, which was applied unless `error` says otherwise")
    ] = None
    plan_left: Annotated[
        str | None, Said(OrNull(TEXT), "names what is left of an agreed plan that was cut off; null where nobody knows")
    ] = None
    drift: Annotated[
        Mapping[str, int],
        Said(
            MapOf(COUNT),
            "fields confirmed as updated, by who had moved: `fabric_moved`, `netbox_edited`, `both`, `unknown`",
        ),
    ] = field(default_factory=dict)
    put_back: Annotated[
        tuple[Edited, ...],
        Said(
            ListOf(ObjectOf(Edited)),
            "objects that people had edited and that are as the fabric wants: the first twenty",
        ),
    ] = ()
    put_back_total: Annotated[int, Said(COUNT, "how many were put back")] = 0
    adopted: Annotated[
        tuple[Adopted, ...], Said(ListOf(ObjectOf(Adopted)), "people's objects that were taken over: the first twenty")
    ] = ()
    adopted_total: Annotated[int, Said(COUNT, "how many were taken over")] = 0
    insecure_tls: Annotated[bool, Said(Flag(), "whether TLS verification was skipped for this fabric")] = False
    verified: Annotated[
        str | None,
        Said(OrNull(TEXT), "of a success: whether all was compared (`full`), or what can have moved (`changes`)"),
    ] = None
    verified_at: Annotated[datetime | None, Said(OrNull(Moment()), "when all was last compared, of a success")] = None
    told_again: Annotated[
        bool, Said(Flag(), "whether the request had ended before: its result is told again, without the details")
    ] = False
    extra: Aside = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """The event's id: one for each request and result."""
        return f"{self.request_id}/{self.result}"

    @property
    def time(self) -> datetime:
        """The event's time."""
        return self.finished_at


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetected:
    """People edited what the fabric owns, and a run saw it."""

    fabric: Annotated[str, _FABRIC]
    request_id: Annotated[str, Said(SHORT, "the id of the request whose run saw it")]
    detected_at: Annotated[datetime, Said(Moment(), "when it was seen")]
    objects: Annotated[
        tuple[Edited, ...], Said(ListOf(ObjectOf(Edited), 1, MOST_OBJECTS), "what was edited: the first twenty objects")
    ]
    objects_total: Annotated[int, Said(COUNT, "how many objects were edited")]
    fields_total: Annotated[int, Said(COUNT, "how many fields of them were edited")]
    extra: Aside = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """The event's id: one for each request."""
        return f"{self.request_id}/drift"

    @property
    def time(self) -> datetime:
        """The event's time."""
        return self.detected_at


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """What is to be said of a fabric changed; or it became late, or is no longer."""

    fabric: Annotated[str, _FABRIC]
    request_id: Annotated[str, Said(SHORT, "the id of the request after which it changed")]
    from_: Annotated[Status, Said(OneOf(Status), "the status before")]
    to: Annotated[Status, Said(OneOf(Status), "the status now")]
    late: Annotated[bool, Said(Flag(), "whether the fabric has been without a success for longer than it may")]
    since: Annotated[datetime, Said(Moment(), "since when it has been so")]
    reason: Annotated[str, Said(TEXT, "why, for people")] = ""
    extra: Aside = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """The event's id: one for each request."""
        return f"{self.request_id}/status"

    @property
    def time(self) -> datetime:
        """The event's time."""
        return self.since


type Event = SyncRequest | SyncStarted | SyncEnded | DriftDetected | StatusChanged
"""Any event of this system. Each has `id` (the same id is the same event), `time`, `fabric`, and `extra`."""
