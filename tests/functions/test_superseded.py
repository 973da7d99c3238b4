"""What is in the way of what the fabric has now: found among what is gone, and taken over where it can be."""

from __future__ import annotations

from functions.actual import Actual, Existing
from functions.compare import compare
from functions.fields import HOLD_TAG, KEY, NAME
from functions.plan import Change, Create, Delete, Plan, Stale, Update
from functions.records import Record, Ref, Value
from functions.superseded import superseded
from functions.waves import waves

FABRIC = "lab"
ALL = frozenset({"interface", "cable", "ip_range"})


def port(name: str, **fields: Value) -> Record:
    return Record("interface", f"{FABRIC}/Switch/default/one#{name}", {"name": name, **fields})


def cable(name: str, *ends: str) -> Record:
    a, b = ((Ref("interface", port(end).key),) for end in ends)
    return Record("cable", f"{FABRIC}/Connection/default/{name}", {"a_terminations": a, "b_terminations": b})


def held(ids: dict[str, int], cables: dict[str, tuple[str, str]], *held_by_tag: str) -> Actual:
    """NetBox with ports by name and id, and cables between them, numbered from 100."""
    actual = Actual(
        {"cable": {}, "interface": {}}, {Ref("interface", port(name).key): id_ for name, id_ in ids.items()}
    )
    for number, (name, (a, b)) in enumerate(cables.items(), 100):
        values = {"a_terminations": frozenset({ids[a]}), "b_terminations": frozenset({ids[b]})}
        key = cable(name, a, b).key
        tags = frozenset({HOLD_TAG}) if name in held_by_tag else frozenset()
        actual.owned["cable"][key] = Existing(number, values, {KEY: key, NAME: FABRIC}, tags)
        actual.ids[Ref("cable", key)] = number
    return actual


PORTS = {"p1": 1, "p2": 2, "p3": 3, "p4": 4}


def test_a_cable_that_is_gone_becomes_the_new_one_on_its_port() -> None:
    plan = compare([cable("new", "p1", "p3")], held(PORTS, {"old": ("p1", "p2")}), FABRIC, ALL)
    (update,) = plan.updates
    assert (plan.creates, plan.stale, update.id) == ((), (), 100)
    assert {change.field for change in update.changes} == {"b_terminations", KEY}


def test_the_nearest_cable_is_taken_and_the_other_is_in_the_way() -> None:
    actual = held(PORTS, {"a": ("p3", "p4"), "b": ("p1", "p2")})
    plan = compare([cable("new", "p2", "p3")], actual, FABRIC, ALL)
    assert [update.id for update in plan.updates] == [100], "both share one port: the first key"
    (stale,) = plan.stale
    assert (stale.id, superseded(plan, actual)) == (101, {stale: plan.updates[0].key})


def test_a_cable_that_people_hold_or_that_may_not_be_used_again_is_in_the_way() -> None:
    wanted = [cable("new", "p1", "p3")]
    for actual, reuse in (
        (held(PORTS, {"old": ("p1", "p2")}, "old"), True),
        (held(PORTS, {"old": ("p1", "p2")}), False),
    ):
        plan = compare(wanted, actual, FABRIC, ALL, reuse=reuse)
        assert [create.key for create in plan.creates] == [wanted[0].key]
        assert superseded(plan, actual) == {plan.stale[0]: wanted[0].key}


def test_a_cable_of_a_model_that_was_not_read_to_the_end_is_never_taken() -> None:
    plan = compare([cable("new", "p1", "p3")], held(PORTS, {"old": ("p1", "p2")}), FABRIC, frozenset())
    assert (len(plan.creates), plan.updates, plan.stale) == (1, (), ())


def test_a_cable_elsewhere_is_in_nobodys_way() -> None:
    actual = held(PORTS, {"old": ("p3", "p4")})
    plan = compare([cable("new", "p1", "p2")], actual, FABRIC, ALL)
    assert (superseded(plan, actual), len(plan.stale)) == ({}, 1)


def test_a_port_that_is_connected_without_a_cable_needs_the_old_one_gone() -> None:
    actual = held(PORTS, {"old": ("p1", "p2")})
    stale = Stale("cable", cable("old", "p1", "p2").key, 100)
    connected = Update(port("p1"), 1, (Change("mark_connected", False, True), Change("label", "", "x")))
    plan = Plan(updates=(connected,), stale=(stale,), deletes=(Delete(stale, first=True),))
    assert superseded(plan, actual) == {stale: connected.key}
    order = [(type(op).__name__, [c.field for c in getattr(op, "changes", ())]) for wave in waves(plan) for op in wave]
    assert order == [("Delete", []), ("Update", ["label"]), ("Update", ["mark_connected"])]


def span(name: str, start: str, end: str, vrf: str | None = None) -> Record:
    fields: dict[str, Value] = {"start_address": start, "end_address": end, "vrf": Ref("vrf", vrf) if vrf else None}
    return Record("ip_range", f"{FABRIC}/VPC/default/{name}", fields)


def test_ranges_that_overlap_in_one_vrf_are_in_the_way() -> None:
    old = span("old", "10.0.0.10/24", "10.0.0.20/24", "v")
    values = {"start_address": "10.0.0.10/24", "end_address": "10.0.0.20/24", "vrf": 7}
    actual = Actual({"ip_range": {old.key: Existing(1, values)}}, {Ref("vrf", "v"): 7})
    stale = Stale("ip_range", old.key, 1)

    def way(wanted: Record) -> bool:
        return bool(superseded(Plan(creates=(Create(wanted),), stale=(stale,)), actual))

    assert way(span("new", "10.0.0.20/24", "10.0.0.30/24", "v"))
    assert way(span("new", "10.0.0.1/24", "10.0.0.250/24", "v"))
    assert not way(span("new", "10.0.0.21/24", "10.0.0.30/24", "v"))
    assert not way(span("new", "10.0.0.10/24", "10.0.0.20/24"))
    assert not way(span("new", "10.0.0.10/24", "10.0.0.20/24", "another"))
    assert not way(span("new", "2001:db8::1/64", "2001:db8::9/64", "v"))


def test_deletes_go_leaf_first_and_marks_before_them() -> None:
    def delete(model: str, id_: int, *after: tuple[str, int]) -> Delete:
        return Delete(Stale(model, f"{FABRIC}/x/y/{model}{id_}", id_), frozenset(after))

    deletes = (
        delete("vrf", 1, ("interface", 1)),
        delete("device", 1, ("interface", 1), ("interface", 2), ("interface", 3)),
        delete("interface", 1, ("interface", 2)),
        delete("interface", 2, ("interface", 3)),
        delete("interface", 3, ("cable", 1)),
        delete("cable", 1),
        delete("prefix", 1),
        delete("vlan", 1, ("prefix", 1)),
    )
    mark = Update(Record("cable", "k", {}), 2, (), mark=True)
    order = [op for wave in waves(Plan(deletes=deletes, marks=(mark,), creates=(Create(port("new")),))) for op in wave]
    assert [type(op).__name__ for op in order[:3]] == ["Create", "Update", "Delete"]
    place = {(op.model, op.stale.id): at for at, op in enumerate(order) if isinstance(op, Delete)}
    assert all(place[each] < place[op.model, op.stale.id] for op in deletes for each in op.after)
