"""The command line, entered as people enter it, against a real NetBox and simulated fabrics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from functions import registry
from functions.cli.app import app
from infra.sandbox.fabric.serve import SECRETS, serve
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ROOT, ServedNetBox

NAMES = ("lab", "gap", "mute", "off", "new")


@dataclass(frozen=True)
class Terminal:
    """A terminal with these settings."""

    settings: Mapping[str, str]

    def run(self, *arguments: str, **settings: str) -> Result:
        clean = {name: None for name in os.environ if name.startswith(("NETBOX_", "FABRIC_SYNC_"))}
        return CliRunner().invoke(app, list(arguments), env={**clean, **self.settings, **settings})

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfigs of fabrics that are served meanwhile; one hangs, one hides its connections."""
    place = tmp_path_factory.mktemp("fabrics")
    faults = {"mute": ["hang"], "gap": ["forbidden:connections"]}
    with serve({name: small_cluster(name) for name in NAMES}, place, faults=faults):
        yield place / SECRETS


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        for name in NAMES[:-1]:
            with_fabric(netbox, name, **({"fabric_enabled": False} if name == "off" else {}))
    return served


def terminal_at(served: ServedNetBox, secrets: Path) -> Terminal:
    return Terminal(
        {
            "NETBOX_URL": served.url,
            "NETBOX_TOKEN": served.token_v2,
            "FABRIC_SYNC_SECRETS": str(secrets),
            "XDG_STATE_HOME": str(secrets.parent / "state"),
        },
    )


@pytest.fixture
def terminal(ready: ServedNetBox, secrets: Path) -> Terminal:
    return terminal_at(ready, secrets)


def test_a_plan_writes_nothing_and_a_sync_writes_it_once(terminal: Terminal, ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        before = changes(netbox)
        plan = terminal.json("plan", "lab")
        assert changes(netbox) == before
        assert plan["writes"] == len(plan["creates"]) > 0
        assert plan["updates"] == plan["stale"] == plan["reasons"] == []
        assert plan["counts"]["device"]["create"] == sum(one["model"] == "device" for one in plan["creates"])
        shown = terminal.run("plan", "lab")
        assert shown.exit_code == 0
        assert plan["digest"] in shown.stdout
        assert f"{plan['writes']} objects would be written" in shown.stdout

        outcome = terminal.json("sync", "lab")
        assert (outcome["result"], outcome["written"]) == ("succeeded", plan["writes"])
        assert outcome["plan_digest"] == plan["digest"]
        before = changes(netbox)
        again = terminal.run("sync", "lab")
        assert again.exit_code == 0
        assert "lab succeeded" in again.stdout
        assert "0 objects written" in again.stdout
        assert changes(netbox) == before
        assert "nothing would be written" in terminal.run("plan", "lab").stdout

        # What a person changed in our fields comes back field by field, references by their names.
        (leaf,) = netbox.read("dcim/devices", {"cf_fabric_name": "lab", "name": "leaf-1"})
        theirs = netbox.create("dcim/platforms", [{"name": "Theirs", "slug": "theirs"}])[0]
        netbox.update("dcim/devices", [{"id": leaf["id"], "platform": theirs["id"], "comments": "kept"}])
    (update,) = terminal.json("plan", "lab")["updates"]
    platform = leaf["platform"]["slug"]
    assert (update["model"], update["key"], update["id"]) == ("device", "lab/Switch/default/leaf-1", leaf["id"])
    assert [(change["field"], change["after"]) for change in update["changes"]] == [("platform", platform)]
    shown = terminal.run("plan", "lab").stdout
    (line,) = [line for line in shown.splitlines() if "leaf-1" in line]
    assert line.split()[2:] == ["platform", str(update["changes"][0]["before"]), platform, "people", "in", "NetBox"]


def test_a_fabric_that_hangs_ends_at_the_deadline_with_a_hint(terminal: Terminal) -> None:
    done = terminal.run("sync", "mute", "--deadline", "4")
    assert done.exit_code == 1
    assert "mute timed_out" in done.stdout
    assert "fabric_timeout" in done.stdout
    assert "hint: The fabric's API server did not answer in time" in done.stdout
    outcome = terminal.json("sync", "mute", "--deadline", "4", code=1)
    assert outcome["duration_s"] <= outcome["deadline_s"] == 4.0
    plan = terminal.json("plan", "mute", "--deadline", "4", code=1)
    assert (plan["result"], plan["error"]["code"]) == ("timed_out", "fabric_timeout")
    status = terminal.json("status", "mute")
    assert status["result"] == "timed_out"
    assert status["error"].startswith("fabric_timeout: ")
    assert status["since"]


def test_what_cannot_be_read_makes_it_incomplete_and_says_what(terminal: Terminal) -> None:
    outcome = terminal.json("sync", "gap", code=3)
    assert outcome["result"] == "incomplete"
    assert any(reason.startswith("Connection could not be read") for reason in outcome["reasons"])
    done = terminal.run("plan", "gap")
    assert done.exit_code == 3
    assert "incomplete: Connection could not be read" in done.stdout


def test_a_fabric_that_is_switched_off_is_skipped(terminal: Terminal) -> None:
    done = terminal.run("sync", "off")
    assert done.exit_code == 4
    assert "off skipped" in done.stdout
    assert "because sync is switched off for this fabric" in done.stdout


def test_a_fabric_is_registered_once_and_then_synced_under_its_name(terminal: Terminal, ready: ServedNetBox) -> None:
    arguments = ("fabrics", "add", "new", "--site", "attic", "--secret", "fabric-new")
    without = terminal.run(*arguments)
    assert without.exit_code == 2
    assert "no site with the slug attic" in without.stderr
    done = terminal.run(*arguments, "--create-site", "--naming", "prefixed")
    assert done.exit_code == 0, done.output
    assert "created the site attic" in done.stdout
    again = terminal.run(*arguments)
    assert again.exit_code == 1
    assert "registered already" in again.stderr
    (listed,) = [row for row in terminal.json("fabrics", "list") if row["fabric"] == "new"]
    assert (listed["site"], listed["secret"], listed["naming"]) == ("attic", "fabric-new", "prefixed")
    assert terminal.json("sync", "new")["result"] == "succeeded"
    with opened(ready) as netbox:
        devices = netbox.read("dcim/devices", {"cf_fabric_name": "new"})
        cluster = registry.find(netbox, "new")
    assert devices
    assert all(row["name"].startswith("new-") for row in devices)
    shown = terminal.run("status").stdout
    assert "new" in shown
    assert "succeeded" in shown
    assert terminal.json("status", "new")["url"] == f"{ready.url}/virtualization/clusters/{cluster['id']}/"


def test_an_unknown_fabric_is_one_line_and_a_hint(terminal: Terminal) -> None:
    done = terminal.run("status", "nosuch")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: no Hedgehog Fabric cluster nosuch in NetBox\nhint: ")
    assert terminal.json("sync", "nosuch", code=1)["error"]["code"] == "unknown_fabric"
    assert terminal.run("sync", "No_Slug").exit_code == 2


def test_bootstrap_tells_what_it_did_and_the_second_time_does_nothing(netbox: ServedNetBox, tmp_path: Path) -> None:
    terminal = terminal_at(netbox, tmp_path)
    before = terminal.run("status")
    assert before.exit_code == 1
    assert "fabric-sync bootstrap" in before.stderr
    first = terminal.run("bootstrap")
    assert first.exit_code == 0, first.output
    assert "created" in first.stdout
    with opened(netbox) as door:
        count = changes(door)
        again = terminal.run("bootstrap")
        assert changes(door) == count
    assert "nothing was changed" in again.stdout
    assert "no fabric is registered" in terminal.run("status").stdout


def test_settings_that_make_no_sense_are_told_with_all_their_problems(tmp_path: Path) -> None:
    nowhere = Terminal({"FABRIC_SYNC_SANDBOX": str(tmp_path)})
    done = nowhere.run("status", FABRIC_SYNC_BATCH="many")
    assert done.exit_code == 2
    assert "NETBOX_URL is not set" in done.stderr
    assert "FABRIC_SYNC_BATCH ('many') is not a number" in done.stderr
    assert "hint: without a NetBox: `fabric-sync sandbox up`" in done.stderr
    assert "Traceback" not in done.output


def test_a_netbox_that_is_not_there_is_one_line_and_a_hint(tmp_path: Path) -> None:
    gone = Terminal({"NETBOX_URL": "http://127.0.0.1:9", "NETBOX_TOKEN": "0" * 40})
    done = gone.run("bootstrap")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "hint: Check NETBOX_URL" in done.stderr
    assert "Traceback" not in done.output


def test_settings_are_shown_without_secrets() -> None:
    token = "nbt_abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyzABCD"
    done = Terminal({"NETBOX_URL": "https://netbox.example", "NETBOX_TOKEN": token}).run("settings")
    assert done.exit_code == 0
    assert "NETBOX_URL=https://netbox.example" in done.stdout
    assert "NETBOX_TOKEN=***" in done.stdout
    assert token not in done.output


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_help_imports_nothing_that_is_slow() -> None:
    done = python(
        "import sys\nsys.argv = ['fabric-sync', '--help']\nfrom functions.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "slow = ('pynetbox', 'kubernetes', 'requests', 'grpc', 'flask', 'cryptography')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    assert "3 incomplete" in " ".join(done.stdout.split())


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_extra_is_named_with_the_way_to_install_it(package: str) -> None:
    done = python(f"import sys\nsys.modules['{package}'] = None\nfrom functions.cli import main\nmain()")
    assert done.returncode == 2
    assert 'pip install "fabric-sync[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_simulated_fabrics_are_served_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "functions.cli", "simulate", "lab=topology:mesh", "--state", str(tmp_path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as server:
        assert server.stdout is not None
        try:
            name, url, _, kubeconfig = server.stdout.readline().split()
            assert (name, url.startswith("https://127.0.0.1:")) == ("lab", True)
            assert url in Path(kubeconfig).read_text()
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            server.kill()
    assert not (tmp_path / "fabrics.json").exists()


def test_a_content_that_nobody_understands_is_a_usage_error(tmp_path: Path) -> None:
    here = Terminal({})
    done = here.run("simulate", "lab=topology:star", "--state", str(tmp_path))
    assert done.exit_code == 2
    assert "no topology 'star'" in done.stderr
    assert here.run("simulate", "lab", "--state", str(tmp_path)).exit_code == 2
