"""The scheduler's function end to end: messages in every shape, a real NetBox, the real emulator, many fabrics."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.many import many_clusters
from functions import registry
from functions.due import request_id, slot_before
from functions.errors import Code
from functions.standing import LEASE, STATE, standing_of
from functions.tick import Tick
from functions.ticking import scheduled_at
from infra.deadline import Deadline
from infra.netbox import DeletePermit, NetBox
from infra.pubsub import Publisher, PublishError, open_publisher
from infra.sandbox.emulator import Emulator
from infra.sandbox.process import free_port
from infra.sandbox.serving import Serving
from tests.house import MAIN, posted
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.pubsub_fixtures import PROJECT, Place

pytestmark = pytest.mark.emulator

EVERY = timedelta(seconds=60)
INTERVAL = timedelta(seconds=300)


def slot_tick(name: str) -> datetime:
    """A recent minute in which the fabric's usual slot makes it due."""
    return slot_before(name, INTERVAL, datetime.now(UTC)) + EVERY - timedelta(microseconds=1)


@dataclass(frozen=True)
class Clock:
    """The served `tick`, and what it published."""

    serving: Serving
    place: Place
    requests: str
    outcomes: str

    def tick(self, at: datetime | None = None, headers: Mapping[str, str] | None = None) -> Any:
        given = headers or {"X-CloudScheduler-ScheduleTime": (at or datetime.now(UTC)).isoformat()}
        status, answer, _ = posted(self.serving.url, given, b"{}")
        assert status == 200, (answer, self.serving.log.read_text()[-2000:])
        return answer

    def heard(self, subscription: str, least: int = 1) -> list[tuple[dict[str, str], Any]]:
        """The attributes and data of what came."""
        found: list[tuple[dict[str, str], Any]] = []
        deadline = Deadline.after(15 if least else 0.5)
        while len(found) < max(least, 1) and not deadline.expired():
            for one in self.place.pull(subscription, 1.0):
                message = one["message"]
                found.append((message["attributes"], json.loads(base64.b64decode(message["data"]))))
                self.place.done("POST", f"subscriptions/{subscription}:acknowledge", {"ackIds": [one["ackId"]]})
        return found


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


@pytest.fixture(scope="module")
def clock(ready: ServedNetBox, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    place = Place("emulator", emulator.url)
    requests, outcomes = place.topic("requests"), place.topic("outcomes")
    heard = [place.subscription(topic, ackDeadlineSeconds=60) for topic in (requests, outcomes)]
    environment = {
        "NETBOX_URL": ready.url,
        "NETBOX_TOKEN": ready.token_v2,
        "FABRIC_SYNC_PROJECT": PROJECT,
        "FABRIC_SYNC_TOPIC_REQUESTS": requests,
        "FABRIC_SYNC_TOPIC_OUTCOMES": outcomes,
        "PUBSUB_EMULATOR_HOST": emulator.host,
    }
    with Serving(MAIN, "tick", tmp_path_factory.mktemp("tick") / "tick.log", environment) as serving:
        yield Clock(serving, place, *heard)
    place.clear()


@pytest.fixture
def empty(clock: Clock, ready: ServedNetBox) -> Clock:
    """The same without fabrics, and without messages that nobody took."""
    with opened(ready) as netbox:
        for row in registry.every(netbox):
            netbox.update(registry.PATH, [{"id": row["id"], "status": "offline"}])
    for subscription in (clock.requests, clock.outcomes):
        while clock.heard(subscription, 0):
            continue
    return clock


def record(served: ServedNetBox, name: str, **custom: Any) -> None:
    with opened(served) as netbox:
        row = registry.find(netbox, name)
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": custom}])


def test_each_fabric_that_is_due_is_requested_once_and_the_same_tick_again_asks_for_the_same(
    empty: Clock, ready: ServedNetBox
) -> None:
    tried = (datetime.now(UTC) - timedelta(seconds=290)).isoformat()
    hidden = {"fabric_last_attempt": tried}
    with opened(ready) as netbox:
        with_fabric(netbox, "t-due", **hidden)
        with_fabric(netbox, "t-off", fabric_enabled=False)
        with_fabric(netbox, "t-wrong", fabric_windows="whenever")
        with_fabric(netbox, "t-rest", fabric_suspended_until=(datetime.now(UTC) + EVERY).isoformat())
        with_fabric(netbox, "t-tried", fabric_last_attempt=datetime.now(UTC).isoformat())
    at = slot_tick("t-due")
    first, second = empty.tick(at), empty.tick(at)
    assert first["causes"] == second["causes"] == {"slot": 1}
    assert first["published"] == 1
    assert first["skipped"]["disabled"] == first["skipped"]["not_configured"] == first["skipped"]["suspended"] == 1
    assert first["not_configured"]["t-wrong"].startswith("fabric_windows: 'whenever' is not a window")
    heard = empty.heard(empty.requests, 2)
    slot = slot_before("t-due", INTERVAL, at)
    assert [attributes["ce-id"] for attributes, _ in heard] == [request_id("t-due", slot)] * 2
    assert {data["fabric"] for _, data in heard} == {"t-due"}
    assert {data["trigger"] for _, data in heard} == {"schedule"}


def test_a_run_that_ended_without_a_word_is_told_as_timed_out_and_requested_again(
    empty: Clock, ready: ServedNetBox
) -> None:
    with opened(ready) as netbox:
        with_fabric(netbox, "t-dead")
    now = datetime.now(UTC)
    lease = {
        "number": 7,
        "holder": "a-run",
        "request": "r-1",
        "trigger": "schedule",
        "since": (now - timedelta(seconds=90)).isoformat(),
        "until": (now - timedelta(seconds=50)).isoformat(),
    }
    record(ready, "t-dead", fabric_lease=lease)
    told = empty.tick()
    assert told["recovered"] == 1
    [(_, request)] = empty.heard(empty.requests)
    assert (request["fabric"], request["trigger"]) == ("t-dead", "recovery")
    events = {attributes["ce-type"]: (attributes, data) for attributes, data in empty.heard(empty.outcomes, 2)}
    attributes, outcome = events["io.fabric-sync.sync.timed_out.v1"]
    assert (attributes["ce-id"], outcome["error"]["code"]) == ("r-1/timed_out", "interrupted")
    _, changed = events["io.fabric-sync.fabric.status_changed.v1"]
    assert (changed["from"], changed["to"], changed["request_id"]) == ("syncing", "error", "r-1")
    with opened(ready) as netbox:
        standing = standing_of(registry.find(netbox, "t-dead")["custom_fields"])
    assert (standing.result, standing.lease.number, standing.lease.holder) == ("timed_out", 8, None)
    assert standing.ended("r-1") is not None
    assert empty.tick()["recovered"] == 0


def test_a_lease_that_was_taken_meanwhile_is_left_alone(empty: Clock, ready: ServedNetBox) -> None:
    from functions.lease import FabricLease

    with opened(ready) as netbox:
        with_fabric(netbox, "t-race")
        past = {"number": 1, "holder": "gone", "request": "r", "until": "2026-01-01T00:00:00+00:00"}
        record(ready, "t-race", fabric_lease=past)
        seen = FabricLease(netbox, registry.find(netbox, "t-race"), "", lambda: datetime.now(UTC))
        other = FabricLease(netbox, registry.find(netbox, "t-race"), "run-2", lambda: datetime.now(UTC))
        other.acquire("r-2", "manual", 30)
        assert not seen.expire({"fabric_error": "a lie"})
        found = registry.find(netbox, "t-race")["custom_fields"]
    assert (found[LEASE]["holder"], found["fabric_error"]) == ("run-2", None)


@pytest.mark.parametrize("kind", ["silent", "late"])
def test_what_could_not_be_told_is_not_written_and_is_told_by_the_next_tick(
    empty: Clock, ready: ServedNetBox, kind: str
) -> None:
    def closed() -> Publisher:
        raise PublishError("no credentials", retryable=False)

    name, now = f"t-un-{kind}", datetime.now(UTC)
    with opened(ready) as netbox:
        with_fabric(netbox, name)
        past = {"number": 1, "holder": "gone", "request": "r", "until": "2026-01-01T00:00:00+00:00"}
        silent, late = {"fabric_lease": past}, {"fabric_last_attempt": (now - timedelta(hours=1)).isoformat()}
        record(ready, name, **(silent if kind == "silent" else late))
        before = registry.find(netbox, name)["custom_fields"]
        report = Tick(netbox, closed, empty.requests, empty.outcomes, netbox.deadline, now, EVERY).run()
        assert (report.whole, report.problem is not None and report.problem.code) == (False, Code.PUBLISH_FAILED)
        assert registry.find(netbox, name)["custom_fields"] == before
    told = empty.tick()
    assert (told["recovered"], told["told"]) == ((1, 0) if kind == "silent" else (0, 1))
    with opened(ready) as netbox:  # it would be late, and told so, in the tests that follow
        id_ = registry.find(netbox, name)["id"]
        netbox.delete(registry.PATH, [id_], DeletePermit(frozenset({(registry.PATH, id_)})))


def test_who_is_late_is_told_once_and_so_is_that_it_is_late_no_longer(empty: Clock, ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        with_fabric(netbox, "t-late")
    record(ready, "t-late", fabric_last_attempt=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert (empty.tick()["told"], empty.tick()["told"]) == (1, 0)
    record(ready, "t-late", fabric_last_attempt=datetime.now(UTC).isoformat())
    assert (empty.tick()["told"], empty.tick()["told"]) == (1, 0)
    told = [data["late"] for _, data in empty.heard(empty.outcomes, 2)]
    assert told == [True, False]
    with opened(ready) as netbox:
        assert registry.find(netbox, "t-late")["custom_fields"][STATE]["late_told"] is None


NOW = datetime(2026, 6, 3, 12, 0, 30, tzinfo=UTC)
AT = "2026-06-03T12:00:00Z"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-CloudScheduler-ScheduleTime": AT}, b""),
        ({"ce-time": AT, "ce-type": "google.cloud.scheduler.job.v1.executed"}, b"{}"),
        ({"x-goog-pubsub-publish-time": AT}, b"tick"),
        ({}, json.dumps({"message": {"data": "e30=", "publishTime": AT}, "subscription": "s"}).encode()),
        ({}, json.dumps({"message": {"attributes": {"ce-time": AT}, "messageId": "1"}}).encode()),
        ({}, json.dumps({"specversion": "1.0", "type": "t", "time": AT, "data": {}}).encode()),
    ],
)
def test_when_a_tick_was_to_come_is_told_by_a_message_in_any_shape(headers: dict[str, str], body: bytes) -> None:
    assert scheduled_at(headers, body, NOW) == NOW - timedelta(seconds=30)


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[]", b"7", b'{"message": 3}', b'{"time": "noon"}', b"[" * 5000])
def test_any_other_message_is_a_tick_of_now(body: bytes) -> None:
    assert scheduled_at({}, body, NOW) == NOW
    assert scheduled_at({"ce-time": "2036-01-01T00:00:00Z"}, body, NOW) == NOW


def test_a_tick_that_comes_much_too_late_is_taken_and_does_nothing(empty: Clock) -> None:
    assert empty.tick(datetime.now(UTC) - timedelta(hours=1))["stale"] is True


def test_netbox_that_is_not_there_is_a_503_so_that_the_tick_comes_again(emulator: Emulator, tmp_path: Path) -> None:
    environment = {
        "NETBOX_URL": f"http://127.0.0.1:{free_port()}",
        "NETBOX_TOKEN": "0" * 40,
        "FABRIC_SYNC_PROJECT": PROJECT,
        "PUBSUB_EMULATOR_HOST": emulator.host,
    }
    with Serving(MAIN, "tick", tmp_path / "tick.log", environment) as serving:
        status, answer, _ = posted(serving.url, {}, b"")
    assert (status, answer["error"]["code"]) == (503, "netbox_unreachable")


@pytest.mark.parametrize(("count", "code", "status"), [(3, "publish_failed", 503), (0, None, 200)])
def test_pub_sub_that_cannot_be_reached_fails_a_tick_that_has_something_to_tell_and_no_other(
    tmp_path: Path, count: int, code: str | None, status: int
) -> None:
    # Credentials that are not there: the way to Pub/Sub cannot even be opened, however often it is tried.
    environment = {
        "NETBOX_TOKEN": "0" * 40,
        "FABRIC_SYNC_PROJECT": PROJECT,
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json"),
    }
    with (
        many_clusters(count, datetime.now(UTC).replace(second=0, microsecond=0)) as url,
        Serving(MAIN, "tick", tmp_path / "tick.log", {**environment, "NETBOX_URL": url}) as serving,
    ):
        for _ in range(2):
            answered, report, _ = posted(serving.url, {}, b"")
            assert answered == status
            assert (report["due"], report["published"]) == (count, 0)
            assert (report["error"]["code"] if report["error"] else None) == code


def test_ten_thousand_fabrics_that_are_due_at_once_are_requested_within_one_deadline(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, deadline = datetime.now(UTC), Deadline.after(120)
    topic = Place("emulator", emulator.url).topic("many")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with (
        many_clusters(10_000, now.replace(second=0, microsecond=0)) as url,
        NetBox(url, "0" * 40, deadline) as netbox,
        open_publisher(PROJECT) as publisher,
    ):
        report = Tick(netbox, lambda: publisher, topic, topic, deadline, now, EVERY).run()
        requests = netbox.requests
    assert (report.fabrics, report.published, report.failed) == (10_000, 10_000, 0)
    assert requests == 20


def test_a_deadline_that_comes_first_is_told_and_what_was_read_was_requested(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    topic = Place("emulator", emulator.url).topic("cut")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with many_clusters(50_000, now.replace(second=0, microsecond=0)) as url, open_publisher(PROJECT) as publisher:
        deadline = Deadline.after(3)
        with NetBox(url, "0" * 40, deadline) as netbox:
            report = Tick(netbox, lambda: publisher, topic, topic, deadline, now, EVERY).run()
    assert not report.whole
    assert report.published > 0
    assert report.published + report.failed == report.due.total()
