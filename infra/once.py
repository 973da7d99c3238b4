"""What is made at the first use and kept, made once however many threads ask first."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import Any, Self, overload


class once[T](cached_property[T]):  # noqa: N801 - named as a decorator, as the one that it refines
    """A `functools.cached_property` under a lock: what opens a channel or starts a process must not be made twice.

    One lock for each property, over all instances of its class. What raises is made anew by whoever asks next.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__(make)
        self._lock = RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self | T:
        """The value, made now unless it is there."""
        with self._lock:
            return super().__get__(instance, owner)
