"""The page on events names every type, field and word, its filters let through what it says, and its code runs."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from functions.contract import (
    TYPES,
    Channel,
    DriftDetected,
    Status,
    StatusChanged,
    SyncEnded,
    SyncRequest,
    SyncStarted,
    encode,
)
from functions.contract.examples import EXAMPLES
from functions.contract.objects import properties
from functions.events import sync_request
from infra.pubsub import Message
from infra.sandbox.filters import compile_filter

PAGE = Path(__file__).resolve().parent.parent / "docs" / "events.md"
TEXT = PAGE.read_text("utf-8")
SECTIONS = {part.split("\n", 1)[0]: part for part in re.split(r"(?m)^## ", TEXT)}
FIELDS = {
    "A request": SyncRequest,
    "A start": SyncStarted,
    "An outcome": SyncEnded,
    "Drift": DriftDetected,
    "A change of status": StatusChanged,
}


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    found = re.findall(r"(?m)^\| (.*) \|$", SECTIONS[section].replace("| |\n", "|  |\n"))
    return [row.split(" | ") for row in found if not set(row) <= set("-| ")][1:]


def coded(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("section", FIELDS)
def test_every_field_has_its_row_and_every_row_a_field(section: str) -> None:
    named = [name for first, *_ in rows(section) for name in coded(first)]
    assert sorted(named) == sorted(each.name for each in properties(FIELDS[section]))


def test_every_type_has_its_row_with_its_topic_its_id_and_its_meaning() -> None:
    found = {coded(type_)[0]: (topic, coded(id_), says) for type_, topic, id_, says in rows("Types")}
    wanted = {}
    for each in TYPES:
        event = EXAMPLES[each.short]
        id_ = [] if isinstance(event, SyncRequest) else [event.id.replace(event.request_id, "<request id>")]
        topic = "requests" if each.channel is Channel.REQUESTS else "outcomes"
        wanted[f"{each.short}.v1"] = (topic, id_, each.meaning)
    assert found == wanted


def test_every_status_is_named() -> None:
    (row,) = [row for row in rows("A change of status") if "from" in coded(row[0])]
    assert [word for word in coded(row[1]) if word != "late"] == [*Status]


def test_the_filters_let_through_what_the_page_says() -> None:
    table = [row for row in rows("Subscribe") if len(row) == 2]
    assert len(table) > 4
    sent = {each.short: encode(EXAMPLES[each.short]).attributes for each in TYPES}
    for filter_, through in table:
        passes = compile_filter(filter_.strip("`"))
        assert [short for short, attributes in sent.items() if passes(attributes)] == coded(through), filter_


def test_the_message_that_is_shown_is_the_example() -> None:
    attributes, body, _ = encode(EXAMPLES["sync.failed"])
    head = TEXT.split("## Types")[0]
    assert dict(re.findall(r"(?m)^\| `([\w-]+)` \| `([^`]+)` \|", head)) == attributes
    shown = re.search(r"```json\n(.*?)```", head, re.DOTALL)
    assert shown is not None
    shortened = json.loads(shown[1].replace("…\n", '"": 0\n'))
    del shortened[""]
    whole = json.loads(body)
    shortened["error"]["hint"] = whole["error"]["hint"]
    assert shortened.items() <= whole.items()


def test_the_request_that_is_shown_is_one() -> None:
    shown = re.search(r"```json\n(.*?)```", SECTIONS["A request"], re.DOTALL)
    assert shown is not None
    data = json.loads(shown[1])
    assert {*data} == {each.name for each in properties(SyncRequest)}
    assert sync_request({}, json.dumps(data).encode()).fabric == "lab1"


@pytest.mark.parametrize("short", ["sync.failed", "drift.detected"])
def test_the_code_that_is_shown_runs(short: str) -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    attributes, body, key = encode(EXAMPLES[short])
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(code[1], str(PAGE), "exec"), {"message": Message(body, attributes, key)})
    assert printed.getvalue().startswith(EXAMPLES[short].id)
