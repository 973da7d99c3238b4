"""The events in JSON Schema 2020-12, made from the same fields that `parse` and `encode` go by."""

from __future__ import annotations

from typing import Final

from .catalogue import EventType
from .objects import schema_of
from .shapes import Schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def data_schema(type_: EventType) -> Schema:
    """The schema of the data of one type. Fields that it does not name may be there."""
    schema = schema_of(type_.model)
    if type_.result is not None:
        schema["properties"]["result"] = {"description": "how it ended", "const": str(type_.result)}
    return {"$schema": DIALECT, "$id": f"urn:fabric-sync:event:{type_.short}:v1", "title": type_.name, **schema}


def attributes_schema(type_: EventType) -> Schema:
    """The schema of a message's attributes: the CloudEvent's, and those that filters of subscriptions go by."""
    fabric: Schema = {"type": "string", "description": "which fabric; for filters"}
    properties: dict[str, Schema] = {
        "ce-specversion": {"const": "1.0"},
        "ce-type": {"const": type_.name},
        "ce-id": {"type": "string", "minLength": 1, "description": "the same id is the same event; percent-encoded"},
        "ce-source": {"type": "string", "minLength": 1, "description": "//fabric-sync/fabrics/<fabric>"},
        "ce-subject": {"type": "string", "description": "which fabric"},
        "ce-time": {"type": "string", "format": "date-time"},
        "content-type": {"const": "application/json"},
        "fabric": fabric,
    }
    required = ["ce-specversion", "ce-type", "ce-id", "ce-source"]
    if type_.result is not None:
        properties["result"] = {"const": str(type_.result), "description": "how the run ended; for filters"}
    return {"type": "object", "properties": properties, "required": required}
