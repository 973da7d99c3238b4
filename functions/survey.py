"""Read what NetBox holds of a fabric: the objects that it owns, and the shared ones that its records refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from functions.actual import Actual, existing_of
from functions.errors import Code, Problem, SyncStopped
from functions.fabric import Fabric
from functions.fields import KEY, NAME
from functions.records import MODELS, Ref, Shape
from infra.netbox import NetBoxReader, Row

KEYS_PER_REQUEST: Final = 100
"""Slugs asked for in one request: NetBox's request line holds 4,094 bytes."""


def survey(
    netbox: NetBoxReader,
    fabric: Fabric,
    wanted: Iterable[Ref],
    on_model: Callable[[str, int], None] = lambda model, count: None,
) -> Actual:
    """What NetBox holds of `fabric`: every owned model in full, and the `wanted` records of shared and named models.

    Raises `SyncStopped` when NetBox ignored the filter by fabric: what came back is then not ours.
    """
    actual = Actual({}, {Ref("site", fabric.site): fabric.site_id, Ref("cluster", fabric.name): fabric.cluster_id})
    keys: dict[str, set[str]] = {}
    for ref in wanted:
        if ref not in actual.ids:
            keys.setdefault(ref.model, set()).add(ref.key)
    for name, some in keys.items():
        survey_by_key(netbox, name, sorted(some), actual)
    ends: dict[int, dict[str, set[int]]] = {}
    for name, model in MODELS.items():
        if model.shared or model.named:
            continue
        rows = _read_owned(netbox, name, fabric.name)
        actual.owned[name] = {}
        for row in rows:
            if name == "interface" and row.get("cable"):
                side = ends.setdefault(row["cable"]["id"], {"A": set(), "B": set()})
                side.setdefault(row.get("cable_end") or "A", set()).add(row["id"])
            existing = existing_of(name, row, ends)
            key = existing.custom.get(KEY)
            if not key:
                continue  # somebody gave it the fabric's name; without a key it was never ours
            if key in actual.owned[name]:
                # NetBox checks that a custom field is unique, but two racing writers both get in.
                key = f"{key} again, id {existing.id}"
            actual.owned[name][key] = existing
            actual.ids[Ref(name, key)] = existing.id
        on_model(name, len(rows))
    return actual


def survey_by_key(netbox: NetBoxReader, name: str, keys: list[str], actual: Actual) -> None:
    """Take in the shared or named objects of one model by what names them: the slug, the AS number, the name."""
    model = MODELS[name]
    natural = model.natural[0]
    merged = [field for field, spec in model.fields.items() if spec.merged]
    fields = (*fields_to_read(name), "tags") if model.named else (natural, *merged)
    for at in range(0, len(keys), KEYS_PER_REQUEST):
        some = keys[at : at + KEYS_PER_REQUEST]
        for row in netbox.read(model.path, {natural: some}, fields):
            key = str(row.get(natural))
            if key not in some:
                continue
            ref = Ref(name, key)
            actual.ids[ref] = row["id"]
            if model.named:
                actual.owned.setdefault(name, {})[key] = existing_of(name, row)
            elif merged:
                actual.shared[ref] = existing_of(name, row)


def fields_to_read(name: str) -> Iterator[str]:
    """The fields to read of a model. A cable's ends are read from its interfaces: with its own terminations a cable
    costs NetBox twenty times as much."""
    for field, spec in MODELS[name].fields.items():
        if spec.shape is Shape.GENERIC:
            yield from (f"{field}_type", f"{field}_id")
        elif spec.shape is not Shape.ENDS:
            yield field


def _read_owned(netbox: NetBoxReader, name: str, fabric: str) -> list[Row]:
    extra = ("cable", "cable_end") if name == "interface" else ()
    fields = (*fields_to_read(name), *extra, "custom_fields", "tags")
    rows = netbox.read(MODELS[name].path, {f"cf_{NAME}": fabric}, fields)
    for row in rows:
        if (row.get("custom_fields") or {}).get(NAME) != fabric:
            raise SyncStopped(
                Problem(
                    Code.NETBOX_NOT_READY,
                    f"asked for the {name} objects of fabric {fabric}, NetBox answered with others: "
                    f"the custom field {NAME} is missing on them",
                )
            )
    return rows
