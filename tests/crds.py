"""The fields of the Hedgehog kinds, read from the CRDs of the releases beside the repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(slots=True)
class Crd:
    """One kind: its fields below `spec` and `status`, with the releases that have each and its newest schema.

    A path is written as in `spec.ports{}.label` (`{}`: a map, `[]`: a list); an object without described fields is a
    field itself.
    """

    kind: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def releases(shared: Path) -> list[str]:
    """The releases whose CRDs are there, oldest first, without their `v` and `.0` (`0.87`)."""
    found = [path.name for path in (shared / "hedgehog" / "crds").iterdir() if path.is_dir()]
    return sorted((_short(name) for name in found), key=lambda name: [int(part) for part in name.split(".")])


def crds(shared: Path) -> dict[str, Crd]:
    """Every kind of every release, by its name."""
    found: dict[str, Crd] = {}
    folders = sorted((shared / "hedgehog" / "crds").iterdir(), key=lambda path: _number(path.name))
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            body = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            crd = found.setdefault(body["spec"]["names"]["kind"], Crd(body["spec"]["names"]["kind"]))
            for version in body["spec"]["versions"]:
                parts = version["schema"]["openAPIV3Schema"]["properties"]
                for part in ("spec", "status"):
                    for name, schema in _leaves(parts[part], part):
                        crd.fields.setdefault(name, []).append(_short(folder.name))
                        crd.schemas[name] = schema
    return found


def _short(name: str) -> str:
    return name.removeprefix("v").removesuffix(".0")


def _number(name: str) -> list[int]:
    return [int(part) for part in name.removeprefix("v").split(".")]


def _leaves(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if inner := schema.get("properties"):
        for name in sorted(inner):
            yield from _leaves(inner[name], f"{path}.{name}")
    elif isinstance(values := schema.get("additionalProperties"), Mapping):
        yield from _leaves(values, f"{path}{{}}")
    elif schema.get("type") == "array":
        yield from _leaves(schema["items"], f"{path}[]")
    else:
        yield path, schema
