"""A plan that somebody agreed to: what makes it another one, what moved, and what is left after a part is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.agreed import moved, rest
from functions.applied import Applied
from functions.drift import Drift
from functions.ending import outcome_of
from functions.events import SyncRequest
from functions.facts import Facts
from functions.fields import KEY
from functions.plan import Change, Create, Delete, Plan, Stale, Update, digest_of
from functions.putback import mended
from functions.records import Record, Ref
from functions.run import Run
from functions.waves import Operation, parts, waves
from infra.deadline import Deadline
from infra.secrets import DirectorySecrets

DEVICE = Ref("device", "a/Switch/d/s1")
ADDRESS = Ref("ip_address", "a/Switch/d/s1#ip")


def device(key: str, **fields: str | Ref) -> Record:
    return Record("device", key, {"name": key, **fields})


def edited(field: str, before: object, drift: Drift, number: int = 7) -> Update:
    return Update(device(DEVICE.key, serial="S1"), number, (Change(field, before, "S1", drift),))


def operations_of(plan: Plan) -> list[Operation]:
    return [*(op for _, op in parts(plan)), *plan.marks, *plan.deletes]


STALE = tuple(Stale("cable", f"a/Connection/d/c{at}", at + 1) for at in range(4))
WHOLE = Plan(
    creates=(Create(device(DEVICE.key, primary_ip4=ADDRESS)), Create(device("a/Switch/d/s2"))),
    updates=(
        Update(
            device("a/Switch/d/s3", serial="S3", primary_ip4=ADDRESS),
            3,
            (Change("serial", "old", "S3"), Change("primary_ip4", None, 12)),
            frozenset({"fabric-managed"}),
        ),
        Update(device("a/Switch/d/s4", primary_ip4=ADDRESS), 4, (Change("primary_ip4", 5, 12),)),
    ),
    stale=STALE,
    marks=(Update(Record("cable", STALE[0].key, {}), STALE[0].id, (), mark=True),),
    deletes=(Delete(STALE[1]), Delete(STALE[2])),
    later=(STALE[3],),
)


def test_the_digest_is_that_of_the_operations_whatever_their_order_ids_and_drift() -> None:
    plan = Plan(updates=(edited("serial", "x", Drift.UNKNOWN),), stale=STALE)
    again = Plan(updates=(edited("serial", "x", Drift.BOTH, number=99),), stale=STALE[::-1])
    assert plan.digest == again.digest == digest_of(dict(reversed(plan.operations.items())))


def test_what_would_be_overwritten_is_a_part_of_what_is_agreed_to() -> None:
    one, other = (Plan(updates=(edited("serial", before, Drift.UNKNOWN),)) for before in ("x", "y"))
    assert one.digest != other.digest
    told = moved(one.operations, other.operations)
    assert (told.new, told.gone, told.changed) == ((), (), (f"update device {DEVICE.key}",))


OPERATIONS = st.dictionaries(st.text("abc", max_size=3), st.text("01", max_size=2))


@given(OPERATIONS, OPERATIONS)
def test_what_moved_is_all_that_differs_and_nothing_else(shown: dict[str, str], now: dict[str, str]) -> None:
    told = moved(shown, now)
    kept = {op: what for op, what in shown.items() if op not in (*told.gone, *told.changed)}
    assert kept | {op: now[op] for op in (*told.new, *told.changed)} == now
    assert (told == moved(now, now)) == (shown == now) == (digest_of(shown) == digest_of(now))


def test_of_a_plan_of_which_nothing_is_settled_all_is_left() -> None:
    assert rest(WHOLE, ()).digest == WHOLE.digest


@given(st.sets(st.sampled_from(range(len(operations_of(WHOLE))))))
def test_what_is_settled_is_not_left_and_all_else_is(chosen: set[int]) -> None:
    all_ = operations_of(WHOLE)
    settled = [all_[at] for at in chosen]
    left = rest(WHOLE, settled)
    # A part that waits for its object is not sent before it: it is a part of the object for as long as that is new.
    new = {op.key for op in left.creates}
    expected = [op for op in all_ if op not in settled and not (isinstance(op, Update) and op.extra and op.key in new)]
    got = [op for op in operations_of(left) if not (isinstance(op, Update) and op.extra and op.key in new)]
    assert {(type(op), op.model, op.key) for op in got} == {(type(op), op.model, op.key) for op in expected}
    fields = [(op.key, change.field) for op in expected if isinstance(op, Update) for change in op.changes]
    assert sorted(fields) == sorted(
        (op.key, change.field) for op in got if isinstance(op, Update) for change in op.changes
    )


def test_the_part_that_is_left_of_a_new_object_is_what_the_next_run_finds_to_change() -> None:
    left = rest(WHOLE, [WHOLE.creates[0]])
    found = Update(WHOLE.creates[0].record, 77, (Change("primary_ip4", None, 12, Drift.FABRIC_MOVED),))
    assert left.digest == replace(WHOLE, creates=WHOLE.creates[1:], updates=(*WHOLE.updates, found)).digest


def test_what_has_stepped_aside_for_another_is_left_with_the_place_that_it_stepped_to() -> None:
    site = Ref("site", "s")
    swapped = [
        Update(Record("device", key, {"name": new, "site": site}), id_, (Change("name", old, new),))
        for key, id_, old, new in (("a/Switch/d/s1", 1, "one", "two"), ("a/Switch/d/s2", 2, "two", "one"))
    ]
    plan = Plan(updates=tuple(swapped))
    (aside, (first, _)) = waves(plan)
    found = replace(swapped[1], changes=(Change("name", "stepping-aside-2", "one"),))
    assert rest(plan, [*aside, first]).digest == Plan(updates=(found,)).digest
    assert mended(aside).as_dict()["drift"]["unknown"] == 0


def test_an_outcome_tells_who_had_moved_and_what_was_put_back() -> None:
    adopted = Update(
        device("a/Switch/d/s9", serial="S9"), 9, (Change(KEY, None, "a/Switch/d/s9"), Change("serial", "", "S9"))
    )
    told = mended(
        [
            edited("serial", "x", Drift.NETBOX_EDITED),
            replace(edited("fabric_asn", 1, Drift.BOTH), extra=True),
            Update(device("a/Switch/d/s2"), 2, (Change("name", "x", "y", Drift.FABRIC_MOVED),)),
            adopted,
            Update(Record("cable", STALE[0].key, {}), 1, (Change("fabric_stale_since", None, "t"),), mark=True),
            Create(device("a/Switch/d/s5")),
            Delete(STALE[1]),
        ]
    ).as_dict()
    assert told == {
        "drift": {"fabric_moved": 1, "netbox_edited": 1, "both": 1, "unknown": 1},
        "put_back": [
            {"model": "device", "key": DEVICE.key, "fields": {"serial": "netbox_edited", "fabric_asn": "both"}}
        ],
        "put_back_total": 1,
        "adopted": [{"model": "device", "key": "a/Switch/d/s9"}],
        "adopted_total": 1,
    }


def test_of_many_objects_an_outcome_tells_the_first_twenty_and_how_many_there_are() -> None:
    ops = [Update(device(f"a/Switch/d/s{at:02}"), at, (Change("serial", "x", "y", Drift.BOTH),)) for at in range(1, 31)]
    told = mended(ops).as_dict()
    assert (len(told["put_back"]), told["put_back_total"], told["drift"]["both"]) == (20, 30, 30)


def test_the_digest_of_a_plan_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr("functions.plan.digest_of", lambda operations: made.append(len(operations)) or "digest")
    plan = replace(WHOLE)
    assert (plan.digest, plan.digest, len(made)) == ("digest", "digest", 1)


@pytest.mark.parametrize(("agreed", "told"), [(None, False), (WHOLE.digest, True)], ids=["nobody", "somebody"])
def test_what_is_left_is_told_of_a_plan_that_somebody_agreed_to(agreed: str | None, told: bool) -> None:
    request = SyncRequest("a", "r", "r", plan=agreed)
    run = Run(request, DirectorySecrets(Path(), ""), Deadline.after(1))
    run.facts = Facts(plan=WHOLE, applied=Applied(settled=list(WHOLE.creates[:1]), cut=True, left=1))
    outcome = outcome_of(run, run.now(), 0)
    assert (outcome.plan_digest, outcome.plan_left is not None) == (WHOLE.digest, told)
