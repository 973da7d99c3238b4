"""The events of this system as CloudEvents 1.0 over Pub/Sub and HTTP: one decoder, one encoder.

In: Pub/Sub push, wrapped or unwrapped (which arrives as a binary CloudEvent), structured CloudEvents over HTTP, and
messages that consist of attributes alone. Out: binary mode over Pub/Sub (attributes `ce-*`, a JSON body that is never
empty). https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from functions.fabric import valid_name
from infra.pubsub import Message

if TYPE_CHECKING:
    from functions.outcome import Outcome

PREFIX: Final = "io.fabric-sync."
VERSION: Final = ".v1"
REQUESTED: Final = f"{PREFIX}sync.requested{VERSION}"
MOST_BYTES: Final = 256 * 1024
"""A request is a few hundred bytes; what is larger was not meant for us."""

_CE_HEADER = "ce-"


class BadRequestError(Exception):
    """What came in is not a sync request; `fabric` and `id` are the request's where they can be made out."""

    def __init__(self, text: str, fabric: str | None = None, id_: str = "unknown") -> None:
        super().__init__(text)
        self.fabric = fabric
        self.id = id_


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent: its context attributes by name (without `ce-`) and its data, a JSON object."""

    attributes: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A request to sync one fabric. `id` is the event's id, `correlation_id` is the same for a chain of runs."""

    fabric: str
    id: str
    correlation_id: str
    trigger: str = "schedule"
    requested_by: str | None = None
    attempt: int = 1


def sync_request(headers: Mapping[str, str], body: bytes) -> SyncRequest:
    """The sync request in an HTTP request; raises `BadRequestError`, with the fabric's name where there is one."""
    if len(body) > MOST_BYTES:
        raise BadRequestError(f"the body of {len(body)} bytes is larger than {MOST_BYTES}")
    event = decode(headers, body)
    attributes, data = event.attributes, event.data
    fabric = data.get("fabric") or attributes.get("fabric") or attributes.get("subject")
    if not valid_name(fabric):
        raise BadRequestError("the request names no fabric (data.fabric: a lower-case slug of at most 16 characters)")
    type_ = attributes.get("type", REQUESTED)
    if type_ != REQUESTED:
        raise BadRequestError(f"the event's type {type_[:100]!r} is not {REQUESTED}", fabric)
    attempt = data.get("attempt", 1)
    if not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 1:
        raise BadRequestError("data.attempt is not a positive whole number", fabric)
    texts = {name: data.get(name) for name in ("correlation_id", "trigger", "requested_by")}
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable()):
            raise BadRequestError(f"data.{name} is not a text of 1 to 200 printable characters", fabric)
    id_ = attributes.get("id") or str(uuid.uuid4())
    return SyncRequest(
        fabric=str(fabric),
        id=id_[:200],
        correlation_id=texts["correlation_id"] or id_[:200],
        trigger=texts["trigger"] or "schedule",
        requested_by=texts["requested_by"],
        attempt=attempt,
    )


def decode(headers: Mapping[str, str], body: bytes) -> Event:
    """The CloudEvent in an HTTP request, in whichever of the known shapes; raises `BadRequestError`."""
    lower = {name.lower(): value for name, value in headers.items()}
    context = _context(lower)
    if context.get("type"):
        return Event(context, _json_object(body) if body.strip() else {})
    content = _json_object(body)
    if isinstance(content.get("message"), Mapping):
        return _pushed(content["message"])
    if content.get("specversion"):
        return _structured(content)
    return Event(context, content)


def _pushed(message: Mapping[str, Any]) -> Event:
    """The event in a wrapped Pub/Sub push; a message may consist of attributes alone."""
    given = message.get("attributes")
    attributes = {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    context = _context({name.lower(): value for name, value in attributes.items()})
    context.setdefault("id", str(message.get("messageId") or message.get("message_id") or ""))
    if "fabric" in attributes:
        context.setdefault("fabric", attributes["fabric"])
    fabric = context.get("fabric") or context.get("subject")
    named = fabric if valid_name(fabric) else None
    raw = message.get("data")
    if not raw:
        return Event(context)
    try:
        body = base64.b64decode(str(raw), validate=True)
    except binascii.Error as wrong:
        raise BadRequestError("the message's data is not base64", named) from wrong
    data = _json_object(body, named) if body.strip() else {}
    return _structured(data) if data.get("specversion") and "type" not in context else Event(context, data)


def _structured(content: Mapping[str, Any]) -> Event:
    context = {str(name): str(value) for name, value in content.items() if name not in ("data", "data_base64")}
    data = content.get("data")
    if not isinstance(data, Mapping):
        subject = context.get("subject")
        raise BadRequestError("the event's data is not a JSON object", subject if valid_name(subject) else None)
    return Event(context, data)


def _context(lower: Mapping[str, str]) -> dict[str, str]:
    """The CloudEvents context attributes among headers or message attributes; values are percent-encoded there."""
    return {name[len(_CE_HEADER) :]: unquote(value) for name, value in lower.items() if name.startswith(_CE_HEADER)} | (
        {"fabric": lower["fabric"]} if "fabric" in lower else {}
    )


def _json_object(body: bytes, fabric: str | None = None) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise BadRequestError(f"the body is not JSON: {body[:60]!r}", fabric) from wrong
    if not isinstance(content, Mapping):
        raise BadRequestError("the body is not a JSON object", fabric)
    return content


def outcome_message(outcome: Outcome) -> Message:
    """The outcome event of a run, to be published; its id is the request's with the result, so doubles are alike."""
    return _message(
        id_=f"{outcome.request_id}/{outcome.result}",
        type_=f"{PREFIX}sync.{outcome.result}{VERSION}",
        fabric=outcome.fabric,
        data=outcome.as_dict(),
        time=outcome.finished_at,
    )


def request_message(request: SyncRequest, now: datetime | None = None) -> Message:
    """A sync request, to be published."""
    data = {
        "fabric": request.fabric,
        "correlation_id": request.correlation_id,
        "trigger": request.trigger,
        "requested_by": request.requested_by,
        "attempt": request.attempt,
    }
    return _message(request.id, REQUESTED, request.fabric, data, now or datetime.now(UTC))


def follow_up(request: SyncRequest) -> SyncRequest:
    """The request that goes on where this one was cut off: the same chain, the next attempt, an id of its own."""
    return SyncRequest(
        fabric=request.fabric,
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{request.correlation_id}#{request.attempt + 1}")),
        correlation_id=request.correlation_id,
        trigger="continuation",
        requested_by=request.requested_by,
        attempt=request.attempt + 1,
    )


def _message(id_: str, type_: str, fabric: str, data: Mapping[str, Any], time: datetime) -> Message:
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": id_,
        "ce-source": f"//fabric-sync/fabrics/{fabric}",
        "ce-type": type_,
        "ce-subject": fabric,
        "ce-time": time.isoformat(),
        "content-type": "application/json",
        "fabric": fabric,
    }
    return Message(json.dumps(data).encode(), attributes, fabric)
