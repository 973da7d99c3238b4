"""Who is told when a fabric fails for good or recovers: a signed webhook and e-mail, on transitions only."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from functions.contract import Result, StatusChanged, SyncEnded
from functions.contract.values import encoded
from functions.retrying import NOT_OF_THE_FABRIC
from functions.standing import End
from infra.deadline import Deadline
from infra.redaction import Secret, redact
from infra.transport import bounded_session

FAILURES: Final = 3
"""Failures in a row after which people are told; one or two mend by themselves."""

SIGNATURE: Final = "X-Fabric-Sync-Signature"
"""`sha256=` and the HMAC-SHA256, in hexadecimal digits, of the time stamp, a full stop and the body."""
TIMESTAMP: Final = "X-Fabric-Sync-Timestamp"
ID: Final = "X-Fabric-Sync-Id"
"""The event's id: what comes twice is the same note."""

_BAD: Final = frozenset({Result.FAILED.value, Result.TIMED_OUT.value})


class NotTakenError(Exception):
    """Whoever is to be told answered with an error; the text says which."""


class Turn(StrEnum):
    """What changed for people."""

    FAILING = "failing"  # so many runs in a row failed
    RECOVERED = "recovered"  # a run ended well after these
    LATE = "late"  # nothing was tried for too long
    ON_TIME = "on_time"  # something was tried again after that


@dataclass(frozen=True, slots=True)
class Note:
    """One notification. `id` is that of its event."""

    id: str
    fabric: str
    turn: Turn
    text: str
    at: datetime

    def body(self) -> bytes:
        """The note as it is sent."""
        told = {"id": self.id, "fabric": self.fabric, "turn": self.turn.value, "text": redact(self.text)}
        return json.dumps({**told, "at": self.at.isoformat()}).encode()


def note_of(event: SyncEnded | StatusChanged, ends: Sequence[End]) -> Note | None:
    """Pure: the note that an event calls for, if any.

    `ends` are the last runs of the fabric, the newest first, the event's own among them: by them the third failure in
    a row is told apart from the second and the fourth, so the same event always calls for the same note.
    """
    if isinstance(event, StatusChanged):
        # A status that changed is told by its runs; here only the clock spoke.
        if event.from_ is not event.to:
            return None
        turn = Turn.LATE if event.late else Turn.ON_TIME
        return Note(event.id, event.fabric, turn, event.reason, event.since)
    own = [end for end in ends if end.code not in _OTHERS]
    at = next((at for at, end in enumerate(own) if end.request == event.request_id), None)
    if at is None or event.result is Result.SKIPPED:
        return None
    before = _failures(own[at + 1 :])
    if event.result.value in _BAD:
        if before + 1 != FAILURES:
            return None
        text = f"{event.error.code}: {event.error.text} ({event.error.hint})" if event.error else event.result.value
        return Note(event.id, event.fabric, Turn.FAILING, f"{FAILURES} runs in a row failed: {text}", event.finished_at)
    if before < FAILURES:
        return None
    return Note(event.id, event.fabric, Turn.RECOVERED, f"{event.result} after failures", event.finished_at)


def send(note: Note, url: str, key: Secret, deadline: Deadline, now: datetime) -> None:
    """Send a note; raises `NotTakenError`, `TransportError` or `DeadlineExceeded`."""
    body, stamp = note.body(), str(int(now.timestamp()))
    headers = {"Content-Type": "application/json", TIMESTAMP: stamp, SIGNATURE: signed(body, stamp, key)}
    headers[ID] = encoded(note.id)
    with bounded_session(deadline, max_bytes=1024 * 1024) as session:
        reply = session.post(url, data=body, headers=headers)
    if not reply.ok:
        raise NotTakenError(f"the receiver of notifications answered {reply.status_code}")


def signed(body: bytes, stamp: str, key: Secret) -> str:
    """The signature of a body that was sent at `stamp`, in seconds since 1970."""
    return "sha256=" + hmac.new(key.reveal().encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


_OTHERS: Final = frozenset(code.value for code in NOT_OF_THE_FABRIC)


def _failures(ends: Sequence[End]) -> int:
    """How many of the newest runs failed, one after the other."""
    return next((at for at, end in enumerate(ends) if end.result.value not in _BAD), len(ends))
