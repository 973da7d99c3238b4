"""Push: a function that keeps the events which a subscription pushes to it, wrapped or not.

HISTORY=history.db functions-framework --source push.py --target heard
"""

from __future__ import annotations

import os
import sys

import flask
import functions_framework
from history import History

from functions.contract import ContractError

history = History(os.environ.get("HISTORY", "history.db"))


@functions_framework.http
def heard(request: flask.Request) -> tuple[str, int]:
    """200 when the event is kept, or can never be; an error of ours is a 500, and the event comes again."""
    try:
        history.keep(dict(request.headers), request.get_data())
    except ContractError as error:
        print(f"not kept: {error}", file=sys.stderr)
    return "", 200
