"""Functions that are pushed to by the tests: they write down what came, and answer as the message asks.

The attributes of a message decide. `answers` lists the statuses of its first, second … delivery, the last of them
for all further ones (200 without it); `hold` is how many seconds an answer takes.
"""

import base64
import json
import os
import threading
import time
from collections import Counter
from pathlib import Path

import functions_framework

_deliveries: Counter[str] = Counter()
_lock = threading.Lock()


@functions_framework.http
def record(request):
    """Any push, wrapped or not."""
    began = time.monotonic()
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.get_data()
    envelope = json.loads(body) if b'"subscription"' in body else None
    wishes = envelope["message"].get("attributes", {}) if envelope else headers
    name = envelope["message"]["messageId"] if envelope else headers.get("x-goog-pubsub-message-id", "")
    place = f"{request.path} {name}"
    with _lock:
        _deliveries[place] += 1
        answers = wishes.get("answers", "200").split(",")
        status = int(answers[min(_deliveries[place], len(answers)) - 1])
    _write({"path": request.path, "headers": headers, "envelope": envelope, "began": began, "status": status})
    time.sleep(float(wishes.get("hold", "0")))
    _write({"path": request.path, "ended": time.monotonic(), "envelope": envelope})
    return "", status


@functions_framework.cloud_event
def event(event):
    """A CloudEvent, as functions-framework makes it from the push."""
    data = event.data if isinstance(event.data, dict) else base64.b64encode(event.data).decode()
    _write({"path": "/event", "attributes": dict(event.get_attributes()), "data": data})


def _write(line):
    with _lock, Path(os.environ["PUSH_TARGET_LOG"]).open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")
