"""From what came in to an event of its type."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from .catalogue import REQUESTED, EventType, type_named
from .cloudevent import CloudEvent, decode
from .errors import BadDataError, ContractError, NotAnEventError, UnknownTypeError
from .objects import read_object
from .shapes import Moment
from .types import Event, SyncEnded, SyncRequest
from .values import usable_id

_REQUIRED = ("specversion", "id", "source", "type")
"""Context attributes that each CloudEvent has (CloudEvents 1.0, "Required attributes")."""


def parse(attributes: Mapping[str, str], body: bytes) -> Event:
    """The event in a Pub/Sub message (its attributes and data) or in an HTTP request (its headers and body).

    Pushes may be wrapped or not, CloudEvents binary or structured. Fields that are not known are kept in `extra`.
    Raises `ContractError`: `NotAnEventError`, `UnknownVersionError`, `UnknownTypeError` or `BadDataError`.
    """
    return typed(decode(attributes, body))


def typed(event: CloudEvent) -> Event:
    """The event of its type behind a CloudEvent that was taken apart already. Raises as `parse` does."""
    missing = [name for name in _REQUIRED if not event.attributes.get(name)]
    if missing:
        raise NotAnEventError(f"this is no CloudEvent: it has no {', '.join(missing)}", event.attributes)
    try:
        _refuse_other_cloudevents(event)
        return _typed(event, type_named(event.attributes["type"]))
    except ContractError as wrong:
        wrong.attributes = event.attributes
        raise


def request_of(event: CloudEvent) -> SyncRequest:
    """The sync request in an event, or in what was published by hand: it need have no more than a fabric.

    The fabric may stand in the data, in the attribute `fabric` or in the subject. Raises `ContractError`.
    """
    attributes, data = event.attributes, event.data
    id_ = attributes.get("id") or str(uuid.uuid4())
    if not usable_id(id_):
        raise BadDataError("the event's id is not a text of 1 to 200 printable characters")
    _refuse_other_cloudevents(event)
    type_ = type_named(attributes.get("type") or REQUESTED)
    if type_.name != REQUESTED:
        raise UnknownTypeError(f"the event's type {type_.name} is not {REQUESTED}")
    filled = {**data, "fabric": data.get("fabric") or attributes.get("fabric") or attributes.get("subject")}
    filled["correlation_id"] = id_ if data.get("correlation_id") is None else data["correlation_id"]
    filled["trigger"] = "schedule" if data.get("trigger") is None else data["trigger"]
    if data.get("requested_at") is None and attributes.get("time"):
        filled["requested_at"] = attributes["time"]
        Moment().read(attributes["time"], "the event's time")
    return read_object(SyncRequest, filled, id=id_)


def _typed(event: CloudEvent, type_: EventType) -> Event:
    if type_.model is SyncRequest:
        return request_of(event)
    found = read_object(type_.model, event.data)
    if isinstance(found, SyncEnded) and found.result is not type_.result:
        raise BadDataError(f"data.result is {found.result}, and the event's type is {type_.name}")
    return found


def _refuse_other_cloudevents(event: CloudEvent) -> None:
    if event.attributes.get("specversion", "1.0") != "1.0":
        raise NotAnEventError("the event's specversion is not 1.0")
