"""NetBox records as this system wants them, and the table of NetBox models that drives compare and apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A reference to another record by model and key; `apply` turns it into the NetBox id."""

    model: str
    key: str


type Scalar = str | int | float | bool | None
type Value = Scalar | Ref | tuple[Ref, ...]


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
    custom: Mapping[str, Scalar] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


class Shape(StrEnum):
    """How a field's value looks in NetBox's answers."""

    PLAIN = "plain"  # a scalar, in both directions
    CHOICE = "choice"  # written as a value, read as {"value": …, "label": …}
    REF = "ref"  # written as an id, read as a nested object with an id
    ENDS = "ends"  # a cable's terminations: a list of {object_type, object_id}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a NetBox model that this system writes.

    `once`: written when the object is created and then left to people, who may refine it.
    """

    shape: Shape = Shape.PLAIN
    once: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One NetBox model: where it lives, what identifies it, what we write, and in which order.

    `path` is the REST path below `/api/`. `natural` are the fields that are unique in NetBox (the slug for shared
    kinds; the name inside its parent for owned ones): by them a record that changed its key finds its old object.
    `shared` objects belong to nobody's fabric: created when missing, never changed, never deleted.
    """

    path: str
    content_type: str
    natural: tuple[str, ...]
    fields: Mapping[str, Field]
    shared: bool = False


_ONCE = Field(once=True)
_CHOICE = Field(Shape.CHOICE)
_REF = Field(Shape.REF)

MODELS: dict[str, Model] = {
    "tag": Model("extras/tags", "extras.tag", ("slug",), {"name": _ONCE, "slug": _ONCE, "color": _ONCE}, shared=True),
    "site": Model("dcim/sites", "dcim.site", ("slug",), {}, shared=True),
    "cluster": Model("virtualization/clusters", "virtualization.cluster", ("name",), {}, shared=True),
    "manufacturer": Model(
        "dcim/manufacturers", "dcim.manufacturer", ("slug",), {"name": _ONCE, "slug": _ONCE}, shared=True
    ),
    "device_role": Model(
        "dcim/device-roles",
        "dcim.devicerole",
        ("slug",),
        {"name": _ONCE, "slug": _ONCE, "color": _ONCE},
        shared=True,
    ),
    "device_type": Model(
        "dcim/device-types",
        "dcim.devicetype",
        ("slug",),
        {
            "manufacturer": Field(Shape.REF, once=True),
            "model": _ONCE,
            "slug": _ONCE,
            "part_number": _ONCE,
            "u_height": _ONCE,
            "description": _ONCE,
        },
        shared=True,
    ),
    "platform": Model(
        "dcim/platforms",
        "dcim.platform",
        ("slug",),
        {"name": _ONCE, "slug": _ONCE, "manufacturer": Field(Shape.REF, once=True)},
        shared=True,
    ),
    "device": Model(
        "dcim/devices",
        "dcim.device",
        ("name",),
        {
            "name": Field(),
            "device_type": _REF,
            "role": Field(Shape.REF, once=True),
            "platform": _REF,
            "site": Field(Shape.REF, once=True),
            "cluster": _REF,
            "status": Field(Shape.CHOICE, once=True),
            "serial": Field(),
            "description": _ONCE,
        },
    ),
    "interface": Model(
        "dcim/interfaces",
        "dcim.interface",
        ("device", "name"),
        {
            "device": _REF,
            "name": Field(),
            "type": _CHOICE,
            "label": Field(),
            "lag": _REF,
            "enabled": Field(),
            "mgmt_only": Field(),
            "mark_connected": Field(),
            "mtu": Field(),
            "speed": Field(),
            "description": Field(),
        },
    ),
    "cable": Model(
        "dcim/cables",
        "dcim.cable",
        ("a_terminations", "b_terminations"),
        {
            "a_terminations": Field(Shape.ENDS),
            "b_terminations": Field(Shape.ENDS),
            "status": Field(Shape.CHOICE, once=True),
            "type": Field(Shape.CHOICE, once=True),
            "label": Field(),
        },
    ),
}
"""Every NetBox model that is written, in the order of dependency: a record refers to earlier models only
(an interface also to the LAG interface it belongs to)."""
