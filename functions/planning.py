"""What a sync would write, found out with a client that cannot write: for the command line, and for the page."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from functions.adopt import conflicts
from functions.ending import outcome_of
from functions.errors import Side
from functions.events import SyncRequest
from functions.facts import Facts
from functions.forecast import Reading, forecast
from functions.outcome import Outcome
from functions.preview import preview
from functions.problems import problem_of
from functions.run import EXPECTED, Run
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBoxReader
from infra.secrets import SecretError, open_secrets, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, setup

LISTS: Final = ("creates", "updates", "held", "stale", "marks", "deletes", "waiting", "stale_held", "conflicts")
"""The parts of a plan that can have as many rows as the fabric has objects."""


def planned(run: Run, netbox: NetBoxReader, settings: Settings) -> tuple[dict[str, Any], Outcome | None]:
    """The plan as JSON; what stops it is told as the outcome that a sync would have, which is then there as well."""
    started_at, before = datetime.now(UTC), run.deadline.left()
    try:
        fabric = run.find(netbox)
        actual, plan = run.plan(netbox, fabric)
    except EXPECTED as error:
        run.stopped(error)
        outcome = outcome_of(run, started_at, netbox.requests)
        return outcome.as_dict(), outcome
    reading = Reading(before - run.deadline.left(), netbox.requests)
    try:
        there = conflicts(netbox, plan.creates, actual)
    except DeadlineExceeded:
        there = None
    expected = forecast(plan, reading, settings.deadline_s - settings.reserve_s, batch=settings.batch)
    return preview(fabric.name, plan, actual, run.facts, expected, there), None


def work(argument: Mapping[str, Any], send: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Plan one fabric as a child process does it; each step goes to `send`.

    `argument`: `fabric`, `most` (rows of each part), and the deadline (`ends_at`, `reserve_s`, `length_s`). The answer
    has `plan` (with `totals`, its parts' lengths) or `outcome`, what stopped it.
    """
    settings = Settings.from_env(os.environ, needs=("secrets",))
    setup(settings.log_level, settings.log_format)
    deadline = Deadline(argument["ends_at"], argument["reserve_s"], argument["length_s"])
    id_ = str(uuid.uuid4())
    secrets = open_secrets(settings.secrets or "", settings.secret_prefix)

    def listen(step: str, facts: dict[str, Any]) -> None:
        send({"step": step, **facts})

    request = SyncRequest(argument["fabric"], id_, id_, trigger="plan")
    run = Run(request, secrets, deadline, settings.batch, listen=listen)
    with bound(fabric=request.fabric, event_id=id_):
        try:
            token = read_netbox_token(settings, deadline).reveal()
        except (SecretError, DeadlineExceeded) as error:
            run.facts = Facts(problem=problem_of(error, Side.CONFIG))
            return {"outcome": outcome_of(run, datetime.now(UTC), 0).as_dict()}
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        with NetBoxReader(settings.netbox_url, token, deadline, ca_file=ca_file) as netbox:
            told, stopped = planned(run, netbox, settings)
    return {"outcome": told} if stopped else {"plan": shortened(told, argument["most"])}


def shortened(told: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Pure: a plan with at most so many rows of each part, and in `totals` how many each has; without `operations`."""
    rows = {name: told[name] or () for name in LISTS}
    short = {name: value for name, value in told.items() if name != "operations"}
    short |= {name: list(part[:most]) for name, part in rows.items() if told[name] is not None}
    return {**short, "totals": {name: len(part) for name, part in rows.items()}}
