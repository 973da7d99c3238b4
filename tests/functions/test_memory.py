"""What is remembered of a fabric, by values: written down and read back, doubted wherever it was touched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.changelog import Entry, gaps, moved
from functions.memory import (
    SPREAD,
    Mark,
    Memory,
    Unit,
    against,
    confirmed,
    differing,
    due_at,
    full_hours,
    mapping_version,
    memory_of,
    units_of,
)
from functions.outcome import Result
from functions.plan import Hold, Plan, Stale, Update
from functions.records import MODELS, Record, Ref
from functions.standing import Lease, Standing

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OWNED = sorted(name for name, model in MODELS.items() if not (model.shared or model.named))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r#", exclude_categories=["C"]), min_size=1)
MODEL_SETS = st.frozensets(st.sampled_from(OWNED))
UNITS = st.dictionaries(NAMES, st.builds(Unit, st.binary(min_size=5, max_size=5), MODEL_SETS), max_size=20)
MARKS = st.builds(Mark, st.integers(1, 10**9), st.just(NOW), st.lists(st.integers(1, 10**9), max_size=5).map(tuple))
MEMORIES = st.builds(
    Memory,
    mapping=st.just(mapping_version()),
    settings=st.just("s"),
    verified_at=st.just(NOW),
    mark=MARKS,
    units=UNITS,
    stale=st.dictionaries(NAMES, MODEL_SETS, max_size=3),
    lease=st.integers(0, 99),
)
SUCCEEDED = Standing(result=Result.SUCCEEDED)


@given(MEMORIES)
def test_a_memory_comes_back_as_it_was_written(memory: Memory) -> None:
    assert memory_of(json.loads(json.dumps(memory.as_json()))) == memory


@given(MEMORIES, st.data())
def test_a_memory_of_which_anything_was_changed_is_none(memory: Memory, data: st.DataObject) -> None:
    told = memory.as_json()
    name = data.draw(st.sampled_from(sorted(told)))
    other = data.draw(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers())))
    if told[name] != other:
        assert memory_of({**told, name: other}) is None
    assert memory_of({key: value for key, value in told.items() if key != name}) is None


@pytest.mark.parametrize("value", [None, "", "x", 3, [], {}, {"sum": 1}, [{"sum": ""}]])
def test_what_is_no_memory_is_none(value: Any) -> None:
    assert memory_of(value) is None


RECORD = Record("vlan", "f/VPC/default/v#vlan", {"vid": 5, "group": Ref("vlan_group", "g")}, {"a": [1]}, frozenset("t"))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECORD, fields={**RECORD.fields, "vid": 6}),
        replace(RECORD, fields={**RECORD.fields, "group": Ref("vlan_group", "h")}),
        replace(RECORD, fields={"vid": 5}),
        replace(RECORD, custom={"a": [2]}),
        replace(RECORD, tags=frozenset()),
        replace(RECORD, key="f/VPC/default/v#other"),
        replace(RECORD, model="vrf"),
    ],
)
def test_a_unit_of_which_any_record_differs_differs(other: Record) -> None:
    assert differing(units_of([RECORD]), units_of([other]), frozenset()) == {"f/VPC/default/v"}
    assert differing(units_of([RECORD]), units_of([RECORD]), frozenset()) == frozenset()


def test_what_is_of_a_kind_that_was_not_seen_is_not_gone() -> None:
    assert differing(units_of([RECORD]), {}, frozenset({"VPC"})) == frozenset()
    assert differing(units_of([RECORD]), {}, frozenset({"Switch"})) == {"f/VPC/default/v"}


MEMORY = Memory(mapping_version(), "s", NOW, Mark(1, NOW), lease=4)
HELD = Lease(4, "run", "r", "t", NOW - timedelta(hours=2), NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    ("memory", "standing", "settings", "hours", "later"),
    [
        (replace(MEMORY, mapping="older"), SUCCEEDED, "s", 24, 1),
        (MEMORY, SUCCEEDED, "other", 24, 1),
        (MEMORY, Standing(), "s", 24, 1),
        *((MEMORY, Standing(result=result), "s", 24, 1) for result in Result if result is not Result.SUCCEEDED),
        (MEMORY, replace(SUCCEEDED, lease=HELD), "s", 24, 1),
        (MEMORY, SUCCEEDED, "s", 24, 24),
        (MEMORY, SUCCEEDED, "s", 0, 0),
        (MEMORY, SUCCEEDED, "s", 24, -1),  # verified in the future: somebody's clock was wrong
    ],
)
def test_everything_is_compared_where_the_memory_cannot_be_relied_on(
    memory: Memory, standing: Standing, settings: str, hours: int, later: float
) -> None:
    assert against(memory, standing, settings, hours, "f", NOW + timedelta(hours=later))


def test_a_chain_goes_on_with_what_its_last_run_remembered_and_with_nothing_older() -> None:
    cut = Standing(result=Result.CONTINUED, lease=Lease(4))
    assert against(MEMORY, SUCCEEDED, "s", 24, "f", NOW) is None
    assert against(MEMORY, cut, "s", 24, "f", NOW) is None
    assert against(MEMORY, replace(cut, lease=Lease(5)), "s", 24, "f", NOW)


@given(st.text(min_size=1), st.integers(0, 1000))
def test_a_full_comparison_is_due_within_its_hours_and_never_long_before(fabric: str, hours: int) -> None:
    length = timedelta(hours=hours)
    assert NOW + length * (1 - SPREAD) <= due_at(NOW, hours, fabric) <= NOW + length


@pytest.mark.parametrize(("value", "hours"), [(None, 24), ("", 24), (True, 24), (6, 6), (0, 0), (-3, 0)])
def test_hours_that_make_no_sense_are_the_usual_ones_or_every_run(value: Any, hours: int) -> None:
    assert full_hours({"fabric_full_hours": value}) == hours


def entry(type_: str, before: Any = None, after: Any = None, action: str = "update") -> Entry:
    return Entry(1, type_, 7, action, "r", before or {}, after or {})


def owned(key: str | None = RECORD.key, name: str | None = "f", **custom: Any) -> dict[str, Any]:
    return {"custom_fields": {"fabric_key": key, "fabric_name": name, **custom}}


WANTED = frozenset({Ref("tag", "fabric-managed"), Ref("asn", "65000"), Ref("config_context", "fabric-f")})
PORT = Record("interface", "f/Switch/default/s#p", {"untagged_vlan": Ref("vlan", RECORD.key)})


@pytest.mark.parametrize(
    ("one", "units"),
    [
        (entry("ipam.vlan", owned(), owned()), {"f/VPC/default/v"}),
        (entry("ipam.vlan", owned(), owned(name=None)), {"f/VPC/default/v"}),
        (entry("ipam.vlan", owned(None, None), owned()), {"f/VPC/default/v"}),
        (entry("ipam.vlan", owned(), {}, "delete"), {"f/VPC/default/v", "f/Switch/default/s"}),
        (entry("ipam.vlan", owned(), owned("f/VPC/default/w")), {"f/VPC/default/v", "f/VPC/default/w"}),
        (entry("ipam.vlan", owned(name="g"), owned(name="g")), set()),
        (entry("ipam.vlan", owned(None, None), owned(None, None)), set()),
        (entry("ipam.vrf", owned(fabric_memory={"a": 1}), owned(fabric_memory={"b": 2})), set()),
        (entry("ipam.vrf", owned(fabric_memory=1), owned(fabric_memory=2, theirs=1)), {"f/VPC/default/v"}),
        (entry("ipam.asn", {"asn": 65000}, {"asn": 65000}), {"asn:65000"}),
        (entry("ipam.asn", {"asn": 65001}, {"asn": 65001}), set()),
        (entry("extras.configcontext", {"name": "fabric-f"}, {"name": "x"}), {"config_context:fabric-f"}),
        (entry("extras.customfield", {}, {"name": "theirs"}, "create"), set()),
        (entry("virtualization.cluster"), set()),
        (entry("circuits.circuit"), set()),
    ],
)
def test_each_row_of_the_log_moves_the_units_that_it_may_concern(one: Entry, units: set[str]) -> None:
    found = moved([one], "f", WANTED, [RECORD, PORT])
    assert (found.all_of_it, set(found.units)) == (None, units)


@pytest.mark.parametrize(
    "one",
    [
        entry("extras.tag", {"slug": "fabric-managed"}, {"slug": "renamed"}),
        entry("extras.tag", {"slug": "fabric-managed"}, {}, "delete"),
        entry("extras.customfield", {"name": "fabric_key"}, {}, "delete"),
        entry("ipam.vlan", owned("nobody's"), owned("nobody's")),
        entry("ipam.vlan", owned(None), owned(None)),
    ],
)
def test_what_reaches_further_than_its_own_object_makes_a_run_compare_everything(one: Entry) -> None:
    assert moved([one], "f", WANTED, [RECORD]).all_of_it


@given(st.sets(st.integers(1, 60)), st.integers(1, 30), st.integers(0, 30))
def test_an_id_is_either_seen_or_asked_for_again(seen: set[int], after: int, more: int) -> None:
    missing = gaps(seen, after, after + more)
    assert not seen.intersection(missing)
    assert set(range(after + 1, after + more + 1)) <= seen | set(missing)


def test_what_is_gone_and_neither_marked_nor_waiting_is_looked_at_again() -> None:
    cable = Stale("cable", "f/Connection/default/c#leaf-1/E1/1", 7)
    for left in (
        Plan(stale=(cable,), holds=(Hold((cable,), "too much is gone at once"),)),
        Plan(stale=(cable,), marks=(Update(Record("cable", cable.key, {}), 7, (), mark=True),)),
    ):
        unit = confirmed({}, left, {})["f/Connection/default/c"]
        assert (unit.open, unit.models) == (True, frozenset({"cable"}))
    assert confirmed({}, Plan(stale=(cable,), waiting=(cable,)), {}) == {}
