"""Ends a sandbox when the process that owns it is gone, however it went: `python -m infra.sandbox.netbox.keeper`.

A death signal of the kernel (`PR_SET_PDEATHSIG`) would fire when the *thread* that started a process ends, and is
lost when PostgreSQL's user is changed (prctl(2)); a process descriptor of the owner has neither fault.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
from pathlib import Path

from infra.sandbox.netbox.ledger import Ledger, end_all, path_of
from infra.sandbox.netbox.processes import Process, is_alive


def keep(state: Path) -> None:
    """Wait for the end of the owner written in the ledger of `state`, then end what still belongs to it."""
    owner = Ledger.read(path_of(state)).owner
    if owner is None:
        return
    _await_end(owner)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Ledger.read(path_of(state)).owner == owner:
            end_all(state)


def _await_end(owner: Process) -> None:
    try:
        descriptor = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return
    # Opened before it is looked at: an id that was given out again in between shows here.
    if is_alive(owner):
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.poll()
    os.close(descriptor)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
