"""Plays the demonstration: the sandbox up, fabrics registered, rounds of requests, what was heard of them, the end."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from functions import registry
from functions.demo.rounds import CAST, Cast, Expected, Request, Round
from functions.demo.scheduler import scheduler
from functions.demo.screen import Screen, screen_for
from functions.enrol import enrol
from functions.errors import Code
from functions.events import SyncRequest, request_message
from functions.outcome import Result
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.pubsub import Publisher, open_publisher
from infra.sandbox.addresses import SECRET_PREFIX, Addresses
from infra.sandbox.messaging import OUTCOMES_PULL, REQUESTS, rest, take
from infra.sandbox.netbox.ledger import FUNCTION
from infra.sandbox.world import EVERYTHING, Content, World, broker_statistics, churn, set_faults

ROUND_SECONDS: Final = 420.0
"""How long a round may take before it counts as failed."""

_LOOK: Final = 0.25
_COUNT_EVERY: Final = 4

TICK_SECONDS: Final = 10
INTERVAL: Final = 60
"""Seconds between two syncs of a fabric by the scheduler: the least there is."""

_FIRST: Final[Mapping[str, Expected]] = {
    cast.name: Expected(Result.TIMED_OUT, Code.FABRIC_TIMEOUT, writes=False) if cast.faults else Expected(writes=True)
    for cast in CAST
}
_SECOND: Final[Mapping[str, Expected]] = {cast.name: Expected(writes=True) for cast in CAST}
_CHANGED, _EDITED = CAST[0].name, CAST[1].name


def play(console: Console, *, once: bool) -> int:
    """The whole demonstration; the exit code: 0 when every fabric ended as it should.

    With `once` it ends after its rounds, else it stays up until Ctrl-C. Raises what the sandbox raises; nothing is
    left running in any case.
    """
    world = World()
    content = Content(
        {cast.name: cast.spec for cast in CAST},
        {cast.name: cast.faults for cast in CAST if cast.faults},
        instances=len(CAST),
        # The steps of a run are told at this level: from them the table knows how far each is.
        settings={
            "FABRIC_SYNC_LOG_LEVEL": "DEBUG",
            "FABRIC_SYNC_LOG_FORMAT": "json",
            "FABRIC_SYNC_TICK_S": str(TICK_SECONDS),
        },
        beside=EVERYTHING,
    )
    began = time.monotonic()
    with world.running(lambda text: console.print(f"{time.monotonic() - began:5.1f} s  {text}"), content) as addresses:
        world.netbox.reset()
        console.print("the sandbox's NetBox is empty: the demonstration begins from nothing")
        with NetBox(addresses.netbox, addresses.token, Deadline.after(120)) as netbox:
            names = enrol(netbox, [cast.name for cast in CAST], SECRET_PREFIX, addresses.page)
            rows = [{"id": row["id"], "custom_fields": {"fabric_interval": INTERVAL}} for row in registry.every(netbox)]
            netbox.update(registry.PATH, rows)
        console.print(f"NetBox is ready (fabric-sync bootstrap), with the fabrics {', '.join(names)}\n")
        with ExitStack() as scheduled:
            faults = _rounds(console, addresses, scheduled)
            _summary(console, addresses, faults)
            if not once:
                _stay(console)
    console.print("the sandbox is down")
    return 1 if faults else 0


def _rounds(console: Console, addresses: Addresses, scheduled: ExitStack) -> list[str]:
    """A program asks, then the scheduler, which goes on until `scheduled` ends, then a person; what went wrong."""
    with open_publisher(addresses.project, broker_url=addresses.broker) as publisher:
        stage = _Stage(console, addresses, publisher)
        faults = stage.asked(
            "A program asks: NetBox holds none of the fabrics, and mute takes requests but never answers"
        )
        if faults:
            return faults
        console.print()
        _move(console, addresses)
        scheduled.enter_context(scheduler(addresses, TICK_SECONDS))
        faults = stage.scheduled(
            f"The scheduler asks for what is due ({INTERVAL} s after the last time, or when a failure may be retried)"
        )
    if faults:
        return faults
    console.print()
    return _person(console, addresses)


def _move(console: Console, addresses: Addresses) -> None:
    """Changes on both sides, and mute answers again."""
    for text in churn(addresses, _CHANGED, steps=3):
        console.print(f"  in the fabric {_CHANGED}: {text}")
    with NetBox(addresses.netbox, addresses.token, Deadline.after(60)) as netbox:
        port = netbox.latest("dcim/interfaces", {"cf_fabric_name": _EDITED, "enabled": True}, ("name", "device"), 1)[0]
        netbox.update("dcim/interfaces", [{"id": port["id"], "enabled": False}])
    console.print(f"  in NetBox: somebody switches off port {port['name']} of {port['device']['name']} in {_EDITED}")
    for cast in CAST:
        set_faults(addresses, cast.name, ())
    console.print("  mute answers again")


def _person(console: Console, addresses: Addresses) -> list[str]:
    """What a person does on the page: sync now, with nothing to do."""
    console.print(f"A person presses Sync now for {_CHANGED}")
    for _ in range(3):
        began = time.monotonic()
        status, told = rest(addresses.page, "POST", f"/fabrics/{_CHANGED}/sync", {})
        if status != 409:  # the scheduler was there first
            break
        Deadline.after(5).pause(2)
    seconds = time.monotonic() - began
    if status != 200 or told.get("result") != Result.SUCCEEDED.value:
        return [f"Sync now of {_CHANGED} was answered with {status}: {json.dumps(told)[:300]}"]
    console.print(
        f"  answered after {seconds:.1f} s: {told['result']}, {told['written']} objects written, "
        f"{told['netbox_requests']} requests to NetBox, verified by {told['verified']}"
    )
    return []


class _Stage:
    """The broker and the function's log, as one place to ask and to listen."""

    def __init__(self, console: Console, addresses: Addresses, publisher: Publisher) -> None:
        self._console, self._addresses, self._publisher = console, addresses, publisher
        self._log = LogTail(Path(addresses.logs) / f"{FUNCTION}.log")
        self._chains: set[str] = set()

    def asked(self, title: str) -> list[str]:
        """Request every fabric once and listen until all have ended; what was not as it should be."""
        return self._round(Round(self._ask(cast, _FIRST[cast.name]) for cast in CAST), title)

    def scheduled(self, title: str) -> list[str]:
        """Listen until every fabric that the scheduler asked for has ended; what was not as it should be."""
        now = time.monotonic()
        return self._round(Round((Request(cast, None, _SECOND[cast.name], now) for cast in CAST), self._chains), title)

    def _round(self, round_: Round, title: str) -> list[str]:
        deadline = Deadline.after(ROUND_SECONDS)
        with screen_for(self._console, round_, title) as screen:
            looks = 0
            while not round_.ended() and deadline.pause(_LOOK):
                self._listen(round_, screen)
                if looks % _COUNT_EVERY == 0 or round_.ended():
                    screen.counted(broker_statistics(self._addresses))
                looks += 1
        self._chains |= round_.chains
        return round_.faults()

    def _ask(self, cast: Cast, expected: Expected) -> Request:
        id_ = str(uuid.uuid4())
        request = SyncRequest(cast.name, id_, id_, trigger="demo")
        self._publisher.publish(REQUESTS, request_message(request), Deadline.after(30))
        return Request(cast, id_, expected, asked_at=time.monotonic())

    def _listen(self, round_: Round, screen: Screen) -> None:
        for line in self._log.lines():
            request = round_.hear_step(line)
            if request is not None:
                screen.changed(request, line["step"])
        for data, attributes in take(self._addresses.broker, self._addresses.project, OUTCOMES_PULL):
            if "result" not in attributes:
                continue  # beginnings, drift and changes of status are told in the same topic
            request = round_.hear_outcome(json.loads(data), time.monotonic())
            if request is not None:
                screen.changed(request, "outcome")


class LogTail:
    """The JSON lines of a log that were written since the last look."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._at = 0

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Every whole line that is a JSON object; what else a server prints is passed over."""
        with self._log.open("rb") as file:
            file.seek(self._at)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._at += len(raw)
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    yield line


def _summary(console: Console, addresses: Addresses, faults: list[str]) -> None:
    console.print()
    if faults:
        console.print("Not as it should be:")
        for fault in faults:
            console.print(f"  {fault}")
        console.print(f"the logs are in {addresses.logs}")
        return
    with NetBox(addresses.netbox, addresses.token, Deadline.after(60)) as netbox:
        counts = {what: netbox.count(path) for what, path in _COUNTED.items()}
        clusters = [row["id"] for row in registry.every(netbox)]
        entries = netbox.count("extras/journal-entries", {"assigned_object_id": clusters})
    console.print("Every fabric ended as it should. NetBox holds " + ", ".join(f"{n} {w}" for w, n in counts.items()))
    console.print(
        f"The journal of the fabrics there has {entries} entries: of each run that changed or failed something"
    )
    console.print(f"  NetBox    {addresses.netbox}   user {addresses.username}, password {addresses.password}")
    console.print(f"  fabrics   {addresses.netbox}/virtualization/clusters/   (last result, since when, last error)")
    console.print(f"  devices   {addresses.netbox}/dcim/devices/   (open one: interfaces, cables, custom fields)")
    console.print(f"  cables    {addresses.netbox}/dcim/cables/")
    console.print(f"  page      {addresses.page}   (status, preview, Sync now; each fabric in NetBox links to it)")
    console.print(f"  function  {addresses.function}   broker {addresses.broker}   logs {addresses.logs}")


_COUNTED: Final = {"devices": "dcim/devices", "interfaces": "dcim/interfaces", "cables": "dcim/cables"}


def _stay(console: Console) -> None:
    console.print("\nIn another terminal: `fabric-sync status`, `fabric-sync sync mesh`, `fabric-sync plan clos`.")
    console.print(f"The scheduler goes on: change something in NetBox, and see it mended within {INTERVAL} s.")
    console.print("It stays up until Ctrl-C.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("\nending it all (a few seconds)")
