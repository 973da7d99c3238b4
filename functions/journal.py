"""What a run came to, as an entry in the journal of its cluster: one for each event, whoever tells it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from functions.contract import Result, SyncEnded
from infra.netbox import NetBox, NetBoxReader, Row
from infra.redaction import redact

PATH: Final = "extras/journal-entries"
CLUSTER: Final = "virtualization.cluster"
MOST_REASONS: Final = 5
_MOST_TEXT: Final = 500

_KINDS: Final = {
    Result.SUCCEEDED: "success",
    Result.CONTINUED: "info",
    Result.INCOMPLETE: "warning",
    Result.FAILED: "danger",
    Result.TIMED_OUT: "danger",
}
"""Result → the kind of its entry in NetBox; a skipped run has none."""

_TOLD: Final = ("created", "updated", "marked", "deleted", "refused")

_ID = re.compile(r"^Event: `([^`\n]+)`$", re.MULTILINE)


def worth_an_entry(event: SyncEnded, before: str | None) -> bool:
    """Whether a run is to be found in the journal: it wrote something, failed, or left something that `before` did not.

    `before` is the result of the run before. A run that finds the same gap as the one before is no news.
    """
    if event.result in (Result.FAILED, Result.TIMED_OUT):
        return True
    return event.written > 0 or (event.result is Result.INCOMPLETE and before != Result.INCOMPLETE.value)


def entry_of(event: SyncEnded) -> dict[str, str]:
    """Pure: the entry of a run, its `kind` and its `comments` in Markdown; what may be secret is masked."""
    by = event.requested_by
    who = f"{event.trigger}, by {by}" if by else event.trigger
    lines = [f"**{event.result}** after {event.duration_s:.1f} s, attempt {event.attempt} ({_plain(who)})"]
    counted = {
        model: ", ".join(f"{count} {verb}" for verb, count in counts.items() if verb in _TOLD and count)
        for model, counts in event.objects.items()
    }
    lines += [f"- {_plain(model)}: {told}" for model, told in counted.items() if told]
    if event.error is not None:
        lines.append(f"{_plain(event.error.code)}: {_plain(event.error.text)}")
        if event.error.hint:
            lines.append(f"*{_plain(event.error.hint)}*")
    lines += [f"- {_plain(reason)}" for reason in event.reasons[:MOST_REASONS]]
    if event.reasons_total > MOST_REASONS:
        lines.append(f"- … and {event.reasons_total - MOST_REASONS} more")
    if event.plan_digest:
        lines.append(f"Plan: `{_plain(event.plan_digest)}`")
    return {"kind": _KINDS[event.result], "comments": "\n\n".join([*lines, marker(event.id)])}


def marker(event_id: str) -> str:
    """The line by which the entry of an event is found again."""
    return f"Event: `{event_id.replace('`', chr(39))}`"


def event_id_of(comments: str) -> str | None:
    """The id of the event that an entry tells; None where people wrote it."""
    found = _ID.search(comments)
    return found[1] if found else None


def find(netbox: NetBoxReader, cluster_id: int, event_id: str) -> Row | None:
    """The entry of an event on a cluster, if it is there."""
    # NetBox's search is by parts of the text, and passes over filters that it does not know: both are looked at here.
    filters = {"assigned_object_type": CLUSTER, "assigned_object_id": cluster_id, "q": event_id}
    fields = ("assigned_object_id", "comments")
    wanted = event_id_of(marker(event_id))
    for row in netbox.read(PATH, filters, fields):
        if row.get("assigned_object_id") == cluster_id and event_id_of(str(row.get("comments"))) == wanted:
            return row
    return None


def enter(netbox: NetBox, cluster_id: int, event_id: str, entry: Mapping[str, Any]) -> bool:
    """Write the entry of an event, unless it is there; whether it was written.

    NetBox has no rule that would refuse a second one; deliveries of one fabric come one after the other, by their key.
    """
    if find(netbox, cluster_id, event_id) is not None:
        return False
    netbox.create(PATH, [{"assigned_object_type": CLUSTER, "assigned_object_id": cluster_id, **entry}])
    return True


def _plain(text: str) -> str:
    """A text of somebody else in Markdown: one line of its own letters, not too long, without what may be secret."""
    line = " ".join(redact(text).split())[:_MOST_TEXT]
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", line)
