"""The events of this system as messages: what comes in as a request, and what goes out; `contract` says how each looks.

A request comes by Pub/Sub push, wrapped or unwrapped, as a structured CloudEvent over HTTP, or as attributes alone.
Out go Pub/Sub messages in CloudEvents' binary mode (attributes `ce-*`, a JSON body that is never empty).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from functions import contract
from functions.contract import REQUESTED, CloudEvent, ContractError, SyncRequest, valid_digest, valid_name
from functions.contract.cloudevent import context_of
from functions.contract.objects import read_object
from functions.contract.values import MOST_ATTEMPTS, MOST_OBJECTS, usable_id
from infra.pubsub import Message

if TYPE_CHECKING:
    from functions.outcome import Outcome

__all__ = [
    "MOST_BYTES",
    "REQUESTED",
    "BadRequestError",
    "SyncRequest",
    "drift_message",
    "follow_up",
    "outcome_message",
    "request_message",
    "started_message",
    "status_message",
    "sync_request",
    "too_large",
    "valid_digest",
]

MOST_BYTES: Final = 256 * 1024
"""A request is a few hundred bytes; what is larger was not meant for us."""


class BadRequestError(Exception):
    """What came in is not a sync request; `fabric` is its fabric where it can be made out, `id` its id or a new one."""

    def __init__(self, text: str, fabric: str | None = None, id_: str | None = None) -> None:
        super().__init__(text)
        self.fabric = fabric
        self.id = id_ or str(uuid.uuid4())


def sync_request(headers: Mapping[str, str], body: bytes) -> SyncRequest:
    """The sync request in an HTTP request; raises `BadRequestError`, with the fabric's name where there is one."""
    if len(body) > MOST_BYTES:
        raise too_large(headers, len(body))
    event = CloudEvent({})
    try:
        event = contract.decode(headers, body)
        request = contract.request_of(event)
    except ContractError as wrong:
        raise _bad(str(wrong), {**event.attributes, **wrong.attributes}, event.data) from wrong
    return request


def too_large(headers: Mapping[str, str], size: int) -> BadRequestError:
    """What a body of `size` bytes is refused with; its headers may still name the fabric."""
    return _bad(f"the body of {size} bytes is larger than {MOST_BYTES}", context_of(headers))


def _bad(text: str, context: Mapping[str, str], data: Mapping[str, Any] | None = None) -> BadRequestError:
    """The refusal of an event of which these context attributes, and perhaps its data, are known."""
    fabric = (data or {}).get("fabric") or context.get("fabric") or context.get("subject")
    id_ = context.get("id")
    return BadRequestError(text, fabric if valid_name(fabric) else None, id_ if usable_id(id_) else None)


def request_message(request: SyncRequest, now: datetime | None = None) -> Message:
    """A sync request, to be published; it was requested `now` unless it says when."""
    return _message(replace(request, requested_at=request.requested_at or now or datetime.now(UTC)))


def follow_up(request: SyncRequest, left: str | None = None) -> SyncRequest:
    """The request that goes on where this one was cut off: the same chain, the next attempt, an id of its own.

    Where a plan was agreed to, it goes on with what is `left` of that one (a digest), and with nothing else.
    """
    return replace(
        request,
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{request.correlation_id}#{request.attempt + 1}")),
        trigger="continuation",
        attempt=min(request.attempt + 1, MOST_ATTEMPTS),
        plan=(left or request.plan) if request.plan else None,
        requested_at=None,
    )


def started_message(request: SyncRequest, started_at: datetime, deadline_s: float) -> Message:
    """The event that a run began, to be published: it has `deadline_s` seconds."""
    return _message(
        contract.SyncStarted(
            fabric=request.fabric,
            request_id=request.id,
            correlation_id=request.correlation_id,
            attempt=request.attempt,
            trigger=request.trigger,
            started_at=started_at,
            deadline_s=deadline_s,
        )
    )


def outcome_message(outcome: Outcome | Mapping[str, Any]) -> Message:
    """The outcome event of a run, to be published; its id is the request's with the result, so doubles are alike.

    `outcome` may be its JSON (`Outcome.as_dict`), as a child process sends it. Raises `ContractError` where that is no
    outcome.
    """
    data = outcome if isinstance(outcome, Mapping) else outcome.as_dict()
    return _message(read_object(contract.SyncEnded, data, "outcome"))


def drift_message(
    fabric: str,
    request_id: str,
    objects: Iterable[Mapping[str, Any]],
    detected_at: datetime,
    *,
    objects_total: int | None = None,
    fields_total: int | None = None,
) -> Message:
    """The event that people edited `objects` (each `model`, `key`, `fields`: field → `netbox_edited` or `both`).

    The first twenty are told. The totals are those of `objects` unless these are already a part of more. Raises
    `ContractError` where there is no object.
    """
    edited = [read_object(contract.Edited, each, f"objects[{number}]") for number, each in enumerate(objects)]
    return _message(
        contract.DriftDetected(
            fabric=fabric,
            request_id=request_id,
            detected_at=detected_at,
            objects=tuple(edited[:MOST_OBJECTS]),
            objects_total=len(edited) if objects_total is None else objects_total,
            fields_total=sum(len(each.fields) for each in edited) if fields_total is None else fields_total,
        )
    )


def status_message(
    fabric: str, request_id: str, before: str, now: str, *, late: bool, since: datetime, reason: str = ""
) -> Message:
    """The event that a fabric's status went from `before` to `now`, words of `contract.Status` (else `ValueError`)."""
    return _message(
        contract.StatusChanged(
            fabric=fabric,
            request_id=request_id,
            from_=contract.Status(before),
            to=contract.Status(now),
            late=late,
            since=since,
            reason=reason,
        )
    )


def _message(event: contract.Event) -> Message:
    attributes, body, ordering_key = contract.encode(event)
    return Message(body, attributes, ordering_key)
