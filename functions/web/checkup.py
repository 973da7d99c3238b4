"""The connection test as `manual` answers it: run in a child process, told as JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from functions.checkup import Check, check_fabric, failed
from functions.errors import Side
from functions.status import connection_after
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBoxReader
from infra.secrets import SecretError, open_secrets, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, setup


def work(argument: Mapping[str, Any], send: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Look at `argument["fabric"]` until `argument["ends_at"]`, as a child process does it."""
    settings = Settings.from_env(os.environ, needs=("secrets",))
    setup(settings.log_level, settings.log_format)
    fabric, deadline = argument["fabric"], Deadline(argument["ends_at"])
    with bound(fabric=fabric):
        try:
            token = read_netbox_token(settings, deadline).reveal()
        except (SecretError, DeadlineExceeded) as error:
            return told(fabric, [failed("settings", error, Side.CONFIG)])
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
        with NetBoxReader(settings.netbox_url, token, deadline, ca_file=ca_file) as netbox:
            return told(fabric, list(check_fabric(fabric, netbox, secrets, deadline)))


def told(fabric: str, checks: Sequence[Check]) -> dict[str, Any]:
    """What was seen, as JSON: each step, and the error that ended the look."""
    problem = next((check.problem for check in checks if check.problem is not None), None)
    answered = any(check.ok and check.what == "connection" for check in checks)
    return {
        "fabric": fabric,
        "connection": connection_after(None, answered, problem.code if problem else None).value,
        "ok": bool(checks) and all(check.ok for check in checks),
        "steps": [{"step": check.what, "ok": check.ok, "found": check.found} for check in checks],
        "error": problem.as_dict() if problem else None,
    }
