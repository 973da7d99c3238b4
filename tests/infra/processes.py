"""What the process table says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path


def state(pid: int) -> str:
    """The state of a process as `proc_pid_stat(5)` has it (`Z` for a zombie); empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process can still do something."""
    return state(pid) not in ("", "Z", "X")


def gone(pids: Iterable[int], seconds: float = 10.0) -> bool:
    """Whether these processes are gone from the process table, zombies too, within `seconds`."""
    until = time.monotonic() + seconds
    while any(state(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def children(pid: int) -> list[int]:
    """The processes whose parent this is, zombies too."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(place.name))
    return found


def pids_with(text: str) -> list[int]:
    """The processes whose command line has this text."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if text in (place / "cmdline").read_text(errors="replace"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def descriptors(pid: int | str = "self") -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
