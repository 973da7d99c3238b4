"""Servers on loopback that misbehave in one way each, for every client that must survive them.

Each entry of `HOSTILE` is a behaviour for one accepted connection; `serve(behaviour)` runs it, plain or over TLS.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from tests.certificates import server_context

STEP = 0.5  # seconds between two bytes of a drip
TICK = 0.05


@dataclass(frozen=True)
class Server:
    """Where a hostile server listens, and what it was asked for so far."""

    port: int
    tls: bool
    connections: list[float] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    host: str = "127.0.0.1"

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.place}"


class Peer:
    """One accepted connection as a behaviour sees it."""

    def __init__(self, sock: socket.socket, server: Server, stop: threading.Event) -> None:
        self.sock = sock
        self.server = server
        self.stop = stop

    def request(self) -> bytes:
        """Read one request's head (and ignore its body)."""
        head = b""
        while b"\r\n\r\n" not in head and (piece := self.sock.recv(65536)):
            head += piece
        if head:
            self.server.requests.append(head)
        return head

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        for position in range(len(data)):
            if self.stop.wait(STEP):
                return
            self.send(data[position : position + 1])

    def hold(self) -> None:
        self.stop.wait(60)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Peer], None]


def answer(body: bytes, *, kind: str = "application/json", status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer with its length declared."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def answers(data: bytes) -> Behaviour:
    """A server that gives the same answer to every request on a kept connection."""

    def behaviour(peer: Peer) -> None:
        while peer.request():
            peer.send(data)

    return behaviour


def silent(peer: Peer) -> None:
    """Accepts, reads, and never answers."""
    peer.request()
    peer.hold()


def dripping_header(peer: Peer) -> None:
    """One byte of the header every half second."""
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"X-Slow: yes\r\n" * 50)


def dripping_body(peer: Peer) -> None:
    """One byte of the body every half second."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    peer.drip(b" " * 1000)


def dripping_chunks(peer: Peer) -> None:
    """One chunk of one byte every half second."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not peer.stop.wait(STEP):
        peer.send(b"1\r\n \r\n")


def endless_continue(peer: Peer) -> None:
    """An interim answer every half second, and never the real one."""
    peer.request()
    while not peer.stop.wait(STEP):
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_body(peer: Peer) -> None:
    """A body without a length that goes on as fast as it is read."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while not peer.stop.is_set():
        peer.send(b" " * 65536)


def endless_chunks(peer: Peer) -> None:
    """Chunks that go on as fast as they are read."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not peer.stop.is_set():
        peer.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


def huge_length(peer: Peer) -> None:
    """Declares a body of four terabytes."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4398046511104\r\n\r\n{")
    peer.hold()


def huge_chunk(peer: Peer) -> None:
    """Declares a chunk of four terabytes and sends it as fast as it is read."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000000\r\n")
    while not peer.stop.is_set():
        peer.send(b" " * 65536)


@cache
def _bomb(layers: int) -> bytes:
    packed = b" " * (64 * 1024 * 1024)
    for _ in range(layers):
        packed = gzip.compress(packed, 6)
    return packed


def gzip_bomb(peer: Peer) -> None:
    """64 KiB that unpack to 64 MiB."""
    peer.request()
    peer.send(answer(_bomb(1), headers="Content-Encoding: gzip\r\n"))


def nested_gzip_bomb(peer: Peer) -> None:
    """The same, packed twice."""
    peer.request()
    peer.send(answer(_bomb(2), headers="Content-Encoding: gzip, gzip\r\n"))


def broken_gzip(peer: Peer) -> None:
    """Says gzip and sends something else."""
    peer.request()
    peer.send(answer(b"{}", headers="Content-Encoding: gzip\r\n"))


def slow_redirects(peer: Peer) -> None:
    """Redirects to itself for ever, slowly."""
    while peer.request():
        if peer.stop.wait(0.2):
            return
        peer.send(answer(b"", status="302 Found", headers=f"Location: {peer.server.url}/again\r\n"))


def reset_mid_body(peer: Peer) -> None:
    """Resets the connection in the middle of the body."""
    peer.request()
    peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half":')
    peer.stop.wait(TICK)
    peer.reset()


def closed_mid_body(peer: Peer) -> None:
    """Closes the connection politely in the middle of the body."""
    peer.request()
    peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half":')


def closed_mid_chunk(peer: Peer) -> None:
    """Closes the connection politely in the middle of a chunk."""
    peer.request()
    peer.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{"half":')


def closed_before_answer(peer: Peer) -> None:
    """Takes the request and closes the connection."""
    peer.request()


def not_http(peer: Peer) -> None:
    """Speaks something else."""
    peer.request()
    peer.send(b"220 mail.example ESMTP ready\r\n\r\n")


def html_page(peer: Peer) -> None:
    """A login page where JSON was asked for."""
    peer.request()
    peer.send(answer(b"<!doctype html><title>Log in</title>", kind="text/html"))


def truncated_json(peer: Peer) -> None:
    """A complete HTTP answer whose JSON breaks off."""
    peer.request()
    peer.send(answer(b'{"count": 3, "results": [{"id": 1}, {"i'))


# How each of them must end for a client: "deadline", a `Fault` of the transport, or "content" (the client's own word).
HOSTILE: dict[Behaviour, str] = {
    silent: "deadline",
    dripping_header: "deadline",
    dripping_body: "deadline",
    dripping_chunks: "deadline",
    endless_continue: "deadline",
    endless_body: "too_large",
    endless_chunks: "too_large",
    huge_length: "too_large",
    huge_chunk: "too_large",
    gzip_bomb: "too_large",
    nested_gzip_bomb: "too_large",
    broken_gzip: "protocol",
    slow_redirects: "redirect",
    reset_mid_body: "reset",
    closed_mid_body: "reset",
    closed_mid_chunk: "reset",
    closed_before_answer: "reset",
    not_http: "protocol",
    html_page: "content",
    truncated_json: "content",
}


@contextlib.contextmanager
def serve(behaviour: Behaviour, *, tls: bool = False) -> Iterator[Server]:
    """Run a behaviour for every connection on a free port of loopback; all threads have ended afterwards."""
    context = server_context() if tls else None

    def handle(sock: socket.socket) -> None:
        # Whatever the client does to us is its affair: the tests look at the client.
        with contextlib.suppress(OSError), sock:
            peer_sock = context.wrap_socket(sock, server_side=True) if context else sock
            with contextlib.suppress(OSError), peer_sock:
                behaviour(Peer(peer_sock, server, stop))

    with _listening(handle) as (port, stop, connections):
        server = Server(port, tls, connections)
        yield server


@contextlib.contextmanager
def tls_silence() -> Iterator[Server]:
    """Accepts the connection and never says a word of TLS."""
    with _listening(lambda sock: stop.wait(60) and None) as (port, stop, connections):
        yield Server(port, tls=True, connections=connections)


@contextlib.contextmanager
def _listening(handle: Callable[[socket.socket], object]) -> Iterator[tuple[int, threading.Event, list[float]]]:
    stop = threading.Event()
    connections: list[float] = []
    accepted: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept(listener: socket.socket) -> None:
        while not stop.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(30)
            connections.append(time.monotonic())
            accepted.append(sock)
            threads.append(threading.Thread(target=handle, args=(sock,), daemon=True))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TICK)
        acceptor = threading.Thread(target=accept, args=(listener,), daemon=True)
        acceptor.start()
        try:
            yield listener.getsockname()[1], stop, connections
        finally:
            stop.set()
            acceptor.join(10)
            for sock in accepted:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(10)
            for sock in accepted:
                sock.close()


@contextlib.contextmanager
def black_hole() -> Iterator[Server]:
    """A port whose backlog is full: the kernel drops every further SYN, so that connecting waits for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield Server(listener.getsockname()[1], tls=False)


@contextlib.contextmanager
def refusing() -> Iterator[Server]:
    """A port where nobody listens (bound, so that nobody else takes it)."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Server(held.getsockname()[1], tls=False)
