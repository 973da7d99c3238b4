"""The whole sandbox under one state directory: NetBox, simulated fabrics, a broker and the function, on loopback."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final, NoReturn

from infra.deadline import Deadline
from infra.sandbox.addresses import Addresses
from infra.sandbox.broker import STATS
from infra.sandbox.emulator import Emulator
from infra.sandbox.messaging import Messaging, MessagingError, create_messaging, rest
from infra.sandbox.netbox import Busy, NetBoxSandbox, State
from infra.sandbox.netbox import ledger as ledgers
from infra.sandbox.netbox.ledger import FUNCTION, Ledger
from infra.sandbox.netbox.processes import MARK, identify, is_alive
from infra.sandbox.netbox.sandbox import STATE_VARIABLE
from infra.sandbox.process import Program, free_port
from infra.sandbox.serving import Serving

type Progress = Callable[[str], None]

_ROOT: Final = Path(__file__).resolve().parents[2]
_FUNCTION_FILE: Final = _ROOT / "functions" / "main.py"
_READY_SECONDS: Final = 60.0
_LOCK_SECONDS: Final = 60.0
_GRACE: Final = 1.0

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_NO_FAULTS: Final[Mapping[str, Iterable[str]]] = MappingProxyType({})

_FABRICS, _BROKER, _EMULATOR, _KEEPER = "fabrics", "broker", "emulator", "keeper"

EVERYTHING: Final = ("tick", "record", "manual")
"""The functions that people and programs use, beside the one that syncs."""
_WEB_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Content:
    """What a sandbox shall hold.

    `fabrics` is name → content as `infra.sandbox.fabric.spec.read_spec` takes it, `faults` name → troubles that are
    on from the start. `instances` serve the function, each one request at a time. `settings` are environment
    variables of the function above those that make it work here. `emulator` puts Google's own Pub/Sub emulator in
    the place of the embedded broker. `beside` are further functions to serve (of `EVERYTHING`): to `tick` messages of
    the topic `fabric-sync-ticks` are pushed, to `record` those of `fabric-sync-outcomes`; `manual` lets everybody in.
    """

    fabrics: Mapping[str, str] = field(default_factory=lambda: _NONE)
    faults: Mapping[str, Iterable[str]] = field(default_factory=lambda: _NO_FAULTS)
    instances: int = 2
    settings: Mapping[str, str] = field(default_factory=lambda: _NONE)
    emulator: bool = False
    beside: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class WorldStatus:
    """What each part of a sandbox does, and where everything is when all of it is up."""

    state: State
    parts: Mapping[str, State]
    addresses: Addresses | None = None


def default_world() -> Path:
    """The state directory of the sandbox: `.sandbox` of the working directory, or what `$FABRIC_SYNC_SANDBOX` names."""
    return Path(os.environ.get(STATE_VARIABLE) or ".sandbox")


class World:
    """The sandbox below the directory `state`: up until `down`, or as long as the block of `running`."""

    def __init__(self, state: Path | None = None) -> None:
        """Nothing is touched yet."""
        self.state = (state or default_world()).absolute()
        self.netbox = NetBoxSandbox(self.state / "netbox")
        self.place = self.state / "world"
        self._started = ExitStack()

    def up(self, progress: Progress, content: Content | None = None, *, owned: bool = False) -> Addresses:
        """Bring everything up and return where it is; NetBox is installed first where needed.

        `owned` ends it all when this process ends, even by a crash. Raises `SandboxError` (also when a sandbox is
        up here already), `NotReady`, `EmulatorMissing` or `MessagingError`; what was started is ended then.
        """
        with self._locked():
            if Ledger.read(self._ledger_path).alive():
                raise Busy(f"a sandbox is up in {self.state} already: end it with `fabric-sync sandbox down`")
            self._end()
            netbox_was_up = self._netbox_is_up()
            try:
                return self._start(progress, content or Content(), owned=owned)
            except BaseException:  # Ctrl-C too: what was started must not stay
                self._end()
                if not netbox_was_up:
                    self.netbox.down()
                raise

    def down(self, *, netbox: bool = True) -> None:
        """End every process of this sandbox (NetBox's only if `netbox`); what NetBox holds stays for the next `up`."""
        if self.state.exists():
            with self._locked():
                self._end()
            if netbox:
                self.netbox.down()

    def status(self) -> WorldStatus:
        """What each part is doing; waits for nobody, changes nothing."""
        ledger = Ledger.read(self._ledger_path)
        parts = {one.name: State.UP if is_alive(one) else State.BROKEN for one in ledger.processes}
        parts.pop(_KEEPER, None)
        netbox = self.netbox.status().state
        addresses = Addresses.read(self.place)
        if not ledger.processes:
            return WorldStatus(State.ABSENT if netbox is State.ABSENT else State.DOWN, {"netbox": netbox})
        parts = {"netbox": netbox, **parts}
        whole = addresses is not None and set(parts.values()) == {State.UP}
        return WorldStatus(State.UP if whole else State.BROKEN, parts, addresses if whole else None)

    def addresses(self) -> Addresses | None:
        """Where everything is, when it runs; without asking whether it answers."""
        return Addresses.read(self.place) if Ledger.read(self._ledger_path).alive() else None

    @contextmanager
    def running(self, progress: Progress, content: Content | None = None) -> Iterator[Addresses]:
        """The sandbox for the time of a block: ended with it, by an exception, Ctrl-C, SIGTERM or SIGHUP too.

        A NetBox that was up here before stays up. Raises what `up` raises.
        """
        netbox_was_up = self._netbox_is_up()
        with _signals(_leave, signal.SIGTERM, signal.SIGHUP):
            addresses = self.up(progress, content, owned=True)
            try:
                yield addresses
            finally:
                # Ending takes seconds and is bounded; a second Ctrl-C would leave it to the keeper.
                with _signals(signal.SIG_IGN, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    self.down(netbox=not netbox_was_up)

    @property
    def _ledger_path(self) -> Path:
        return ledgers.path_of(self.place)

    def _netbox_is_up(self) -> bool:
        return Ledger.read(ledgers.path_of(self.netbox.state)).alive()

    def _start(self, progress: Progress, content: Content, *, owned: bool) -> Addresses:
        logs = self.place / "logs"
        logs.mkdir(exist_ok=True)
        for log in logs.iterdir():
            log.unlink()
        # The ledger ends with its directory of sockets, which is a NetBox's: here it is a place that nobody uses.
        unused = self.place / "sockets"
        owner = identify("owner", os.getpid()) if owned else None
        Ledger(sockets=unused, owner=owner).write(self._ledger_path)
        if owned:
            self._run(_KEEPER, "infra.sandbox.netbox.keeper", str(self.place))
        netbox = self.netbox.up(progress, owned=owned)
        addresses = Addresses(
            netbox=netbox.url,
            token=netbox.token_v2,
            username=netbox.username,
            password=netbox.password,
            broker="",
            secrets=str(self._secrets()),
            logs=str(logs),
        )
        fabrics, functions = ", ".join(content.fabrics) or "(none)", ", ".join(("sync", *content.beside))
        progress(f"starting the fabrics {fabrics}, the broker, and the functions {functions}")
        addresses = self._start_fabrics(addresses, content)
        addresses = self._start_emulator(addresses) if content.emulator else self._start_broker(addresses)
        addresses = self._start_function(addresses, content)
        tick, record = (
            self._serve(name, name, 1, addresses, content).url if name in content.beside else ""
            for name in ("tick", "record")
        )
        messaging = Messaging(addresses.project, addresses.function, tick_endpoint=tick, record_endpoint=record)
        create_messaging(addresses.broker, messaging)
        if "manual" in content.beside:
            addresses = self._start_page(addresses, content)
        addresses.write(self.place)
        return addresses

    def _start_fabrics(self, addresses: Addresses, content: Content) -> Addresses:
        if not content.fabrics:
            return addresses
        book = self.place / "fabrics.json"
        book.unlink(missing_ok=True)
        faults = [f"--fault={name}={fault}" for name, some in content.faults.items() for fault in some]
        served = [f"{name}={spec}" for name, spec in content.fabrics.items()]
        program = self._run(_FABRICS, "infra.sandbox.fabric", "--state", str(self.place), *faults, *served)
        program.wait_ready(book.exists, Deadline.after(_READY_SECONDS))
        told = json.loads(book.read_text(encoding="utf-8"))
        fabrics = {name: one["url"] for name, one in told["fabrics"].items()}
        return replace(addresses, fabrics=fabrics, fabrics_admin=told["admin"])

    def _start_broker(self, addresses: Addresses) -> Addresses:
        program = self._run(_BROKER, "infra.sandbox.broker")
        program.wait_ready(lambda: _first_line(program.log) is not None, Deadline.after(_READY_SECONDS))
        line = _first_line(program.log)
        return replace(addresses, broker=json.loads(line or "{}")["url"])

    def _start_emulator(self, addresses: Addresses) -> Addresses:
        emulator = Emulator(self._log(_EMULATOR), lambda pid: self._record(_EMULATOR, pid))
        self._started.callback(emulator.close)
        emulator.start()
        return replace(addresses, broker=emulator.url, emulator=emulator.host)

    def _start_function(self, addresses: Addresses, content: Content) -> Addresses:
        return replace(addresses, function=self._serve("sync", FUNCTION, content.instances, addresses, content).url)

    def _start_page(self, addresses: Addresses, content: Content) -> Addresses:
        port = free_port()  # links to the page are known before it is served
        addresses = replace(addresses, page=f"http://127.0.0.1:{port}")
        self._serve("manual", "manual", 1, addresses, content, threads=_WEB_THREADS, port=port)
        return addresses

    def _serve(
        self, target: str, name: str, instances: int, addresses: Addresses, content: Content, **serve: Any
    ) -> Serving:
        serving = Serving(
            _FUNCTION_FILE,
            target,
            self._log(name),
            {MARK: str(self.place), **addresses.environment(), "FABRIC_SYNC_MANUAL_OPEN": "1", **content.settings},
            workers=instances,
            on_start=lambda pid: self._record(name, pid),
            **serve,
        )
        self._started.callback(serving.close, 0.0)
        return serving.start()

    def _run(self, name: str, module: str, *arguments: str) -> Program:
        program = Program(
            f"the sandbox's {name}",
            [sys.executable, "-m", module, *arguments],
            self._log(name),
            {MARK: str(self.place), "PYTHONPATH": str(_ROOT)},
            on_start=lambda pid: self._record(name, pid),
        )
        self._started.callback(program.stop, _GRACE)
        program.start()
        return program

    def _record(self, name: str, pid: int) -> None:
        """Write a process down, in the place of an earlier one of that name (the emulator may need a second start)."""
        ledger = Ledger.read(self._ledger_path)
        others = tuple(one for one in ledger.processes if one.name != name)
        replace(ledger, processes=others).add(identify(name, pid)).write(self._ledger_path)

    def _log(self, name: str) -> Path:
        return self.place / "logs" / f"{name}.log"

    def _secrets(self) -> Path:
        """The directory of the fabrics' kubeconfigs, empty."""
        place = self.place / "secrets"
        place.mkdir(mode=0o700, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        return place

    def _end(self) -> None:
        Addresses.forget(self.place)
        self._started.close()
        ledgers.end_all(self.place)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.place.mkdir(parents=True, exist_ok=True)
        deadline = Deadline.after(_LOCK_SECONDS)
        with (self.place / "lock").open("w") as lock:
            while not _taken(lock.fileno()):
                if not deadline.pause(0.1):
                    raise Busy(f"another process has been busy with the sandbox {self.state} for {_LOCK_SECONDS:g} s")
            yield


def broker_statistics(addresses: Addresses) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    """The embedded broker's counts by topic and subscription (short names); raises `MessagingError`."""
    status, answer = rest(addresses.broker, "GET", STATS)
    if status != 200:
        raise MessagingError(f"the broker at {addresses.broker} gave no statistics: {status}")
    return {part: {name.rsplit("/", 1)[-1]: row for name, row in rows.items()} for part, rows in answer.items()}


def set_faults(addresses: Addresses, fabric: str, faults: Iterable[str]) -> None:
    """Put these faults in the place of all others of a simulated fabric; raises `MessagingError`."""
    status, answer = rest(addresses.fabrics_admin, "PUT", f"/-/faults/{fabric}", list(faults))
    if status != 200:
        raise MessagingError(f"the faults of {fabric} could not be set: {status} {answer}")


def churn(addresses: Addresses, fabric: str, seed: int = 1, steps: int = 1) -> list[str]:
    """Let a simulated fabric change; what changed, in words. Raises `MessagingError`."""
    status, answer = rest(addresses.fabrics_admin, "POST", f"/-/churn/{fabric}", {"seed": seed, "steps": steps})
    if status != 200:
        raise MessagingError(f"{fabric} could not be changed: {status} {answer}")
    return list(answer)


def _first_line(log: Path) -> str | None:
    """The first line of a log once it is complete."""
    line, newline, _ = log.read_text(encoding="utf-8", errors="replace").partition("\n")
    return line if newline else None


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], NoReturn] | signal.Handlers, *numbers: int) -> Iterator[None]:
    """Let `handler` meet these signals for the time of a block; only the main thread can decide that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
