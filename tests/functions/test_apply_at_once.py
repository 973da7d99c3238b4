"""Many requests at once: what they leave in NetBox, and that nothing is lost when some of them fail or hang."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.churn import OWNED, content
from functions import registry
from functions import survey as survey_room
from functions.actual import Actual
from functions.applied import Applied
from functions.apply import Applier
from functions.compare import compare
from functions.errors import Code, Problem, SyncStopped
from functions.events import SyncRequest
from functions.fabric import Fabric
from functions.fields import KEY, NAME
from functions.memory import by_unit, unit_of
from functions.outcome import Result
from functions.pace import Pace
from functions.plan import Plan
from functions.records import MODELS, Record, Ref
from functions.rows import found_by_key
from functions.run import Run
from functions.survey import survey, survey_units
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.fabric.serve import serve
from infra.secrets import DirectorySecrets
from tests import hostile
from tests.hostile import Behaviour
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Proxy, Seen, answering, proxied
from tests.wanted import SHARED, cable, device, port

ALL = frozenset({"device", "interface", "cable"})


@pytest.fixture
def ready(netbox: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox)
    with opened(served) as door:
        with_fabric(door, "lab")
    return served


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorySecrets]:
    place = tmp_path_factory.mktemp("fabrics")
    with serve({"lab": "topology:spine_leaf,leaves=3,servers=3,vpcs=2"}, place):
        yield DirectorySecrets(place / "secrets", "fabric-")


def first_load(served: ServedNetBox, secrets: DirectorySecrets, parallel: int) -> dict[str, str]:
    """What a first load with so many requests at once leaves; that nothing is there twice is looked at, too."""
    deadline = Deadline.after(240.0, reserve=3.0)
    with NetBox(served.url, served.token_v2, deadline) as netbox:
        request = SyncRequest("lab", id_ := str(uuid.uuid4()), id_, trigger="manual")
        outcome = sync(Run(request, secrets, deadline, batch=20, parallel=parallel), netbox)
        assert (outcome.result, outcome.reasons, outcome.problem) == (Result.SUCCEEDED, (), None)
        for model in OWNED:
            keys = Counter(row["custom_fields"][KEY] for row in netbox.read(MODELS[model].path, {f"cf_{NAME}": "lab"}))
            assert set(keys.values()) <= {1}
        # What NetBox counts by itself: ports of devices, devices of types, prefixes below prefixes.
        counted = {
            f"{path} {row[key]}": str([row[name] for name in names])
            for path, key, names in (
                ("dcim/devices", "name", ["interface_count"]),
                ("dcim/device-types", "slug", ["device_count"]),
                ("ipam/prefixes", "display", ["children", "_depth"]),
            )
            for row in netbox.read(path, {})
        }
        return content(netbox, "lab") | counted


def test_many_at_once_leave_what_one_at_a_time_leaves(ready: ServedNetBox, secrets: DirectorySecrets) -> None:
    one = first_load(ready, secrets, 1)
    bootstrapped(ready)
    with opened(ready) as netbox:
        with_fabric(netbox, "lab")
    many = first_load(ready, secrets, 6)
    assert len(one) > 200
    assert many == one
    with opened(ready) as netbox:
        before = changes(netbox)
    first_load(ready, secrets, 6)
    with opened(ready) as netbox:
        assert changes(netbox) == before


def wanted() -> list[Record]:
    """Six devices with eight ports each, cabled in a row."""
    boxes = [device("lab", f"leaf-{number}") for number in range(6)]
    ports = [[port(box, f"E1/{at}") for at in range(8)] for box in boxes]
    cables = [cable("lab", f"c{at}", ports[at][0], ports[at + 1][1]) for at in range(5)]
    return [*SHARED, *boxes, *(each for some in ports for each in some), *cables]


def applied(
    served: ServedNetBox,
    url: str,
    seconds: float = 120.0,
    before: Callable[[], None] = lambda: None,
    *,
    may_go_on: Callable[[], None] = lambda: None,
    others: Callable[[], int] = lambda: 0,
) -> tuple[Applied, Plan]:
    """Write what is wanted in batches of eight; `before` is called when both sides are read."""
    with NetBox(url, served.token_v2, Deadline.after(seconds, reserve=1.0)) as netbox, opened(served) as reading:
        fabric = the_fabric(reading)
        actual = survey(reading, fabric, found_by_key(wanted()), at_once=3)
        plan = compare(wanted(), actual, "lab", ALL)
        before()
        return Applier(netbox, actual, "lab", Pace(8), may_go_on=may_go_on, others=others).apply(plan), plan


def the_fabric(netbox: NetBox) -> Fabric:
    return registry.fabric_of(registry.find(netbox, "lab"))


def ports_of(seen: Seen) -> bool:
    return seen.method == "POST" and "interfaces" in seen.path


def whole(done: Applied, plan: Plan) -> bool:
    """Whether every object of the plan is accounted for, once."""
    return done.written + done.unconfirmed + done.left + len(done.refused) == len(plan)


def there(served: ServedNetBox) -> Counter[str]:
    """Keys that NetBox holds."""
    with opened(served) as netbox:
        return Counter(
            row["custom_fields"][KEY]
            for model in ALL
            for row in netbox.read(MODELS[model].path, {f"cf_{NAME}": "lab"}, ("custom_fields",))
        )


def trouble(proxy: Proxy, behaviour: Behaviour, *, times: int | None = 1, deliver: bool = False) -> Callable[[], None]:
    """From now on: after two good requests with ports, this."""
    return lambda: proxy.misbehave(behaviour, concerns=ports_of, after=2, times=times, deliver=deliver)


WAIT = {
    "429 with a time": answering("429 Too Many Requests", b"<h1>slow</h1>", headers="Retry-After: 1\r\n"),
    "429 without": answering("429 Too Many Requests", b"<h1>slow</h1>"),
    "a deadlock": answering(
        "500 Internal Server Error",
        b'{"error": "deadlock detected\\nDETAIL: Process 1 waits", "exception": "OperationalError"}',
        kind="application/json",
    ),
    "503 with a time": answering("503 Service Unavailable", b"<h1>soon</h1>", headers="Retry-After: 1\r\n"),
}


@pytest.mark.parametrize("case", WAIT)
def test_a_netbox_that_asks_to_wait_gets_the_same_rows_later_and_nothing_is_lost(
    ready: ServedNetBox, case: str
) -> None:
    with proxied(ready.url) as proxy:
        done, plan = applied(ready, proxy.url, before=trouble(proxy, WAIT[case], times=2))
        assert sum(ports_of(seen) for seen in proxy.seen) == 6 + 2
    assert (done.stopped, done.cut, done.refused, done.left, done.unconfirmed) == (None, False, [], 0, 0)
    assert done.written == len(plan)
    assert set(there(ready).values()) == {1}


STOPS = {
    "503 without a time": (answering("503 Service Unavailable", b"<h1>maintenance</h1>"), Code.NETBOX_ERROR),
    "429 for an hour": (
        answering("429 Too Many Requests", b"<h1>slow</h1>", headers="Retry-After: 3600\r\n"),
        Code.NETBOX_THROTTLED,
    ),
    "a reset connection": (hostile.closed_before_answer, Code.NETBOX_UNREACHABLE),
}


@pytest.mark.parametrize("case", STOPS)
def test_a_fault_in_mid_run_stops_it_and_what_was_on_its_way_beside_it_counts(ready: ServedNetBox, case: str) -> None:
    behaviour, code = STOPS[case]
    with proxied(ready.url) as proxy:
        done, plan = applied(ready, proxy.url, before=trouble(proxy, behaviour, times=None))
    assert done.stopped is not None
    assert done.stopped.code is code
    assert whole(done, plan)
    assert done.unconfirmed in ((8, 16, 24) if case == "a reset connection" else (0,))
    keys = there(ready)
    assert set(keys.values()) == {1}
    assert keys.total() == done.written - sum(done.created[model] for model in done.created if model not in ALL)
    again, _ = applied(ready, ready.url)
    assert (again.left, again.refused, again.stopped) == (0, [], None)
    assert set(there(ready).values()) == {1}


@pytest.mark.parametrize(("deliver", "beside"), [(False, 0), (True, 40)])
def test_a_request_that_hangs_keeps_none_of_the_others_and_is_told_at_the_deadline(
    ready: ServedNetBox, deliver: bool, beside: int
) -> None:
    with proxied(ready.url) as proxy:
        hangs = trouble(proxy, hostile.silent, deliver=deliver)
        done, plan = applied(ready, proxy.url, 40.0, hangs, others=lambda: beside)
        assert (done.cut, done.stopped, done.refused) == (True, None, [])
        # The others went on: all ports but those of the one that hangs, and the cables that need none of these.
        assert done.created["interface"] == 40
        assert done.created["cable"] >= 3
        assert done.unconfirmed == 8
        assert whole(done, plan)
    keys = there(ready)
    written = done.written - sum(done.created[model] for model in done.created if model not in ALL)
    assert keys.total() == written + (8 if deliver else 0)
    again, _ = applied(ready, ready.url)
    assert (again.left, again.refused, again.stopped, again.unconfirmed) == (0, [], None, 0)
    assert set(there(ready).values()) == {1}


def test_who_may_not_go_on_sends_nothing_more_and_counts_what_was_on_its_way(ready: ServedNetBox) -> None:
    asked: list[int] = []

    def may_go_on() -> None:
        assert threading.current_thread() is threading.main_thread()
        asked.append(1)
        if len(asked) > 6:
            raise SyncStopped(Problem(Code.PLAN_MOVED, "another run has the lease"))

    done, plan = applied(ready, ready.url, may_go_on=may_go_on)
    assert done.stopped == Problem(Code.PLAN_MOVED, "another run has the lease")
    assert (len(asked), done.requests, done.unconfirmed) == (7, 6, 0)
    assert 0 < done.written < len(plan)
    assert whole(done, plan)


@pytest.mark.parametrize(("others", "most"), [(0, 4), (1, 2), (2, 1), (40, 1)])
def test_runs_beside_each_other_share_the_requests_in_flight(ready: ServedNetBox, others: int, most: int) -> None:
    with proxied(ready.url) as proxy:
        done, plan = applied(ready, proxy.url, others=lambda: others)
        assert 1 <= proxy.most_writes_at_once <= most
    assert (done.written, done.left) == (len(plan), 0)


def test_what_is_refused_among_many_at_once_is_refused_alone(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        records = wanted()
        bad = port(device("lab", "leaf-2"), "E1/99", label="l" * 65)
        fabric = the_fabric(netbox)
        actual = survey(netbox, fabric, found_by_key(records))
        done = Applier(netbox, actual, "lab", Pace(8)).apply(compare([*records, bad], actual, "lab", ALL))
    assert [each.key for each in done.refused] == [bad.key]
    assert (done.left, done.created["interface"], done.created["cable"]) == (0, 48, 5)


def test_a_survey_at_once_reads_what_one_after_the_other_reads(ready: ServedNetBox) -> None:
    applied(ready, ready.url)
    with opened(ready) as netbox:
        fabric = the_fabric(netbox)
        heard: list[str] = []
        read: list[Actual] = [
            survey(netbox, fabric, found_by_key(wanted()), lambda model, _: heard.append(model), at_once=each)
            for each in (1, 5)
        ]
    assert read[0] == read[1]
    assert heard == [*OWNED, *OWNED]
    assert Ref("manufacturer", "acme") in read[1].ids
    assert len(read[1].owned["interface"]) == 48


@pytest.mark.parametrize("line", [200, survey_room.LINE])
def test_a_survey_of_some_units_finds_them_and_the_ids_of_others_in_however_many_requests(
    ready: ServedNetBox, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    monkeypatch.setattr(survey_room, "LINE", line)
    applied(ready, ready.url)
    records = wanted()
    with opened(ready) as netbox:
        fabric = the_fabric(netbox)
        whole = survey(netbox, fabric, found_by_key(records))
        names = sorted(by_unit(records))
        known = {name: {record.model for record in some} for name, some in by_unit(records).items()}
        for some in (names[::2], names[1::2], names[:1]):
            units = {name: frozenset(record.model for record in by_unit(records)[name]) for name in some}
            refs = {Ref(r.model, r.key) for r in records if not (r.model == "interface" and r.key.endswith("E1/7"))}
            found = survey_units(netbox, fabric, units, unit_of, refs, known, 3)
            for model, things in whole.owned.items():
                mine = {key: thing for key, thing in things.items() if unit_of(model, key) in units}
                assert found.owned[model].keys() == mine.keys()
                # A cable's ends come in no order of theirs.
                assert all(found.owned[model][key].id == thing.id for key, thing in mine.items())
            others = {ref for ref in refs if ref in whole.ids} | {
                Ref(model, key) for model, things in found.owned.items() for key in things
            }
            assert {ref: id_ for ref, id_ in whole.ids.items() if ref in others} == {
                ref: id_ for ref, id_ in found.ids.items() if ref in others
            }
            assert found.ids.keys() <= whole.ids.keys()
