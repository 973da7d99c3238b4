"""Plans by the command line, against the real NetBox and a simulated fabric: shown, agreed to, refused, carried out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from functions.errors import Code
from functions.events import SyncRequest, follow_up
from functions.outcome import Outcome, Result
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import serve
from infra.secrets import open_secrets
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, device_of_people, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Desk:
    """A person at a terminal, with a NetBox, a fabric and a home of their own."""

    name: str
    netbox: NetBox
    cluster: Cluster
    place: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command's exit code, and what it said on both channels."""
        done = subprocess.run(
            [sys.executable, "-m", "functions.cli", *arguments],
            cwd=ROOT,
            env={**self.environment, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        code, out, err = self.run(*arguments, "--json")
        assert out, err
        return code, json.loads(out)

    @property
    def kept(self) -> list[Path]:
        """The plans that are kept for this person."""
        return sorted((self.place / "state").rglob("*.json"))

    def port(self) -> dict[str, Any]:
        (row,) = self.netbox.read("dcim/interfaces", {"cf_fabric_name": self.name, "device": "leaf-1", "name": "E1/1"})
        return row


@contextmanager
def desk(served: ServedNetBox, place: Path, name: str, **custom: Any) -> Iterator[Desk]:
    cluster = small_cluster(name)
    with serve({name: cluster}, place) as _, opened(served, 600) as netbox:
        with_fabric(netbox, name, **custom)
        environment = {
            "NETBOX_URL": served.url,
            "NETBOX_TOKEN": served.token_v2,
            "FABRIC_SYNC_SECRETS": str(place / "secrets"),
            "FABRIC_SYNC_DEADLINE_S": "120",
            "XDG_STATE_HOME": str(place / "state"),
            "COLUMNS": "300",
        }
        yield Desk(name, netbox, cluster, place, environment)


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def test_a_plan_is_shown_writes_nothing_and_is_applied_by_its_digest(ready: ServedNetBox, tmp_path: Path) -> None:
    with desk(ready, tmp_path, "shown") as person:
        before = changes(person.netbox)
        code, plan = person.json("plan", "shown")
        assert (code, plan["reasons"], plan["conflicts"]) == (0, [], [])
        assert plan["counts"]["device"] == {"create": 3}
        assert plan["writes"] == len(plan["creates"]) == len(plan["operations"])
        expected = plan["forecast"]
        assert (expected["prediction"], expected["invocations"]) == (True, 1)
        assert expected["requests"] == expected["reads"] + expected["writes"]
        code, text, _ = person.run("plan", "shown")
        assert code == 0
        assert f"digest {plan['digest']}" in text
        assert f"fabric-sync sync shown --plan {plan['digest']}" in text
        for said in ("would be created", "leaf-1", "likely to take 1 invocation", "predicted: reading took"):
            assert said in text
        assert changes(person.netbox) == before
        assert [file.stat().st_mode & 0o777 for file in person.kept] == [0o600]

        code, outcome = person.json("sync", "shown", "--plan", plan["digest"])
        assert (code, outcome["result"], outcome["plan_digest"]) == (0, "succeeded", plan["digest"])
        assert (outcome["written"], outcome["plan_left"]) == (plan["writes"], None)


def test_a_long_plan_shows_its_first_rows_and_all_of_them_when_asked(ready: ServedNetBox, tmp_path: Path) -> None:
    with desk(ready, tmp_path, "long") as person:
        person.cluster.load(small_cluster("long", switches=5, ports=20).objects("Switch"))
        person.cluster.load(small_cluster("long", switches=5, ports=20).objects("SwitchProfile"))
        short, whole = person.run("plan", "long")[1], person.run("plan", "long", "--all")[1]
        assert "more (--all and --json show them)" in short
        assert "more (" not in whole
        assert "leaf-5#E1/9 " not in short
        assert "leaf-5#E1/9 " in whole
        assert len(person.kept) == 1


def test_when_the_world_moved_a_plan_is_refused_with_what_moved_and_nothing_is_written(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with desk(ready, tmp_path, "moved") as person:
        assert person.run("sync", "moved")[0] == 0
        _, empty = person.json("plan", "moved")
        assert (empty["writes"], empty["operations"]) == (0, {})
        code, outcome = person.json("sync", "moved", "--plan", empty["digest"])
        assert (code, outcome["result"], outcome["written"]) == (0, "succeeded", 0)

        port = person.port()
        person.netbox.update("dcim/interfaces", [{"id": port["id"], "label": "mine"}])
        before = changes(person.netbox)
        code, refused = person.json("sync", "moved", "--plan", empty["digest"])
        assert (code, refused["result"], refused["error"]["code"]) == (1, "failed", "plan_moved")
        assert (refused["error"]["side"], refused["error"]["retryable"]) == ("config", False)
        edit = f"update interface {port['custom_fields']['fabric_key']}"
        assert refused["moved"] == {"new": [edit], "gone": [], "changed": []}
        assert (refused["written"], changes(person.netbox)) == (0, before)

        file = tmp_path / "agreed.json"
        _, text, _ = person.run("plan", "moved", "--out", str(file))
        assert "mine" in text
        assert "people in NetBox" in text
        (update,) = json.loads(file.read_text())["updates"]
        (change,) = update["changes"]
        assert change == {"field": "label", "before": "mine", "after": "1", "drift": "netbox_edited"}

        person.netbox.update("dcim/interfaces", [{"id": port["id"], "label": "mine, still"}])
        person.cluster.load([_server("server-2")])
        before = changes(person.netbox)
        code, refused = person.json("sync", "moved", "--plan", str(file))
        assert (code, refused["error"]["code"]) == (1, "plan_moved")
        assert refused["moved"]["changed"] == [edit]
        assert "create device moved/Server/default/server-2" in refused["moved"]["new"]
        code, text, _ = person.run("sync", "moved", "--plan", str(file))
        assert code == 1
        for said in ("plan_moved", "moved since the plan was shown", "server-2", "changed"):
            assert said in text
        for kept in person.kept:
            kept.unlink()
        _, text, _ = person.run("sync", "moved", "--plan", empty["digest"])
        assert "what moved cannot be told" in text
        assert changes(person.netbox) == before

        assert person.run("plan", "moved", "--out", str(file))[0] == 0
        code, text, _ = person.run("sync", "moved", "--plan", str(file))
        assert code == 0
        assert "edited in NetBox, and put back (1)" in text
        assert person.port()["label"] == "1"
        code, again = person.json("sync", "moved", "--plan", str(file))
        assert (code, again["result"], again["written"]) == (0, "succeeded", 0)


def test_what_was_put_back_and_who_had_moved_is_told(ready: ServedNetBox, tmp_path: Path) -> None:
    with desk(ready, tmp_path, "back") as person:
        assert person.run("sync", "back")[0] == 0
        port = person.port()
        person.netbox.update("dcim/interfaces", [{"id": port["id"], "label": "mine", "description": "mine, too"}])
        code, outcome = person.json("sync", "back")
        assert (code, outcome["drift"]["netbox_edited"], outcome["drift"]["both"]) == (0, 2, 0)
        (put_back,) = outcome["put_back"]
        assert put_back["key"] == port["custom_fields"]["fabric_key"]
        assert put_back["fields"] == {"label": "netbox_edited", "description": "netbox_edited"}
        assert (outcome["put_back_total"], outcome["adopted"], outcome["adopted_total"]) == (1, [], 0)


def test_a_conflict_is_known_before_it_happens_and_adoption_is_shown_and_told(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with desk(ready, tmp_path, "adopt") as person:
        device, _ = device_of_people(person.netbox, "adopt", "leaf-1")
        before = changes(person.netbox)
        _, plan = person.json("plan", "adopt")
        key = "adopt/Switch/default/leaf-1"
        assert plan["conflicts"] == [{"model": "device", "key": key, "id": device["id"], "fabric": None}]
        assert "something is there already" in person.run("plan", "adopt")[1]
        assert changes(person.netbox) == before

        (row,) = person.netbox.read("virtualization/clusters", {"name": "adopt"})
        custom = {"fabric_adopt": ["device"]}
        person.netbox.update("virtualization/clusters", [{"id": row["id"], "custom_fields": custom}])
        _, plan = person.json("plan", "adopt")
        assert (plan["conflicts"], plan["counts"]["device"]) == ([], {"create": 2, "adopt": 1})
        assert "of people, would be adopted" in person.run("plan", "adopt")[1]
        code, outcome = person.json("sync", "adopt", "--plan", plan["digest"])
        assert (code, outcome["result"]) == (0, "succeeded")
        assert (outcome["adopted"], outcome["adopted_total"]) == ([{"model": "device", "key": key}], 1)


def test_what_is_no_plan_is_refused_as_a_wrong_argument(ready: ServedNetBox, tmp_path: Path) -> None:
    with desk(ready, tmp_path, "wrong") as person:
        file = tmp_path / "plan.json"
        assert person.run("plan", "wrong", "--out", str(file))[0] == 0
        plan = json.loads(file.read_text())
        for name, text in {
            "absent": None,
            "no JSON": "plan",
            "a list": "[]",
            "of another fabric": json.dumps({**plan, "fabric": "other"}),
            "changed": json.dumps({**plan, "operations": {}}),
        }.items():
            given = tmp_path / f"{name}.json"
            if text is not None:
                given.write_text(text)
            code, _, err = person.run("sync", "wrong", "--plan", str(given))
            assert (code, "--plan" in err) == (2, True), (name, err)


def test_what_is_left_of_a_plan_is_agreed_to_in_the_next_run_and_nothing_else(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with desk(ready, tmp_path, "left") as person:
        _, plan = person.json("plan", "left")
        request = SyncRequest("left", "r1", "r1", plan=plan["digest"])
        outcomes: list[Outcome] = []
        while not outcomes or outcomes[-1].result is Result.CONTINUED:
            outcomes.append(_sync_for_two_batches(person, request))
            request = follow_up(request, outcomes[-1].plan_left)
        assert len(outcomes) > 2, [(o.result, o.written, plan["writes"]) for o in outcomes]
        assert (outcomes[-1].result, outcomes[-1].reasons, outcomes[-1].problem) == (Result.SUCCEEDED, (), None)
        assert all(one.plan_left == other.plan_digest for one, other in pairwise(outcomes))
        assert sum(outcome.written for outcome in outcomes) == plan["writes"]

        person.cluster.load([_server("server-3")])
        refused = _sync_for_two_batches(person, SyncRequest("left", "r2", "r2", plan=plan["digest"]))
        assert refused.problem is not None
        assert (refused.problem.code, refused.written) == (Code.PLAN_MOVED, 0)


def _sync_for_two_batches(person: Desk, request: SyncRequest) -> Outcome:
    """A run whose time is over after the second batch of at most five objects, with nothing else under way."""
    batches: list[str] = []

    def hear(step: str, facts: dict[str, Any]) -> None:
        batches.extend([step] * (step == "applied"))
        if len(batches) == 2:
            person.netbox.deadline = Deadline.after(0.001)

    deadline = Deadline.after(120, reserve=5)
    person.netbox.deadline = deadline
    secrets = open_secrets(person.environment["FABRIC_SYNC_SECRETS"], "fabric-")
    try:
        return sync(Run(request, secrets, deadline, batch=5, parallel=1, listen=hear), person.netbox)
    finally:
        person.netbox.deadline = Deadline.after(600)


def _server(name: str) -> dict[str, Any]:
    (server,) = small_cluster("any").objects("Server")
    return {**server, "metadata": {"name": name, "namespace": "default"}}
