"""Compare: what counts as a difference, what is whose, and what a plan is called."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.actual import Actual
from functions.compare import compare
from functions.fields import HOLD_TAG, KEY, NAME
from functions.plan import Plan
from functions.records import MODELS, Record, Ref, Shape
from tests.held import ALL, FABRIC, changed, closed, held_by, rekeyed, small_fabric
from tests.wanted import cable, device, port

records_ = st.builds(
    lambda wanted, seed: random.Random(seed).sample(wanted, len(wanted)),
    st.lists(st.sampled_from(small_fabric()), min_size=1, unique_by=lambda record: (record.model, record.key)),
    st.integers(0, 1000),
)


@given(records_, st.integers(1, 10_000))
def test_nothing_is_to_be_done_where_netbox_holds_what_is_wanted(records: list[Record], first_id: int) -> None:
    records = closed(records)
    plan = compare(records, held_by(records, first_id), FABRIC, ALL)
    assert (len(plan), plan.held, plan.stale) == (0, (), ())
    assert sum(plan.unchanged.values()) == len(records)


@given(records_)
def test_everything_is_created_where_netbox_holds_nothing(records: list[Record]) -> None:
    plan = compare(records, Actual({name: {} for name in ALL}, {}), FABRIC, ALL)
    assert {create.record.key for create in plan.creates} == {record.key for record in records}
    assert (plan.updates, plan.held, plan.stale) == ((), (), ())


@given(records_, st.randoms(use_true_random=False), st.integers(1, 500))
def test_a_plan_has_one_digest_whatever_the_order_and_netboxs_ids(
    records: list[Record], luck: random.Random, first_id: int
) -> None:
    wanted = [*small_fabric(), port(device(FABRIC, "one"), "E1/9", label="new")]
    digests = set()
    for start in (1, first_id):
        actual = held_by(closed(records), start)
        for record in records:
            if record.model == "interface":
                changed(actual, record, lag=None, label="other", custom={KEY: "another"})
            if record.model == "cable":
                changed(actual, record, a_terminations=frozenset({77_000 + start}))
        luck.shuffle(wanted)
        digests.add(compare(wanted, actual, FABRIC, ALL).digest)
    assert len(digests) == 1


def test_plans_that_do_something_else_have_other_digests() -> None:
    records = small_fabric()
    one, cable_ = records[3], records[-1]

    def digest(wanted: list[Record], **values: Any) -> str:
        actual = held_by(records)
        if values:
            changed(actual, one, **values)
        return compare(wanted, actual, FABRIC, ALL).digest

    tagged = [
        replace(record, tags=record.tags | {"fabric-sg-lab-a"}) if record is one else record for record in records
    ]
    digests = [
        digest(records),
        digest(records, serial="other"),
        digest(records, tags={"theirs"}),
        digest(tagged),
        digest([record for record in records if record is not cable_]),
        digest([*records, device(FABRIC, "three")]),
        digest([*records, device(FABRIC, "three", serial="S3")]),
        digest([*records, replace(device(FABRIC, "three"), custom={"fabric_asn": 1})]),
        digest([*records, replace(device(FABRIC, "three"), tags=frozenset())]),
    ]
    assert len(set(digests)) == len(digests)


CHANGES = {
    "a text": ("device", {"serial": "other"}, "serial"),
    "a text that is gone": ("device", {"serial": None}, "serial"),
    "a reference": ("device", {"device_type": 12_345}, "device_type"),
    "a reference that is gone": ("interface", {"lag": None}, "lag"),
    "a choice": ("interface", {"type": "other"}, "type"),
    "a cable's end": ("cable", {"b_terminations": frozenset({12_345})}, "b_terminations"),
    "a cable without its end": ("cable", {"b_terminations": frozenset()}, "b_terminations"),
    "a custom field": ("device", {"custom": {"fabric_asn": 1}}, "fabric_asn"),
    "the owner": ("device", {"custom": {NAME: "other"}}, NAME),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_owned_field_that_differs_is_changed_alone(case: str) -> None:
    model, values, field = CHANGES[case]
    records = small_fabric()
    record = [record for record in records if record.model == model][1 if model == "device" else -1]
    actual = held_by(records)
    changed(actual, record, **values)
    plan = compare(records, actual, FABRIC, ALL)
    (update,) = plan.updates
    assert (update.record, [change.field for change in update.changes], update.tags) == (record, [field], None)
    assert (plan.creates, plan.stale, plan.held) == ((), (), ())


def test_fields_that_are_set_once_are_left_to_people() -> None:
    records = small_fabric()
    actual = held_by(records)
    for record in records:
        once = {name for name, spec in MODELS[record.model].fields.items() if spec.once}
        if not MODELS[record.model].shared:
            changed(actual, record, **dict.fromkeys(once, "what people made of it"))
    assert len(compare(records, actual, FABRIC, ALL)) == 0


def test_fields_that_a_record_does_not_name_are_left_alone() -> None:
    records = small_fabric()
    actual = held_by(records)
    changed(actual, records[3], platform=5, custom={"theirs": "x"})
    assert len(compare(records, actual, FABRIC, ALL)) == 0


@given(st.sampled_from([None, ""]), st.sampled_from([None, ""]))
def test_nothing_is_nothing_whether_empty_or_null(wanted: str | None, there: str | None) -> None:
    record = device(FABRIC, "one", serial=wanted)
    actual = held_by([record])
    changed(actual, record, serial=there)
    assert len(compare([record], actual, FABRIC, ALL)) == 0


def test_zero_and_false_are_something() -> None:
    for value in (0, False):
        record = device(FABRIC, "one", serial=value)
        actual = held_by([record])
        changed(actual, record, serial=None)
        assert len(compare([record], actual, FABRIC, ALL)) == 1


def test_a_cable_is_the_same_whichever_end_is_called_a() -> None:
    records = small_fabric()
    actual = held_by(records)
    before = actual.owned["cable"][records[-1].key].values
    changed(actual, records[-1], a_terminations=before["b_terminations"], b_terminations=before["a_terminations"])
    assert len(compare(records, actual, FABRIC, ALL)) == 0


def test_a_tag_that_is_wanted_is_merged_into_those_of_people() -> None:
    records = small_fabric()
    actual = held_by(records)
    changed(actual, records[3], tags={"theirs", f"fabric-sg-{FABRIC}-old", "fabric-sg-other-x"})
    (update,) = compare(records, actual, FABRIC, ALL).updates
    assert update.tags == {"theirs", "fabric-managed", "fabric-sg-other-x"}
    assert update.changes == ()


def test_a_tag_of_ours_that_is_the_last_one_is_taken_away() -> None:
    record = replace(device(FABRIC, "one"), tags=frozenset())
    actual = held_by([record])
    changed(actual, record, tags={f"fabric-sg-{FABRIC}-old"})
    (update,) = compare([record], actual, FABRIC, ALL).updates
    assert update.tags == frozenset()


def test_tags_of_people_alone_are_no_difference() -> None:
    records = small_fabric()
    actual = held_by(records)
    changed(actual, records[3], tags={"fabric-managed", "theirs"})
    assert len(compare(records, actual, FABRIC, ALL)) == 0


def test_an_object_with_the_hold_tag_is_told_and_not_touched() -> None:
    records = small_fabric()
    actual = held_by(records)
    changed(actual, records[3], tags={"fabric-managed", HOLD_TAG}, serial="theirs")
    changed(actual, records[4], tags={"fabric-managed", HOLD_TAG})
    plan = compare(records, actual, FABRIC, ALL)
    assert len(plan) == 0
    assert [(update.record, [change.field for change in update.changes]) for update in plan.held] == [
        (records[3], ["serial"])
    ]


def test_what_the_fabric_no_longer_has_is_stale() -> None:
    records = small_fabric()
    plan = compare(records[:-1], held_by(records), FABRIC, ALL)
    assert [(stale.model, stale.key) for stale in plan.stale] == [("cable", records[-1].key)]
    assert len(plan) == 0


@given(st.sets(st.sampled_from(sorted(ALL))))
def test_only_objects_of_models_that_were_read_to_the_end_are_stale(complete: set[str]) -> None:
    plan = compare([], held_by(small_fabric()), FABRIC, frozenset(complete))
    assert {stale.model for stale in plan.stale} == complete
    assert len(plan) == 0


def test_an_object_that_two_writers_made_twice_is_stale_once() -> None:
    records = small_fabric()
    actual = held_by(records)
    twin = replace(actual.owned["device"][records[3].key], id=5000)
    actual.owned["device"][f"{records[3].key} again, id 5000"] = twin
    plan = compare(records, actual, FABRIC, ALL)
    assert [stale.id for stale in plan.stale] == [5000]
    assert len(plan) == 0


@given(st.randoms(use_true_random=False))
def test_what_is_the_same_by_nature_keeps_its_object_and_gets_the_new_key(luck: random.Random) -> None:
    records = small_fabric()
    actual = held_by(records)
    ids = {record.key: actual.ids[Ref(record.model, record.key)] for record in records}
    wanted = [rekeyed(record, "/default/", "/moved/") for record in records]
    luck.shuffle(wanted)
    plan = compare(wanted, actual, FABRIC, ALL)
    assert (plan.creates, plan.stale) == ((), ())
    assert len(plan.updates) == sum(1 for record in records if not MODELS[record.model].shared)
    for update in plan.updates:
        assert [change.field for change in update.changes] == [KEY]
        assert update.id == ids[update.record.key.replace("/moved/", "/default/")]


def test_an_object_is_not_taken_over_by_nature_from_a_model_that_was_not_read_to_the_end() -> None:
    records = small_fabric()
    wanted = [rekeyed(record, "/default/", "/moved/") for record in records]
    plan = compare(wanted, held_by(records), FABRIC, frozenset())
    assert {create.record.key for create in plan.creates} == {
        record.key for record in wanted if not MODELS[record.model].shared
    }
    assert (plan.updates, plan.stale) == ((), ())


def test_one_object_is_taken_over_by_one_record_only() -> None:
    old = device(FABRIC, "one")
    actual = held_by([old])
    twins = [replace(old, key=f"{FABRIC}/Switch/{namespace}/one") for namespace in ("a", "b")]
    plan = compare(twins, actual, FABRIC, ALL)
    assert (len(plan.updates), len(plan.creates), plan.stale) == (1, 1, ())


def test_shared_objects_are_created_once_and_never_changed() -> None:
    records = small_fabric()
    plan = compare(records, held_by(records), FABRIC, ALL)
    assert plan.unchanged["device_type"] == 1
    lonely = held_by(records[3:])
    plan = compare(records, lonely, FABRIC, ALL)
    assert sorted(create.record.model for create in plan.creates) == ["device_role", "device_type", "manufacturer"]


def test_an_empty_plan_is_empty() -> None:
    assert len(Plan()) == 0


def ends_of(values: Mapping[str, Any]) -> set[frozenset[int]]:
    return {value for name, value in values.items() if MODELS["cable"].fields[name].shape is Shape.ENDS}


def test_a_cable_that_moves_an_end_moves_that_end_alone() -> None:
    records = small_fabric()
    ports = [record for record in records if record.model == "interface"]
    actual = held_by(records)
    moved = cable(FABRIC, "c1", ports[2], ports[1])
    before = actual.owned["cable"][moved.key].values
    assert len(ends_of(before)) == 2
    (update,) = compare([*records[:-2], moved, records[-1]], actual, FABRIC, ALL).updates
    assert [change.field for change in update.changes] == ["b_terminations"]
