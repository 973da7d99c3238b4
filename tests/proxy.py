"""A proxy in front of a real HTTP server: passes requests on, until it is told to misbehave."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.hostile import Behaviour, Peer, Server, answer, serve

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Seen:
    """One request as it came to the proxy."""

    method: str
    path: str

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


def every(seen: Seen) -> bool:
    """Whatever is asked."""
    return True


def answering(status: str, body: bytes = b"", *, kind: str = "text/html", headers: str = "") -> Behaviour:
    """A behaviour: answers every request with the same status."""

    def answered(peer: Peer) -> None:
        peer.request()
        peer.send(answer(body, kind=kind, status=status, headers=headers))

    return answered


@dataclass(frozen=True)
class _Trouble:
    behaviour: Behaviour
    concerns: Callable[[Seen], bool]
    after: int
    times: int | None
    deliver: bool


class _Taken(Peer):
    """A connection whose first request was read already."""

    def __init__(self, peer: Peer, head: bytes, stop: threading.Event) -> None:
        super().__init__(peer.sock, peer.server, stop)
        self._head: bytes | None = head

    def request(self) -> bytes:
        if self._head is not None:
            head, self._head = self._head, None
            return head
        return super().request()


class Proxy:
    """Passes every request on to `upstream` (speaking TLS itself where that does), and keeps what it saw in `seen`.

    `misbehave` lets a behaviour of `tests.hostile` answer in the upstream's place, until `behave`.
    Within `slowed`, what writes is held back: so a machine that is fast is no faster than that.
    `most_writes_at_once` is how many requests that write were with the upstream at the same time, at most.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._trouble: _Trouble | None = None
        self._struck = 0
        self._stop = threading.Event()
        self.server: Server | None = None
        self.seen: list[Seen] = []
        self.most_writes_at_once = 0
        self._lag = 0.0
        self._writing = 0

    @property
    def tls(self) -> bool:
        return self._upstream.scheme == "https"

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def misbehave(
        self,
        behaviour: Behaviour,
        *,
        concerns: Callable[[Seen], bool] = every,
        after: int = 0,
        times: int | None = None,
        deliver: bool = False,
    ) -> None:
        """From now on, requests that are of concern get `behaviour`: after the first `after`, and so many `times`.

        With `deliver` the upstream gets the request all the same, and its answer is thrown away.
        """
        self._switch(_Trouble(behaviour, concerns, after, times, deliver))

    def behave(self) -> None:
        """Pass everything on, and let go of whatever hangs."""
        self._switch(None)

    @contextlib.contextmanager
    def slowed(self, seconds: float) -> Iterator[None]:
        """Within the block, each request that writes waits for so many seconds before it is passed on."""
        self._lag = seconds
        try:
            yield
        finally:
            self._lag = 0.0

    def _switch(self, trouble: _Trouble | None) -> None:
        with self._lock:
            self._stop.set()
            self._stop = threading.Event()
            self._trouble, self._struck = trouble, 0
            self.seen.clear()

    def __call__(self, peer: Peer) -> None:
        while data := peer.request():
            head, _, body = data.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            method, path, _ = line.split(" ", 2)
            headers = dict(each.split(": ", 1) for each in lines)
            length = int(next((value for name, value in headers.items() if name.lower() == "content-length"), 0))
            while len(body) < length and (piece := peer.sock.recv(65536)):
                body += piece
            trouble, stop = self._meets(Seen(method, path))
            with self._counted(Seen(method, path)):
                if Seen(method, path).writes:
                    stop.wait(self._lag)
                passed = self._pass_on(method, path, body, headers) if trouble is None or trouble.deliver else b""
            if trouble is not None:
                trouble.behaviour(_Taken(peer, head, stop))
                return
            peer.send(passed)

    @contextlib.contextmanager
    def _counted(self, seen: Seen) -> Iterator[None]:
        with self._lock:
            self._writing += seen.writes
            self.most_writes_at_once = max(self.most_writes_at_once, self._writing)
        try:
            yield
        finally:
            with self._lock:
                self._writing -= seen.writes

    def _pass_on(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The upstream's answer, on a connection of its own: an idle one may have been closed meanwhile."""
        host, port = self._upstream.hostname or "", self._upstream.port
        upstream: http.client.HTTPConnection
        if self.tls:
            # Nobody is fooled: it is a server of the tests on this machine.
            unchecked = ssl._create_unverified_context()
            upstream = http.client.HTTPSConnection(host, port, timeout=120, context=unchecked)
        else:
            upstream = http.client.HTTPConnection(host, port, timeout=120)
        with contextlib.closing(upstream):
            upstream.request(method, path, body, {**headers, "Connection": "close"})
            reply = upstream.getresponse()
            content = reply.read()
        kept = [f"{name}: {value}\r\n" for name, value in reply.getheaders() if name.lower() not in _HOP]
        kept.append(f"Content-Length: {len(content)}\r\n")
        return f"HTTP/1.1 {reply.status} {reply.reason}\r\n{''.join(kept)}\r\n".encode("latin-1") + content

    def _meets(self, seen: Seen) -> tuple[_Trouble | None, threading.Event]:
        with self._lock:
            self.seen.append(seen)
            trouble = self._trouble
            if trouble is None or not trouble.concerns(seen):
                return None, self._stop
            self._struck += 1
            late = trouble.times is not None and self._struck > trouble.after + trouble.times
            return (None if self._struck <= trouble.after or late else trouble), self._stop


@contextlib.contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy on a free port of loopback in front of `upstream`."""
    proxy = Proxy(upstream)
    with serve(proxy, tls=proxy.tls) as server:
        proxy.server = server
        try:
            yield proxy
        finally:
            proxy.behave()
