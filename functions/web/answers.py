"""Pure: what is answered: outcomes and refusals as statuses with problem details (RFC 9457), under strict headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from functions.errors import NATURES, Code, Problem, Side

RETRY_SECONDS: Final = 10
"""After how many seconds to ask again where nobody knows better."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: under that browsers send the origin `null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""On every answer."""

STATUSES: Final[Mapping[Code, int]] = {
    Code.BAD_REQUEST: 400,
    Code.UNKNOWN_FABRIC: 404,
    Code.PLAN_MOVED: 409,
    Code.LEASE_LOST: 409,
    Code.NOT_CONFIGURED: 422,
    Code.BAD_SECRET: 422,
    Code.BAD_KUBECONFIG: 422,
    Code.INTERNAL: 500,
    Code.HARD_WALL: 504,
    Code.FABRIC_TIMEOUT: 504,
    Code.NETBOX_TIMEOUT: 504,
}
"""Error → HTTP status; for what is not here, `_BY_SIDE`."""

_BY_SIDE: Final[Mapping[Side, int]] = {
    Side.FABRIC: 502,
    Side.NETBOX: 503,
    Side.EVENTS: 503,
    Side.CONFIG: 503,
    Side.SELF: 503,
}


class Refused(Exception):
    """A request is not answered as it wanted; everything of the problem details is here, and `headers` beside them."""

    def __init__(
        self, status: int, code: str, detail: str, *, hint: str = "", headers: Mapping[str, str] = {}, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.hint = hint
        self.headers = {**({"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}), **headers}
        self.more = more

    def as_dict(self, instance: str) -> dict[str, Any]:
        """The problem details; `instance` is the path that was asked."""
        return {
            "type": f"urn:fabric-sync:problem:{self.code}",
            "title": HTTP_STATUS_CODES[self.status],
            "status": self.status,
            "detail": str(self),
            "instance": instance,
            "code": self.code,
            **({"hint": self.hint} if self.hint else {}),
            **self.more,
        }


def refused(problem: Problem, **more: Any) -> Refused:
    """The refusal that an error of the closed list is answered with."""
    status = STATUSES.get(problem.code, _BY_SIDE[problem.nature.side])
    retryable = problem.nature.retryable
    return Refused(status, problem.code.value, problem.text, hint=problem.nature.hint, retryable=retryable, **more)


def refusal_of(outcome: Mapping[str, Any]) -> Refused | None:
    """What keeps an outcome from being a plain 200: an error, the deadline, or that nothing was tried; else None.

    `succeeded`, `continued` and `incomplete` are answers: they say themselves what is left.
    """
    error, result = outcome["error"], outcome["result"]
    text = error["text"] if error else "; ".join(outcome["reasons"][:3]) or f"the sync {result}"
    if result == "timed_out":
        code = error["code"] if error else "timed_out"
        return Refused(504, code, text, hint=error["hint"] if error else "", outcome=outcome)
    if result == "skipped":
        return Refused(409, str(outcome["skip"] or "skipped"), text, outcome=outcome)
    if result == "failed":
        code = Code(error["code"]) if error and error["code"] in NATURES else Code.INTERNAL
        return refused(Problem(code, text), outcome=outcome)
    return None


def json_answer(
    told: Any, status: int = 200, headers: Mapping[str, str] = {}, kind: str = "application/json"
) -> Response:
    """An answer for programs."""
    text = json.dumps(told, ensure_ascii=False, default=str)
    return Response(text, status, headers=dict(headers), content_type=kind)


def problem_answer(refused: Refused, path: str) -> Response:
    """A refusal for programs."""
    return json_answer(refused.as_dict(path), refused.status, refused.headers, "application/problem+json")
