"""The schemas and the AsyncAPI document: what we send is valid by them, and they stand as they are made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from functions.contract import TYPES, BadDataError, Channel, Event, EventType, encode, parse, type_of
from functions.contract.__main__ import main
from functions.contract.asyncapi import document, files, schema_file
from functions.contract.examples import EXAMPLES
from functions.contract.schemas import attributes_schema, data_schema
from infra.sandbox import messaging
from infra.variables import VARIABLES
from tests.event_samples import events

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "events"
OFFICIAL = Path(__file__).with_name("asyncapi-3.0.0.schema.json")
SHORTS = [type_.short for type_ in TYPES]
BY_SHORT = {type_.short: type_ for type_ in TYPES}


def validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FormatChecker(["date-time"]))


DATA = {type_.name: validator(data_schema(type_)) for type_ in TYPES}
ATTRIBUTES = {type_.name: validator(attributes_schema(type_)) for type_ in TYPES}


def faults(of: Draft202012Validator, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in of.iter_errors(value)]


def read(path: str) -> Any:
    return json.loads((FOLDER / path).read_text("utf-8"))


def refs(at: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    for name, inner in at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ():
        if name == "$ref":
            yield inner
        yield from refs(inner)


def resolved(ref: str) -> Any:
    """What a `$ref` of the document in docs/events points at; raises where that is nothing."""
    path, _, pointer = ref.partition("#")
    at = read(path or "asyncapi.json")
    for name in filter(None, pointer.split("/")):
        at = at[name]
    return at


def test_the_documents_are_those_that_the_types_make() -> None:
    there = {str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in FOLDER.rglob("*.json")}
    assert there == files(), "run make events"


def test_writing_the_documents_takes_away_those_of_types_that_are_no_more_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    for name in ("schemas/sync.exploded.v1.json", "schemas/notes.txt", "package.json"):
        (tmp_path / name).write_text("{}")
    main(tmp_path)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {*files(), "schemas/notes.txt", "package.json"}


@pytest.mark.parametrize("short", SHORTS)
def test_a_schema_is_one(short: str) -> None:
    Draft202012Validator.check_schema(read(schema_file(BY_SHORT[short])))
    # the AsyncAPI document shows it to tools that know draft 7
    Draft7Validator.check_schema({**data_schema(BY_SHORT[short]), "$schema": "http://json-schema.org/draft-07/schema"})


@pytest.mark.parametrize("short", SHORTS)
def test_an_example_is_valid_by_its_schema_and_read_as_what_it_shows(short: str) -> None:
    shown = read(f"examples/{short}.v1.json")
    assert faults(validator(read(schema_file(BY_SHORT[short]))), shown["data"]) == []
    assert faults(ATTRIBUTES[BY_SHORT[short].name], shown["attributes"]) == []
    assert parse(shown["attributes"], json.dumps(shown["data"]).encode()) == EXAMPLES[short]


@given(events)
def test_whatever_is_sent_is_valid_by_the_schema_of_its_type(event: Event) -> None:
    attributes, body, _ = encode(event)
    name = type_of(event).name
    assert faults(DATA[name], json.loads(body)) == []
    assert faults(ATTRIBUTES[name], attributes) == []


@pytest.mark.parametrize("short", SHORTS)
def test_a_schema_lets_fields_pass_that_it_does_not_know_at_every_depth(short: str) -> None:
    def strewn(at: Any) -> Any:
        if isinstance(at, list):
            return [strewn(inner) for inner in at]
        if not isinstance(at, dict):
            return at
        more = {name: strewn(inner) for name, inner in at.items()}
        return {**more, "x_later": [1]} if {"fabric", "model", "code", "reading"} & at.keys() else more

    _, body, _ = encode(EXAMPLES[short])
    data = strewn(json.loads(body))
    assert faults(DATA[BY_SHORT[short].name], data) == []


@pytest.mark.parametrize("short", SHORTS)
def test_a_schema_refuses_what_parse_refuses(short: str) -> None:
    """Each field gone, of another JSON type, or null: where `parse` minds, the schema does, and the other way about."""
    attributes, body, _ = encode(EXAMPLES[short])
    data = json.loads(body)
    differing = []
    for name in data:
        for wrong in (..., None, [], {}, "", 7, -1, True, "2026-01-02T03:04:05"):
            changed = {other: value for other, value in {**data, name: wrong}.items() if value is not ...}
            if name in ("fabric", "requested_at") and short == "sync.requested" and not wrong:
                continue  # filled in from the attributes
            try:
                parse(attributes, json.dumps(changed).encode())
                read_well = True
            except BadDataError:
                read_well = False
            if read_well is bool(faults(DATA[BY_SHORT[short].name], changed)):
                differing.append((name, wrong, read_well))
    assert differing == []


# The AsyncAPI document


def test_the_document_is_valid_by_the_schema_of_asyncapi_itself() -> None:
    official = Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
    assert [f"{error.json_path}: {error.message}"[:300] for error in official.iter_errors(document())] == []


def test_the_schema_of_asyncapi_would_refuse_a_document_with_a_fault() -> None:
    official = Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
    wrong = document()
    wrong["operations"]["sendSyncFailed"]["action"] = "shout"
    assert not official.is_valid(wrong)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    found = [*refs(document())]
    assert len(found) > 3 * len(TYPES)
    assert [ref for ref in found if not resolved(ref)] == []


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.short)
def test_every_type_has_its_message_its_channel_and_its_operation(type_: EventType) -> None:
    told = document()
    (key,) = [key for key, message in told["components"]["messages"].items() if message["name"] == type_.name]
    message = told["components"]["messages"][key]
    assert resolved(message["payload"]["$ref"]) == data_schema(type_)
    assert faults(DATA[type_.name], message["examples"][0]["payload"]) == []
    (channel,) = [name for name, channel in told["channels"].items() if key in channel["messages"]]
    assert told["channels"][channel]["address"] == type_.channel
    (operation,) = [
        operation
        for operation in told["operations"].values()
        if operation["messages"] == [{"$ref": f"#/channels/{channel}/messages/{key}"}]
    ]
    assert operation["action"] == ("receive" if type_.short == "sync.requested" else "send")


def test_the_channels_are_the_topics_of_this_system() -> None:
    assert [*Channel] == [messaging.REQUESTS, messaging.OUTCOMES]
    usual = {variable.default for variable in VARIABLES if variable.name.startswith("FABRIC_SYNC_TOPIC_")}
    assert usual == {*Channel}
