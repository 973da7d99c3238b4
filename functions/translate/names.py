"""Names for NetBox: within its limits, free of collisions, and the same in every run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

NAME_LIMIT = 64  # devices, interfaces, interface labels
LABEL_LIMIT = 100  # cable labels, tags, slugs, manufacturers, platforms, device type models
DESCRIPTION_LIMIT = 200
PART_NUMBER_LIMIT = 50  # also serial numbers

_DIGEST = 8
_NOT_IN_SLUG = re.compile(r"[^a-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for `text` where there is no room for it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: a longer one ends in a digest of the whole, so that two stay two."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - _DIGEST - 1].rstrip()}-{digest(text)}"


def slug(text: str, limit: int = LABEL_LIMIT) -> str:
    """`text` as a NetBox slug; where characters had to go, a digest keeps `a.b` and `a-b` apart."""
    lowered = text.lower()
    plain = _NOT_IN_SLUG.sub("-", lowered).strip("-")
    if plain != lowered:
        plain = f"{plain}-{digest(text)}".lstrip("-")
    return shorten(plain, limit)


def clean(text: str) -> str:
    """`text` as NetBox gives it back: without control characters and space at the ends.

    Half of a surrogate pair (possible in JSON) cannot be sent as UTF-8: a question mark stands for it.
    """
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8")).strip()


def assign(wanted: Iterable[tuple[str, str]], taken: set[str], suffix: str) -> dict[str, str]:
    """Give every object of one kind its own device name, compared without case as NetBox does.

    `wanted`: (key, name wished for) in a stable order. `taken`: lower-cased names of the kinds that
    come first; the names given are added. Whoever can have the wished name has it before anyone gets
    `<name><suffix>`, so that a newcomer does not rename its neighbours more than it must.
    Returns the name for each key, of at most 64 characters.
    """
    given: dict[str, str] = {}
    later: list[tuple[str, str]] = []
    for key, wish in wanted:
        name = shorten(wish, NAME_LIMIT)
        if name.lower() in taken:
            later.append((key, wish))
        else:
            taken.add(name.lower())
            given[key] = name
    for key, wish in later:
        name = shorten(f"{wish}{suffix}", NAME_LIMIT)
        if name.lower() in taken:
            name = f"{wish[: NAME_LIMIT - _DIGEST - 1]}-{digest(key)}"
        taken.add(name.lower())
        given[key] = name
    return given
