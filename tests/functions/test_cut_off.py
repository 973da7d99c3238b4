"""Runs that their deadline cut off, in the real NetBox: the next ones go on with what is left, and forget nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.churn import differences
from functions import memory, narrow
from functions.narrow import Look
from functions.outcome import Outcome, Result, Verified
from functions.snapshot import Snapshot
from infra.sandbox.fabric.topology import spine_leaf
from tests.fabric_content import small_cluster, thing
from tests.netbox_content import bootstrapped
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story, without


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def in_sync(told: Story) -> None:
    """NetBox holds what the fabric says, by a comparison of everything that rests on no memory."""
    assert list(differences(told.netbox, told.cluster, told.name)) == []


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Look]:
    """What each run looked at that went by a memory, with parts of three objects of the fabric."""
    seen: list[Look] = []
    look = narrow.to_look_at

    def noted(*args: Any) -> Look | None:
        found = look(*args)
        seen.extend([found] if found else [])
        return found

    monkeypatch.setattr("functions.run.to_look_at", noted)
    monkeypatch.setattr(narrow, "MOST_UNITS", 3)
    return seen


def to_the_end(told: Story, **cut: Any) -> list[Outcome]:
    outcomes = [told.sync(**cut)]
    while outcomes[-1].result is Result.CONTINUED:
        outcomes.append(told.sync(**cut))
        assert len(outcomes) < 60
    return outcomes


def test_a_first_load_that_is_cut_off_again_and_again_goes_on_part_by_part(
    ready: ServedNetBox, tmp_path: Path, looks: list[Look]
) -> None:
    lab = spine_leaf("parts", leaves=2, servers=3, vpcs=2)
    with story(ready, tmp_path, "parts", lab, synced=False) as told:
        outcomes = to_the_end(told, cut_after=12, batch=12)
        assert [outcome.result for outcome in outcomes[1:-1]] == [Result.CONTINUED] * (len(outcomes) - 2)
        assert (outcomes[-1].result, outcomes[-1].reasons) == (Result.SUCCEEDED, ())
        assert sum(bool(look.later) for look in looks) >= 3
        in_sync(told)
        quiet = told.sync()
        assert (quiet.verified, quiet.written, quiet.result) == (Verified.CHANGES, 0, Result.SUCCEEDED)


@pytest.mark.parametrize("first", [True, False])
def test_what_is_remembered_is_made_while_there_is_time_for_it_and_not_in_the_reserve(
    ready: ServedNetBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("of a large fabric this takes seconds")

    def forbid() -> None:
        for room, name in ((memory, "units_of"), (narrow, "units_of"), (narrow, "found_by_key"), (Snapshot, "digest")):
            monkeypatch.setattr(room, name, never)

    name = f"early-{first}".lower()
    with story(ready, tmp_path, name, spine_leaf(name, leaves=2, servers=3, vpcs=2), synced=False) as told:
        if not first:
            assert told.sync(cut_after=6, batch=12).result is Result.CONTINUED
        cut = told.sync(cut_after=6, batch=12, meanwhile=forbid)
        assert (cut.result, cut.problem) == (Result.CONTINUED, None)
        monkeypatch.undo()
        assert to_the_end(told)[-1].verified is Verified.CHANGES
        in_sync(told)


def test_what_is_put_off_is_still_looked_at_when_the_fabric_changes_meanwhile(
    ready: ServedNetBox, tmp_path: Path, looks: list[Look]
) -> None:
    lab = spine_leaf("shifts", leaves=2, servers=3, vpcs=2)
    with story(ready, tmp_path, "shifts", lab, synced=False) as told:
        first = told.sync(cut_after=14, batch=12)
        assert first.result is Result.CONTINUED
        gone = next(name for name in told.cluster.names("Connection") if "server-03" in name)
        without(told.cluster, "Connection", gone)
        for one in told.cluster.objects("VPCAttachment"):
            if one["spec"]["connection"] == gone:
                told.cluster.delete("VPCAttachment", one["metadata"]["name"])
        outcomes = to_the_end(told, cut_after=12, batch=12)
        assert (outcomes[-1].result, outcomes[-1].reasons) == (Result.SUCCEEDED, ())
        assert all("is too many" in line and gone in line for line in differences(told.netbox, told.cluster, told.name))
        told.settings(fabric_full_hours=12)  # everything is compared, and all that is gone was marked before
        last = told.sync()
        assert (last.verified, last.written, last.result) == (Verified.FULL, 0, Result.SUCCEEDED)


def test_a_run_cut_off_before_it_marks_what_is_gone_leaves_that_to_the_next(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "unmarked", small_cluster("unmarked")) as told:
        without(told.cluster, "Connection", "server-1--unbundled")
        cut = told.sync(cut_after=1)
        assert (cut.result, cut.left) == (Result.CONTINUED, 2)
        next_one = told.sync()
        assert (next_one.result, next_one.left) == (Result.SUCCEEDED, 0)
        for path, name in (("dcim/cables", "label"), ("dcim/interfaces", "name")):
            marked = [row for row in told.owned(path) if "fabric-stale" in {tag["slug"] for tag in row["tags"]}]
            assert len(marked) == 1, [row[name] for row in told.owned(path)]


def test_what_could_not_be_read_when_a_run_was_cut_off_is_not_taken_for_known(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "unread", small_cluster("unread")) as told:
        without(told.cluster, "Connection", "server-1--unbundled")
        without(told.cluster, "Server", "server-1")
        told.cluster.load([thing("Server", "server-2", {})])
        for row in told.owned("dcim/interfaces"):
            told.netbox.update("dcim/interfaces", [{"id": row["id"], "description": "by hand"}])
        told.settings(fabric_full_hours=12)  # everything is compared
        told.served.faults.set([{"trouble": "server_error", "code": 503, "kind": "servers"}])
        cut = told.sync(cut_after=1, batch=2)
        assert (cut.result, cut.kinds["Server"]["reading"]) == (Result.CONTINUED, "unread")
        told.served.faults.set()
        assert to_the_end(told)[-1].result is Result.SUCCEEDED
        (device,) = told.netbox.read("dcim/devices", {"name": "server-1", "cf_fabric_name": "unread"})
        assert "fabric-stale" in {tag["slug"] for tag in device["tags"]}
