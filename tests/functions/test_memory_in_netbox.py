"""What a fabric is remembered by, in the real NetBox: nothing that moved on either side may be missed for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.churn import differences
from functions import memory as memory_room
from functions import narrow as narrow_room
from functions import recall
from functions.fields import MEMORY
from functions.memory import memory_of
from functions.outcome import Result, Verified
from functions.translate.addressing import underlay_key
from infra.netbox import DeletePermit, Row
from infra.sandbox.fabric.churn import steps
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.topology import spine_leaf
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, changes_of_clusters, device_of_people
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story, tenant, without

FLAT = 6
"""NetBox requests that a run may take in which nothing changed."""


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def holder(told: Story) -> Row:
    (row,) = told.netbox.read("ipam/vrfs", {"cf_fabric_key": underlay_key(told.name)}, ("custom_fields",))
    return row


def kept(told: Story) -> Any:
    return holder(told)["custom_fields"][MEMORY]


def keep(told: Story, value: Any) -> None:
    told.netbox.update("ipam/vrfs", [{"id": holder(told)["id"], "custom_fields": {MEMORY: value}}])


def one(told: Story, path: str, **filters: Any) -> Row:
    return told.netbox.read(path, {"cf_fabric_name": told.name, **filters})[0]


def delete(told: Story, path: str, id_: int) -> None:
    told.netbox.delete(path, [id_], DeletePermit(frozenset({(path, id_)})))


def in_sync(told: Story) -> None:
    """NetBox holds what the fabric says, by a comparison of everything that rests on no memory."""
    assert list(differences(told.netbox, told.cluster, told.name)) == []


@contextmanager
def small(ready: ServedNetBox, place: Path, name: str) -> Iterator[Story]:
    with story(ready, place, name, tenant(small_cluster(name))) as told:
        yield told


def grown(name: str, **size: Any) -> Cluster:
    return spine_leaf(name, **{"leaves": 2, "servers": 3, "vpcs": 3, **size})


@pytest.mark.parametrize("vpcs", [2, 6])
def test_a_run_in_which_nothing_changed_takes_few_requests_whatever_the_size_and_writes_nothing(
    ready: ServedNetBox, tmp_path: Path, vpcs: int
) -> None:
    name = f"quiet{vpcs}"
    with story(ready, tmp_path, name, grown(name, vpcs=vpcs, servers=vpcs)) as told:
        before = changes(told.netbox), changes_of_clusters(told.netbox)
        again = told.sync()
        assert (again.result, again.written, again.verified) == (Result.SUCCEEDED, 0, Verified.CHANGES)
        assert again.netbox_requests <= FLAT
        assert (changes(told.netbox), changes_of_clusters(told.netbox)) == before
        assert told.sync(hours=0.5).netbox_requests <= FLAT
        assert changes_of_clusters(told.netbox) == before[1] + 1  # after ten minutes it is said once more


def test_one_changed_vpc_costs_one_change(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "onevpc", grown("onevpc", vpcs=4, servers=4)) as told:
        vpc = told.cluster.get("VPC", told.cluster.names("VPC")[0])
        assert vpc is not None
        first = next(iter(vpc["spec"]["subnets"].values()))
        first["dhcp"] = {"enable": True, "range": {"start": first["gateway"][:-1] + "30"}}
        told.cluster.load([vpc])
        outcome = told.sync()
        assert (outcome.result, outcome.verified) == (Result.SUCCEEDED, Verified.CHANGES)
        assert outcome.written
        assert outcome.netbox_requests <= 20
        in_sync(told)
        assert told.sync().netbox_requests <= FLAT


def edited(told: Story) -> None:
    row = one(told, "dcim/interfaces", name="E1/4")
    told.netbox.update("dcim/interfaces", [{"id": row["id"], "description": "by hand"}])


def untagged(told: Story) -> None:
    row = one(told, "dcim/devices")
    told.netbox.update("dcim/devices", [{"id": row["id"], "tags": []}])


def prefix_deleted(told: Story) -> None:
    delete(told, "ipam/prefixes", one(told, "ipam/prefixes", prefix="10.0.1.0/24")["id"])


def port_deleted(told: Story) -> None:
    delete(told, "dcim/interfaces", one(told, "dcim/interfaces", name="E1/4")["id"])


def device_deleted(told: Story) -> None:
    delete(told, "dcim/devices", one(told, "dcim/devices", name="leaf-1")["id"])


def cable_deleted(told: Story) -> None:
    delete(told, "dcim/cables", one(told, "dcim/cables")["id"])


def cable_moved(told: Story) -> None:
    row = one(told, "dcim/cables")
    _, (port,) = device_of_people(told.netbox, told.name, f"theirs-{told.name}", 1)
    end = [{"object_type": "dcim.interface", "object_id": port["id"]}]
    told.netbox.update("dcim/cables", [{"id": row["id"], "b_terminations": end}])


def renumbered(told: Story) -> None:
    told.netbox.update("ipam/vlans", [{"id": one(told, "ipam/vlans")["id"], "vid": 1500}])


def context_edited(told: Story) -> None:
    for row in told.netbox.read("extras/config-contexts", {"name": f"fabric-{told.name}"}):
        told.netbox.update("extras/config-contexts", [{"id": row["id"], "data": {"theirs": 1}}])


def underlay_renamed(told: Story) -> None:
    told.netbox.update("ipam/vrfs", [{"id": holder(told)["id"], "name": "by hand"}])


EDITS = [
    edited,
    untagged,
    prefix_deleted,
    port_deleted,
    device_deleted,
    cable_deleted,
    cable_moved,
    renumbered,
    context_edited,
    underlay_renamed,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_what_people_do_to_an_object_is_seen_and_mended_by_the_very_next_run(
    ready: ServedNetBox, tmp_path: Path, edit: Any
) -> None:
    name = edit.__name__.replace("_", "-")[:14]
    with small(ready, tmp_path, name) as told:
        assert told.sync().verified is Verified.CHANGES
        edit(told)
        mended = told.sync()
        assert (mended.result, mended.reasons) == (Result.SUCCEEDED, ())
        assert mended.written
        in_sync(told)
        assert told.sync().written == 0


def test_random_changes_on_both_sides_are_all_seen_by_the_run_that_follows(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "bothsides", grown("bothsides", externals=1)) as told:
        chance = random.Random(7)
        narrow = 0
        for _ in steps(told.cluster, 11, 8):
            if chance.random() < 0.5:
                path, change = chance.choice(
                    [
                        ("dcim/interfaces", {"description": "by hand"}),
                        ("ipam/prefixes", {"status": "deprecated"}),
                        ("dcim/devices", {"serial": "X1"}),
                        ("ipam/vlans", None),
                        ("dcim/cables", None),
                    ]
                )
                row = chance.choice(told.owned(path))
                if change is None:
                    delete(told, path, row["id"])
                else:
                    told.netbox.update(path, [{"id": row["id"], **change}])
            outcome = told.sync()
            narrow += outcome.verified is Verified.CHANGES
            wrong = [line for line in differences(told.netbox, told.cluster, told.name) if "too many" not in line]
            assert (outcome.result, outcome.reasons, wrong) == (Result.SUCCEEDED, (), [])
        assert narrow


def test_another_fabrics_sync_is_no_reason_to_look(ready: ServedNetBox, tmp_path: Path) -> None:
    with small(ready, tmp_path / "a", "ownone") as told:
        with small(ready, tmp_path / "b", "other") as other:
            without(other.cluster, "VPC", "vpc-1")
            other.sync()
        quiet = told.sync()
        assert (quiet.verified, quiet.written) == (Verified.CHANGES, 0)
        assert quiet.netbox_requests <= FLAT


def without_sum(value: dict[str, Any]) -> Any:
    return {**value, "lease": 3}


def shorter(value: dict[str, Any]) -> Any:
    return {**value, "units": value["units"][:-8]}


@pytest.mark.parametrize(
    "harm",
    [lambda _: None, lambda _: "nonsense", lambda _: [], without_sum, shorter],
    ids=["emptied", "text", "list", "edited", "cut"],
)
def test_a_memory_that_somebody_touched_is_as_none(
    ready: ServedNetBox, tmp_path: Path, harm: Any, request: pytest.FixtureRequest
) -> None:
    with small(ready, tmp_path, f"harm-{request.node.callspec.id}") as told:
        keep(told, harm(kept(told)))
        assert (again := told.sync()).verified is Verified.FULL
        assert again.result is Result.SUCCEEDED
        assert told.sync().verified is Verified.CHANGES


def test_an_update_of_the_mapping_a_changed_setting_and_a_force_compare_everything(
    ready: ServedNetBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(ready, tmp_path, "updated") as told:
        assert told.sync().verified is Verified.CHANGES
        for room in (memory_room, narrow_room):
            monkeypatch.setattr(room, "mapping_version", lambda: "another")
        assert told.sync().verified is Verified.FULL
        monkeypatch.undo()
        assert told.sync().verified is Verified.FULL
        told.settings(fabric_full_hours=1)
        assert told.sync().verified is Verified.FULL
        assert told.sync().verified is Verified.CHANGES
        assert told.sync(hours=1).verified is Verified.FULL
        told.settings(fabric_full_hours=0)
        assert [told.sync().verified for _ in range(2)] == [Verified.FULL] * 2


def test_a_pruned_log_and_what_comes_past_it_end_with_a_full_comparison(
    ready: ServedNetBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small(ready, tmp_path, "pruned") as told:
        read = memory_of(kept(told))
        assert read is not None
        # A mark whose row is not there any more looks the same as one of a log that was pruned.
        gone = {**kept(told), "top": 10**9}
        del gone["sum"]
        keep(told, {**gone, "sum": memory_room._sum(gone)})
        assert told.sync().verified is Verified.FULL
        row = one(told, "dcim/interfaces", name="E1/4")
        told.netbox.update("dcim/interfaces", [{"id": row["id"], "description": "past the log"}])
        top = told.netbox.page(recall.LOG, {"ordering": "-id"}, ("time",), 1)[0][0]["id"]
        past = {**kept(told), "top": top}
        del past["sum"]
        keep(told, {**past, "sum": memory_room._sum(past)})
        assert told.sync().written == 0
        found = told.sync(hours=24)
        assert (found.verified, found.written) == (Verified.FULL, 1)
        in_sync(told)


def test_nothing_is_marked_or_deleted_by_memory_alone(ready: ServedNetBox, tmp_path: Path) -> None:
    with small(ready, tmp_path, "goner") as told:
        assert told.sync().verified is Verified.CHANGES
        without(told.cluster, "VPC", "vpc-1")
        gone = told.sync()
        assert (gone.verified, gone.result) == (Verified.FULL, Result.SUCCEEDED)
        assert sum(counts.get("marked", 0) for counts in gone.objects.values())
        quiet = told.sync()
        assert (quiet.verified, quiet.written) == (Verified.CHANGES, 0)
        told.settings(fabric_delete_policy="delete")
        assert [told.sync().verified for _ in range(2)] == [Verified.FULL] * 2


def test_a_run_that_was_cut_off_goes_on_with_what_is_left(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "cutoff", grown("cutoff", leaves=3, servers=6)) as told:
        for row in told.owned("dcim/interfaces"):
            told.netbox.update("dcim/interfaces", [{"id": row["id"], "description": "by hand"}])
        told.settings(fabric_full_hours=12)
        told.seconds = 9.0
        outcomes = [told.sync()]
        while outcomes[-1].result is Result.CONTINUED:
            outcomes.append(told.sync())
        assert [outcome.result for outcome in outcomes[:-1]] == [Result.CONTINUED] * (len(outcomes) - 1)
        assert outcomes[-1].result is Result.SUCCEEDED
        told.seconds = 120.0
        in_sync(told)
