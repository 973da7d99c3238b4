"""Events in every shape that Pub/Sub, Eventarc and HTTP give them, and everything else that may come to the door."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.events import (
    MOST_BYTES,
    REQUESTED,
    BadRequestError,
    SyncRequest,
    drift_message,
    follow_up,
    outcome_message,
    request_message,
    started_message,
    status_message,
    sync_request,
)
from infra.pubsub import MAX_ATTRIBUTE_VALUE
from tests.event_samples import EDITED, NOW, WANTED, digests, outcome_of, printable, unwrapped

DATA = {"fabric": "lab-1", "correlation_id": "c-1", "trigger": "manual", "requested_by": "ann", "attempt": 2}
CE = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-type": REQUESTED, "ce-source": "//x", "ce-subject": "lab-1"}
JSON = {"Content-Type": "application/json"}


def pushed(data: bytes | None = None, attributes: Any = None, **more: Any) -> bytes:
    """The body of a wrapped push."""
    message: dict[str, Any] = {"messageId": "m-7", "publishTime": "2026-01-01T00:00:00Z", **more}
    if data is not None:
        message["data"] = base64.b64encode(data).decode()
    if attributes is not None:
        message["attributes"] = attributes
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


STRUCTURED = {"specversion": "1.0", "id": "e-1", "type": REQUESTED, "source": "//x", "subject": "lab-1", "data": DATA}
BODY = json.dumps(DATA).encode()
SHAPES = {
    "wrapped push": (JSON, pushed(BODY, CE)),
    "wrapped push by Eventarc": (
        {"ce-id": "m-7", "ce-type": "google.cloud.pubsub.topic.v1.messagePublished", "ce-specversion": "1.0"},
        pushed(BODY, CE),
    ),
    "wrapped push of a structured event": (JSON, pushed(json.dumps(STRUCTURED).encode())),
    "unwrapped push, which is a binary event": ({**CE, "x-goog-pubsub-message-id": "m-7"}, BODY),
    "binary event with the headers of a WSGI server": ({name.title(): value for name, value in CE.items()}, BODY),
    "structured event": ({"Content-Type": "application/cloudevents+json"}, json.dumps(STRUCTURED).encode()),
    "plain JSON with the id in a header": ({"x-goog-pubsub-message-id": "e-1"}, BODY),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_request_is_the_same_in_every_shape(shape: str) -> None:
    headers, body = SHAPES[shape]
    assert sync_request(headers, body) == WANTED


ATTRIBUTES_ALONE = {
    "wrapped": (JSON, pushed(attributes={"fabric": "lab-1"})),
    "wrapped with empty data": (JSON, pushed(b"", {"fabric": "lab-1"})),
    "wrapped as an event": (JSON, pushed(attributes={**CE, "ce-id": "m-7"})),
    "unwrapped": ({"fabric": "lab-1", "x-goog-pubsub-message-id": "m-7"}, b""),
    "unwrapped as an event": ({**CE, "ce-id": "m-7"}, b""),
    "structured without data": (
        JSON,
        json.dumps({name: value for name, value in STRUCTURED.items() if name != "data"} | {"id": "m-7"}).encode(),
    ),
}


@pytest.mark.parametrize("shape", ATTRIBUTES_ALONE)
def test_a_message_of_attributes_alone_is_a_request(shape: str) -> None:
    headers, body = ATTRIBUTES_ALONE[shape]
    assert sync_request(headers, body) == SyncRequest("lab-1", "m-7", "m-7")


def test_plain_json_gets_an_id_of_its_own() -> None:
    first, second = (sync_request(JSON, b'{"fabric": "lab-1"}') for _ in range(2))
    assert first.id != second.id
    assert (first.correlation_id, first.trigger, first.attempt) == (first.id, "schedule", 1)


def test_a_redelivered_message_without_an_event_id_keeps_its_id() -> None:
    assert sync_request(JSON, pushed(b'{"fabric": "lab-1"}')).id == "m-7"


NEVER = {
    "not JSON": (JSON, b"hello"),
    "half a JSON": (JSON, b'{"fabric": "lab-1"'),
    "not UTF-8": (JSON, b"\xff\xfe\x00"),
    "nothing": ({}, b""),
    "blanks": ({}, b"  \r\n"),
    "a list": (JSON, b"[1]"),
    "a number": (JSON, b"7"),
    "null": (JSON, b"null"),
    "no fabric": (JSON, b"{}"),
    "nested beyond reason": (JSON, b'{"fabric":' * 20_000 + b"1" + b"}" * 20_000),
    "a list nested beyond reason": (JSON, b"[" * 100_000),
    "a number of 5,000 digits": (JSON, b'{"fabric": ' + b"9" * 5000 + b"}"),
    "a fabric with a slash": (JSON, b'{"fabric": "a/b"}'),
    "a fabric that climbs": (JSON, b'{"fabric": "../../etc"}'),
    "a fabric in capitals": (JSON, b'{"fabric": "LAB"}'),
    "a fabric with a line break": (JSON, b'{"fabric": "lab\\n"}'),
    "a fabric of 17 letters": (JSON, b'{"fabric": "abcdefghijklmnopq"}'),
    "a fabric that is a number": (JSON, b'{"fabric": 7}'),
    "a fabric that is a list": (JSON, b'{"fabric": ["lab-1"]}'),
    "a fabric with half a surrogate pair": (JSON, b'{"fabric": "\\ud800"}'),
    "a subject with an encoded slash": ({**CE, "ce-subject": "a%2fb"}, b"{}"),
    "a message that is a text": (JSON, b'{"message": "lab-1"}'),
    "a push of nothing": (JSON, pushed()),
}


@pytest.mark.parametrize("case", NEVER)
def test_what_names_no_fabric_is_refused_without_one(case: str) -> None:
    headers, body = NEVER[case]
    with pytest.raises(BadRequestError) as refused:
        sync_request(headers, body)
    assert refused.value.fabric is None
    assert refused.value.id


NAMED = {
    "another type": ({**CE, "ce-type": "io.fabric-sync.sync.succeeded.v1"}, BODY),
    "a later version": ({**CE, "ce-type": "io.fabric-sync.sync.requested.v2"}, BODY),
    "another CloudEvents": ({**CE, "ce-specversion": "2.0"}, BODY),
    "a binary event whose data is not JSON": (CE, b"<xml/>"),
    "a binary event whose data is a list": (CE, b"[]"),
    "a pushed event whose data is not base64": (
        JSON,
        pushed(attributes=CE, data=None).replace(b"m-7", b'm","data":"?'),
    ),
    "a pushed event whose data is not even ASCII": (
        JSON,
        json.dumps({"message": {"data": "äöü=", "attributes": {"fabric": "lab-1", "ce-id": "e-1"}}}).encode(),
    ),
    "a pushed event whose data is not JSON": (JSON, pushed(b"\x00\x01", CE)),
    "a structured event whose data is a text": (JSON, json.dumps({**STRUCTURED, "data": "x"}).encode()),
    "too much, by its headers": (CE, b" " * (MOST_BYTES + 1)),
    "an attempt in words": (CE, json.dumps({**DATA, "attempt": "two"}).encode()),
    "a plan that is no digest": (CE, json.dumps({**DATA, "plan": "the one of yesterday"}).encode()),
    "a plan that is a number": (CE, json.dumps({**DATA, "plan": 1234567890123456}).encode()),
    "attempt zero": (CE, json.dumps({**DATA, "attempt": 0}).encode()),
    "attempt true": (CE, json.dumps({**DATA, "attempt": True}).encode()),
    "attempt infinity": (CE, json.dumps({**DATA, "attempt": float("inf")}).encode()),
    "an attempt of 4,000 digits": (CE, b'{"attempt": ' + b"9" * 4000 + b"}"),
    "a trigger with a line break": (CE, json.dumps({**DATA, "trigger": "a\r\nb"}).encode()),
    "a trigger that is an object": (CE, json.dumps({**DATA, "trigger": {"a": 1}}).encode()),
    "a requester of 201 letters": (CE, json.dumps({**DATA, "requested_by": "x" * 201}).encode()),
    "an empty correlation id": (CE, json.dumps({**DATA, "correlation_id": ""}).encode()),
    "a time without its offset": ({**CE, "ce-time": "2026-01-02T03:04:05"}, BODY),
    "a time that is a date": (CE, json.dumps({**DATA, "requested_at": "2026-01-02"}).encode()),
    "a time in seconds": (CE, json.dumps({**DATA, "requested_at": 1767323045}).encode()),
    "the 30th of February": (CE, json.dumps({**DATA, "requested_at": "2026-02-30T00:00:00Z"}).encode()),
    "force in words": (CE, json.dumps({**DATA, "force": "yes"}).encode()),
    "force by number": (CE, json.dumps({**DATA, "force": 1}).encode()),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_bad_request_that_names_its_fabric_is_refused_by_name(case: str) -> None:
    headers, body = NAMED[case]
    with pytest.raises(BadRequestError) as refused:
        sync_request(headers, body)
    assert (refused.value.fabric, refused.value.id) == ("lab-1", "e-1")


IDS = {
    "with a header in it": "e%0d%0aX-Evil: 1",
    "with a NUL in it": "e%00",
    "of 201 letters": "x" * 201,
    "of 200 emoji, too long once encoded": "%F0%9F%98%80" * 200,
}


@pytest.mark.parametrize("case", IDS)
def test_an_id_that_cannot_travel_is_replaced_and_the_request_refused(case: str) -> None:
    for headers, body in (({**CE, "ce-id": IDS[case]}, BODY), (JSON, pushed(BODY, {**CE, "ce-id": IDS[case]}))):
        with pytest.raises(BadRequestError) as refused:
            sync_request(headers, body)
        assert refused.value.fabric == "lab-1"
        assert refused.value.id.isalnum() or len(refused.value.id) == 36


def test_an_id_with_half_a_surrogate_pair_is_refused() -> None:
    body = json.dumps({**STRUCTURED, "id": "\ud800"}).encode()
    with pytest.raises(BadRequestError):
        sync_request(JSON, body)


texts = st.text(max_size=40)
names = st.one_of(texts, st.sampled_from([*CE, "fabric", "x-goog-pubsub-message-id", "content-type"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)
keys = st.sampled_from(["message", "data", "attributes", "specversion", "type", "fabric", "subject", "id", "attempt"])
objects = st.recursive(
    st.dictionaries(keys | texts, values | st.just("lab-1"), max_size=5),
    lambda inner: st.dictionaries(keys | texts, inner | values, max_size=5),
    max_leaves=5,
)
bodies = st.one_of(st.binary(max_size=200), objects.map(lambda content: json.dumps(content).encode()))
headers_ = st.dictionaries(names, texts | st.sampled_from(["lab-1", REQUESTED, "1.0"]), max_size=6)


@given(headers_, bodies)
@example({}, b'{"message": {"data": "\xc3\xa4"}}')
@example({"ce-type": REQUESTED, "fabric": "lab-1"}, b"[" * 5000)
def test_whatever_comes_in_is_a_request_or_a_bad_request(headers: dict[str, str], body: bytes) -> None:
    try:
        request = sync_request(headers, body)
    except BadRequestError as refused:
        request = SyncRequest(refused.fabric or "lab-1", refused.id, refused.id)
    # Whatever was taken in can be sent out again, within the limits of Pub/Sub.
    for message in (
        outcome_message(outcome_of(request)),
        request_message(request),
        request_message(follow_up(request)),
        started_message(request, NOW, 30.0),
        drift_message(request.fabric, request.id, [EDITED], NOW),
        status_message(request.fabric, request.id, "syncing", "error", late=True, since=NOW),
    ):
        for name, value in message.attributes.items():
            assert (name + value).isascii()
            assert (name + value).isprintable()
            assert len(value) <= MAX_ATTRIBUTE_VALUE


@given(
    printable,
    printable,
    printable,
    st.none() | printable,
    st.integers(1, 999),
    st.none() | digests,
    st.none() | st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),
    st.booleans(),
)
def test_a_request_survives_both_ways_of_pub_sub(
    id_: str,
    correlation_id: str,
    trigger: str,
    requested_by: str | None,
    attempt: int,
    plan: str | None,
    requested_at: datetime | None,
    force: bool,
) -> None:
    request = SyncRequest("lab-1", id_, correlation_id, trigger, requested_by, attempt, plan, requested_at, force)
    message = request_message(request, NOW)
    wanted = replace(request, requested_at=requested_at or NOW)
    assert sync_request(*unwrapped(message)) == wanted
    assert sync_request(JSON, pushed(message.data, dict(message.attributes))) == wanted


def test_the_time_of_the_event_is_when_it_was_requested_unless_its_data_says_otherwise() -> None:
    timed = {**CE, "ce-time": "2026-01-02T04:04:05.25+01:00"}
    assert sync_request(timed, BODY).requested_at == NOW + timedelta(milliseconds=250)
    told = json.dumps({**DATA, "requested_at": "2026-01-02T03:04:05Z"}).encode()
    assert sync_request(timed, told).requested_at == NOW
    assert sync_request(CE, BODY).requested_at is None


def test_an_outcome_that_comes_back_as_a_request_is_refused() -> None:
    with pytest.raises(BadRequestError) as refused:
        sync_request(*unwrapped(outcome_message(outcome_of(WANTED))))
    assert refused.value.fabric == "lab-1"


def test_the_next_request_of_a_chain_has_one_id_however_often_it_is_made() -> None:
    first, again = follow_up(WANTED), follow_up(WANTED)
    assert first == again
    assert (first.attempt, first.correlation_id, first.trigger) == (3, "c-1", "continuation")
    assert len({WANTED.id, first.id, follow_up(first).id}) == 3


def test_a_chain_keeps_what_it_was_asked_for_and_has_a_time_of_its_own() -> None:
    first = follow_up(replace(WANTED, force=True, requested_at=NOW))
    assert (first.force, first.requested_by, first.requested_at) == (True, "ann", None)


def test_the_longest_chain_that_is_taken_can_be_continued() -> None:
    longest = replace(WANTED, attempt=1_000_000)
    assert sync_request(*unwrapped(request_message(follow_up(longest)))).correlation_id == "c-1"


def test_a_chain_that_was_agreed_to_goes_on_with_what_is_left_and_never_without_a_plan() -> None:
    agreed, left = replace(WANTED, plan="a" * 16), "b" * 16
    assert follow_up(agreed, left).plan == left
    assert follow_up(agreed, None).plan == agreed.plan
    assert follow_up(WANTED, left).plan is None
