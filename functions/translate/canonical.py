"""JSON that a fabric's objects hold, in the one form that is kept: what means nothing is dropped, keys are sorted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from functions.records import Json
from functions.translate.names import clean

_DEEPEST = 32


def canonical(value: Any, depth: int = 0) -> Json:
    """`value` with its texts cleaned and null, false, "" and [] left out of its objects: Go writes them for nothing.

    An empty object and a zero stay: that the key is there can be all it says (`nat: {static: {}}`, `icmpType: 0`).
    Lists keep their order.
    """
    if isinstance(value, Mapping) and depth < _DEEPEST:
        inner = {clean(str(key)): canonical(value[key], depth + 1) for key in sorted(value, key=str)}
        return {key: inner[key] for key in sorted(inner) if _says(inner[key]) or inner[key] == {}}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [canonical(item, depth + 1) for item in value]
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else None


def ordered(values: Iterable[Json]) -> list[Json]:
    """A list whose order says nothing, in the order of its items' own text."""
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def told(**values: Json) -> Json:
    """An object for a custom field, without what is empty; None when nothing is left, as NetBox shows an unset one."""
    return {key: values[key] for key in sorted(values) if _says(values[key])} or None


def _says(value: Json) -> bool:
    return bool(value) or (value == 0 and not isinstance(value, bool))
