"""What is told and recorded of a run whose process died: its parent speaks for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from functions.ending import outcome_of, settle
from functions.errors import Code, Problem
from functions.events import SyncRequest
from functions.facts import Facts
from functions.outcome import Outcome
from functions.run import EXPECTED, Run
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.secrets import SecretStore, read_netbox_token
from infra.settings import Settings
from infra.supervisor import End, Ended

log = logging.getLogger(__name__)

CODES: Final[dict[End, Code]] = {
    End.RETURNED: Code.INTERNAL,
    End.RAISED: Code.INTERNAL,
    End.KILLED_AT_WALL: Code.HARD_WALL,
    End.CRASHED: Code.CRASHED,
    End.OUT_OF_MEMORY: Code.OUT_OF_MEMORY,
    End.STOPPED: Code.INTERRUPTED,
    End.NOT_STARTED: Code.INTERNAL,
}
"""The error of a run whose process ended that way, and left no outcome."""


def told_for(
    ended: Ended,
    request: SyncRequest,
    run_id: str,
    settings: Settings,
    secrets: SecretStore,
    deadline: Deadline,
    started_at: datetime,
    reported: float,
) -> tuple[Outcome, Mapping[str, Any]]:
    """The outcome of a run that died as `ended` says, recorded on the fabric's cluster within `reported` seconds; and
    what else is to be told.

    Its lease is let go if it still holds it. Where NetBox cannot be asked, the lease ends by itself.
    """
    problem = Problem(CODES[ended.end], ended.text)
    facts = Facts(problem=problem, timed_out=ended.end is End.KILLED_AT_WALL)
    run = Run(request, secrets, deadline.within(reported), settings.batch, facts=facts, id=run_id)
    try:
        token = read_netbox_token(settings, run.deadline)
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        with NetBox(settings.netbox_url, token.reveal(), run.deadline, ca_file=ca_file) as netbox:
            try:
                run.find(netbox)
            finally:
                if run.row is not None:
                    run.lease_of(netbox).adopt()
            return settle(run, netbox, outcome_of(run, started_at, 0)), run.announcements
    except EXPECTED as failed:
        log.warning("the end of a run of %s could not be recorded: %s", request.fabric, failed)
    return outcome_of(run, started_at, 0), {}
