"""What the service does and the emulator does not, or does otherwise: shown on the embedded broker."""

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
from infra.sandbox.messaging import DEAD_LETTERS_PULL, OUTCOMES, REQUESTS, Messaging, create_messaging, rest
from infra.sandbox.subscription import Limits
from infra.variables import VARIABLES
from tests.pubsub_fixtures import (
    PROJECT,
    QUICK,
    Endpoint,
    Place,
    drip,
    eventually,
    message,
    push_to,
    raw_server,
    text_of,
)


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
    settings = push_to(endpoint, path) | {"deadLetterPolicy": policy, "enableMessageOrdering": True}
    alone.subscription(topic, **settings)
    alone.publish(topic, message("x", "one", answers="500,500,200"))

    pushes = endpoint.wait(path, 3)

    assert [push["envelope"]["deliveryAttempt"] for push in pushes] == [1, 2, 3]
    assert {push["envelope"]["message"]["orderingKey"] for push in pushes} == {"one"}


def test_a_dead_letter_sets_its_key_free(alone: Place, endpoint: Endpoint) -> None:
    topic, dead, path = alone.topic(), alone.topic("dead"), endpoint.path()
    grave = alone.subscription(dead)
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/{dead}", "maxDeliveryAttempts": 5}
    settings = push_to(endpoint, path) | {"deadLetterPolicy": policy, "enableMessageOrdering": True}
    alone.subscription(topic, **settings)
    alone.publish(topic, message("bad", "one", answers="500"), message("good", "one"))

    assert [text_of(push) for push in endpoint.wait(path, 6)] == ["bad"] * 5 + ["good"]
    [buried] = alone.pull(grave)
    assert buried["message"]["attributes"]["CloudPubSubDeadLetterSourceDeliveryErrorMessage"]


def test_a_message_stays_when_there_is_no_topic_for_the_dead(alone: Place, endpoint: Endpoint) -> None:
    topic, path = alone.topic(), endpoint.path()
    policy = {"deadLetterTopic": f"projects/{PROJECT}/topics/nowhere", "maxDeliveryAttempts": 5}
    alone.subscription(topic, deadLetterPolicy=policy, **push_to(endpoint, path))
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
    alone.subscription(topic, ackDeadlineSeconds=1, **push_to(endpoint, path))
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
    name = f"projects/{PROJECT}/subscriptions/{alone.subscription(topic, **push_to(endpoint, path))}"
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
