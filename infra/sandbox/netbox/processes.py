"""The processes of a sandbox: started apart from us, written down, and ended only when they are proved to be ours.

A process id alone proves nothing, because the system gives ids out again. A process is ours when its id, its start
time (`/proc/<pid>/stat`, field 22) and the boot it belongs to are those written down when it was started (proc(5)).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.deadline import Deadline
from infra.sandbox.netbox.errors import CannotStart

MARK = "FABRIC_SYNC_SANDBOX_STATE"
"""Environment variable that every process of a sandbox carries: the state directory it belongs to."""

_PATIENCE = {signal.SIGTERM: 15.0, signal.SIGINT: 15.0, signal.SIGKILL: 10.0}
"""Seconds to wait after a signal until the next, harder one."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user a process runs as, where it is not our own."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was when it was started: `started_at` in clock ticks since the boot `boot`."""

    name: str
    pid: int
    started_at: int
    boot: str


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    account: Account | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> tuple[Process, subprocess.Popen[bytes]]:
    """Start `command` in a session of its own (a Ctrl-C meant for us does not reach it), its output in `log`.

    Raises `CannotStart` when the program cannot be run at all.
    """
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError as error:
            raise CannotStart(f"{name} could not be started ({command[0]}): {error}") from error
    return identify(name, child.pid), child


def identify(name: str, pid: int) -> Process:
    """The identity of the process that has the id `pid` now; raises `CannotStart` when there is none."""
    stat = _stat(pid)
    if stat is None:
        raise CannotStart(f"{name} (process {pid}) was gone at once")
    return Process(name, pid, stat.started_at, this_boot())


def is_alive(process: Process) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    stat = _stat(process.pid)
    return (
        stat is not None
        and stat.started_at == process.started_at
        and stat.state not in "ZX"
        and process.boot == this_boot()
    )


def end(process: Process, state: Path, polite: signal.Signals = signal.SIGTERM) -> None:
    """End the process and what it left in its session, first with `polite`, at last with SIGKILL.

    Workers that outlived their master are found by their session, start time and mark, never by a name.
    """
    for number in (polite, signal.SIGKILL):
        targets = [process.pid] if is_alive(process) else []
        if not targets or number is signal.SIGKILL:
            targets += _left_in_session(process, state)
        if not targets:
            return
        for pid in targets:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        gone = Deadline.after(_PATIENCE[number])
        while gone.left() > 0 and (is_alive(process) or _left_in_session(process, state)):
            _reap(process.pid)
            time.sleep(0.02)
    _reap(process.pid)


def wait_until(ready: Callable[[], bool], deadline: Deadline, what: str, *, process: Process, log: Path) -> None:
    """Ask `ready` every tenth of a second until it says yes.

    Raises `CannotStart`, with the last lines of `log`, when `process` ends meanwhile or the deadline passes.
    """
    while not ready():
        if not is_alive(process):
            raise CannotStart(f"{process.name} ended while waiting for {what}:\n{last_lines(log)}")
        if deadline.left() <= 0:
            raise CannotStart(f"{what} did not come about in time; {process.name} says:\n{last_lines(log)}")
        time.sleep(0.1)


def last_lines(log: Path, count: int = 20) -> str:
    """The last `count` lines of a log file; says so where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return f"(no log at {log})"
    return "\n".join(lines[-count:])


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int
    started_at: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in brackets and may hold spaces and brackets itself: count from the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(state=fields[0], session=int(fields[3]), started_at=int(fields[19]))


def _left_in_session(process: Process, state: Path) -> list[int]:
    if process.boot != this_boot():
        return []
    mark = f"{MARK}={state}".encode()
    left = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or (pid := int(entry.name)) == process.pid:
            continue
        stat = _stat(pid)
        if stat is None or stat.session != process.pid or stat.started_at < process.started_at or stat.state in "ZX":
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if mark in environment:
            left.append(pid)
    return left


def _reap(pid: int) -> None:
    # Only a parent can take a zombie away; where another process started it, init does.
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def this_boot() -> str:
    """The id of the boot this machine runs since."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
