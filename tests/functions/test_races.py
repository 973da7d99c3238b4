"""Two runs of one fabric at once: Pub/Sub delivers at least once, and nothing may be there twice for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from functions.events import SyncRequest
from functions.outcome import Outcome, Result
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import DeletePermit, NetBox
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import serve
from infra.secrets import DirectorySecrets
from tests.fabric_content import small_cluster, thing
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story, without

PATHS = ("dcim/devices", "dcim/interfaces", "dcim/cables")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorySecrets]:
    """The secrets of one fabric that is served meanwhile."""
    place = tmp_path_factory.mktemp("fabrics")
    with serve({"racy": small_cluster("racy", switches=4, ports=6)}, place):
        yield DirectorySecrets(place / "secrets", "fabric-")


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        with_fabric(netbox, "racy")
    return served


def run(served: ServedNetBox, secrets: DirectorySecrets, id_: str, start: Barrier | None = None) -> Outcome:
    deadline = Deadline.after(90.0, reserve=3.0)
    with NetBox(served.url, served.token_v2, deadline) as netbox:
        if start:
            start.wait(10)
        return sync(Run(SyncRequest("racy", id_, id_), secrets, deadline, batch=8), netbox)


def test_two_runs_at_once_make_nothing_twice_and_the_next_one_finds_it_all_done(
    ready: ServedNetBox, secrets: DirectorySecrets
) -> None:
    start = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda id_: run(ready, secrets, id_, start), ("one", "two")))
    # Of two that read the cluster at the same time one gets the lease; the other is told who has it.
    results = sorted((outcome.result, outcome.skip or "") for outcome in both)
    assert results in (
        [(Result.SKIPPED, "busy"), (Result.SUCCEEDED, "")],
        [(Result.SUCCEEDED, ""), (Result.SUCCEEDED, "")],  # the second came when the first was done
    ), both
    for number in range(5):
        last = run(ready, secrets, f"after-{number}")
        if last.result is Result.SUCCEEDED:
            break
    assert (last.result, last.reasons, last.problem) == (Result.SUCCEEDED, (), None)
    with opened(ready) as netbox:
        for path in PATHS:
            keys = Counter(row["custom_fields"]["fabric_key"] for row in netbox.read(path, {"cf_fabric_name": "racy"}))
            assert keys
            assert set(keys.values()) == {1}
            assert netbox.count(path) == keys.total()
        before = changes(netbox)
        assert run(ready, secrets, "again").written == 0
        assert changes(netbox) == before


# What others write while a run is between reading and writing


def asns(cluster: Cluster, asn: int = 65100) -> Cluster:
    """The cluster with one AS number for all its switches."""
    for name in cluster.names("Switch"):
        cluster.patch("Switch", name, {"spec": {"asn": asn}})
    return cluster


def site_of_another(told: Story, slug: str) -> int:
    return int(told.netbox.create("dcim/sites", [{"name": slug, "slug": slug}])[0]["id"])


def sites_by_number(told: Story) -> dict[int, set[str]]:
    rows = told.netbox.read("ipam/asns", {}, ("asn", "sites"))
    return {row["asn"]: {site["slug"] for site in row["sites"]} for row in rows}


def test_a_tag_that_a_person_adds_meanwhile_stays(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "tagged", small_cluster("tagged")) as told:
        told.netbox.create("extras/tags", [{"name": name, "slug": name} for name in ("first", "second")])

        def tags(name: str) -> None:
            for row in told.owned("dcim/cables"):
                told.netbox.update("dcim/cables", [{"id": row["id"], "add_tags": [{"slug": name}]}])

        gone = without(told.cluster, "Connection", "mesh-1")
        outcome = told.sync(meanwhile=lambda: tags("first"))
        assert (outcome.result, outcome.objects["cable"]["marked"]) == (Result.SUCCEEDED, 1)
        told.cluster.create(gone)
        outcome = told.sync(meanwhile=lambda: tags("second"))
        assert (outcome.result, outcome.objects["cable"]["updated"]) == (Result.SUCCEEDED, 1)
        for row in told.owned("dcim/cables"):
            assert {tag["slug"] for tag in row["tags"]} >= {"first", "second"}
            assert "fabric-stale" not in {tag["slug"] for tag in row["tags"]}


def test_two_sites_that_are_added_to_one_as_number_at_once_are_both_there(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "one-site", asns(small_cluster("one-site"))):
        pass
    with story(ready, tmp_path, "my-site", asns(small_cluster("my-site")), synced=False) as told:
        other = site_of_another(told, "other-site")

        def meanwhile() -> None:
            for row in told.netbox.read("ipam/asns", {}, ("sites",)):
                sites = [*(site["id"] for site in row["sites"]), other]
                told.netbox.update("ipam/asns", [{"id": row["id"], "sites": sites}])

        outcome = told.sync(meanwhile=meanwhile)
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        found = sites_by_number(told)
        assert found
        assert all(sites >= {"one-site", "my-site", "other-site"} for sites in found.values()), found
        told.settings(fabric_full_hours=0)
        assert told.sync().written == 0


INSTALLED = {"config": {"fabric": {"mode": "spine-leaf"}}}


def told_in_contexts(told: Story) -> list[dict[str, Any]]:
    """The data of the fabric's config context, and of its devices."""
    (context,) = told.netbox.read("extras/config-contexts", {"name": f"fabric-{told.name}"})
    return [context["data"], *(row["local_context_data"] or {} for row in told.owned("dcim/devices"))]


def test_what_people_write_into_contexts_meanwhile_stays(ready: ServedNetBox, tmp_path: Path) -> None:
    cluster = small_cluster("contexts", switches=3).load([thing("Fabricator", "default", INSTALLED)])
    with story(ready, tmp_path, "contexts", cluster) as told:

        def noted() -> None:
            """A person writes a note into every context, beside what is ours."""
            for path, key, rows in (
                ("dcim/devices", "local_context_data", told.owned("dcim/devices")),
                (
                    "extras/config-contexts",
                    "data",
                    told.netbox.read("extras/config-contexts", {"name": "fabric-contexts"}),
                ),
            ):
                for row in rows:
                    told.netbox.update(path, [{"id": row["id"], key: {**(row[key] or {}), "people": {"note": 1}}}])

        without(told.cluster, "Connection", "mesh-2")
        without(told.cluster, "Switch", "leaf-3")
        switches = told.cluster.names("Switch")
        for switch in switches:
            told.cluster.patch("Switch", switch, {"spec": {"vlanNamespaces": ["moved"]}})
        told.cluster.patch("Fabricator", "default", {"spec": {"config": {"fabric": {"mode": "collapsed-core"}}}})
        outcome = told.sync(meanwhile=noted)
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        updated = {model: outcome.objects[model]["updated"] for model in ("device", "config_context")}
        assert updated == {"device": len(switches), "config_context": 1}
        of_all, *found = told_in_contexts(told)
        assert "collapsed-core" in str(of_all["hedgehog"])
        assert sum("moved" in str(data.get("hedgehog")) for data in found) == len(switches)
        (gone,) = (row for row in told.owned("dcim/devices") if row["name"] == "leaf-3")
        assert {tag["slug"] for tag in gone["tags"]} >= {"fabric-managed", "fabric-stale"}
        assert [data.get("people") for data in (of_all, *found)] == [{"note": 1}] * (1 + len(found))
        told.settings(fabric_full_hours=0)
        assert told.sync().written == 0


def test_an_as_number_that_another_makes_first_gets_our_site_too(ready: ServedNetBox, tmp_path: Path) -> None:
    with story(ready, tmp_path, "second-site", asns(small_cluster("second-site"), 64900), synced=False) as told:
        other = site_of_another(told, "first-site")

        def meanwhile() -> None:
            rir = told.netbox.read("ipam/rirs", {}, ("slug",))[0]["id"]
            told.netbox.create("ipam/asns", [{"asn": 64900, "rir": rir, "sites": [other]}])

        outcome = told.sync(meanwhile=meanwhile)
        assert (outcome.result, outcome.reasons) == (Result.SUCCEEDED, ())
        assert sites_by_number(told)[64900] == {"first-site", "second-site"}
        told.settings(fabric_full_hours=0)
        assert told.sync().written == 0


def test_an_as_number_that_somebody_takes_away_meanwhile_is_told_and_keeps_nothing_else_back(
    ready: ServedNetBox, tmp_path: Path
) -> None:
    with story(ready, tmp_path, "before", asns(small_cluster("before"), 64901)):
        pass
    with story(ready, tmp_path, "after", asns(small_cluster("after"), 64901), synced=False) as told:

        def meanwhile() -> None:
            for row in told.netbox.read("ipam/asns", {"asn": 64901}, ("asn",)):
                told.netbox.delete("ipam/asns", [row["id"]], DeletePermit(frozenset({("ipam/asns", row["id"])})))

        outcome = told.sync(meanwhile=meanwhile)
        (reason,) = outcome.reasons
        assert (outcome.result, reason.partition(":")[0]) == (Result.INCOMPLETE, "asn 64901 was refused")
        assert told.sync().result is Result.SUCCEEDED
        assert sites_by_number(told)[64901] >= {"after"}
