"""The short text that names a fabric's content: manifest files, or a generated topology with its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import Release
from infra.sandbox.fabric.plan import TopologyError
from infra.sandbox.fabric.topology import TOPOLOGIES


class SpecError(ValueError):
    """A content text that cannot be understood: it says what is possible."""


def read_spec(name: str, text: str) -> Cluster:
    """The content of a fabric from text.

    Args:
        name: the fabric; it also names the store, from which uids follow.
        text: `FILE.yaml[+FILE2.yaml.gz…][,release=v0.99]`, or `topology:spine_leaf,leaves=2,seed=7`.

    Raises:
        SpecError: unknown topology, unknown or unreadable parameter.
        ManifestError: a file cannot be read.
    """
    scheme, separator, rest = text.partition(":")
    if scheme == "topology" and separator:
        return _generated(name, rest)
    files, *pairs = text.split(",")
    parameters = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        release = Release(parameters.pop("release", Release.V0_126))
    except ValueError as error:
        raise SpecError(f"{text}: {error}; releases are {', '.join(Release)}") from error
    if parameters:
        raise SpecError(f"{text}: unknown parameters {', '.join(parameters)}; files take release alone")
    return Cluster(name, release=release).load(*(Path(file) for file in files.split("+")))


def _generated(name: str, text: str) -> Cluster:
    kind, *pairs = text.split(",")
    given: dict[str, Any] = {key: _value(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    try:
        if "release" in given:
            given["release"] = Release(given["release"])
        return TOPOLOGIES[kind](name, **given)
    except KeyError as error:
        raise SpecError(f"no topology {kind!r}; there are {', '.join(TOPOLOGIES)}") from error
    except (TopologyError, TypeError, ValueError) as error:
        raise SpecError(f"topology:{text}: {error}") from error


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() else text
