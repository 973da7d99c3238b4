"""Only what a sandbox has started is ended by it, and all of that."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from infra.deadline import Deadline
from infra.sandbox.netbox import processes
from infra.sandbox.netbox.errors import CannotStart
from infra.sandbox.netbox.ledger import Ledger, end_all, path_of
from infra.sandbox.netbox.processes import MARK, Process, end, is_alive, start, wait_until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
MASTER = f"""
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(worker.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def running(state: Path, program: str) -> Iterator[tuple[Process, subprocess.Popen[bytes], Path]]:
    """A Python program started as a process of the sandbox `state`, once it has said something."""
    log = state / "log"
    process, child = start("program", [sys.executable, "-c", program], log=log, env={MARK: str(state)})
    try:
        wait_until(lambda: b"\n" in log.read_bytes(), Deadline.after(60), "a first word", process=process, log=log)
        yield process, child, log
    finally:
        child.kill()
        child.wait()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(true: Callable[[], bool]) -> bool:
    deadline = Deadline.after(60)
    while not true() and deadline.left() > 0:
        time.sleep(0.05)
    return true()


def test_a_process_that_only_has_the_same_id_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path, "import time; print('up', flush=True); time.sleep(600)") as (process, child, _):
        for other in (replace(process, started_at=process.started_at - 1), replace(process, boot="another")):
            assert not is_alive(other)
            end(other, tmp_path)
        assert child.poll() is None
        end(process, tmp_path)
        assert eventually(lambda: child.poll() is not None)


def test_a_process_deaf_to_the_polite_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._PATIENCE, signal.SIGTERM, 0.2)
    with running(tmp_path, STUBBORN) as (process, _, _):
        end(process, tmp_path)
        assert not is_alive(process)


def test_a_worker_that_outlived_its_master_is_found_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._PATIENCE, signal.SIGTERM, 0.2)
    with running(tmp_path, MASTER) as (process, child, log):
        worker = int(log.read_text().split()[0])
        child.kill()
        child.wait()
        assert not gone(worker)
        end(process, tmp_path / "another sandbox")
        assert not gone(worker)
        end(process, tmp_path)
        assert eventually(lambda: gone(worker))


def test_a_program_that_ends_instead_of_answering_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotStart, match="the disk is full"),
        running(tmp_path, "print('the disk is full', end='', flush=True)"),
    ):
        pass


def test_a_program_that_does_not_exist_is_reported_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="valkey could not be started"):
        start("valkey", [tmp_path / "nothing"], log=tmp_path / "log", env={})


def test_the_ledger_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    process = Process("netbox", 4, 5, "boot")
    ledger = Ledger(tmp_path / "sockets", 8000, (process,), replace(process, name="owner"))
    ledger.write(path_of(tmp_path))
    assert Ledger.read(path_of(tmp_path)) == ledger
    assert not ledger.alive() and ledger.crossed_a_boot()
    end_all(tmp_path)
    assert Ledger.read(path_of(tmp_path)) == Ledger(port=8000)
