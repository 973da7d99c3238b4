"""What holds of every pair of a fabric and a NetBox, however both were changed: one sync brings them together, and
touches nothing that is not the fabric's. Pure: what a plan makes of NetBox is a model of values (`netbox_model`)."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from functions.actual import Existing
from functions.fabric import Naming
from functions.fields import HOLD_TAG, KEY
from functions.kinds import BY_NAME
from infra.sandbox.fabric.churn import churn
from tests.functions.netbox_model import World
from tests.functions.two_sides import FABRICS, Drawn, Site, edits, of_people, other_value, put

QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@QUICK
@given(FABRICS)
def test_one_sync_makes_everything_and_the_plan_after_it_is_empty(drawn: Drawn) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    plan, _ = site.plan()
    assert (plan.creates, plan.updates, plan.stale, plan.held) == ((), (), (), ())


@QUICK
@given(FABRICS, st.integers(0, 10**6), st.integers(0, 25))
def test_whatever_changed_on_both_sides_a_sync_brings_them_together_and_keeps_what_is_peoples(
    drawn: Drawn, seed: int, count: int
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    edits(site, seed, count)
    churn(site.cluster, drawn.seed, drawn.changes)
    theirs = of_people(site.world, "a")
    assert site.settle() <= 2, "a number that a gone port had is free in the run after"
    after = of_people(site.world, "a")
    assert {id_: after[id_] for id_ in theirs if id_ in after} == {i: what for i, what in theirs.items() if i in after}


def swap(site: Site, model: str, *names: str) -> list[int]:
    """Let people exchange these fields between every two neighbours of a model, as one can by a third value."""
    world = site.world
    mine = [thing for of, thing in world.owned(site.fabric.name) if of == model]
    pairs = list(zip(mine[::2], mine[1::2], strict=False))
    for one, other in pairs:
        for thing in (one, other):
            world.forget(model, thing.id)
        for thing, source in ((one, other), (other, one)):
            values = {name: source.values[name] for name in names}
            assert world.put(model, replace(thing, values={**thing.values, **values})) is None
    return [thing.id for pair in pairs for thing in pair]


@QUICK
@given(
    FABRICS,
    st.sampled_from(
        [
            ("vlan", "vid"),
            ("vlan", "name"),
            ("device", "name"),
            ("prefix", "prefix", "vrf"),
            ("ip_address", "address", "vrf"),
            ("ip_range", "start_address", "end_address", "vrf"),
            ("cable", "a_terminations"),
            ("l2vpn", "name", "slug"),
            ("interface", "name", "device"),
        ]
    ),
)
def test_objects_that_have_one_anothers_places_change_back_in_one_sync(drawn: Drawn, what: tuple[str, ...]) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    swapped = swap(site, *what)
    before = {id_: site.world.things[what[0]][id_].custom[KEY] for id_ in swapped}
    assert site.settle() == 1
    assert {id_: site.world.things[what[0]][id_].custom[KEY] for id_ in swapped} == before


@QUICK
@given(FABRICS, st.sets(st.sampled_from(sorted(BY_NAME)), min_size=1), st.integers(0, 10**6), st.integers(0, 8))
def test_what_could_not_be_read_takes_nothing_away_and_changes_nothing_else(
    drawn: Drawn, unread: set[str], seed: int, count: int
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    edits(site, seed, count)
    churn(site.cluster, drawn.seed, drawn.changes)
    full, _ = site.plan()
    less, _ = site.plan(frozenset(unread))
    assert {(s.model, s.id) for s in less.stale} <= {(s.model, s.id) for s in full.stale}
    assert not [s for s in less.stale if s.key.split("/")[1] in unread]
    theirs = of_people(site.world, "a")
    site.sync(frozenset(unread))
    after = of_people(site.world, "a")
    gone = {s.id for s in full.stale}
    assert {id_ for id_ in theirs if id_ not in after} <= gone
    assert all(after[id_] == what for id_, what in theirs.items() if id_ in after)
    site.settle()


@QUICK
@given(FABRICS, st.sets(st.sampled_from(sorted(BY_NAME)), min_size=1))
def test_a_sync_that_could_not_read_all_of_a_fabric_that_did_not_change_writes_nothing(
    drawn: Drawn, unread: set[str]
) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    plan, _ = site.plan(frozenset(unread))
    assert (plan.creates, plan.updates, plan.stale) == ((), (), ())


def content(world: World, fabric: str) -> dict[tuple[str, int], Existing]:
    """Every object of a fabric, as it is."""
    return {(model, thing.id): thing for model, thing in world.owned(fabric)}


@QUICK
@given(FABRICS, FABRICS, st.booleans(), st.integers(0, 10**6), st.integers(0, 8))
def test_two_fabrics_in_one_netbox_never_touch_each_other(
    one: Drawn, other: Drawn, same_site: bool, seed: int, count: int
) -> None:
    world = World()
    naming = Naming.PREFIXED if same_site else Naming.PLAIN
    first = put(world, "a", one.cluster("a"), "dc" if same_site else "a", naming)
    second = put(world, "b", other.cluster("b"), "dc" if same_site else "b", naming)
    assert first.sync() == []
    made = content(world, "a")
    assert second.sync() == []
    assert content(world, "a") == made
    assert first.settled
    made = content(world, "b")
    edits(first, seed, count)
    churn(first.cluster, one.seed, one.changes)
    first.settle()
    assert content(world, "b") == made
    assert second.settled


@QUICK
@given(FABRICS, st.integers(0, 10**6))
def test_what_is_held_stays_as_people_left_it_and_nothing_else_waits_for_it(drawn: Drawn, seed: int) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    assert site.sync() == []
    chance = random.Random(seed)
    model, thing = chance.choice([*site.world.owned("a")])
    values = other_value(model, thing, chance, once=False) if model != "cable" else {"label": "by hand"}
    held = replace(thing, values={**thing.values, **values}, tags=thing.tags | {HOLD_TAG})
    if site.world.put(model, held) is None:
        plan, _ = site.plan()
        assert (plan.creates, plan.updates, plan.deletes) == ((), (), ())
        assert [update.id for update in plan.held] in ([], [thing.id])
        site.sync()
        assert site.world.things[model][thing.id] == held
