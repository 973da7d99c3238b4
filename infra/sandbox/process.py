"""A program that we start beside us: its output in a file, ready when it says so, ended by its own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.deadline import Deadline


class NotReady(Exception):
    """The program ended, or did not become ready in time; the text ends with the last lines of its output."""


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Program:
    """One running program, called `name` in messages, writing to the file `log`.

    `on_start` hears the id of the process as soon as there is one: whoever keeps a ledger writes it down there.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    on_start: Callable[[int], None] = lambda pid: None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process, which is the id of its group as well; 0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Starts it with our environment and `environment` above it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                cwd=self.directory,
                # Its own group: a Ctrl-C at our terminal is ours to pass on, and workers end with their master.
                start_new_session=True,
            )
        self.on_start(self._process.pid)

    def wait_ready(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        """Returns when `ready` says so; raises `NotReady` when the program ends before, or the time does."""
        while not ready():
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else None
                raise NotReady(f"{self.name} ended with {code} before it was ready:\n{self.tail()}")
            if not deadline.pause(0.05):
                raise NotReady(f"{self.name} was not ready in time:\n{self.tail()}")

    def stop(self, grace: float = 3.0) -> None:
        """Asks it to end, waits `grace` seconds, then ends the whole group. Safe to call twice."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._end_group()
        # What it started may live on after it; the group has no other members than those.
        self._end_group()
        self._process.wait(5.0)
        self._process = None

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _end_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all gone
