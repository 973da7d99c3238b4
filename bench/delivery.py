"""From a published request to a sync that works on it, beside the emulator's own push to a function that is empty."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest.mock import patch

from bench.cold import MAIN
from bench.measure import Measure
from functions.events import SyncRequest, request_message
from infra.deadline import Deadline
from infra.pubsub import Publisher, open_publisher
from infra.sandbox.emulator import Emulator
from infra.sandbox.messaging import rest
from infra.sandbox.serving import Serving

PROJECT = "bench"
WARM = 5
"""Requests that are not counted: with the first ones everything is loaded."""
GAP = 0.25
"""Seconds between two requests: each is alone."""


class Arrivals(BaseHTTPRequestHandler):
    """Notes when a request arrives, and answers: 204 as a function that does nothing, 503 as a NetBox that is off."""

    protocol_version = "HTTP/1.1"
    status = 204
    times: list[float]

    def _any(self) -> None:
        self.times.append(time.monotonic())
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _any  # noqa: N815 - names that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def deliveries(state: Path, count: int = 100) -> Iterator[Measure]:
    """The 95th percentiles of both, over `count` requests one after the other to a warm function."""
    state.mkdir(parents=True, exist_ok=True)
    (state / "secrets").mkdir(exist_ok=True)
    with Emulator(state / "emulator.log") as emulator, _arrivals(204) as empty, _arrivals(503) as netbox:
        environment = {
            "NETBOX_URL": netbox[0],
            "NETBOX_TOKEN": "0" * 40,
            "FABRIC_SYNC_PROJECT": PROJECT,
            "FABRIC_SYNC_SECRETS": str(state / "secrets"),
            "PUBSUB_EMULATOR_HOST": emulator.host,
            "FABRIC_SYNC_TOPIC_REQUESTS": "requests",
            "FABRIC_SYNC_TOPIC_OUTCOMES": "outcomes",
        }
        with (
            Serving(MAIN, "sync", state / "delivery.log", environment, threads=4) as sync,
            patch.dict(os.environ, environment),
            open_publisher(PROJECT) as publisher,
        ):
            for topic, endpoint in (("requests", sync.url), ("plain", empty[0]), ("outcomes", "")):
                rest(emulator.url, "PUT", f"/v1/projects/{PROJECT}/topics/{topic}", {})
                if endpoint:
                    push = {"pushEndpoint": endpoint, "noWrapper": {"writeMetadata": True}}
                    body = {"topic": f"projects/{PROJECT}/topics/{topic}", "pushConfig": push}
                    rest(emulator.url, "PUT", f"/v1/projects/{PROJECT}/subscriptions/{topic}-push", body)
            times: dict[str, list[float]] = {"requests": [], "plain": []}
            for _ in range(count + WARM):
                times["plain"].append(_one(publisher, "plain", empty[1]))
                times["requests"].append(_one(publisher, "requests", netbox[1]))
    ours, own = (quantiles(times[topic][WARM:], n=20)[-1] * 1000 for topic in ("requests", "plain"))
    size = f"{count} requests, one after the other"
    yield Measure("request published, until sync asks NetBox, p95", size, round(ours), "ms")
    told = "published, until an empty endpoint is pushed to, p95"
    yield Measure("event overhead, p95 beyond the emulator's own", size, round(ours - own), "ms", "≤ 100", told)


@contextmanager
def _arrivals(status: int) -> Iterator[tuple[str, list[float]]]:
    """The address of a server, and the times (monotonic) at which requests came to it."""
    times: list[float] = []
    handler = type("Noting", (Arrivals,), {"status": status, "times": times})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", times
    finally:
        server.shutdown()
        server.server_close()


def _one(publisher: Publisher, topic: str, times: list[float]) -> float:
    """Seconds from before the publishing of one request to the first arrival after it."""
    patience = Deadline.after(30)
    patience.pause(GAP)
    before, id_ = len(times), f"{topic}-{time.time_ns()}"
    message = request_message(SyncRequest("bench", id_, id_, "bench"))
    began = time.monotonic()
    publisher.publish(topic, message, patience)
    while len(times) == before:
        if not patience.pause(0.001):
            raise RuntimeError(f"nothing came of a request to {topic}")
    return times[before] - began
