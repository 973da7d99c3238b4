"""Whose turn it is: every operation goes once, after all that it needs, and never beside what it would wait for."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from functions.operations import Operation, needs
from functions.plan import Change, Create, Delete, Plan, Stale, Update
from functions.records import Record, Ref
from functions.turns import Turns
from functions.waves import waves
from tests.wanted import SHARED, cable, device, port


def fabric(counts: list[int], chance: random.Random) -> list[Record]:
    """Shared records, devices with that many ports each (some in a LAG), a prefix for each, and cables."""
    records, before = list(SHARED), None
    for number, count in enumerate(counts):
        box = device("lab", f"d{number}")
        lag = port(box, "lag", type="lag")
        ports = [
            port(box, f"p{at}", lag=Ref("interface", lag.key)) if at % 2 else port(box, f"p{at}") for at in range(count)
        ]
        vrf = Record("vrf", f"lab/VPC/default/v{number % 2}", {"name": f"v{number % 2}"})
        records += [vrf] * (number < 2)
        prefix = {"prefix": f"10.0.{number}.0/24", "vrf": Ref("vrf", vrf.key)}
        records += [box, lag, *ports, Record("prefix", f"lab/VPC/default/v{number % 2}#{number}", prefix)]
        if before and ports:
            records.append(cable("lab", f"c{number}", before, ports[0]))
        before = ports[-1] if len(ports) > 1 else None
    chance.shuffle(records)
    return records


def touched(op: Operation) -> set[tuple[str, object]]:
    """What NetBox locks for the length of the request (its own code, not ours)."""
    if not isinstance(op, Create):
        return set()
    fields = op.record.fields
    parents = {"interface": "device", "device": "device_type", "prefix": "vrf"}
    return {(op.model, fields[parents[op.model]])} if op.model in parents else set()


def walk(plan: Plan, chance: random.Random, at_once: int, size: int, split: float = 0.0) -> list[list[Operation]]:
    """Hand a plan out, let batches land in any order, send parts of some again; the batches as they were sent."""
    order = {id(op): number for number, wave in enumerate(waves(plan)) for op in wave}
    coming = {Ref(op.model, op.key) for op in plan.creates}
    turns, there, flying, sent = Turns(waves(plan)), set[Ref](), list[list[Operation]](), list[list[Operation]]()

    def waits(op: Operation) -> bool:
        return not isinstance(op, Delete) and any(ref in coming and ref not in there for ref in needs(op))

    while not turns.over or flying:
        while len(flying) < at_once and (batch := turns.next(flying, waits, lambda op: size)):
            assert len({(op.model, type(op)) for op in batch}) == 1
            assert not any(map(waits, batch))
            held = {each for other in flying for op in other for each in touched(op)}
            assert not held & {each for op in batch for each in touched(op)}
            for op in batch:
                # An operation that frees or takes a place is alone with its wave.
                if not isinstance(op, Create):
                    assert all(order[id(other)] == order[id(op)] for some in flying for other in some)
                if isinstance(op, Delete):
                    assert not flying
            flying.append(batch)
            sent.append(list(batch))
        assert flying, "nothing is on its way, and nothing may go"
        batch = flying.pop(chance.randrange(len(flying)))
        if len(batch) > 1 and chance.random() < split:
            turns.again(batch[: len(batch) // 2])
            turns.again(batch[len(batch) // 2 :])
            sent.remove(batch) if batch in sent else None
        else:
            there |= {Ref(op.model, op.key) for op in batch if isinstance(op, Create)}
    return sent


PLANS = st.lists(st.integers(0, 30), min_size=1, max_size=7)
LUCK = st.randoms(use_true_random=False)


@given(PLANS, LUCK, st.integers(1, 6), st.integers(1, 40), st.floats(0, 0.5))
def test_every_operation_goes_once_after_all_it_needs_and_beside_nothing_it_would_wait_for(
    counts: list[int], chance: random.Random, at_once: int, size: int, split: float
) -> None:
    records = fabric(counts, chance)
    known = {id(record) for record in records if chance.random() < 0.2 and record.model in ("interface", "cable")}
    updates = tuple(
        Update(record, number, (Change("label", "a", "b"),))
        for number, record in enumerate(records)
        if id(record) in known
    )
    stale = tuple(Stale("cable", f"lab/Connection/default/old{at}", 1000 + at) for at in range(chance.randrange(4)))
    creates = tuple(Create(record) for record in records if id(record) not in known)
    plan = Plan(creates, updates, deletes=tuple(Delete(each, first=chance.random() < 0.5) for each in stale))
    sent = walk(plan, chance, at_once, size, split)
    handed = [id(op) for batch in sent for op in batch]
    assert sorted(handed) == sorted(id(op) for op in (*plan.creates, *plan.updates, *plan.deletes))


@given(PLANS, LUCK, st.integers(1, 6))
def test_one_at_a_time_takes_as_few_requests_as_there_can_be(
    counts: list[int], chance: random.Random, size: int
) -> None:
    plan = Plan(tuple(Create(record) for record in fabric(counts, chance)))
    sent = walk(plan, chance, 1, size * 10)
    assert len(sent) == sum(-(-len(wave) // (size * 10)) for wave in waves(plan))


@given(PLANS, LUCK, st.integers(2, 6), st.integers(20, 60))
def test_more_at_once_takes_few_more(counts: list[int], chance: random.Random, at_once: int, size: int) -> None:
    plan = Plan(tuple(Create(record) for record in fabric(counts, chance)))
    # A batch is cut short where a worker of NetBox would have nothing to do: once for each that lands, at the worst.
    fewest = sum(-(-len(wave) // size) for wave in waves(plan))
    assert len(walk(plan, chance, at_once, size)) <= fewest + len(plan) // 20 + len(counts) + 1


@given(PLANS.filter(any), LUCK, st.integers(1, 40))
def test_beside_a_request_that_hangs_all_goes_but_what_needs_its_rows(
    counts: list[int], chance: random.Random, size: int
) -> None:
    plan = Plan(tuple(Create(record) for record in fabric(counts, chance)))
    coming = {Ref(op.model, op.key) for op in plan.creates}
    turns, there, landed = Turns(waves(plan)), set[Ref](), list[Operation]()

    def waits(op: Operation) -> bool:
        return any(ref in coming and ref not in there for ref in needs(op))

    def land(batch: list[Operation]) -> None:
        landed.extend(batch)
        there.update(Ref(op.model, op.key) for op in batch)

    for _ in range(chance.randrange(6)):
        land(turns.next([], waits, lambda op: size))
    hangs = turns.next([], waits, lambda op: size)
    while hangs and (batch := turns.next([hangs], waits, lambda op: size, eager=True)):
        land(batch)
    held = {each for op in hangs for each in touched(op)}
    for op in plan.creates:
        assert op in landed or op in hangs or held & touched(op) or waits(op)


def test_what_takes_a_name_waits_until_the_wave_that_gives_it_up_has_landed() -> None:
    box = device("lab", "d")
    old, new = port(box, "p1"), port(box, "p2")
    turns = Turns(waves(Plan((Create(new),), (Update(old, 1, (Change("name", "p2", "p1"),)),))))
    first = turns.next([], lambda op: False, lambda op: 10)
    assert [type(op) for op in first] == [Update]
    assert turns.next([first], lambda op: False, lambda op: 10) == []
    assert [type(op) for op in turns.next([], lambda op: False, lambda op: 10)] == [Create]


def test_what_there_is_no_time_for_stays_while_cheaper_kinds_go() -> None:
    box = device("lab", "d")
    a, b = port(box, "a"), port(box, "b")
    address = Record("ip_address", "lab/Switch/default/d#ip", {"address": "10.0.0.1/32"})
    turns = Turns(waves(Plan(tuple(map(Create, (a, b, address))))))
    assert turns.next([], lambda op: False, lambda op: 0 if op.model == "interface" else 5)[0].model == "ip_address"
    assert turns.next([], lambda op: False, lambda op: 0) == []
    assert not turns.over


def test_a_missing_reference_that_nothing_will_bring_does_not_stop_the_rest() -> None:
    lost = replace(port(device("lab", "d"), "a"))
    turns = Turns(waves(Plan((Create(lost),))))
    assert turns.next([], lambda op: True, lambda op: 5) == [Create(lost)]
