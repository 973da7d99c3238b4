"""What an outcome tells of the objects that a run updated: who had moved, what was put back, what was adopted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.drift import Drift

MOST_OBJECTS: Final = 20
"""Objects told one by one; the rest is a count."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """An object of which people had edited owned fields: field → who had moved it (`netbox_edited` or `both`)."""

    model: str
    key: str
    fields: Mapping[str, Drift]

    def as_dict(self) -> dict[str, Any]:
        """The object as JSON."""
        return {"model": self.model, "key": self.key, "fields": {name: str(d) for name, d in self.fields.items()}}


@dataclass(frozen=True, slots=True)
class Mended:
    """What the confirmed updates of a run came to. `drift` counts fields; `adopted` are (model, key)."""

    drift: Mapping[Drift, int] = field(default_factory=dict)
    put_back: tuple[PutBack, ...] = ()
    adopted: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The facts as they stand in an outcome: the first objects, and how many there are."""
        return {
            "drift": {drift.value: self.drift.get(drift, 0) for drift in Drift},
            "put_back": [one.as_dict() for one in self.put_back[:MOST_OBJECTS]],
            "put_back_total": len(self.put_back),
            "adopted": [{"model": model, "key": key} for model, key in self.adopted[:MOST_OBJECTS]],
            "adopted_total": len(self.adopted),
        }
