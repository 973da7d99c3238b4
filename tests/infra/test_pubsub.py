"""The door for events: confirmed before the deadline, or an error that says whether to try again."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.deadline import Deadline, DeadlineExceeded
from infra.pubsub import BROKER_PROJECT, MAX_DATA, BrokerPublisher, Message, Publisher, PublishError, open_publisher
from infra.sandbox.broker import Broker
from infra.sandbox.process import free_port
from infra.sandbox.subscription import Limits
from tests.pubsub_fixtures import PROJECT, Place, eventually, raw_server, silence

Opener = Callable[[str], Publisher]
"""Opens a publisher to the given address (`http://host:port`)."""

MARGIN = 4.0
"""Seconds: how late a loaded machine may be, far from the hang that is looked for."""


@pytest.fixture(params=["broker", "cloud"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Either back end; neither needs anything to be there."""
    opened: list[Publisher] = []

    def broker(url: str) -> Publisher:
        opened.append(open_publisher(PROJECT, broker_url=url))
        return opened[-1]

    def cloud(url: str) -> Publisher:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", url.removeprefix("http://"))
        opened.append(open_publisher(PROJECT))
        return opened[-1]

    yield {"broker": broker, "cloud": cloud}[request.param]
    for publisher in opened:
        publisher.close()


@pytest.fixture
def publisher(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A publisher to the place: over REST to the broker, over gRPC to the emulator."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", place.url.removeprefix("http://"))
    with open_publisher(PROJECT, broker_url=place.url if place.kind == "broker" else None) as opened:
        yield opened


def test_a_published_message_is_delivered_as_it_was_given(place: Place, publisher: Publisher) -> None:
    topic = place.topic()
    subscription = place.subscription(topic)

    given = publisher.publish(topic, Message(b'{"a": 1}', {"ce-id": "7", "data-kind": "x"}, "one"), Deadline.after(30))

    [received] = place.pull(subscription)
    assert received["message"]["messageId"] == given
    assert base64.b64decode(received["message"]["data"]) == b'{"a": 1}'
    assert received["message"]["attributes"] == {"ce-id": "7", "data-kind": "x"}


def test_a_topic_may_be_given_by_its_full_name(place: Place, publisher: Publisher) -> None:
    topic = place.topic()
    subscription = place.subscription(topic)

    publisher.publish(f"projects/{PROJECT}/topics/{topic}", Message(b"{}"), Deadline.after(30))

    assert len(place.pull(subscription)) == 1


def test_messages_of_one_key_are_published_in_order(place: Place, publisher: Publisher) -> None:
    topic = place.topic()
    subscription = place.subscription(topic)

    ids = [publisher.publish(topic, Message(b"%d" % number, {}, "one"), Deadline.after(30)) for number in range(5)]

    received: dict[str, bytes] = {}

    def all_five() -> bool:
        for one in place.pull(subscription):
            received[one["message"]["messageId"]] = base64.b64decode(one["message"]["data"])
        return len(received) == 5

    assert eventually(all_five, within=20)
    assert [received[given] for given in ids] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_missing_topic_is_final_and_leaves_its_key_usable(place: Place, publisher: Publisher) -> None:
    deadline = Deadline.after(60)
    with pytest.raises(PublishError, match="no-such-topic") as caught:
        publisher.publish("no-such-topic", Message(b"{}", {}, "one"), deadline)

    assert not caught.value.retryable
    assert caught.value.__cause__ is not None or place.kind == "broker"
    assert deadline.left() > 30, "a final answer was waited for"
    place.done("PUT", "topics/no-such-topic", {})
    assert publisher.publish("no-such-topic", Message(b"{}", {}, "one"), Deadline.after(30))
    place.done("DELETE", "topics/no-such-topic")


def test_a_service_that_is_down_ends_as_a_retryable_error_at_the_deadline(opener: Opener) -> None:
    publisher = opener(f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()

    with pytest.raises(PublishError, match="outcomes") as caught:
        publisher.publish("outcomes", Message(b"{}", {}, "one"), Deadline.after(2))

    assert caught.value.retryable
    assert caught.value.__cause__ is not None
    assert 1 < time.monotonic() - began < 2 + MARGIN, "it gave up early, or too late"


def test_a_service_that_hangs_ends_at_the_deadline(opener: Opener) -> None:
    with raw_server(silence) as (url, _):
        publisher = opener(url)
        began = time.monotonic()

        with pytest.raises(DeadlineExceeded, match="outcomes"):
            publisher.publish("outcomes", Message(b"{}", {}, "one"), Deadline.after(2))

    assert 1 < time.monotonic() - began < 2 + MARGIN


def test_nothing_is_sent_when_no_time_is_left(opener: Opener) -> None:
    with raw_server(silence) as (url, came):
        publisher = opener(url)

        with pytest.raises(DeadlineExceeded, match="outcomes"):
            publisher.publish("outcomes", Message(b"{}"), Deadline(time.monotonic() - 1))

    assert came == []


def test_a_service_that_comes_back_within_the_deadline_gets_the_message() -> None:
    port = free_port()

    def come_back() -> None:
        with Broker(port) as again:
            again.exchange.create_topic(f"projects/{PROJECT}/topics/outcomes", {})
            over.wait(30)

    over = threading.Event()
    timer = threading.Timer(1.0, come_back)
    timer.start()
    try:
        with BrokerPublisher(PROJECT, f"http://127.0.0.1:{port}") as publisher:
            assert publisher.publish("outcomes", Message(b"{}"), Deadline.after(20))
    finally:
        over.set()
        timer.join(10)


def test_a_full_backlog_is_a_retryable_error() -> None:
    with Broker(limits=Limits(messages=0)) as broker:
        full = Place("broker", broker.url)
        topic = full.topic()
        full.subscription(topic)
        with (
            BrokerPublisher(PROJECT, broker.url) as publisher,
            pytest.raises(PublishError, match="backlog") as caught,
        ):
            publisher.publish(topic, Message(b"{}"), Deadline.after(0.5))

    assert caught.value.retryable


def test_what_is_not_a_broker_is_a_final_error() -> None:
    def lie(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    with (
        raw_server(lie) as (url, _),
        BrokerPublisher(PROJECT, url) as publisher,
        pytest.raises(PublishError, match="without a message id") as caught,
    ):
        publisher.publish("outcomes", Message(b"{}"), Deadline.after(10))

    assert not caught.value.retryable


def test_a_closed_publisher_publishes_nothing(place: Place, publisher: Publisher) -> None:
    topic = place.topic()
    publisher.close()

    with pytest.raises(PublishError) as caught:
        publisher.publish(topic, Message(b"{}"), Deadline.after(10))

    assert not caught.value.retryable
    publisher.close()  # a second time does nothing


def test_no_thread_is_left_when_a_publisher_is_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", place.url.removeprefix("http://"))
    topic = place.topic()
    before = set(threading.enumerate())
    with open_publisher(PROJECT, broker_url=place.url if place.kind == "broker" else None) as publisher:
        publisher.publish(topic, Message(b"{}", {}, "one"), Deadline.after(30))

    def ours() -> list[str]:
        # The broker's own threads, one for each connection, are not the publisher's.
        return [one.name for one in set(threading.enumerate()) - before if "process_request" not in one.name]

    assert eventually(lambda: not ours(), within=10), ours()


def test_calls_that_are_under_way_when_a_publisher_is_closed_end_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: faults.append(args.exc_value))
    before = set(threading.enumerate())
    messages = [Message(b"{}", {}, f"key {number}") for number in range(50)]
    with raw_server(silence) as (url, _):
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", url.removeprefix("http://"))
        for number in range(40):
            with open_publisher(PROJECT) as publisher:
                told = publisher.publish_many("outcomes", messages, Deadline.after(0.002 * (number % 10 + 1)))
            assert all(isinstance(one, PublishError) for one in told)

        def calls() -> list[str]:
            return [one.name for one in set(threading.enumerate()) - before if "Publisher" in one.name]

        assert eventually(lambda: not calls(), within=30), calls()
    assert faults == []


@pytest.mark.parametrize(
    ("fault", "given"),
    [
        ("empty", {"data": b""}),
        ("limit", {"data": b"x" * (MAX_DATA + 1)}),
        ("attributes", {"data": b"x", "attributes": {f"a{number}": "" for number in range(101)}}),
        ("over 1024 bytes", {"data": b"x", "attributes": {"a": "é" * 513}}),
        ("'goog-x' cannot", {"data": b"x", "attributes": {"goog-x": ""}}),
        ("'timeout' cannot", {"data": b"x", "attributes": {"timeout": ""}}),
        ("'' cannot", {"data": b"x", "attributes": {"": ""}}),
        ("ordering key", {"data": b"x", "ordering_key": "k" * 1025}),
    ],
)
def test_a_message_that_the_service_would_refuse_is_not_made(fault: str, given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=fault):
        Message(**given)  # type: ignore[arg-type]


def test_a_message_does_not_change_with_what_it_was_made_from() -> None:
    attributes = {"a": "1"}
    message = Message(b"x", attributes)

    attributes["a"] = "2"

    assert message.attributes["a"] == "1"
    with pytest.raises(TypeError):
        message.attributes["a"] = "3"  # type: ignore[index]


def test_a_publisher_needs_somewhere_to_publish_to() -> None:
    with pytest.raises(ValueError, match="nowhere to publish to"):
        open_publisher(None)
    with pytest.raises(ValueError, match="http://"):
        open_publisher(None, broker_url="127.0.0.1:80")


def test_missing_credentials_are_a_final_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))

    with pytest.raises(PublishError, match=f"no credentials to publish to project {PROJECT}") as caught:
        open_publisher(PROJECT)

    assert not caught.value.retryable


def test_the_broker_needs_no_project() -> None:
    with Broker() as broker, open_publisher(None, broker_url=broker.url) as publisher:
        broker.exchange.create_topic(f"projects/{BROKER_PROJECT}/topics/outcomes", {})

        assert publisher.publish("outcomes", Message(b"{}"), Deadline.after(10))


def test_opening_the_door_imports_neither_grpc_nor_requests() -> None:
    script = "import infra.pubsub, sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert not {"grpc", "requests", "google.api_core"} & set(done.stdout.split())
