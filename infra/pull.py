"""The door through which waiting messages are looked at: pull subscriptions of the broker or emulator, over REST."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.deadline import Deadline
from infra.pubsub import PublishError
from infra.transport import TransportError, bounded_session


@dataclass(frozen=True, slots=True)
class Received:
    """One message that was pulled: it comes again unless it is acknowledged by its `ack_id`."""

    ack_id: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""
    published: str = ""


class PullError(PublishError):
    """Nothing could be pulled, or acknowledged; the text says from what."""


@dataclass(frozen=True, slots=True)
class Puller:
    """Pulls from the subscriptions of `project` at `url`: the address of a broker or emulator."""

    url: str
    project: str

    def pull(self, subscription: str, most: int, deadline: Deadline) -> list[Received]:
        """The messages that wait, at most `most`; waits for none. Raises `PullError` or `DeadlineExceeded`."""
        answer = self._post(subscription, "pull", {"maxMessages": most, "returnImmediately": True}, deadline)
        found = answer.get("receivedMessages") or []
        try:
            return [_received(one) for one in found]
        except (KeyError, TypeError, ValueError) as wrong:
            raise PullError(f"{subscription} answered with what is no message: {wrong}", retryable=False) from wrong

    def acknowledge(self, subscription: str, received: Sequence[Received], deadline: Deadline) -> None:
        """These messages are done with. Raises `PullError` or `DeadlineExceeded`."""
        if received:
            self._post(subscription, "acknowledge", {"ackIds": [one.ack_id for one in received]}, deadline)

    def let_go(self, subscription: str, received: Sequence[Received], deadline: Deadline) -> None:
        """These messages were looked at alone: whoever pulls next may have them. Raises as `acknowledge` does."""
        if received:
            ids = [one.ack_id for one in received]
            self._post(subscription, "modifyAckDeadline", {"ackIds": ids, "ackDeadlineSeconds": 0}, deadline)

    def _post(self, subscription: str, verb: str, body: Mapping[str, Any], deadline: Deadline) -> Mapping[str, Any]:
        path = f"projects/{self.project}/subscriptions/{subscription}"
        try:
            with bounded_session(deadline) as session:
                reply = session.post(f"{self.url}/v1/{path}:{verb}", json=dict(body))
        except TransportError as error:
            raise PullError(f"{subscription}: {error}", retryable=True) from error
        try:
            answer = reply.json() if reply.content.strip() else {}
        except ValueError as error:
            raise PullError(f"{subscription}: the answer is not JSON", retryable=False) from error
        if not reply.ok or not isinstance(answer, Mapping):
            raise PullError(f"{subscription} was answered {reply.status_code}: {reply.text[:200]}", retryable=False)
        return answer


def _received(one: Mapping[str, Any]) -> Received:
    message = one["message"]
    return Received(
        str(one["ackId"]),
        base64.b64decode(message.get("data") or ""),
        dict(message.get("attributes") or {}),
        str(message.get("orderingKey") or ""),
        str(message.get("publishTime") or ""),
    )
