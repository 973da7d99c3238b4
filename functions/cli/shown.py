"""Plans that were shown, kept as files of this user: by them is told what moved until one of them is applied."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from functions.events import valid_digest
from functions.plan import digest_of

MOST_FILES: Final = 20
"""Plans that are kept; the oldest go. A plan that nobody applied in the meantime is of no use any more."""


class UnusablePlanError(Exception):
    """A file is not a plan of this fabric; the text says why."""


def folder() -> Path:
    """Where shown plans are kept: in the user's state directory (XDG base directories), readable by the user alone."""
    state = os.environ.get("XDG_STATE_HOME", "").strip()
    return (Path(state) if state else Path.home() / ".local" / "state") / "fabric-sync" / "plans"


def keep(told: Mapping[str, Any]) -> Path:
    """Keep a plan as it was shown, in place of the oldest where there are too many; raises `OSError`."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = place / f"{told['fabric']}-{told['digest']}.json"
    write(file, told)
    by_age = sorted(place.glob("*.json"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for old in by_age[MOST_FILES:]:
        old.unlink(missing_ok=True)
    return file


def write(file: Path, told: Mapping[str, Any]) -> None:
    """Write a plan, whole or not at all, for nobody else to read; raises `OSError`."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(told, out, default=str)
    part.replace(file)


def agreed(fabric: str, given: str) -> tuple[str, dict[str, str] | None]:
    """The digest that a person agrees to by naming it, or a file with its plan, and the plan's operations if known.

    Raises `UnusablePlanError` when a file is given that is no plan of `fabric`, or was changed since.
    """
    if valid_digest(given):
        try:
            return given, _operations(folder() / f"{fabric}-{given}.json", fabric)[1]
        except UnusablePlanError:
            return given, None
    return _operations(Path(given), fabric)


def _operations(file: Path, fabric: str) -> tuple[str, dict[str, str]]:
    try:
        told = json.loads(file.read_text())
        digest, name, operations = told["digest"], told["fabric"], dict(told["operations"])
    except (OSError, RuntimeError) as missing:
        raise UnusablePlanError(f"{file} is no digest of a plan, and cannot be read as a file: {missing}") from missing
    except (ValueError, TypeError, KeyError) as wrong:
        raise UnusablePlanError(f"{file} does not hold a plan") from wrong
    if name != fabric:
        raise UnusablePlanError(f"{file} holds a plan of {name}, not of {fabric}")
    if digest != digest_of(operations):
        raise UnusablePlanError(f"{file} was changed since it was written: its digest does not fit")
    return digest, operations
