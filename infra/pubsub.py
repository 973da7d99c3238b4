"""The door through which events leave: publish one message, know before the deadline whether it is kept."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self

from infra.deadline import Deadline, DeadlineExceeded

# The service's own limits, in bytes (Pub/Sub "Quotas and limits"). Refused here, so that a message which is too big
# fails with its name and not as an anonymous 400 after a round trip.
MAX_DATA = 10_000_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY = 256
MAX_ATTRIBUTE_VALUE = 1024
MAX_ORDERING_KEY = 1024

# The Google client takes attributes as keyword arguments beside its own: these names cannot be attributes.
RESERVED_ATTRIBUTES = frozenset({"self", "topic", "data", "ordering_key", "retry", "timeout"})

# HTTP statuses after which the same message may be accepted later. The Google client names its errors by the same
# numbers (409 is ABORTED, 499 CANCELLED), and its own retry predicate for Publish lists the same causes.
RETRYABLE_STATUSES = frozenset({408, 409, 429, 499, 500, 502, 503, 504})

BROKER_PROJECT = "fabric-sync"
"""The project that the embedded broker plays when none is named."""

FIRST_PAUSE = 0.1
"""Seconds before the second attempt; doubled for each further one, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 2.0

AT_ONCE = 250
"""Messages under way at the same time. Those of different keys cannot share a request (Pub/Sub reference,
`PubsubMessage.ordering_key`), and the library has a thread for each request: so many saturate a processor."""

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class PublishError(Exception):
    """The message was refused, or nobody took it.

    `retryable` says whether the same message may be accepted later: true for an unreachable or overloaded service,
    false for a topic that does not exist, a missing permission or a message that can never be accepted.
    """

    def __init__(self, text: str, *, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `data` in bytes, never empty, and attributes of text.

    Empty data is refused because functions-framework answers 400 to a push without a `data` key, for ever.
    Messages with the same `ordering_key` (at most 1,024 bytes, "" for none) are delivered one after the other.
    Raises `ValueError` for what the service would refuse.
    """

    data: bytes
    attributes: Mapping[str, str] = field(default=_NO_ATTRIBUTES)
    ordering_key: str = ""

    def __post_init__(self) -> None:
        faults = [
            (not self.data, "the data is empty"),
            (len(self.data) > MAX_DATA, f"the data has {len(self.data)} bytes, the limit is {MAX_DATA}"),
            (len(self.attributes) > MAX_ATTRIBUTES, f"more than {MAX_ATTRIBUTES} attributes"),
            (len(self.ordering_key.encode()) > MAX_ORDERING_KEY, f"an ordering key over {MAX_ORDERING_KEY} bytes"),
        ]
        for key, value in self.attributes.items():
            bad_key = not key or len(key.encode()) > MAX_ATTRIBUTE_KEY or key.startswith("goog")
            faults += [
                (bad_key or key in RESERVED_ATTRIBUTES, f"{key[:40]!r} cannot be the name of an attribute"),
                (len(value.encode()) > MAX_ATTRIBUTE_VALUE, f"attribute {key!r} is over {MAX_ATTRIBUTE_VALUE} bytes"),
            ]
        found = [text for wrong, text in faults if wrong]
        if found:
            raise ValueError(f"this message cannot be published: {'; '.join(found)}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))


class Publisher(ABC):
    """Publishes to the topics of one project. Used as a context manager, or closed by hand."""

    def publish(self, topic: str, message: Message, deadline: Deadline) -> str:
        """Publishes `message` to `topic` (short or full name) and returns the id that the service gave it.

        What can be retried is retried while time is left. Raises `PublishError` with the last answer (at once when
        that is final), and `DeadlineExceeded` when the time ended without an answer. Returns only what the
        service has confirmed: a function's processor is taken away after its reply, with all that is still unsent.
        """
        pause = FIRST_PAUSE
        while True:
            deadline.check(f"publishing to {topic}")
            try:
                return self._attempt(topic, message, deadline)
            except PublishError as error:
                if not error.retryable or not deadline.pause(pause):
                    raise
            pause = min(pause * 2, LONGEST_PAUSE)

    def publish_many(self, topic: str, messages: Sequence[Message], deadline: Deadline) -> list[str | PublishError]:
        """Publishes many messages to `topic`: for each, in order, the id that the service gave it, or why it has none.

        What can be retried is retried while time is left; where it is over, what is not confirmed says so. Raises
        nothing. Memory grows with the messages given, so thousands are given a part at a time.
        """
        told: list[str | PublishError] = [_unsent(topic)] * len(messages)
        left, pause = list(range(len(messages))), FIRST_PAUSE
        while left and not deadline.expired():
            for start in range(0, len(left), AT_ONCE):
                some = left[start : start + AT_ONCE]
                if deadline.expired():
                    break
                for at, answer in zip(
                    some, self._attempts(topic, [messages[at] for at in some], deadline), strict=True
                ):
                    told[at] = answer
            left = [at for at in left if isinstance(error := told[at], PublishError) and error.retryable]
            if left and not deadline.pause(pause):
                break
            pause = min(pause * 2, LONGEST_PAUSE)
        return told

    @abstractmethod
    def _attempts(self, topic: str, messages: Sequence[Message], deadline: Deadline) -> list[str | PublishError]:
        """One attempt at each of at most `AT_ONCE` messages; raises nothing."""

    @abstractmethod
    def _attempt(self, topic: str, message: Message, deadline: Deadline) -> str:
        """One attempt: the message id, `PublishError`, or `DeadlineExceeded` when no answer came in time."""

    @abstractmethod
    def close(self) -> None:
        """Gives connections and threads back; nothing can be published after."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class CloudPublisher(Publisher):
    """Publishes through google-cloud-pubsub, which speaks to the emulator when `PUBSUB_EMULATOR_HOST` is set."""

    # How much earlier the call ends than our wait for it, in seconds: the thread that the library started for the
    # call is gone when we return.
    _CALL_ENDS_EARLIER = 0.1

    def __init__(self, project: str) -> None:
        """Opens a channel for `project`. Raises `PublishError` when there are no credentials."""
        # Imported here: gRPC costs 0.7 s of processor time and must not exist in a process that will fork.
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import pubsub_v1

        self._project = project
        self._under_way: set[Any] = set()
        try:
            self._client = pubsub_v1.PublisherClient(
                # A latency of 0 and not infinity: messages with an ordering key are sent by the timer alone.
                batch_settings=pubsub_v1.types.BatchSettings(max_messages=1, max_latency=0),
                publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True),
            )
        except GoogleAuthError as error:
            raise PublishError(f"no credentials to publish to project {project}: {error}", retryable=False) from error

    def _attempt(self, topic: str, message: Message, deadline: Deadline) -> str:
        return self._confirmed(self._begin(topic, message, deadline), topic, message, deadline)

    def _attempts(self, topic: str, messages: Sequence[Message], deadline: Deadline) -> list[str | PublishError]:
        # All of them under way before the first is waited for.
        begun = [(message, self._begun(topic, message, deadline)) for message in messages]
        return [self._told(future, topic, message, deadline) for message, future in begun]

    def _begun(self, topic: str, message: Message, deadline: Deadline) -> Any:
        try:
            return self._begin(topic, message, deadline)
        except PublishError as error:
            return error
        except DeadlineExceeded:
            return _unsent(topic)

    def _told(self, future: Any, topic: str, message: Message, deadline: Deadline) -> str | PublishError:
        if isinstance(future, PublishError):
            return future
        try:
            return self._confirmed(future, topic, message, deadline)
        except PublishError as error:
            return error
        except DeadlineExceeded:
            return _unsent(topic)

    def _begin(self, topic: str, message: Message, deadline: Deadline) -> Any:
        """The future of a call that is under way, and will end by the deadline."""
        left = deadline.check(f"publishing to {topic}")
        try:
            # `retry=None` and not a policy: with ordering on, the library replaces the end of any policy, and the
            # timeout with it, by 2**32 seconds.
            future = self._client.publish(
                topic_path(self._project, topic),
                message.data,
                ordering_key=message.ordering_key,
                retry=None,
                timeout=max(left - self._CALL_ENDS_EARLIER, left / 2),
                **message.attributes,
            )
        except (RuntimeError, ValueError) as error:
            # RuntimeError: the client is closed, or an earlier message of the same key failed. ValueError: too large.
            self._resume(topic_path(self._project, topic), message)
            raise PublishError(f"publishing to {topic} failed: {error}", retryable=False) from error
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def _confirmed(self, future: Any, topic: str, message: Message, deadline: Deadline) -> str:
        from google.api_core.exceptions import DeadlineExceeded as CallDeadlineExceeded
        from google.api_core.exceptions import GoogleAPIError
        from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException

        what = f"publishing to {topic}"
        path = topic_path(self._project, topic)
        try:
            return str(future.result(timeout=max(deadline.left(), 0.0)))
        except (TimeoutError, CallDeadlineExceeded) as error:
            self._resume(path, message)
            raise DeadlineExceeded(f"no answer in time when {what}") from error
        except PublishToPausedOrderingKeyException as error:
            self._resume(path, message)
            raise PublishError(f"an earlier message held the ordering key back when {what}", retryable=True) from error
        except (GoogleAPIError, RuntimeError, ValueError) as error:
            # RuntimeError: the client is closed, or an earlier message of the same key failed. ValueError: too large.
            self._resume(path, message)
            status = getattr(error, "code", None)
            raise PublishError(f"{what} failed: {error}", retryable=status in RETRYABLE_STATUSES) from error

    def _resume(self, path: str, message: Message) -> None:
        """Lets the ordering key of `message` publish again: the library blocks it after any error."""
        if not message.ordering_key:
            return
        try:
            self._client.resume_publish(path, message.ordering_key)
        except RuntimeError:
            return  # the key was not blocked, or the client is closed: nothing to resume

    def close(self) -> None:
        try:
            self._client.stop()
        except RuntimeError:
            return  # closed before
        # The library's thread of a call dies with a traceback where the channel is closed: the last call closes it.
        for future in [*self._under_way]:
            future.add_done_callback(self._close_channel)
        self._close_channel()

    def _close_channel(self, _: Any = None) -> None:
        if not self._under_way:
            self._client.transport.close()


class BrokerPublisher(Publisher):
    """Publishes to the embedded broker: the REST form of Pub/Sub over plain HTTP, on the bounded transport."""

    def __init__(self, project: str, url: str) -> None:
        """`url` is the broker's address, such as `http://127.0.0.1:8085`."""
        # Imported here: whoever publishes to the cloud alone never needs it.
        from infra import transport

        if not url.startswith("http://"):
            raise ValueError(f"the broker's address must start with http://, and is {url!r}")
        self._transport = transport
        self._project = project
        self._url = url.rstrip("/")
        self._closed = False

    def _attempt(self, topic: str, message: Message, deadline: Deadline) -> str:
        return self._send(topic, [message], deadline)[0]

    def _attempts(self, topic: str, messages: Sequence[Message], deadline: Deadline) -> list[str | PublishError]:
        try:
            return list(self._send(topic, messages, deadline))
        except PublishError as error:
            return [error] * len(messages)
        except DeadlineExceeded:
            return [_unsent(topic)] * len(messages)

    def _send(self, topic: str, messages: Sequence[Message], deadline: Deadline) -> list[str]:
        """One request, of which the broker takes all or nothing: the ids."""
        what = f"publishing to {topic}"
        if self._closed:
            raise PublishError(f"the publisher was closed before {what}", retryable=False)
        url = f"{self._url}/v1/{topic_path(self._project, topic)}:publish"
        try:
            with self._transport.bounded_session(deadline) as session:
                reply = session.post(url, json={"messages": [_as_json(message) for message in messages]})
        except DeadlineExceeded as error:
            raise DeadlineExceeded(f"no answer in time when {what}") from error
        except self._transport.TransportError as error:
            raise PublishError(f"{what} failed: {error}", retryable=True) from error
        if reply.status_code != 200:
            text = f"{what} was answered {reply.status_code}: {reply.text[:300]}"
            raise PublishError(text, retryable=reply.status_code in RETRYABLE_STATUSES)
        try:
            given = reply.json()["messageIds"]
            return [str(given[at]) for at in range(len(messages))]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            text = f"{what} was answered without a message id: {reply.text[:300]}"
            raise PublishError(text, retryable=False) from error

    def close(self) -> None:
        self._closed = True


def open_publisher(project: str | None, *, broker_url: str | None = None) -> Publisher:
    """The publisher for `project`: to the embedded broker when its address is given, else to Pub/Sub or its emulator.

    `broker_url` is the setting `FABRIC_SYNC_BROKER_URL` (with it, `project` defaults to `BROKER_PROJECT`); the emulator
    is found by the Google library itself through `PUBSUB_EMULATOR_HOST`. Raises `ValueError` when neither is given.
    """
    if broker_url:
        return BrokerPublisher(project or BROKER_PROJECT, broker_url)
    if not project:
        raise ValueError("nowhere to publish to: give the project that holds the topics, or the address of a broker")
    return CloudPublisher(project)


def topic_path(project: str, topic: str) -> str:
    """The full name of a topic that is given by its short name (in `project`) or by its full one."""
    return topic if topic.startswith("projects/") else f"projects/{project}/topics/{topic}"


def _unsent(topic: str) -> PublishError:
    return PublishError(f"no answer in time when publishing to {topic}", retryable=True)


def _as_json(message: Message) -> dict[str, Any]:
    """The message as the REST form has it (`PubsubMessage` in the Pub/Sub reference)."""
    body: dict[str, Any] = {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}
    if message.ordering_key:
        body["orderingKey"] = message.ordering_key
    return body
