"""The platform's SIGTERM reaches the work, which says what it did; under a real functions-framework, and without."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.deadline import Deadline
from infra.sandbox.serving import Serving
from infra.stopping import Stopped, told_to_stop
from infra.supervisor import End, Ended, Supervisor
from tests.house import posted
from tests.infra.processes import alive, gone, state
from tests.infra.test_supervisor_server import eventually

WORK = "tests.infra.workers:"
AMPLE = 60.0
ROOT = Path(__file__).resolve().parents[2]


# Who is told


def test_a_process_without_gunicorn_is_told_nothing() -> None:
    assert told_to_stop() is False


def test_stopped_passes_by_broad_handlers() -> None:
    assert not issubclass(Stopped, Exception)


# What a child does when it is told


def stopped_run(work: str, *, grace: float = 10.0, wall: float = AMPLE) -> tuple[Ended, list[Any]]:
    """Run this work, and have the stop come with its first message."""
    told, heard = threading.Event(), []

    def hear(message: Mapping[str, Any]) -> None:
        heard.append(message)
        told.set()

    with Supervisor(["tests.infra.workers"], grace=grace, stopping=told.is_set) as supervisor:
        return supervisor.run(WORK + work, {}, Deadline.after(wall), hear), heard


def test_work_that_is_stopped_in_a_blocked_recv_reports_what_it_did() -> None:
    ended, heard = stopped_run("report_when_stopped")
    assert (ended.end, ended.result) == (End.STOPPED, {"done": 7})
    assert heard[1:] == [{"last": "words"}]


def test_work_that_takes_no_notice_ends_by_the_stop_all_the_same() -> None:
    ended, _ = stopped_run("sleep")
    assert (ended.end, ended.result) == (End.STOPPED, None)
    assert ended.seconds < AMPLE / 2
    assert "SIGTERM" in ended.text


def test_work_that_fails_when_it_is_stopped_tells_how() -> None:
    ended, _ = stopped_run("fail_when_stopped")
    assert (ended.end, ended.result, ended.text) == (End.STOPPED, None, "ValueError: while tidying up")


def test_work_that_ignores_the_stop_is_killed_after_the_grace() -> None:
    ended, _ = stopped_run("ignore_sigterm", grace=0.3)
    assert (ended.end, ended.signal) == (End.STOPPED, signal.SIGKILL)
    assert ended.seconds >= 0.3


def test_work_that_took_the_handler_away_is_told_as_stopped() -> None:
    ended, _ = stopped_run("heed_sigterm_as_other_programs_do")
    assert (ended.end, ended.result, ended.signal) == (End.STOPPED, None, signal.SIGTERM)


def test_the_wall_comes_before_the_grace_is_over() -> None:
    ended, _ = stopped_run("ignore_sigterm", grace=AMPLE, wall=1.0)
    assert ended.end is End.KILLED_AT_WALL


def test_stops_at_any_moment_cut_no_message() -> None:
    for _ in range(20):
        ended, heard = stopped_run("send_until_stopped")
        assert (ended.end, ended.text) == (End.STOPPED, ended.text)
        assert ended.result is not None
        # the message in which it came is sent to its end, but the work may not have counted it
        assert len(heard) - ended.result["sent"] in (0, 1)


def test_a_stop_within_a_message_waits_for_its_end() -> None:
    heard: list[int] = []

    def hear(message: Mapping[str, Any]) -> None:
        heard.append(len(message.get("filler", "")))
        if "pid" in message:
            # While nobody reads, the child fills the way to us with its next message, and waits within it.
            time.sleep(2.0)
            os.kill(message["pid"], signal.SIGTERM)

    with Supervisor(["tests.infra.workers"], stopping=lambda: False) as supervisor:
        ended = supervisor.run(WORK + "send_a_large_message", {}, Deadline.after(AMPLE), hear)
    assert (ended.end, ended.result) == (End.STOPPED, None)
    assert heard == [0, 7_000_000]


def test_a_stop_before_the_work_began_is_heard_as_soon_as_it_can_be() -> None:
    with Supervisor(["tests.infra.workers"], stopping=lambda: True) as supervisor:
        for _ in range(10):
            ended = supervisor.run(WORK + "sleep", {}, Deadline.after(AMPLE))
            assert (ended.end, ended.result, ended.signal) == (End.STOPPED, None, None)


def test_stopped_is_raised_once(tmp_path: Path) -> None:
    ended, heard = stopped_run("be_stopped_again_and_again")
    assert (ended.end, ended.result) == (End.STOPPED, {"stops": 1})
    assert len(heard) == 1


# Served by functions-framework


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The floors as an unpacked archive has them, in a folder of their own."""
    place = tmp_path / "archive"
    shutil.copytree(ROOT / "infra", place / "infra", ignore=shutil.ignore_patterns("sandbox", "__pycache__"))
    (place / "tests" / "infra").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "infra" / "workers.py", place / "tests" / "infra")
    return place


@contextlib.contextmanager
def served(tmp_path: Path, archive: Path, threads: int, **environment: str) -> Iterator[Serving]:
    source = tmp_path / "main.py"
    shutil.copy(ROOT / "tests" / "infra" / "supervised_function.py", source)
    environment |= {"FLOORS": str(archive)}
    with Serving(source, "work", tmp_path / "log", environment, tmp_path, threads=threads) as serving:
        yield serving


def ask(serving: Serving, work: str, given: Mapping[str, Any] | None = None, wall: float = AMPLE) -> Any:
    body = {"target": WORK + work, "given": given or {}, "wall": wall}
    status, answer, _ = posted(serving.url, {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert status == 200, answer
    return answer


def ask_in_vain(serving: Serving, work: str) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(serving, work)


def heard_pids(serving: Serving) -> list[int]:
    return [int(pid) for pid in re.findall(r'HEARD {"pid": (\d+)', serving.log.read_text())]


KINDS = [pytest.param(1, id="sync worker"), pytest.param(4, id="gthread worker")]


@pytest.mark.parametrize("threads", KINDS)
def test_sigterm_to_the_function_reaches_the_work_and_is_answered(tmp_path: Path, archive: Path, threads: int) -> None:
    with served(tmp_path, archive, threads) as serving, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, serving, "report_when_stopped")
        assert eventually(lambda: heard_pids(serving), AMPLE)
        os.kill(serving.pid, signal.SIGTERM)
        answer = waiting.result(AMPLE)
        assert (answer["told_before"], answer["told_after"]) == (False, True)
        assert (answer["end"], answer["result"]) == ("stopped", {"done": 7})
        # the server may be reaped by nobody we know: it must not do anything any more
        assert eventually(lambda: not any(alive(pid) for pid in (answer["worker"], answer["server"])), AMPLE)


@pytest.mark.parametrize("threads", KINDS)
def test_work_that_ignores_the_stop_does_not_keep_the_function(tmp_path: Path, archive: Path, threads: int) -> None:
    with served(tmp_path, archive, threads, GRACE="0.3") as serving, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, serving, "ignore_sigterm")
        assert eventually(lambda: heard_pids(serving), AMPLE)
        os.kill(serving.pid, signal.SIGTERM)
        answer = waiting.result(AMPLE)
        assert (answer["end"], answer["result"]) == ("stopped", None)
        assert gone([answer["heard"][0]["pid"]])


@pytest.mark.parametrize("threads", KINDS)
def test_a_killed_worker_takes_server_and_child_along(tmp_path: Path, archive: Path, threads: int) -> None:
    with served(tmp_path, archive, threads) as serving:
        first = ask(serving, "echo")
        stuck = threading.Thread(target=ask_in_vain, args=(serving, "spin"))
        stuck.start()
        assert eventually(lambda: heard_pids(serving), AMPLE)
        (child,) = heard_pids(serving)
        os.kill(first["worker"], signal.SIGKILL)
        assert eventually(lambda: not any(alive(pid) for pid in (first["server"], child)), AMPLE)
        stuck.join(AMPLE)
        again = ask(serving, "echo")
        assert (again["end"], again["server_before"]) == ("returned", 0)
        assert again["server"] not in (0, first["server"])


@pytest.mark.parametrize("threads", KINDS)
def test_the_server_belongs_to_the_worker_and_works_from_the_archive(
    tmp_path: Path, archive: Path, threads: int
) -> None:
    with served(tmp_path, archive, threads) as serving:
        answer = ask(serving, "describe")
        assert answer["server_before"] == 0  # loading the function in the master started nothing
        assert answer["worker"] != answer["master"]
        assert answer["result"]["file"] == str(archive / "tests" / "infra" / "workers.py")
        assert answer["result"]["main"] == "None"
        assert {"gunicorn", "flask", "functions_framework"} & set(answer["result"]["modules"]) == set()
        assert ask(serving, "echo")["server"] == answer["server"]
        assert state(answer["server"]) not in ("", "Z")


def test_a_function_without_gunicorn_takes_its_child_along_when_it_is_told_to_end() -> None:
    program = (
        "from infra.deadline import Deadline; from infra.supervisor import Supervisor\n"
        "s = Supervisor(['tests.infra.workers'])\n"
        "s.run('tests.infra.workers:ignore_sigterm', {}, Deadline.after(60), lambda m: print(m['pid'], flush=True))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.terminate()
        owner.wait(AMPLE)
    assert eventually(lambda: not alive(pid))
