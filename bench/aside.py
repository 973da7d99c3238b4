"""Something run in a process of its own, for what it takes of memory."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def aside[T](function: Callable[..., T], *args: Any) -> tuple[T, float]:
    """Its result, and the peak memory (MiB, RSS) of the fresh process that did nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, args).result()


def _measured[T](function: Callable[..., T], args: tuple[Any, ...]) -> tuple[T, float]:
    result = function(*args)
    return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
