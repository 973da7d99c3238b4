"""How things look at a terminal: tables and lines from the same JSON that programs get."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from functions.bootstrap import Did, Step

MOST_ROWS: Final = 40
"""Rows of a long list at a terminal; `--json` has them all."""

PIPE_WIDTH: Final = 200
"""Columns where nobody has a terminal."""

COLOURS: Final = {
    "succeeded": "green",
    "continued": "cyan",
    "incomplete": "yellow",
    "skipped": "yellow",
    "failed": "red",
    "timed_out": "red",
}
"""Result → colour."""

_COUNTS: Final = ("created", "updated", "unchanged", "refused", "held", "stale")
_PLAN_COUNTS: Final = ("create", "update", "held", "stale", "unchanged")


def console() -> Console:
    """Where people read: stdout, taking no text for markup; in a pipe or a file no address is cut in two."""
    wide = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(markup=False, highlight=False, width=wide)


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """A table of texts; numbers stand to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    given = [list(row) for row in rows]
    for at, column in enumerate(columns):
        numeric = bool(given) and all(isinstance(row[at], int) or row[at] == "" for row in given)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in given:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return table


def result_text(result: str | None) -> Text:
    """A result in its colour."""
    return Text(result or "never synced", style=COLOURS.get(result or "", "dim"))


def steps(done: Iterable[Step]) -> RenderableType:
    """What bootstrap did, and how much of it was new."""
    done = list(done)
    colours = {Did.CREATED: "green", Did.CHANGED: "yellow", Did.KEPT: "dim"}
    rows = [(step.what, step.name, Text(step.did.value, style=colours[step.did])) for step in done]
    new = sum(step.did is not Did.KEPT for step in done)
    told = f"{new} of {len(done)} created or changed" if new else f"all {len(done)} were there: nothing was changed"
    return Group(grid(("What", "Name", "Done"), rows), Text(told))


def outcome(told: Mapping[str, Any]) -> RenderableType:
    """An outcome: the result, why it is no better, and what was written."""
    head = Text.assemble(
        (told["fabric"], "bold"),
        " ",
        result_text(told["result"]),
        f" after {told['duration_s']:.1f} s of {told['deadline_s']:g}: {told['written']} objects written",
        f", {told['left']} left" if told["left"] else "",
        f" ({told['netbox_requests']} requests to NetBox)",
    )
    parts: list[RenderableType] = [head]
    if error := told["error"]:
        again = "trying again may help" if error["retryable"] else "trying again will not help"
        parts += [Text(f"error: {error['text']} [{error['code']}; {again}]"), Text(f"hint: {error['hint']}")]
    if told["insecure_tls"]:
        parts.append(Text("warning: the fabric's TLS certificate was not verified", style="yellow"))
    parts += lines(told["reasons"], told["reasons_total"], "because ")
    if told["objects"]:
        rows = [(model, *(row.get(name, "") for name in _COUNTS)) for model, row in told["objects"].items()]
        parts.append(grid(("In NetBox", *_COUNTS), rows))
    if told["kinds"]:
        read = sum(1 for kind in told["kinds"].values() if kind["reading"] == "complete")
        objects = sum(kind["objects"] for kind in told["kinds"].values())
        parts.append(Text(f"read from the fabric: {objects} objects of {read} kinds", style="dim"))
    if told["unconfirmed"]:
        parts.append(Text(f"{told['unconfirmed']} objects were sent and not confirmed: the next run looks again"))
    if told["result"] == "continued":
        parts.append(Text("hint: run it again to go on; what is written is not written twice"))
    return Group(*parts)


def plan(told: Mapping[str, Any]) -> RenderableType:
    """A plan: counts by model, then each change field by field."""
    head = Text.assemble((told["fabric"], "bold"), f": {told['writes']} objects would be written, digest ")
    parts: list[RenderableType] = [head.append(told["digest"], style="bold")]
    if told["counts"]:
        rows = [(model, *(row.get(name, "") for name in _PLAN_COUNTS)) for model, row in told["counts"].items()]
        parts.append(grid(("In NetBox", *_PLAN_COUNTS), rows))
    parts += lines(told["reasons"], len(told["reasons"]), "incomplete: ")
    parts += _listed("would be created", ("Model", "Key", "Fields"), [_created(one) for one in told["creates"]])
    parts += _listed("would be changed", ("Model", "Key", "Field", "Now", "Then"), _changes(told["updates"]))
    parts += _listed("held by its tag", ("Model", "Key", "Field", "Now", "Then"), _changes(told["held"]))
    stale = [(one["model"], one["key"]) for one in told["stale"]]
    parts += _listed("no longer in the fabric", ("Model", "Key"), stale)
    if not told["writes"]:
        parts.append(Text("nothing would be written"))
    return Group(*parts)


def _listed(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[RenderableType]:
    if not rows:
        return []
    parts: list[RenderableType] = [Text(), grid(columns, rows[:MOST_ROWS], title=title)]
    if len(rows) > MOST_ROWS:
        parts.append(Text(f"… and {len(rows) - MOST_ROWS} more (--json shows all)", style="dim"))
    return parts


def _created(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["model"], one["key"], ", ".join(f"{name}={_value(value)}" for name, value in one["fields"].items())


def _changes(updates: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in updates:
        changes = [(change["field"], _value(change["before"]), _value(change["after"])) for change in one["changes"]]
        if one["tags"] is not None:
            changes.append(("tags", "", _value(one["tags"])))
        rows += [(one["model"], one["key"], *change) for change in changes]
    return rows


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "-" if value in (None, "") else str(value)


def lines(texts: Sequence[str], total: int, before: str) -> list[RenderableType]:
    """Reasons, one a line, and how many more there are."""
    shown: list[RenderableType] = [Text(f"{before}{text}") for text in texts[:MOST_ROWS]]
    more = total - len(shown)
    return [*shown, Text(f"… and {more} more", style="dim")] if more > 0 else shown


def statuses(rows: Iterable[Mapping[str, Any]]) -> RenderableType:
    """The fabrics and what their last sync came to."""
    table = [
        (
            row["fabric"],
            row["site"] or "-",
            "on" if row["enabled"] else "off",
            result_text(row["result"]),
            row["since"] or "-",
            row["error"].splitlines()[0] if row["error"] else "",
        )
        for row in rows
    ]
    if not table:
        return Text("no fabric is registered: fabric-sync fabrics add NAME --site SLUG --secret NAME")
    return grid(("Fabric", "Site", "Sync", "Last result", "Since", "Error"), table)
