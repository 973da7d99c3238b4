"""The broker's topics and subscriptions: created, published to, pulled from. Knows no HTTP, only its vocabulary."""

from __future__ import annotations

import base64
import binascii
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.sandbox.filters import FilterError, compile_filter
from infra.sandbox.push import Pusher, as_json
from infra.sandbox.subscription import NO_POLICY, Lease, Limits, Queue, Stored, Terms

DELETED_TOPIC = "_deleted-topic_"
"""What the service writes in place of the topic of a subscription whose topic was deleted."""

MAX_MESSAGE = 10_000_000
_LONGEST_BACKOFF = 600.0
_LONGEST_ACK_DEADLINE = 600
_ATTEMPTS = range(5, 101)

# Fields of a subscription that are taken and kept, but change nothing here: nobody waits a day for the sandbox.
_WITHOUT_EFFECT = {"name", "labels", "messageRetentionDuration", "expirationPolicy", "retainAckedMessages"}
_WITH_EFFECT = {"topic", "pushConfig", "ackDeadlineSeconds", "enableMessageOrdering", "filter"}
_POLICIES = {"deadLetterPolicy", "retryPolicy", "enableExactlyOnceDelivery"}


class Refused(Exception):
    """A request that cannot be served, in the words of the Google APIs: HTTP status, canonical code, text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def bad(text: str) -> Refused:
    """The request is wrong and stays wrong."""
    return Refused(400, "INVALID_ARGUMENT", text)


@dataclass(slots=True)
class _Subscription:
    settings: dict[str, Any]
    queue: Queue
    pusher: Pusher | None = None

    def close(self) -> None:
        self.queue.close()
        if self.pusher:
            self.pusher.close(within=2.0)


@dataclass(slots=True)
class _Topic:
    settings: dict[str, Any]
    subscriptions: list[str] = field(default_factory=list)
    published: int = 0


class Exchange:
    """Topics and subscriptions by their full names (`projects/P/topics/T`, `projects/P/subscriptions/S`)."""

    def __init__(self, limits: Limits | None = None, push_workers: int = 8) -> None:
        """`push_workers`: how many pushes of one subscription may be under way at once (the service's window grows)."""
        self._limits = limits or Limits()
        self._push_workers = push_workers
        # Re-entrant: a dead letter is published while a subscription settles.
        self._lock = threading.RLock()
        self._topics: dict[str, _Topic] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._ids = itertools.count(1)

    def create_topic(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if name in self._topics:
                raise Refused(409, "ALREADY_EXISTS", f"topic {name} exists")
            self._topics[name] = _Topic({**settings, "name": name})
            return self._topics[name].settings

    def create_subscription(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        terms = terms_of(name, settings)
        with self._lock:
            if name in self._subscriptions:
                raise Refused(409, "ALREADY_EXISTS", f"subscription {name} exists")
            topic = self._topic(terms.topic)
            queue = Queue(terms, self._bury, self._limits)
            made = _Subscription({"ackDeadlineSeconds": 10, **settings, "name": name}, queue)
            self._subscriptions[name] = made
            topic.subscriptions.append(name)
        if terms.push_endpoint:
            made.pusher = Pusher(queue, self._push_workers)
        return made.settings

    def describe(self, name: str) -> dict[str, Any]:
        """The settings of a topic or subscription."""
        with self._lock:
            return self._topic(name).settings if "/topics/" in name else self._subscription(name).settings

    def names(self, prefix: str) -> list[dict[str, Any]]:
        """The settings of everything whose name begins with `prefix`."""
        with self._lock:
            settings = {name: topic.settings for name, topic in self._topics.items()}
            settings |= {name: one.settings for name, one in self._subscriptions.items()}
            return [found for name, found in settings.items() if name.startswith(prefix)]

    def delete(self, name: str) -> None:
        """Removes a topic (its subscriptions stay, and get nothing more) or a subscription with its messages."""
        gone: _Subscription | None = None
        with self._lock:
            if "/topics/" in name:
                for orphan in self._topic(name).subscriptions:
                    self._subscriptions[orphan].settings["topic"] = DELETED_TOPIC
                del self._topics[name]
            else:
                gone = self._subscription(name)
                del self._subscriptions[name]
                for topic in self._topics.values():
                    if name in topic.subscriptions:
                        topic.subscriptions.remove(name)
        if gone:
            gone.close()

    def publish(self, topic: str, messages: list[Any]) -> list[str]:
        """Accepts every message or none; the ids, in order."""
        if not messages:
            raise bad("a publish request needs at least one message")
        stored = [self._stored(message) for message in messages]
        self._accept(topic, stored)
        return [message.message_id for message in stored]

    def pull(self, name: str, most: int, wait: float) -> list[dict[str, Any]]:
        """Up to `most` messages, the first waited for `wait` seconds."""
        queue = self._queue(name)
        if queue.terms.push_endpoint:
            raise Refused(400, "FAILED_PRECONDITION", f"{name} is a push subscription")
        leases: list[Lease] = []
        while len(leases) < most:
            lease = queue.take(0.0 if leases else wait)
            if lease is None:
                break
            leases.append(lease)
        return [_received(queue.terms, lease) for lease in leases]

    def acknowledge(self, name: str, ack_ids: list[str]) -> None:
        """Acknowledges; ids whose lease is over are passed over, as in the service."""
        queue = self._queue(name)
        for ack_id in ack_ids:
            queue.acknowledge(ack_id)

    def modify_ack_deadline(self, name: str, ack_ids: list[str], seconds: float) -> None:
        """Extends leases; 0 seconds refuses the message."""
        if not 0 <= seconds <= _LONGEST_ACK_DEADLINE:
            raise bad(f"an acknowledgement deadline has 0 to {_LONGEST_ACK_DEADLINE} seconds, not {seconds}")
        queue = self._queue(name)
        for ack_id in ack_ids:
            if seconds:
                queue.extend(ack_id, seconds)
            else:
                queue.refuse(ack_id, "refused by the subscriber")

    def stats(self) -> dict[str, Any]:
        """Counts for a live table: by topic how many were published, by subscription where its messages are."""
        with self._lock:
            topics = {name: {"published": topic.published} for name, topic in self._topics.items()}
            queues = {name: one.queue for name, one in self._subscriptions.items()}
        return {"topics": topics, "subscriptions": {name: queue.table() for name, queue in queues.items()}}

    def close(self) -> None:
        with self._lock:
            every = list(self._subscriptions.values())
            self._subscriptions.clear()
            self._topics.clear()
        for one in every:
            one.queue.close()
        for one in every:
            one.close()

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise Refused(404, "NOT_FOUND", f"topic {name} does not exist")
        return self._topics[name]

    def _subscription(self, name: str) -> _Subscription:
        if name not in self._subscriptions:
            raise Refused(404, "NOT_FOUND", f"subscription {name} does not exist")
        return self._subscriptions[name]

    def _queue(self, name: str) -> Queue:
        with self._lock:
            return self._subscription(name).queue

    def _accept(self, topic_name: str, messages: list[Stored]) -> None:
        with self._lock:
            topic = self._topic(topic_name)
            queues = [self._subscriptions[name].queue for name in topic.subscriptions]
            full = [queue.terms.name for queue in queues if not queue.has_room(messages)]
            if full:
                text = f"the backlog of {', '.join(full)} is full: nothing takes its messages"
                raise Refused(429, "RESOURCE_EXHAUSTED", text)
            topic.published += len(messages)
            for message in messages:
                for queue in queues:
                    queue.offer(message)

    def _bury(self, terms: Terms, lease: Lease) -> bool:
        """Publishes a message that failed too often to the dead letter topic, with where it comes from."""
        message = lease.message
        _, project, _, short = terms.name.split("/")
        origin = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(lease.attempt),
            "CloudPubSubDeadLetterSourceDeliveryErrorMessage": lease.last_error,
            "CloudPubSubDeadLetterSourceSubscription": short,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": message.publish_time,
        }
        dead = Stored(
            str(next(self._ids)), _now(), message.data, {**message.attributes, **origin}, message.ordering_key
        )
        try:
            self._accept(terms.dead_letter_topic, [dead])
        except Refused:
            return False  # no such topic, or no room there: the message stays where it is, as in the service
        return True

    def _stored(self, message: Any) -> Stored:
        if not isinstance(message, dict):
            raise bad("a message is a JSON object")
        attributes = message.get("attributes") or {}
        if not all(isinstance(value, str) for value in attributes.values()):
            raise bad("attributes are texts")
        try:
            data = base64.b64decode(message.get("data") or "", validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise bad(f"the data of a message is base64: {error}") from error
        if not data and not attributes:
            raise bad("a message needs data or attributes")
        if len(data) > MAX_MESSAGE:
            raise bad(f"a message has at most {MAX_MESSAGE} bytes, this one has {len(data)}")
        return Stored(str(next(self._ids)), _now(), data, attributes, str(message.get("orderingKey") or ""))


def terms_of(name: str, settings: Mapping[str, Any]) -> Terms:
    """The terms of a subscription from its REST form; raises `Refused` where the service would, or where we cannot."""
    unknown = set(settings) - _WITHOUT_EFFECT - _WITH_EFFECT - _POLICIES
    if unknown:
        raise bad(f"unknown fields of a subscription: {', '.join(sorted(unknown))}")
    if settings.get("enableExactlyOnceDelivery"):
        # The service refuses it for push, and functions are pushed to; the emulator wrongly takes it.
        raise bad("exactly-once delivery is not offered")
    push = settings.get("pushConfig") or {}
    endpoint = push.get("pushEndpoint", "")
    if endpoint and not endpoint.startswith("http://"):
        raise bad(f"this broker pushes to http:// endpoints only, not to {endpoint!r}")
    deadline = int(settings.get("ackDeadlineSeconds") or 10)
    if not 1 <= deadline <= _LONGEST_ACK_DEADLINE:
        raise bad(f"an acknowledgement deadline has 1 to {_LONGEST_ACK_DEADLINE} seconds, not {deadline}")
    dead = settings.get("deadLetterPolicy") or {}
    attempts = int(dead.get("maxDeliveryAttempts") or 5) if dead else 0
    if dead and attempts not in _ATTEMPTS:
        raise bad(f"maxDeliveryAttempts is {_ATTEMPTS.start} to {_ATTEMPTS.stop - 1}, not {attempts}")
    try:
        accepts = compile_filter(settings.get("filter", ""))
    except FilterError as error:
        raise bad(f"the filter is not valid: {error}") from error
    return Terms(
        name=name,
        topic=str(settings.get("topic", "")),
        accepts=accepts,
        ack_deadline=float(deadline),
        ordered=bool(settings.get("enableMessageOrdering")),
        backoff=_backoff(settings.get("retryPolicy")),
        dead_letter_topic=str(dead.get("deadLetterTopic", "")),
        max_attempts=attempts,
        push_endpoint=endpoint,
        unwrapped="noWrapper" in push,
        write_metadata=bool((push.get("noWrapper") or {}).get("writeMetadata")),
    )


def _backoff(policy: Mapping[str, str] | None) -> tuple[float, float]:
    if policy is None:
        return NO_POLICY
    try:
        first, longest = (
            float(str(policy.get(name, default)).removesuffix("s"))
            for name, default in (("minimumBackoff", "10s"), ("maximumBackoff", "600s"))
        )
    except ValueError as error:
        raise bad(f"a backoff is written like 10s: {error}") from error
    if not 0 <= first <= longest <= _LONGEST_BACKOFF:
        raise bad(f"a backoff has 0 to {_LONGEST_BACKOFF:.0f} seconds, the minimum first, not {first} and {longest}")
    return first, longest


def _received(terms: Terms, lease: Lease) -> dict[str, Any]:
    one: dict[str, Any] = {"ackId": lease.ack_id, "message": as_json(lease.message)}
    return one | ({"deliveryAttempt": lease.attempt} if terms.max_attempts else {})


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
