"""Make a NetBox ready: cluster type, choice sets, custom fields and tags of one table; tells what it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from functions.errors import Code, Problem, SyncStopped
from functions.fields import (
    CHOICE_SETS,
    CLUSTER_TYPE_NAME,
    CLUSTER_TYPE_SLUG,
    CUSTOM_FIELDS,
    GROUP,
    TAGS,
    ChoiceSet,
    CustomField,
)
from infra.netbox import NetBox, Row


class Did(StrEnum):
    """What bootstrap did with one thing."""

    CREATED = "created"  # it was missing
    CHANGED = "changed"  # it was there, and lacked something
    KEPT = "as it was"  # it was there as it should be


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that NetBox needs, and what was done about it."""

    what: str
    name: str
    did: Did


def bootstrap(netbox: NetBox, page_url: str | None = None) -> Iterator[Step]:
    """Make everything that the sync needs in NetBox; running it again changes nothing.

    With `page_url`, the page of the function `manual`, clusters get links to it.

    Raises `SyncStopped` where something of the same name is there and is something else: that is for people to solve.
    """
    yield _ensure(
        netbox,
        "virtualization/cluster-types",
        "cluster type",
        {"slug": CLUSTER_TYPE_SLUG},
        {"name": CLUSTER_TYPE_NAME, "slug": CLUSTER_TYPE_SLUG, "description": "A Hedgehog fabric, kept by fabric-sync"},
    )
    for tag in TAGS:
        row = {"slug": tag.slug, "name": tag.name, "color": tag.color, "description": tag.description}
        yield _ensure(netbox, "extras/tags", "tag", {"slug": tag.slug}, row)
    for choices in CHOICE_SETS:
        yield _ensure(
            netbox, "extras/custom-field-choice-sets", "choice set", {"name": choices.name}, _choices(choices)
        )
    sets = {row["name"]: row["id"] for row in netbox.read("extras/custom-field-choice-sets", fields=("name",))}
    there = {row["name"]: row for row in netbox.read("extras/custom-fields")}
    for custom in CUSTOM_FIELDS:
        yield _custom_field(netbox, custom, there.get(custom.name), sets)
    if page_url is not None:
        for name, path in PAGE_LINKS.items():
            yield _custom_link(netbox, name, f"{page_url}/fabrics/{{{{ object.name|urlencode }}}}{path}")


PAGE_LINKS: Final[Mapping[str, str]] = {"Sync now": "#sync", "Preview": "/plan", "Status": ""}
"""Links on the clusters of fabrics → what of a fabric's page they lead to. A link asks for nothing by itself."""


def _custom_link(netbox: NetBox, text: str, url: str) -> Step:
    """A button on clusters of our type: NetBox shows no link whose text comes out empty."""
    name = f"Fabric: {text}"
    wanted = {
        "name": name,
        "object_types": ["virtualization.cluster"],
        "enabled": True,
        "link_text": f"{{% if object.type.slug == '{CLUSTER_TYPE_SLUG}' %}}{text}{{% endif %}}",
        "link_url": url,
        "group_name": GROUP,
        "new_window": False,
    }
    found = next(iter(netbox.read("extras/custom-links", {"name": name})), None)
    if found is None:
        netbox.create("extras/custom-links", [wanted])
        return Step("custom link", name, Did.CREATED)
    if all(_value(found.get(field)) == value for field, value in wanted.items()):
        return Step("custom link", name, Did.KEPT)
    netbox.update("extras/custom-links", [{"id": found["id"], **wanted}])
    return Step("custom link", name, Did.CHANGED)


def _ensure(netbox: NetBox, path: str, what: str, natural: Mapping[str, str], row: Row) -> Step:
    """Create the object unless one with its natural key is there."""
    (key, value), *_ = natural.items()
    if any(found.get(key) == value for found in netbox.read(path, natural, (key,))):
        return Step(what, value, Did.KEPT)
    netbox.create(path, [row])
    return Step(what, value, Did.CREATED)


def _choices(choices: ChoiceSet) -> Row:
    return {"name": choices.name, "extra_choices": [[value, label] for value, label in choices.values.items()]}


def _custom_field(netbox: NetBox, custom: CustomField, found: Row | None, sets: Mapping[str, int]) -> Step:
    if found is None:
        netbox.create("extras/custom-fields", [_custom_field_row(custom, sets)])
        return Step("custom field", custom.name, Did.CREATED)
    type_ = _value(found.get("type"))
    if type_ != custom.type:
        text = f"the custom field {custom.name} is there with type {type_}, not {custom.type}: rename or remove it"
        raise SyncStopped(Problem(Code.NETBOX_NOT_READY, text))
    change: Row = {}
    on = set(found.get("object_types") or ())
    if missing := set(custom.on) - on:
        change["object_types"] = sorted(on | missing)
    if custom.unique and not found.get("unique"):
        change["unique"] = True
    if _value(found.get("filter_logic")) != "exact":
        # Without an exact filter a list by fabric would hold the objects of every fabric with a longer name.
        change["filter_logic"] = "exact"
    if not change:
        return Step("custom field", custom.name, Did.KEPT)
    netbox.update("extras/custom-fields", [{"id": found["id"], **change}])
    return Step("custom field", custom.name, Did.CHANGED)


def _custom_field_row(custom: CustomField, sets: Mapping[str, int]) -> Row:
    row: dict[str, Any] = {
        "name": custom.name,
        "label": custom.label,
        "type": custom.type,
        "object_types": sorted(custom.on),
        "description": custom.description,
        "group_name": GROUP,
        "filter_logic": "exact",
        "unique": custom.unique,
        "ui_visible": "hidden" if custom.hidden else "always" if custom.editable else "if-set",
        "ui_editable": "yes" if custom.editable else "no",
        "is_cloneable": False,
    }
    if custom.choices is not None:
        row["choice_set"] = sets[custom.choices]
    if custom.default is not None:
        row["default"] = custom.default
    return row


def _value(choice: Any) -> Any:
    """The value of a choice, which NetBox answers as {value, label}."""
    return choice.get("value") if isinstance(choice, Mapping) else choice
