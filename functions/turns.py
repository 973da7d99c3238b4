"""Pure: whose turn it is. Which operations of a plan may be sent beside those that are on their way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from itertools import islice
from typing import Final

from functions.operations import Operation
from functions.plan import Create, Delete

TOUCHES: Final[dict[str, tuple[str, ...]]] = {
    "interface": ("device", "name", "lag", "parent"),
    "device": ("device_type", "name"),
    "prefix": ("vrf", "prefix"),
}
"""Model → the fields by which a write also locks or changes other rows; the first names what a new object touches.

A device counts its interfaces and a device type its devices (`utilities/counters.py`): the row stays locked until the
whole bulk request ends, so two requests with ports of one device wait for each other, or for ever (seen with 4 at once:
`deadlock detected`). Prefixes count those above and below them in their VRF (`ipam/signals.py`): two requests that do
not see each other's rows would leave wrong numbers behind. A row that gets another name, or a device that gets its
primary address, is locked against all that refers to it (PostgreSQL: `FOR UPDATE` beside `FOR KEY SHARE`)."""

BUSY: Final = 2
"""Requests in flight below which NetBox, which has two workers at the least, has nothing to do for one of them."""

FEW: Final = 5
"""Objects that are not worth a request of their own while others of their kind are to come."""


class Turns:
    """The waves of a plan, in stretches: inside one, each operation goes as soon as what it refers to is there.

    Waves of new objects that follow one another are one stretch, as what they need is all written in them. Every
    other wave is a stretch of its own: that a name, a number or a port was given up is nothing that its next holder
    refers to, and late fields (a device's primary address) would meet the new cables of that device in a deadlock.
    Deletes go one request at a time.
    """

    def __init__(self, waves: Sequence[Sequence[Operation]]) -> None:
        self._stretches: deque[list[list[Operation]]] = deque()
        new = False
        for wave in waves:
            free = isinstance(wave[0], Create)
            if not (new and free):
                self._stretches.append([])
            self._stretches[-1].append(_together(wave) if free else list(wave))
            new = free
        self._parts: list[list[Operation]] = []

    def next(
        self,
        flying: Collection[Sequence[Operation]],
        waits: Callable[[Operation], bool],
        fits: Callable[[Operation], int],
        *,
        eager: bool = False,
    ) -> list[Operation]:
        """The next batch, out of the queue; empty when all that is left has to wait for those that are `flying`.

        `waits` tells whether something that an operation needs may still come, `fits` how many of its kind are a
        batch (0: there is no time for one). A batch that could be larger waits while NetBox is busy: that saves
        requests, and costs no time. Not so the `eager`, when something on its way is not to be waited for.
        """
        while self._stretches and not (flying or any(self._parts) or any(self._stretches[0])):
            self._stretches.popleft()
        self._parts = [part for part in self._parts if part]
        waves = [*self._parts, *(self._stretches[0] if self._stretches else ())]
        held = {lock for batch in flying for op in batch for lock in _locks(op)}
        first = not flying
        for wave in filter(None, waves):
            if flying and isinstance(wave[0], Delete):
                break
            if (size := fits(wave[0])) > 0:
                share = -(-len(wave) // -(-len(wave) // size))  # as many requests as must be, of even sizes
                ready = list(islice((op for op in wave if not (held & _locks(op) or waits(op))), share))
                # What still waits now, waits for ever: whoever sends it will see what is missing.
                if not ready and first:
                    ready = wave[:share]
                whole = len(ready) == share or not flying or eager
                if ready and (whole or (len(flying) < BUSY and _worth(ready, wave, size))):
                    taken = {id(op) for op in ready}
                    wave[:] = [op for op in wave if id(op) not in taken]
                    return ready
            first = False
        return []

    def again(self, part: list[Operation]) -> None:
        """Take back a part of a batch that has to be sent once more; it goes before all others."""
        self._parts.append(part)

    @property
    def over(self) -> bool:
        """Whether nothing is left to hand out."""
        return not (any(self._parts) or any(wave for stretch in self._stretches for wave in stretch))


def _worth(ready: Sequence[Operation], wave: Sequence[Operation], size: int) -> bool:
    """Whether a batch that could be larger is to go, because else a worker of NetBox would have nothing to do.

    It is where the rest of the wave takes no more requests for it, or where it is half a batch.
    """
    rest = -(-(len(wave) - len(ready)) // size)
    return 2 * len(ready) >= size or (len(ready) >= FEW and 1 + rest <= -(-len(wave) // size))


def _locks(op: Operation) -> frozenset[Hashable]:
    fields = TOUCHES.get(op.model, ())
    if not fields or isinstance(op, Delete):
        return frozenset()
    if isinstance(op, Create):
        return frozenset({(op.model, op.record.fields.get(fields[0]))})
    # Where it was before is known by its number alone: then it goes alone.
    return frozenset({(op.model, None)} if any(change.field in fields for change in op.changes) else ())


def _together(wave: Sequence[Operation]) -> list[Operation]:
    """The wave with those that touch the same object beside one another, in an order that every run keeps to: so
    two runs that lock the same rows wait for each other, and not both at once."""
    return sorted(wave, key=lambda op: sorted(map(str, _locks(op))))
