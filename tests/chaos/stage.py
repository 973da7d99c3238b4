"""One fabric between two states, the function before it, proxies everywhere: a fault strikes, the run is judged."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.churn import content
from functions.lease import MARGIN as LEASE_MARGIN
from infra.deadline import Deadline
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import make_kubeconfig, serve
from tests import hostile
from tests.certificates import authority
from tests.chaos.faults import (
    CLOCKS,
    DATABASE,
    DISK_FULL,
    HTTP,
    NO_NAME,
    SIGNALS,
    Case,
    Moment,
    Place,
    records,
    stopped,
    unwritable,
    writes,
)
from tests.clock import Clock
from tests.fabric_content import small_cluster, thing
from tests.house import Asked, House, house
from tests.infra.processes import children, state
from tests.netbox_content import device_of_people, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Proxy, Seen, every, proxied
from tests.pubsub_fixtures import eventually

NAME, NEIGHBOUR = "struck", "neighbour"
DEADLINE, RESERVE = 9.0, 3.0
AT_ONCE = {"fabric_delete_policy": "delete", "fabric_grace_runs": 0, "fabric_grace_hours": 0}


@dataclass(frozen=True)
class Verdict:
    """What came of one case."""

    fault: str
    place: str
    moment: str
    outcome: str
    code: str | None
    overshoot_ms: int
    wrong_writes: int
    wrong_deletes: int
    outcomes: int
    lied: bool

    @property
    def good(self) -> bool:
        """Whether one outcome came, nobody was harmed, and a success was one."""
        return (self.outcomes, self.wrong_writes, self.wrong_deletes, self.lied) == (1, 0, 0, False)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def second(cluster: Cluster) -> None:
    """From the first state to the second: a server goes with its cable, another comes, a switch is told anew."""
    cluster.delete("Connection", "server-1--unbundled")
    cluster.delete("Server", "server-1")
    link = {"server": {"port": "server-2/enp2s1"}, "switch": {"port": "leaf-2/E1/1"}}
    cable = thing("Connection", "server-2--unbundled", {"unbundled": {"link": link}})
    cluster.load([thing("Server", "server-2", {}), cable])


def first(cluster: Cluster) -> None:
    """And back."""
    cluster.delete("Connection", "server-2--unbundled")
    cluster.delete("Server", "server-2")
    link = {"server": {"port": "server-1/enp2s1"}, "switch": {"port": "leaf-1/E1/1"}}
    cable = thing("Connection", "server-1--unbundled", {"unbundled": {"link": link}})
    cluster.load([thing("Server", "server-1", {}), cable])


def _stale(told: Mapping[str, Any]) -> int:
    """How many objects an outcome tells of that are to be deleted by a later run."""
    return sum(counts.get("stale", 0) for counts in told["objects"].values())


def _lied(told: Mapping[str, Any], there: object, wanted: object) -> bool:
    """Whether a run says that nothing is left to do, and something is."""
    return told.get("result") == "succeeded" and not _stale(told) and there != wanted


class Stage:
    """What the cases of one run share. The fabric goes to its other state in each case, so that there is work to do."""

    def __init__(
        self, served: ServedNetBox, home: House, fabric: Proxy, cluster: Cluster, kubeconfig: str, clock: Clock
    ) -> None:
        self._kubeconfig, self.clock = kubeconfig, clock
        self.served, self.home, self.fabric, self.cluster = served, home, fabric, cluster
        self._pool = ThreadPoolExecutor(2)
        self._state = 0
        self.usual = 0.0
        self.settle()
        self._states = [self.content(), {}]
        self._lists = self._turned()
        self._states[1] = self.content()
        self.theirs = self._of_others()

    def content(self) -> dict[str, str]:
        with opened(self.served) as netbox:
            return content(netbox, NAME)

    def settle(self) -> None:
        """Sync undisturbed until nothing is left to do, whatever a run before left behind."""
        self.home.netbox.behave()
        self.fabric.behave()
        self.home.events.behave()
        patience = Deadline.after(DEADLINE + LEASE_MARGIN + 90)
        while True:
            asked = self.home.ask(NAME)
            told = asked.answer
            if told["result"] == "succeeded" and told["written"] == 0 and not _stale(told):
                return
            busy = told.get("skip") == "busy"
            if not patience.pause(0.5 if busy else 0.0):
                raise AssertionError(f"it does not come to an end: {json.dumps(told)[:2000]}")

    def _turned(self) -> int:
        """Turn to the other state, undisturbed; how many requests the fabric saw in the first run."""
        self.turn()
        self.fabric.behave()
        self.usual = self.home.ask(NAME).seconds
        seen = len(self.fabric.seen)
        self.settle()
        return seen

    def turn(self) -> None:
        (second if self._state == 0 else first)(self.cluster)
        self._state = 1 - self._state

    def _of_others(self) -> dict[str, Any]:
        """People's device and the neighbour's objects, as they are."""
        with opened(self.served) as netbox:
            found: dict[str, Any] = dict(content(netbox, NEIGHBOUR))
            for row in netbox.read("dcim/devices", {"name": "theirs"}):
                plain = {name: value for name, value in row.items() if name != "last_updated"}
                found[f"theirs {row['id']}"] = json.dumps(plain, sort_keys=True)
            return found

    def play(self, case: Case) -> Verdict:
        """One case: the fault, the run, its judgement, and the way back to peace."""
        before = self._states[self._state]
        self.home.outcomes()
        self.turn()
        wanted = self._states[self._state]
        asked, outcomes = self._struck(case)
        told = outcomes[0] if outcomes else asked.answer
        there = self.content()
        kept = before.keys() & wanted.keys()
        gone = kept - there.keys()
        lied = _lied(asked.answer, there, wanted)
        self.settle()
        after = self.content()
        wrong = {key for key in wanted.keys() | after.keys() if wanted.get(key) != after.get(key)}
        others = self._of_others()
        wrong_others = [key for key in self.theirs if self.theirs[key] != others.get(key)]
        return Verdict(
            case.fault,
            case.place.value,
            case.moment.value,
            str(told.get("result")),
            (told.get("error") or {}).get("code"),
            max(0, round((asked.seconds - DEADLINE) * 1000)),
            len(wrong) + len([key for key in wrong_others if key in others]),
            len(gone | (kept - after.keys())) + len([key for key in wrong_others if key not in others]),
            len({outcome["request_id"] for outcome in outcomes}),
            lied,
        )

    def _struck(self, case: Case) -> tuple[Asked, list[Any]]:
        """The run under the fault, and the outcomes that came of it; where none could be told, once it can be."""
        id_ = f"{case.fault}-{case.place}-{case.moment}-{os.urandom(3).hex()}".replace(" ", "-")
        with self._under(case) as asking:
            asked = asking(id_).result(DEADLINE + 60)
        outcomes = [*asked.outcomes, *self.home.outcomes()]
        if not outcomes:
            self.home.events.behave()
            again = self.home.ask(NAME, id_)
            outcomes = list(again.outcomes)
        return asked, [outcome for outcome in outcomes if outcome["request_id"] == id_]

    def kill(self, share: float) -> Verdict:
        """A run whose process is killed (-9) after this share of the time that an undisturbed one takes."""
        before = self._states[self._state]
        self.home.outcomes()
        self.turn()
        wanted = self._states[self._state]
        id_ = f"kill-{os.urandom(4).hex()}"
        asking = self._pool.submit(self.home.ask, NAME, id_)
        struck: list[int] = []
        Deadline.after(60).pause(share * self.usual)
        self._strike(signal.SIGKILL, struck)
        asked = asking.result(DEADLINE + 60)
        again = self.home.ask(NAME, id_)
        outcomes = {one["request_id"]: one for one in (*asked.outcomes, *again.outcomes)}
        told = outcomes.get(id_, {})
        there = self.content()
        kept = before.keys() & wanted.keys()
        gone = kept - there.keys()
        lied = _lied(asked.answer, there, wanted)
        self.settle()
        after = self.content()
        wrong = {key for key in wanted.keys() | after.keys() if wanted.get(key) != after.get(key)}
        others = self._of_others()
        harmed = [key for key in self.theirs if self.theirs[key] != others.get(key)]
        return Verdict(
            f"kill -9 at {share:.0%}" if struck else f"kill -9 at {share:.0%}, after the end",
            Place.SELF.value,
            "random",
            str(told.get("result")),
            (asked.answer.get("error") or {}).get("code"),
            max(0, round((asked.seconds - DEADLINE) * 1000)),
            len(wrong) + len(harmed),
            len(gone | (kept - after.keys())),
            len(outcomes),
            lied,
        )

    def _strike(self, number: signal.Signals, struck: list[int]) -> None:
        """Send a signal to the process that does the work, if there is one."""
        workers = children(self.home.serving.pid)
        works = [pid for worker in workers for server in children(worker) for pid in children(server)]
        for pid in works:
            if state(pid) not in ("Z", "X", ""):
                os.kill(pid, number)
                struck.append(pid)

    def _processes(self) -> list[int]:
        """Every process of the function."""
        found = [self.home.serving.pid]
        for pid in found:
            found += children(pid)
        return [pid for pid in found if state(pid) not in ("Z", "X", "")]

    @contextlib.contextmanager
    def _under(self, case: Case) -> Iterator[Callable[[str], Future[Asked]]]:
        """The world with the fault in it."""
        undo: list[Callable[[], None]] = []
        act: Callable[[], None] | None = None
        if case.fault in HTTP:
            proxy, concerns, after = self._where(case)
            proxy.misbehave(HTTP[case.fault], concerns=concerns, after=after)
            undo.append(proxy.behave)
        elif case.fault == NO_NAME:
            self.home.points_at(NAME, "https://no-such-name.invalid:6443", authority().certificate)
            undo.append(lambda: self.home.secret(NAME, self._kubeconfig))
        else:
            proxy, concerns, after = self._where(case)
            # What happens to a process needs a moment that lasts.
            proxy.misbehave(hostile.silent, concerns=concerns, after=after)
            undo.append(proxy.behave)
            act = self._act(case, undo)

        def ask(id_: str) -> Future[Asked]:
            asking = self._pool.submit(self.home.ask, NAME, id_)
            if act is not None:
                eventually(lambda: sum(map(concerns, proxy.seen)) > after or asking.done(), DEADLINE)  # or late
                assert not (asking.done() and asking.result().answer["result"] == "succeeded"), f"{case} never struck"
                act()
                if case.fault not in SIGNALS:
                    proxy.behave()
            return asking

        try:
            yield ask
        finally:
            for step in undo:
                step()

    def _act(self, case: Case, undo: list[Callable[[], None]]) -> Callable[[], None]:
        if case.fault == DATABASE:
            postgres = self.served.running.pids["postgres"]
            return lambda: undo.append(stopped([postgres, *children(postgres)]))
        if case.fault == DISK_FULL:
            return lambda: undo.append(unwritable(self._processes()))
        if case.fault in CLOCKS:
            undo.append(lambda: self.clock.jump(0.0))
            return lambda: self.clock.jump(CLOCKS[case.fault])
        return lambda: self._strike(SIGNALS[case.fault], [])

    def _where(self, case: Case) -> tuple[Proxy, Callable[[Seen], bool], int]:
        """Which proxy misbehaves for a case, for which requests, after how many of them."""
        if case.place is Place.FABRIC:
            after = {Moment.FIRST: 0, Moment.MIDDLE: self._lists // 2, Moment.LAST: self._lists - 1}
            return self.fabric, every, after[case.moment]
        if case.place is Place.EVENTS:
            return self.home.events, every, {Moment.FIRST: 0, Moment.MIDDLE: 1, Moment.LAST: 2}[case.moment]
        if case.moment is Moment.FIRST:
            return self.home.netbox, every, 0
        if case.moment is Moment.MIDDLE:
            return self.home.netbox, writes, 0
        return self.home.netbox, records, 1

    def close(self) -> None:
        self._pool.shutdown()


@contextlib.contextmanager
def staged(served: ServedNetBox, place: Path) -> Iterator[Stage]:
    """The stage in a NetBox that is ready for fabrics (bootstrapped)."""
    cluster, clock = small_cluster(NAME), Clock(place / "clock")
    with opened(served) as netbox:
        with_fabric(netbox, NAME, **AT_ONCE)
        with_fabric(netbox, NEIGHBOUR, **AT_ONCE)
        device_of_people(netbox, NAME, "theirs", 2)
    with (
        serve({NAME: cluster, NEIGHBOUR: small_cluster(NEIGHBOUR)}) as fabrics,
        proxied(fabrics[NAME].url) as fabric,
        house(
            place,
            served.url,
            served.token_v2,
            deadline=DEADLINE,
            reserve=RESERVE,
            threads=4,
            environment=clock.environment,
        ) as home,
    ):
        kubeconfig = make_kubeconfig(NAME, fabric.url, authority().certificate.encode(), fabrics[NAME].token)
        home.secret(NAME, kubeconfig)
        home.secret(NEIGHBOUR, fabrics[NEIGHBOUR].kubeconfig)
        for _ in range(20):
            if home.ask(NEIGHBOUR).answer["result"] == "succeeded":
                break
        stage = Stage(served, home, fabric, cluster, kubeconfig, clock)
        try:
            yield stage
        finally:
            stage.close()
