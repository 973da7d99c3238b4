"""The live progress of a sync at a terminal: kinds read, objects written of those planned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from functions.kinds import KINDS
from functions.run import Listener


def _unwatched(step: str, facts: dict[str, Any]) -> None:
    return None


@contextmanager
def watched(name: str) -> Iterator[Listener]:
    """What a run tells its steps to: bars on stderr where that is a terminal, else nobody."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _unwatched
        return
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        reading = progress.add_task(f"reading {name}", total=len(KINDS))
        writing = progress.add_task("comparing with NetBox", total=None, start=False)

        def hear(step: str, facts: dict[str, Any]) -> None:
            if step == "observed":
                progress.advance(reading)
            elif step == "planned":
                planned = facts["creates"] + facts["updates"]
                progress.update(writing, description="writing NetBox", total=planned, completed=0)
                progress.start_task(writing)
            elif step == "applied":
                progress.update(writing, completed=facts["done"], total=facts["planned"])

        yield hear
