"""Plays the demonstration: the sandbox up, fabrics registered, rounds of requests, what was heard of them, the end."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from functions.demo.rounds import CAST, Cast, Expected, Request, Round
from functions.demo.screen import Screen, screen_for
from functions.enrol import enrol
from functions.errors import Code
from functions.events import SyncRequest, request_message
from functions.outcome import Result
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.pubsub import Publisher, open_publisher
from infra.sandbox.addresses import SECRET_PREFIX, Addresses
from infra.sandbox.messaging import OUTCOMES_PULL, REQUESTS, take
from infra.sandbox.netbox.ledger import FUNCTION
from infra.sandbox.world import Content, World, broker_statistics, set_faults

ROUND_SECONDS: Final = 420.0
"""How long a round may take before it counts as failed."""

_LOOK: Final = 0.25
_COUNT_EVERY: Final = 4

_FIRST: Final[Mapping[str, Expected]] = {
    cast.name: Expected(Result.TIMED_OUT, Code.FABRIC_TIMEOUT, writes=False) if cast.faults else Expected(writes=True)
    for cast in CAST
}
_SECOND: Final[Mapping[str, Expected]] = {cast.name: Expected(writes=bool(cast.faults)) for cast in CAST}


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
        settings={"FABRIC_SYNC_LOG_LEVEL": "DEBUG", "FABRIC_SYNC_LOG_FORMAT": "json"},
    )
    began = time.monotonic()
    with world.running(lambda text: console.print(f"{time.monotonic() - began:5.1f} s  {text}"), content) as addresses:
        world.netbox.reset()
        console.print("the sandbox's NetBox is empty: the demonstration begins from nothing")
        with NetBox(addresses.netbox, addresses.token, Deadline.after(120)) as netbox:
            names = enrol(netbox, [cast.name for cast in CAST], SECRET_PREFIX)
        console.print(f"NetBox is ready (fabric-sync bootstrap), with the fabrics {', '.join(names)}\n")
        faults = _rounds(console, addresses)
        _summary(console, addresses, faults)
        if not once:
            _stay(console)
    console.print("the sandbox is down")
    return 1 if faults else 0


def _rounds(console: Console, addresses: Addresses) -> list[str]:
    """Both rounds; what was not as it should be."""
    with open_publisher(addresses.project, broker_url=addresses.broker) as publisher:
        stage = _Stage(console, addresses, publisher)
        faults = stage.round(
            "First round: NetBox holds none of the fabrics, and mute takes requests but never answers", _FIRST
        )
        if faults:
            return faults
        for cast in CAST:
            set_faults(addresses, cast.name, ())
        console.print()
        return stage.round("Second round: nothing has changed, and mute answers again", _SECOND)


class _Stage:
    """The broker and the function's log, as one place to ask and to listen."""

    def __init__(self, console: Console, addresses: Addresses, publisher: Publisher) -> None:
        self._console, self._addresses, self._publisher = console, addresses, publisher
        self._log = LogTail(Path(addresses.logs) / f"{FUNCTION}.log")

    def round(self, title: str, expected: Mapping[str, Expected]) -> list[str]:
        """Request every fabric once and listen until all have ended; what was not as it should be."""
        round_ = Round(self._ask(cast, expected[cast.name]) for cast in CAST)
        deadline = Deadline.after(ROUND_SECONDS)
        with screen_for(self._console, round_, title) as screen:
            looks = 0
            while not round_.ended() and deadline.pause(_LOOK):
                self._listen(round_, screen)
                if looks % _COUNT_EVERY == 0 or round_.ended():
                    screen.counted(broker_statistics(self._addresses))
                looks += 1
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
    console.print("Every fabric ended as it should. NetBox holds " + ", ".join(f"{n} {w}" for w, n in counts.items()))
    console.print(f"  NetBox    {addresses.netbox}   user {addresses.username}, password {addresses.password}")
    console.print(f"  fabrics   {addresses.netbox}/virtualization/clusters/   (last result, since when, last error)")
    console.print(f"  devices   {addresses.netbox}/dcim/devices/   (open one: interfaces, cables, custom fields)")
    console.print(f"  cables    {addresses.netbox}/dcim/cables/")
    console.print(f"  function  {addresses.function}   broker {addresses.broker}   logs {addresses.logs}")


_COUNTED: Final = {"devices": "dcim/devices", "interfaces": "dcim/interfaces", "cables": "dcim/cables"}


def _stay(console: Console) -> None:
    console.print("\nIn another terminal: `fabric-sync status`, `fabric-sync sync mesh`, `fabric-sync plan clos`.")
    console.print("It stays up until Ctrl-C.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("\nending it all (a few seconds)")
