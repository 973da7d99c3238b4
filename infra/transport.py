"""The one way out over HTTP: pools, a requests session and the kubernetes client's pool, all under one deadline.

What is promised of every request: it ends by the deadline of its `Bounds`, it is sent once (no retries), its answer
is read whole and stays under the byte cap, redirects are refused, proxies and CA bundles of the environment are not
used. It raises `DeadlineExceeded` or `TransportError` and nothing else. One exception to "once": where an idle
connection was closed by the other side meanwhile, a reading request goes out again on a new one (RFC 9110 9.2.2). A
writing one, which must not, takes a new connection in place of one that was idle for long.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InvalidChunkLength, ProtocolError

from infra.deadline import Deadline
from infra.faults import Fault, TransportError
from infra.redaction import unsaid
from infra.wire import (
    MAX_BYTES,
    BoundedHTTPConnection,
    BoundedHTTPSConnection,
    Bounds,
    too_large,
)

__all__ = [
    "MAX_BYTES",
    "BoundedPoolManager",
    "BoundedSession",
    "Bounds",
    "Fault",
    "TransportError",
    "bound_api_client",
    "bounded_session",
]

_PIECE = 64 * 1024
# Headers that describe the answer's way over the wire and no longer fit once it is read and unpacked.
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")

_READING = frozenset({"GET", "HEAD"})

FRESH_FOR = 1.0
"""Seconds for which an idle connection is trusted with a write: servers close theirs when they like (gunicorn, and so
NetBox, after 2 s), and a write that crosses with that is lost and may not be sent again."""

# The first row that fits the error, or what it was raised from, names the fault.
_FAULTS: tuple[tuple[type[BaseException], Fault], ...] = (
    (InvalidChunkLength, Fault.PROTOCOL),
    (http.client.RemoteDisconnected, Fault.RESET),
    (http.client.IncompleteRead, Fault.RESET),
    (ConnectionError, Fault.RESET),
    (http.client.HTTPException, Fault.PROTOCOL),
    (ProtocolError, Fault.PROTOCOL),
    (HTTPError, Fault.PROTOCOL),
    (requests.RequestException, Fault.PROTOCOL),
    (OSError, Fault.TLS),  # what is left of OSError is a CA bundle or certificate file that cannot be read
)


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """Turn whatever urllib3, http.client or requests raise into a `TransportError` that names `place`."""
    try:
        yield
    except (HTTPError, http.client.HTTPException, OSError) as error:  # requests' errors are OSErrors
        root = _root(error)
        for candidate in (root, error):
            for kind, fault in _FAULTS:
                if isinstance(candidate, kind):
                    raise TransportError(fault, place, _text(candidate)) from error
        raise TransportError(Fault.PROTOCOL, place, _text(error)) from error


def _root(error: BaseException) -> BaseException:
    """The innermost error that urllib3 wrapped (it passes the inner one as an argument)."""
    inner = [arg for arg in error.args if isinstance(arg, BaseException)]
    return _root(inner[-1]) if inner else error


def _text(error: BaseException) -> str:
    # The text of a RequestException quotes the URL, which may carry a password.
    if isinstance(error, requests.RequestException):
        return f"the request cannot be sent: {type(error).__name__}"
    return unsaid(str(error)) or type(error).__name__


class _BoundedHTTPPool(HTTPConnectionPool):
    """A pool whose answers are complete when they are handed out, so that nothing reads the network later."""

    ConnectionCls = BoundedHTTPConnection

    def urlopen(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        bounds: Bounds = self.conn_kw["bounds"]
        place = f"{self.host}:{self.port}"
        bounds.deadline.check(f"a request to {place}")
        options |= {"retries": False, "redirect": False, "timeout": None, "preload_content": False}
        options |= {"decode_content": True, "release_conn": False}
        with _translated(place):
            answer = super().urlopen(method, url, **options)
            try:
                if 300 <= answer.status < 400:
                    raise TransportError(Fault.REDIRECT, place, f"answered {answer.status}; redirects are not followed")
                body = _read(answer, bounds, place)
            except BaseException:  # unread bytes make the connection useless, whatever stopped the reading
                answer.close()
                raise
            finally:
                answer.release_conn()
        headers = answer.headers.copy()
        for name in _OF_THE_WIRE:
            headers.discard(name)
        return urllib3.HTTPResponse(
            body=io.BytesIO(body),
            headers=headers,
            status=answer.status,
            version=answer.version,
            version_string=answer.version_string,
            reason=answer.reason,
            preload_content=False,
            request_url=url,
        )

    def _make_request(self, conn: Any, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        if method not in _READING and conn.sock is not None and time.monotonic() - conn.idle_since > FRESH_FOR:
            conn.close()
        idle = conn.sock is not None
        headers = options.get("headers") or {}
        conn.used_up = str(headers.get("Connection", "")).lower() == "close"
        try:
            return super()._make_request(conn, method, url, **options)
        except (ConnectionError, ProtocolError):  # http.client.RemoteDisconnected is a ConnectionError
            if not idle or method not in _READING:
                raise
            # Servers close idle connections when they like, and this request crossed with it: nobody answered.
            conn.close()
            return super()._make_request(conn, method, url, **options)

    def _put_conn(self, conn: Any) -> None:
        # A request that asked for it was the last one of its connection, whatever the answer says (RFC 9112 9.6).
        if conn is not None:
            conn.idle_since = time.monotonic()
            if conn.used_up:
                conn.close()
        super()._put_conn(conn)


class _BoundedHTTPSPool(_BoundedHTTPPool, HTTPSConnectionPool):
    ConnectionCls = BoundedHTTPSConnection


def _read(answer: urllib3.BaseHTTPResponse, bounds: Bounds, place: str) -> bytes:
    body = bytearray()
    # Piece by piece, because a few packed kilobytes can unpack to gigabytes.
    while piece := answer.read(_PIECE, decode_content=True):
        body += piece
        if len(body) > bounds.max_bytes:
            raise too_large(bounds, place)
        bounds.deadline.check(f"reading from {place}")
    return bytes(body)


class BoundedPoolManager(urllib3.PoolManager):
    """urllib3's manager on bounded pools.

    `options` are urllib3's pool options (TLS settings, `maxsize`); retries, timeouts and redirects among them have
    no effect. To give later requests another deadline set `bounds.deadline`.
    """

    def __init__(self, bounds: Bounds, **options: Any) -> None:
        super().__init__(**options)
        self.bounds = bounds
        self.pool_classes_by_scheme = {
            "http": partial(_BoundedHTTPPool, bounds=bounds),  # type: ignore[dict-item]
            "https": partial(_BoundedHTTPSPool, bounds=bounds),  # type: ignore[dict-item]
        }

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = False, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        with _translated(_host_of(url)):
            return super().urlopen(method, url, redirect=False, **options)

    def clear(self) -> None:
        """Close every idle connection now (urllib3 alone leaves that to the garbage collector)."""
        for key in self.pools.keys():  # noqa: SIM118 - the container cannot be iterated
            if (pool := self.pools.get(key)) is not None:
                pool.close()
        super().clear()


class _BoundedAdapter(HTTPAdapter):
    """requests' adapter on a `BoundedPoolManager`."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = BoundedPoolManager(self._bounds, num_pools=connections, maxsize=maxsize, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> NoReturn:
        raise requests.exceptions.InvalidProxyURL("proxies are not used")


class BoundedSession(requests.Session):
    """A requests session whose every request ends by `deadline`, which the owner may set anew between requests.

    Nothing is taken from the environment: no proxy, no netrc, no CA bundle. Cookies are not kept.
    """

    def __init__(self, bounds: Bounds, *, verify: bool | str = True) -> None:
        super().__init__()
        self.bounds = bounds
        self.trust_env = False
        self.verify = verify
        adapter = _BoundedAdapter(bounds)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def deadline(self) -> Deadline:
        """The end of every request that this session sends from now on."""
        return self.bounds.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self.bounds.deadline = deadline

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send one request, as `requests` does; raises `DeadlineExceeded` or `TransportError`."""
        with _translated(_host_of(str(url))):
            return super().request(method, url, *args, **options)


def bounded_session(deadline: Deadline, *, verify: bool | str = True, max_bytes: int = MAX_BYTES) -> BoundedSession:
    """A session under `deadline` for requests and pynetbox (`api.http_session = bounded_session(…)`).

    `verify`: True for the public CAs that certifi ships, a path to a CA bundle, or False for no verification.
    `max_bytes`: the most that one answer may hold, packed or unpacked.
    """
    return BoundedSession(Bounds(deadline, max_bytes), verify=verify)


def bound_api_client(api_client: Any, bounds: Bounds, **options: Any) -> BoundedPoolManager:
    """Make a `kubernetes.client.ApiClient` speak through a bounded pool, and return that pool.

    The TLS settings that the client took from its configuration are kept; `options` are put over them.
    """
    rest = api_client.rest_client
    manager = BoundedPoolManager(bounds, **{**rest.pool_manager.connection_pool_kw, **options})
    rest.pool_manager.clear()
    rest.pool_manager = manager
    return manager


def _host_of(url: str) -> str:
    """The host and port of a URL, without what it may carry in front of them."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "(no host)"
    except ValueError:
        return "(no host)"
