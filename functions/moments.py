"""Pure: times as texts."""

from __future__ import annotations

from datetime import datetime


def moment(text: object) -> datetime | None:
    """A time of a text in RFC 3339, with its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
