"""Many fabrics on one NetBox, all due every minute, nothing changing: who is missed, and what it costs NetBox."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from bench.measure import Measure
from functions import registry
from functions.demo.scheduler import scheduler
from functions.enrol import enrol
from functions.events import SyncRequest, request_message
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.pubsub import open_publisher
from infra.sandbox.addresses import SECRET_PREFIX, Addresses
from infra.sandbox.messaging import OUTCOMES_PULL, REQUESTS, take
from infra.sandbox.netbox import ledger
from infra.sandbox.world import Content, World

FABRICS = 100
INTERVAL, TICK = 60, 10
SPEC = "topology:spine_leaf,leaves=3,servers=6"
LOADING = 7200.0
SETTLING = 1200.0
"""Seconds in which every fabric must have had a run that found nothing moved: after so much writing by others each
compares everything once."""


@dataclass(slots=True)
class _Heard:
    """What came of runs: fabric → their beginnings, and how they ended."""

    starts: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    results: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    requests: list[int] = field(default_factory=list)
    written: int = 0

    def listen(self, addresses: Addresses) -> list[dict[str, object]]:
        told = [json.loads(data) for data, attributes in _taken(addresses) if "result" in attributes]
        for one in told:
            self.starts[one["fabric"]].append(datetime.fromisoformat(one["started_at"]))
            self.results[one["result"]] += 1
            self.requests.append(one["netbox_requests"])
            self.written += one["written"]
        return told


def fleet(
    state: Path, fabrics: int = FABRICS, spec: str = SPEC, minutes: float = 20.0, *, loaded: bool = False
) -> Iterator[Measure]:
    """Load so many fabrics through the function, then let the scheduler ask for each every minute.

    `loaded`: they are in this NetBox since an earlier run.
    """
    names = [f"f{at:03}" for at in range(1, fabrics + 1)]
    settings = {"FABRIC_SYNC_TICK_S": str(TICK), "FABRIC_SYNC_LOG_LEVEL": "WARNING"}
    content = Content(dict.fromkeys(names, spec), instances=2, settings=settings, beside=("tick",))
    world = World(state)
    with world.running(print, content) as at:
        began = time.monotonic()
        if not loaded:
            world.netbox.reset()
            with NetBox(at.netbox, at.token, Deadline.after(600)) as netbox:
                enrol(netbox, names, SECRET_PREFIX)
            _load(at, names)
        with NetBox(at.netbox, at.token, Deadline.after(600)) as netbox:
            objects = netbox.count("dcim/devices") + netbox.count("dcim/interfaces") + netbox.count("dcim/cables")
            for row in registry.every(netbox):
                netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": {"fabric_interval": INTERVAL}}])
        print(f"loaded in {time.monotonic() - began:.0f} s: {objects} devices, ports and cables", flush=True)
        processes = [one.pid for one in ledger.Ledger.read(ledger.path_of(world.netbox.state)).processes]
        with scheduler(at, TICK):
            _settle(at, names)
            before, started = _cpu(processes), time.monotonic()
            heard = _watch(at, minutes * 60)
            share = (_cpu(processes) - before) / (time.monotonic() - started) / (os.cpu_count() or 1)
    size = f"{fabrics} fabrics, {round(objects / fabrics)} devices, ports and cables each, {minutes:g} minutes"
    gaps = [(b - a).total_seconds() for times in heard.starts.values() for a, b in pairwise(sorted(times))]
    missed = sum(gap > 2 * INTERVAL for gap in gaps) + sum(name not in heard.starts for name in names)
    yield Measure("fleet, runs", size, sum(heard.results.values()), "")
    yield Measure("fleet, runs that did not succeed", size, _others(heard), "", "0")
    yield Measure("fleet, missed or late runs", size, missed, "", "0", f"more than {2 * INTERVAL} s between two")
    yield Measure("fleet, longest time between two runs", size, round(max(gaps, default=0.0), 1), "s")
    yield Measure("fleet, objects written", size, heard.written, "", "0")
    yield Measure("fleet, share of the machine that NetBox takes", size, round(100 * share, 1), "%", "< 50")


def _others(heard: _Heard) -> int:
    return sum(count for result, count in heard.results.items() if result != "succeeded")


def _load(at: Addresses, names: Iterable[str]) -> None:
    """Sync every fabric until it says that nothing is left to do."""
    waiting = set(names)
    deadline = Deadline.after(LOADING)
    with open_publisher(at.project, broker_url=at.broker) as publisher:
        for name in sorted(waiting):
            id_ = str(uuid.uuid4())
            publisher.publish(REQUESTS, request_message(SyncRequest(name, id_, id_, "bench")), deadline)
    heard = _Heard()
    while waiting:
        for told in heard.listen(at):
            if told["result"] == "succeeded":
                waiting.discard(str(told["fabric"]))
                print(f"{told['fabric']} is loaded, {len(waiting)} are not", flush=True)
            elif told["result"] != "continued":
                raise RuntimeError(f"{told['fabric']} ended {told['result']}: {told['error']}")
        if not deadline.pause(1.0):
            raise RuntimeError(f"{len(waiting)} fabrics were not loaded in {LOADING:g} s")


def _settle(at: Addresses, names: Iterable[str]) -> None:
    waiting, deadline, heard = set(names), Deadline.after(SETTLING), _Heard()
    while waiting:
        for told in heard.listen(at):
            if (told["result"], told["verified"], told["written"]) == ("succeeded", "changes", 0):
                waiting.discard(str(told["fabric"]))
        if not deadline.pause(1.0):
            raise RuntimeError(f"{len(waiting)} fabrics did not come to rest in {SETTLING:g} s")
    print(f"all at rest; {dict(heard.results)} on the way there", flush=True)


def _watch(at: Addresses, seconds: float) -> _Heard:
    heard, deadline = _Heard(), Deadline.after(seconds)
    while deadline.pause(1.0):
        heard.listen(at)
    return heard


def _taken(at: Addresses) -> list[tuple[bytes, dict[str, str]]]:
    return take(at.broker, at.project, OUTCOMES_PULL, 1000)


def _cpu(roots: Iterable[int]) -> float:
    """Seconds of processor time that these processes and all below them took, those that ended included."""
    parents: dict[int, list[int]] = defaultdict(list)
    spent: dict[int, float] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(fields[1])].append(int(place.name))
        spent[int(place.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    found = list(roots)
    for pid in found:
        found += [child for child in parents[pid] if child not in found]
    return sum(spent.get(pid, 0.0) for pid in found)
