"""Cold starts: from the start of a function's process to its first answer, beside a function that does nothing."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.many import many_clusters
from bench.measure import Measure
from functions.contract import structured
from functions.contract.examples import EXAMPLES
from infra.sandbox.process import free_port

MAIN = Path(__file__).resolve().parent.parent / "functions" / "main.py"
EMPTY = (
    '"""Nothing."""\nimport functions_framework\n\n\n@functions_framework.http\ndef empty(request):\n    return "ok"\n'
)
GOALS = {"tick": "≤ 1.3", "manual": "≤ 1.3", "record": "≤ 1.3", "sync": "≤ 1.5"}
PATIENCE = 60.0

type Request = tuple[str, str, bytes, Mapping[str, str]]

ASKED: Mapping[str, Request] = {
    "empty": ("POST", "/", b"{}", {}),
    # A tick of yesterday, an event of nobody, a request without a fabric: each is answered, and asks NetBox nothing.
    "tick": ("POST", "/", b"{}", {"X-CloudScheduler-ScheduleTime": "2026-01-01T00:00:00Z"}),
    "record": ("POST", "/", b"{}", {}),
    "sync": ("POST", "/", b"{}", {}),
    "manual": ("GET", "/healthz", b"", {}),
}
"""Function → the request that is its first: method, path, body, headers."""

ASKING: Mapping[str, Request] = {
    # A tick of now, the failure of a fabric that NetBox does not know, all fabrics: each asks NetBox once.
    "tick": ("POST", "/", b"{}", {}),
    "record": ("POST", "/", structured(EXAMPLES["sync.failed"]), {"Content-Type": "application/cloudevents+json"}),
    "manual": ("GET", "/fabrics", b"", {}),
}
"""The same, where the first request has to ask NetBox: an empty one, which answers at once."""


def cold_starts(state: Path, rounds: int = 7) -> Iterator[Measure]:
    """Medians over `rounds`, the functions by turns; then of first requests that need NetBox, which is simulated."""
    state.mkdir(parents=True, exist_ok=True)
    empty = state / "empty.py"
    empty.write_text(EMPTY)
    (state / "secrets").mkdir(exist_ok=True)
    with many_clusters(0, datetime.now(UTC)) as netbox:
        cases = [(name, name, ASKED[name], "http://127.0.0.1:9") for name in ASKED]
        cases += [(f"{name}, asking", name, ASKING[name], netbox) for name in ASKING]
        seconds: dict[str, list[float]] = {case[0]: [] for case in cases}
        for _ in range(rounds + 1):
            for case, name, asked, url in cases:
                seconds[case].append(_start(name, empty if name == "empty" else MAIN, state, asked, url))
    medians = {name: median(times[1:]) for name, times in seconds.items()}  # the first ones warm the disk's cache
    yield Measure("start to first answer, empty function", "functions-framework", round(medians["empty"], 3), "s")
    told = "empty function, same framework"
    for name, goal in GOALS.items():
        ratio = round(medians[name] / medians["empty"], 2)
        yield Measure("start to first answer ÷ empty function", name, ratio, "x", goal, told)
    for name in ASKING:
        ratio = round(medians[f"{name}, asking"] / medians["empty"], 2)
        yield Measure("start to first answer that needs NetBox ÷ empty function", name, ratio, "x", "", told)


def _start(target: str, source: Path, state: Path, asked: Request, netbox: str) -> float:
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", target]
    environment = {
        **os.environ,
        "NETBOX_URL": netbox,
        "NETBOX_TOKEN": "0" * 40,
        "FABRIC_SYNC_PROJECT": "bench",
        "FABRIC_SYNC_SECRETS": str(state / "secrets"),
        "FABRIC_SYNC_MANUAL_OPEN": "1",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }
    with (state / "cold.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while (status := _answer(port, *asked)) is None:
                if time.monotonic() - began > PATIENCE or process.poll() is not None:
                    raise RuntimeError(f"the function {target} did not start: see {state / 'cold.log'}")
                time.sleep(0.002)
            seconds = time.monotonic() - began
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
    if status != 200:
        raise RuntimeError(f"the function {target} answered {status}")
    return seconds


def _answer(port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status
    except OSError:
        return None  # not yet there
    finally:
        connection.close()
