"""How a message reaches a push endpoint: the request that Pub/Sub would send, sent once, its status returned."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra.sandbox.subscription import Lease, Queue, Stored, Terms

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
"""The statuses that the service takes as an acknowledgement (Pub/Sub "Receive messages using push")."""

# How often a waiting worker looks up, in seconds: it bounds how long the end of the broker takes.
_LOOK_UP = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One push: header names as they are sent, body in bytes."""

    headers: dict[str, str]
    body: bytes


def wrapped(terms: Terms, lease: Lease) -> Request:
    """The JSON envelope; message id and time stand in it twice, as in the service.

    `deliveryAttempt` is there only with a dead letter policy, `orderingKey` only with a key.
    """
    message = lease.message
    inner = as_json(message) | {"message_id": message.message_id, "publish_time": message.publish_time}
    body: dict[str, Any] = {"message": inner, "subscription": terms.name}
    if terms.max_attempts:
        body["deliveryAttempt"] = lease.attempt
    return Request({"Content-Type": "application/json"}, json.dumps(body).encode())


def unwrapped(terms: Terms, lease: Lease) -> Request:
    """The data as the body; with metadata, attributes as headers and `x-goog-pubsub-*` beside them.

    The content type is the one of the attribute of that name (Pub/Sub "Payload unwrapping").
    """
    message = lease.message
    headers: dict[str, str] = {}
    if terms.write_metadata:
        headers = dict(message.attributes) | {
            "x-goog-pubsub-subscription-name": terms.name,
            "x-goog-pubsub-message-id": message.message_id,
            "x-goog-pubsub-publish-time": message.publish_time,
        }
        if message.ordering_key:
            headers["x-goog-pubsub-ordering-key"] = message.ordering_key
    if "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return Request(headers, message.data)


def as_json(message: Stored) -> dict[str, Any]:
    """The message as the REST form has it, absent fields left out."""
    fields: dict[str, Any] = {"messageId": message.message_id, "publishTime": message.publish_time}
    if message.data:
        fields["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        fields["attributes"] = dict(message.attributes)
    if message.ordering_key:
        fields["orderingKey"] = message.ordering_key
    return fields


class Pusher:
    """The workers that push one subscription's messages, each one request at a time."""

    def __init__(self, queue: Queue, workers: int) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._flights: set[_Flight] = set()
        self._closed = False
        name = queue.terms.name.rsplit("/", 1)[-1]
        self._threads = [
            threading.Thread(target=self._work, name=f"push-{name}-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def close(self, within: float) -> None:
        """Cuts the requests under way and lets the workers go, waiting at most `within` seconds for each."""
        with self._lock:
            self._closed = True
            under_way = list(self._flights)
        self._queue.close()
        for flight in under_way:
            flight.cut()
        for thread in self._threads:
            thread.join(within)

    def _work(self) -> None:
        while not self._closed:
            lease = self._queue.take(within=_LOOK_UP)
            if lease is None:
                continue
            status, why = self._push(lease)
            if status in ACKNOWLEDGED:
                self._queue.acknowledge(lease.ack_id)
            else:
                self._queue.refuse(lease.ack_id, why)

    def _push(self, lease: Lease) -> tuple[int, str]:
        """The status of the answer, 0 for none, and why in words."""
        terms = self._queue.terms
        target = urlsplit(terms.push_endpoint)
        request = unwrapped(terms, lease) if terms.unwrapped else wrapped(terms, lease)
        flight = _Flight(http.client.HTTPConnection(target.hostname or "", target.port, timeout=terms.ack_deadline))
        # A drip resets the socket's own timeout with every byte; the cut at the end of the lease does not ask.
        cutter = threading.Timer(terms.ack_deadline, flight.cut)
        cutter.daemon = True
        with self._lock:
            if self._closed:
                return 0, "the broker is closing"
            self._flights.add(flight)
        try:
            cutter.start()
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            flight.connection.request("POST", path, request.body, request.headers | {"Connection": "close"})
            status = flight.connection.getresponse().status
            # http.client takes headers that were cut off for complete ones.
            return (0, "the answer was not complete in time") if flight.over else (status, f"it answered {status}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            # ValueError: an attribute that cannot be a header; the service drops such a push as well.
            return 0, f"no answer from the endpoint: {error}"
        finally:
            cutter.cancel()
            with self._lock:
                self._flights.discard(flight)
            flight.connection.close()


@dataclass(eq=False, slots=True)
class _Flight:
    """One push under way, which can be ended from outside: its thread sees a closed connection at once."""

    connection: http.client.HTTPConnection
    over: bool = False

    def cut(self) -> None:
        self.over = True
        under = self.connection.sock
        if under is not None:
            try:
                under.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was over already
