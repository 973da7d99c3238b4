"""What a fabric no longer has, against the real NetBox: marked, taken back, deleted after the grace, held, released."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from functions import registry
from functions.fields import GRACE_HOURS, GRACE_RUNS, POLICY, RELEASE, RUNS, STALE_RUN, STALE_SINCE, STALE_TAG
from functions.outcome import Result
from infra.netbox import Row
from tests.fabric_content import small_cluster, thing
from tests.hostile import Behaviour, Peer, answer
from tests.netbox_content import bootstrapped, changes
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Seen, proxied
from tests.story import Story, story, tenant, without


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def is_marked(row: Row) -> bool:
    return bool(row["custom_fields"][STALE_SINCE]) and STALE_TAG in {tag["slug"] for tag in row["tags"]}


def test_what_is_gone_is_marked_and_loses_its_mark_when_it_is_back_and_nothing_else_changes(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "back", small_cluster("back")) as told:
        before = told.held()
        gone = without(told.cluster, "Connection", "mesh-1")
        outcome = told.sync()
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert outcome.objects["cable"] == {"unchanged": 1, "stale": 1, "marked": 1}
        (cable,) = [row for row in told.owned("dcim/cables") if is_marked(row)]
        assert cable["custom_fields"][STALE_SINCE] == "2026-03-01T12:00:00Z"
        assert cable["custom_fields"][STALE_RUN] == 0
        marked = changes(told.netbox)
        again = told.sync(hours=100)
        assert (again.result, again.written, again.objects["cable"]["waiting"]) == (Result.SUCCEEDED, 0, 1)
        assert changes(told.netbox) == marked
        told.cluster.create(gone)
        assert told.sync().objects["cable"] == {"unchanged": 1, "updated": 1}
        assert told.held() == before
        quiet = changes(told.netbox)
        assert told.sync().written == 0
        assert changes(told.netbox) == quiet


def test_after_the_grace_of_runs_and_hours_a_switch_goes_leaf_first(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "grace", small_cluster("grace"), **{POLICY: "delete"}) as told:
        without(told.cluster, "Connection", "mesh-1")
        without(told.cluster, "Switch", "leaf-2")
        assert told.sync().objects["device"]["marked"] == 1
        count = changes(told.netbox)
        for runs in (1, 2):
            outcome = told.sync(hours=1)
            assert (outcome.result, outcome.written) == (Result.SUCCEEDED, 0)
            assert registry.find(told.netbox, "grace")["custom_fields"][RUNS] == runs
        assert changes(told.netbox) == count
        assert told.sync(hours=1).written == 0, "three runs, but not yet a day"
        quiet = changes(told.netbox)
        assert told.sync(hours=1).written == 0
        assert changes(told.netbox) == quiet, "enough runs were counted"
        last = int(told.netbox.read("core/object-changes")[-1]["id"])
        outcome = told.sync(hours=20)
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert outcome.objects["device"]["deleted"] == 1
        rows = told.netbox.read("core/object-changes", {"id__gt": last}, ("action", "changed_object_type"))
        gone = [row["changed_object_type"] for row in rows if row["id"] > last and row["action"]["value"] == "delete"]
        first = {kind: gone.index(kind) for kind in gone}
        final = {kind: len(gone) - gone[::-1].index(kind) for kind in gone}
        assert final["dcim.cable"] <= first["dcim.interface"] < final["dcim.interface"] <= first["dcim.device"]
        assert {row["name"] for row in told.owned("dcim/devices")} == {"leaf-1", "server-1"}
        quiet = changes(told.netbox)
        assert (told.sync(hours=1).written, told.sync(hours=1).result) == (0, Result.SUCCEEDED)
        assert changes(told.netbox) == quiet


def test_all_switches_at_once_are_held_until_a_person_releases_them(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 1, GRACE_HOURS: 1}
    with story(ready, tmp_path, "empty", small_cluster("empty"), **custom) as told:
        for name in ("leaf-1", "leaf-2"):
            without(told.cluster, "Switch", name)
        outcome = told.sync()
        assert outcome.result is Result.INCOMPLETE
        (reason,) = [reason for reason in outcome.reasons if "all 2 Switch objects are gone" in reason]
        mark = reason.rpartition(" ")[2]
        assert reason.endswith(f"to release, set {RELEASE} on the cluster to {mark}")
        assert len(mark) == 12
        assert all(not is_marked(row) for row in told.owned("dcim/devices"))
        told.settings(**{RELEASE: "nonsense"})
        assert told.sync(hours=2).result is Result.INCOMPLETE
        assert len(told.owned("dcim/devices")) == 3
        told.settings(**{RELEASE: f"nonsense, {mark}"})
        assert told.sync(hours=2).objects["device"]["marked"] == 2
        outcome = told.sync(hours=2)
        assert outcome.objects["device"]["deleted"] == 2
        assert [row["name"] for row in told.owned("dcim/devices")] == ["server-1"]


def test_a_kind_that_cannot_be_read_marks_and_deletes_nothing(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 0, GRACE_HOURS: 0}
    with story(ready, tmp_path, "unread", small_cluster("unread"), **custom) as told:
        before, count = told.held(), changes(told.netbox)
        for name in ("mesh-1", "server-1--unbundled"):
            without(told.cluster, "Connection", name)
        told.served.faults.set(["forbidden:connections"])
        outcome = told.sync(hours=1000)
        assert outcome.result is Result.INCOMPLETE
        assert (outcome.written, told.held()) == (0, before)
        assert changes(told.netbox) == count


def test_under_the_policy_never_what_is_gone_is_told_and_stays(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "never", small_cluster("never"), **{POLICY: "never"}) as told:
        before = told.netbox.read("dcim/cables", {"cf_fabric_name": "never"}, ("custom_fields", "tags", "last_updated"))
        without(told.cluster, "Connection", "mesh-1")
        outcome = told.sync(hours=1000)
        assert outcome.result is Result.INCOMPLETE
        assert outcome.objects["cable"] == {"unchanged": 1, "stale": 1, "held": 1}
        assert any("the delete policy is never" in reason for reason in outcome.reasons)
        after = told.netbox.read("dcim/cables", {"cf_fabric_name": "never"}, ("custom_fields", "tags", "last_updated"))
        assert after == before
        quiet = changes(told.netbox)
        told.sync(hours=1000)
        assert changes(told.netbox) == quiet


def test_what_people_hang_on_it_holds_it_and_a_person_may_hold_it_by_a_tag(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 1, GRACE_HOURS: 1}
    with story(ready, tmp_path, "theirs", small_cluster("theirs", switches=4), **custom) as told:
        netbox = told.netbox
        port = next(row for row in told.owned("dcim/interfaces") if row["device"]["name"] == "leaf-3")
        (address,) = netbox.create(
            "ipam/ip-addresses",
            [
                {
                    "address": "198.51.100.1/32",
                    "assigned_object_type": "dcim.interface",
                    "assigned_object_id": port["id"],
                }
            ],
        )
        last = next(row for row in told.owned("dcim/devices") if row["name"] == "leaf-4")
        netbox.update(
            "dcim/devices",
            [{"id": last["id"], "tags": [*({"slug": t["slug"]} for t in last["tags"]), {"slug": "fabric-hold"}]}],
        )
        for number in (2, 3):
            without(told.cluster, "Connection", f"mesh-{number}")
        for number in (3, 4):
            without(told.cluster, "Switch", f"leaf-{number}")
        told.sync()
        outcome = told.sync(hours=2)
        assert outcome.result is Result.INCOMPLETE
        assert {row["name"] for row in told.owned("dcim/devices")} == {
            "leaf-1",
            "leaf-2",
            "leaf-3",
            "leaf-4",
            "server-1",
        }
        assert netbox.read("ipam/ip-addresses", {"id": address["id"]})[0]["assigned_object_id"] == port["id"]
        left = [row["name"] for row in told.owned("dcim/interfaces") if row["device"]["name"] == "leaf-3"]
        assert left == [port["name"]]
        reasons = "\n".join(outcome.reasons)
        assert "count_ipaddresses shows 1 that is not the fabric's" in reasons
        assert "tagged fabric-hold" in reasons
        quiet = changes(netbox)
        assert told.sync(hours=2).result is Result.INCOMPLETE
        assert changes(netbox) == quiet
        netbox.update(
            "ipam/ip-addresses", [{"id": address["id"], "assigned_object_type": None, "assigned_object_id": None}]
        )
        told.sync(hours=2)
        assert "leaf-3" not in {row["name"] for row in told.owned("dcim/devices")}
        assert netbox.count("ipam/ip-addresses", {"id": address["id"]}) == 1


def test_a_prefix_of_people_holds_the_vrf_of_a_vpc_and_nothing_else(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 1, GRACE_HOURS: 1}
    with story(ready, tmp_path, "tenant", tenant(small_cluster("tenant")), **custom) as told:
        vrf = next(
            row for row in told.owned("ipam/vrfs") if row["custom_fields"]["fabric_key"].endswith("VPC/default/vpc-1")
        )
        (theirs,) = told.netbox.create("ipam/prefixes", [{"prefix": "203.0.113.0/24", "vrf": vrf["id"]}])
        without(told.cluster, "VPC", "vpc-1")
        assert told.sync().result is Result.SUCCEEDED
        outcome = told.sync(hours=2)
        assert outcome.result is Result.INCOMPLETE
        (reason,) = outcome.reasons
        assert "vrf tenant/VPC/default/vpc-1" in reason
        assert "prefix_count shows 1 that is not the fabric's" in reason
        deleted = {model for model, counts in outcome.objects.items() if counts.get("deleted")}
        assert deleted == {"vlan", "l2vpn", "prefix", "ip_range", "ip_address", "l2vpn_termination"}
        assert told.netbox.read("ipam/prefixes", {"id": theirs["id"]})[0]["vrf"]["id"] == vrf["id"]
        told.netbox.update("ipam/prefixes", [{"id": theirs["id"], "vrf": None}])
        assert told.sync(hours=2).objects["vrf"]["deleted"] == 1
        quiet = changes(told.netbox)
        assert (told.sync().result, told.sync().written) == (Result.SUCCEEDED, 0)
        assert changes(told.netbox) == quiet


def overlap(told: Story) -> None:
    """Let another subnet have the range of the first, but for its end."""
    subnet = told.cluster.get("VPC", "vpc-1")["spec"]["subnets"]["s1"]
    told.cluster.patch("VPC", "vpc-1", {"spec": {"subnets": {"s1": None, "s2": subnet}}})
    told.cluster.patch("VPC", "vpc-1", {"spec": {"subnets": {"s2": {"dhcp": {"range": {"end": "10.0.1.30"}}}}}})


def test_under_the_policy_mark_nothing_is_deleted_whatever_it_is_in_the_way_of(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "marked", tenant(small_cluster("marked"))) as told:
        before = {row["id"] for row in told.owned("ipam/ip-ranges")}
        overlap(told)
        outcome = told.sync()
        assert outcome.result is Result.INCOMPLETE
        assert any("ip_range" in reason and "refused" in reason for reason in outcome.reasons)
        assert {row["id"] for row in told.owned("ipam/ip-ranges")} == before
        assert all(is_marked(row) for row in told.owned("ipam/ip-ranges"))


def test_a_range_that_is_gone_makes_room_for_one_that_overlaps_it(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "ranges", tenant(small_cluster("ranges")), **{POLICY: "delete"}) as told:
        overlap(told)
        outcome = told.sync()
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert outcome.objects["ip_range"] == {"created": 1, "stale": 1, "deleted": 1}
        assert told.sync().written == 0


def test_what_is_there_when_asked_for_by_name_is_not_deleted(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 0, GRACE_HOURS: 0}
    with story(ready, tmp_path, "liar", small_cluster("liar"), **custom) as told:
        told.served.faults.set(["cut_items:connections"])
        told.sync()
        outcome = told.sync(hours=1)
        assert outcome.result is Result.INCOMPLETE
        assert len(told.owned("dcim/cables")) == 2


def nothing_after(seconds: float) -> Behaviour:
    """Answers with an empty list of NetBox's, so many seconds later."""

    def answered(peer: Peer) -> None:
        peer.request()
        peer.stop.wait(seconds)
        peer.send(answer(b'{"count": 0, "next": null, "previous": null, "results": []}', kind="application/json"))

    return answered


def of_journals(seen: Seen) -> bool:
    return "/extras/journal-entries/" in seen.path


def test_where_netbox_is_slow_to_show_what_hangs_on_it_what_is_new_goes_first_and_deletes_do_not_wait_for_ever(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 0, GRACE_HOURS: 0}
    with proxied(ready.url) as proxy:
        slow = ServedNetBox(ready.sandbox, replace(ready.running, url=proxy.url))
        with story(slow, tmp_path, "slow", small_cluster("slow"), **custom) as told:
            without(told.cluster, "Connection", "mesh-1")
            assert told.sync().objects["cable"]["marked"] == 1
            told.seconds = 25.0  # 20 to work in: more than 0.3 of what is left of them, and less than 0.7
            proxy.misbehave(nothing_after(6.5), concerns=of_journals)
            told.cluster.load([thing("Server", "server-2", {})])
            first = told.sync(hours=1)
            assert first.reasons == ("1 objects were planned and not written",)
            assert (first.result, first.objects["device"]["created"]) == (Result.INCOMPLETE, 1)
            assert len(told.owned("dcim/cables")) == 2
            second = told.sync(hours=1)
            assert (second.result, second.objects["cable"]["deleted"]) == (Result.SUCCEEDED, 1)
            assert len(told.owned("dcim/cables")) == 1


def test_a_new_connection_takes_over_the_cable_that_its_port_has(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "moved", small_cluster("moved", switches=3)) as told:
        cables = {row["id"] for row in told.owned("dcim/cables")}
        gone = without(told.cluster, "Connection", "mesh-1")
        gone["metadata"] = {"name": "mesh-x"}
        gone["spec"]["mesh"]["links"][0]["leaf2"]["port"] = "leaf-3/E1/4"
        told.cluster.create(gone)
        outcome = told.sync()
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert {row["id"] for row in told.owned("dcim/cables")} == cables
        assert not any(is_marked(row) for row in told.owned("dcim/cables"))
        assert told.sync().written == 0


def test_two_cables_on_the_ports_of_a_new_one_leave_one_at_once(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "merged", small_cluster("merged", switches=3), **{POLICY: "delete"}) as told:
        for number in (1, 2):
            gone = without(told.cluster, "Connection", f"mesh-{number}")
        gone["metadata"] = {"name": "mesh-x"}
        gone["spec"]["mesh"]["links"][0] = {"leaf1": {"port": "leaf-1/E1/2"}, "leaf2": {"port": "leaf-3/E1/3"}}
        told.cluster.create(gone)
        outcome = told.sync()
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert outcome.objects["cable"] == {"unchanged": 1, "updated": 1, "stale": 1, "deleted": 1}
        assert told.sync().written == 0


def test_a_fabric_that_is_switched_off_or_gone_leaves_its_objects_alone(ready: ServedNetBox, tmp_path: Path) -> None:
    custom = {POLICY: "delete", GRACE_RUNS: 0, GRACE_HOURS: 0}
    with story(ready, tmp_path, "left", small_cluster("left"), **custom) as told:
        before = told.held()
        without(told.cluster, "Connection", "mesh-1")
        told.settings(fabric_enabled=False)
        assert told.sync(hours=1000).result is Result.SKIPPED
        assert told.held() == before
        row = registry.find(told.netbox, "left")
        told.netbox.update(registry.PATH, [{"id": row["id"], "name": "renamed"}])
        assert told.sync(hours=1000).result is Result.FAILED
        assert told.held() == before
