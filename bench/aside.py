"""Something run in a process of its own, for what it takes of memory."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def aside[T](function: Callable[..., T], *args: Any) -> tuple[T, float]:
    """Its result, and the peak memory (MiB, RSS) of the fresh process that did nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, args).result()


def _measured[T](function: Callable[..., T], args: tuple[Any, ...]) -> tuple[T, float]:
    result = function(*args)
    # Not getrusage: its maximum takes in what the process was before it became this program (`execve`).
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return result, int(peak[1]) / 1024 if peak else 0.0
