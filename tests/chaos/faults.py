"""The table of what can go wrong: where it strikes, when, and how it is brought about."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests import hostile
from tests.hostile import Behaviour
from tests.proxy import Seen, answering


class Place(StrEnum):
    """Where a fault strikes."""

    FABRIC = "fabric"
    NETBOX = "netbox"
    EVENTS = "events"
    SELF = "self"


class Moment(StrEnum):
    """When it strikes: at which request of an undisturbed run."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"


def _status(status: str, body: bytes = b"<h1>no</h1>", *, kind: str = "text/html", headers: str = "") -> Behaviour:
    return answering(status, body, kind=kind, headers=headers)


_JSON = b'{"detail": "no"}'

HTTP: dict[str, Behaviour] = {
    "hang": hostile.silent,
    "drip of the header": hostile.dripping_header,
    "drip of the body": hostile.dripping_body,
    "drip of chunks": hostile.dripping_chunks,
    "endless 100 Continue": hostile.endless_continue,
    "endless body": hostile.endless_body,
    "declared size of 4 TB": hostile.huge_length,
    "gzip bomb": hostile.gzip_bomb,
    "slow redirect": hostile.slow_redirects,
    "reset in mid-body": hostile.reset_mid_body,
    "closed before the answer": hostile.closed_before_answer,
    "not HTTP": hostile.not_http,
    "HTML in place of JSON": hostile.html_page,
    "truncated JSON": hostile.truncated_json,
    "wrong content type": _status("200 OK", b"hello", kind="text/plain"),
    "401": _status("401 Unauthorized", _JSON, kind="application/json"),
    "403": _status("403 Forbidden", _JSON, kind="application/json"),
    "404": _status("404 Not Found", _JSON, kind="application/json"),
    "409": _status("409 Conflict", _JSON, kind="application/json"),
    "410": _status("410 Gone", _JSON, kind="application/json"),
    "412": _status("412 Precondition Failed", _JSON, kind="application/json"),
    "429": _status("429 Too Many Requests", headers="Retry-After: 1\r\n"),
    "500": _status("500 Oops"),
    "502": _status("502 Bad Gateway"),
    "503, a page of maintenance": _status("503 Service Unavailable"),
}
"""What a server, or what stands in front of it, can do. It strikes from its moment on until the run has ended."""

SIGNALS: dict[str, signal.Signals] = {
    "work killed": signal.SIGKILL,
    "work crashed in C": signal.SIGSEGV,
    "work hangs without I/O": signal.SIGSTOP,
}
"""What can happen to the process that does the work."""

CLOCKS: dict[str, float] = {"clock jumps an hour ahead": 3600.0, "clock jumps an hour back": -3600.0}
"""What the function's wall clock can do, in seconds; NetBox keeps its own."""

DISK_FULL = "disk full"
"""No process of the function can write another byte to a file, its log included."""

DATABASE = "PostgreSQL stopped"
NO_NAME = "name without an address"


@dataclass(frozen=True)
class Case:
    """One fault at one place and moment."""

    fault: str
    place: Place
    moment: Moment


def cases() -> Iterator[Case]:
    """The whole matrix."""
    for place in (Place.NETBOX, Place.FABRIC, Place.EVENTS):
        for moment in Moment:
            yield from (Case(fault, place, moment) for fault in HTTP)
    for moment in Moment:
        yield from (Case(fault, Place.SELF, moment) for fault in (*SIGNALS, *CLOCKS, DISK_FULL))
    yield Case(DATABASE, Place.NETBOX, Moment.FIRST)
    yield Case(DATABASE, Place.NETBOX, Moment.MIDDLE)
    yield Case(NO_NAME, Place.FABRIC, Moment.FIRST)


REPRESENTATIVE = (
    Case("503, a page of maintenance", Place.NETBOX, Moment.MIDDLE),
    Case("reset in mid-body", Place.NETBOX, Moment.LAST),
    Case("410", Place.FABRIC, Moment.LAST),
    Case(NO_NAME, Place.FABRIC, Moment.FIRST),
    Case("hang", Place.EVENTS, Moment.MIDDLE),
    Case("work killed", Place.SELF, Moment.MIDDLE),
    Case("clock jumps an hour back", Place.SELF, Moment.MIDDLE),
    Case(DISK_FULL, Place.SELF, Moment.MIDDLE),
    Case(DATABASE, Place.NETBOX, Moment.MIDDLE),
)
"""One of each sort, for the tests of every day."""


def writes(seen: Seen) -> bool:
    """Whether a request to NetBox writes objects of the fabric."""
    return seen.writes and "/virtualization/clusters/" not in seen.path


def records(seen: Seen) -> bool:
    """Whether a request to NetBox writes the fabric's cluster: the lease first, the run's end last."""
    return seen.writes and "/virtualization/clusters/" in seen.path


def unwritable(pids: list[int]) -> Callable[[], None]:
    """Let processes write nothing more to files (EFBIG, as a full disk's ENOSPC); the answer lets them again."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, most) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))

    def writable() -> None:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):  # the work has ended meanwhile
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    return writable


def stopped(pids: list[int]) -> Callable[[], None]:
    """Stop processes; the answer lets them go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return go_on
