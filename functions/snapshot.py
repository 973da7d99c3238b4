"""What was seen of a fabric: one listing per kind, and whether it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

type Resource = Mapping[str, Any]
"""One custom resource as plain JSON: apiVersion, kind, metadata, spec, status."""


_SAID: Final = ("namespace", "name", "generation")
"""The metadata from which records are made; the rest moves by itself, or with whoever wrote the object."""


class Reading(StrEnum):
    """How far the reading of a kind got; absences may be computed from COMPLETE and ABSENT alone."""

    COMPLETE = "complete"  # read to the last page of one snapshot
    ABSENT = "absent"  # discovery answered, and does not offer the kind
    UNREAD = "unread"  # could not be listed to the end, for whatever reason


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects of one kind. `items` is empty unless `reading` is COMPLETE; `error` says why it is UNREAD.

    `optional` kinds may be unread without making the run incomplete.
    """

    kind: str
    reading: Reading
    items: tuple[Resource, ...] = ()
    error: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that was read of one fabric in one run."""

    fabric: str
    listings: Mapping[str, Listing] = field(default_factory=dict)

    def items(self, kind: str) -> Iterator[Resource]:
        """The objects of `kind` (none when it is absent or unread), in the order of the API: by name."""
        listing = self.listings.get(kind)
        return iter(listing.items if listing else ())

    def known(self, *kinds: str) -> bool:
        """Whether every one of `kinds` is known in full: read to the end, or not offered by this fabric."""
        return all(kind in self.listings and self.listings[kind].reading is not Reading.UNREAD for kind in kinds)

    def digest(self) -> str:
        """All from which records are made, in 16 digits: the same where the fabric says the same, in the same order."""
        whole = hashlib.blake2b(digest_size=8)
        for kind, listing in self.listings.items():
            told = [kind, listing.reading, listing.error, [_said(item) for item in listing.items]]
            whole.update(json.dumps(told, default=str).encode())
        return whole.hexdigest()


def _said(item: Resource) -> Resource:
    told = {name: item[name] for name in ("metadata", "spec", "status") if name in item}
    if isinstance(metadata := told.get("metadata"), Mapping):
        told["metadata"] = {name: metadata[name] for name in _SAID if name in metadata}
    return told
