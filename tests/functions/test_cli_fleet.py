"""The commands for a fleet of fabrics, entered as people enter them, against a real NetBox, a fabric and a broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from functions import registry
from functions.cli.messages import DEAD_LETTERS_PULL
from functions.due import request_id
from infra.sandbox.broker import Broker
from infra.sandbox.fabric.serve import SECRETS, serve
from infra.sandbox.messaging import DEAD_LETTERS, OUTCOMES, REQUESTS, Messaging, create_messaging
from tests.fabric_content import small_cluster
from tests.functions.test_cli import Terminal, terminal_at
from tests.netbox_content import bootstrapped, changes_of_clusters, opened, with_fabric
from tests.netbox_fixtures import ROOT, ServedNetBox

PROJECT = "fabric-sync"


@dataclass(frozen=True)
class Place:
    terminal: Terminal
    broker: Broker
    served: ServedNetBox

    def publish(self, topic: str, *messages: dict[str, Any]) -> None:
        self.broker.exchange.publish(f"projects/{PROJECT}/topics/{topic}", list(messages))

    def backlog(self, subscription: str) -> int:
        found = self.broker.exchange.stats()["subscriptions"]
        return int(found[f"projects/{PROJECT}/subscriptions/{subscription}"]["backlog"])

    def custom(self, name: str) -> Any:
        with opened(self.served) as netbox:
            return registry.find(netbox, name)["custom_fields"]


@pytest.fixture(scope="module")
def here(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = tmp_path_factory.mktemp("fleet")
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        for name in ("lab", "mute", "gap", "gone"):
            with_fabric(netbox, name)
    content = {name: small_cluster(name) for name in ("lab", "mute", "gap")}
    faults = {"mute": ["hang"], "gap": ["forbidden:connections"]}
    with serve(content, place, faults=faults), Broker() as broker:
        create_messaging(broker.url, Messaging(PROJECT, "http://127.0.0.1:9", first_backoff=600))
        terminal = terminal_at(served, place / SECRETS)
        events = {"FABRIC_SYNC_BROKER_URL": broker.url, "FABRIC_SYNC_PROJECT": PROJECT}
        yield Place(Terminal({**terminal.settings, **events}), broker, served)


def test_a_tick_requests_what_is_due_and_says_what_is_not(here: Place) -> None:
    told = here.terminal.json("tick")
    assert told["fabrics"] == 4
    assert told["due"] == told["published"]
    shown = here.terminal.run("tick")
    assert shown.exit_code == 0
    assert "4 fabrics" in shown.stdout
    assert here.terminal.run("tick", "--every", "5").exit_code == 2


def test_ticks_come_until_ctrl_c(here: Place) -> None:
    command = [sys.executable, "-m", "functions.cli", "tick", "--every", "10s", "--json"]
    environment = {**os.environ, **here.terminal.settings, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as ticking:
        assert ticking.stdout is not None
        try:
            told = [json.loads(ticking.stdout.readline()) for _ in range(2)]
            ticking.send_signal(signal.SIGINT)
            assert ticking.wait(30) == 0
        finally:
            ticking.kill()
    assert [one["fabrics"] for one in told] == [4, 4]


def test_status_is_derived_from_what_is_recorded(here: Place) -> None:
    assert here.terminal.json("status", "lab")["status"] == "never_synced"
    assert here.terminal.json("sync", "lab")["result"] == "succeeded"
    told = here.terminal.json("status", "lab")
    assert (told["status"], told["connection"], told["late_s"]) == ("in_sync", "connected", None)
    assert told["last_success"]
    assert told["next_due"]
    here.terminal.run("sync", "mute", "--deadline", "4")
    told = here.terminal.json("status", "mute")
    assert (told["status"], told["connection"], told["failures"]["count"]) == ("error", "unreachable", 1)
    assert "in_sync" in here.terminal.run("status").stdout


def test_a_suspension_has_an_end_and_a_reason_and_holds_syncs_back_until_then(here: Place) -> None:
    assert here.terminal.run("fabrics", "suspend", "gone", "--reason", "move").exit_code == 2
    assert here.terminal.run("fabrics", "suspend", "gone", "--for", "1h").exit_code == 2
    past = ("--until", "2020-01-01T00:00Z")
    assert here.terminal.run("fabrics", "suspend", "gone", "--reason", "move", *past).exit_code == 2
    told = here.terminal.json("fabrics", "suspend", "gone", "--reason", "move", "--for", "2h")
    assert told["fabric_suspend_reason"] == "move"
    status = here.terminal.json("status", "gone")
    assert (status["status"], status["waits_for"], status["suspend_reason"]) == ("disabled", "suspended", "move")
    skipped = here.terminal.json("sync", "gone", code=4)
    assert skipped["skip"] == "suspended"
    here.terminal.json("fabrics", "resume", "gone")
    assert here.terminal.json("status", "gone")["suspended_until"] is None


def test_what_the_last_run_held_is_released_by_the_mark_that_it_named(here: Place) -> None:
    assert here.terminal.run("release", "lab").exit_code == 1
    text = "device x and 30 more: no longer in the fabric, and held: a mass; to release, "
    text += "set fabric_release on the cluster to "
    with opened(here.served) as netbox:
        row = registry.find(netbox, "gap")
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": {"fabric_error": f"{text}device:abc123"}}])
    assert here.terminal.json("release", "gap")["released"] == ["device:abc123"]
    assert here.custom("gap")["fabric_release"] == "device:abc123"


def test_why_shows_both_sides_of_an_object(here: Place) -> None:
    here.terminal.json("sync", "lab")
    (told,) = [one for one in here.terminal.json("why", "lab", "leaf-1") if one["model"] == "device"]
    assert told["verdict"] == "is as the fabric wants it"
    name = next(row for row in told["fields"] if row["field"] == "name")
    assert name["wanted"] == name["holds"] == "leaf-1"
    assert told["id"] is not None
    assert here.terminal.run("why", "lab", "no-such-thing").exit_code == 1
    assert "leaf-1" in here.terminal.run("why", "lab", "leaf-1").stdout


def test_a_test_of_a_fabric_tells_each_step_and_records_nothing(here: Place) -> None:
    with opened(here.served) as netbox:
        before = changes_of_clusters(netbox)
        told = here.terminal.json("test", "lab")
        assert told["ok"] is True
        assert [check["what"] for check in told["checks"]] == [
            "settings",
            "secret",
            "kubeconfig",
            "connection",
            "kinds",
        ]
        gap = here.terminal.json("test", "gap", code=1)
        assert "may not be listed: Connection (403)" in gap["checks"][-1]["found"]
        gone = here.terminal.json("test", "gone", code=1)
        assert gone["checks"][-1]["what"] == "secret"
        assert here.terminal.json("test", "mute", code=1)["checks"][-1]["found"].startswith("fabric_timeout")
        assert changes_of_clusters(netbox) == before


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(here: Place) -> None:
    told = here.terminal.json("doctor", code=1)
    bad = {check["what"]: check for check in told["checks"] if not check["ok"]}
    assert list(bad) == ["fabric gone"]
    assert bad["fabric gone"]["hint"]
    ill = here.terminal.run("doctor", FABRIC_SYNC_TOPIC_REQUESTS="no-such-topic")
    assert "BAD topic no-such-topic: answered 404" in ill.stdout


def test_events_are_shown_as_they_come_and_taken_out(here: Place) -> None:
    event = {
        "data": "e30=",
        "attributes": {"ce-type": "io.fabric-sync.sync.failed.v1", "ce-id": "r/failed", "fabric": "lab"},
    }
    here.publish(OUTCOMES, event)
    done = here.terminal.run("events", "tail", "--once")
    assert done.exit_code == 0, done.output
    assert "sync.failed" in done.stdout
    assert here.terminal.run("events", "tail", "--once").stdout == ""


def test_dead_letters_are_listed_and_sent_again(here: Place) -> None:
    id_ = request_id("lab", datetime.now(UTC))
    letter = {
        "data": "e30=",
        "attributes": {"ce-id": id_, "fabric": "lab", "CloudPubSubDeadLetterSourceDeliveryCount": "5"},
        "orderingKey": "lab",
    }
    here.publish(DEAD_LETTERS, letter)
    (listed,) = here.terminal.json("dead-letters", "list")
    assert listed["attributes"]["ce-id"] == id_
    before = here.broker.exchange.stats()["topics"][f"projects/{PROJECT}/topics/{REQUESTS}"]["published"]
    assert here.terminal.json("dead-letters", "replay") == {"replayed": 1, "left": 0}
    after = here.broker.exchange.stats()["topics"][f"projects/{PROJECT}/topics/{REQUESTS}"]["published"]
    assert after == before + 1
    assert here.backlog(DEAD_LETTERS_PULL) == 0


def test_a_removed_fabric_leaves_everything_where_it_is(here: Place) -> None:
    with opened(here.served) as netbox:
        devices = netbox.count("dcim/devices", {"cf_fabric_name": "lab"})
        assert here.terminal.run("fabrics", "remove", "lab", "--yes").exit_code == 0
        assert netbox.count("dcim/devices", {"cf_fabric_name": "lab"}) == devices > 0
        assert netbox.count("virtualization/clusters", {"name": "lab"}) == 1
    assert "lab" not in [row["fabric"] for row in here.terminal.json("fabrics", "list")]


def test_messages_of_pub_sub_itself_are_not_pulled_from_here(here: Place) -> None:
    done = here.terminal.run("events", "tail", "--once", FABRIC_SYNC_BROKER_URL="", PUBSUB_EMULATOR_HOST="")
    assert done.exit_code == 2
    assert "gcloud pubsub subscriptions pull" in done.stderr
