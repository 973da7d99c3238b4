"""The example subscriber: the same history from pull and push, whatever comes twice or out of order."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.examples.history import History
from functions.contract import SyncRequest
from functions.events import (
    drift_message,
    follow_up,
    outcome_message,
    request_message,
    started_message,
    status_message,
)
from functions.outcome import Result
from infra.pubsub import Message
from infra.sandbox.emulator import Emulator
from infra.sandbox.serving import Serving
from tests.event_samples import EDITED, NOW, outcome_of
from tests.pubsub_fixtures import PROJECT, QUICK, Place, eventually

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def run(request: SyncRequest, result: Result, minute: int) -> list[Message]:
    """What is published of one run that begins in that minute and takes nine seconds."""
    began = NOW + timedelta(minutes=minute)
    told = outcome_of(request, result=result).as_dict()
    told |= {"started_at": began.isoformat(), "finished_at": (began + timedelta(seconds=9)).isoformat(), "written": 5}
    return [request_message(request, began), started_message(request, began, 30.0), outcome_message(told)]


FIRST = SyncRequest("lab-1", "a", "a")
MESSAGES = [
    *run(FIRST, Result.CONTINUED, 0),
    *run(follow_up(FIRST), Result.SUCCEEDED, 1),
    status_message("lab-1", follow_up(FIRST).id, "never_synced", "in_sync", late=False, since=NOW),
    *run(SyncRequest("lab-1", "b", "b"), Result.TIMED_OUT, 5),
    status_message("lab-1", "b", "in_sync", "error", late=True, since=NOW + timedelta(minutes=6), reason="hung"),
    *run(SyncRequest("lab-1", "c", "c"), Result.SUCCEEDED, 9),
    drift_message("lab-1", "c", [EDITED], NOW + timedelta(minutes=9, seconds=4)),
    *run(SyncRequest("other", "o", "o"), Result.FAILED, 2),
]
STRANGE = Message(b"{}", {**MESSAGES[2].attributes, "ce-type": "io.fabric-sync.sync.succeeded.v2"}, "lab-1")
"""A later version of an outcome, which the subscriber cannot understand."""

WANTED = [
    ("a", 0, "continued", 5, 0),
    (follow_up(FIRST).id, 1, "succeeded", 5, 0),
    ("b", 5, "timed_out", 5, 0),
    ("c", 9, "succeeded", 5, 1),
]


def told(history: History) -> list[tuple[Any, ...]]:
    """The runs of lab-1: id, minute, result, written, edited by people."""
    runs = history.runs("lab-1")
    assert all(run.asked == run.began and run.ended - run.began == timedelta(seconds=9) for run in runs if run.ended)
    minutes = [run.began and (run.began - NOW) // timedelta(minutes=1) for run in runs]
    return [
        (run.request_id, minute, run.result, run.written, run.edited_by_people)
        for run, minute in zip(runs, minutes, strict=True)
    ]


def complete(history: History) -> bool:
    return len(history.events("lab-1")) == len(MESSAGES) - 3 and len(history.events("other")) == 3


def shuffled(seed: int) -> list[Message]:
    """Every message, most of them twice, in some order."""
    dice = random.Random(seed)
    found = [*MESSAGES, *MESSAGES[:9], STRANGE]
    dice.shuffle(found)
    return found


def publish(place: Place, topic: str, messages: Iterable[Message]) -> None:
    bodies = [
        {"data": base64.b64encode(each.data).decode(), "attributes": dict(each.attributes), "orderingKey": key}
        for each in messages
        # one key in each call, as the service wants it
        for key in [each.ordering_key]
    ]
    for body in bodies:
        place.publish(topic, body)


@settings(max_examples=20, deadline=None)
@given(st.permutations(MESSAGES), st.lists(st.sampled_from(MESSAGES)))
def test_the_history_is_the_same_in_whatever_order_and_however_often_events_come(
    order: list[Message], again: list[Message]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(f"{folder}/history.db")
        assert all(history.keep(each.attributes, each.data) for each in order)
        assert not any(history.keep(each.attributes, each.data) for each in again)
        assert told(history) == WANTED
        assert [(change.to, change.late) for change in history.statuses("lab-1")] == [
            ("in_sync", False),
            ("error", True),
        ]


def test_a_run_that_has_not_ended_is_told_as_that(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history.db"))
    _, started, _ = run(FIRST, Result.SUCCEEDED, 0)
    history.keep(started.attributes, started.data)
    assert [(each.result, each.asked, each.ended) for each in history.runs("lab-1")] == [("not ended", None, None)]


@pytest.mark.emulator
def test_a_subscriber_that_pulls_rebuilds_the_history(emulator: Emulator, tmp_path: Path) -> None:
    place = Place("emulator", emulator.url)
    topic = place.topic("pulled")
    subscription = place.subscription(topic, ackDeadlineSeconds=30, enableMessageOrdering=True)
    publish(place, topic, shuffled(1))
    history = History(str(tmp_path / "history.db"))
    with pulling(emulator, subscription, tmp_path):
        assert eventually(lambda: complete(history), 60.0), (tmp_path / "log").read_text()
        assert eventually(lambda: "of sync.succeeded it is" in (tmp_path / "log").read_text(), 10.0)
    assert told(history) == WANTED
    command = [sys.executable, str(EXAMPLES / "history.py"), str(tmp_path / "history.db"), "lab-1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown.count(" written ") == 4
    assert "in_sync → error (late)  hung" in shown


@contextmanager
def pulling(emulator: Emulator, subscription: str, folder: Path) -> Any:
    """pull.py as a process of its own, ended by Ctrl-C."""
    command = [sys.executable, str(EXAMPLES / "pull.py"), PROJECT, subscription, str(folder / "history.db")]
    environment = {**os.environ, "PUBSUB_EMULATOR_HOST": emulator.host}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
            process.send_signal(2)
            assert process.wait(30) == 0, (folder / "log").read_text()
        finally:
            process.kill()
            process.wait(30)


@pytest.mark.parametrize("settings", [{}, {"noWrapper": {"writeMetadata": True}}], ids=["wrapped", "unwrapped"])
def test_a_subscriber_that_is_pushed_to_rebuilds_the_history(
    place: Place, settings: dict[str, Any], tmp_path: Path
) -> None:
    environment = {"HISTORY": str(tmp_path / "history.db")}
    with Serving(EXAMPLES / "push.py", "heard", tmp_path / "log", environment, threads=4) as serving:
        topic = place.topic("pushed")
        push = {"pushEndpoint": serving.url, **settings}
        place.subscription(topic, pushConfig=push, retryPolicy=QUICK, enableMessageOrdering=True)
        publish(place, topic, shuffled(2))
        history = History(str(tmp_path / "history.db"))
        assert eventually(lambda: complete(history), 60.0), (tmp_path / "log").read_text()
        assert eventually(lambda: "of sync.succeeded it is" in (tmp_path / "log").read_text(), 10.0)
        place.clear()
    assert told(history) == WANTED
