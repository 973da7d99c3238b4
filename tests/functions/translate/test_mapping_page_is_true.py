"""The page on the mapping is true: what goes somewhere is found there alone, and what goes nowhere changes nothing."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.records import MODELS, Record
from functions.translate import Translation
from tests.crds import Crd, crds
from tests.functions.translate.hedgehog import thing
from tests.functions.translate.mapping_fabric import OBJECTS, translated
from tests.functions.translate.mapping_values import VALUES, Case
from tests.mapping_page import PAGE, FieldRow, Place, field_rows, kinds, spans, table

ROWS = [(row, name) for kind in kinds() for row in field_rows(kind) for name in row.fields if not name.endswith("**")]


@cache
def base() -> Translation:
    return translated(*OBJECTS)


@pytest.fixture(scope="module")
def known(shared: Path) -> dict[str, Crd]:
    return crds(shared)


def steps(field: str) -> list[str]:
    """`spec.ports{}.label` as [spec, ports, {}, label]."""
    return field.replace("{}", ".{}").replace("[]", ".[]").split(".")


def chosen(kind: str, field: str, on: str | None) -> Any:
    """The object to set a field of: the one named, or the first of its kind that has that part of the spec."""
    mine = [item for item in OBJECTS if item["kind"] == kind]
    if on is not None:
        return next(item for item in mine if item["metadata"]["name"] == on)
    part = steps(field)[1] if "." in field else ""
    return next((item for item in mine if part in item[steps(field)[0]]), mine[0])


def changed(item: Any, field: str, case: Case) -> Any:
    """A copy of `item` with the field set."""
    keys, copy = list(case.keys), deepcopy(item)
    path = steps(field)
    at: Any = copy
    for step, following in zip(path, [*path[1:], None], strict=True):
        if step == "[]":
            at.extend([None] if not at else [])
            key: Any = 0
        else:
            key = step if step != "{}" else keys.pop(0) if keys else next(iter(at), "zz")
            at.setdefault(key, None)
        if following is None:
            if case.value == at[key] and isinstance(case.value, bool):
                at[key] = not case.value
            else:
                at[key] = case.value
        elif at[key] is None or not isinstance(at[key], list if following == "[]" else dict):
            at[key] = [] if following == "[]" else {}
        at = at[key]
    return copy


def any_value(schema: Any) -> Any:
    """A value that the schema allows, unlike any other in the fabric."""
    if choices := [choice for choice in schema.get("enum", ()) if choice]:
        return choices[-1]
    if schema.get("format") == "date-time":
        return "2031-07-07T07:07:07Z"
    texts = {"integer": 77, "number": 7.75, "boolean": True, "object": {"told": 7}}
    return texts.get(schema.get("type"), "told-7")


def with_field(row: FieldRow, field: str, known: dict[str, Crd]) -> tuple[Translation, Case]:
    """The fabric's records with the field set, and what it was set to."""
    case = VALUES.get(row.kind, {}).get(field)
    if case is None:
        case = Case(any_value(known[row.kind].schemas[field]) if row.kind in known else "told-7")
    item = chosen(row.kind, field, case.on)
    new = changed(item, field, case)
    assert new != item, f"{field} has that value already"
    return translated(*(new if other is item else other for other in OBJECTS)), case


def test_the_copies_of_an_agent_never_leave_observe() -> None:
    secret = "told-password-hash"
    for kind in ("Agent", "GatewayAgent"):
        item = chosen(kind, "spec", None)
        spec = {"users": [{"password": secret}], "config": {"registry": {"password": secret}}, "switch": {"ip": secret}}
        new = {**item, "spec": spec}
        assert secret not in str(trimmed(new, BY_NAME[kind]))
        assert translated(*(new if other is item else other for other in OBJECTS)).records == base().records


def texts(record: Record) -> dict[str, Any]:
    return {**record.fields, **record.custom, "tags": record.tags}


def differences(before: Translation, after: Translation) -> dict[Place, list[Any]]:
    """What differs: the field of a model with its new values, or the model alone where an object came or went."""
    old = {(record.model, record.key): record for record in before.records}
    new = {(record.model, record.key): record for record in after.records}
    found: dict[Place, list[Any]] = {}
    for ref in old.keys() ^ new.keys():
        record = new.get(ref) or old[ref]
        found.setdefault(Place(record.model, None), []).append(texts(record) if ref in new else None)
    for ref in old.keys() & new.keys():
        one, two = texts(old[ref]), texts(new[ref])
        for name in one.keys() | two.keys():
            if one.get(name) != two.get(name):
                found.setdefault(Place(ref[0], name), []).append(two.get(name))
    return found


def label(value: Any) -> str:
    return f"{value.kind}" if isinstance(value, FieldRow) else str(value)


SOMEWHERE = [(row, name) for row, name in ROWS if not row.nowhere]


@pytest.mark.parametrize(("row", "field"), SOMEWHERE, ids=label)
def test_a_field_goes_where_the_page_says_and_nowhere_else(row: FieldRow, field: str, known: dict[str, Crd]) -> None:
    after, case = with_field(row, field, known)
    found = differences(base(), after)
    models = {place.model for place in found}
    unfounded = [str(p) for p in row.places if p not in found and not (p.field is None and p.model in models)]
    untold = sorted(str(p) for p in found if p not in row.places and Place(p.model, None) not in row.places)
    assert (unfounded, untold) == ([], [])
    shown = str(case.value) if case.shown is None else case.shown
    if not isinstance(case.value, bool):
        assert shown in str(list(found.values()))


def test_a_field_that_goes_nowhere_changes_nothing(known: dict[str, Crd]) -> None:
    nowhere = [(row, name) for row, name in ROWS if row.nowhere]
    assert len(nowhere) > 300
    before = (base().records, base().issues)
    moved = []
    for row, field in nowhere:
        after, _ = with_field(row, field, known)
        if (after.records, after.issues) != before:
            moved.append(f"{row.kind} {field}: {sorted(map(str, differences(base(), after)))} {after.issues[:1]}")
    assert moved == []


def test_the_page_names_the_fields_that_nothing_is_said_of() -> None:
    said = {(record.model, name) for record in base().records for name in record.fields}
    silent = [
        f"{name}.{field}" for name, model in MODELS.items() for field in model.fields if (name, field) not in said
    ]
    sentence = re.search(r"(?m)^Nothing says anything of these yet.+$", PAGE.read_text("utf-8"))
    assert sentence is not None
    assert spans(sentence[0]) == silent


def test_every_identity_on_the_page_is_made_and_every_one_that_is_made_is_on_the_page() -> None:
    told = [(spans(model)[0], spans(key)[0]) for model, key, _ in table("Identity")]
    made = {(record.model, record.key) for record in base().records if not MODELS[record.model].shared}
    fitting = {place: [row for row in told if row[0] == place[0] and matches(row[1], place[1])] for place in made}
    assert sorted(place for place, rows in fitting.items() if not rows) == []
    assert [row for row in told if not any(row in rows for rows in fitting.values())] == []


def matches(pattern: str, key: str) -> bool:
    """Whether a key is made as the page says: a part of an object may hold any character, its name no slash."""
    head, hash_, tail = pattern.partition("#")
    parts = [(re.escape(head), "[^/#]+"), (hash_ + re.escape(tail), "[^#]+?")]
    return bool(re.fullmatch("".join(re.sub(r"<\w+>", fill, text) for text, fill in parts), key))


def test_the_example_of_the_page_becomes_what_it_shows() -> None:
    block = re.search(r"```yaml\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    around = (
        thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 1999}]}),
        thing("Catalog", "vpcs", {"vpcVNIs": {"vpc-01": 100}, "vpcSubnetVNIs": {"vpc-01": {"web": 101}}}),
    )
    found = translated(yaml.safe_load(block[1]), *around)
    rows = {(spans(row[0])[0], spans(row[1])[0]): spans(row[2]) for row in table("The mapping")}
    made = {(r.model, r.key): texts(r) for r in found.records if "/VPC/" in r.key}
    assert made.keys() == rows.keys()
    for place, shown in rows.items():
        for name, _, value in (span.partition(": ") for span in shown):
            assert str(made[place][name]) == value, (place, name)
    assert found.issues == ()
