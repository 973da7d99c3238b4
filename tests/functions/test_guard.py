"""The guard: what it never lets pass, whatever is gone; and the capability to delete that it alone hands out."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.actual import Actual, Existing
from functions.compare import compare
from functions.fabric import DeletePolicy, Deletion
from functions.fields import HOLD_TAG, KEY, NAME, STALE_RUN, STALE_SINCE, STALE_TAG
from functions.guard import MOST_OBJECTS, MOST_SHARE, Verdict, judge_stale, marks, permit, release_mark, source_of
from functions.needs import TARGETS, blocked, parts, users
from functions.plan import Change, Delete, Plan, Stale, Update
from functions.records import MODELS, Record, Shape
from infra.deadline import Deadline
from infra.netbox import DeletePermit, NetBox, UnpermittedDeleteError

ROOT = Path(__file__).resolve().parents[2]
FABRIC = "lab"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KINDS = {"Switch": "device", "Server": "device", "Connection": "cable", "VPC": "vrf"}


def marked(hours: float, run: int = 0) -> dict[str, Any]:
    return {STALE_SINCE: (NOW - timedelta(hours=hours)).isoformat(), STALE_RUN: run}


def existing(id_: int, key: str, *tags: str, fabric: str = FABRIC, **custom: Any) -> Existing:
    return Existing(id_, {}, {KEY: key, NAME: fabric, **custom}, frozenset(tags))


def fabric_of(counts: Mapping[str, int], **custom: Any) -> dict[str, dict[str, Existing]]:
    """What NetBox holds: so many objects of each kind, all with the same marks."""
    owned: dict[str, dict[str, Existing]] = {}
    id_ = 0
    for kind, count in counts.items():
        for number in range(count):
            id_ += 1
            key = f"{FABRIC}/{kind}/default/{kind.lower()}-{number}"
            tags = (STALE_TAG,) if custom else ()
            owned.setdefault(KINDS[kind], {})[key] = existing(id_, key, *tags, **custom)
    return owned


def gone(owned: Mapping[str, Mapping[str, Existing]], kind: str, count: int) -> tuple[Stale, ...]:
    found = [(key, one) for key, one in owned[KINDS[kind]].items() if f"/{kind}/" in key]
    return tuple(Stale(KINDS[kind], key, one.id) for key, one in found[:count])


def held(verdict: Verdict) -> set[Stale]:
    return {stale for hold in verdict.holds for stale in hold.stale}


DELETING = Deletion(DeletePolicy.DELETE, runs=10)

existing_ = st.builds(
    lambda kind, number, part, fabric, name, tags, since, run: (
        KINDS[kind],
        f"{fabric}/{kind}/default/{number}{part}",
        name,
        frozenset(tags),
        {STALE_SINCE: since and (NOW - timedelta(hours=since)).isoformat(), STALE_RUN: run},
    ),
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 60),
    st.sampled_from(["", "#a", "#b"]),
    st.sampled_from([FABRIC, FABRIC, FABRIC, "other", ""]),
    st.sampled_from([FABRIC, FABRIC, FABRIC, "other", None]),
    st.sets(st.sampled_from([HOLD_TAG, STALE_TAG, "theirs"])),
    st.sampled_from([None, 1, 23, 25, 1000]),
    st.integers(0, 12),
)
deletions = st.builds(
    Deletion,
    st.sampled_from(DeletePolicy),
    st.integers(0, 4),
    st.sampled_from([timedelta(0), timedelta(hours=24)]),
    st.integers(0, 12),
)


@given(st.lists(existing_, max_size=80), st.data(), deletions)
def test_whatever_is_gone_only_what_may_go_is_let_go(drawn: list[Any], data: st.DataObject, deletion: Deletion) -> None:
    owned: dict[str, dict[str, Existing]] = {}
    for id_, (model, key, name, tags, custom) in enumerate(drawn, 1):
        owned.setdefault(model, {})[key] = Existing(id_, {}, {KEY: key, NAME: name, **custom}, tags)
    everything = [Stale(model, key, one.id) for model, objects in owned.items() for key, one in objects.items()]
    stale = data.draw(st.lists(st.sampled_from(everything), unique=True)) if everything else []
    urgent = dict.fromkeys(data.draw(st.lists(st.sampled_from(stale), unique=True)) if stale else [], "another")
    verdict = judge_stale(stale, owned, FABRIC, deletion, now=NOW, urgent=urgent)
    told = Counter([*verdict.mark, *verdict.delete, *verdict.waiting, *held(verdict)])
    assert told == Counter(stale), "each has one fate"
    for one in (*verdict.mark, *verdict.delete, *verdict.waiting):
        object_ = owned[one.model][one.key]
        assert one.key.startswith(f"{FABRIC}/")
        assert object_.custom[NAME] == FABRIC
        assert HOLD_TAG not in object_.tags
        assert deletion.policy is not DeletePolicy.NEVER
    for one in verdict.delete:
        custom = owned[one.model][one.key].custom
        assert deletion.policy is DeletePolicy.DELETE
        if one not in urgent:
            assert NOW - datetime.fromisoformat(custom[STALE_SINCE]) >= deletion.grace
            assert deletion.runs + 1 - custom[STALE_RUN] >= deletion.grace_runs
    living = {source_of(s.key, FABRIC) for s in everything if s not in stale}
    ours = {source for s in everything if (source := source_of(s.key, FABRIC))}
    for some in (verdict.mark, verdict.delete):
        lost = {source_of(s.key, FABRIC) for s in some} - living
        for kind in KINDS:
            count, total = (sum(each is not None and each.kind == kind for each in of) for of in (lost, ours))
            assert count <= MOST_OBJECTS or count <= MOST_SHARE * total
            assert kind != "Switch" or not count or any(each and each.kind == kind for each in living)
    if deletion.policy is not DeletePolicy.DELETE:
        assert not verdict.counting


@given(st.sets(st.sampled_from(["device", "cable", "vrf"])))
def test_what_was_not_read_to_the_end_is_never_judged(complete: set[str]) -> None:
    owned = fabric_of({"Switch": 2, "Server": 3, "Connection": 4, "VPC": 5}, **marked(1000))
    plan = compare([], Actual(owned, {}), FABRIC, frozenset(complete))
    verdict = judge_stale(plan.stale, owned, FABRIC, DELETING, now=NOW)
    assert {one.model for one in (*verdict.mark, *verdict.delete, *verdict.waiting, *held(verdict))} <= complete


@pytest.mark.parametrize(
    ("total", "count", "stopped"), [(200, 51, True), (200, 50, False), (26, 26, True), (25, 25, False)]
)
def test_more_than_25_and_more_than_a_quarter_is_a_mass(total: int, count: int, stopped: bool) -> None:
    for custom in ({}, marked(1000)):
        owned = fabric_of({"Server": total}, **custom)
        stale = gone(owned, "Server", count)
        verdict = judge_stale(stale, owned, FABRIC, DELETING, now=NOW)
        assert held(verdict) == (set(stale) if stopped else set())
        if not stopped:
            continue
        (hold,) = verdict.holds
        assert hold.release is not None
        released = Deletion(DeletePolicy.DELETE, runs=10, release=frozenset({hold.release}))
        verdict = judge_stale(stale, owned, FABRIC, released, now=NOW)
        assert set(verdict.delete if custom else verdict.mark) == set(stale)
        assert verdict.released == {"Server": NOW}


def test_a_release_is_good_for_what_it_was_given_for_and_for_the_rest_of_it() -> None:
    owned = fabric_of({"Server": 60}, **marked(30))
    stale = gone(owned, "Server", 40)
    (hold,) = judge_stale(stale, owned, FABRIC, DELETING, now=NOW).holds
    given_ = Deletion(DeletePolicy.DELETE, runs=10, release=frozenset({hold.release or ""}))
    more = gone(owned, "Server", 41)
    assert held(judge_stale(more, owned, FABRIC, given_, now=NOW)) == set(more), "one more is another mass"
    until = judge_stale(stale, owned, FABRIC, given_, now=NOW).released
    later = Deletion(DeletePolicy.DELETE, runs=10, released=until)
    assert set(judge_stale(stale[10:], owned, FABRIC, later, now=NOW).delete) == set(stale[10:]), "some went already"


def test_all_switches_at_once_hold_everything_that_is_gone() -> None:
    owned = fabric_of({"Switch": 2, "Connection": 3, "VPC": 1})
    stale = (*gone(owned, "Switch", 2), *gone(owned, "Connection", 3))
    (hold,) = judge_stale(stale, owned, FABRIC, DELETING, now=NOW).holds
    assert (set(hold.stale), hold.reason) == (set(stale), "all 2 Switch objects are gone")
    assert not judge_stale(stale[1:], owned, FABRIC, DELETING, now=NOW).holds, "one is left"
    kept, *rest = stale
    owned["device"][kept.key] = replace(owned["device"][kept.key], tags=frozenset({HOLD_TAG}))
    holds = {hold.reason: set(hold.stale) for hold in judge_stale(stale, owned, FABRIC, DELETING, now=NOW).holds}
    assert holds == {f"tagged {HOLD_TAG}": {kept}, "all 2 Switch objects are gone": set(rest)}, "that one is gone, too"


def test_a_part_that_is_gone_counts_nothing_while_its_object_is_there() -> None:
    key = f"{FABRIC}/Switch/default/one"
    ports = {f"{key}#E1/{number}": existing(number + 2, f"{key}#E1/{number}") for number in range(60)}
    owned = {"device": {key: existing(1, key)}, "interface": ports}
    stale = [Stale("interface", port, one.id) for port, one in ports.items()]
    assert set(judge_stale(stale, owned, FABRIC, DELETING, now=NOW).mark) == set(stale)


def test_a_kind_that_is_no_longer_offered_is_marked_and_not_deleted_unless_a_person_says_so() -> None:
    owned = fabric_of({"VPC": 9}, **marked(1000))
    (one,) = gone(owned, "VPC", 1)
    (hold,) = judge_stale([one], owned, FABRIC, DELETING, now=NOW, absent={"VPC"}).holds
    assert hold.reason == "the fabric no longer offers the kind VPC"
    released = Deletion(DeletePolicy.DELETE, runs=10, release=frozenset({hold.release or ""}))
    assert judge_stale([one], owned, FABRIC, released, now=NOW, absent={"VPC"}).delete == (one,)
    fresh = fabric_of({"VPC": 9})
    assert judge_stale([one], fresh, FABRIC, DELETING, now=NOW, absent={"VPC"}).mark == (one,)


@pytest.mark.parametrize(
    ("hours", "run", "runs", "over"), [(24, 0, 2, True), (23.9, 0, 9, False), (99, 0, 1, False), (99, 8, 10, True)]
)
def test_the_grace_is_over_after_so_many_runs_and_so_much_time(hours: float, run: int, runs: int, over: bool) -> None:
    owned = fabric_of({"VPC": 9}, **marked(hours, run))
    (one,) = gone(owned, "VPC", 1)
    verdict = judge_stale([one], owned, FABRIC, Deletion(DeletePolicy.DELETE, runs=runs), now=NOW)
    assert (verdict.delete, verdict.waiting) == (((one,), ()) if over else ((), (one,)))
    assert verdict.counting == (not over and runs - run < 3)


def test_a_mark_says_since_when_and_keeps_the_tags_and_a_mark_that_lost_its_tag_gets_it_again() -> None:
    key = f"{FABRIC}/VPC/default/one"
    owned = {"vrf": {key: existing(1, key, "theirs")}}
    (update,) = marks([Stale("vrf", key, 1)], owned, now=NOW, runs=4)
    assert update.mark
    assert update.tags == {"theirs", STALE_TAG}
    assert {change.field: change.after for change in update.changes} == {
        STALE_SINCE: "2026-03-02T12:00:00Z",
        STALE_RUN: 4,
    }
    owned = {"vrf": {key: existing(1, key, "theirs", **marked(5))}}
    assert judge_stale([Stale("vrf", key, 1)], owned, FABRIC, Deletion(), now=NOW).mark == (Stale("vrf", key, 1),)
    (update,) = marks([Stale("vrf", key, 1)], owned, now=NOW, runs=4)
    assert (update.changes, update.tags) == ((), {"theirs", STALE_TAG})


def test_release_marks_tell_fabrics_and_sources_apart() -> None:
    sources = [source_of(f"{FABRIC}/VPC/default/{name}", FABRIC) for name in "ab"]
    given_ = [source for source in sources if source]
    found = {release_mark(FABRIC, given_), release_mark("other", given_), release_mark(FABRIC, given_[:1])}
    assert len(found) == 3
    assert release_mark(FABRIC, reversed(given_)) in found


# What needs what


def test_every_reference_between_our_own_models_is_known() -> None:
    shared = {"device_type", "role", "platform", "site", "cluster", "rir", "manufacturer", "scope", "sites", "asns"}
    for name, model in MODELS.items():
        if not (model.shared or model.named):
            fields = {f for f, spec in model.fields.items() if spec.shape in (Shape.REF, Shape.REFS)}
            assert fields <= TARGETS.keys() | shared, name


def rows() -> dict[str, dict[str, Existing]]:
    """A device with a LAG, a port in it with an address, and a VRF of that address."""
    return {
        "vrf": {"v": Existing(1, {})},
        "device": {"d": Existing(1, {"primary_ip4": 1})},
        "interface": {"lag": Existing(1, {"device": 1}), "p": Existing(2, {"device": 1, "lag": 1})},
        "ip_address": {"a": Existing(1, {"vrf": 1, "assigned_object": ("dcim.interface", 2)})},
    }


def test_nothing_goes_that_something_that_stays_needs() -> None:
    used = users(rows())
    vrf, device = Stale("vrf", "v", 1), Stale("device", "d", 1)
    lag, port, address = Stale("interface", "lag", 1), Stale("interface", "p", 2), Stale("ip_address", "a", 1)
    assert blocked([vrf, device, lag, port, address], used, ()) == {}
    assert set(blocked([vrf, device, lag, port], used, ())) == {vrf, device, lag, port}
    assert set(blocked([address], used, ())) == {address}, "it is the primary address of a device that stays"
    lets_go = Update(Record("device", "d", {}), 1, (Change("primary_ip4", 1, None),))
    assert blocked([address], used, (lets_go,)) == {}


def test_what_goes_first_is_what_needs_it_but_for_what_was_set_last() -> None:
    used = users(rows())
    assert parts(("device", 1), used) == {("interface", 1), ("interface", 2)}
    assert parts(("interface", 1), used) == {("interface", 2)}
    assert parts(("ip_address", 1), used) == frozenset()


# The capability


def test_the_permit_names_what_is_proved_to_be_ours_and_nothing_else() -> None:
    keys = [f"{FABRIC}/VPC/default/{name}" for name in ("mine", "held", "named", "renumbered")]
    owned = {
        "vrf": {
            keys[0]: existing(1, keys[0]),
            keys[1]: existing(2, keys[1], HOLD_TAG),
            keys[2]: existing(3, keys[2], fabric="other"),
            keys[3]: existing(4, keys[3]),
            "other/VPC/default/x": existing(5, "other/VPC/default/x"),
        }
    }
    asked = [*zip(keys, (1, 2, 3, 44), strict=True), ("other/VPC/default/x", 5), ("unknown", 6)]
    deletes = [Delete(Stale("vrf", key, id_)) for key, id_ in asked]
    assert permit(deletes, owned, FABRIC).objects == {("ipam/vrfs", 1)}


ATTACKS: dict[str, tuple[str, list[int], Any]] = {
    "another id": ("ipam/vrfs", [2], DeletePermit(frozenset({("ipam/vrfs", 1)}))),
    "one too many": ("ipam/vrfs", [1, 2], DeletePermit(frozenset({("ipam/vrfs", 1)}))),
    "the same id elsewhere": ("dcim/devices", [1], DeletePermit(frozenset({("ipam/vrfs", 1)}))),
    "nothing at all": ("ipam/vrfs", [], DeletePermit(frozenset({("ipam/vrfs", 1)}))),
    "an empty permit": ("ipam/vrfs", [1], DeletePermit(frozenset())),
    "no permit": ("ipam/vrfs", [1], None),
    "something like a permit": ("ipam/vrfs", [1], type("Permit", (), {"objects": {("ipam/vrfs", 1)}})()),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_delete_that_no_permit_covers_is_refused_before_anything_is_sent(attack: str) -> None:
    path, ids, given_ = ATTACKS[attack]
    with NetBox("http://127.0.0.1:9", "0" * 40, Deadline.after(5)) as netbox:
        with pytest.raises(UnpermittedDeleteError):
            netbox.delete(path, ids, given_)
        assert netbox.requests == 0


def makes_permits(tree: ast.Module) -> bool:
    """Whether a file could make a permit: it calls the class, or knows it by another name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "DeletePermit":
            return True
        if isinstance(node, ast.alias) and node.name == "DeletePermit" and node.asname:
            return True
        if isinstance(node, ast.ClassDef) and any("DeletePermit" in ast.unparse(base) for base in node.bases):
            return True
    return False


def test_only_the_guard_makes_permits() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for floor in ("functions", "infra", "bench")
        for path in (ROOT / floor).rglob("*.py")
        if makes_permits(ast.parse(path.read_text("utf-8")))
    }
    assert makers == {"functions/guard.py"}


def test_only_the_applier_deletes_and_nothing_but_the_permitted_way() -> None:
    def sends(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "delete" and "netbox" in ast.unparse(node.value)

    senders = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "functions").rglob("*.py")
        if any(map(sends, ast.walk(ast.parse(path.read_text("utf-8")))))
    }
    assert senders == {"functions/apply.py"}


def test_a_plan_with_marks_and_deletes_has_another_digest() -> None:
    one = Stale("vrf", f"{FABRIC}/VPC/default/one", 1)
    mark = Update(Record("vrf", one.key, {}), 1, (), mark=True)
    plans = [Plan(stale=(one,)), Plan(stale=(one,), marks=(mark,)), Plan(stale=(one,), deletes=(Delete(one),))]
    assert len({plan.digest for plan in plans}) == 3
    assert Plan(stale=(one,), later=(one,)).digest == plans[2].digest
    assert [len(plan) for plan in plans] == [0, 1, 1]
