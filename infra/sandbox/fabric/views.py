"""Other forms of the same objects: PartialObjectMetadata and Table, in the field order of the Go types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from infra.sandbox.fabric.manifests import Json, Stored
from infra.sandbox.fabric.offering import Offer

META = {"apiVersion": "meta.k8s.io/v1"}
_META_ORDER = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers"),
    "managedFields",
)
_MANAGED_ORDER = ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource")
_NAME_COLUMN = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": "Name must be unique within a namespace.",
    "priority": 0,
}


class View(StrEnum):
    """The form in which objects are asked for."""

    PLAIN = "plain"  # custom resources as they are
    METADATA = "metadata"  # as=PartialObjectMetadata(List)
    TABLE = "table"  # as=Table


def negotiate(accept: str) -> View | None:
    """The first form of an Accept header that a custom resource has; None is 406."""
    for choice in (accept or "*/*").split(","):
        media, *pairs = (part.strip() for part in choice.split(";"))
        params = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if media not in ("application/json", "application/*", "*/*"):
            continue
        match params.get("as"):
            case None:
                return View.PLAIN
            case "PartialObjectMetadata" | "PartialObjectMetadataList":
                return View.METADATA
            case "Table":
                return View.TABLE
            case _:
                continue
    return None


def metadata_of(stored: Stored) -> Json:
    """One object as PartialObjectMetadata; managedFields stay, as in the real one."""
    meta = stored.object["metadata"]
    ordered: Json = {key: meta[key] for key in _META_ORDER if key in meta}
    if "managedFields" in ordered:
        ordered["managedFields"] = [
            {key: entry[key] for key in _MANAGED_ORDER if key in entry} for entry in meta["managedFields"]
        ]
    return {"kind": "PartialObjectMetadata", **META, "metadata": ordered}


def metadata_list(meta: Mapping[str, Any], objects: Iterable[Stored]) -> Json:
    items = [metadata_of(stored) for stored in objects]
    return {"kind": "PartialObjectMetadataList", **META, "metadata": meta, "items": items}


def table(offer: Offer, meta: Mapping[str, Any], objects: Iterable[Stored], include: str) -> Json:
    """The printer columns of some objects; `include` is the query's includeObject (None, Metadata, Object)."""
    columns = [
        {
            "name": name,
            "type": kind,
            "format": "",
            "description": f"Custom resource definition column (in JSONPath format): {path}",
            "priority": priority,
        }
        for name, kind, path, priority in offer.columns
    ]
    rows = [
        {"cells": [stored.key[1], *(_cell(stored, path) for _, _, path, _ in offer.columns)], "object": None}
        | ({"object": stored.object} if include == "Object" else {})
        | ({"object": metadata_of(stored)} if include == "Metadata" else {})
        for stored in objects
    ]
    return {"kind": "Table", **META, "metadata": meta, "columnDefinitions": [_NAME_COLUMN, *columns], "rows": rows}


def _cell(stored: Stored, path: str) -> Any:
    value: Any = stored.object
    for step in re.split(r"(?<!\\)\.", path)[1:]:
        value = value.get(step.replace("\\.", ".")) if isinstance(value, dict) else None
    return json.dumps(value, separators=(",", ":"), sort_keys=True) if isinstance(value, dict | list) else value
