"""NetBox records as this system wants them, and the table of NetBox models that drives compare and apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A reference to another record by model and key; `apply` turns it into the NetBox id."""

    model: str
    key: str


type Scalar = str | int | float | bool | None
type Json = Scalar | Sequence[Json] | Mapping[str, Json]
type Value = Json | Ref | tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One NetBox object as the fabric wants it.

    `model` is a key of `MODELS`. `key` is the identity: the custom field `fabric_key`
    (`<fabric>/<Kind>/<namespace>/<name>[#<part>]`) for objects that a fabric owns, the slug for shared kinds.
    `fields` are NetBox's own field names of `Model.fields`; a field that is not named is not compared and not
    written (what could not be known in this run is left out, never guessed). `custom` are further custom fields
    (`fabric_key` and `fabric_name` are added by compare). `tags` are slugs that must be present; others stay.
    """

    model: str
    key: str
    fields: Mapping[str, Value]
    custom: Mapping[str, Json] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


class Shape(StrEnum):
    """How a field's value looks in NetBox's answers."""

    PLAIN = "plain"  # a scalar, in both directions
    CHOICE = "choice"  # written as a value, read as {"value": …, "label": …}
    REF = "ref"  # written as an id, read as a nested object with an id
    REFS = "refs"  # written as a list of ids, read as a list of nested objects
    GENERIC = "generic"  # a reference to objects of several types: written and read as <name>_type and <name>_id
    JSON = "json"  # any JSON, compared as a whole
    OWN_KEYS = "own_keys"  # a JSON object of which only our keys are compared and written; others' keys stay
    ENDS = "ends"  # a cable's terminations: a list of {object_type, object_id}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a NetBox model that this system writes.

    `once`: written when the object is created and then left to people, who may refine it. `late`: refers to a model
    further down the order (a device's primary address), so it is written when that exists. `merged`: what is there
    stays, ours is added (the sites of an AS number that several fabrics use).
    """

    shape: Shape = Shape.PLAIN
    once: bool = False
    late: bool = False
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One NetBox model: where it lives, what identifies it, what we write, and in which order.

    `path` is the REST path below `/api/`. `natural` are the fields that are unique in NetBox (the slug for shared
    kinds; the name inside its parent for owned ones): by them a record that changed its key finds its old object.
    `shared` objects belong to nobody's fabric: created when missing, never deleted, and never changed but for
    `merged` fields. `named` models have no custom fields: their objects are ours by a name of our own making.
    """

    path: str
    content_type: str
    natural: tuple[str, ...]
    fields: Mapping[str, Field]
    shared: bool = False
    named: bool = False

    @property
    def mixed(self) -> tuple[str, ...]:
        """The fields that hold what others put there beside ours."""
        return tuple(name for name, spec in self.fields.items() if spec.merged or spec.shape is Shape.OWN_KEYS)


_PLAIN = Field()
_ONCE = Field(once=True)
_CHOICE = Field(Shape.CHOICE)
_CHOICE_ONCE = Field(Shape.CHOICE, once=True)
_REF = Field(Shape.REF)
_REF_ONCE = Field(Shape.REF, once=True)
_GENERIC = Field(Shape.GENERIC)

_SLUG = ("slug",)
_NAMED = {"name": _ONCE, "slug": _ONCE}

MODELS: dict[str, Model] = {
    "tag": Model("extras/tags", "extras.tag", _SLUG, {**_NAMED, "color": _ONCE}, shared=True),
    "rir": Model("ipam/rirs", "ipam.rir", _SLUG, {**_NAMED, "is_private": _ONCE}, shared=True),
    "manufacturer": Model("dcim/manufacturers", "dcim.manufacturer", _SLUG, _NAMED, shared=True),
    "device_role": Model("dcim/device-roles", "dcim.devicerole", _SLUG, {**_NAMED, "color": _ONCE}, shared=True),
    "role": Model("ipam/roles", "ipam.role", _SLUG, _NAMED, shared=True),
    "device_type": Model(
        "dcim/device-types",
        "dcim.devicetype",
        _SLUG,
        {
            "manufacturer": _REF_ONCE,
            "model": _ONCE,
            "slug": _ONCE,
            "part_number": _ONCE,
            "u_height": _ONCE,
            "description": _ONCE,
        },
        shared=True,
    ),
    "platform": Model("dcim/platforms", "dcim.platform", _SLUG, {**_NAMED, "manufacturer": _REF_ONCE}, shared=True),
    "site": Model("dcim/sites", "dcim.site", _SLUG, {}, shared=True),
    "cluster": Model("virtualization/clusters", "virtualization.cluster", ("name",), {}, shared=True),
    "asn": Model(
        "ipam/asns",
        "ipam.asn",
        ("asn",),
        {"asn": _ONCE, "rir": _REF_ONCE, "sites": Field(Shape.REFS, merged=True)},
        shared=True,
    ),
    "config_context": Model(
        "extras/config-contexts",
        "extras.configcontext",
        ("name",),
        {"name": _PLAIN, "data": Field(Shape.OWN_KEYS), "description": _ONCE},
        named=True,
    ),
    "vrf": Model(
        "ipam/vrfs",
        "ipam.vrf",
        ("name",),
        {"name": _PLAIN, "enforce_unique": _ONCE, "description": _ONCE},
    ),
    "vlan_group": Model(
        "ipam/vlan-groups",
        "ipam.vlangroup",
        ("slug",),
        {"name": _PLAIN, "slug": _PLAIN, "scope": _GENERIC, "vid_ranges": Field(Shape.JSON), "description": _ONCE},
    ),
    "vlan": Model(
        "ipam/vlans",
        "ipam.vlan",
        ("group", "vid"),
        {
            "group": _REF,
            "vid": _PLAIN,
            "name": _PLAIN,
            "status": _CHOICE_ONCE,
            "role": _REF,
            "description": _ONCE,
        },
    ),
    "device": Model(
        "dcim/devices",
        "dcim.device",
        ("name",),
        {
            "name": _PLAIN,
            "device_type": _REF,
            "role": _REF_ONCE,
            "platform": _REF,
            "site": _REF_ONCE,
            "cluster": _REF,
            "status": _CHOICE_ONCE,
            "serial": _PLAIN,
            "description": _ONCE,
            "local_context_data": Field(Shape.OWN_KEYS),
            "primary_ip4": Field(Shape.REF, late=True),
        },
    ),
    "interface": Model(
        "dcim/interfaces",
        "dcim.interface",
        ("device", "name"),
        {
            "device": _REF,
            "name": _PLAIN,
            "type": _CHOICE,
            "label": _PLAIN,
            "parent": _REF,
            "lag": _REF,
            "enabled": _PLAIN,
            "mgmt_only": _PLAIN,
            "mark_connected": _PLAIN,
            "mtu": _PLAIN,
            "speed": _PLAIN,
            "description": _PLAIN,
            "mode": _CHOICE,
            "untagged_vlan": _REF,
            "tagged_vlans": Field(Shape.REFS),
            "vrf": _REF,
            "primary_mac_address": Field(Shape.REF, late=True),
        },
    ),
    "mac_address": Model(
        "dcim/mac-addresses",
        "dcim.macaddress",
        ("mac_address", "assigned_object"),
        {"mac_address": _PLAIN, "assigned_object": _GENERIC},
    ),
    "l2vpn": Model(
        "vpn/l2vpns",
        "vpn.l2vpn",
        ("slug",),
        {"name": _PLAIN, "slug": _PLAIN, "type": _CHOICE, "identifier": _PLAIN, "description": _ONCE},
    ),
    "prefix": Model(
        "ipam/prefixes",
        "ipam.prefix",
        ("prefix", "vrf"),
        {
            "prefix": _PLAIN,
            "vrf": _REF,
            "status": _CHOICE,
            "role": _REF,
            "vlan": _REF,
            "scope": _GENERIC,
            "description": _ONCE,
        },
    ),
    "ip_range": Model(
        "ipam/ip-ranges",
        "ipam.iprange",
        ("start_address", "end_address", "vrf"),
        {
            "start_address": _PLAIN,
            "end_address": _PLAIN,
            "vrf": _REF,
            "status": _CHOICE_ONCE,
            "role": _REF,
            "description": _ONCE,
        },
    ),
    "ip_address": Model(
        "ipam/ip-addresses",
        "ipam.ipaddress",
        ("address", "vrf"),
        {
            "address": _PLAIN,
            "vrf": _REF,
            "status": _CHOICE,
            "role": _CHOICE,
            "assigned_object": _GENERIC,
            "dns_name": _ONCE,
            "description": _ONCE,
        },
    ),
    "l2vpn_termination": Model(
        "vpn/l2vpn-terminations",
        "vpn.l2vpntermination",
        ("assigned_object",),
        {"l2vpn": _REF, "assigned_object": _GENERIC},
    ),
    "cable": Model(
        "dcim/cables",
        "dcim.cable",
        ("a_terminations", "b_terminations"),
        {
            "a_terminations": Field(Shape.ENDS),
            "b_terminations": Field(Shape.ENDS),
            "status": _CHOICE_ONCE,
            "type": _CHOICE_ONCE,
            "label": _PLAIN,
        },
    ),
}
"""Every NetBox model that is written, in the order of dependency: a record refers to earlier models only, but for
`late` fields (and an interface to the LAG it belongs to or the port it is a part of)."""

BY_CONTENT_TYPE: dict[str, str] = {model.content_type: name for name, model in MODELS.items()}
