"""Read what NetBox holds of a fabric: the objects that it owns, and the shared ones that its records refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from functions.actual import Actual, Existing, existing_of
from functions.errors import Code, Problem, SyncStopped
from functions.fabric import Fabric
from functions.fields import KEY, NAME
from functions.records import MODELS, Ref, Shape
from infra.netbox import NetBoxReader, Row

SLUGS_PER_REQUEST: Final = 100
"""Slugs asked for in one request: NetBox's request line holds 4,094 bytes."""


def survey(
    netbox: NetBoxReader,
    fabric: Fabric,
    shared: Iterable[Ref],
    on_model: Callable[[str, int], None] = lambda model, count: None,
) -> Actual:
    """What NetBox holds of `fabric` (every owned model in full) and of the `shared` records.

    Raises `SyncStopped` when NetBox ignored the filter by fabric: what came back is then not ours.
    """
    ids = {Ref("site", fabric.site): fabric.site_id, Ref("cluster", fabric.name): fabric.cluster_id}
    wanted: dict[str, list[str]] = {}
    for ref in shared:
        if ref not in ids:
            wanted.setdefault(ref.model, []).append(ref.key)
    for shared_model, slugs in wanted.items():
        for slug, id_ in read_slugs(netbox, shared_model, sorted(set(slugs))).items():
            ids[Ref(shared_model, slug)] = id_
    owned: dict[str, dict[str, Existing]] = {}
    ends: dict[int, dict[str, set[int]]] = {}
    for name, model in MODELS.items():
        if model.shared:
            continue
        rows = _read_owned(netbox, name, fabric.name)
        owned[name] = {}
        for row in rows:
            if name == "interface" and row.get("cable"):
                side = ends.setdefault(row["cable"]["id"], {"A": set(), "B": set()})
                side.setdefault(row.get("cable_end") or "A", set()).add(row["id"])
            existing = existing_of(name, row, ends)
            key = existing.custom.get(KEY)
            if not key:
                continue  # somebody gave it the fabric's name; without a key it was never ours
            if key in owned[name]:
                # NetBox checks that a custom field is unique, but two racing writers both get in.
                key = f"{key} again, id {existing.id}"
            owned[name][key] = existing
            ids[Ref(name, key)] = existing.id
        on_model(name, len(rows))
    return Actual(owned, ids)


def read_slugs(netbox: NetBoxReader, model: str, slugs: list[str]) -> dict[str, int]:
    """The ids of the shared objects of `model` that NetBox holds, by slug."""
    found: dict[str, int] = {}
    for at in range(0, len(slugs), SLUGS_PER_REQUEST):
        some = slugs[at : at + SLUGS_PER_REQUEST]
        for row in netbox.read(MODELS[model].path, {"slug": some}, ("slug",)):
            if row.get("slug") in some:
                found[row["slug"]] = row["id"]
    return found


def _read_owned(netbox: NetBoxReader, name: str, fabric: str) -> list[Row]:
    model = MODELS[name]
    # A cable's ends are read from its interfaces: with its own terminations a cable costs NetBox twenty times as much.
    fields = [field_ for field_, spec in model.fields.items() if spec.shape is not Shape.ENDS]
    extra = ("cable", "cable_end") if name == "interface" else ()
    rows = netbox.read(model.path, {f"cf_{NAME}": fabric}, (*fields, *extra, "custom_fields", "tags"))
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
