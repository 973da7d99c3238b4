"""The wire of a simulated fabric: TLS on a loopback port, HTTP/1.1 with keep-alive, and the faults of the wire."""

from __future__ import annotations

import contextlib
import gzip
import select
import socket
import ssl
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from email.utils import formatdate

from infra.sandbox.fabric.answers import Answer
from infra.sandbox.fabric.apiserver import Request, SimulatedFabric
from infra.sandbox.fabric.faults import Fault, Trouble

_IDLE = 180.0  # seconds a connection may stay open without a request
_SEND = 60.0  # seconds a send may be stuck
_HEAD_LIMIT = 256 * 1024
_BODY_LIMIT = 4 * 1024 * 1024
_CHUNK = 128 * 1024
_BUFFERED = 2048  # bytes up to which Go's server still knows the length
_GZIP_FROM = 128 * 1024
_LOOK = 0.2  # seconds between two looks at a client that is kept waiting
_TLS_RECORD = 0x16
_PLAIN = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_FLOW = {
    "X-Kubernetes-Pf-Flowschema-Uid": "3d2a7e0c-5c55-4d43-9d3a-7a1f0c6c1d01",
    "X-Kubernetes-Pf-Prioritylevel-Uid": "8f4b9a57-1f7c-4a86-b1a0-53a4e2f0c902",
}
_WIRE = frozenset(
    {Trouble.DRIP_HEADER, Trouble.DRIP_BODY, Trouble.RESET, Trouble.CUT_CONNECTION, Trouble.CUT_JSON, Trouble.ENDLESS}
)


class _Gone(Exception):
    """The client left, or the server is closing."""


class FabricListener:
    """Serves one fabric on one port of 127.0.0.1 until closed; one thread accepts, one thread per connection."""

    def __init__(self, fabric: SimulatedFabric, context: ssl.SSLContext, port: int = 0) -> None:
        self.fabric = fabric
        self._context = context
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, name=f"fabric-{fabric.cluster.name}", daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening and drop every connection, at once."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        wire: socket.socket = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            released = self.fabric.faults.released
            if self.fabric.faults.silent():
                self._wait(raw, None, released, drain=True)
                return
            raw.settimeout(_IDLE)
            first = raw.recv(1, socket.MSG_PEEK)
            if first and first[0] != _TLS_RECORD:
                raw.recv(65536)  # unread bytes would turn the close into a reset
                raw.sendall(_PLAIN)
                return
            wire = self._context.wrap_socket(raw, server_side=True)
            with self._lock:
                self._open.discard(raw)
                self._open.add(wire)
            for request in self._requests(wire):
                self._respond(wire, request)
        except (OSError, _Gone):
            pass  # the client left, refused our certificate, or we are closing: nothing to tell anybody
        finally:
            with self._lock:
                self._open.discard(raw)
                self._open.discard(wire)
            with contextlib.suppress(OSError):
                wire.close()

    def _requests(self, wire: socket.socket) -> Iterator[Request]:
        """The requests of one connection, until the client has had enough."""
        buffer = b""
        while not self._closing.is_set():
            while b"\r\n\r\n" not in buffer:
                received = wire.recv(65536)
                if not received or len(buffer) > _HEAD_LIMIT:
                    return
                buffer += received
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            start, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = [*start.split(" "), "", ""][:3]
            pairs = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            length = min(int(headers.get("content-length") or 0), _BODY_LIMIT)
            while len(buffer) < length:
                received = wire.recv(65536)
                if not received:
                    return
                buffer += received
            buffer = buffer[length:]
            yield Request(method, target, headers)
            if headers.get("connection", "").lower() == "close":
                return

    def _respond(self, wire: socket.socket, request: Request) -> None:
        released = self.fabric.faults.released  # taken first: a fault that is lifted from here on lets go
        fault = self.fabric.struck(request)
        if fault and fault.trouble is Trouble.HANG:
            self.fabric.answer(request)  # heard and recorded, never answered
            self._wait(wire, None, released)
            raise _Gone
        if fault and fault.trouble is Trouble.SLOW:
            self._wait(wire, fault.seconds, released)
        answer = self.fabric.answer(request, fault)
        wire.settimeout(_SEND)
        if fault and fault.trouble in _WIRE:
            self._misbehave(wire, answer, fault)
            raise _Gone
        head, body = _frame(answer, request)
        if len(head) + len(body) <= _CHUNK:
            wire.sendall(head + body)
        else:
            wire.sendall(head)
            wire.sendall(body)
        wire.settimeout(_IDLE)

    def _misbehave(self, wire: socket.socket, answer: Answer, fault: Fault) -> None:
        """Send an answer as the fault wants it; the connection is of no use afterwards."""
        half = answer.body[: max(len(answer.body) // 2, 1)]
        head = _head(answer, {"Transfer-Encoding": "chunked"})
        match fault.trouble:
            case Trouble.CUT_JSON:
                wire.sendall(_head(answer, {"Content-Length": str(len(half))}) + half)
            case Trouble.CUT_CONNECTION:
                wire.sendall(head + _chunk(half))
            case Trouble.RESET:
                wire.sendall(head + _chunk(half))
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case Trouble.ENDLESS:
                wire.sendall(head + _chunk(answer.body[:-2] + b","))
                block = _chunk(b'{"padding":"' + b"x" * 65536 + b'"},')
                while not self._closing.is_set():
                    wire.sendall(block)
            case Trouble.DRIP_BODY:
                wire.sendall(head)
                self._drip(wire, _chunk(answer.body), fault.seconds)
            case _:
                self._drip(wire, head + _chunk(answer.body), fault.seconds)

    def _drip(self, wire: socket.socket, data: bytes, seconds: float) -> None:
        released = self.fabric.faults.released
        for at in range(len(data)):
            wire.sendall(data[at : at + 1])
            self._wait(wire, seconds, released)
            if released.is_set():
                raise _Gone

    def _wait(
        self, wire: socket.socket, seconds: float | None, released: threading.Event, *, drain: bool = False
    ) -> None:
        """Keep the client waiting for some seconds (None: for ever), or until the faults of the fabric are changed.

        Args:
            drain: throw away what the client sends; otherwise a client that says anything has given up.

        Raises:
            _Gone: the client left or the server is closing.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not released.is_set():
            if self._closing.is_set():
                raise _Gone
            left = _LOOK if end is None else min(end - time.monotonic(), _LOOK)
            if left <= 0:
                return
            if select.select([wire], [], [], left)[0] and not (drain and wire.recv(65536)):
                raise _Gone


def _frame(answer: Answer, request: Request) -> tuple[bytes, bytes]:
    """Header and body as the real server frames them: a length when short, chunks when long, gzip when asked."""
    body = answer.body
    if answer.status == 304:
        return _head(answer, {}), b""
    encoding: dict[str, str] = {}
    if len(body) > _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body, encoding = gzip.compress(body, 1, mtime=0), {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    if len(answer.body) <= _BUFFERED:
        return _head(answer, {"Content-Length": str(len(body))}), body
    chunks = (_chunk(body[at : at + _CHUNK]) for at in range(0, len(body), _CHUNK))
    return _head(answer, {"Transfer-Encoding": "chunked"}, encoding), b"".join(chunks) + b"0\r\n\r\n"


def _head(answer: Answer, last: dict[str, str], encoding: dict[str, str] | None = None) -> bytes:
    headers = {"Audit-Id": str(uuid.uuid4()), "Cache-Control": answer.cache_control, **(encoding or {})}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    headers |= answer.headers
    if answer.flow:
        headers |= _FLOW
    ordered = [*sorted(headers.items()), ("Date", formatdate(usegmt=True)), *last.items()]
    lines = [answer.status_line, *(f"{name}: {value}" for name, value in ordered)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
