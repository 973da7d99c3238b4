"""Bootstrap and the registry, in the real NetBox: made once, told apart from what people made, refused by name."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from functions import registry
from functions.bootstrap import Did, Step, bootstrap
from functions.errors import Code, SyncStopped
from functions.fabric import Naming
from functions.fields import CHOICE_SETS, CUSTOM_FIELDS, TAGS
from infra.netbox import NetBox
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox


# The first test and the last one empty NetBox; those between share one that is ready.
@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def did(netbox: NetBox) -> Counter[Did]:
    return Counter(step.did for step in bootstrap(netbox))


def refusal(netbox: NetBox, name: str) -> tuple[Code, str]:
    """Why the fabric cannot be synced."""
    with pytest.raises(SyncStopped) as stopped:
        registry.fabric_of(registry.find(netbox, name))
    return stopped.value.problem.code, stopped.value.problem.text


def test_an_empty_netbox_is_no_registry_until_it_is_made_ready_and_then_nothing_changes(netbox: ServedNetBox) -> None:
    with opened(netbox) as door:
        assert refusal(door, "lab")[0] is Code.NETBOX_NOT_READY
        things = 1 + len(TAGS) + len(CHOICE_SETS) + len(CUSTOM_FIELDS)
        assert did(door) == {Did.CREATED: things}
        before = changes(door)
        assert did(door) == {Did.KEPT: things}
        assert changes(door) == before
        assert refusal(door, "lab")[0] is Code.UNKNOWN_FABRIC
        assert registry.every(door) == []


def test_clusters_get_links_to_the_page_once_and_where_it_moved_to(ready: ServedNetBox) -> None:
    def links(url: str) -> list[tuple[str, Did]]:
        with opened(ready) as netbox:
            return [(step.name, step.did) for step in bootstrap(netbox, url) if step.what == "custom link"]

    names = ["Fabric: Sync now", "Fabric: Preview", "Fabric: Status"]
    for url, did_it in (("https://one", Did.CREATED), ("https://one", Did.KEPT), ("https://two", Did.CHANGED)):
        assert links(url) == [(name, did_it) for name in names]
    with opened(ready) as netbox:
        rows = {row["name"]: row["link_url"] for row in netbox.read("extras/custom-links")}
    assert rows["Fabric: Preview"] == "https://two/fabrics/{{ object.name|urlencode }}/plan"


def field(netbox: NetBox, name: str) -> dict[str, Any]:
    return next(row for row in netbox.read("extras/custom-fields") if row["name"] == name)


def test_a_field_that_people_loosened_is_set_right_again(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        row = field(netbox, "fabric_name")
        on = set(row["object_types"])
        loose = {"id": row["id"], "filter_logic": "loose", "object_types": ["dcim.device"]}
        netbox.update("extras/custom-fields", [loose])
        steps = [step for step in bootstrap(netbox) if step.did is not Did.KEPT]
        assert steps == [Step("custom field", "fabric_name", Did.CHANGED)]
        row = field(netbox, "fabric_name")
        assert row["filter_logic"]["value"] == "exact"
        assert set(row["object_types"]) == on


def test_what_people_added_to_a_field_stays(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        row = field(netbox, "fabric_source")
        on = sorted({*row["object_types"], "dcim.rack"})
        netbox.update("extras/custom-fields", [{"id": row["id"], "object_types": on, "label": "Theirs"}])
        assert set(did(netbox)) == {Did.KEPT}
        row = field(netbox, "fabric_source")
        assert (sorted(row["object_types"]), row["label"]) == (on, "Theirs")


def test_a_registered_fabric_is_found_with_its_site(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "found")
        assert (fabric.name, fabric.site, fabric.secret) == ("found", "found", "fabric-found")
        assert (fabric.naming, fabric.enabled, fabric.insecure_tls) == (Naming.PLAIN, True, False)
        assert fabric.site_id == netbox.read("dcim/sites", {"slug": "found"})[0]["id"]
        assert "found" in [row["name"] for row in registry.every(netbox)]


def test_what_people_choose_for_a_fabric_is_taken(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        chosen = {"fabric_naming": "prefixed", "fabric_enabled": False, "fabric_insecure_tls": True}
        fabric = with_fabric(netbox, "chosen", **chosen)
        assert (fabric.naming, fabric.enabled, fabric.insecure_tls) == (Naming.PREFIXED, False, True)


def test_a_name_that_only_begins_alike_is_another_fabric(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        with_fabric(netbox, "alike-1")
        assert refusal(netbox, "alike")[0] is Code.UNKNOWN_FABRIC
        assert refusal(netbox, "alike-11")[0] is Code.UNKNOWN_FABRIC


def test_a_cluster_of_another_type_is_no_fabric(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        (kind,) = netbox.create("virtualization/cluster-types", [{"name": "Theirs", "slug": "theirs"}])
        netbox.create(registry.PATH, [{"name": "vmware", "type": kind["id"]}])
        assert refusal(netbox, "vmware")[0] is Code.UNKNOWN_FABRIC
        assert "vmware" not in [row["name"] for row in registry.every(netbox)]


def test_everything_that_is_missing_is_told_at_once(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        row = {"name": "missing", "type": {"slug": "hedgehog-fabric"}}
        netbox.create(registry.PATH, [row])
        code, text = refusal(netbox, "missing")
        assert code is Code.NOT_CONFIGURED
        assert "site" in text
        assert "fabric_secret is empty" in text


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "../x", "a b", "abcdefghijklmnopq", "-a", "ä"])
def test_a_name_that_is_none_is_never_asked_for(ready: ServedNetBox, name: str) -> None:
    with opened(ready) as netbox:
        assert refusal(netbox, name)[0] is Code.BAD_REQUEST
        assert netbox.requests == 0
        with pytest.raises(SyncStopped):
            registry.add(netbox, name, site="found", secret="s")
        assert netbox.requests == 0


def test_a_fabric_in_a_site_that_is_not_there_is_not_registered(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        with pytest.raises(SyncStopped) as stopped:
            registry.add(netbox, "homeless", site="nowhere", secret="s")
        assert stopped.value.problem.code is Code.NOT_CONFIGURED
        assert refusal(netbox, "homeless")[0] is Code.UNKNOWN_FABRIC


def test_a_field_of_another_type_is_for_people_to_solve(netbox: ServedNetBox) -> None:
    with opened(netbox) as door:
        theirs = {"name": "fabric_asn", "type": "text", "object_types": ["dcim.device"]}
        door.create("extras/custom-fields", [theirs])
        with pytest.raises(SyncStopped) as stopped:
            did(door)
        assert stopped.value.problem.code is Code.NETBOX_NOT_READY
        assert "fabric_asn" in stopped.value.problem.text
        assert field(door, "fabric_asn")["type"]["value"] == "text"
