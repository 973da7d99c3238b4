"""The embedded broker behaves as Pub/Sub does: one suite for it and the emulator, and what it alone can show."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from infra.sandbox.broker import STATS, Broker
from infra.sandbox.messaging import (
    DEAD_LETTERS_PULL,
    OUTCOMES,
    OUTCOMES_PULL,
    REQUESTS,
    Messaging,
    create_messaging,
    rest,
)
from infra.sandbox.subscription import Limits
from infra.variables import VARIABLES
from tests.pubsub_fixtures import PROJECT, Endpoint, Place, drip, eventually, message, raw_server

QUICK = {"minimumBackoff": "0.2s", "maximumBackoff": "1s"}


def _text(push: dict[str, Any]) -> str:
    return base64.b64decode(push["envelope"]["message"]["data"]).decode()


def _push_to(endpoint: Endpoint, path: str, **settings: Any) -> dict[str, Any]:
    return {"pushConfig": {"pushEndpoint": endpoint.url + path, **settings}, "retryPolicy": QUICK}


# What the broker and the emulator both claim.


def test_a_push_carries_the_same_envelope(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    subscription = place.subscription(topic, **_push_to(endpoint, path))
    ids = place.publish(topic, message('{"a": 1}', **{"ce-id": "7"}))

    [push] = endpoint.wait(path, 1)

    assert push["headers"]["content-type"].startswith("application/json")
    assert set(push["envelope"]) == {"message", "subscription"}
    assert push["envelope"]["subscription"] == f"projects/{PROJECT}/subscriptions/{subscription}"
    inner = push["envelope"]["message"]
    assert set(inner) == {"data", "attributes", "messageId", "message_id", "publishTime", "publish_time"}
    assert [inner["messageId"]] == [inner["message_id"]] == ids
    assert inner["publishTime"] == inner["publish_time"]
    assert inner["attributes"] == {"ce-id": "7"}
    assert _text(push) == '{"a": 1}'


def test_a_failed_push_comes_again_until_it_is_acknowledged(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    place.subscription(topic, **_push_to(endpoint, path))
    place.publish(topic, message(answers="500,503,200"))

    pushes = endpoint.wait(path, 3)
    time.sleep(1.2)  # longer than the longest backoff: a fourth would have come

    assert [push["status"] for push in endpoint.pushes(path)] == [500, 503, 200]
    assert len({push["envelope"]["message"]["messageId"] for push in pushes}) == 1


def test_the_fifth_failure_takes_a_message_to_the_dead_letters(place: Place, endpoint: Endpoint) -> None:
    topic, dead, path = place.topic(), place.topic("dead"), endpoint.path()
    grave = place.subscription(dead)
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/{dead}", "maxDeliveryAttempts": 5}
    source = place.subscription(topic, deadLetterPolicy=policy, **_push_to(endpoint, path))
    place.publish(topic, message('{"lost": true}', answers="500", fabric="one"))

    [buried] = place.pull(grave, within=45)  # the emulator takes thirteen seconds

    assert len(endpoint.pushes(path)) == 5
    assert base64.b64decode(buried["message"]["data"]) == b'{"lost": true}'
    attributes = buried["message"]["attributes"]
    assert attributes["fabric"] == "one"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"] == source
    assert attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == PROJECT
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert "CloudPubSubDeadLetterSourceTopicPublishTime" in attributes


def test_one_key_is_delivered_in_order_and_its_failing_head_holds_no_other_key_back(
    place: Place, endpoint: Endpoint
) -> None:
    topic, path = place.topic(), endpoint.path()
    place.subscription(topic, enableMessageOrdering=True, **_push_to(endpoint, path))
    place.publish(topic, message("one-1", "one", answers="500,200", hold="0.3"))
    place.publish(topic, message("one-2", "one", hold="0.3"))
    place.publish(topic, message("one-3", "one"))
    place.publish(topic, message("two-1", "two"))

    pushes = endpoint.wait(path, 5)

    texts = [_text(push) for push in pushes]
    assert [text for text in texts if text.startswith("one")] == ["one-1", "one-1", "one-2", "one-3"]
    assert texts.index("two-1") < texts.index("one-2")


def test_messages_of_one_key_never_overlap(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    place.subscription(topic, enableMessageOrdering=True, **_push_to(endpoint, path))
    place.publish(topic, *[message(str(number), "key", hold="0.2") for number in range(4)])

    assert [_text(push) for push in endpoint.wait(path, 4)] == ["0", "1", "2", "3"]

    lines = eventually(lambda: len(endpoint.lines(path)) == 8 and endpoint.lines(path), within=10) or []
    assert ["ended" in line for line in lines] == [False, True] * 4


def test_an_unwrapped_push_has_the_data_as_body_and_the_rest_as_headers(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    settings = _push_to(endpoint, path, noWrapper={"writeMetadata": True})
    subscription = place.subscription(topic, **settings)
    attributes = {"ce-id": "7", "ce-type": "a.b.c", "content-type": "application/json"}
    ids = place.publish(topic, message('{"a": 1}', **attributes))

    [push] = endpoint.wait(path, 1)

    headers = push["headers"]
    assert push["envelope"] is None
    assert {name: headers[name] for name in attributes} == attributes
    assert headers["x-goog-pubsub-subscription-name"] == f"projects/{PROJECT}/subscriptions/{subscription}"
    assert [headers["x-goog-pubsub-message-id"]] == ids
    assert headers["x-goog-pubsub-publish-time"]


def test_an_unwrapped_push_arrives_at_a_function_as_a_cloud_event(place: Place, event_endpoint: Endpoint) -> None:
    topic, fabric = place.topic(), f"fabric-{place.unique}"
    place.subscription(topic, **_push_to(event_endpoint, "/", noWrapper={"writeMetadata": True}))
    attributes = {"specversion": "1.0", "id": fabric, "source": "//fabrics/one", "type": "sync.requested.v1"}
    sent = {f"ce-{name}": value for name, value in attributes.items()} | {"content-type": "application/json"}
    place.publish(topic, message('{"fabric": "one"}', **sent))

    def arrived() -> list[dict[str, Any]]:
        return [event for event in event_endpoint.lines("/event") if event["attributes"]["id"] == fabric]

    [event] = eventually(arrived, within=20)
    assert {name: event["attributes"][name] for name in attributes} == attributes
    assert event["data"] == {"fabric": "one"}


def test_what_a_program_pulls_comes_again_until_it_acknowledges(place: Place) -> None:
    topic = place.topic()
    subscription = place.subscription(topic, retryPolicy=QUICK)
    place.publish(topic, message("hello", fabric="one"))

    [first] = place.pull(subscription)
    refusal = {"ackIds": [first["ackId"]], "ackDeadlineSeconds": 0}
    place.done("POST", f"subscriptions/{subscription}:modifyAckDeadline", refusal)
    [second] = place.pull(subscription)
    place.done("POST", f"subscriptions/{subscription}:acknowledge", {"ackIds": [second["ackId"]]})

    assert first["message"] == second["message"]
    assert first["message"]["attributes"] == {"fabric": "one"}
    assert place.pull(subscription, within=2) == []


def test_the_same_messaging_is_created_on_both_and_creating_it_twice_changes_nothing(
    place: Place, endpoint: Endpoint
) -> None:
    path = endpoint.path()
    ours = Messaging(PROJECT, endpoint.url + path, unwrapped=False, first_backoff=1, longest_backoff=2)

    create_messaging(place.url, ours)
    create_messaging(place.url, ours)
    place.publish(REQUESTS, message("request", "one"))
    place.publish(OUTCOMES, message("outcome", "one"))

    assert [_text(push) for push in endpoint.wait(path, 1)] == ["request"]
    [outcome] = place.pull(OUTCOMES_PULL)
    assert base64.b64decode(outcome["message"]["data"]) == b"outcome"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "topics/no-such-topic", 404),
        ("GET", "subscriptions/no-such-subscription", 404),
        ("DELETE", "topics/no-such-topic", 404),
        ("POST", "topics/no-such-topic:publish", 404),
        ("POST", "subscriptions/no-such-subscription:pull", 404),
        ("PUT", "subscriptions/without-a-topic", 404),
    ],
)
def test_what_does_not_exist_is_answered_the_same(place: Place, method: str, path: str, status: int) -> None:
    bodies = {
        "topics/no-such-topic:publish": {"messages": [message()]},
        "subscriptions/no-such-subscription:pull": {"maxMessages": 1},
        "subscriptions/without-a-topic": {"topic": f"projects/{PROJECT}/topics/no-such-topic"},
    }

    answered, body = place.call(method, path, bodies.get(path))

    assert (answered, body["error"]["code"], body["error"]["status"]) == (status, status, "NOT_FOUND")


# What the service does, and the emulator not or otherwise: shown on the broker alone.


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_every_status_that_the_service_acknowledges_is_acknowledged(alone: Place, status: int) -> None:
    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 {status} Whatever\r\n\r\n".encode())

    with raw_server(answer) as (url, came):
        topic = alone.topic()
        alone.subscription(topic, pushConfig={"pushEndpoint": url}, retryPolicy=QUICK)
        alone.publish(topic, message())
        eventually(lambda: came, within=10)
        time.sleep(0.8)  # four times the backoff: a second one would have come

    assert len(came) == 1


def test_an_endless_answer_is_cut_at_the_acknowledgement_deadline(alone: Place) -> None:
    with raw_server(drip) as (url, came):
        topic = alone.topic()
        alone.subscription(topic, pushConfig={"pushEndpoint": url}, ackDeadlineSeconds=1, retryPolicy=QUICK)
        alone.publish(topic, message())

        assert eventually(lambda: len(came) >= 3, within=20)


def test_the_attempt_and_the_ordering_key_stand_in_the_envelope(alone: Place, endpoint: Endpoint) -> None:
    topic, dead, path = alone.topic(), alone.topic("dead"), endpoint.path()
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/{dead}", "maxDeliveryAttempts": 5}
    settings = _push_to(endpoint, path) | {"deadLetterPolicy": policy, "enableMessageOrdering": True}
    alone.subscription(topic, **settings)
    alone.publish(topic, message("x", "one", answers="500,500,200"))

    pushes = endpoint.wait(path, 3)

    assert [push["envelope"]["deliveryAttempt"] for push in pushes] == [1, 2, 3]
    assert {push["envelope"]["message"]["orderingKey"] for push in pushes} == {"one"}


def test_a_dead_letter_sets_its_key_free(alone: Place, endpoint: Endpoint) -> None:
    topic, dead, path = alone.topic(), alone.topic("dead"), endpoint.path()
    grave = alone.subscription(dead)
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/{dead}", "maxDeliveryAttempts": 5}
    settings = _push_to(endpoint, path) | {"deadLetterPolicy": policy, "enableMessageOrdering": True}
    alone.subscription(topic, **settings)
    alone.publish(topic, message("bad", "one", answers="500"), message("good", "one"))

    assert [_text(push) for push in endpoint.wait(path, 6)] == ["bad"] * 5 + ["good"]
    [buried] = alone.pull(grave)
    assert buried["message"]["attributes"]["CloudPubSubDeadLetterSourceDeliveryErrorMessage"]


def test_a_message_stays_when_there_is_no_topic_for_the_dead(alone: Place, endpoint: Endpoint) -> None:
    topic, path = alone.topic(), endpoint.path()
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/nowhere", "maxDeliveryAttempts": 5}
    alone.subscription(topic, deadLetterPolicy=policy, **_push_to(endpoint, path))
    alone.publish(topic, message(answers="500,500,500,500,500,200"))

    assert endpoint.wait(path, 6)[-1]["status"] == 200


def test_a_filter_lets_through_what_it_names(alone: Place) -> None:
    topic = alone.topic()
    chosen = alone.subscription(topic, filter='attributes.ce-type = "failed" AND hasPrefix(attributes.fabric, "east")')
    everything = alone.subscription(topic)
    alone.publish(topic, message("1", **{"ce-type": "failed", "fabric": "east-1"}))
    alone.publish(topic, message("2", **{"ce-type": "failed", "fabric": "west-1"}), message("3"))

    assert [base64.b64decode(one["message"]["data"]) for one in alone.pull(chosen)] == [b"1"]
    assert len(alone.pull(everything)) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"filter": "attributes.x == 1"},
        {"enableExactlyOnceDelivery": True},
        {"deadLetterPolicy": {"deadLetterTopic": "projects/p/topics/dead", "maxDeliveryAttempts": 4}},
        {"retryPolicy": {"minimumBackoff": "20s", "maximumBackoff": "10s"}},
        {"retryPolicy": {"minimumBackoff": "soon"}},
        {"ackDeadlineSeconds": 601},
        {"pushConfig": {"pushEndpoint": "ftp://127.0.0.1/"}},
        {"noSuchField": 1},
    ],
)
def test_settings_that_the_service_refuses_are_refused(alone: Place, settings: dict[str, Any]) -> None:
    topic = alone.topic()
    body = {"topic": f"projects/{PROJECT}/topics/{topic}", **settings}

    status, answer = alone.call("PUT", "subscriptions/refused", body)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert alone.call("GET", "subscriptions/refused")[0] == 404


def test_a_handler_slower_than_the_acknowledgement_deadline_is_asked_again(alone: Place, endpoint: Endpoint) -> None:
    topic, path = alone.topic(), endpoint.path()
    alone.subscription(topic, ackDeadlineSeconds=1, **_push_to(endpoint, path))
    alone.publish(topic, message(hold="3"))

    assert len(endpoint.wait(path, 2)) >= 2
    assert not any("ended" in line for line in endpoint.lines(path)[:2]), "the first was over before the second came"


def test_what_is_pulled_in_order_comes_again_in_order(alone: Place) -> None:
    topic = alone.topic()
    subscription = alone.subscription(topic, enableMessageOrdering=True, retryPolicy=QUICK)
    alone.publish(topic, *[message(str(number), "one") for number in range(3)])
    seen = []
    for refusals in range(4):
        [received] = alone.pull(subscription)
        seen.append(base64.b64decode(received["message"]["data"]).decode())
        verb = ":modifyAckDeadline" if refusals == 0 else ":acknowledge"
        alone.done("POST", f"subscriptions/{subscription}{verb}", {"ackIds": [received["ackId"]]})

    assert seen == ["0", "0", "1", "2"]


def test_a_full_backlog_refuses_further_messages_and_keeps_those_it_has() -> None:
    with Broker(limits=Limits(messages=2)) as broker:
        full = Place("broker", broker.url)
        topic = full.topic()
        subscription = full.subscription(topic)
        full.publish(topic, message("1"), message("2"))

        status, answer = full.call("POST", f"topics/{topic}:publish", {"messages": [message("3")]})

        assert (status, answer["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert subscription in answer["error"]["message"]
        assert len(full.pull(subscription)) == 2


@pytest.mark.parametrize("body", [{"messages": []}, {"messages": [{}]}, {"messages": [{"data": "no base64!"}]}, {}])
def test_a_message_that_is_none_is_refused(alone: Place, body: dict[str, Any]) -> None:
    status, answer = alone.call("POST", f"topics/{alone.topic()}:publish", body)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_statistics_tell_where_every_message_is(alone: Place, endpoint: Endpoint) -> None:
    topic, path = alone.topic(), endpoint.path()
    name = f"projects/{PROJECT}/subscriptions/{alone.subscription(topic, **_push_to(endpoint, path))}"
    alone.publish(topic, message(answers="500,200"), message())
    endpoint.wait(path, 3)

    def row() -> dict[str, int]:
        return dict(rest(alone.url, "GET", STATS)[1]["subscriptions"][name])

    eventually(lambda: row()["acknowledged"] == 2, within=10)
    wanted = {"accepted": 2, "delivered": 3, "refused": 1, "acknowledged": 2, "outstanding": 0, "backlog": 0}
    assert {field: row()[field] for field in wanted} == wanted
    assert rest(alone.url, "GET", STATS)[1]["topics"][f"projects/{PROJECT}/topics/{topic}"] == {"published": 2}


def test_a_deleted_subscription_gets_nothing_more(alone: Place) -> None:
    topic = alone.topic()
    subscription = alone.subscription(topic)
    alone.done("DELETE", f"subscriptions/{subscription}")

    alone.publish(topic, message())

    assert alone.call("POST", f"subscriptions/{subscription}:pull", {"maxMessages": 1})[0] == 404


def test_the_messaging_has_a_place_for_the_dead(alone: Place, endpoint: Endpoint) -> None:
    path = endpoint.path()
    quick = Messaging(PROJECT, endpoint.url + path, unwrapped=True, first_backoff=0, longest_backoff=0)
    create_messaging(alone.url, quick)
    alone.publish(REQUESTS, message("x", "one", answers="500"))

    [buried] = alone.pull(DEAD_LETTERS_PULL)

    assert base64.b64decode(buried["message"]["data"]) == b"x"
    assert len(endpoint.pushes(path)) == 5


def test_the_topics_are_those_that_the_settings_name_unless_told_otherwise() -> None:
    defaults = {variable.field: variable.default for variable in VARIABLES}

    assert (defaults["topic_requests"], defaults["topic_outcomes"]) == (REQUESTS, OUTCOMES)


def test_the_broker_runs_as_a_process_that_prints_its_address_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "infra.sandbox.broker", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        apart = Place("broker", url)
        topic = apart.topic()
        # A push under way to nowhere must not hold the end up.
        apart.subscription(topic, pushConfig={"pushEndpoint": "http://127.0.0.1:9/"})
        apart.publish(topic, message())

        process.terminate()

        assert process.wait(10) == 0
