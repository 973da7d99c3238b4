"""Connections that never outlive a deadline: every resolve, connect, handshake, send and receive is capped by it."""

from __future__ import annotations

import errno
import http.client
import io
import ipaddress
import socket
import ssl
import sys
import threading
from collections.abc import Buffer, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import allowed_gai_family

from infra.deadline import Deadline, DeadlineExceeded
from infra.faults import Fault, TransportError

MAX_BYTES = 64 * 1024 * 1024
_SEND = 16 * 1024  # one TLS record: a larger piece would be several waits under one time limit


@dataclass(slots=True)
class Bounds:
    """What one session may use up; the owner may replace either value between two requests.

    `deadline` holds for every connection of the session, kept-alive ones too. `max_bytes` is for one answer: as it
    comes over the wire (status line, headers and framing included) and, separately, once unpacked.
    """

    deadline: Deadline
    max_bytes: int = MAX_BYTES


def out_of_time(error: TimeoutError, what: str, place: str) -> NoReturn:
    """Raise what a socket's TimeoutError means: our own limit, or the kernel giving up on the peer."""
    if error.errno == errno.ETIMEDOUT:
        raise TransportError(Fault.UNREACHABLE, place, f"the peer stopped responding while {what}") from error
    raise DeadlineExceeded(f"no time left for {what}") from error


Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


def resolve(host: str, port: int, deadline: Deadline) -> Sequence[Address]:
    """The addresses of `host`, in the resolver's order, within the deadline.

    getaddrinfo cannot be interrupted, so it runs in a daemon thread that is abandoned when time is up. Literal
    addresses ask nobody and need no thread.
    """
    what, place = f"resolving the name {host}", f"{host}:{port}"
    left = deadline.check(what)
    answers: list[Sequence[Address] | Exception] = []

    def ask(flags: int) -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM, flags=flags))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that IDNA cannot encode
            answers.append(error)

    if _is_literal(host):
        ask(socket.AI_NUMERICHOST)
    else:
        worker = threading.Thread(target=ask, args=(0,), name=f"resolve {host}", daemon=True)
        worker.start()
        worker.join(left)
    match answers:
        case []:
            raise DeadlineExceeded(f"no time left for {what}")
        case [Exception() as error]:
            raise TransportError(Fault.DNS, place, f"the name cannot be resolved: {error}") from error
        case [[*found]] if found:
            return found
    raise TransportError(Fault.DNS, place, "the name has no address")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def connected(host: str, port: int, deadline: Deadline, place: str, options: Sequence[Any] = ()) -> socket.socket:
    """A connection to `host`, which errors call `place`, made within the deadline; its timeout is the time left."""
    what = f"connecting to {place}"
    addresses = resolve(host, port, deadline)
    failure: OSError | None = None
    for position, address in enumerate(addresses):
        # A silent first address gets its share of the time, so that the next one is tried as well.
        share = deadline.check(what) / (len(addresses) - position)
        try:
            return _opened(address, share, deadline, options, place)
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        out_of_time(failure, what, place)
    fault = Fault.REFUSED if isinstance(failure, ConnectionRefusedError) else Fault.UNREACHABLE
    raise TransportError(fault, place, f"cannot connect: {failure}") from failure


def _opened(address: Address, seconds: float, deadline: Deadline, options: Sequence[Any], place: str) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect(where)
        # A TLS handshake comes next, without another chance to look at the clock.
        sock.settimeout(deadline.check(f"talking to {place}"))
    except BaseException:  # whatever it was, the descriptor must not leak
        sock.close()
        raise
    return sock


class BoundedReader(io.RawIOBase):
    """The receiving side of a socket; each read waits for the time left, and all of them stay under the byte cap."""

    def __init__(self, sock: socket.socket, bounds: Bounds, place: str) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # holds the descriptor open as http.client expects of `fp`
        self._bounds = bounds
        self._place = place
        self._taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        what = f"reading from {self._place}"
        self._sock.settimeout(self._bounds.deadline.check(what))
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError as error:
            out_of_time(error, what, self._place)
        self._taken += count or 0
        if self._taken > self._bounds.max_bytes:
            raise too_large(self._bounds, self._place)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def too_large(bounds: Bounds, place: str) -> TransportError:
    """The error for an answer above the cap."""
    return TransportError(Fault.TOO_LARGE, place, f"the answer is larger than the {bounds.max_bytes} bytes allowed")


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer as http.client parses it, read through `BoundedReader`."""

    def __init__(self, sock: socket.socket, *args: Any, bounds: Bounds, place: str, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bounds = bounds
        self._place = place
        self.fp.close()
        self.fp = io.BufferedReader(BoundedReader(sock, bounds, place))

    def begin(self) -> None:
        super().begin()
        # A declared length is allocated before it is read, so it is refused before.
        if self.length is not None and self.length > self._bounds.max_bytes:
            raise too_large(self._bounds, self._place)


class BoundedHTTPConnection(HTTPConnection):
    """urllib3's connection with every wait capped by `bounds.deadline`; its own timeouts are not used."""

    def __init__(self, host: str, port: int | None = None, *, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(host, port, **kwargs)
        self.bounds = bounds
        self.used_up = False  # it was promised that no further request comes over it
        self.idle_since = 0.0  # time.monotonic() when its last answer was read
        self.place = f"{self.host}:{self.port}"
        self.response_class = partial(_BoundedAnswer, bounds=bounds, place=self.place)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        host, options = self._dns_host.strip("[]"), self.socket_options or ()
        sock = connected(host, self.port, self.bounds.deadline, self.place, options)
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock

    def send(self, data: Buffer) -> None:  # type: ignore[override]
        if self.sock is None:
            self.connect()
        what = f"sending to {self.place}"
        rest = memoryview(data).cast("B")
        while rest:
            self.sock.settimeout(self.bounds.deadline.check(what))
            try:
                sent = self.sock.send(rest[:_SEND])
            except TimeoutError as error:
                out_of_time(error, what, self.place)
            rest = rest[sent:]


class BoundedHTTPSConnection(BoundedHTTPConnection, HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        what = f"the TLS handshake with {self.place}"
        self.bounds.deadline.check(what)
        try:
            super().connect()
        except TimeoutError as error:
            out_of_time(error, what, self.place)
        except ConnectionError as error:
            raise TransportError(Fault.RESET, self.place, f"connection closed in the TLS handshake: {error}") from error
        except (ssl.SSLError, urllib3.exceptions.SSLError, OSError) as error:
            raise TransportError(Fault.TLS, self.place, f"TLS failed: {error}") from error
