"""A tick with thousands of fabrics due at once, beside the bare publishing of the same messages."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.cloud import pubsub_v1

from bench.aside import aside
from bench.measure import Measure
from functions.events import SyncRequest, request_message
from functions.tick import Tick
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.pubsub import open_publisher
from infra.sandbox.emulator import Emulator
from infra.sandbox.messaging import rest

PROJECT, TOPIC = "bench", "requests"
EVERY = timedelta(seconds=60)
PATIENCE = 300.0


class ManyClusters(BaseHTTPRequestHandler):
    """A NetBox with `count` fabrics, all due: it answers pages of clusters, and nothing else."""

    protocol_version = "HTTP/1.1"

    def __init__(self, count: int, since: str, *args: Any) -> None:
        self.count, self.since = count, since
        super().__init__(*args)

    def do_GET(self) -> None:
        """A page of clusters by id."""
        query = parse_qs(urlsplit(self.path).query)
        first, limit = int(query.get("id__gt", ["0"])[0]) + 1, int(query.get("limit", ["50"])[0])
        rows = [self._row(number) for number in range(first, min(first + limit, self.count + 1))]
        body = json.dumps({"count": self.count - first + 1, "next": None, "results": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _row(self, number: int) -> dict[str, Any]:
        end = {"request": f"r-{number}", "result": "succeeded", "at": self.since, "trigger": "schedule", "s": 1.0}
        return {
            "id": number,
            "name": f"f-{number}",
            "scope_type": "dcim.site",
            "scope": {"id": number, "slug": f"s-{number}"},
            "status": {"value": "active", "label": "Active"},
            "last_updated": self.since,
            "custom_fields": {"fabric_secret": "fabric-x", "fabric_lease": None, "fabric_state": {"ends": [end] * 8}},
        }

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def many_clusters(count: int, since: datetime) -> Iterator[str]:
    """The address of a NetBox with so many fabrics that were registered at `since` and never synced."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(ManyClusters, count, since.isoformat()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def ticks(state: Path, counts: tuple[int, ...] = (1_000, 10_000)) -> Iterator[Measure]:
    """Wall time and memory of a tick in a process of its own, on the emulator; NetBox is simulated."""
    state.mkdir(parents=True, exist_ok=True)
    with Emulator(state / "emulator.log") as emulator:
        rest(emulator.url, "PUT", f"/v1/projects/{PROJECT}/topics/{TOPIC}", {})
        for count in counts:
            size = f"{count} fabrics, simulated NetBox, emulator"
            now = datetime.now(UTC)
            with many_clusters(count, now.replace(second=0, microsecond=0)) as url:
                (seconds, requests), peak = aside(_tick, url, emulator.host, now, count)
            bare, _ = aside(_bare, emulator.host, count)
            told = "the same messages by google-cloud-pubsub alone"
            yield Measure("tick, wall time", size, round(seconds, 2), "s")
            yield Measure(
                "tick, wall time ÷ bare publishing",
                size,
                round(seconds / bare, 2),
                "x",
                "≤ 1.5" if count == max(counts) else None,
                told,
            )
            yield Measure("tick, NetBox requests", size, requests, "")
            yield Measure("tick, peak memory", size, round(peak), "MiB")


def _tick(url: str, host: str, now: datetime, count: int) -> tuple[float, int]:
    os.environ["PUBSUB_EMULATOR_HOST"] = host
    deadline = Deadline.after(PATIENCE)
    with NetBox(url, "0" * 40, deadline) as netbox, open_publisher(PROJECT) as publisher:
        began = time.monotonic()
        report = Tick(netbox, lambda: publisher, TOPIC, TOPIC, deadline, now, EVERY).run()
        seconds = time.monotonic() - began
        if report.published != count:
            raise RuntimeError(f"{report.published} of {count} requests were published: {report.as_dict()}")
        return seconds, netbox.requests


def _bare(host: str, count: int) -> float:
    os.environ["PUBSUB_EMULATOR_HOST"] = host
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    client = pubsub_v1.PublisherClient(publisher_options=options)
    path = client.topic_path(PROJECT, TOPIC)
    messages = [request_message(SyncRequest(f"f-{at}", f"id-{at}", f"id-{at}", "schedule")) for at in range(count)]
    began = time.monotonic()
    futures = [client.publish(path, each.data, ordering_key=each.ordering_key, **each.attributes) for each in messages]
    for future in futures:
        future.result(PATIENCE)
    return time.monotonic() - began
