"""The events of this system as CloudEvents 1.0 over Pub/Sub and HTTP: one decoder, one encoder.

In: Pub/Sub push, wrapped or unwrapped (which arrives as a binary CloudEvent), structured CloudEvents over HTTP, and
messages that consist of attributes alone. Out: binary mode over Pub/Sub (attributes `ce-*`, a JSON body that is never
empty). https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from functions.fabric import valid_name
from infra.pubsub import Message

if TYPE_CHECKING:
    from functions.outcome import Outcome

PREFIX: Final = "io.fabric-sync."
VERSION: Final = ".v1"
REQUESTED: Final = f"{PREFIX}sync.requested{VERSION}"
MOST_BYTES: Final = 256 * 1024
"""A request is a few hundred bytes; what is larger was not meant for us."""

MOST_ATTEMPTS: Final = 1_000_000
"""A chain of this many runs is no chain of runs."""

_DIGEST = re.compile(r"[0-9a-f]{16}")

_CE_HEADER = "ce-"
_MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
"""The type of the event in which Eventarc wraps a message: its body is that of a wrapped push."""

_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What stays as it is in a header (CloudEvents HTTP binding 3.1.3.2): printable ASCII without space, quote, percent."""


class BadRequestError(Exception):
    """What came in is not a sync request; `fabric` is its fabric where it can be made out, `id` its id or a new one."""

    def __init__(self, text: str, fabric: str | None = None, id_: str | None = None) -> None:
        super().__init__(text)
        self.fabric = fabric
        self.id = id_ or str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent: its context attributes by name (without `ce-`) and its data, a JSON object."""

    attributes: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A request to sync one fabric. `id` is the event's id, `correlation_id` is the same for a chain of runs.

    `plan` is the digest of the plan that was agreed to: no other is applied.
    """

    fabric: str
    id: str
    correlation_id: str
    trigger: str = "schedule"
    requested_by: str | None = None
    attempt: int = 1
    plan: str | None = None
    requested_at: datetime | None = None
    force: bool = False


def valid_digest(text: object) -> bool:
    """Whether `text` can be the digest of a plan: 16 hexadecimal digits in lower case."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def sync_request(headers: Mapping[str, str], body: bytes) -> SyncRequest:
    """The sync request in an HTTP request; raises `BadRequestError`, with the fabric's name where there is one."""
    event = decode(headers, body)
    attributes, data = event.attributes, event.data
    fabric = data.get("fabric") or attributes.get("fabric") or attributes.get("subject")
    if not valid_name(fabric):
        raise BadRequestError("the request names no fabric (data.fabric: a lower-case slug of at most 16 characters)")
    id_ = attributes.get("id") or str(uuid.uuid4())
    if not _usable_id(id_):
        raise BadRequestError("the event's id is not a text of 1 to 200 printable characters", fabric)
    if attributes.get("specversion", "1.0") != "1.0":
        raise BadRequestError("the event's specversion is not 1.0", fabric, id_)
    type_ = attributes.get("type") or REQUESTED
    if type_ != REQUESTED:
        raise BadRequestError(f"the event's type {type_[:100]!r} is not {REQUESTED}", fabric, id_)
    attempt = data.get("attempt", 1)
    if not isinstance(attempt, int) or isinstance(attempt, bool) or not 1 <= attempt <= MOST_ATTEMPTS:
        raise BadRequestError(f"data.attempt is not a whole number from 1 to {MOST_ATTEMPTS}", fabric, id_)
    plan = data.get("plan")
    if plan is not None and not valid_digest(plan):
        raise BadRequestError("data.plan is not the digest of a plan (16 hexadecimal digits)", fabric, id_)
    texts = {name: data.get(name) for name in ("correlation_id", "trigger", "requested_by")}
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable()):
            raise BadRequestError(f"data.{name} is not a text of 1 to 200 printable characters", fabric, id_)
    return SyncRequest(
        fabric=str(fabric),
        id=id_,
        correlation_id=texts["correlation_id"] or id_,
        trigger=texts["trigger"] or "schedule",
        requested_by=texts["requested_by"],
        attempt=attempt,
        plan=plan,
    )


def decode(headers: Mapping[str, str], body: bytes) -> Event:
    """The CloudEvent in an HTTP request, in whichever of the known shapes; raises `BadRequestError`."""
    if len(body) > MOST_BYTES:
        raise too_large(headers, len(body))
    context = _headers_context(headers)
    pushed = context.get("type") in (None, _MESSAGE_PUBLISHED)
    content = _json_object(body, context) if body.strip() else {}
    if not pushed:
        return Event(context, content)
    if isinstance(content.get("message"), Mapping):
        return _pushed(content["message"])
    if content.get("specversion"):
        return _structured(content)
    return Event(context, content)


def too_large(headers: Mapping[str, str], size: int) -> BadRequestError:
    """What a body of `size` bytes is refused with; its headers may still name the fabric."""
    return _bad(f"the body of {size} bytes is larger than {MOST_BYTES}", _headers_context(headers))


def _headers_context(headers: Mapping[str, str]) -> dict[str, str]:
    """The context attributes in HTTP headers; the id is the message's where an unwrapped push has no other."""
    lower = {name.lower(): value for name, value in headers.items()}
    message = {"id": lower["x-goog-pubsub-message-id"]} if "x-goog-pubsub-message-id" in lower else {}
    return message | _context(lower)


def _pushed(message: Mapping[str, Any]) -> Event:
    """The event in a wrapped Pub/Sub push; a message may consist of attributes alone."""
    given = message.get("attributes")
    attributes = {str(name).lower(): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    context = {"id": str(message.get("messageId") or message.get("message_id") or "")} | _context(attributes)
    raw = message.get("data")
    if not raw:
        return Event(context)
    try:
        body = base64.b64decode(str(raw), validate=True)
    except ValueError as wrong:  # binascii.Error is one; letters outside of ASCII raise the plain one
        raise _bad("the message's data is not base64", context) from wrong
    data = _json_object(body, context) if body.strip() else {}
    return _structured(data) if data.get("specversion") and "type" not in context else Event(context, data)


def _structured(content: Mapping[str, Any]) -> Event:
    context = {str(name): str(value) for name, value in content.items() if name not in ("data", "data_base64")}
    data = content.get("data", {})
    if not isinstance(data, Mapping):
        raise _bad("the event's data is not a JSON object", context)
    return Event(context, data)


def _context(lower: Mapping[str, str]) -> dict[str, str]:
    """The CloudEvents context attributes among headers or message attributes; values are percent-encoded there."""
    return {name[len(_CE_HEADER) :]: unquote(value) for name, value in lower.items() if name.startswith(_CE_HEADER)} | (
        {"fabric": lower["fabric"]} if "fabric" in lower else {}
    )


def _bad(text: str, context: Mapping[str, str]) -> BadRequestError:
    """The refusal of an event of which only its context attributes are known."""
    fabric, id_ = context.get("fabric") or context.get("subject"), context.get("id") or ""
    return BadRequestError(text, fabric if valid_name(fabric) else None, id_ if _usable_id(id_) else None)


def _usable_id(text: str) -> bool:
    """Whether an id can travel on: in a log line, and encoded in an attribute (Pub/Sub takes 1,024 bytes)."""
    return 0 < len(text) <= 200 and text.isprintable() and len(_encoded(text)) <= 1000


def _encoded(text: str) -> str:
    """A context attribute as a header carries it: an unwrapped push makes headers of a message's attributes."""
    return quote(text, safe=_PLAIN)


def _json_object(body: bytes, context: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise _bad(f"the body is not JSON: {body[:60]!r}", context) from wrong
    if not isinstance(content, Mapping):
        raise _bad("the body is not a JSON object", context)
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
        "plan": request.plan,
    }
    return _message(request.id, REQUESTED, request.fabric, data, now or datetime.now(UTC))


def follow_up(request: SyncRequest, left: str | None = None) -> SyncRequest:
    """The request that goes on where this one was cut off: the same chain, the next attempt, an id of its own.

    Where a plan was agreed to, it goes on with what is `left` of that one (a digest), and with nothing else.
    """
    return SyncRequest(
        fabric=request.fabric,
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{request.correlation_id}#{request.attempt + 1}")),
        correlation_id=request.correlation_id,
        trigger="continuation",
        requested_by=request.requested_by,
        attempt=request.attempt + 1,
        plan=(left or request.plan) if request.plan else None,
    )


def _message(id_: str, type_: str, fabric: str, data: Mapping[str, Any], time: datetime) -> Message:
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": _encoded(id_),
        "ce-source": f"//fabric-sync/fabrics/{fabric}",
        "ce-type": type_,
        "ce-subject": fabric,
        "ce-time": time.isoformat(),
        "content-type": "application/json",
        "fabric": fabric,
    }
    return Message(json.dumps(data).encode(), attributes, fabric)
