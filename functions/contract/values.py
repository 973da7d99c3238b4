"""The words and limits that the events share: closed lists, and the shapes of names, ids and texts."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from .shapes import Text, Whole

MOST_ATTEMPTS: Final = 1_000_000
"""A chain of this many runs is no chain of runs."""

MOST_OBJECTS: Final = 20
"""Objects told one by one in an event; the rest is a count. An event stays a few kilobytes."""

_MOST_ENCODED: Final = 1000
"""Bytes of an id once encoded: an attribute of Pub/Sub has 1,024, and an event's id adds a word to its request's."""

_FABRIC: Final = "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?"
_DIGEST: Final = "[0-9a-f]{16}"

FABRIC: Final = Text(1, 16, pattern=_FABRIC, called="a fabric's name (a lower-case slug of at most 16 characters)")
SHORT: Final = Text(1, 200, printable=True, called="a text of 1 to 200 printable characters")
DIGEST: Final = Text(pattern=_DIGEST, called="the digest of a plan (16 hexadecimal digits)")
TEXT: Final = Text()
ATTEMPT: Final = Whole(1, MOST_ATTEMPTS)
COUNT: Final = Whole()

_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What stays as it is in a header (CloudEvents HTTP binding 3.1.3.2): printable ASCII without space, quote, percent."""


class Result(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"  # read to the end, written, nothing left
    CONTINUED = "continued"  # the deadline came with progress made; the next request is published
    INCOMPLETE = "incomplete"  # something could not be read, was refused or held: `reasons` says what
    FAILED = "failed"  # an error ended it: `error` says which
    TIMED_OUT = "timed_out"  # the deadline came without progress
    SKIPPED = "skipped"  # nothing was tried: `reasons` says why


class Direction(StrEnum):
    """Who moved a field away from what was last applied, where people had a part in it."""

    NETBOX_EDITED = "netbox_edited"  # somebody edited NetBox
    BOTH = "both"  # somebody edited NetBox, and the fabric wants something else as well


class Status(StrEnum):
    """What is to be said of a fabric as a whole."""

    NOT_CONFIGURED = "not_configured"  # something is missing on its cluster in NetBox
    DISABLED = "disabled"  # people switched its sync off
    NEVER_SYNCED = "never_synced"  # no run has ended yet
    SYNCING = "syncing"  # a run is under way
    IN_SYNC = "in_sync"  # the last run left nothing to do
    OUT_OF_SYNC = "out_of_sync"  # the last run left something to do
    ERROR = "error"  # the last run failed, or timed out


def valid_name(name: object) -> bool:
    """Whether `name` can name a fabric: a lower-case slug of at most 16 characters."""
    return isinstance(name, str) and re.fullmatch(_FABRIC, name) is not None


def valid_digest(text: object) -> bool:
    """Whether `text` can be the digest of a plan: 16 hexadecimal digits in lower case."""
    return isinstance(text, str) and re.fullmatch(_DIGEST, text) is not None


def usable_id(text: object) -> bool:
    """Whether an id can travel on: in a log line, and encoded in an attribute."""
    return isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable() and len(encoded(text)) <= _MOST_ENCODED


def encoded(text: str) -> str:
    """A context attribute as a header carries it: an unwrapped push makes headers of a message's attributes."""
    return quote(text, safe=_PLAIN)
