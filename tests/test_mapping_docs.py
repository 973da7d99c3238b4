"""The page on the mapping names every field of every kind, every field that is written, custom field and tag."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from functions.fields import CUSTOM_FIELDS, TAGS
from functions.kinds import BY_NAME, KINDS
from functions.records import BY_CONTENT_TYPE, MODELS, Field, Shape
from infra.deadline import Deadline
from infra.transport import bounded_session
from tests.crds import Crd, crds, releases
from tests.mapping_page import NOWHERE, PAGE, Place, field_rows, kinds, sections, spans, table
from tests.netbox_fixtures import ServedNetBox

INSTALLER = {"ControlNode", "FabNode", "Fabricator"}
"""Kinds whose CRDs are not at hand: of them the page has what is let through `observe`."""

OTHER_NAMES = {"Peering": "GatewayPeering"}
"""Kinds that are another one under an older name."""

WHOLE = {("Agent", "spec.**"), ("GatewayAgent", "spec.**")}
"""Copies of other objects, which one row may stand for."""


@pytest.fixture(scope="module")
def known(shared: Path) -> dict[str, Crd]:
    return crds(shared)


def test_every_kind_has_its_table() -> None:
    assert {*kinds(), *OTHER_NAMES} == set(BY_NAME)
    assert all(f"called {name}" in PAGE.read_text("utf-8") for name in OTHER_NAMES)


def test_every_field_of_every_release_has_one_row_and_every_row_a_field(known: dict[str, Crd]) -> None:
    named = Counter((row.kind, name) for kind in kinds() for row in field_rows(kind) for name in row.fields)
    there = {
        (kind, "spec.**" if (kind, "spec.**") in WHOLE and name.startswith("spec") else name)
        for kind, crd in known.items()
        for name in crd.fields
    }
    rows = {place for place in named if place[0] not in INSTALLER}
    assert (sorted(there - rows), sorted(rows - there)) == ([], [])
    assert [place for place, times in named.items() if times > 1] == []
    assert set(known) == set(kinds()) - INSTALLER


def test_every_row_says_which_releases_have_its_fields(known: dict[str, Crd], shared: Path) -> None:
    every = releases(shared)
    wrong = []
    for kind, crd in known.items():
        for row in field_rows(kind):
            for name in row.fields:
                fields = [at for at in crd.fields if at == name or (name == "spec.**" and at.startswith("spec"))]
                seen = [release for release in every if any(release in crd.fields[at] for at in fields)]
                if row.releases != spelled(seen, every):
                    wrong.append(f"{kind} {name}: {row.releases}, not {spelled(seen, every)}")
    assert wrong == []


def spelled(seen: list[str], every: list[str]) -> str:
    """`all`, `≥ 0.99` (from there on), or the releases by name."""
    if seen == every:
        return "all"
    return f"≥ {seen[0]}" if seen == every[-len(seen) :] else ", ".join(seen)


@pytest.mark.parametrize("kind", sorted(INSTALLER))
def test_of_the_installers_kinds_every_field_that_is_read_has_a_row(kind: str) -> None:
    keep = BY_NAME[kind].keep or ()
    rows = [name for row in field_rows(kind) for name in row.fields]
    plain = [name.replace("{}", "").replace("[]", "") for name in rows]
    assert [path for path in keep if not any(f"{name}.".startswith(f"{path}.") for name in plain)] == []
    assert [name for name in plain if not any(f"{name}.".startswith(f"{path}.") for path in keep)] == []


def test_every_row_names_places_that_exist_or_says_why_it_has_none() -> None:
    wrong = []
    for kind in kinds():
        for row in field_rows(kind):
            silent = row.nowhere and len(row.says) < len(NOWHERE) + len("a counter")
            if silent or not (row.nowhere or row.places) or not all(exists(place) for place in row.places):
                wrong.append(f"{kind} {row.fields[0]}: {row.says}")
    assert wrong == []


def exists(place: Place) -> bool:
    if place.field in (None, "tags"):
        return True
    model = MODELS[place.model]
    return place.field in model.fields or any(
        field.name == place.field and model.content_type in field.on for field in CUSTOM_FIELDS
    )


def whose(field: Field) -> int:
    """The column of a field: owned, set once, merged, late."""
    if field.merged or field.shape is Shape.OWN_KEYS:
        return 2
    return 3 if field.late else 1 if field.once else 0


def test_the_page_tells_whose_every_field_is() -> None:
    told = {spans(row[0])[0]: [spans(cell) for cell in row[1:]] for row in table("Fields")}
    assert list(told) == list(MODELS)
    for name, model in MODELS.items():
        wanted: list[list[str]] = [[], [], [], []]
        for field, spec in model.fields.items():
            wanted[whose(spec)].append(field)
        assert told[name][:4] == wanted, name
        assert set(told[name][4]).isdisjoint(model.fields), name


def test_the_page_has_every_custom_field_and_tag_and_no_other() -> None:
    owned = {model.content_type for model in MODELS.values() if not (model.shared or model.named)}
    told = {}
    for name, kind, on, by, what in table("Custom fields"):
        types = owned if on == "all owned" else {MODELS[model].content_type for model in spans(on)}
        told[spans(name)[0]] = (kind, types, by == "people", what)
    assert told == {
        field.name: (field.type, set(field.on), field.editable, field.description) for field in CUSTOM_FIELDS
    }
    tags = {spans(tag)[0]: what for tag, what in table("Tags")}
    assert {tag: what for tag, what in tags.items() if "<" not in tag} == {tag.slug: tag.description for tag in TAGS}
    assert set().union(*(field.on for field in CUSTOM_FIELDS)) <= set(BY_CONTENT_TYPE)


def test_every_link_on_the_page_leads_to_a_heading() -> None:
    text = PAGE.read_text("utf-8")
    headings = {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in re.findall(r"(?m)^#+ (.+)$", text)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings
    assert {kind.name for kind in KINDS} - set(OTHER_NAMES) <= set(sections())


def test_a_real_netbox_has_no_field_that_the_page_does_not_tell_of(netbox_server: ServedNetBox) -> None:
    told = {spans(row[0])[0]: {name for cell in row[1:] for name in spans(cell)} for row in table("Fields")}
    untold = {}
    with bounded_session(Deadline.after(120), max_bytes=1024 * 1024) as session:
        for name, model in MODELS.items():
            answer = session.options(
                f"{netbox_server.url}/api/{model.path}/", headers={"Authorization": f"Bearer {netbox_server.token_v2}"}
            )
            fields = {field for field, what in answer.json()["actions"]["POST"].items() if not what["read_only"]}
            generic = {field for field, spec in model.fields.items() if spec.shape is Shape.GENERIC}
            known = told[name] | {f"{field}_{part}" for field in generic for part in ("type", "id")}
            if more := fields - known - {"tags", "custom_fields"}:
                untold[name] = sorted(more)
    assert untold == {}
