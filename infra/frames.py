"""What a parent and its child say to each other: JSON in frames of a known length, never more than a cap."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MOST_BYTES: Final = 8 * 1024 * 1024
"""Bytes of an argument, of a result, and of all messages of one run together."""

_LENGTH: Final = struct.Struct("!I")
MOST_TEXT: Final = 4096
MOST_TRACE: Final = 16_384
"""Characters of an error's text, and of its trace."""
_MOST_HEAD: Final = 12 * (MOST_TEXT + MOST_TRACE) + 1024  # JSON needs at most twelve bytes for a character


class TooLarge(ValueError):
    """Something is larger than may be said."""


class BrokenFrames(Exception):
    """What came is no frame, or more than may be said: the other side does not keep to the rules."""


class Kind(StrEnum):
    """What a frame is for. After one of `LAST` nothing follows."""

    ASK = "ask"
    """To the child: target, argument and memory limit."""
    MESSAGE = "message"
    """From the work, while it goes on."""
    RETURNED = "returned"
    """The work returned its result."""
    RAISED = "raised"
    """The work raised."""
    STOPPED = "stopped"
    """The work was interrupted by SIGTERM; with its result if it returned one all the same."""
    OUT_OF_MEMORY = "out_of_memory"
    """The work met its memory limit."""


LAST: Final = frozenset({Kind.RETURNED, Kind.RAISED, Kind.STOPPED, Kind.OUT_OF_MEMORY})


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its kind, what it says, and of an error its text and trace."""

    kind: Kind
    body: Mapping[str, Any] | None
    text: str = ""
    trace: str = ""

    def encode(self, what: str) -> bytes:
        """The frame as bytes; raises `TooLarge` naming `what`, and `TypeError` when JSON cannot hold the body."""
        if self.body is not None and not isinstance(self.body, Mapping):
            raise TypeError(f"{what} is a {type(self.body).__name__}, and must be a mapping of JSON values")
        body = json.dumps(self.body and dict(self.body), separators=(",", ":")).encode("ascii")
        if len(body) > MOST_BYTES:
            raise TooLarge(f"{what} has {len(body)} bytes, and may have {MOST_BYTES}: say less")
        head = json.dumps([self.kind, self.text[:MOST_TEXT], self.trace[-MOST_TRACE:]]).encode("ascii")
        return b"".join((_LENGTH.pack(len(head)), _LENGTH.pack(len(body)), head, body))


class Frames:
    """Puts frames together again from the bytes that came; holds at most one frame and one reading of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._messages = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`; raises `BrokenFrames`, after which nothing more can be read."""
        self._buffer += data
        while len(self._buffer) >= 2 * _LENGTH.size:
            head = _LENGTH.unpack_from(self._buffer)[0]
            body = _LENGTH.unpack_from(self._buffer, _LENGTH.size)[0]
            if head > _MOST_HEAD or body > MOST_BYTES:
                raise BrokenFrames(f"a frame of {head} and {body} bytes came, which nobody may send")
            start, end = 2 * _LENGTH.size + head, 2 * _LENGTH.size + head + body
            if len(self._buffer) < end:
                return
            frame = _decoded(bytes(self._buffer[2 * _LENGTH.size : start]), bytes(self._buffer[start:end]))
            del self._buffer[:end]
            if frame.kind is Kind.MESSAGE:
                self._messages += body
            if self._messages > MOST_BYTES:
                raise BrokenFrames(f"messages of more than {MOST_BYTES} bytes came")
            yield frame


def _decoded(head: bytes, body: bytes) -> Frame:
    try:
        kind, text, trace = json.loads(head)
        said = json.loads(body)
        if not isinstance(said, dict | None):
            raise TypeError("the body is no mapping")
        return Frame(Kind(kind), said, str(text), str(trace))
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenFrames(f"a frame came that cannot be read: {type(error).__name__}") from error
