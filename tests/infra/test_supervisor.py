"""Work in a child ends at the wall, whatever it does, and what became of it is told truly."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.deadline import Deadline
from infra.frames import MOST_BYTES, TooLarge
from infra.supervisor import End, Ended, Supervisor
from tests.infra.processes import alive, gone, pids_with

WORK = "tests.infra.workers:"
AMPLE = 60.0
"""Seconds that no well-behaved child needs."""
SHORT = 0.5
MARGIN = 5.0
"""Seconds beyond a wall that a busy test machine may need; what would run for ever runs much longer."""


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with Supervisor(["tests.infra.workers"], stopping=lambda: False) as supervisor:
        yield supervisor


def contents(path: Path | str) -> bytes:
    """What a file holds; nothing for one that went away."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def run(supervisor: Supervisor, work: str, given: Mapping[str, Any] | None = None, wall: float = AMPLE) -> Ended:
    return supervisor.run(WORK + work, given or {}, Deadline.after(wall))


# What a child says


def test_a_result_comes_back_as_it_was_returned(supervisor: Supervisor) -> None:
    given = {"text": "ä \ud800 \0", "numbers": [1, 2.5, -(2**70)], "nested": {"nothing": None, "yes": True}}
    ended = run(supervisor, "echo", given)
    assert (ended.end, ended.result, ended.exit_code, ended.signal) == (End.RETURNED, given, 0, None)


def test_an_empty_result_is_a_result(supervisor: Supervisor) -> None:
    assert run(supervisor, "echo", {}).result == {}


def test_messages_come_while_the_work_goes_on_and_in_order(supervisor: Supervisor) -> None:
    heard: list[tuple[int, bool]] = []

    def hear(message: Mapping[str, Any]) -> None:
        heard.append((message["step"], alive(message["pid"])))

    ended = supervisor.run(WORK + "steps", {"count": 5, "pause": 0.02}, Deadline.after(AMPLE), hear)
    assert heard == [(number, True) for number in range(5)]
    assert ended.result == {"steps": 5}


def test_messages_of_many_threads_do_not_mix(supervisor: Supervisor) -> None:
    heard: dict[int, list[int]] = {}

    def hear(message: Mapping[str, Any]) -> None:
        heard.setdefault(message["thread"], []).append(message["step"])

    given = {"threads": 8, "count": 100}
    assert supervisor.run(WORK + "steps_of_threads", given, Deadline.after(AMPLE), hear).end is End.RETURNED
    assert heard == {thread: list(range(100)) for thread in range(8)}


def test_messages_until_the_wall_are_all_heard(supervisor: Supervisor) -> None:
    heard: list[Any] = []
    ended = supervisor.run(WORK + "spin", {}, Deadline.after(SHORT), heard.append)
    assert ended.end is End.KILLED_AT_WALL
    assert len(heard) == 1


def test_a_large_argument_and_a_large_result_pass(supervisor: Supervisor) -> None:
    given = {"text": "x" * (MOST_BYTES - 1000)}
    assert run(supervisor, "echo", given).result == given


def test_an_argument_that_is_too_large_is_refused_before_anything_starts(supervisor: Supervisor) -> None:
    with pytest.raises(TooLarge, match="workers:echo"):
        run(supervisor, "echo", {"text": "x" * (MOST_BYTES + 1)})


@pytest.mark.parametrize(
    ("work", "given", "text"),
    [
        ("fail", {"text": "no such luck"}, "ValueError: no such luck"),
        ("fail_at_exit", {"code": 3}, "SystemExit: 3"),
        ("unprintable", {}, "Odd"),
        ("no_mapping", {"value": 7}, "returned a int, and must return a mapping"),
        ("no_mapping", {"value": None}, "returned a NoneType"),
        ("no_json", {}, "object is not JSON serializable"),
        ("large", {"bytes": MOST_BYTES + 1}, "say less"),
        ("flood", {}, "say less"),
        ("there_is_no_such_work", {}, "there_is_no_such_work"),
        ("fail", {"text": "x" * 1_000_000}, "ValueError: xxx"),
    ],
)
def test_work_that_raises_or_says_what_it_may_not_is_told(
    supervisor: Supervisor, work: str, given: Mapping[str, Any], text: str
) -> None:
    ended = run(supervisor, work, given)
    assert (ended.end, ended.result) == (End.RAISED, None)
    assert text in ended.text
    assert len(ended.text) <= 4096
    assert ended.trace


def test_a_module_that_is_not_there_is_told(supervisor: Supervisor) -> None:
    ended = supervisor.run("no.such:work", {}, Deadline.after(AMPLE))
    assert ended.end is End.RAISED
    assert "No module named 'no'" in ended.text


def test_what_an_error_says_of_credentials_is_masked(supervisor: Supervisor) -> None:
    ended = run(supervisor, "fail", {"text": "Authorization: Bearer abcdef0123456789"})
    assert "abcdef0123456789" not in ended.text + ended.trace


@pytest.mark.parametrize("raw", ["00", "ff", "0000000200000002" + "5b5d" + "7b7d"])
def test_garbage_on_the_way_to_the_parent_ends_the_child(supervisor: Supervisor, raw: str) -> None:
    ended = run(supervisor, "garbage", {"bytes": raw})
    assert ended.end is End.CRASHED
    assert "broke the rules" in ended.text


# The ways to end


@pytest.mark.parametrize(
    ("work", "given", "end", "exit_code", "number"),
    [
        ("leave", {"code": 3}, End.CRASHED, 3, None),
        ("leave", {"code": 0}, End.CRASHED, 0, None),
        ("crash", {}, End.CRASHED, None, signal.SIGSEGV),
        ("kill_itself", {"signal": signal.SIGABRT}, End.CRASHED, None, signal.SIGABRT),
        ("kill_itself", {"signal": signal.SIGKILL}, End.OUT_OF_MEMORY, None, signal.SIGKILL),
        ("kill_itself", {"signal": 40}, End.CRASHED, None, 40),
        ("leave_a_thread", {}, End.RETURNED, 0, None),
    ],
)
def test_a_child_that_ends_is_told_as_it_ended(
    supervisor: Supervisor, work: str, given: Mapping[str, Any], end: End, exit_code: int | None, number: int | None
) -> None:
    ended = run(supervisor, work, given)
    assert (ended.end, ended.exit_code, ended.signal) == (end, exit_code, number)
    assert ended.seconds < AMPLE / 2


@pytest.mark.parametrize(
    "work",
    ["spin", "sleep", "deadlock", "hold_the_interpreter", "ignore_sigterm", "print_endlessly", "eat_processor_threads"],
)
def test_work_that_does_not_end_is_killed_at_the_wall(supervisor: Supervisor, work: str) -> None:
    ended = run(supervisor, work, wall=SHORT)
    assert (ended.end, ended.result, ended.signal) == (End.KILLED_AT_WALL, None, signal.SIGKILL)
    assert SHORT <= ended.seconds < SHORT + MARGIN


def test_the_parent_goes_on_while_a_child_spins(supervisor: Supervisor) -> None:
    steps, over = [0], threading.Event()

    def walk() -> None:
        while not over.wait(0.01):
            steps[0] += 1

    walker = threading.Thread(target=walk)
    walker.start()
    run(supervisor, "spin", wall=1.0)
    over.set()
    walker.join(10)
    assert steps[0] > 10


@pytest.mark.parametrize("wait", [True, False])
def test_what_a_child_started_ends_with_it(supervisor: Supervisor, wait: bool) -> None:
    heard: list[Mapping[str, Any]] = []
    supervisor.run(WORK + "grandchildren", {"wait": wait}, Deadline.after(2.0), heard.append)
    (pids,) = [message["pids"] for message in heard]
    assert len(pids) == 3
    assert gone(pids)


def test_time_that_is_over_starts_nothing(supervisor: Supervisor, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    over = Deadline(time.monotonic() - 1)
    ended = supervisor.run(WORK + "leave_a_mark", {"file": str(mark)}, over)
    assert (ended.end, ended.result) == (End.NOT_STARTED, None)
    assert run(supervisor, "echo").end is End.RETURNED  # by now a child of before would have begun
    assert not mark.exists()


def test_a_listener_that_raises_ends_the_child_and_is_heard(supervisor: Supervisor) -> None:
    heard: list[int] = []

    def hear(message: Mapping[str, Any]) -> None:
        heard.append(message["pid"])
        raise LookupError("from the listener")

    with pytest.raises(LookupError, match="from the listener"):
        supervisor.run(WORK + "spin", {}, Deadline.after(AMPLE), hear)
    assert gone(heard)


# Memory

LIMIT = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def sparing() -> Iterator[Supervisor]:
    with Supervisor(["tests.infra.workers"], LIMIT, stopping=lambda: False) as supervisor:
        yield supervisor


@pytest.mark.parametrize("work", ["eat", "eat_in_small_pieces", "eat_and_wrap", "eat_in_a_thread"])
def test_a_child_that_eats_memory_meets_its_limit_and_says_so(sparing: Supervisor, work: str) -> None:
    ended = run(sparing, work)
    assert (ended.end, ended.result) == (End.OUT_OF_MEMORY, None)
    assert ended.text


def test_a_child_may_use_what_it_was_given(sparing: Supervisor) -> None:
    assert run(sparing, "eat", {"most": LIMIT - 20 * 1024 * 1024}).end is End.RETURNED


# The world of a child


def test_a_child_starts_clean_whatever_the_parent_loaded(supervisor: Supervisor) -> None:
    import grpc  # the parent speaks to Pub/Sub

    assert grpc.__name__
    told = run(supervisor, "describe").result
    assert told is not None
    assert {"grpc", "pytest"} & set(told["modules"]) == set()
    assert told["main"] == "None"  # our main module was not run again
    assert told["group"] == told["pid"]
    assert told["parent"] == supervisor.server_pid
    assert told["threads"] == 1


def test_a_child_holds_no_descriptors_of_others(supervisor: Supervisor) -> None:
    def described() -> Mapping[str, Any]:
        result = run(supervisor, "describe").result
        assert result is not None
        return result

    alone = described()["descriptors"]
    others = [threading.Thread(target=run, args=(supervisor, "sleep", {"seconds": 3})) for _ in range(5)]
    for other in others:
        other.start()
    beside = described()["descriptors"]
    for other in others:
        other.join(AMPLE)
    assert beside == alone


def test_secrets_show_up_neither_in_the_process_list_nor_on_disk(supervisor: Supervisor, tmp_path: Path) -> None:
    secret = "not-to-be-seen-" + os.urandom(8).hex()
    seen: list[str] = []
    began = time.time() - 1

    def look(message: Mapping[str, Any]) -> None:
        ours = [message["pid"], supervisor.server_pid, os.getpid()]
        seen.extend(f"the command line of {pid}" for pid in pids_with(secret))
        seen.extend(f"the environment of {pid}" for pid in ours if secret.encode() in contents(f"/proc/{pid}/environ"))
        files = [link.resolve() for pid in ours for link in Path(f"/proc/{pid}/fd").iterdir()]
        made = [path for path in Path(tempfile.gettempdir()).iterdir() if path.stat().st_mtime >= began]
        seen.extend(str(path) for path in files + made if path.is_file() and secret.encode() in contents(path))

    given = {"secret": secret, "seconds": 0.2}
    assert supervisor.run(WORK + "sleep", given, Deadline.after(AMPLE), look).end is End.RETURNED
    assert seen == []
    assert len(pids_with("infra.forkserver")) >= 1  # so that the process list was one in which things can be seen


def test_what_a_child_prints_is_in_the_logs_of_the_function(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    with Supervisor(stopping=lambda: False) as fresh:
        ended = fresh.run(WORK + "print_and_hang", {"text": "a line before the end"}, Deadline.after(2.0))
    assert ended.end is End.KILLED_AT_WALL
    assert "a line before the end" in capfd.readouterr().out


def test_a_preload_that_fails_is_logged_and_harms_no_other_work(capfd: pytest.CaptureFixture[str]) -> None:
    with Supervisor(["no.such.module", "tests.infra.workers"], stopping=lambda: False) as fresh:
        assert run(fresh, "echo", {"a": 1}).result == {"a": 1}
    assert "could not load no.such.module" in capfd.readouterr().err


def test_the_result_is_json_for_whoever_passes_it_on(supervisor: Supervisor) -> None:
    assert json.loads(json.dumps(run(supervisor, "echo", {"a": [1]}).result)) == {"a": [1]}
