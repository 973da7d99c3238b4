"""The events as an AsyncAPI 3.0 document: channels, operations and messages, from the table of types."""

from __future__ import annotations

import json
from typing import Any, Final

from .catalogue import TYPES, Channel, EventType
from .encoding import encode
from .examples import EXAMPLES
from .schemas import attributes_schema, data_schema

VERSION: Final = "1.0.0"
"""The version of the contract: 1 is that of the types, and the second number grows with each field that is added."""

_CHANNELS: Final = {
    Channel.REQUESTS: ("requests", "What is asked of fabric-sync: one message for each run."),
    Channel.OUTCOMES: ("outcomes", "What fabric-sync tells: that a run began, what came of it, and what it saw."),
}


def document() -> dict[str, Any]:
    """The document. Its schemas stand beside it, in files of their own."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "fabric-sync",
            "version": VERSION,
            "description": "CloudEvents 1.0 over Pub/Sub, in binary mode. Delivered at least once; the same `ce-id` is "
            "the same event. Messages of one fabric have one ordering key, the fabric's name. Readers ignore fields "
            "that they do not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"pubsub": {"host": "pubsub.googleapis.com", "protocol": "googlepubsub"}},
        "channels": {name: _channel(channel) for channel, (name, _) in _CHANNELS.items()},
        "operations": {_camel(_verb(type_) + "." + type_.short): _operation(type_) for type_ in TYPES},
        "components": {"messages": {_camel(type_.short): _message(type_) for type_ in TYPES}},
    }


def schema_file(type_: EventType) -> str:
    """The path of a type's schema beside the document."""
    return f"schemas/{type_.short}.v1.json"


def files() -> dict[str, str]:
    """Every file that describes the events, by its path below docs/events: the document, the schemas, the examples."""
    found = {"asyncapi.json": document()}
    for type_ in TYPES:
        found[schema_file(type_)] = data_schema(type_)
        found[f"examples/{type_.short}.v1.json"] = _example(type_)
    return {path: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for path, content in found.items()}


def _channel(channel: Channel) -> dict[str, Any]:
    names = [_camel(type_.short) for type_ in TYPES if type_.channel is channel]
    return {
        "address": str(channel),
        "description": _CHANNELS[channel][1],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _operation(type_: EventType) -> dict[str, Any]:
    """What fabric-sync does with events of the type: it receives requests, and sends all else."""
    channel = f"#/channels/{_CHANNELS[type_.channel][0]}"
    return {
        "action": _verb(type_),
        "summary": f"{type_.meaning[0].upper()}{type_.meaning[1:]}.",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_camel(type_.short)}"}],
    }


def _message(type_: EventType) -> dict[str, Any]:
    example = _example(type_)
    return {
        "name": type_.name,
        "title": type_.short,
        "summary": f"{type_.meaning[0].upper()}{type_.meaning[1:]}.",
        "contentType": "application/json",
        "headers": attributes_schema(type_),
        "payload": {"$ref": schema_file(type_)},
        "bindings": {"googlepubsub": {"orderingKey": "the fabric's name", "bindingVersion": "0.2.0"}},
        "examples": [{"headers": example["attributes"], "payload": example["data"]}],
    }


def _example(type_: EventType) -> dict[str, Any]:
    attributes, body, ordering_key = encode(EXAMPLES[type_.short])
    return {"orderingKey": ordering_key, "attributes": attributes, "data": json.loads(body)}


def _verb(type_: EventType) -> str:
    return "receive" if type_.channel is Channel.REQUESTS else "send"


def _camel(dotted: str) -> str:
    first, *rest = dotted.replace(".", "_").split("_")
    return first + "".join(word.capitalize() for word in rest)
