"""A function that runs its work in a child, as it is served: its two floors are in the folder that FLOORS names."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import functions_framework

sys.path.insert(0, os.environ["FLOORS"])

from infra.deadline import Deadline
from infra.stopping import told_to_stop
from infra.supervisor import Supervisor

supervisor = Supervisor(["tests.infra.workers"], grace=float(os.environ.get("GRACE", "3")))
MASTER = os.getpid()


@functions_framework.http
def work(request: Any) -> tuple[str, int, dict[str, str]]:
    """Run the work that the request names; tell how it ended, and where the parts of the function are."""
    asked = request.get_json()
    heard: list[Any] = []

    def hear(message: Any) -> None:
        heard.append(message)
        print("HEARD", json.dumps(message), flush=True)

    before = (told_to_stop(), supervisor.server_pid)
    ended = supervisor.run(asked["target"], asked["given"], Deadline.after(asked["wall"]), hear)
    answer = {
        "end": ended.end,
        "result": ended.result,
        "text": ended.text,
        "heard": heard,
        "told_before": before[0],
        "server_before": before[1],
        "told_after": told_to_stop(),
        "server": supervisor.server_pid,
        "worker": os.getpid(),
        "master": MASTER,
        "at": time.time(),
    }
    return json.dumps(answer), 200, {"Content-Type": "application/json"}
