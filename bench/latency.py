"""What people wait for on the page and over HTTP, beside what NetBox itself takes to answer for the same fabric."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles

import requests

from bench.cold import MAIN
from bench.measure import Measure
from bench.stage import FABRIC, staged
from infra.sandbox.broker import Broker
from infra.sandbox.fabric.serve import Content
from infra.sandbox.messaging import rest
from infra.sandbox.serving import Serving

PROJECT = "bench"
ROUNDS, WARM = 60, 5


def latencies(content: Content, size: str, state: Path) -> Iterator[Measure]:
    """The 95th percentiles of calls one after the other, less that of NetBox's own answer."""
    with staged(content, state) as stage, Broker() as broker:
        stage.empty()
        stage.sync(600)
        for topic in ("requests", "outcomes"):
            rest(broker.url, "PUT", f"/v1/projects/{PROJECT}/topics/{topic}", {})
        environment = {
            "NETBOX_URL": stage.url,
            "NETBOX_TOKEN": stage.token,
            "FABRIC_SYNC_SECRETS": str(stage.secrets),
            "FABRIC_SYNC_PROJECT": PROJECT,
            "FABRIC_SYNC_BROKER_URL": broker.url,
            "FABRIC_SYNC_TOPIC_REQUESTS": "requests",
            "FABRIC_SYNC_TOPIC_OUTCOMES": "outcomes",
            "FABRIC_SYNC_MANUAL_OPEN": "1",
        }
        with (
            Serving(MAIN, "manual", state / "latency.log", environment, threads=4) as manual,
            requests.Session() as ask,
        ):
            cluster = f"{stage.url}/api/virtualization/clusters/"
            headers = {"Authorization": f"Bearer {stage.token}"}
            calls: dict[str, Callable[[], requests.Response]] = {
                "NetBox": lambda: ask.get(cluster, params={"name": FABRIC}, headers=headers, timeout=60),
                "all fabrics": lambda: ask.get(f"{manual.url}/fabrics", timeout=60),
                "one fabric": lambda: ask.get(f"{manual.url}/fabrics/{FABRIC}", timeout=60),
                "a sync asked for": lambda: ask.post(
                    f"{manual.url}/fabrics/{FABRIC}/sync", params={"wait": "false"}, json={}, timeout=60
                ),
            }
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(ROUNDS + WARM):
                for name, call in calls.items():
                    began = time.monotonic()
                    answer = call()
                    times[name].append(time.monotonic() - began)
                    answer.raise_for_status()
    p95 = {name: quantiles(values[WARM:], n=20)[-1] * 1000 for name, values in times.items()}
    yield Measure("answer of NetBox for one cluster, p95", size, round(p95["NetBox"]), "ms")
    for name in ("all fabrics", "one fabric", "a sync asked for"):
        value = round(p95[name] - p95["NetBox"])
        yield Measure(f"answer of manual, {name}, p95 beyond NetBox", size, value, "ms", "< 200", "one cluster by name")
