"""Where messages go in tests: the embedded broker, the real Pub/Sub emulator, and functions that are pushed to."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.deadline import Deadline
from infra.sandbox.broker import Broker
from infra.sandbox.emulator import Emulator, EmulatorMissing
from infra.sandbox.messaging import rest
from infra.sandbox.serving import Serving

PROJECT = "fabric-sync-tests"
PUSH_TARGET = Path(__file__).parent / "sandbox" / "push_target" / "main.py"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """The embedded broker or the emulator; everything made through it has names of its own."""

    kind: str
    url: str
    unique: int = field(default_factory=lambda: next(_numbers))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """One REST call below the project."""
        return rest(self.url, method, f"/v1/projects/{PROJECT}/{path}", body)

    def done(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One REST call that must succeed; its answer."""
        status, answer = self.call(method, path, body)
        assert status == 200, (method, path, status, answer)
        return answer

    def topic(self, name: str = "topic") -> str:
        """A new topic; its short name."""
        short = f"{name}-{self.unique}-{next(_numbers)}"
        self.done("PUT", f"topics/{short}", {})
        return short

    def subscription(self, topic: str, **settings: Any) -> str:
        """A new subscription to `topic`; its short name."""
        short = f"{topic}-sub{next(_numbers)}"
        body = {"topic": f"projects/{PROJECT}/topics/{topic}", **settings}
        self.done("PUT", f"subscriptions/{short}", body)
        return short

    def publish(self, topic: str, *messages: dict[str, Any]) -> list[str]:
        """Publishes messages in their REST form; their ids."""
        return list(self.done("POST", f"topics/{topic}:publish", {"messages": list(messages)})["messageIds"])

    def pull(self, subscription: str, within: float = 10.0) -> list[dict[str, Any]]:
        """The first messages that can be pulled within so many seconds."""
        body = {"maxMessages": 10, "returnImmediately": True}

        def pulled() -> list[dict[str, Any]]:
            return list(self.done("POST", f"subscriptions/{subscription}:pull", body).get("receivedMessages", []))

        return eventually(pulled, within)

    def clear(self) -> None:
        """Deletes every subscription: a failing push must not go on beside the next test."""
        for subscription in self.done("GET", "subscriptions").get("subscriptions", []):
            self.call("DELETE", f"subscriptions/{subscription['name'].rsplit('/', 1)[-1]}")


@dataclass(frozen=True)
class Endpoint:
    """A served function that writes down what is pushed to it."""

    url: str
    log: Path

    def path(self) -> str:
        """A path of its own for one subscription."""
        return f"/push/{next(_numbers)}"

    def lines(self, path: str) -> list[dict[str, Any]]:
        """What came for `path` so far, in order; the beginning and the end of each push are two lines."""
        text = self.log.read_text() if self.log.exists() else ""
        # The last line may be half written.
        return [line for line in map(json.loads, text.split("\n")[:-1]) if line["path"] == path]

    def pushes(self, path: str) -> list[dict[str, Any]]:
        """The beginnings alone."""
        return [line for line in self.lines(path) if "ended" not in line]

    def wait(self, path: str, count: int, within: float = 20.0) -> list[dict[str, Any]]:
        """The pushes to `path` as soon as there are `count`, or what there is after so many seconds."""
        eventually(lambda: len(self.pushes(path)) >= count, within)
        return self.pushes(path)


def eventually[T](ask: Callable[[], T], within: float) -> T:
    """The first true answer of `ask`, or the last one given after so many seconds."""
    deadline = Deadline.after(within)
    while True:
        answer = ask()
        if answer or not deadline.pause(0.05):
            return answer


def message(text: str = "{}", key: str = "", **attributes: str) -> dict[str, Any]:
    """A message in its REST form."""
    body: dict[str, Any] = {"data": base64.b64encode(text.encode()).decode(), "attributes": attributes}
    return body | ({"orderingKey": key} if key else {})


QUICK = {"minimumBackoff": "0.2s", "maximumBackoff": "1s"}
"""A retry policy for tests: the broker follows it, the emulator retries each second."""


def text_of(push: dict[str, Any]) -> str:
    """The data of a wrapped push that an `Endpoint` wrote down."""
    return base64.b64decode(push["envelope"]["message"]["data"]).decode()


def push_to(endpoint: Endpoint, path: str, **settings: Any) -> dict[str, Any]:
    """The settings of a subscription that pushes to `path`; `settings` go into its push configuration."""
    return {"pushConfig": {"pushEndpoint": endpoint.url + path, **settings}, "retryPolicy": QUICK}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The real Pub/Sub emulator, one for all tests."""
    try:
        made = Emulator(tmp_path_factory.mktemp("emulator") / "emulator.log")
    except EmulatorMissing as missing:
        pytest.skip(f"the Pub/Sub emulator cannot run: {missing}")
    with made:
        yield made


@pytest.fixture
def broker() -> Iterator[Broker]:
    """An embedded broker of the test's own."""
    with Broker() as made:
        yield made


@pytest.fixture
def alone(broker: Broker) -> Place:
    """The embedded broker: for what the emulator does not do, or does otherwise than the service."""
    return Place("broker", broker.url)


@pytest.fixture(params=["broker", pytest.param("emulator", marks=pytest.mark.emulator)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The embedded broker, then the emulator: for what both do."""
    made = Place(request.param, request.getfixturevalue(request.param).url)
    yield made
    made.clear()


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A function that takes any push and answers as the message asks, served by functions-framework."""
    with _served("record", tmp_path_factory.mktemp("endpoint")) as made:
        yield made


@pytest.fixture(scope="session")
def event_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A function that takes CloudEvents, served by functions-framework."""
    with _served("event", tmp_path_factory.mktemp("event-endpoint")) as made:
        yield made


@contextmanager
def _served(target: str, directory: Path) -> Iterator[Endpoint]:
    log = directory / "pushes.jsonl"
    settings = {"PUSH_TARGET_LOG": str(log)}
    with Serving(PUSH_TARGET, target, directory / "serving.log", settings, threads=16) as serving:
        yield Endpoint(serving.url, log)


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[float]]]:
    """A server below HTTP: `talk` has each connection; gives the address, and when each connection came."""
    came: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed: the test is over
                came.append(time.monotonic())
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", came
        # close() alone leaves a blocked accept() blocked.
        listener.shutdown(socket.SHUT_RDWR)


def silence(connection: socket.socket) -> None:
    """Takes everything, says nothing, until the other side hangs up."""
    with connection:
        while connection.recv(65536):
            continue


def drip(connection: socket.socket) -> None:
    """An answer that never ends, one byte at a time."""
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            while True:
                time.sleep(0.2)
                connection.sendall(b"x")
        except OSError:
            return  # the other side hung up
