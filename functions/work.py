"""The work of one sync as a child process does it: a request in, the outcome and what else is to be told out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from functions.contract import SyncRequest
from functions.contract.objects import read_object
from functions.ending import outcome_of
from functions.errors import Side
from functions.facts import Facts
from functions.outcome import Outcome
from functions.problems import problem_of
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox
from infra.secrets import SecretError, open_secrets, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, fields, setup

log = logging.getLogger(__name__)

type Send = Callable[[Mapping[str, Any]], None]


def work(argument: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Sync one fabric; each step goes to `send` as it happens (`step`, and its facts).

    `argument`: `request` (the event's data) and its `id`, `run` (this run's own id), `started_at`, and the deadline:
    `ends_at` (the monotonic clock, which all processes of a machine share), `reserve_s` and `length_s`. The answer:
    `outcome` (its JSON), `running` (the first delivery of the request still runs, so there is nothing to tell), and
    `announcements`: `drift` and `status`, each the arguments of its event or null. Settings are the environment's.
    """
    settings = Settings.from_env(os.environ, needs=("secrets",))
    setup(settings.log_level, settings.log_format)
    request = read_object(SyncRequest, argument["request"], id=argument["id"])
    deadline = Deadline(argument["ends_at"], argument["reserve_s"], argument["length_s"])
    started_at = datetime.fromisoformat(argument["started_at"])

    def listen(step: str, facts: dict[str, object]) -> None:
        log.debug("%s", step, extra=fields(step=step, **facts))
        send({"step": step, **facts})

    names = {"fabric": request.fabric, "event_id": request.id, "correlation_id": request.correlation_id}
    with bound(**names, deadline=deadline.reporting()):
        secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
        run = Run(request, secrets, deadline, settings.batch, settings.parallel, listen=listen, id=argument["run"])
        outcome = _sync(run, settings, started_at)
    return {"outcome": outcome.as_dict(), "running": run.running, "announcements": run.announcements}


def _sync(run: Run, settings: Settings, started_at: datetime) -> Outcome:
    try:
        token = read_netbox_token(settings, run.deadline)
    except (SecretError, DeadlineExceeded) as error:
        run.facts = Facts(problem=problem_of(error, Side.CONFIG), timed_out=isinstance(error, DeadlineExceeded))
        return outcome_of(run, started_at, 0)
    ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
    with NetBox(settings.netbox_url, token.reveal(), run.deadline, ca_file=ca_file) as netbox:
        return sync(run, netbox, started_at)
