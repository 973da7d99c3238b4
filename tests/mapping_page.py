"""The tables of `docs/mapping.md`, read for the tests that hold the page against the code and the CRDs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from functions.kinds import BY_NAME
from functions.records import MODELS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "mapping.md"
NOWHERE = "nowhere: "

_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"(#+) (.+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field goes: a NetBox model (its objects come, go or move) or one field of it."""

    model: str
    field: str | None

    def __str__(self) -> str:
        return self.model if self.field is None else f"{self.model}.{self.field}"


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row of a kind's table; `fields` are all that it names, `places` is empty where it says `nowhere`."""

    kind: str
    fields: tuple[str, ...]
    releases: str
    says: str

    @property
    def nowhere(self) -> bool:
        """Whether the fields go nowhere."""
        return self.says.startswith(NOWHERE)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places that the row names."""
        if self.nowhere:
            return ()
        spans = (span.partition(".") for span in _SPAN.findall(self.says))
        return tuple(Place(model, name or None) for model, _, name in spans if model in MODELS)


def expanded(text: str) -> tuple[str, ...]:
    """`a.{b, c{}}` as (`a.b`, `a.c{}`): every brace with something in it is a choice."""
    start = next((at for at in range(len(text)) if text[at] == "{" and text[at + 1] != "}"), None)
    if start is None:
        return (text,)
    depth, parts, last = 0, [], start + 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0 or (depth == 1 and text[at] == ","):
            parts.append(text[last:at].strip())
            last = at + 1
        if depth == 0:
            break
    return tuple(name for part in parts for name in expanded(text[:start] + part + text[last:]))


@cache
def sections() -> dict[str, list[list[str]]]:
    """The rows of the tables by heading, each a list of cells; the heads of tables are left out."""
    found: dict[str, list[list[str]]] = {}
    heading, head = "", True
    for line in PAGE.read_text("utf-8").splitlines():
        if part := _HEADING.fullmatch(line):
            heading = part[2]
        elif not line.startswith("|"):
            head = True
        elif re.fullmatch(r"[|\s:-]+", line):
            head = False
        elif not head:
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def table(heading: str) -> list[list[str]]:
    """The rows of the tables below one heading."""
    return sections()[heading]


def field_rows(kind: str) -> Iterator[FieldRow]:
    """The rows of a kind's table."""
    for names, releases, says in sections().get(kind, []):
        yield FieldRow(kind, expanded(names.strip("`")), releases, says)


def spans(cell: str) -> list[str]:
    """What a cell has in code marks."""
    return _SPAN.findall(cell)


def kinds() -> list[str]:
    """The kinds that the page has a table of fields for."""
    return [name for name in sections() if name in BY_NAME]
