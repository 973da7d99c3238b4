"""What NetBox says when it refuses: its errors as ours, with the rows that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from infra.redaction import unsaid

_DEEPEST: Final = 5
"""Levels of an error that are told: NetBox has three, and who answers in its place must not exhaust the stack."""

_LOOKED_AT: Final = 65_536
"""Letters that secrets are looked for in: who answers may say back what it was told."""


class NetBoxError(Exception):
    """NetBox answered, and the answer is a refusal.

    `status` is the HTTP status; `detail` what NetBox said, in one line; `rows` what it said of single rows of a
    bulk request: the row's index in the request → its errors (NetBox ≥ 4.7 names every bad row in one answer).
    `retry_after` is for how many seconds it asked not to be asked again, if it did (RFC 9110 10.2.3).
    """

    def __init__(
        self, status: int, detail: str, rows: Mapping[int, str] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"NetBox answered {status}: {detail}")
        self.status = status
        self.detail = detail
        self.rows = dict(rows or {})
        self.retry_after = retry_after


class UnusableAnswerError(NetBoxError):
    """NetBox, or something in front of it, answered with what is not the JSON that its API promises."""


class UnprovenReadError(NetBoxError):
    """A list changed while it was read, twice: what is missing from it proves nothing."""


class StaleObjectError(NetBoxError):
    """An object is no longer what it was when it was read: somebody changed it meanwhile. Nothing was written."""


def refusal(response: Any, sent: Sequence[Mapping[str, Any]]) -> NetBoxError:
    """The error behind a refusal, and when to ask again where that was said."""
    found = _refused(response, sent)
    found.retry_after = _retry_after(response.headers.get("Retry-After", ""))
    return found


def _refused(response: Any, sent: Sequence[Mapping[str, Any]]) -> NetBoxError:
    """The error in the shapes of NetBox 4.7 (`errors` with index or id) and before (a list)."""
    status = response.status_code
    try:
        body = response.json()
    except (ValueError, RecursionError):
        text = " ".join(unsaid(response.text[:_LOOKED_AT]).split())[:200]
        # Who stands in front of NetBox limits and fails in HTML, too.
        if status == 429 or status >= 500:
            return NetBoxError(status, text or response.reason or "no text")
        return UnusableAnswerError(status, f"not JSON: {text}")
    rows: dict[int, str] = {}
    if isinstance(body, dict) and isinstance(body.get("errors"), list):
        positions = {str(row["id"]): at for at, row in enumerate(sent) if "id" in row}
        for error in filter(lambda each: isinstance(each, dict), body["errors"]):
            at = error["index"] if "index" in error else positions.get(str(error.get("id")))
            if isinstance(at, int):
                rows[at] = _line(error.get("errors", error))
        return NetBoxError(status, _line(body.get("detail", body)), rows)
    if sent and isinstance(body, list) and len(body) == len(sent):
        rows = {at: _line(error) for at, error in enumerate(body) if error}
        return NetBoxError(status, f"{len(rows)} of {len(sent)} objects were refused", rows)
    return NetBoxError(status, _line(body.get("detail", body) if isinstance(body, dict) else body))


def _retry_after(text: str) -> float | None:
    """The seconds that a Retry-After header names, as a number or as a date; None when it says nothing of use."""
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a zone
        return None


def _line(error: Any, depth: int = 0) -> str:
    """What NetBox said, in one bounded line: `field: text; field: text`."""
    if depth == _DEEPEST and isinstance(error, dict | list):
        text = "…"
    elif isinstance(error, dict):
        text = "; ".join(f"{key}: {_line(value, depth + 1)}" for key, value in error.items())
    elif isinstance(error, list):
        text = ", ".join(_line(value, depth + 1) for value in error)
    else:
        text = error if isinstance(error, str) else json.dumps(error)
    return " ".join(unsaid(text[:_LOOKED_AT]).split())[:500]
