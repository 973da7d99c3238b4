"""Reads the bodies of requests: never more than a limit, never longer than some seconds, however slow they come."""

from __future__ import annotations

import json
import threading
from typing import Any, Final
from urllib.parse import parse_qsl

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from functions.web.answers import Refused

MOST_BYTES: Final = 16 * 1024
"""What people and programs send are a few hundred bytes."""
MOST_SECONDS: Final = 5.0
"""Within which a body must be there."""
_SHUT_RD: Final = 0  # socket.SHUT_RD: what was not read yet is never read


def body_of(request: Request, most: int = MOST_BYTES, seconds: float = MOST_SECONDS) -> bytes:
    """The request's body; raises `Refused` where it is too large (413), too slow (408) or cut off (400)."""
    length = request.content_length
    if length is not None and length > most:
        raise _too_large(most)
    late = threading.Event()
    connection: Any = request.environ.get("gunicorn.socket")

    def end() -> None:
        late.set()
        try:
            connection.shutdown(_SHUT_RD)
        except OSError:
            return  # the client went away meanwhile, which ends the reading as well

    # A read gives what it was asked for or waits: one that drips can only be ended from beside it.
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    if connection is not None:
        timer.start()
    try:
        body = request.stream.read(most + 1)
    except (HTTPException, OSError) as cut:
        if not late.is_set():
            raise Refused(400, "bad_request", "the body ended before its length", headers=_CLOSE) from cut
        body = b""
    finally:
        timer.cancel()
    if late.is_set():
        raise Refused(408, "too_slow", f"the body did not come within {seconds:g} s", headers=_CLOSE)
    if len(body) > most:
        raise _too_large(most)
    return body


_CLOSE: Final = {"Connection": "close"}


def _too_large(most: int) -> Refused:
    return Refused(413, "too_large", f"the body is larger than {most} bytes", headers=_CLOSE)


def fields_of(request: Request) -> dict[str, Any]:
    """What a form or a JSON object in the body says, by name; raises `Refused` (400, 415 and those of `body_of`)."""
    body = body_of(request)
    if request.mimetype == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20, errors="strict"))
        except ValueError as wrong:
            raise Refused(400, "bad_request", "the body is not a form in UTF-8") from wrong
    if not body.strip():
        return {}
    if request.mimetype != "application/json":
        raise Refused(415, "unsupported", "the body is to be application/json")
    return object_of(body)


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises `Refused` (400)."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise Refused(400, "bad_request", "the body is not JSON") from wrong
    if not isinstance(told, dict):
        raise Refused(400, "bad_request", "the body is not a JSON object")
    return told
