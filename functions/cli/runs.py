"""A run as the command line starts it: its request, its deadline, its doors."""

from __future__ import annotations

import getpass
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.run import Listener, Run
    from infra.deadline import Deadline
    from infra.settings import Settings


def ends_in(settings: Settings, seconds: float | None) -> Deadline:
    """The deadline of a run that is to take `seconds`, or what the settings say."""
    from infra.deadline import Deadline

    seconds = seconds or settings.deadline_s
    return Deadline.after(seconds, reserve=min(settings.reserve_s, seconds / 5))


def run_of(name: str, settings: Settings, deadline: Deadline, listen: Listener, plan: str | None = None) -> Run:
    """A run for the fabric `name`, asked for by whoever is at the terminal."""
    from functions.events import SyncRequest
    from functions.run import Run
    from infra.secrets import open_secrets

    id_ = str(uuid.uuid4())
    request = SyncRequest(name, id_, id_, trigger="cli", requested_by=getpass.getuser(), plan=plan)
    secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
    return Run(request, secrets, deadline, settings.batch, listen=listen)
