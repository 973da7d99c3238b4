"""Look in NetBox for what people hang on our objects: none of it may go, or lose its hold, when ours are deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.fields import HOLD_TAG, KEY, NAME
from functions.guard import Owned
from functions.needs import Place, users
from functions.plan import Stale
from functions.records import MODELS
from infra.deadline import DeadlineExceeded
from infra.netbox import NetBoxError, NetBoxReader, Row

IDS_PER_REQUEST: Final = 100

NO_TIME: Final = "there was no time to look at it again"
"""The reason for which an object only waits for the next run."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects that may hang on ours: where they are listed, how they are asked for, and the fields that name ours.

    `by` is the filter by the ids of ours (one id a request when it takes no more); `typed` another that names the
    type of ours; `model` is ours of the same kind, which may be among them.
    """

    path: str
    by: str
    fields: tuple[str, ...]
    model: str | None = None
    typed: str | None = None
    single: bool = False


FIELDS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "device": {
        "interface_count": "interface",
        **dict.fromkeys(
            (
                "console_port_count",
                "console_server_port_count",
                "power_port_count",
                "power_outlet_count",
                "cooling_intake_count",
                "cooling_outflow_count",
                "front_port_count",
                "rear_port_count",
                "device_bay_count",
                "module_bay_count",
                "inventory_item_count",
                "virtual_chassis",
            )
        ),
    },
    "interface": {
        "count_ipaddresses": "ip_address",
        "count_fhrp_groups": None,
        "mac_addresses": "mac_address",
        "cable": "cable",
        "l2vpn_termination": "l2vpn_termination",
        "wireless_link": None,
        "bridge_interfaces": "interface",
    },
    "vrf": {"prefix_count": "prefix", "ipaddress_count": "ip_address"},
    "vlan_group": {"vlan_count": "vlan"},
    "vlan": {"prefix_count": "prefix", "l2vpn_termination": "l2vpn_termination"},
    "ip_address": {"nat_outside": None},
}
"""Model → its own fields that tell what hangs on an object (a number, an object or a list of them), and which of
ours may be among those. NetBox deletes most of them with it (`on_delete=CASCADE`), or empties their reference to it."""

LISTINGS: Final[Mapping[str, tuple[Listing, ...]]] = {
    "device": (
        Listing("ipam/services", "device_id", ("parent_object_id",)),
        Listing("virtualization/virtual-machines", "device_id", ("device",)),
        Listing("dcim/virtual-device-contexts", "device_id", ("device",)),
        Listing("extras/image-attachments", "object_id", ("object_id",), typed="object_type"),
        Listing("tenancy/contact-assignments", "object_id", ("object_id",), typed="object_type"),
    ),
    "interface": (
        Listing("dcim/interfaces", "parent_id", ("parent",), "interface"),
        Listing("dcim/interfaces", "lag_id", ("lag",), "interface"),
        Listing("dcim/inventory-items", "component_id", ("component_id",), typed="component_type"),
        Listing("vpn/tunnel-terminations", "interface_id", ("termination_id",)),
        Listing("circuits/virtual-circuit-terminations", "interface_id", ("interface",)),
    ),
    "vrf": (
        Listing("ipam/ip-ranges", "vrf_id", ("vrf",), "ip_range"),
        Listing("dcim/interfaces", "vrf_id", ("vrf",), "interface"),
        Listing("virtualization/interfaces", "vrf_id", ("vrf",)),
    ),
    "vlan": (
        Listing("dcim/interfaces", "vlan_id", ("untagged_vlan", "tagged_vlans"), "interface", single=True),
        Listing("virtualization/interfaces", "vlan_id", ("untagged_vlan", "tagged_vlans"), single=True),
    ),
    "l2vpn": (
        Listing("vpn/l2vpn-terminations", "l2vpn_id", ("l2vpn",), "l2vpn_termination"),
        Listing("tenancy/contact-assignments", "object_id", ("object_id",), typed="object_type"),
    ),
    "prefix": (Listing("tenancy/contact-assignments", "object_id", ("object_id",), typed="object_type"),),
    "ip_range": (Listing("tenancy/contact-assignments", "object_id", ("object_id",), typed="object_type"),),
    "ip_address": (
        Listing("ipam/services", "ip_address_id", ("ipaddresses",)),
        Listing("tenancy/contact-assignments", "object_id", ("object_id",), typed="object_type"),
    ),
}
"""Model → what hangs on an object and is listed elsewhere."""

JOURNAL: Final = Listing(
    "extras/journal-entries", "assigned_object_id", ("assigned_object_id",), typed="assigned_object_type"
)
"""Notes of people, on any object."""


def hanging(netbox: NetBoxReader, going: Collection[Stale], owned: Owned, fabric: str) -> dict[Stale, str]:
    """Those of `going` that must stay, and why: what people hung on them, or did to them since they were read.

    Our own objects that hang on them are not looked at: they go first. What NetBox will not show keeps the object,
    and so does the end of the time (`NO_TIME`). Leaves are looked at first. Raises `TransportError`.
    """
    used = users(owned)
    ours = {model: {existing.id for existing in objects.values()} for model, objects in owned.items()}
    found: dict[Stale, str] = {}
    for model in (name for name in reversed(MODELS) if any(s.model == name for s in going)):
        some = sorted((s for s in going if s.model == model), key=lambda s: s.id)
        for at in range(0, len(some), IDS_PER_REQUEST):
            batch = {s.id: s for s in some[at : at + IDS_PER_REQUEST]}
            try:
                reasons = dict(_looked_at(netbox, model, batch, used, ours, fabric))
            except NetBoxError as refused:
                reasons = dict.fromkeys(batch, f"NetBox does not show what hangs on it: {refused}")
            except DeadlineExceeded:
                reasons = dict.fromkeys(batch, NO_TIME)
            found |= {batch[id_]: reason for id_, reason in reasons.items()}
    return found


def _looked_at(
    netbox: NetBoxReader,
    model: str,
    batch: Mapping[int, Stale],
    used: Mapping[Place, Mapping[Place, Collection[str]]],
    ours: Mapping[str, set[int]],
    fabric: str,
) -> Iterator[tuple[int, str]]:
    path, fields = MODELS[model].path, FIELDS.get(model, {})
    rows = {row["id"]: row for row in netbox.read(path, {"id": [*batch]}, ("custom_fields", "tags", *fields))}
    yield from ((id_, "it is gone from NetBox already") for id_ in batch if id_ not in rows)
    rows = {id_: row for id_, row in rows.items() if id_ in batch}
    for id_, row in rows.items():
        custom = row.get("custom_fields") or {}
        if custom.get(NAME) != fabric or custom.get(KEY) != batch[id_].key.partition(" again, id ")[0]:
            yield id_, "its key was changed meanwhile"
        if any(tag.get("slug") == HOLD_TAG for tag in row.get("tags") or ()):
            yield id_, f"tagged {HOLD_TAG}"
        for field, own in fields.items():
            mine = Counter(user for user, _ in used.get((model, id_), {}))[own or ""]
            if count := _foreign(row.get(field), ours.get(own or "", set()), mine):
                yield id_, f"{field} shows {count} that {'are' if count > 1 else 'is'} not the fabric's"
    for listing in (*LISTINGS.get(model, ()), JOURNAL):
        for id_, count in _listed(netbox, listing, model, [*rows], ours).items():
            yield id_, f"{count} of {listing.path} on it {'are' if count > 1 else 'is'} not the fabric's"


def _foreign(value: Any, ours: Collection[int], mine: int) -> int:
    """How many of what a field shows are not ours; `mine` is how many of ours it should show."""
    if isinstance(value, int):
        return max(0, value - mine)
    rows = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
    return sum(row.get("id") not in ours for row in rows)


def _listed(
    netbox: NetBoxReader, listing: Listing, model: str, ids: list[int], ours: Mapping[str, set[int]]
) -> Counter[int]:
    """How many of what is listed hangs on each of `ids` and is not ours.

    NetBox answers everything when it does not know a filter, so each row says itself what it hangs on.
    """
    found: Counter[int] = Counter()
    mine = ours.get(listing.model or "", set())
    typed = {listing.typed: MODELS[model].content_type} if listing.typed else {}
    for some in [[id_] for id_ in ids] if listing.single else [ids]:
        if not some:
            continue
        fields = (*listing.fields, *typed)
        for row in netbox.read(listing.path, {**typed, listing.by: some}, fields):
            right = all(row.get(name, value) == value for name, value in typed.items())
            if row["id"] not in mine and right:
                found.update({id_ for id_ in _named(row, listing.fields) if id_ in some})
    return found


def _named(row: Row, fields: Collection[str]) -> Iterator[int]:
    """The ids that a row's fields name: a number, an object, or a list of objects."""
    for field in fields:
        value = row.get(field)
        for one in value if isinstance(value, list) else (value,):
            id_ = one.get("id") if isinstance(one, dict) else one
            if isinstance(id_, int):
                yield id_
