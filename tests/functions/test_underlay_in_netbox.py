"""The underlay in the real NetBox: it takes every address, and lets two links swap theirs in one run."""

from __future__ import annotations

from typing import Any

from functions.applied import Applied
from functions.apply import Applier
from functions.compare import compare
from functions.fabric import Fabric
from functions.records import MODELS, Ref
from functions.rows import references
from functions.survey import survey
from functions.translate import translate
from infra.deadline import Deadline
from infra.netbox import NetBox
from tests.functions.translate.hedgehog import snapshot
from tests.functions.translate.test_underlay_properties import UNDERLAY
from tests.netbox_content import bootstrapped, with_fabric
from tests.netbox_fixtures import ServedNetBox


def synced(netbox: NetBox, fabric: Fabric, *objects: Any) -> Applied:
    found = translate(snapshot(*objects), fabric)
    wanted = {ref for record in found.records for ref in references(record)}
    wanted |= {Ref(record.model, record.key) for record in found.records}
    keyed = {ref for ref in wanted if MODELS[ref.model].shared or MODELS[ref.model].named}
    actual = survey(netbox, fabric, keyed)
    return Applier(netbox, actual, fabric.name).apply(compare(found.records, actual, fabric.name, found.complete))


def swapped(item: Any) -> Any:
    """The connection with the addresses of its two links exchanged."""
    if item["kind"] != "Connection" or len(item["spec"].get("fabric", {}).get("links", ())) != 2:
        return item
    one, two = item["spec"]["fabric"]["links"]
    ips = one["spine"]["ip"], two["spine"]["ip"]
    links = [{**link, "spine": {**link["spine"], "ip": ip}} for link, ip in zip((one, two), ips[::-1], strict=True)]
    return {**item, "spec": {"fabric": {"links": links}}}


def test_an_underlay_is_taken_whole_stays_as_it_is_and_lets_links_swap_their_addresses(
    netbox_server: ServedNetBox,
) -> None:
    served = bootstrapped(netbox_server)
    with NetBox(served.url, served.token_v2, Deadline.after(300)) as netbox:
        fabric = with_fabric(netbox, "underlay")
        first = synced(netbox, fabric, *UNDERLAY)
        assert (first.refused, first.stopped, first.left) == ([], None, 0)
        assert synced(netbox, fabric, *UNDERLAY).written == 0
        swap = synced(netbox, fabric, *(swapped(item) for item in UNDERLAY))
        assert (swap.refused, dict(swap.updated)) == ([], {"ip_address": 2})
