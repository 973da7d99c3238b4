"""The embedded broker: the part of Pub/Sub that this system lives on, over the same REST, on one machine.

`with Broker() as broker:` runs it in threads of this process, `python -m infra.sandbox.broker --port 0` as a process
of its own, which prints `{"url": …}` on its first line and ends at once on SIGTERM. What it does not do: gRPC,
authentication, tokens on pushes, schemas, snapshots, storage over a restart, slow start of a push.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from infra.sandbox.exchange import Exchange, Refused, bad
from infra.sandbox.subscription import Limits

STATS = "/-/stats"

_MAX_BODY = 16 * 1024 * 1024
"""Bytes: the largest message the service takes, in base64, with room for its attributes."""
_LONGEST_PULL = 5.0
"""Seconds that a pull waits for a first message; the service waits longer, a sandbox wants to end quickly."""

_NAME = r"projects/[^/:]+/{kind}/[A-Za-z][A-Za-z0-9._~+%-]{{2,254}}"
_TOPIC, _SUBSCRIPTION = _NAME.format(kind="topics"), _NAME.format(kind="subscriptions")

Answer = Mapping[str, Any]
Action = Callable[[Exchange, str, Mapping[str, Any]], Answer]


def _publish(exchange: Exchange, name: str, body: Mapping[str, Any]) -> Answer:
    return {"messageIds": exchange.publish(name, list(body.get("messages") or []))}


def _pull(exchange: Exchange, name: str, body: Mapping[str, Any]) -> Answer:
    most = int(body.get("maxMessages") or 0)
    if most < 1:
        raise bad("maxMessages is at least 1")
    received = exchange.pull(name, min(most, 1000), 0.0 if body.get("returnImmediately") else _LONGEST_PULL)
    return {"receivedMessages": received} if received else {}


def _acknowledge(exchange: Exchange, name: str, body: Mapping[str, Any]) -> Answer:
    exchange.acknowledge(name, list(body.get("ackIds") or []))
    return {}


def _modify_ack_deadline(exchange: Exchange, name: str, body: Mapping[str, Any]) -> Answer:
    exchange.modify_ack_deadline(name, list(body.get("ackIds") or []), float(body.get("ackDeadlineSeconds") or 0))
    return {}


def _delete(exchange: Exchange, name: str, _: Mapping[str, Any]) -> Answer:
    exchange.delete(name)
    return {}


def _list(exchange: Exchange, prefix: str, _: Mapping[str, Any]) -> Answer:
    return {prefix.rsplit("/", 1)[-1]: exchange.names(f"{prefix}/")}


# The REST paths, as in the Pub/Sub reference: method, resource, verb after the colon, what it does.
_ROUTES: list[tuple[str, re.Pattern[str], Action]] = [
    (method, re.compile(f"/v1/(?P<name>{resource}){verb}"), action)
    for method, resource, verb, action in (
        ("PUT", _TOPIC, "", Exchange.create_topic),
        ("PUT", _SUBSCRIPTION, "", Exchange.create_subscription),
        ("GET", f"{_TOPIC}|{_SUBSCRIPTION}", "", lambda exchange, name, _: exchange.describe(name)),
        ("GET", "projects/[^/:]+/(?:topics|subscriptions)", "", _list),
        ("DELETE", f"{_TOPIC}|{_SUBSCRIPTION}", "", _delete),
        ("POST", _TOPIC, ":publish", _publish),
        ("POST", _SUBSCRIPTION, ":pull", _pull),
        ("POST", _SUBSCRIPTION, ":acknowledge", _acknowledge),
        ("POST", _SUBSCRIPTION, ":modifyAckDeadline", _modify_ack_deadline),
    )
]


class Broker:
    """A broker on loopback, from `start` (or `with`) to `close`; `port` 0 takes a free one."""

    def __init__(self, port: int = 0, *, limits: Limits | None = None, push_workers: int = 8) -> None:
        self.exchange = Exchange(limits, push_workers)
        self._server = _Server(("127.0.0.1", port), self.exchange)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="broker", daemon=True)

    @property
    def url(self) -> str:
        """The address, such as `http://127.0.0.1:8085`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends the pushes under way and the server, in a few seconds at most."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        self.exchange.close()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Closing does not wait for connections that a client keeps open.
    block_on_close = False

    def __init__(self, address: tuple[str, int], exchange: Exchange) -> None:
        super().__init__(address, _Handler)
        self.exchange = exchange


class _Handler(BaseHTTPRequestHandler):
    """Reads one request, finds its action in the table, answers JSON; errors in the form of the Google APIs."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    # Header and body leave in two writes: with Nagle's algorithm the second waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 (the base class looks them up by these names)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        return  # what happened stands in the statistics

    def _serve(self) -> None:
        try:
            status, answer = 200, self._answer()
        except Refused as error:
            status = error.status
            answer = {"error": {"code": error.status, "message": str(error), "status": error.code}}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> Answer:
        body = self._body()
        path = urlsplit(self.path).path
        if path == STATS:
            return self.server.exchange.stats()
        if path == "/":
            return {"broker": "fabric-sync"}
        for method, pattern, action in _ROUTES:
            match = pattern.fullmatch(path)
            if match and method == self.command:
                return self._act(action, match["name"], body)
        raise Refused(404, "NOT_FOUND", f"no {self.command} at {path}")

    def _act(self, action: Action, name: str, body: Mapping[str, Any]) -> Answer:
        try:
            return action(self.server.exchange, name, body)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            # A field of another type than the reference names: the request's fault, whatever it was.
            raise bad(f"the request does not have the expected form: {error}") from error

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            raise Refused(413, "INVALID_ARGUMENT", f"a request has at most {_MAX_BODY} bytes, this one has {length}")
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw or b"{}")
        except ValueError as error:
            raise bad(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise bad("the body is not a JSON object")
        return body


def main() -> int:
    """Runs until SIGTERM or SIGINT; the first line of the output is the address as JSON."""
    parser = argparse.ArgumentParser(description="The embedded broker of fabric-sync.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    ends = {signal.SIGTERM, signal.SIGINT}
    # Before the first thread, so that every thread inherits it and the signal waits for us.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    broker = Broker(parser.parse_args().port).start()
    sys.stdout.write(json.dumps({"url": broker.url}) + "\n")
    sys.stdout.flush()
    signal.sigwait(ends)
    # No tidying up: pushes under way are cut with the process, and nothing is kept over its end anyway.
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
