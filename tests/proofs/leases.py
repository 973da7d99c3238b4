"""Who wrote for a fabric, and when: the holds of its lease and all writes of its objects, by NetBox's change log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from functions.fields import KEY, NAME
from functions.moments import moment
from functions.standing import Lease, standing_of
from infra.netbox import NetBox, Row
from tests.netbox_content import of_memory

_FIELDS = ("id", "time", "action", "changed_object_type", "changed_object_id", "prechange_data", "postchange_data")
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Hold:
    """One hold of a lease: its number, the request it served, and from when to when NetBox knew of it."""

    number: int
    holder: str
    request: str
    began: datetime
    ended: datetime = _NEVER


@dataclass
class Writing:
    """What the change log tells of one fabric; `overtaken` are holds that began while another one was under way."""

    holds: list[Hold] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)
    unheld: list[str] = field(default_factory=list)
    writes: int = 0


def change_log(netbox: NetBox) -> list[Row]:
    """NetBox's change log, in its order."""
    return sorted(netbox.read("core/object-changes", fields=_FIELDS), key=lambda row: int(row["id"]))


def writings(rows: Sequence[Row], by_people: Iterable[int] = ()) -> dict[str, Writing]:
    """Pure: what was written for each fabric; `by_people` are interfaces that people switched off meanwhile."""
    found: dict[str, Writing] = defaultdict(Writing)
    for row in rows:
        if row["changed_object_type"] == "virtualization.cluster":
            _follow(found[_data(row)["name"]], row)
    people = frozenset(by_people)
    for row in rows:
        custom = _data(row).get("custom_fields") or {}
        name = custom.get(NAME)
        if name is None or row["changed_object_type"] == "virtualization.cluster" or of_memory(row):
            continue
        if row["changed_object_id"] in people and _switched_off(row):
            continue
        writing, at = found[name], _time(row)
        writing.writes += 1
        if not any(hold.began <= at <= hold.ended for hold in writing.holds):
            writing.unheld.append(f"{row['action']} of {custom.get(KEY)} at {at}")
    return found


def _follow(writing: Writing, row: Row) -> None:
    """Take in one change of a fabric's cluster."""
    custom, at = _data(row).get("custom_fields") or {}, _time(row)
    lease: Lease = standing_of(custom).lease
    last = writing.holds[-1] if writing.holds else None
    open_ = last if last and last.ended is _NEVER else None
    if open_ is not None and lease.holder != open_.holder:
        open_.ended = at
        if lease.holder is not None:
            writing.overtaken.append(f"{lease.request} took number {lease.number} from {open_.request} at {at}")
    if lease.holder is not None and (open_ is None or lease.holder != open_.holder):
        writing.holds.append(Hold(lease.number, lease.holder, str(lease.request), at))


def _data(row: Row) -> Mapping[str, Any]:
    data: Mapping[str, Any] = row["postchange_data"] or row["prechange_data"] or {}
    return data


def _time(row: Row) -> datetime:
    at = moment(row["time"])
    assert at is not None, row
    return at


def _switched_off(row: Row) -> bool:
    before, after = row["prechange_data"] or {}, row["postchange_data"] or {}
    return bool(before.get("enabled") and after.get("enabled") is False)
