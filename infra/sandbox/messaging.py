"""The topics and subscriptions of this system, created over REST on the embedded broker or the emulator alike."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

REQUESTS = "fabric-sync-requests"
"""One message for each fabric that is due; pushed to the function."""
OUTCOMES = "fabric-sync-outcomes"
"""One message for each sync that ended; whoever wants to know subscribes."""
DEAD_LETTERS = "fabric-sync-dead-letters"
"""Requests that failed too often to be tried again."""

TICKS = "fabric-sync-ticks"
"""One message for each time that the scheduler looks; pushed to the function that requests what is due."""

REQUESTS_PUSH = "fabric-sync-requests-push"
TICKS_PUSH = "fabric-sync-ticks-push"
OUTCOMES_PUSH = "fabric-sync-outcomes-push"
OUTCOMES_PULL = "fabric-sync-outcomes-pull"
DEAD_LETTERS_PULL = "fabric-sync-dead-letters-pull"


class MessagingError(Exception):
    """The broker or emulator refused, or did not answer; says what was asked."""


@dataclass(frozen=True, slots=True)
class Messaging:
    """How requests reach the function. Times in seconds; the values are those of the cloud unless given.

    `unwrapped` pushes the data as the body and the attributes as headers, so that an event arrives as a binary
    CloudEvent; otherwise it arrives in Pub/Sub's JSON envelope. `tick_endpoint` is where a scheduler's messages go,
    `record_endpoint` where outcomes do; "" for nowhere.
    """

    project: str
    push_endpoint: str
    unwrapped: bool = True
    first_backoff: float = 10.0
    longest_backoff: float = 600.0
    ack_deadline: int = 600
    max_attempts: int = 5
    tick_endpoint: str = ""
    record_endpoint: str = ""

    def topics(self) -> dict[str, dict[str, Any]]:
        """The topics by their path below `/v1/`."""
        return {f"projects/{self.project}/topics/{name}": {} for name in (DEAD_LETTERS, OUTCOMES, REQUESTS, TICKS)}

    def subscriptions(self) -> dict[str, dict[str, Any]]:
        """The subscriptions by their path below `/v1/`, in their REST form."""
        topics, place = f"projects/{self.project}/topics", f"projects/{self.project}/subscriptions"
        found: dict[str, dict[str, Any]] = {
            f"{place}/{DEAD_LETTERS_PULL}": {"topic": f"{topics}/{DEAD_LETTERS}", "ackDeadlineSeconds": 60},
            f"{place}/{OUTCOMES_PULL}": {"topic": f"{topics}/{OUTCOMES}", "ackDeadlineSeconds": 60},
            f"{place}/{REQUESTS_PUSH}": self._pushed(topics, REQUESTS, self.push_endpoint),
        }
        found[f"{place}/{REQUESTS_PUSH}"]["enableMessageOrdering"] = True
        if self.tick_endpoint:
            found[f"{place}/{TICKS_PUSH}"] = self._pushed(topics, TICKS, self.tick_endpoint)
        if self.record_endpoint:
            found[f"{place}/{OUTCOMES_PUSH}"] = self._pushed(topics, OUTCOMES, self.record_endpoint)
        return found

    def _pushed(self, topics: str, topic: str, endpoint: str) -> dict[str, Any]:
        """A subscription that pushes what comes to `topic`, and buries what fails too often."""
        push: dict[str, Any] = {"pushEndpoint": endpoint}
        if self.unwrapped:
            push["noWrapper"] = {"writeMetadata": True}
        return {
            "topic": f"{topics}/{topic}",
            "pushConfig": push,
            "ackDeadlineSeconds": self.ack_deadline,
            "retryPolicy": {
                "minimumBackoff": f"{self.first_backoff:g}s",
                "maximumBackoff": f"{self.longest_backoff:g}s",
            },
            "deadLetterPolicy": {
                "deadLetterTopic": f"{topics}/{DEAD_LETTERS}",
                "maxDeliveryAttempts": self.max_attempts,
            },
        }


def create_messaging(url: str, messaging: Messaging) -> None:
    """Creates what is not there yet of `messaging` on the broker or emulator at `url`.

    What exists stays as it is. Raises `MessagingError`.
    """
    for path, settings in {**messaging.topics(), **messaging.subscriptions()}.items():
        status, answer = rest(url, "PUT", f"/v1/{path}", settings)
        if status not in (200, 409):
            raise MessagingError(f"{path} could not be created at {url}: {status} {answer}")


def take(url: str, project: str, subscription: str, most: int = 100) -> list[tuple[bytes, dict[str, str]]]:
    """The messages that wait in a pull subscription, as (data, attributes), acknowledged; waits for none.

    Raises `MessagingError`.
    """
    place = f"/v1/projects/{project}/subscriptions/{subscription}"
    status, answer = rest(url, "POST", f"{place}:pull", {"maxMessages": most, "returnImmediately": True})
    if status != 200:
        raise MessagingError(f"{subscription} could not be pulled from at {url}: {status} {answer}")
    received = answer.get("receivedMessages") or []
    if received:
        status, refusal = rest(url, "POST", f"{place}:acknowledge", {"ackIds": [one["ackId"] for one in received]})
        if status != 200:
            raise MessagingError(f"{subscription} took no acknowledgement at {url}: {status} {refusal}")
    messages = [one["message"] for one in received]
    return [(base64.b64decode(one.get("data") or ""), dict(one.get("attributes") or {})) for one in messages]


def rest(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One REST call to the broker or emulator at `url`: the status and the JSON answer. Raises `MessagingError`."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text.strip().startswith((b"{", b"[")) else text.decode()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MessagingError(f"{method} {path} at {url} failed: {error}") from error
    finally:
        connection.close()
