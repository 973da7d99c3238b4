"""The function `manual` over HTTP: sync now, plan, test, status, and every answer that is no success."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from functions import registry
from functions.web.openapi import document
from tests import hostile
from tests.functions.web_house import HOOK_KEY, Answer, Desk, desk
from tests.netbox_content import changes, changes_of_clusters, opened
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import answering
from tests.pubsub_fixtures import eventually

pytestmark = pytest.mark.netbox


@pytest.fixture(scope="module")
def served(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(netbox_server, tmp_path_factory.mktemp("manual")) as made:
        yield made


@pytest.fixture
def manual(served: Desk) -> Iterator[Desk]:
    yield served
    served.house.netbox.behave()
    served.house.events.behave()


def fits(answer: Answer, method: str, template: str) -> None:
    """Hold an answer against the interface's own document."""
    told = document()
    operation = told["paths"][template][method]
    kinds = operation["responses"][str(answer.status)]["content"]
    schema = kinds[answer.headers["Content-Type"].partition(";")[0]]["schema"]
    jsonschema.validate(answer.json, {**schema, "components": told["components"]})


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The problem details of a refusal."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    told: dict[str, Any] = answer.json
    assert (told["status"], told["code"]) == (status, code)
    jsonschema.validate(told, document()["components"]["schemas"]["Problem"])
    return told


def test_a_sync_is_asked_for_and_its_outcome_is_the_answer(manual: Desk) -> None:
    answer = manual.ask("POST", "/fabrics/lab/sync", {})
    fits(answer, "post", "/fabrics/{name}/sync")
    outcome = answer.json
    assert (answer.status, outcome["result"], outcome["trigger"]) == (200, "succeeded", "manual")
    assert outcome["requested_by"] == "token"
    assert outcome["written"] > 0
    told = manual.ask("GET", f"/fabrics/lab/requests/{outcome['request_id']}")
    fits(told, "get", "/fabrics/{name}/requests/{request_id}")
    assert (told.json["state"], told.json["end"]["result"]) == ("ended", "succeeded")
    assert any("result" in one and one["fabric"] == "lab" for one in manual.house.outcomes())
    fabric = manual.ask("GET", "/fabrics/lab")
    fits(fabric, "get", "/fabrics/{name}")
    assert (fabric.json["status"], fabric.json["connection"]) == ("in_sync", "connected")


def test_all_fabrics_are_told_with_their_status(manual: Desk) -> None:
    answer = manual.ask("GET", "/fabrics")
    fits(answer, "get", "/fabrics")
    statuses = {one["fabric"]: one["status"] for one in answer.json["fabrics"]}
    assert (statuses["off"], statuses["bare"], statuses["other"]) == ("disabled", "not_configured", "never_synced")


def test_a_plan_is_shown_with_a_client_that_cannot_write_and_applied_by_its_digest(manual: Desk) -> None:
    with opened(manual.netbox) as netbox:
        before = changes(netbox), changes_of_clusters(netbox)
        answer = manual.ask("GET", "/fabrics/other/plan")
        assert (changes(netbox), changes_of_clusters(netbox)) == before
    fits(answer, "get", "/fabrics/{name}/plan")
    plan = answer.json
    assert plan["totals"]["creates"] == len(plan["creates"]) > 0
    moved = manual.ask("POST", "/fabrics/other/sync", {"plan": "0123456789abcdef"})
    assert problem(moved, 409, "plan_moved")["outcome"]["written"] == 0
    applied = manual.ask("POST", "/fabrics/other/sync", {"plan": plan["digest"]})
    assert (applied.status, applied.json["plan_digest"]) == (200, plan["digest"])
    assert manual.ask("GET", "/fabrics/other/plan").json["writes"] == 0


def test_a_test_of_the_connection_touches_no_fact_of_a_sync(manual: Desk) -> None:
    with opened(manual.netbox) as netbox:
        before = registry.find(netbox, "shown")["custom_fields"]
        answer = manual.ask("POST", "/fabrics/shown/test")
        fits(answer, "post", "/fabrics/{name}/test")
        assert registry.find(netbox, "shown")["custom_fields"] == before
    assert (answer.json["connection"], answer.json["ok"]) == ("connected", True)
    assert [step["step"] for step in answer.json["steps"]][-2:] == ["connection", "kinds"]
    secret = manual.house.secrets / "fabric-shown"
    kept = secret.read_text()
    with hostile.refusing() as nobody:
        manual.house.secret("shown", kept.replace(manual.fabrics["shown"].url, nobody.url.replace("http:", "https:")))
        told = manual.ask("POST", "/fabrics/shown/test").json
    manual.house.secret("shown", kept)
    assert (told["connection"], told["ok"], told["error"]["code"]) == ("unreachable", False, "fabric_unreachable")


def test_a_request_without_waiting_is_published_and_can_be_followed(manual: Desk) -> None:
    manual.requests()
    answer = manual.ask("POST", "/fabrics/lab/sync?wait=false", {"force": True})
    fits(answer, "post", "/fabrics/{name}/sync")
    assert (answer.status, answer.headers["Location"]) == (202, answer.json["status_url"])
    ((attributes, data),) = manual.requests()
    assert (attributes["ce-type"], attributes["ce-id"]) == (
        "io.fabric-sync.sync.requested.v1",
        answer.json["request_id"],
    )
    assert (data["trigger"], data["force"], data["requested_by"]) == ("manual", True, "token")
    assert manual.ask("GET", answer.headers["Location"]).json["state"] == "unknown"


def test_progress_is_streamed_as_it_is_counted_and_the_outcome_comes_last(manual: Desk) -> None:
    answer = manual.ask("POST", "/fabrics/shown/sync", {}, Accept="text/event-stream")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    parts = [part.split("\n") for part in answer.text.strip().split("\n\n") if part.startswith("event")]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in parts]
    read = [told for name, told in events if name == "progress" and told["phase"] == "read"]
    written = [told for name, told in events if name == "progress" and told["phase"] == "write"]
    assert [told["done"] for told in read] == list(range(1, read[0]["total"] + 1))
    name, outcome = events[-1]
    assert (name, outcome["result"]) == ("outcome", "succeeded")
    assert (written[-1]["done"], written[-1]["total"]) == (outcome["written"], outcome["written"])


def test_a_second_request_meanwhile_is_a_conflict_that_says_how_to_follow_the_first(manual: Desk) -> None:
    lease = {
        "number": 5,
        "holder": "somebody",
        "request": "their/request 1",
        "trigger": "schedule",
        "since": datetime.now(UTC).isoformat(),
        "until": (datetime.now(UTC) + timedelta(seconds=60)).isoformat(),
    }
    with opened(manual.netbox) as netbox:
        row = registry.find(netbox, "held")
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": {"fabric_lease": lease}}])
        told = problem(manual.ask("POST", "/fabrics/held/sync", {}), 409, "busy")
        assert told["running"] == "their/request 1"
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": {"fabric_lease": None}}])


def test_what_is_no_fabric_or_is_not_configured_is_told_as_such(manual: Desk) -> None:
    problem(manual.ask("POST", "/fabrics/nobody/sync", {}), 404, "unknown_fabric")
    problem(manual.ask("GET", "/fabrics/nobody"), 404, "unknown_fabric")
    assert (
        "fabric_secret is empty"
        in problem(manual.ask("POST", "/fabrics/bare/sync", {}), 422, "not_configured")["detail"]
    )
    problem(manual.ask("POST", "/fabrics/bare/test"), 422, "not_configured")
    problem(manual.ask("POST", "/fabrics/bare/sync?wait=false", {}), 422, "not_configured")
    problem(manual.ask("POST", "/fabrics/off/sync", {}), 409, "disabled")
    problem(manual.ask("GET", "/nowhere"), 404, "not_found")
    assert problem(manual.ask("DELETE", "/fabrics/lab"), 405, "method")["code"] == "method"


def test_a_netbox_that_is_down_is_a_503_with_retry_after(manual: Desk) -> None:
    manual.house.netbox.misbehave(answering("503 Service Unavailable"))
    for method, path in (("GET", "/fabrics"), ("POST", "/fabrics/lab/sync"), ("GET", "/fabrics/lab/plan")):
        answer = manual.ask(method, path)
        problem(answer, 503, "netbox_error")
        assert answer.headers["Retry-After"]
    assert manual.ask("GET", "/healthz").status == 200


def test_a_request_that_cannot_be_published_is_a_503(manual: Desk) -> None:
    manual.house.events.misbehave(answering("404 Not Found", b"{}"))
    answer = manual.ask("POST", "/fabrics/lab/sync?wait=false", {})
    problem(answer, 503, "publish_failed")
    assert answer.headers["Retry-After"]


def test_a_fabric_that_hangs_is_a_504_with_the_outcome(manual: Desk) -> None:
    secret = manual.house.secrets / "fabric-slow"
    kept = secret.read_text()
    with hostile.serve(hostile.silent) as silent:
        manual.house.secret("slow", kept.replace(manual.fabrics["slow"].url, f"https://{silent.place}"))
        told = problem(manual.ask("POST", "/fabrics/slow/sync", {}), 504, "fabric_timeout")
    manual.house.secret("slow", kept)
    assert (told["outcome"]["result"], told["outcome"]["written"]) == ("timed_out", 0)


# Webhooks


def hook(fabric: str, *, at: datetime | None = None, **more: Any) -> bytes:
    """A webhook as NetBox sends one of a device that a person changed."""
    told = {
        "event": "updated",
        "timestamp": (at or datetime.now(UTC)).isoformat(),
        "object_type": "dcim.device",
        "username": "ada",
        "data": {"id": 1, "custom_fields": {"fabric_name": fabric}},
        "snapshots": {"prechange": {"name": "a"}, "postchange": {"name": "b"}},
    }
    return json.dumps({**told, **more}).encode()


def signed(manual: Desk, body: bytes, signature: str | None = None) -> Answer:
    made = hmac.new(HOOK_KEY.encode(), body, hashlib.sha512).hexdigest()
    headers = {"X_Hook_Signature": made if signature is None else signature, "Content_Type": "application/json"}
    return manual.ask("POST", "/hooks/netbox", body, bare=True, **headers)


def test_a_webhook_requests_a_sync_once_for_many_changes_and_however_often_it_comes(manual: Desk) -> None:
    manual.requests()
    at = datetime.now(UTC)
    answers = [signed(manual, hook("lab", at=at)) for _ in range(3)]
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json["request_id"] for answer in answers}) == 1
    requests = manual.requests()
    assert {(attributes["ce-id"], data["requested_by"]) for attributes, data in requests} == {
        (answers[0].json["request_id"], "netbox: ada")
    }
    assert signed(manual, hook("other", at=at)).json["request_id"] != answers[0].json["request_id"]


def test_a_webhook_that_is_forged_old_or_rubbish_is_refused(manual: Desk) -> None:
    manual.requests()
    body = hook("lab")
    problem(signed(manual, body, ""), 401, "unsigned")
    problem(signed(manual, body, "0" * 128), 401, "unsigned")
    problem(
        signed(manual, body.replace(b"lab", b"off"), hmac.new(b"other", body, "sha512").hexdigest()), 401, "unsigned"
    )
    problem(signed(manual, hook("lab", at=datetime.now(UTC) - timedelta(hours=1))), 400, "bad_hook")
    problem(signed(manual, b"[1]"), 400, "bad_hook")
    problem(signed(manual, b"{" * 5000), 400, "bad_hook")
    assert manual.requests() == []


def test_what_we_wrote_ourselves_requests_nothing(manual: Desk) -> None:
    manual.requests()
    cluster = {"name": "lab", "type": {"slug": "hedgehog-fabric"}, "custom_fields": {}}
    before = {"name": "lab", "custom_fields": {"fabric_result": "failed", "fabric_secret": "fabric-lab"}}
    facts = {**before, "custom_fields": {"fabric_result": "succeeded", "fabric_secret": "fabric-lab"}}
    people = {**before, "custom_fields": {"fabric_result": "failed", "fabric_secret": "fabric-new"}}
    for after, status in ((facts, 200), (people, 202)):
        snapshots = {"prechange": before, "postchange": after}
        body = hook("", object_type="virtualization.cluster", data=cluster, snapshots=snapshots)
        assert signed(manual, body).status == status
    ours = {"prechange": {"custom_fields": {}}, "postchange": {"custom_fields": {"fabric_applied": {"a": 1}}}}
    assert signed(manual, hook("lab", snapshots=ours)).json["state"] == "ignored"
    assert len(manual.requests()) == 1


def test_two_people_at_once_get_one_sync_and_one_conflict_or_two_syncs_in_turn(manual: Desk) -> None:
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(manual.ask("POST", "/fabrics/held/sync", {}))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(answers) == 2, 60.0)
    assert sorted(answer.status for answer in answers) in ([200, 409], [200, 200])
