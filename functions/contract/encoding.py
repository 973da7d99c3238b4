"""From an event to what goes out: a Pub/Sub message in CloudEvents' binary mode, or a structured CloudEvent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from .catalogue import type_of
from .cloudevent import HEADER, CloudEvent
from .errors import BadDataError
from .objects import write_object
from .parsing import typed
from .shapes import Moment
from .types import Event, SyncEnded
from .values import encoded


class Encoded(NamedTuple):
    """One message: its attributes, its data (never empty), and the key by which messages keep their order."""

    attributes: dict[str, str]
    body: bytes
    ordering_key: str


def encode(event: Event) -> Encoded:
    """The event as a Pub/Sub message: attributes `ce-*`, a JSON body. `parse` makes the same event of it.

    The attributes `fabric` and, of outcomes, `result` are for the filters of subscriptions. Raises `BadDataError`
    where a field holds what it must not.
    """
    raw = cloudevent_of(event)
    attributes = {f"{HEADER}{name}": encoded(value) for name, value in raw.attributes.items()}
    attributes |= {"content-type": "application/json", "fabric": event.fabric}
    if isinstance(event, SyncEnded):
        attributes["result"] = str(event.result)
    return Encoded(attributes, _json(raw.data), event.fabric)


def structured(event: Event) -> bytes:
    """The event as the body of an HTTP request with the type `application/cloudevents+json`."""
    raw = cloudevent_of(event)
    return _json({**raw.attributes, "datacontenttype": "application/json", "data": raw.data})


def cloudevent_of(event: Event) -> CloudEvent:
    """The event as a CloudEvent. Raises `BadDataError` where a field holds what it must not."""
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"//fabric-sync/fabrics/{event.fabric}",
        "type": type_of(event).name,
        "subject": event.fabric,
    }
    if event.time is not None:
        attributes["time"] = Moment().write(event.time)
    raw = CloudEvent(attributes, write_object(event))
    typed(raw)  # what nobody could read must not go out
    return raw


def _json(content: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(content, allow_nan=False).encode()
    except (TypeError, ValueError) as wrong:
        raise BadDataError(f"the event holds what JSON cannot: {wrong}") from wrong
