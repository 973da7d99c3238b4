"""What became of a fabric's runs: the last entries of its journal, and the last ends that its cluster remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions import journal
from functions.moments import moment
from functions.standing import standing_of
from infra.netbox import NetBoxReader, Row

MOST: Final = 50
"""Entries that are read at most."""


@dataclass(frozen=True, slots=True)
class Past:
    """One thing that happened to a fabric. `kind` is a word of NetBox's; `event` is None for people's entries."""

    at: datetime
    kind: str
    text: str
    event: str | None = None
    by: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON."""
        return {"at": self.at.isoformat(), "kind": self.kind, "text": self.text, "event": self.event, "by": self.by}


def history(netbox: NetBoxReader, row: Row, most: int = 20) -> list[Past]:
    """The newest entries in the journal of a fabric's cluster (`row`), people's own among them, the newest first.

    Raises what the door raises.
    """
    filters = {"assigned_object_type": journal.CLUSTER, "assigned_object_id": row["id"]}
    fields = ("created", "kind", "comments", "created_by", "assigned_object_id")
    found = netbox.latest(journal.PATH, filters, fields, max(1, min(most, MOST)))
    return [past for past in (_past(entry) for entry in found if entry.get("assigned_object_id") == row["id"]) if past]


def ends(row: Row) -> list[dict[str, Any]]:
    """The last runs that the cluster itself remembers, the newest first, as JSON: request, result, at, …"""
    return [end.as_json() for end in standing_of(row.get("custom_fields") or {}).ends]


def _past(entry: Mapping[str, Any]) -> Past | None:
    at, kind, text = moment(entry.get("created")), entry.get("kind"), str(entry.get("comments") or "")
    if at is None:
        return None
    word = kind.get("value") if isinstance(kind, Mapping) else kind
    author = entry.get("created_by")
    by = author.get("username") or author.get("display") if isinstance(author, Mapping) else None
    return Past(at, str(word), text, journal.event_id_of(text), by)
