"""A fabric that says the same again, with the real NetBox: it is known without a translation, and nothing is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.churn import differences
from functions import run as run_room
from functions.fields import NAME
from functions.outcome import Outcome, Result, Verified
from functions.snapshot import Snapshot
from functions.translate import Translation, translate
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, device_of_people
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story, tenant


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def test_what_says_the_same_is_not_translated_again_and_all_else_is(
    ready: ServedNetBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translated: list[Snapshot] = []

    def counting(snapshot: Snapshot, *more: Any) -> Translation:
        translated.append(snapshot)
        return translate(snapshot, *more)

    def run(told: Story) -> tuple[Outcome, int]:
        """The outcome of a run, and how often it translated."""
        translated.clear()
        return told.sync(), len(translated)

    monkeypatch.setattr(run_room, "translate", counting)
    with story(ready, tmp_path, "same", tenant(small_cluster("same"))) as told:
        theirs, _ = device_of_people(told.netbox, "same", "of-another")
        full = told.sync(hours=24)
        assert (full.verified, full.written) == (Verified.FULL, 0)
        for meanwhile in (
            lambda: None,
            lambda: loaded_again(told),
            lambda: labelled_in_the_fabric(told),
            lambda: of_another(told, theirs["id"]),
        ):
            meanwhile()
            quiet, times = run(told)
            assert (quiet.result, quiet.verified) == (Result.SUCCEEDED, Verified.CHANGES)
            assert (quiet.written, times) == (0, 0)
            assert (quiet.objects, quiet.kinds) == (full.objects, full.kinds)
            assert quiet.netbox_requests <= 6
        for change in (port_by_hand, shared_by_hand, vpc_in_the_fabric):
            change(told)
            outcome, times = run(told)
            assert (outcome.result, times > 0) == (Result.SUCCEEDED, True)
            assert list(differences(told.netbox, told.cluster, told.name)) == []
            assert run(told)[1] == 0


def loaded_again(told: Story) -> None:
    """Every object of the fabric is written as it is: it has another resourceVersion, and says the same."""
    for kind in ("VPC", "Switch", "Connection"):
        told.cluster.load([item for name in told.cluster.names(kind) if (item := told.cluster.get(kind, name))])


def of_another(told: Story, device: int) -> None:
    for name in ("another", "yet-another"):
        told.netbox.update("dcim/devices", [{"id": device, "custom_fields": {NAME: name}}])


def port_by_hand(told: Story) -> None:
    (row, *_) = told.owned("dcim/interfaces")
    told.netbox.update("dcim/interfaces", [{"id": row["id"], "description": "by hand"}])


def shared_by_hand(told: Story) -> None:
    row = told.netbox.read("dcim/device-roles", {"slug": told.owned("dcim/devices")[0]["role"]["slug"]})[0]
    told.netbox.update("dcim/device-roles", [{"id": row["id"], "description": f"{row['description']}."}])


def labelled_in_the_fabric(told: Story) -> None:
    vpc = told.cluster.get("VPC", "vpc-1")
    assert vpc is not None
    told.cluster.load([{**vpc, "metadata": {**vpc["metadata"], "labels": {"owner": "b"}}}])


def vpc_in_the_fabric(told: Story) -> None:
    vpc = told.cluster.get("VPC", "vpc-1")
    assert vpc is not None
    subnets = {**vpc["spec"]["subnets"], "more": {"subnet": "10.0.77.0/24", "vlan": 1077, "gateway": "10.0.77.1"}}
    told.cluster.load([{**vpc, "spec": {**vpc["spec"], "subnets": subnets}}])
