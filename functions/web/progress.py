"""Pure: the steps of a run as people follow them: kinds read of how many, then objects written of how many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.kinds import KINDS


@dataclass(slots=True)
class Progress:
    """What was heard of a run so far. `hear` answers what there is to tell of a step, or None."""

    kinds: int = len(KINDS)
    read: set[str] = field(default_factory=set)

    def hear(self, step: Mapping[str, Any]) -> dict[str, Any] | None:
        """A step as JSON with its `phase`: `started`, `read`, `compare`, `planned` or `write`.

        `read` and `write` carry `done` and `total`, as counted and not as guessed.
        """
        match step.get("step"):
            case "started":
                return {"phase": "started"}
            case "observed":
                self.read.add(str(step["kind"]))
                facts = {name: step[name] for name in ("kind", "reading", "objects")}
                return {"phase": "read", "done": len(self.read), "total": self.kinds, **facts}
            case "surveyed":
                models = {name: count for name, count in step.items() if name != "step"}
                return {"phase": "compare", "models": models}
            case "planned":
                counts = {name: step[name] for name in ("creates", "updates", "stale")}
                return {"phase": "planned", **counts}
            case "applied":
                return {"phase": "write", "done": step["done"], "total": step["planned"], "model": step["model"]}
            case _:
                return None
