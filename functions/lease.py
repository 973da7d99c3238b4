"""The lease of a fabric: a custom field of its cluster, written with If-Match, so that exactly one run may write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from functions import registry
from functions.errors import Code, Problem, SyncStopped
from functions.standing import LEASE, LONGEST_LEASE, Lease, standing_of
from infra.netbox import NetBox, Row, StaleObjectError

MARGIN: Final = 5.0
"""Seconds that a lease outlasts its run's deadline: the hard wall and the clocks of two machines lie in between."""

ASK_EVERY: Final = 5.0
"""Seconds between two looks at the lease in NetBox. Within its time nobody takes it away whose clock is right; a look
costs as much as three objects, and finds who was wrong."""

TRIES: Final = 4
"""Writes of the cluster, when other people write it at the same time."""


class LeaseHeldError(Exception):
    """Somebody else holds the lease; `lease` is theirs."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"request {lease.request} holds the lease")
        self.lease = lease


@dataclass(slots=True)
class FabricLease:
    """One run's hold on one fabric. `row` is the cluster as it was last seen; `holder` the run's own id.

    `others` is how many fabrics were held beside it when `ask` last looked: they share NetBox with this run.
    """

    netbox: NetBox
    row: Row
    holder: str
    now: Callable[[], datetime]
    mine: Lease | None = None
    others: int = 0
    _asked: float = field(default_factory=time.monotonic)

    def acquire(self, request: str, trigger: str, seconds: float) -> None:
        """Take the lease for `seconds` and a margin; raises `LeaseHeldError` when somebody else has it.

        NetBox compares the cluster's ETag under a row lock, so of many that try at once one succeeds.
        """
        for _ in range(TRIES):
            now, before = self.now(), self.recorded()
            if before.held(now):
                raise LeaseHeldError(before)
            until = now + timedelta(seconds=seconds + MARGIN)
            lease = Lease(before.number + 1, self.holder, request, trigger, now, until)
            if self._write({LEASE: lease.as_json()}):
                self.mine = lease
                return
            self.look()
        raise LeaseHeldError(self.recorded())

    def ask(self) -> None:
        """Whether it is still ours, before a batch; raises `SyncStopped` (lease_lost) when it is not."""
        if self.mine is None:
            return
        if time.monotonic() - self._asked >= ASK_EVERY:
            self._look_around(self.mine)
        if not self.ours():
            raise SyncStopped(lost(self.recorded()))

    def settle(self, facts: Mapping[str, Any]) -> bool:
        """Write the run's facts and let go of the lease, in one request; whether they were written.

        Nothing is written by a run that lost its lease, nor by one that never had it while somebody else does.
        """
        for _ in range(TRIES):
            recorded = self.recorded()
            if not self.ours() if self.mine else recorded.held(self.now()):
                return False
            number = recorded.number + (0 if self.mine else 1)
            if self._write({**facts, LEASE: Lease(number).as_json()}):
                self.mine = None
                return True
            self.look()
        return False

    def expire(self, facts: Mapping[str, Any]) -> bool:
        """Take an abandoned lease away from its holder, with `facts` on its run, in one request; whether it was.

        Only if the cluster is as it was last seen: who took the lease meanwhile knows better.
        """
        recorded = self.recorded()
        if not recorded.abandoned(self.now()):
            return False
        return self._write({**facts, LEASE: Lease(recorded.number + 1).as_json()})

    def recorded(self) -> Lease:
        """The lease as the cluster had it when it was last seen."""
        return standing_of(self.row.get("custom_fields") or {}).lease

    def ours(self) -> bool:
        """Whether the cluster, as it was last seen, says that this run holds it."""
        recorded = self.recorded()
        return self.mine is not None and (recorded.number, recorded.holder) == (self.mine.number, self.holder)

    def adopt(self) -> None:
        """Hold what the cluster says this run holds: for the parent of a run that died."""
        recorded = self.recorded()
        if recorded.holder == self.holder:
            self.mine = replace(recorded)

    def look(self) -> None:
        """Read the cluster again."""
        self.row = registry.find(self.netbox, str(self.row["name"]))
        self._asked = time.monotonic()

    def _look_around(self, mine: Lease) -> None:
        """Read the cluster again, and with it those whose lease may be held at the same time: one request."""
        lasts = mine.until - mine.since if mine.until and mine.since else LONGEST_LEASE
        found = {row["id"]: row for row in registry.lately(self.netbox, self.row, lasts.total_seconds())}
        own = found.pop(self.row["id"], None)
        self.others = sum(standing_of(row["custom_fields"]).lease.held(self.now()) for row in found.values())
        if own is None or own["name"] != self.row["name"]:
            self.look()  # very many were written since, or it tells what became of it
        else:
            self.row, self._asked = own, time.monotonic()

    def _write(self, fields: Mapping[str, Any]) -> bool:
        """Change the cluster if it is as it was last seen; whether it was."""
        try:
            self.row = self.netbox.change(registry.PATH, self.row, {"custom_fields": dict(fields)})
        except StaleObjectError:
            return False
        self._asked = time.monotonic()
        return True


def lost(lease: Lease) -> Problem:
    """The problem of a run whose lease is `lease` by now."""
    whose = f"request {lease.request}" if lease.holder else "nobody"
    return Problem(Code.LEASE_LOST, f"the lease of the fabric was lost in mid-run: number {lease.number}, of {whose}")
