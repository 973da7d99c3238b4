"""Every event that can be made is read again as it was, in every form; what is not understood is refused by name."""

from __future__ import annotations

import ast
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import contract
from functions.contract import (
    TYPES,
    BadDataError,
    ContractError,
    Event,
    NotAnEventError,
    SyncEnded,
    SyncRequest,
    UnknownTypeError,
    UnknownVersionError,
    encode,
    parse,
    structured,
)
from functions.contract.examples import EXAMPLES
from tests.event_samples import events, values

FOLDER = Path(contract.__file__).parent
JSON = {"Content-Type": "application/json"}


def pulled(event: Event) -> tuple[Mapping[str, str], bytes]:
    """The attributes and the data of a Pub/Sub message."""
    return encode(event)[:2]


def unwrapped(event: Event) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body of an unwrapped push, as a WSGI server gives them."""
    attributes, body, _ = encode(event)
    return {"X-Goog-Pubsub-Message-Id": "7", **{name.title(): value for name, value in attributes.items()}}, body


def wrapped(event: Event) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body of a wrapped push."""
    attributes, body, _ = encode(event)
    message = {"messageId": "7", "attributes": attributes, "data": base64.b64encode(body).decode()}
    return JSON, json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def by_eventarc(event: Event) -> tuple[Mapping[str, str], bytes]:
    """A wrapped push inside an event of Eventarc."""
    outer = {"ce-specversion": "1.0", "ce-id": "7", "ce-type": "google.cloud.pubsub.topic.v1.messagePublished"}
    return outer, wrapped(event)[1]


def over_http(event: Event) -> tuple[Mapping[str, str], bytes]:
    """A structured CloudEvent over HTTP."""
    return {"Content-Type": "application/cloudevents+json"}, structured(event)


FORMS = {form.__name__: form for form in (pulled, unwrapped, wrapped, by_eventarc, over_http)}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(event=events)
def test_an_event_is_read_as_it_was_sent(
    form: Callable[[Event], tuple[Mapping[str, str], bytes]], event: Event
) -> None:
    again = parse(*form(event))
    assert again == event
    assert type(again) is type(event)
    assert (again.id, again.time, again.fabric) == (event.id, event.time, event.fabric)


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.short)
def test_there_is_an_example_of_every_type_and_it_is_read_as_that(type_: contract.EventType) -> None:
    event = EXAMPLES[type_.short]
    attributes, body, key = encode(event)
    assert attributes["ce-type"] == type_.name
    assert key == event.fabric == attributes["fabric"]
    assert attributes.get("result") == (str(type_.result) if type_.result else None)
    assert isinstance(parse(attributes, body), type_.model)


@given(
    event=st.sampled_from([*EXAMPLES.values()]), name=st.text(min_size=1).map(lambda text: f"x_{text}"), value=values
)
def test_fields_that_are_not_known_are_kept_and_passed_on_at_every_depth(event: Event, name: str, value: Any) -> None:
    attributes, body, _ = encode(event)
    data = json.loads(body)

    def strew(at: Any) -> None:
        for inner in [*at.values()] if isinstance(at, dict) else at if isinstance(at, list) else []:
            strew(inner)
        # maps by names of kinds and models hold nothing but their values
        if isinstance(at, dict) and ("fabric" in at or "model" in at or "code" in at or "reading" in at):
            at[name] = value

    strew(data)
    strewn = parse({**attributes, "ce-later": "x"}, json.dumps(data).encode())
    assert strewn.extra == {name: value}
    assert replace(strewn, extra={}).id == event.id
    assert json.loads(encode(strewn).body) == data


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.short)
def test_a_later_version_is_refused_and_the_text_names_the_one_that_is_understood(type_: contract.EventType) -> None:
    attributes, body, _ = encode(EXAMPLES[type_.short])
    later = type_.name.removesuffix(".v1") + ".v2"
    with pytest.raises(UnknownVersionError, match=rf"{later}.*not understood.*{type_.name}$"):
        parse({**attributes, "ce-type": later}, body)


OTHERS = [
    "io.fabric-sync.sync.exploded.v1",
    "com.example.made",
    "io.fabric-sync.sync.failed",
    "v1",
    "io.fabric-sync..v2",
]


@pytest.mark.parametrize("name", OTHERS)
def test_another_type_is_refused_and_the_text_names_those_that_are_known(name: str) -> None:
    attributes, body, _ = encode(EXAMPLES["sync.failed"])
    with pytest.raises(UnknownTypeError, match=r"not understood: known are .*sync\.failed\.v1") as refused:
        parse({**attributes, "ce-type": name}, body)
    assert not isinstance(refused.value, UnknownVersionError)
    assert (refused.value.attributes["fabric"], refused.value.attributes["id"]) == ("lab1", EXAMPLES["sync.failed"].id)


@pytest.mark.parametrize("gone", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
def test_what_lacks_an_attribute_of_a_cloudevent_is_none(gone: str) -> None:
    attributes, body, _ = encode(EXAMPLES["sync.succeeded"])
    with pytest.raises(NotAnEventError):
        parse({name: value for name, value in attributes.items() if name != gone}, body)


def test_another_cloudevents_is_refused() -> None:
    attributes, body, _ = encode(EXAMPLES["sync.succeeded"])
    with pytest.raises(NotAnEventError, match="specversion"):
        parse({**attributes, "ce-specversion": "2.0"}, body)


def test_a_result_that_is_not_that_of_the_type_is_refused() -> None:
    attributes, body, _ = encode(EXAMPLES["sync.succeeded"])
    with pytest.raises(BadDataError, match=r"data\.result is succeeded.*sync\.failed\.v1"):
        parse({**attributes, "ce-type": "io.fabric-sync.sync.failed.v1"}, body)


FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "missing": ("sync.started", {"deadline_s": ...}, "data.deadline_s is missing"),
    "null": ("sync.succeeded", {"written": None}, "data.written is not a whole number from 0 up"),
    "true for a number": ("sync.started", {"deadline_s": True}, "data.deadline_s is not a number"),
    "a word that is not in the list": ("fabric.status_changed", {"to": "purple"}, "data.to is not one of not_conf"),
    "deep inside": (
        "drift.detected",
        {"objects": [{"model": "a", "key": "b", "fields": {}}, {"model": "a", "key": "b", "fields": {"mtu": "me"}}]},
        r"data.objects\[1\].fields.mtu is not one of netbox_edited, both",
    ),
    "too many": ("drift.detected", {"objects": [{"model": "a", "key": "b", "fields": {}}] * 21}, "of 1 to 20 values"),
    "none": ("drift.detected", {"objects": []}, "of 1 to 20 values"),
    "a text for a list": ("sync.incomplete", {"reasons": "because"}, "data.reasons is not a list"),
    "a list for an object": ("sync.failed", {"error": []}, "data.error is not a JSON object"),
    "no offset": ("sync.started", {"started_at": "2026-01-02T03:04:05"}, "data.started_at is not a time"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_the_refusal_of_data_names_the_field(case: str) -> None:
    short, changed, text = FAULTS[case]
    attributes, body, _ = encode(EXAMPLES[short])
    data = {name: value for name, value in {**json.loads(body), **changed}.items() if value is not ...}
    with pytest.raises(BadDataError, match=text):
        parse(attributes, json.dumps(data).encode())


@given(
    st.dictionaries(st.sampled_from(["ce-id", "ce-type", "ce-source", "ce-specversion", "fabric"]), st.text()),
    st.sampled_from(TYPES),
    st.dictionaries(
        st.sampled_from(["fabric", "result", "objects", "request_id", "started_at", "kinds", "error"]) | st.text(),
        values,
    ),
)
def test_whatever_comes_in_is_an_event_or_a_contract_error(
    changed: dict[str, str], type_: contract.EventType, data: dict[str, Any]
) -> None:
    attributes, body, _ = encode(EXAMPLES[type_.short])
    for content in (data, {**json.loads(body), **data}):
        try:
            event = parse({**attributes, **changed}, json.dumps(content).encode())
        except ContractError:
            continue
        assert parse(*pulled(event)) == event


def test_what_an_outcome_need_not_say_is_filled_in() -> None:
    needed = ["fabric", "result", "request_id", "correlation_id", "attempt", "trigger"]
    needed += ["started_at", "finished_at", "duration_s", "deadline_s"]
    attributes, body, _ = encode(EXAMPLES["sync.succeeded"])
    short = {name: value for name, value in json.loads(body).items() if name in needed}
    event = parse(attributes, json.dumps(short).encode())
    assert isinstance(event, SyncEnded)
    assert (event.reasons, event.error, event.objects, event.written) == ((), None, {}, 0)
    for gone in needed:
        with pytest.raises(BadDataError, match=f"{gone} is missing"):
            parse(attributes, json.dumps({name: value for name, value in short.items() if name != gone}).encode())


def test_what_could_not_be_read_does_not_go_out() -> None:
    for wrong in (
        replace(EXAMPLES["sync.requested"], fabric="../etc"),
        replace(EXAMPLES["sync.requested"], id="a\nb"),
        replace(EXAMPLES["sync.started"], started_at=EXAMPLES["sync.started"].time.replace(tzinfo=None)),  # type: ignore[union-attr]
        replace(EXAMPLES["sync.started"], deadline_s=float("inf")),
        replace(EXAMPLES["drift.detected"], objects=()),
        replace(EXAMPLES["sync.failed"], extra={"set": {1}}),
    ):
        with pytest.raises(ContractError):
            encode(wrong)


def test_a_request_published_by_hand_needs_no_more_than_a_fabric() -> None:
    for headers, body in (({"fabric": "lab1"}, b"{}"), ({"ce-subject": "lab1"}, b""), ({}, b'{"fabric": "lab1"}')):
        request = contract.request_of(contract.decode(headers, body))
        assert request == SyncRequest("lab1", request.id, request.id)


def test_the_contract_can_be_copied_and_used_alone(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "fabric_events", ignore=shutil.ignore_patterns("__pycache__"))
    program = "import sys; sys.path.insert(0, sys.argv[1]); import fabric_events as it; " + (
        "event = it.parse({name: value for name, value in (pair.split('=', 1) for pair in sys.argv[3:])}, "
        "sys.argv[2].encode()); sys.stdout.write(f'{type(event).__name__} {event.id}')"
    )
    attributes, body, _ = encode(EXAMPLES["sync.failed"])
    pairs = [f"{name}={value}" for name, value in attributes.items()]
    # -S and -I: nothing that was installed can be imported
    command = [sys.executable, "-S", "-I", "-c", program, str(tmp_path), body.decode(), *pairs]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, f"SyncEnded {EXAMPLES['sync.failed'].id}"), ran.stderr


def test_the_contract_imports_nothing_but_itself_and_the_standard_library() -> None:
    found = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{path.name}: it reaches out of the folder"
                found |= {str(node.module).split(".")[0]} if node.level == 0 else set()
    assert found - sys.stdlib_module_names == set()
