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
"""Rows of a long list at a terminal; `--json` has them all, and `plan --all` shows them."""

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

_COUNTS: Final = ("created", "updated", "marked", "deleted", "unchanged", "refused", "held", "waiting", "stale")
_PLAN_COUNTS: Final = ("create", "adopt", "update", "mark", "delete", "held", "waiting", "stale", "unchanged")


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
        parts.append(_counted(told["objects"], _COUNTS))
    parts += _drift(told)
    parts += _moved(told)
    if told["kinds"]:
        read = sum(1 for kind in told["kinds"].values() if kind["reading"] == "complete")
        objects = sum(kind["objects"] for kind in told["kinds"].values())
        parts.append(Text(f"read from the fabric: {objects} objects of {read} kinds", style="dim"))
    if told["unconfirmed"]:
        parts.append(Text(f"{told['unconfirmed']} objects were sent and not confirmed: the next run looks again"))
    if told["result"] == "continued":
        parts.append(Text("hint: run it again to go on; what is written is not written twice"))
        if left := told["plan_left"]:
            parts.append(Text(f"hint: what is left of this plan, and nothing else, is applied by --plan {left}"))
    return Group(*parts)


def _counted(counts: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> RenderableType:
    """Counts by model, without the columns that have none."""
    names = [name for name in names if any(row.get(name) for row in counts.values())]
    return grid(("In NetBox", *names), [(model, *(row.get(n, "") for n in names)) for model, row in counts.items()])


def _drift(told: Mapping[str, Any]) -> list[RenderableType]:
    """Who had moved what was updated, what of people's edits was put back, and what was taken over."""
    parts: list[RenderableType] = []
    if moved := [f"{_WHO[who]} {count}" for who, count in told["drift"].items() if count]:
        parts.append(Text(f"fields that were updated, by who had moved them: {', '.join(moved)}", style="dim"))
    rows = [
        (one["model"], one["key"], name, _WHO[who]) for one in told["put_back"] for name, who in one["fields"].items()
    ]
    parts += _listed(f"edited in NetBox, and put back ({told['put_back_total']})", _EDITED, rows, None)
    adopted = [(one["model"], one["key"]) for one in told["adopted"]]
    return parts + _listed(f"adopted ({told['adopted_total']})", _THING, adopted, None)


def _moved(told: Mapping[str, Any]) -> list[RenderableType]:
    """What moved since the plan was shown that was now refused."""
    if "moved" not in told:
        return []
    if told["moved"] is None:
        return [Text("what moved cannot be told: the plan that was agreed to is not kept here (`plan` keeps the last)")]
    rows = [(how, *op.split(" ", 2)) for how, ops in told["moved"].items() for op in ops]
    return _listed("moved since the plan was shown", ("How", "Verb", "Model", "Key"), rows, MOST_ROWS)


_WHO: Final = {
    "fabric_moved": "fabric",
    "netbox_edited": "people in NetBox",
    "both": "both",
    "unknown": "unknown",
}
"""Direction of a drift → who moved."""

_THING: Final = ("Model", "Key")
_EDITED: Final = (*_THING, "Field", "Who moved")
_CHANGED: Final = (*_THING, "Field", "Now", "Then", "Who moved")


def plan(told: Mapping[str, Any], most: int | None = MOST_ROWS) -> RenderableType:
    """A plan: counts by model, what it will take, then each change field by field; `most` rows of each part."""
    head = Text.assemble((told["fabric"], "bold"), f": {told['writes']} objects would be written, digest ")
    parts: list[RenderableType] = [head.append(told["digest"], style="bold")]
    if told["counts"]:
        parts.append(_counted(told["counts"], _PLAN_COUNTS))
    parts += lines(told["reasons"], len(told["reasons"]), "incomplete: ")
    adopted = [one for one in told["updates"] if one["adopts"]]
    changed = [one for one in told["updates"] if not one["adopts"]]
    created = [_created(one) for one in told["creates"]]
    parts += _listed("would be created", (*_THING, "Fields"), created, most)
    parts += _listed("of people, would be adopted", _CHANGED, _changes(adopted), most)
    parts += _listed("would be changed", _CHANGED, _changes(changed), most)
    parts += _listed("held by its tag", _CHANGED, _changes(told["held"]), most)
    for title, name in (
        ("no longer in the fabric, would be marked", "marks"),
        ("would be deleted", "deletes"),
        ("marked before, and kept for now", "waiting"),
    ):
        parts += _listed(title, _THING, [(one["model"], one["key"]) for one in told[name]], most)
    held = [(one["model"], one["key"], one["reason"], one["release"] or "") for one in told["stale_held"]]
    parts += _listed("no longer in the fabric, and held", (*_THING, "Why", "Release mark"), held, most)
    there = [(one["model"], one["key"], one["id"], one["fabric"] or "people") for one in told["conflicts"] or ()]
    title = "something is there already, and NetBox may refuse ours"
    parts += _listed(title, (*_THING, "NetBox id", "Whose"), there, most)
    if told["conflicts"] is None:
        parts.append(Text("there was no time to look for conflicts"))
    parts += [Text(), *_forecast(told)] if told["writes"] else [Text("nothing would be written")]
    return Group(*parts)


def _forecast(told: Mapping[str, Any]) -> list[RenderableType]:
    expected, name = told["forecast"], told["fabric"]
    kinds = f"{expected['requests']} requests ({expected['reads']} to read, {expected['writes']} to write"
    kinds += f", {expected['looks']} to look again)" if expected["looks"] else ")"
    count = expected["invocations"]
    runs = "more time than one invocation has" if count is None else f"{count} invocation{'s' if count != 1 else ''}"
    return [
        Text(f"likely to take {runs}, {kinds} and {expected['seconds']:.0f} s"),
        Text(f"predicted: {expected['basis']}", style="dim"),
        Text(f"to apply exactly this: fabric-sync sync {name} --plan {told['digest']}"),
    ]


def _listed(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], most: int | None
) -> list[RenderableType]:
    if not rows:
        return []
    parts: list[RenderableType] = [Text(), grid(columns, rows[:most], title=title)]
    if most is not None and len(rows) > most:
        parts.append(Text(f"… and {len(rows) - most} more (--all and --json show them)", style="dim"))
    return parts


def _created(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["model"], one["key"], ", ".join(f"{name}={_value(value)}" for name, value in one["fields"].items())


def _changes(updates: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in updates:
        changes = [
            (change["field"], _value(change["before"]), _value(change["after"]), _WHO[change["drift"]])
            for change in one["changes"]
        ]
        if one["tags"] is not None:
            changes.append(("tags", "", _value(one["tags"]), ""))
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


STATUS_COLOURS: Final = {"in_sync": "green", "syncing": "cyan", "out_of_sync": "yellow", "error": "red"}
"""Status → colour; only one is green."""


def statuses(rows: Iterable[Mapping[str, Any]]) -> RenderableType:
    """The fabrics: how each is, what its last run came to, and when the next one is due."""
    table = [
        (
            row["fabric"],
            Text(row["status"], style=STATUS_COLOURS.get(row["status"], "dim")),
            "late" if row["late_s"] is not None else "",
            row["connection"],
            result_text(row["result"]),
            _clock(row["last_success"]),
            _clock(row["next_due"]) if row["waits_for"] in (None, "not_yet") else row["waits_for"],
            str(row["failures"]["count"]) if row["failures"] else "",
            (row["problems"] or row["error"].splitlines() or [""])[0],
        )
        for row in rows
    ]
    if not table:
        return Text("no fabric is registered: fabric-sync fabrics add NAME --site SLUG --secret NAME")
    columns = ("Fabric", "Status", "", "Connection", "Last result", "Last success", "Next due", "Failures", "Error")
    return grid(columns, table)


def _clock(text: str | None) -> str:
    return text[5:16].replace("T", " ") if text else "-"
