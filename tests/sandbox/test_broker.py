"""What the embedded broker and the real emulator both claim: one suite for the two of them."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from infra.sandbox.messaging import OUTCOMES, OUTCOMES_PULL, REQUESTS, Messaging, create_messaging
from tests.pubsub_fixtures import (
    PROJECT,
    QUICK,
    Endpoint,
    Place,
    eventually,
    message,
    push_to,
    text_of,
)


def test_a_push_carries_the_same_envelope(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    subscription = place.subscription(topic, **push_to(endpoint, path))
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
    assert text_of(push) == '{"a": 1}'


def test_a_failed_push_comes_again_until_it_is_acknowledged(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    place.subscription(topic, **push_to(endpoint, path))
    place.publish(topic, message(answers="500,503,200"))

    pushes = endpoint.wait(path, 3)
    time.sleep(1.2)  # longer than the longest backoff: a fourth would have come

    assert [push["status"] for push in endpoint.pushes(path)] == [500, 503, 200]
    assert len({push["envelope"]["message"]["messageId"] for push in pushes}) == 1


def test_the_fifth_failure_takes_a_message_to_the_dead_letters(place: Place, endpoint: Endpoint) -> None:
    topic, dead, path = place.topic(), place.topic("dead"), endpoint.path()
    grave = place.subscription(dead)
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/{dead}", "maxDeliveryAttempts": 5}
    source = place.subscription(topic, deadLetterPolicy=policy, **push_to(endpoint, path))
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
    place.subscription(topic, enableMessageOrdering=True, **push_to(endpoint, path))
    place.publish(topic, message("one-1", "one", answers="500,200", hold="0.3"))
    place.publish(topic, message("one-2", "one", hold="0.3"))
    place.publish(topic, message("one-3", "one"))
    place.publish(topic, message("two-1", "two"))

    pushes = endpoint.wait(path, 5)

    texts = [text_of(push) for push in pushes]
    assert [text for text in texts if text.startswith("one")] == ["one-1", "one-1", "one-2", "one-3"]
    assert texts.index("two-1") < texts.index("one-2")


def test_messages_of_one_key_never_overlap(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    place.subscription(topic, enableMessageOrdering=True, **push_to(endpoint, path))
    place.publish(topic, *[message(str(number), "key", hold="0.2") for number in range(4)])

    assert [text_of(push) for push in endpoint.wait(path, 4)] == ["0", "1", "2", "3"]

    lines = eventually(lambda: len(endpoint.lines(path)) == 8 and endpoint.lines(path), within=10) or []
    assert ["ended" in line for line in lines] == [False, True] * 4


def test_an_unwrapped_push_has_the_data_as_body_and_the_rest_as_headers(place: Place, endpoint: Endpoint) -> None:
    topic, path = place.topic(), endpoint.path()
    settings = push_to(endpoint, path, noWrapper={"writeMetadata": True})
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
    place.subscription(topic, **push_to(event_endpoint, "/", noWrapper={"writeMetadata": True}))
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

    assert [text_of(push) for push in endpoint.wait(path, 1)] == ["request"]
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
