"""The events of fabric-sync, for whoever reads or sends them: types, `parse`, `encode`. Depends on nothing.

    event = parse(message.attributes, message.data)
    match event:
        case SyncEnded(fabric=fabric, result=Result.FAILED, error=error): ...
        case DriftDetected(fabric=fabric, objects=objects): ...

It imports nothing of the rest and nothing outside the standard library: the folder may be copied as it is.
docs/events.md is its page.
"""

from .catalogue import REQUESTED, TYPES, Channel, EventType, type_named, type_of
from .cloudevent import CloudEvent, decode
from .encoding import Encoded, encode, structured
from .errors import BadDataError, ContractError, NotAnEventError, UnknownTypeError, UnknownVersionError
from .parsing import parse, request_of, typed
from .types import (
    Adopted,
    DriftDetected,
    Edited,
    Event,
    Failure,
    KindRead,
    Refusal,
    StatusChanged,
    SyncEnded,
    SyncRequest,
    SyncStarted,
)
from .values import Direction, Result, Status, valid_digest, valid_name

__all__ = [
    "REQUESTED",
    "TYPES",
    "Adopted",
    "BadDataError",
    "Channel",
    "CloudEvent",
    "ContractError",
    "Direction",
    "DriftDetected",
    "Edited",
    "Encoded",
    "Event",
    "EventType",
    "Failure",
    "KindRead",
    "NotAnEventError",
    "Refusal",
    "Result",
    "Status",
    "StatusChanged",
    "SyncEnded",
    "SyncRequest",
    "SyncStarted",
    "UnknownTypeError",
    "UnknownVersionError",
    "decode",
    "encode",
    "parse",
    "request_of",
    "structured",
    "type_named",
    "type_of",
    "typed",
    "valid_digest",
    "valid_name",
]
