"""What is published: outcomes, starts, drift and statuses, as whoever subscribes reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions import contract
from functions.contract import (
    ContractError,
    Direction,
    DriftDetected,
    Status,
    StatusChanged,
    SyncEnded,
    SyncStarted,
    parse,
)
from functions.drift import Drift
from functions.errors import Code, Problem
from functions.events import drift_message, outcome_message, started_message, status_message
from functions.mended import Mended, PutBack
from functions.outcome import Result
from tests.event_samples import NOW, WANTED, outcome_of, unwrapped


@pytest.mark.parametrize("given", [lambda outcome: outcome, lambda outcome: json.loads(json.dumps(outcome.as_dict()))])
def test_an_outcome_is_a_cloudevent_whose_id_tells_the_request_and_the_result(given: Any) -> None:
    outcome = outcome_of(WANTED, result=Result.FAILED, problem=Problem(Code.FABRIC_TLS, "no"))
    message = outcome_message(given(outcome))
    assert message.ordering_key == "lab-1"
    assert json.loads(message.data) == outcome.as_dict()
    told = {
        name: message.attributes[name] for name in ("ce-id", "ce-type", "ce-subject", "fabric", "result", "ce-time")
    }
    assert told == {
        "ce-id": "e-1/failed",
        "ce-type": "io.fabric-sync.sync.failed.v1",
        "ce-subject": "lab-1",
        "fabric": "lab-1",
        "result": "failed",
        "ce-time": "2026-01-02T03:04:05+00:00",
    }


def test_fields_that_an_outcome_gets_later_go_out_with_it() -> None:
    told = {**outcome_of(WANTED).as_dict(), "new": {"a": [1, None]}}
    assert json.loads(outcome_message(told).data) == told


BROKEN = {
    "nothing": {},
    "another result": {"result": "exploded"},
    "no time": {"finished_at": None},
    "a fabric that climbs": {"fabric": "../etc"},
    "a number that is none": {"duration_s": float("nan")},
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_outcome_is_not_published_as_one(case: str) -> None:
    data = {**outcome_of(WANTED).as_dict(), **BROKEN[case]} if BROKEN[case] else {}
    with pytest.raises(ContractError, match=r"outcome\."):
        outcome_message(data)


def test_the_start_of_a_run_tells_its_request_and_its_deadline() -> None:
    event = parse(*unwrapped(started_message(WANTED, NOW, 30)))
    assert isinstance(event, SyncStarted)
    assert (event.id, event.request_id, event.correlation_id, event.attempt) == ("e-1/started", "e-1", "c-1", 2)
    assert (event.time, event.deadline_s, event.trigger) == (NOW, 30, "manual")


def test_drift_tells_the_first_twenty_objects_and_how_many_there_are() -> None:
    many = [
        {"model": "interface", "key": f"k{number}", "fields": {"mtu": "both", "name": "netbox_edited"}}
        for number in range(30)
    ]
    event = parse(*unwrapped(drift_message("lab-1", "e-1", many, NOW)))
    assert isinstance(event, DriftDetected)
    assert (event.id, len(event.objects), event.objects_total, event.fields_total) == ("e-1/drift", 20, 30, 60)
    assert event.objects[1].fields == {"mtu": Direction.BOTH, "name": Direction.NETBOX_EDITED}
    part = parse(*unwrapped(drift_message("lab-1", "e-1", many[:3], NOW, objects_total=100, fields_total=333)))
    assert isinstance(part, DriftDetected)
    assert (len(part.objects), part.objects_total, part.fields_total) == (3, 100, 333)


def test_drift_of_nothing_is_no_event() -> None:
    with pytest.raises(ContractError):
        drift_message("lab-1", "e-1", [], NOW)


def test_what_an_outcome_tells_of_objects_put_back_is_drift() -> None:
    changed = {"mtu": Drift.NETBOX_EDITED, "type": Drift.BOTH}
    told = outcome_of(WANTED, mended=Mended(put_back=(PutBack("interface", "k", changed),))).as_dict()
    event = parse(*unwrapped(drift_message("lab-1", "e-1", told["put_back"], NOW)))
    assert isinstance(event, DriftDetected)
    outcome = parse(*unwrapped(outcome_message(told)))
    assert isinstance(outcome, SyncEnded)
    assert event.objects == outcome.put_back


def test_a_status_tells_what_it_was_and_since_when_it_is_another() -> None:
    message = status_message("lab-1", "e-1", "in_sync", "error", late=False, since=NOW, reason="no answer")
    event = parse(*unwrapped(message))
    assert isinstance(event, StatusChanged)
    assert (event.id, event.from_, event.to, event.late) == ("e-1/status", Status.IN_SYNC, Status.ERROR, False)
    assert (event.since, event.reason, json.loads(message.data)["from"]) == (NOW, "no answer", "in_sync")
    with pytest.raises(ValueError, match="purple"):
        status_message("lab-1", "e-1", "in_sync", "purple", late=False, since=NOW)


def test_the_closed_lists_of_the_contract_are_those_of_the_system() -> None:
    assert [*contract.Result] == [*Result]
    assert {*Direction} == {Drift.NETBOX_EDITED, Drift.BOTH}
