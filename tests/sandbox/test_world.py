"""The whole sandbox: up, found by others, down, and gone whatever happens to its owner; the demonstration, in full."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.deadline import Deadline
from infra.sandbox.addresses import FILE, Addresses
from infra.sandbox.messaging import OUTCOMES, OUTCOMES_PULL, REQUESTS, REQUESTS_PUSH, rest, take
from infra.sandbox.netbox import Busy, State
from infra.sandbox.netbox.processes import MARK
from infra.sandbox.netbox.sandbox import STATE_VARIABLE
from infra.sandbox.world import Content, World, broker_statistics, set_faults
from tests.netbox_fixtures import ROOT, ServedNetBox

FABRICS = {"lab": "topology:spine_leaf,spines=1,leaves=1,servers=1"}
CONTENT = Content(FABRICS, {"lab": ["hang"]}, instances=1)

OWNER = """
import sys, time
from pathlib import Path
from infra.sandbox.world import Content, World
with World(Path(sys.argv[1])).running(lambda text: None, Content({"lab": sys.argv[2]}, instances=1)):
    print("up", flush=True)
    time.sleep(300)
"""


def silent(text: str) -> None:
    return None


def left_of(state: Path) -> list[str]:
    """The commands of all processes that carry this sandbox's mark."""
    mark = f"{MARK}={state / 'world'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@pytest.fixture
def state(netbox_server: ServedNetBox, tmp_path: Path) -> Iterator[Path]:
    """A state directory whose NetBox is the one of this test run: it is up already, and stays up."""
    netbox_server.reset()
    (tmp_path / "netbox").symlink_to(netbox_server.sandbox.state)
    yield tmp_path
    assert left_of(tmp_path) == []
    assert netbox_server.sandbox.status().state is State.UP


def settings(state: Path, **more: str) -> Mapping[str, str]:
    """The environment of another terminal: nothing set but where the sandbox is."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("NETBOX_", "FABRIC_SYNC_"))}
    return {**clean, STATE_VARIABLE: str(state), "XDG_STATE_HOME": str(state), **more}


def command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`fabric-sync` in another terminal."""
    line = [sys.executable, "-m", "functions.cli", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=settings(state), timeout=120)


def test_a_sandbox_is_up_for_the_time_of_a_block_and_others_find_it(state: Path) -> None:
    world = World(state)
    with world.running(silent, CONTENT) as addresses:
        status = world.status()
        assert (status.state, status.addresses) == (State.UP, addresses)
        assert set(status.parts) == {"netbox", "fabrics", "broker", "function"}
        file = state / "world" / FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert Addresses.read(state / "world") == addresses
        assert addresses.token not in repr(addresses)
        (secret,) = Path(addresses.secrets).iterdir()
        assert (secret.name, addresses.fabrics["lab"] in secret.read_text()) == ("fabric-lab", True)
        with pytest.raises(Busy, match="fabric-sync sandbox down"):
            World(state).up(silent)

        told = command(state, "settings")
        assert told.returncode == 0, told.stderr
        assert f"NETBOX_URL={addresses.netbox}" in told.stdout
        assert f"working on the sandbox in {state}" in told.stderr
        assert addresses.token not in told.stdout + told.stderr
        set_faults(addresses, "lab", ())
        assert command(state, "bootstrap").returncode == 0
        added = command(state, "fabrics", "add", "lab", "--site", "lab", "--create-site", "--secret", "fabric-lab")
        assert added.returncode == 0, added.stderr
        assert json.loads(command(state, "plan", "lab", "--json").stdout)["writes"] > 0
    assert world.status().state is State.DOWN
    assert world.addresses() is None
    assert not file.exists()
    assert command(state, "settings").returncode == 2


def test_a_request_through_the_broker_comes_back_as_an_outcome(state: Path) -> None:
    with World(state).running(silent, Content(FABRICS, instances=1)) as addresses:
        topic = f"/v1/projects/{addresses.project}/topics/{REQUESTS}:publish"
        message = {"attributes": {"fabric": "nosuch"}, "orderingKey": "nosuch"}
        assert rest(addresses.broker, "POST", topic, {"messages": [message]})[0] == 200
        received: list[tuple[bytes, dict[str, str]]] = []
        deadline = Deadline.after(60)
        while not received and deadline.pause(0.1):
            received = take(addresses.broker, addresses.project, OUTCOMES_PULL)
        ((data, _),) = received
        outcome = json.loads(data)
        # NetBox was not made ready: that is said, and not tried again.
        assert (outcome["fabric"], outcome["error"]["code"]) == ("nosuch", "netbox_not_ready")
        while broker_statistics(addresses)["subscriptions"][REQUESTS_PUSH]["backlog"] and deadline.pause(0.1):
            pass
        counted = broker_statistics(addresses)
        assert counted["topics"][OUTCOMES]["published"] == 1
        assert counted["subscriptions"][REQUESTS_PUSH]["acknowledged"] == 1


def test_what_stays_up_is_ended_from_another_terminal(state: Path) -> None:
    up = command(state, "sandbox", "up", f"lab={FABRICS['lab']}")
    try:
        assert up.returncode == 0, up.stderr
        assert "function" in up.stdout
        assert "admin / admin" in up.stdout
        assert "lab" in command(state, "status").stdout
        assert command(state, "sandbox", "status").returncode == 0
    finally:
        # Not `sandbox down`: that would end the NetBox of this test run as well.
        World(state).down(netbox=False)
    assert command(state, "sandbox", "status").returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_when_the_owner_is_ended(state: Path, number: signal.Signals) -> None:
    line = [sys.executable, "-c", OWNER, str(state), FABRICS["lab"]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            assert len(left_of(state)) >= 4  # fabrics, broker, function with a worker, keeper
            owner.send_signal(number)
            assert owner.wait(60) != 0
        finally:
            owner.kill()
    deadline = Deadline.after(60)
    while left_of(state) and deadline.pause(0.1):
        pass
    assert left_of(state) == []
    assert World(state).addresses() is None


def test_a_content_that_cannot_be_served_leaves_nothing(state: Path) -> None:
    from infra.sandbox.process import NotReady

    with (
        pytest.raises(NotReady, match="no topology 'star'"),
        World(state).running(silent, Content({"x": "topology:star"})),
    ):
        pass
    assert World(state).status().state is State.DOWN


def test_the_demonstration_ends_well_and_leaves_nothing(state: Path) -> None:
    line = [sys.executable, "-m", "functions.demo"]
    played = subprocess.run(
        line, capture_output=True, text=True, cwd=ROOT, env=settings(state, DEMO_ONCE="1"), timeout=280
    )
    assert played.returncode == 0, played.stdout + played.stderr
    text = played.stdout
    first, rest_ = text.split("The scheduler asks", 1)
    second, person = rest_.split("A person presses", 1)
    assert "mute: attempt 1 timed_out" in first
    assert "[fabric_timeout]" in first
    assert re.search(r"mesh: attempt \d+ succeeded", first)  # a busy machine may need more than one
    assert second.count("succeeded") == 3
    assert "succeeded, 0 objects written" in person
    assert "Every fabric ended as it should" in person
    assert "/virtualization/clusters/" in person
    assert "Traceback" not in played.stdout + played.stderr
