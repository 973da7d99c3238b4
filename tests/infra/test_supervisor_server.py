"""The fork server comes back when it dies, goes when its process does, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.deadline import Deadline
from infra.supervisor import End, Ended, Supervisor
from tests.infra.processes import alive, children, descriptors, gone, resident, state

WORK = "tests.infra.workers:"
AMPLE = 60.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    with Supervisor(["tests.infra.workers"], stopping=lambda: False) as supervisor:
        yield supervisor


def run(supervisor: Supervisor, work: str, given: Mapping[str, Any] | None = None, wall: float = AMPLE) -> Ended:
    return supervisor.run(WORK + work, given or {}, Deadline.after(wall))


def eventually(holds: Any, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# Its life


def test_nothing_starts_before_it_is_used() -> None:
    with Supervisor(["tests.infra.workers"]) as supervisor:
        assert supervisor.server_pid == 0
        supervisor.prewarm()
        assert alive(supervisor.server_pid)
        first = supervisor.server_pid
        supervisor.prewarm()
        assert run(supervisor, "echo").end is End.RETURNED
        assert supervisor.server_pid == first
    assert gone([first])


def test_a_server_that_died_between_two_runs_is_followed_by_another(supervisor: Supervisor) -> None:
    run(supervisor, "echo")
    first = supervisor.server_pid
    os.kill(first, signal.SIGKILL)
    assert run(supervisor, "echo", {"a": 1}).result == {"a": 1}
    assert supervisor.server_pid != first
    assert gone([first])


def test_a_server_that_dies_under_a_run_takes_the_child_along_and_the_next_run_has_another(
    supervisor: Supervisor,
) -> None:
    heard: list[int] = []

    def hear(message: Mapping[str, Any]) -> None:
        heard.append(message["pid"])
        os.kill(supervisor.server_pid, signal.SIGKILL)

    ended = supervisor.run(WORK + "spin", {}, Deadline.after(AMPLE), hear)
    assert (ended.end, ended.result) == (End.CRASHED, None)
    assert "the fork server died" in ended.text
    assert ended.seconds < AMPLE / 2
    assert eventually(lambda: not alive(heard[0]))
    assert run(supervisor, "echo").end is End.RETURNED


def test_a_server_that_answers_nothing_holds_nobody_beyond_the_wall(supervisor: Supervisor) -> None:
    run(supervisor, "echo")
    os.kill(supervisor.server_pid, signal.SIGSTOP)
    ended = run(supervisor, "echo", wall=0.5)
    assert ended.end is End.NOT_STARTED
    os.kill(supervisor.server_pid, signal.SIGCONT)
    assert run(supervisor, "echo").end is End.RETURNED


def test_a_server_that_stopped_answering_for_good_is_replaced() -> None:
    with Supervisor(patience=0.2, stopping=lambda: False) as impatient:
        run(impatient, "echo")
        first = impatient.server_pid
        os.kill(first, signal.SIGSTOP)
        assert run(impatient, "echo", wall=0.5).end is End.NOT_STARTED
        assert run(impatient, "echo").end is End.RETURNED
        assert gone([first])


def test_no_process_can_be_started_is_told(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    ended = run(supervisor, "echo")
    assert ended.end is End.NOT_STARTED
    assert "No such file" in ended.text
    monkeypatch.undo()
    assert run(supervisor, "echo").end is End.RETURNED


def test_closing_ends_the_children_that_still_work(supervisor: Supervisor) -> None:
    heard: list[int] = []
    began = threading.Event()

    def hear(message: Mapping[str, Any]) -> None:
        heard.append(message["pid"])
        began.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(supervisor.run, WORK + "spin", {}, Deadline.after(AMPLE), hear)
        assert began.wait(AMPLE)
        supervisor.close()
        assert waiting.result(AMPLE).end is End.CRASHED
    assert eventually(lambda: not alive(heard[0]))


# Processes that use it

OWNER = """
import os, sys, time
from infra.deadline import Deadline
from infra.supervisor import Supervisor
supervisor = Supervisor(["tests.infra.workers"], stopping=lambda: False)
def tell(message):
    print(supervisor.server_pid, *message["pids"], flush=True)
supervisor.run("tests.infra.workers:grandchildren", {"wait": True}, Deadline.after(60), tell)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_server_and_children_end_with_their_process_however_it_ends(number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 4
        assert all(alive(pid) for pid in pids)
        owner.send_signal(number)
        owner.wait(30)
        assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_child_ends_though_its_server_and_its_process_die_at_the_same_time() -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server, *pids = (int(pid) for pid in owner.stdout.readline().split())
        try:
            owner.send_signal(signal.SIGSTOP)  # it sees nothing any more
            os.kill(server, signal.SIGKILL)
            assert eventually(lambda: not alive(pids[0]))
        finally:
            owner.kill()
            for pid in pids:  # what the child started has nobody left to end it
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


FORKED = """
import os, sys
from infra.deadline import Deadline
from infra.supervisor import Supervisor
supervisor = Supervisor(["tests.infra.workers"], stopping=lambda: False)
def parent():
    return supervisor.run("tests.infra.workers:describe", {}, Deadline.after(60)).result["parent"]
first = parent()
forked = os.fork()
if forked == 0:
    ours = supervisor.server_pid
    second = parent()
    print(ours == 0 and second not in (0, first), flush=True)
    supervisor.close()
    os._exit(0)
os.waitpid(forked, 0)
print(parent() == first, flush=True)
supervisor.close()
"""


def test_each_process_has_a_server_of_its_own() -> None:
    told = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", FORKED], cwd=ROOT, capture_output=True, text=True,
        timeout=AMPLE, check=False,
    )  # fmt: skip
    assert (told.stdout.split(), told.stderr) == (["True", "True"], "")


# Nothing is left

WAYS: tuple[tuple[str, Mapping[str, Any], float], ...] = (
    ("echo", {"a": "b" * 1000}, AMPLE),
    ("fail", {"text": "x"}, AMPLE),
    ("leave", {"code": 1}, AMPLE),
    ("steps", {"count": 20}, AMPLE),
    ("spin", {}, 0.02),
    ("garbage", {"bytes": "00"}, AMPLE),
    ("grandchildren", {"wait": False}, AMPLE),
)


def test_nothing_is_left_after_hundreds_of_runs(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the server, which starts below, has it from us
    monkeypatch.setattr(tempfile, "tempdir", None)

    def run_all(times: int) -> None:
        for _ in range(times):
            for work, given, wall in WAYS:
                run(supervisor, work, given, wall)

    def left() -> tuple[int, int, int, list[int]]:
        server = supervisor.server_pid
        gc.collect()
        return descriptors(), descriptors(server), threading.active_count(), children(server)

    def held() -> tuple[int, int]:
        return resident(), resident(supervisor.server_pid)

    run_all(10)
    assert eventually(lambda: not children(supervisor.server_pid))
    before, held_before = left(), held()
    run_all(40)
    assert eventually(lambda: not children(supervisor.server_pid))
    assert left() == before
    assert list(tmp_path.iterdir()) == []
    grown = [after - first for after, first in zip(held(), held_before, strict=True)]
    assert max(grown) < 4 * 1024 * 1024, grown  # 280 runs; a leak of one read buffer each would be 18 MiB


def test_many_threads_run_children_at_the_same_time(supervisor: Supervisor) -> None:
    def one(number: int) -> tuple[int, Ended, list[Any]]:
        heard: list[Any] = []
        given = {"count": 3, "pause": 0.01, "number": number}
        ended = supervisor.run(
            WORK + ("steps" if number % 3 else "leave_by_number"), given, Deadline.after(AMPLE), heard.append
        )
        return number, ended, heard

    with ThreadPoolExecutor(8) as pool:
        for number, ended, heard in pool.map(one, range(60)):
            if number % 3:
                assert (ended.end, [each["step"] for each in heard]) == (End.RETURNED, [0, 1, 2])
                assert len({each["pid"] for each in heard}) == 1
            else:
                assert (ended.end, ended.exit_code) == (End.CRASHED, number)
    assert eventually(lambda: not children(supervisor.server_pid))


def test_threads_that_start_at_once_share_one_server(supervisor: Supervisor) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: run(supervisor, "describe").result, range(8)))
    assert {one["parent"] for one in told if one} == {supervisor.server_pid}


def test_threads_whose_server_dies_again_and_again_always_get_an_answer(supervisor: Supervisor) -> None:
    others = set(children(os.getpid()))  # what other tests of this session started, dead or alive
    over = threading.Event()

    def strike() -> None:
        while not over.wait(0.15):
            with contextlib.suppress(ProcessLookupError):
                if pid := supervisor.server_pid:
                    os.kill(pid, signal.SIGKILL)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            ends = {ended.end for ended in pool.map(lambda _: run(supervisor, "echo", wall=10.0), range(80))}
    finally:
        over.set()
        striker.join(10)
    assert ends <= {End.RETURNED, End.CRASHED, End.NOT_STARTED}
    assert run(supervisor, "echo").end is End.RETURNED
    assert eventually(
        lambda: not [pid for pid in children(os.getpid()) if state(pid) == "Z" and pid not in others], 5.0
    )
