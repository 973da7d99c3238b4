"""People and a fabric at work on the same objects, in the real NetBox: each keeps what is theirs, and is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from functions.drift import Drift
from functions.events import SyncRequest
from functions.fields import HOLD_TAG, KEY
from functions.outcome import Result
from functions.plan import Plan
from functions.run import Run
from infra.deadline import Deadline
from infra.netbox import Row
from infra.sandbox.fabric.serve import serve
from infra.secrets import open_secrets
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, device_of_people, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story, tenant


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        netbox.create("extras/tags", [{"name": "theirs", "slug": "theirs"}])
        field = {"name": "their_note", "type": "text", "object_types": ["dcim.device", "dcim.interface", "ipam.vlan"]}
        netbox.create("extras/custom-fields", [field])
    return served


def plan_of(told: Story) -> Plan:
    """The plan that the next run would carry out."""
    deadline = Deadline.after(120, reserve=5)
    run = Run(
        SyncRequest(told.name, "p", "p"), open_secrets(str(told.secrets), "fabric-"), deadline, now=lambda: told.now
    )
    _, plan = run.plan(told.netbox, run.find(told.netbox))
    return plan


def directions(plan: Plan) -> dict[tuple[str, str], Drift]:
    return {(update.model, change.field): change.drift for update in plan.updates for change in update.changes}


def one(told: Story, path: str, **filters: Any) -> Row:
    (row,) = told.netbox.read(path, {"cf_fabric_name": told.name, **filters})
    return row


def edit(told: Story, path: str, row: Row, **values: Any) -> None:
    told.netbox.update(path, [{"id": row["id"], **values}])


def settled(told: Story) -> None:
    """Nothing is left to do, and a run of it writes nothing."""
    quiet = changes(told.netbox)
    again = told.sync()
    assert (again.result, again.reasons, again.written) == (Result.SUCCEEDED, (), 0)
    assert changes(told.netbox) == quiet


def test_edits_are_put_back_and_told_by_who_had_moved_and_what_is_peoples_stays(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "edited", tenant(small_cluster("edited"))) as told:
        leaf, vlan = one(told, "dcim/devices", name="leaf-1"), one(told, "ipam/vlans")
        port, cable = one(told, "dcim/interfaces", device="leaf-1", name="E1/4"), told.owned("dcim/cables")[0]
        tags = [{"slug": "theirs"}, {"slug": "fabric-managed"}]
        theirs = {"comments": "mind the fan", "asset_tag": "A-1", "description": "top", "status": "staged"}
        edit(told, "dcim/devices", leaf, name="by-hand", **theirs, tags=tags, custom_fields={"their_note": "n"})
        edit(told, "dcim/interfaces", port, description="by hand", label="x", custom_fields={"their_note": "n"})
        edit(told, "ipam/vlans", vlan, vid=1500, status="reserved")
        edit(told, "dcim/cables", cable, label="by hand", color="aa1409", status="planned")
        vpc = told.cluster.get("VPC", "vpc-1")
        assert vpc is not None
        vpc["spec"]["subnets"]["s1"]["vlan"] = 1002
        switch = told.cluster.get("Switch", "leaf-2")
        assert switch is not None
        switch["spec"]["description"] = "in the fabric"
        told.cluster.apply(vpc)
        told.cluster.apply(switch)
        found = directions(plan_of(told))
        assert found["device", "name"] is Drift.NETBOX_EDITED
        assert found["interface", "description"] is Drift.NETBOX_EDITED
        assert found["cable", "label"] is Drift.NETBOX_EDITED
        assert found["vlan", "vid"] is Drift.BOTH
        outcome = told.sync()
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert {(back.model, field) for back in outcome.mended.put_back for field in back.fields} >= {
            *(("device", "name"), ("interface", "description"), ("cable", "label"), ("vlan", "vid"))
        }
        leaf, vlan = one(told, "dcim/devices", name="leaf-1"), one(told, "ipam/vlans")
        port, cable = one(told, "dcim/interfaces", device="leaf-1", name="E1/4"), told.owned("dcim/cables")[0]
        assert {name: leaf[name] for name in ("comments", "asset_tag", "description")} == {
            name: theirs[name] for name in ("comments", "asset_tag", "description")
        }
        assert leaf["status"]["value"] == "staged"
        assert {tag["slug"] for tag in leaf["tags"]} >= {"theirs", "fabric-managed"}
        assert (leaf["custom_fields"]["their_note"], port["custom_fields"]["their_note"]) == ("n", "n")
        assert (vlan["vid"], vlan["status"]["value"]) == (1002, "reserved")
        assert (cable["color"], cable["status"]["value"]) == ("aa1409", "planned")
        assert port["description"] != "by hand"
        settled(told)
        vpc["spec"]["subnets"]["s1"]["vlan"] = 1003
        told.cluster.apply(vpc)
        assert directions(plan_of(told))["vlan", "vid"] is Drift.FABRIC_MOVED
        told.sync()
        settled(told)


def test_what_people_move_and_rename_is_the_same_object_wherever_it_stands(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "moved", small_cluster("moved")) as told:
        leaf = one(told, "dcim/devices", name="leaf-1")
        count = len(told.owned("dcim/interfaces"))
        (place,) = told.netbox.create("dcim/sites", [{"name": "elsewhere", "slug": "elsewhere"}])
        (rack,) = told.netbox.create("dcim/racks", [{"name": "r1", "site": place["id"]}])
        spot = {"site": place["id"], "rack": rack["id"], "position": 7, "face": "front", "cluster": None}
        edit(told, "dcim/devices", leaf, name="row-7", **spot)
        outcome = told.sync()
        (now,) = told.netbox.read("dcim/devices", {"id": leaf["id"]})
        assert (now["site"]["slug"], now["rack"]["id"], now["position"]) == ("elsewhere", rack["id"], 7)
        assert (outcome.result, outcome.refused, now["name"]) == (Result.SUCCEEDED, (), "leaf-1")
        assert len(told.owned("dcim/devices")) == 3
        assert len(told.owned("dcim/interfaces")) == count
        other = one(told, "dcim/devices", name="leaf-2")
        near = {"site": other["site"]["id"], "name": "at home"}
        (rack,) = told.netbox.create("dcim/racks", [{"name": "r2", "site": near["site"]}])
        edit(told, "dcim/devices", other, **near, rack=rack["id"], position=3, face="rear")
        told.settings(fabric_naming="prefixed")
        told.sync()
        (now,) = told.netbox.read("dcim/devices", {"id": other["id"]})
        assert (now["name"], now["rack"]["id"], now["position"]) == ("moved-leaf-2", rack["id"], 3)
        assert len(told.owned("dcim/devices")) == 3


def test_names_and_cables_that_people_exchanged_change_back_in_one_run(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "swapped", small_cluster("swapped", switches=3)) as told:
        one_leaf, other = one(told, "dcim/devices", name="leaf-1"), one(told, "dcim/devices", name="leaf-2")
        for row, name in ((one_leaf, "x"), (other, "leaf-1"), (one_leaf, "leaf-2")):
            edit(told, "dcim/devices", row, name=name)
        first, second = told.cluster.get("Connection", "mesh-1"), told.cluster.get("Connection", "mesh-2")
        assert first is not None and second is not None
        ends = [made["spec"]["mesh"]["links"][0] for made in (first, second)]
        ends[0]["leaf2"], ends[1]["leaf2"] = ends[1]["leaf2"], ends[0]["leaf2"]
        for made in (first, second):
            told.cluster.apply(made)
        outcome = told.sync()
        assert (outcome.result, outcome.reasons, outcome.refused) == (Result.SUCCEEDED, (), ())
        (row,) = told.netbox.read("dcim/devices", {"id": one_leaf["id"]})
        assert row["name"] == "leaf-1"
        settled(told)


def test_what_is_held_is_left_as_it_is_and_told_and_the_rest_goes_on(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "held", small_cluster("held")) as told:
        leaf, other = one(told, "dcim/devices", name="leaf-1"), one(told, "dcim/devices", name="leaf-2")
        edit(told, "dcim/devices", leaf, serial="theirs", tags=[{"slug": HOLD_TAG}, {"slug": "fabric-managed"}])
        edit(told, "dcim/devices", other, name="by-hand")
        plan = plan_of(told)
        assert [(update.model, update.id) for update in plan.held] == [("device", leaf["id"])]
        outcome = told.sync()
        assert outcome.objects["device"]["updated"] == 1
        assert one(told, "dcim/devices", id=leaf["id"])["serial"] == "theirs"
        assert one(told, "dcim/devices", id=other["id"])["name"] == "leaf-2"


def test_what_people_made_is_a_conflict_that_is_told_or_taken_over_as_the_fabric_is_configured(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    name = "taken"
    with serve({name: small_cluster(name)}, tmp_path) as fabrics, opened(ready, 600) as netbox:
        with_fabric(netbox, name)
        told = Story(fabrics[name], netbox, tmp_path / "secrets", name)
        leaf, _ = device_of_people(netbox, name, "leaf-1")
        server, _ = device_of_people(netbox, name, "server-1")
        ports = netbox.create(
            "dcim/interfaces",
            [
                {"device": leaf["id"], "name": "E1/1", "type": "other"},
                {"device": server["id"], "name": "enp2s1", "type": "other"},
            ],
        )
        ends = [[{"object_type": "dcim.interface", "object_id": port["id"]}] for port in ports]
        (cable,) = netbox.create(
            "dcim/cables", [{"a_terminations": ends[0], "b_terminations": ends[1], "color": "aa1409"}]
        )
        outcome = told.sync()
        assert outcome.result is Result.INCOMPLETE
        assert {"device taken/Switch/default/leaf-1", "device taken/Server/default/server-1"} <= {
            f"{refused.model} {refused.key}" for refused in outcome.refused
        }
        assert one(told, "dcim/devices")["name"] == "leaf-2"
        assert netbox.read("dcim/devices", {"id": leaf["id"]})[0]["custom_fields"][KEY] is None
        told.settings(fabric_adopt=["device", "interface", "cable"])
        adopted = {(update.model, update.id) for update in plan_of(told).updates if update.adopts}
        assert adopted == {
            *(("device", leaf["id"]), ("device", server["id"]), ("cable", cable["id"])),
            *(("interface", port["id"]) for port in ports),
        }
        outcome = told.sync()
        assert (outcome.result, outcome.reasons, outcome.refused) == (Result.SUCCEEDED, (), ())
        assert len(outcome.mended.adopted) == 5
        assert {row["id"] for row in told.owned("dcim/cables")} >= {cable["id"]}
        assert netbox.read("dcim/cables", {"id": cable["id"]})[0]["color"] == "aa1409"
        settled(told)


def test_two_fabrics_with_the_same_names_in_one_site_never_see_each_other(ready: ServedNetBox, tmp_path: Path) -> None:
    content = {name: tenant(small_cluster(name)) for name in ("left", "right")}
    with serve(content, tmp_path) as fabrics, opened(ready, 600) as netbox:
        (site,) = netbox.create("dcim/sites", [{"name": "both", "slug": "both"}])
        tales = []
        for name in content:
            with_fabric(netbox, name, fabric_naming="prefixed")
            row = netbox.read("virtualization/clusters", {"name": name})[0]
            netbox.update(
                "virtualization/clusters", [{"id": row["id"], "scope_type": "dcim.site", "scope_id": site["id"]}]
            )
            tales.append(Story(fabrics[name], netbox, tmp_path / "secrets", name))
        left, right = tales
        for told in tales:
            assert (told.sync().result, told.sync().written) == (Result.SUCCEEDED, 0)
        settled(left)
        before = right.held()
        assert len(before) == len(left.held()) > 20
        edit(left, "dcim/devices", one(left, "dcim/devices", name="left-leaf-1"), name="left-x")
        left.cluster.delete("VPC", "vpc-1")
        left.settings(fabric_delete_policy="delete", fabric_grace_runs=0, fabric_grace_hours=0)
        assert left.sync().result is Result.SUCCEEDED
        assert left.sync().objects["vrf"]["deleted"] == 1
        assert right.held() == before
        settled(right)
