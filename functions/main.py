"""The entry points of the deployed functions, and nothing else. Served by functions-framework:

functions-framework --source functions/main.py --target sync
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import functions_framework

# functions-framework puts this file's folder on the path, not its parent, where the two floors are packages.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.settings import Settings
from infra.telemetry import setup

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from functions.handler import SyncHandler
    from functions.recording import RecordHandler
    from functions.ticking import TickHandler
    from functions.web.app import Manual

type Answer = tuple[str, int, dict[str, str]]


def _settings(*needs: str) -> Settings:
    settings = Settings.from_env(os.environ, needs=needs)
    setup(settings.log_level, settings.log_format)
    return settings


# Each function imports what it needs when it is the one that is served: a cold start costs no more than that.


@cache
def _sync() -> SyncHandler:
    from functions.handler import SyncHandler

    return SyncHandler(_settings("secrets", "project|broker_url"))


@cache
def _tick() -> TickHandler:
    from functions.ticking import TickHandler

    return TickHandler(_settings("project|broker_url"))


@cache
def _record() -> RecordHandler:
    from functions.recording import RecordHandler

    return RecordHandler(_settings())


def _answer(handler: Any, request: flask.Request) -> Answer:
    answer: Answer = handler.answer(
        dict(request.headers), lambda size: request.stream.read(size), request.content_length
    )
    return answer


@cache
def _manual() -> Manual:
    from functions.web.app import Manual

    return Manual(_settings("secrets", "project|broker_url"))


@functions_framework.http
def sync(request: flask.Request) -> Answer:
    """Sync one fabric: a Pub/Sub push or a CloudEvent in, one outcome event out."""
    return _answer(_sync(), request)


@functions_framework.http
def tick(request: flask.Request) -> Answer:
    """Request what is due: a scheduler's message in, one sync request for each due fabric out."""
    return _answer(_tick(), request)


@functions_framework.http
def record(request: flask.Request) -> Answer:
    """Record what came of a run: an outcome event in, a journal entry in NetBox and perhaps a notification out."""
    return _answer(_record(), request)


@functions_framework.http
def manual(request: flask.Request) -> Response:
    """Sync now, plan, status and the page for people, over HTTP."""
    return _manual().answer(request)


# Wrong settings end the start of the function, and not its first request.
_TARGETS = {"sync": _sync, "manual": _manual, "tick": _tick, "record": _record}
if (_target := os.environ.get("FUNCTION_TARGET", "")) in _TARGETS:
    _TARGETS[_target]()
if _target == "manual":
    # functions-framework refuses some paths itself, with a page of its own: here every answer is one of ours.
    functions_framework.errorhandler(404)(lambda _: _manual().answer(flask.request))
