"""What tests put into a real NetBox before they look at it: the sync's own fields, sites, fabrics, people's objects."""

from __future__ import annotations

from typing import Any

from functions import registry
from functions.bootstrap import bootstrap
from functions.fabric import Fabric
from functions.fields import MEMORY
from infra.deadline import Deadline
from infra.netbox import NetBox, Row
from tests.netbox_fixtures import ServedNetBox


def opened(served: ServedNetBox, seconds: float = 120.0) -> NetBox:
    """A door to the served NetBox with a deadline that no test is meant to reach."""
    return NetBox(served.url, served.token_v2, Deadline.after(seconds))


def bootstrapped(served: ServedNetBox) -> ServedNetBox:
    """The served NetBox, emptied and made ready for fabrics."""
    served.reset()
    with opened(served) as netbox:
        for _ in bootstrap(netbox):
            pass
    return served


def with_fabric(netbox: NetBox, name: str, **changes: Any) -> Fabric:
    """A new fabric in a new site, both called `name`; `changes` go into its cluster's custom fields."""
    netbox.create("dcim/sites", [{"name": name, "slug": name}])
    row = registry.add(netbox, name, site=name, secret=f"fabric-{name}")
    if changes:
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": changes}])
    return registry.fabric_of(registry.find(netbox, name))


def device_of_people(netbox: NetBox, site: str, name: str, ports: int = 0) -> tuple[Row, list[Row]]:
    """A device that a person made in `site`, with its ports."""
    maker = named(netbox, "dcim/manufacturers", "Theirs", "theirs")
    kind = named(netbox, "dcim/device-types", "Their Box", "their-box", manufacturer=maker["id"])
    role = named(netbox, "dcim/device-roles", "Their Role", "their-role")
    place = netbox.read("dcim/sites", {"slug": site})[0]
    row = {"name": name, "device_type": kind["id"], "role": role["id"], "site": place["id"]}
    (device,) = netbox.create("dcim/devices", [row])
    rows = [{"device": device["id"], "name": f"p{number}", "type": "1000base-t"} for number in range(ports)]
    return device, netbox.create("dcim/interfaces", rows) if rows else []


def named(netbox: NetBox, path: str, name: str, slug: str, **fields: Any) -> Row:
    """The object with that slug, made when it is missing."""
    found = netbox.read(path, {"slug": slug})
    key = "model" if path == "dcim/device-types" else "name"
    return found[0] if found else netbox.create(path, [{key: name, "slug": slug, **fields}])[0]


def changes(netbox: NetBox) -> int:
    """How many rows NetBox's own change log has, but for what runs record of themselves.

    That is what stands on their clusters, and what is remembered with a fabric's underlay.
    """
    fields = ("changed_object_type", "action", "prechange_data", "postchange_data")
    rows = netbox.read("core/object-changes", fields=fields)
    return sum(not (row["changed_object_type"] == "virtualization.cluster" or of_memory(row)) for row in rows)


def of_memory(row: Row) -> bool:
    """Whether a change wrote a fabric's memory and nothing else."""
    if row["changed_object_type"] != "ipam.vrf" or not (row["prechange_data"] and row["postchange_data"]):
        return False
    before, after = (
        {**data, "last_updated": None, "custom_fields": {**data["custom_fields"], MEMORY: None}}
        for data in (row["prechange_data"], row["postchange_data"])
    )
    return bool(before == after)


def changes_of_clusters(netbox: NetBox) -> int:
    """How many rows of NetBox's change log are of clusters: what runs recorded of themselves, and what people set."""
    rows = netbox.read("core/object-changes", fields=("changed_object_type",))
    return sum(row["changed_object_type"] == "virtualization.cluster" for row in rows)
