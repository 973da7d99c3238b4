"""What moved alone, by values: the plan that is made of it is the one that a comparison of everything makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from functions.actual import Actual, Existing
from functions.changelog import Entry, moved
from functions.compare import compare
from functions.fabric import DeletePolicy
from functions.memory import confirmed, differing, portion, too_much, unit_of, units_of
from functions.plan import Plan
from functions.records import MODELS, Record
from functions.rows import found_by_key
from infra.sandbox.fabric.churn import churn
from tests.functions.netbox_model import World
from tests.functions.two_sides import FABRICS, Drawn, edits, put

type Things = Mapping[str, Mapping[int, Existing]]


def log_of(before: Things, after: Things) -> Iterator[Entry]:
    """The rows that NetBox's change log has of the changes from one content to the other."""
    for model in MODELS:
        for id_ in sorted(before[model].keys() | after[model].keys()):
            old, new = before[model].get(id_), after[model].get(id_)
            if old != new:
                action = "update" if old and new else "create" if new else "delete"
                yield Entry(id_, MODELS[model].content_type, id_, action, "", data(model, old), data(model, new))


def data(model: str, thing: Existing | None) -> dict[str, object]:
    natural = MODELS[model].natural[0]
    return {natural: thing.values.get(natural), "custom_fields": dict(thing.custom)} if thing else {}


def written(plan: Plan) -> dict[str, str]:
    return {name: what for name, what in plan.operations.items() if not name.startswith("stale ")}


def narrow(records: tuple[Record, ...], actual: Actual, units: set[str]) -> tuple[tuple[Record, ...], Actual]:
    """Both sides without all that is of other units; what is referred to is known by its id."""
    some = tuple(record for record in records if unit_of(record.model, record.key) in units)
    owned = {
        model: {key: thing for key, thing in things.items() if unit_of(model, key) in units}
        for model, things in actual.owned.items()
    }
    return some, replace(actual, owned=owned, ids=dict(actual.ids))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FABRICS, st.integers(0, 10**6), st.integers(0, 6))
def test_the_plan_of_what_moved_is_the_plan_of_everything_or_everything_is_compared(
    drawn: Drawn, seed: int, count: int
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    remembered = units_of(site.translation().records)
    before = {model: dict(things) for model, things in site.world.things.items()}
    edits(site, seed, count)
    churn(site.cluster, drawn.seed, min(drawn.changes, 2))
    found = site.translation()
    told = moved(log_of(before, site.world.things), "a", found_by_key(found.records), found.records)
    units = set(told.units) | differing(remembered, units_of(found.records), found.unseen)
    some, less = narrow(found.records, site.world.survey(site.fabric, found), units)
    plan = compare(some, less, "a", found.complete, unseen=found.unseen)
    if told.all_of_it or too_much(plan, less, units, found.records, DeletePolicy.MARK):
        event("everything is compared")
        return
    event("only what moved is compared")
    full = compare(found.records, site.world.survey(site.fabric, found), "a", found.complete, unseen=found.unseen)
    assert (written(plan), plan.stale) == (written(full), full.stale)
    assert len(plan.first) == len(full.first)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FABRICS, st.floats(0, 1), st.integers(1, 12))
def test_what_a_run_left_is_written_part_by_part_and_ends_as_a_run_of_everything_does(
    drawn: Drawn, share: float, most: int
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    plan, actual = site.plan()
    site.world.apply(replace(plan, creates=plan.creates[: int(share * len(plan.creates))]), actual, site.fabric)
    found = site.translation()
    now = units_of(found.records)
    before = confirmed(units_of(found.records), plan, {})
    assert all(before[name].open for name in now if name.partition(":")[0] not in MODELS)
    parts_ = 0
    while names := differing(before, now, found.unseen):
        chosen = portion(names, (), found.records, most)
        assert chosen <= names
        some, less = narrow(found.records, site.world.survey(site.fabric, found), set(chosen))
        part = compare(some, less, "a", found.complete, unseen=found.unseen)
        assert too_much(part, less, names, found.records, DeletePolicy.MARK) is None
        assert site.world.apply(part, less, site.fabric) == []
        later = {name: now[name].models for name in names - chosen}
        before = confirmed(units_of(found.records), Plan(), later)
        parts_ += 1
    event(f"{min(parts_, 10)} parts")
    assert site.settled


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FABRICS, st.floats(0, 1))
def test_nothing_of_what_a_run_left_is_forgotten_when_the_fabric_changes_before_the_next(
    drawn: Drawn, share: float
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    plan, actual = site.plan()
    site.world.apply(replace(plan, creates=plan.creates[: int(share * len(plan.creates))]), actual, site.fabric)
    before = confirmed(units_of(site.translation().records), plan, {})
    churn(site.cluster, drawn.seed, 1 + drawn.changes)
    found = site.translation()
    units = set(differing(before, units_of(found.records), found.unseen))
    some, less = narrow(found.records, site.world.survey(site.fabric, found), units)
    part = compare(some, less, "a", found.complete, unseen=found.unseen)
    if too_much(part, less, units, found.records, DeletePolicy.MARK):
        event("everything is compared")
        return
    event("only what moved is compared")
    full = compare(found.records, site.world.survey(site.fabric, found), "a", found.complete, unseen=found.unseen)
    assert (written(part), part.stale) == (written(full), full.stale)
