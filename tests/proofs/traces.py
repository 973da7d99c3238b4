"""Whether any part of a secret stands in bytes that came out, in whatever form programs write texts."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

WIDTH = 12
"""Characters of a secret in a row that give it away: less may stand anywhere by chance."""


def forms(secret: str) -> Iterator[str]:
    """How a secret may be written: plain, for a URL, JSON or a repr, in hexadecimal, in base64 wherever it begins."""
    raw = secret.encode()
    yield from (secret, secret[::-1], quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
    yield from (repr(secret)[1:-1], raw.hex(), raw.hex().upper())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            # Of the first and the last digits, bits belong to what stands beside the secret.
            digits = encode(b"\0" * offset + raw).decode().rstrip("=")
            yield digits[4 if offset else 0 : -1]


def traces(secrets: Mapping[str, str], came: Mapping[str, bytes]) -> list[str]:
    """Where parts of secrets (name → text) stand in what came out (place → bytes), in words that hold none of them."""
    windows = {
        form[start : start + WIDTH]: name
        for name, secret in secrets.items()
        for form in forms(secret)
        for start in range(len(form) - WIDTH + 1)
    }
    if not windows:
        return []
    # A part of a secret stands in a row of such characters; most rows come again and again, and are looked at once.
    row = re.compile(f"[{re.escape(''.join(sorted(set().union(*windows))))}]{{{WIDTH},}}")
    found: list[str] = []
    clean: set[str] = set()
    for place, data in came.items():
        for match in row.finditer(data.decode("utf-8", "replace")):
            if match[0] in clean:
                continue
            parts = (match[0][start : start + WIDTH] for start in range(len(match[0]) - WIDTH + 1))
            if name := next((windows[part] for part in parts if part in windows), None):
                found.append(f"{name} in {place}, from character {match.start()}")
                break
            clean.add(match[0])
    return found
