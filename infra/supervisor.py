"""Runs one piece of work in a child process, and ends it at a hard wall, whatever the work does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from infra.deadline import Deadline
from infra.forkserver import BOOT
from infra.frames import Frame, Kind
from infra.parent import Seen, Terms, Watch
from infra.stopping import told_to_stop

_LEAVE_SECONDS: Final = 2.0  # for a fork server to end after its parent let go of it
_DEATH_SECONDS: Final = 0.5  # between the closing of a dying process's sockets and its end


class End(StrEnum):
    """How a child ended."""

    RETURNED = "returned"
    """The work returned its result."""
    RAISED = "raised"
    """The work raised, or returned what is no mapping of JSON values, or too much."""
    KILLED_AT_WALL = "killed_at_wall"
    """The wall came first: the child was killed, with all that it had started."""
    CRASHED = "crashed"
    """The child ended without a word: by a signal, by an exit of its own, or because its fork server died."""
    OUT_OF_MEMORY = "out_of_memory"
    """It met its memory limit, or got a SIGKILL that nobody here sent, as the kernel does when memory is short."""
    STOPPED = "stopped"
    """The platform told this process to end; `result` is there if the work still gave one."""
    NOT_STARTED = "not_started"
    """There was no child: none could be forked, or none came before the wall. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one piece of work. `result` is there for `RETURNED`, and may be for `STOPPED`."""

    end: End
    seconds: float
    text: str  # what happened, for people
    result: Mapping[str, Any] | None = None
    exit_code: int | None = None
    signal: int | None = None
    trace: str = ""  # of what the work raised, credentials masked


def _ignore(message: Mapping[str, Any]) -> None:
    """Nobody listens."""


class Supervisor:
    """Runs work in children of a fork server, which has loaded the modules `preload` and never what else is here.

    Nothing starts before the first `prewarm` or `run`, and each process that uses it (a gunicorn worker, forked after
    this was made) gets a server of its own; the server and its children end with that process, however it ends.
    The server keeps the import path, environment and working directory of the moment when it started. `memory_bytes`
    is what a child may take beyond what it starts with. Any number of threads may run work at the same time.

    Why not `multiprocessing`'s forkserver: it runs our main module again in the server and in every child, ignores
    the import path when it preloads (3.12, 3.13.0), keeps silent about a preload that failed, adds a resource
    tracker, leaves a child that never ends running after its parent was killed, and knows no groups.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        memory_bytes: int | None = None,
        *,
        grace: float = 3.0,
        patience: float = 20.0,
        stopping: Callable[[], bool] = told_to_stop,
    ) -> None:
        """Nothing is started yet.

        `grace`: seconds for a child to end by itself once `stopping` says so. `patience`: seconds after which a fork
        server that gave nobody a child is replaced; loading what it preloads must fit in.
        """
        self.preload = tuple(preload)
        self.memory_bytes = memory_bytes
        self.grace = grace
        self.patience = patience
        self._stopping = stopping
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def prewarm(self) -> None:
        """Start the fork server, and do not wait for it. Raises `OSError` when no process can be started."""
        with self._lock:
            self._running()

    def run(
        self,
        target: str,
        argument: Mapping[str, Any],
        wall: Deadline,
        on_message: Callable[[Mapping[str, Any]], None] = _ignore,
    ) -> Ended:
        """Run `target` (`module:function`) in a child as `target(argument, send)`, until `wall.left()` is 0.

        What it sends (JSON mappings) goes to `on_message` at once, in this thread, which must not take long: while it
        does, nobody looks at the wall. In the child, SIGTERM raises `Stopped`. Whatever the child does is told in the
        answer. Raises `TypeError` or `TooLarge` for an argument that cannot be sent, and what `on_message` raises.
        """
        asked = {"target": target, "argument": argument, "memory": self.memory_bytes}
        ask = Frame(Kind.ASK, asked).encode(f"the argument of {target}")
        began = time.monotonic()
        for last_try in (False, True):
            try:
                server, channel, status = self._request()
            except OSError as error:
                text = f"{target} got no process: {error.strerror or error}"
                return Ended(End.NOT_STARTED, time.monotonic() - began, text)
            terms = Terms(wall, self._stopping, self.grace, on_message, server.answered)
            with Watch(channel, status, ask, terms) as watch:
                seen = watch.until_ended()
            if not seen.pid:
                self._doubt(server, seen)
            # No child was seen, so none was asked for anything: a second try does nothing twice.
            if seen.pid or not seen.deserted or last_try:
                break
        return judged(seen, target, time.monotonic() - began)

    def close(self) -> None:
        """End the fork server and every child of it. It may be used again: that starts another."""
        with self._lock:
            server, self._server = self._server, None
        if server:
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def server_pid(self) -> int:
        """The process id of this process's fork server, 0 when it has none."""
        server = self._server
        return server.pid if server and server.owner == os.getpid() else 0

    def _running(self) -> _Server:
        """The fork server of this process, started if it is not there. The lock is held."""
        if self._server is not None and not self._server.is_ours():
            self._server.close()
            self._server = None
        if self._server is None:
            self._server = _Server(self.preload)
        return self._server

    def _request(self) -> tuple[_Server, socket.socket, socket.socket]:
        """Ask for a child: our ends of the ways to it and to what the server says of it."""
        with self._lock:
            server = self._running()
            channel, child_end = socket.socketpair()
            status, server_end = socket.socketpair()
            try:
                with child_end, server_end:
                    server.ask(child_end, server_end)
            except BaseException:
                channel.close()
                status.close()
                raise
            return server, channel, status

    def _doubt(self, server: _Server, seen: Seen) -> None:
        """Let go of a server that gave no child, if it is dead or has given none to anybody for long."""
        if server.ended_within(_DEATH_SECONDS) if seen.deserted else server.silence() > self.patience:
            with self._lock:
                if self._server is server:
                    self._server = None
            server.close()


class _Server:
    """The fork server as its parent holds it."""

    def __init__(self, preload: Sequence[str]) -> None:
        self.owner = os.getpid()
        self._silent_since: float | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    # -P: the working directory is not on its path, not even for the few modules before its path is set
                    [sys.executable, "-P", "-c", BOOT, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,  # a signal to our group is ours to pass on
                )
        except OSError:
            self._control.close()
            raise
        self._control.setblocking(False)
        self._control.send(json.dumps({"path": sys.path, "parent": self.owner, "preload": preload}).encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    def answered(self) -> None:
        """It gave a child."""
        self._silent_since = None

    def silence(self) -> float:
        """Seconds since it was asked for a child, if it has given none since."""
        since = self._silent_since
        return 0.0 if since is None else time.monotonic() - since

    def ended_within(self, seconds: float) -> bool:
        """Whether it is dead, or dies within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def is_ours(self) -> bool:
        """Whether it runs, and was started by this process (and not by one that this was forked from)."""
        return self.owner == os.getpid() and self._process.poll() is None

    def ask(self, channel: socket.socket, status: socket.socket) -> None:
        """Ask for a child that speaks over `channel`, and of which `status` is told."""
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        try:
            socket.send_fds(self._control, [b"1"], [channel.fileno(), status.fileno()])
        except (BrokenPipeError, ConnectionResetError):
            return  # it just died: nobody will hear on these sockets, which the watch tells

    def close(self) -> None:
        """Let go of it: it ends its children and itself."""
        self._control.close()
        if self.owner != os.getpid():
            self._process.poll()  # not ours to wait for; so it knows
            return
        if not self.ended_within(_LEAVE_SECONDS):
            self._process.kill()
            self.ended_within(_LEAVE_SECONDS)


def judged(seen: Seen, target: str, seconds: float) -> Ended:
    """What came of a child, from what was seen of it. Pure."""
    code, number = _exit(seen.status)
    facts: dict[str, Any] = {"seconds": seconds, "exit_code": code, "signal": number}
    if (last := seen.last) is not None:
        end = End(last.kind)
        if seen.stopped and end is End.RETURNED:
            end = End.STOPPED
        return Ended(end, text=last.text or f"{target} {end}", result=last.body, trace=last.trace, **facts)
    for end, holds, text in (
        (End.CRASHED, seen.broken, f"{target} broke the rules of its channel, and was killed: {seen.broken}"),
        (End.NOT_STARTED, seen.errno, f"no process could be forked for {target}: {os.strerror(seen.errno)}"),
        (End.NOT_STARTED, not seen.pid and seen.at_wall, f"the time ended before there was a process for {target}"),
        (End.NOT_STARTED, not seen.pid, f"the fork server died, twice, before there was a process for {target}"),
        (End.KILLED_AT_WALL, seen.at_wall, f"{target} was killed when its time ended"),
        (End.STOPPED, seen.after_grace, f"{target} did not end in time after SIGTERM, and was killed"),
        (End.STOPPED, seen.stopped and number == signal.SIGTERM, f"{target} was ended by SIGTERM, without a word"),
        (End.CRASHED, seen.deserted, f"the fork server died, and {target} with it"),
        (End.OUT_OF_MEMORY, number == signal.SIGKILL, f"{target} got a SIGKILL not from here, as when memory is short"),
        (End.CRASHED, number, f"{target} was ended by {_name(number)}"),
    ):
        if holds:
            return Ended(end, text=text, **facts)
    return Ended(End.CRASHED, text=f"{target} ended its process with exit code {code}, without a result", **facts)


def _exit(status: int | None) -> tuple[int | None, int | None]:
    """The exit code and the signal of a wait status."""
    if status is None:
        return None, None
    code = os.waitstatus_to_exitcode(status)
    return (code, None) if code >= 0 else (None, -code)


def _name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"
