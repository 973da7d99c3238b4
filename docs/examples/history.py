"""The history of fabrics, rebuilt from events alone: `python history.py FILE FABRIC` tells it.

Events come more than once, and in any order. So each is kept under its id, once, and the history is made of all that
are kept whenever somebody asks.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from functions.contract import (
    DriftDetected,
    Event,
    StatusChanged,
    SyncEnded,
    SyncRequest,
    SyncStarted,
    parse,
    structured,
)


@dataclass
class Run:
    """What is known of one run, whichever of its events came."""

    request_id: str
    asked: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    result: str = "not ended"
    written: int = 0
    edited_by_people: int = 0

    def learn(self, event: Event) -> None:
        """Take in one event. Each sets fields of its own, so their order does not matter."""
        match event:
            case SyncRequest():
                self.asked = event.time
            case SyncStarted():
                self.began = event.started_at
            case DriftDetected():
                self.edited_by_people = event.objects_total
            case SyncEnded():
                # A request that was delivered twice may end twice: the last end counts.
                if self.ended is None or event.finished_at >= self.ended:
                    self.ended, self.result, self.written = event.finished_at, event.result.value, event.written


class History:
    """Events in an SQLite file."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._open() as file:
            file.execute("CREATE TABLE IF NOT EXISTS events (fabric, id, event, PRIMARY KEY (fabric, id))")

    def keep(self, attributes: Mapping[str, str], body: bytes) -> bool:
        """Keep the event in a message or a push; whether it is new. Raises `ContractError` where it is none of ours."""
        event = parse(attributes, body)
        row = (event.fabric, event.id, structured(event))
        with self._open() as file:
            return file.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", row).rowcount == 1

    def events(self, fabric: str) -> list[Event]:
        """All that is kept of a fabric, by time."""
        with self._open() as file:
            rows = file.execute("SELECT event FROM events WHERE fabric = ?", (fabric,)).fetchall()
        found = [parse({}, event) for (event,) in rows]
        return sorted(found, key=lambda event: (event.time.timestamp() if event.time else 0.0, event.id))

    def runs(self, fabric: str) -> list[Run]:
        """The runs of a fabric, by the time of the first that is known of them."""
        runs: dict[str, Run] = {}
        for event in self.events(fabric):
            if not isinstance(event, StatusChanged):
                id_ = event.id if isinstance(event, SyncRequest) else event.request_id
                runs.setdefault(id_, Run(id_)).learn(event)
        return list(runs.values())

    def statuses(self, fabric: str) -> list[StatusChanged]:
        """How the fabric's status went."""
        return [event for event in self.events(fabric) if isinstance(event, StatusChanged)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as file, file:
            yield file


if __name__ == "__main__":
    history = History(sys.argv[1])
    for run in history.runs(sys.argv[2]):
        print(f"{run.began}  {run.request_id}  {run.result}  {run.written} written  {run.edited_by_people} put back")
    for change in history.statuses(sys.argv[2]):
        print(f"{change.since}  {change.from_} → {change.to}{' (late)' if change.late else ''}  {change.reason}")
