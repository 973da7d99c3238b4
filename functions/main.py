"""The entry points of the deployed functions, and nothing else. Served by functions-framework:

functions-framework --source functions/main.py --target sync
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework

# functions-framework puts this file's folder on the path, not its parent, where the two floors are packages.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functions.handler import SyncHandler
from infra.settings import Settings
from infra.telemetry import setup

if TYPE_CHECKING:
    import flask

settings = Settings.from_env(os.environ, needs=("secrets", "project|broker_url"))
setup(settings.log_level, settings.log_format)
handler = SyncHandler(settings)


@functions_framework.http
def sync(request: flask.Request) -> tuple[str, int, dict[str, str]]:
    """Sync one fabric: a Pub/Sub push or a CloudEvent in, one outcome event out."""
    return handler.answer(dict(request.headers), lambda size: request.stream.read(size), request.content_length)
