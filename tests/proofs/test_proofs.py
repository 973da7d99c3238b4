"""A small one of each heavy proof, and that they see what they look for. The whole of it: `make prove`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from infra.sandbox.emulator import EmulatorMissing, emulator_jar, java
from tests.netbox_fixtures import ServedNetBox
from tests.proofs import leaks, soak, storm
from tests.proofs.leases import writings
from tests.proofs.traces import forms, traces


@pytest.fixture
def state(netbox_server: ServedNetBox, tmp_path: Path) -> Path:
    """The state of a sandbox whose NetBox is the one of this test run; skips where there is no emulator."""
    try:
        java()
        emulator_jar()
    except EmulatorMissing as missing:
        pytest.skip(f"the Pub/Sub emulator cannot run: {missing}")
    (tmp_path / "netbox").symlink_to(netbox_server.sandbox.state)
    return tmp_path


@pytest.mark.emulator
def test_a_storm_of_requests_ends_in_one_end_each_and_leaves_what_one_sync_leaves(state: Path) -> None:
    verdict = storm.run(state, requests=60, fabrics=4, seed=7, seconds=240)
    assert verdict.wrong == []
    assert (verdict.requests, verdict.dead) == (60, 0)
    assert sum(verdict.results.values()) >= verdict.deliveries > 60
    assert verdict.told_again > 0
    assert verdict.holds >= 4
    assert verdict.writes > 40


def test_a_warm_process_holds_after_many_runs_what_it_held_after_the_first(netbox_server: ServedNetBox) -> None:
    soaked = soak.run(netbox_server, runs=60, every=15)
    assert soaked.bad == []
    assert len(soaked.counts) == 1, soaked.samples
    assert soaked.samples[-1].zombies == 0
    assert max(soaked.growth(what) for what in ("pss", "worker_rss", "server_rss")) < 3


@pytest.mark.emulator
def test_no_secret_comes_out_whatever_goes_wrong(state: Path) -> None:
    story, found = leaks.run(state, failing=("revoked", "program", "keyed", "telling"))
    assert found == []
    assert story.codes >= leaks.CODES
    silent = {place for place, data in story.came.items() if not data}
    assert silent <= {"log, fabrics", "log, keeper"}
    assert len(story.came) >= 18
    assert b'"turn": "failing"' in story.came["notifications"]


def test_a_trace_of_a_secret_is_found_in_every_form() -> None:
    secret = "aB3_dE-fG7hJ9kLmN0pQ"
    for form in forms(secret):
        found = traces({"token": secret}, {"log": f"before {form[1:14]} after".encode(), "page": b"nothing"})
        assert [text.partition(",")[0] for text in found] == ["token in log"], form
    packed = base64.b64encode(f"Authorization: Bearer {secret}, and more".encode())
    assert len(traces({"token": secret}, {"log": packed})) == 1
    assert traces({"token": secret}, {"log": b"aB3_dE-fG7h, and no more of it"}) == []


AT = "2026-03-01T12:00:{:02}Z"


def cluster(second: int, number: int, holder: str | None) -> dict[str, Any]:
    """A row of the change log: a fabric's cluster was written, its lease is this one."""
    lease = {"number": number, "holder": holder, "request": f"of {holder}"}
    data = {"name": "lab", "custom_fields": {"fabric_lease": lease}}
    return _row(second, "virtualization.cluster", data)


def device(second: int) -> dict[str, Any]:
    """A row of the change log: an object of the fabric was written."""
    return _row(second, "dcim.device", {"custom_fields": {"fabric_name": "lab", "fabric_key": "lab/Switch/leaf"}})


def _row(second: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    kept = {"id": second, "time": AT.format(second), "action": "update", "changed_object_id": 1}
    return {**kept, "changed_object_type": kind, "prechange_data": data, "postchange_data": data}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([cluster(1, 1, "a"), device(2), cluster(3, 1, None), cluster(4, 2, "b"), device(5), cluster(6, 2, None)], 0),
        ([cluster(1, 1, "a"), cluster(3, 2, "b"), cluster(6, 2, None)], 1),
        ([cluster(1, 1, "a"), cluster(3, 1, None), device(4), cluster(6, 2, "b")], 1),
        ([cluster(1, 1, "a"), cluster(3, 1, None), cluster(4, 1, "b"), cluster(6, 1, None)], 1),
    ],
    ids=["one after the other", "a lease that was taken away", "a write without a lease", "a number twice"],
)
def test_runs_that_overlap_are_seen(rows: list[dict[str, Any]], wrong: int) -> None:
    assert len(storm.overlaps(writings(rows)["lab"])) == wrong


def test_a_request_with_two_ends_is_seen() -> None:
    ends = [{"result": "skipped"}, {"result": "succeeded"}, {"result": "succeeded"}]
    assert storm.two_ends("r", ends) == ""
    assert storm.two_ends("r", [*ends, {"result": "failed"}]) == "r ended as ['failed', 'succeeded']"
