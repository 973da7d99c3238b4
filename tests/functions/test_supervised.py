"""The outer wall, end to end: the work's process dies or hangs, the platform stops, deliveries double."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from functions import registry
from functions.lease import MARGIN as LEASE_MARGIN
from functions.standing import Standing, standing_of
from infra.deadline import Deadline
from infra.sandbox.fabric.serve import Fabrics, serve
from tests import hostile
from tests.fabric_content import small_cluster
from tests.house import MARGIN, Asked, House, house
from tests.infra.processes import children, state
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Seen
from tests.pubsub_fixtures import eventually

DEADLINE = 12.0
RESERVE = 3.0
FABRICS = ("killed", "stopped", "hung", "crashed", "doubled", "unheard", "many", "platform")


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        for name in FABRICS:
            with_fabric(netbox, name)
    return served


@pytest.fixture(scope="module")
def fabrics() -> Iterator[Fabrics]:
    with serve({name: small_cluster(name) for name in FABRICS}) as served:
        yield served


@pytest.fixture
def at_home(
    ready: ServedNetBox, fabrics: Fabrics, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[House]:
    place = tmp_path_factory.mktemp("house")
    threads = getattr(request, "param", 4)
    with house(place, ready.url, ready.token_v2, deadline=DEADLINE, reserve=RESERVE, threads=threads) as served:
        for name in fabrics:
            served.secret(name, fabrics[name].kubeconfig)
        yield served


def is_bulk(seen: Seen) -> bool:
    return seen.method == "POST"


def standing(ready: ServedNetBox, fabric: str) -> Standing:
    with opened(ready) as netbox:
        return standing_of(registry.find(netbox, fabric)["custom_fields"])


def work_of(house: House) -> int | None:
    """The process that does the work of a sync: a child of the fork server, which is one of gunicorn's worker."""
    for worker in children(house.serving.pid):
        for server in children(worker):
            if found := [pid for pid in children(server) if state(pid) not in ("Z", "X", "")]:
                return found[0]
    return None


def in_mid_run(house: House, fabric: str, act: Callable[[int], None], pool: ThreadPoolExecutor) -> Future[Asked]:
    """Ask for a sync, and `act` on its process while it waits for NetBox's answer to its first write."""
    house.netbox.misbehave(hostile.silent, concerns=is_bulk)
    asked = pool.submit(house.ask, fabric, f"{fabric}-1")
    assert eventually(lambda: any(map(is_bulk, house.netbox.seen)), DEADLINE), house.log()[-2000:]
    pid = work_of(house)
    assert pid is not None
    act(pid)
    return asked


def done_at_last(house: House, fabric: str) -> Asked:
    """Ask again until the work is done; what a dead run left behind is in nobody's way for longer than its lease."""
    house.netbox.behave()
    patience = Deadline.after(DEADLINE + LEASE_MARGIN + 60)
    while True:
        asked = house.ask(fabric)
        waits = asked.outcome["skip"] == "busy" or asked.outcome["result"] == "continued"
        if not waits or not patience.pause(0.5):
            return asked


ENDS = {
    "killed": (signal.SIGKILL, "failed", "out_of_memory"),
    "crashed": (signal.SIGSEGV, "failed", "crashed"),
    "hung": (signal.SIGSTOP, "timed_out", "hard_wall"),
}


@pytest.mark.parametrize("fabric", ENDS)
def test_a_run_whose_process_dies_or_hangs_ends_in_one_outcome_and_lets_go_of_the_fabric(
    at_home: House, ready: ServedNetBox, fabric: str
) -> None:
    number, result, code = ENDS[fabric]
    with ThreadPoolExecutor(1) as pool:
        asked = in_mid_run(at_home, fabric, lambda pid: os.kill(pid, number), pool).result(DEADLINE + 30)
    assert asked.seconds < DEADLINE + MARGIN
    assert (asked.status, asked.outcome["result"], asked.code) == (200, result, code)
    assert work_of(at_home) is None
    recorded = standing(ready, fabric)
    assert recorded.lease.holder is None, "the parent let go of the lease"
    assert recorded.result is not None
    assert (recorded.result.value, recorded.error.partition(":")[0]) == (result, code)
    assert any(type_.endswith("status_changed.v1") for type_ in at_home.others), "its status is another one now"
    again = done_at_last(at_home, fabric)
    assert (again.outcome["result"], again.outcome["reasons"]) == ("succeeded", [])
    with opened(ready) as netbox:
        keys = [row["custom_fields"]["fabric_key"] for row in netbox.read("dcim/devices", {"cf_fabric_name": fabric})]
        assert len(keys) == len(set(keys)) == 3


def test_a_run_in_a_platform_that_stops_ends_at_once_in_its_outcome(at_home: House, ready: ServedNetBox) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = in_mid_run(at_home, "platform", lambda pid: os.kill(at_home.serving.pid, signal.SIGTERM), pool)
        asked = asking.result(DEADLINE + 30)
    assert (asked.status, asked.outcome["result"], asked.code) == (200, "failed", "interrupted")
    assert asked.outcome["duration_s"] < DEADLINE - RESERVE, "it did not wait for its deadline"
    assert standing(ready, "platform").lease.holder is None


def test_a_second_delivery_waits_for_the_first_and_is_then_told_its_end(at_home: House, ready: ServedNetBox) -> None:
    gate = threading.Event()

    def held(peer: hostile.Peer) -> None:
        gate.wait(DEADLINE)
        peer.reset()

    at_home.netbox.misbehave(held, concerns=is_bulk, times=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(at_home.ask, "doubled", "the-same")
        assert eventually(lambda: any(map(is_bulk, at_home.netbox.seen)), DEADLINE)
        second = at_home.ask("doubled", "the-same")
        assert (second.status, second.answer, second.outcomes) == (503, {"running": True}, [])
        gate.set()
        ended = first.result(DEADLINE + 30)
    assert ended.status == 200
    with opened(ready) as netbox:
        before = changes(netbox)
    told = at_home.ask("doubled", "the-same")
    assert (told.status, told.outcome["result"], told.outcome["told_again"]) == (200, ended.outcome["result"], True)
    with opened(ready) as netbox:
        assert changes(netbox) == before, "the second delivery did nothing"


def test_an_outcome_that_could_not_be_published_is_told_when_the_request_comes_again(
    at_home: House, ready: ServedNetBox
) -> None:
    at_home.events.misbehave(hostile.closed_before_answer)
    asked = at_home.ask("unheard", "once")
    assert (asked.status, asked.outcomes) == (503, [])
    assert asked.answer["publish_error"]["code"] == "publish_failed"
    recorded = standing(ready, "unheard")
    assert recorded.result is not None
    assert recorded.result.value == asked.answer["result"]
    at_home.events.behave()
    with opened(ready) as netbox:
        before = changes(netbox)
    again = at_home.ask("unheard", "once")
    assert (again.status, again.outcome["result"]) == (200, asked.answer["result"])
    assert again.outcome["told_again"]
    with opened(ready) as netbox:
        assert changes(netbox) == before, "the work was not done twice"


@pytest.mark.parametrize("at_home", [16], indirect=True)
def test_of_many_requests_at_once_one_runs_and_each_gets_its_one_outcome(at_home: House, ready: ServedNetBox) -> None:
    wanted = [f"m-{number}" for number in range(12)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        asked = list(pool.map(lambda id_: at_home.ask("many", id_), wanted))
    # Each asker took whatever outcomes had come by then, of all requests.
    told = [outcome for one in asked for outcome in one.outcomes] + at_home.outcomes(1.0)
    assert sorted(outcome["request_id"] for outcome in told) == sorted(wanted)
    assert all(outcome["skip"] in ("busy", None) for outcome in told)
    ran = {outcome["result"] for outcome in told} - {"skipped"}
    assert ran, "one of them ran"
    assert ran <= {"succeeded", "continued", "timed_out"}
    made = sum(outcome["objects"].get("device", {}).get("created", 0) for outcome in told)
    unconfirmed = sum(outcome["unconfirmed"] for outcome in told)
    with opened(ready) as netbox:
        there = netbox.count("dcim/devices", {"cf_fabric_name": "many"})
        assert made <= there <= made + unconfirmed, "what one of them made is all there is"
        assert {one.status for one in asked} == {200}
        # A slow machine does not get to the devices in one deadline.
        assert done_at_last(at_home, "many").outcome["result"] == "succeeded"
        assert netbox.count("dcim/devices", {"cf_fabric_name": "many"}) == 3
