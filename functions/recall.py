"""The memory of a fabric in NetBox, read and written: what moved since, by NetBox's change log, and nothing on faith.

Why nothing is missed. A run's mark in the log is set before it reads a single object; later changes have later rows.
Rows of transactions that took their ids before and end after are missing among the ids: those ids are asked for again
until they are older than any transaction lasts. What is accounted for without being looked at are only rows whose
request ids NetBox gave in its answers to this very run. If the row of the mark is gone, the log was pruned, and nothing
is known. All the rest (a lost answer, a run that died) leaves rows of nobody, and their objects are looked at.

The memory stands on the underlay's VRF, which is written when the memory is, and rarely else: NetBox copies an object
whole into its change log at every write, and a fabric's cluster is written by every run.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from functions.changelog import LOOKED_INTO, Entry, entry_of, gaps
from functions.fields import KEY, MEMORY, NAME
from functions.memory import Mark, Memory, memory_of
from functions.moments import moment
from functions.records import MODELS, Ref
from infra.netbox import NetBox, NetBoxReader, Row, StaleObjectError

log = logging.getLogger(__name__)

LOG: Final = "core/object-changes"
_HEAD: Final = ("time", "request_id", "action", "changed_object_type", "changed_object_id")
_DATA: Final = ("prechange_data", "postchange_data")

LONGEST: Final = timedelta(minutes=10)
"""No transaction of NetBox lasts longer: its requests end after 120 s, its jobs after 300 s (`RQ_DEFAULT_TIMEOUT`)."""

MOST_ROWS: Final = 3000
"""Rows of the log that are read at most: as many cost as much as comparing some thousand objects."""

MOST_LOOKED_INTO: Final = 500
"""Rows whose contents are read at most, at 4 KB each."""

MOST_ASKED: Final = 200
"""Ids that are asked for again at most: they go into one request line."""

REWRITE_AFTER: Final = 200
"""Rows of others behind the mark, after which a run that finds nothing moves the mark all the same."""


@dataclass(frozen=True, slots=True)
class Since:
    """What the log has since a mark: others' entries, and the mark after them. `rows` were read."""

    entries: tuple[Entry, ...]
    mark: Mark
    rows: int = 0


def look_up(netbox: NetBoxReader, fabric: str, key: str) -> tuple[Row, Memory | None] | None:
    """The VRF with that key, and the memory that it holds; None where there is no such VRF."""
    fields = ("custom_fields", "last_updated")
    rows = [row for row in netbox.read(MODELS["vrf"].path, {f"cf_{KEY}": key}, fields) if _is(row, fabric, key)]
    if len(rows) != 1:
        return None
    return rows[0], memory_of(rows[0]["custom_fields"].get(MEMORY))


def _is(row: Row, fabric: str, key: str) -> bool:
    custom = row.get("custom_fields") or {}
    return (custom.get(KEY), custom.get(NAME)) == (key, fabric)


def mark_now(netbox: NetBoxReader) -> Mark | None:
    """A mark for a run that compares everything from here on; None where too much is going on to set one."""
    newest = next(iter(netbox.page(LOG, {"ordering": "-id"}, ("time",), 1)[0]), None)
    at = moment(newest["time"]) if newest else None
    if newest is None or at is None:
        return None
    after = {"time_after": (at - LONGEST).isoformat(), "id__lte": newest["id"]}
    page, count = netbox.page(LOG, after, ("time",), 1)
    oldest = next(iter(page), None)
    if oldest is None or (moment(oldest["time"]) or at) < at - LONGEST:
        return None  # the filter was not known, or somebody prunes the log
    missing: list[int] = []
    if newest["id"] - oldest["id"] + 1 != count:
        if count > MOST_ROWS:
            return None
        rows = netbox.read(LOG, after)
        missing = gaps({row["id"] for row in rows}, oldest["id"], newest["id"])
    return Mark(newest["id"], at, tuple(missing)) if len(missing) <= MOST_ASKED else None


def since(netbox: NetBoxReader, mark: Mark, ours: Collection[str] = ()) -> Since | None:
    """What others than the requests `ours` changed since `mark`; None where it cannot be told, or is too much.

    Contents are read of the types that may concern a fabric.
    """
    rows, count = netbox.page(LOG, {"id__gte": mark.top}, _HEAD)
    if not rows or rows[0]["id"] != mark.top or (count > MOST_ROWS and not ours):
        return None
    if len(rows) < count:
        rows += netbox.read(LOG, {"id__gt": rows[-1]["id"]}, _HEAD)
    if mark.ask:
        rows = [*(row for row in netbox.read(LOG, {"id": list(mark.ask)}, _HEAD) if row["id"] in mark.ask), *rows]
    at = max((found for row in rows if (found := moment(row["time"]))), default=mark.at)
    young = at - mark.at <= LONGEST
    seen = {row["id"] for row in rows}
    top = rows[-1]["id"]
    theirs = [row for row in rows if row["id"] != mark.top and row["request_id"] not in ours]
    missing = [*(id_ for id_ in mark.ask if young and id_ not in seen), *gaps(seen, mark.top, top)]
    if len(theirs) > MOST_ROWS or len(missing) > MOST_ASKED:
        return None
    into = [row["id"] for row in theirs if row["changed_object_type"] in LOOKED_INTO]
    if len(into) > MOST_LOOKED_INTO:
        return None
    data = dict(_contents(netbox, into))
    if len(data) != len(into):
        return None
    entries = tuple(entry_of(row, data.get(row["id"])) for row in theirs)
    return Since(entries, Mark(top, at, tuple(missing)), len(rows))


def _contents(netbox: NetBoxReader, ids: list[int]) -> Iterable[tuple[int, Row]]:
    for at in range(0, len(ids), MOST_ASKED):
        some = ids[at : at + MOST_ASKED]
        for row in netbox.read(LOG, {"id": some}, _DATA):
            if row["id"] in some:
                yield row["id"], row


def accounted(found: Since, fabric: str, wanted: Collection[Ref]) -> Mark | None:
    """The mark after all that was found but the entries that are still to be looked at; None where these are many."""
    open_ = {entry.id for entry in found.entries if entry.concerns(fabric, wanted)}
    ask = tuple(sorted({*found.mark.ask, *open_}))
    return Mark(found.mark.top, found.mark.at, ask) if len(ask) <= MOST_ASKED else None


def keep(netbox: NetBox, holder: int, memory: Memory) -> None:
    """Write the memory; raises what the door raises."""
    netbox.update(MODELS["vrf"].path, [{"id": holder, "custom_fields": {MEMORY: memory.as_json()}}])


def keep_if_unmoved(netbox: NetBox, holder: Row, memory: Memory) -> None:
    """Write the memory unless its holder was written since it was read: another run knows better."""
    try:
        netbox.change(MODELS["vrf"].path, holder, {"custom_fields": {MEMORY: memory.as_json()}})
    except StaleObjectError:
        log.info("the memory was written by another run meanwhile")
