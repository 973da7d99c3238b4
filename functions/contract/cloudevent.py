"""CloudEvents 1.0 as they come over HTTP and Pub/Sub, before anybody looks at their type.

Pub/Sub messages as they are pulled; Pub/Sub push, wrapped or unwrapped (which arrives as a binary CloudEvent), the same
inside an event of Eventarc; structured CloudEvents; and messages that consist of attributes alone.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from .errors import NotAnEventError

HEADER: Final = "ce-"
_MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
"""The type of the event in which Eventarc wraps a message: its body is that of a wrapped push."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One CloudEvent: its context attributes by name (without `ce-`) and its data, a JSON object."""

    attributes: Mapping[str, str]
    data: Mapping[str, Any] = field(default_factory=dict)


def decode(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """The CloudEvent in an HTTP request or a Pub/Sub message, in whichever of the known forms.

    `headers` are the HTTP headers, or the attributes of the message. Raises `NotAnEventError`.
    """
    context = context_of(headers)
    pushed = context.get("type") in (None, _MESSAGE_PUBLISHED)
    content = _json_object(body, context) if body.strip() else {}
    if not pushed:
        return CloudEvent(context, content)
    if isinstance(content.get("message"), Mapping):
        return _pushed(content["message"])
    if content.get("specversion"):
        return _structured(content)
    return CloudEvent(context, content)


def context_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The context attributes in HTTP headers; the id is the message's where an unwrapped push has no other."""
    lower = {name.lower(): value for name, value in headers.items()}
    message = {"id": lower["x-goog-pubsub-message-id"]} if "x-goog-pubsub-message-id" in lower else {}
    return message | _context(lower)


def _pushed(message: Mapping[str, Any]) -> CloudEvent:
    """The event in a wrapped Pub/Sub push; a message may consist of attributes alone."""
    given = message.get("attributes")
    attributes = {str(name).lower(): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    context = {"id": str(message.get("messageId") or message.get("message_id") or "")} | _context(attributes)
    raw = message.get("data")
    if not raw:
        return CloudEvent(context)
    try:
        body = base64.b64decode(str(raw), validate=True)
    except ValueError as wrong:  # binascii.Error is one; letters outside of ASCII raise the plain one
        raise NotAnEventError("the message's data is not base64", context) from wrong
    data = _json_object(body, context) if body.strip() else {}
    return _structured(data) if data.get("specversion") and "type" not in context else CloudEvent(context, data)


def _structured(content: Mapping[str, Any]) -> CloudEvent:
    context = {str(name): str(value) for name, value in content.items() if name not in ("data", "data_base64")}
    data = content.get("data", {})
    if not isinstance(data, Mapping):
        raise NotAnEventError("the event's data is not a JSON object", context)
    return CloudEvent(context, data)


def _context(lower: Mapping[str, str]) -> dict[str, str]:
    """The CloudEvents context attributes among headers or message attributes; values are percent-encoded there."""
    return {name[len(HEADER) :]: unquote(value) for name, value in lower.items() if name.startswith(HEADER)} | (
        {"fabric": lower["fabric"]} if "fabric" in lower else {}
    )


def _json_object(body: bytes, context: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise NotAnEventError(f"the body is not JSON: {body[:60]!r}", context) from wrong
    if not isinstance(content, Mapping):
        raise NotAnEventError("the body is not a JSON object", context)
    return content
