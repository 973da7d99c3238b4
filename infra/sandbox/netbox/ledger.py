"""What one `up` has started, written down at once, so that whoever comes later can end just that."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from infra.sandbox.netbox.processes import Process, end, is_alive, this_boot

POSTGRES = "postgres"
FUNCTION = "function"
WORKER = "worker"

_POLITE = {POSTGRES: signal.SIGINT, FUNCTION: signal.SIGINT}
"""PostgreSQL's fast shutdown, and gunicorn's quick one; at SIGTERM both would wait for those they still serve."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The processes in the order of their start, the directory of their sockets, NetBox's port, and the owner.

    `owner` is the process with which the sandbox must end, `None` for one that stays until it is told to go.
    """

    sockets: Path = Path()
    port: int = 0
    processes: tuple[Process, ...] = ()
    owner: Process | None = None

    def alive(self) -> bool:
        """Whether every process that was started still runs."""
        return bool(self.processes) and all(is_alive(process) for process in self.processes)

    def crossed_a_boot(self) -> bool:
        """Whether the machine went down while the sandbox was up (nothing had to be on the disk by then)."""
        return any(process.boot != this_boot() for process in self.processes)

    def add(self, process: Process) -> Ledger:
        """The ledger with one process more."""
        return replace(self, processes=(*self.processes, process))

    def without(self, name: str) -> Ledger:
        """The ledger without the process of that name."""
        return replace(self, processes=tuple(process for process in self.processes if process.name != name))

    def write(self, path: Path) -> None:
        """Replace the ledger on disk in one step, so that no reader and no crash ever sees half of it."""
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), indent=2, default=str), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The ledger on disk; an empty one where there is none."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        return cls(
            sockets=Path(raw["sockets"]),
            port=raw["port"],
            processes=tuple(Process(**each) for each in raw["processes"]),
            owner=Process(**raw["owner"]) if raw["owner"] else None,
        )


def path_of(state: Path) -> Path:
    """Where the ledger of a state directory is."""
    return state / "processes.json"


def end_one(state: Path, name: str) -> None:
    """End the process of that name, and take it out of the ledger of `state`."""
    ledger = Ledger.read(path_of(state))
    for process in ledger.processes:
        if process.name == name:
            end(process, state, _POLITE.get(name, signal.SIGTERM))
    ledger.without(name).write(path_of(state))


def end_all(state: Path) -> None:
    """End what the ledger of `state` names, last started first, and keep of it only the port for the next time.

    Our own process, if it is in there, is left: the keeper calls this too, and ends by itself.
    """
    ledger = Ledger.read(path_of(state))
    for process in reversed(ledger.processes):
        if process.pid != os.getpid():
            end(process, state, _POLITE.get(process.name, signal.SIGTERM))
    if ledger.processes:
        shutil.rmtree(ledger.sockets, ignore_errors=True)
        Ledger(port=ledger.port).write(path_of(state))
