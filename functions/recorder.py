"""What is done with an event that is news: a journal entry at its cluster in NetBox, and perhaps a notification."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from functions import journal, registry
from functions.contract import StatusChanged, SyncEnded
from functions.errors import Code, Side, SyncStopped
from functions.notify import Note, NotTakenError, note_of, send
from functions.problems import problem_of
from functions.standing import End, standing_of
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox, NetBoxError
from infra.secrets import SecretError, read_netbox_token
from infra.settings import Settings
from infra.telemetry import fields
from infra.transport import TransportError

log = logging.getLogger(__name__)


def record(event: SyncEnded | StatusChanged, settings: Settings, deadline: Deadline) -> dict[str, Any]:
    """What was recorded and told of an event; of a fabric that is gone, that it was passed over (`passed_over`).

    Never raises for what the world does: where NetBox or a receiver of notifications did not take it, `error` says so.
    """
    try:
        told = _record(event, settings, deadline)
    except SyncStopped as stopped:
        if stopped.problem.code is not Code.UNKNOWN_FABRIC:
            return _failed(stopped)
        log.warning("passed over an event: %s", stopped.problem.text)
        return {"passed_over": stopped.problem.text}
    except (DeadlineExceeded, NetBoxError, SecretError, TransportError, NotTakenError) as failed:
        return _failed(failed)
    log.info("recorded %s", event.id, extra=fields(recorded=told))
    return told


def _record(event: SyncEnded | StatusChanged, settings: Settings, deadline: Deadline) -> dict[str, Any]:
    token = read_netbox_token(settings, deadline).reveal()
    ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
    entered = False
    with NetBox(settings.netbox_url, token, deadline, ca_file=ca_file) as netbox:
        row = registry.find(netbox, event.fabric)
        ends = standing_of(row["custom_fields"]).ends
        if isinstance(event, SyncEnded) and journal.worth_an_entry(event, _before(event, ends)):
            entered = journal.enter(netbox, row["id"], event.id, journal.entry_of(event))
    # Last, for it may come twice: its id tells. What NetBox did not take must not be told as if it had.
    note = note_of(event, ends)
    if note is not None:
        _tell(note, settings, deadline.reporting())
    return {"event": event.id, "entry": entered, "note": note.turn.value if note else None}


def _tell(note: Note, settings: Settings, deadline: Deadline) -> None:
    """Tell everybody who is to be told; who cannot be told keeps nobody else from it, and is raised at last."""
    failed = None
    if settings.notify_email and settings.smtp_url:
        from functions.mailing import mail
        from infra.mail import MailServer

        server = MailServer.from_url(settings.smtp_url, settings.smtp_password)
        share = deadline.within(deadline.check("a notification") / 2) if settings.notify_url else deadline
        try:
            mail(note, settings.notify_email, server, share, datetime.now(UTC))
        except (DeadlineExceeded, NotTakenError) as error:
            failed = error
    if settings.notify_url and settings.notify_key:
        send(note, settings.notify_url, settings.notify_key, deadline, datetime.now(UTC))
    if failed is not None:
        raise failed


def _before(event: SyncEnded, ends: tuple[End, ...]) -> str | None:
    """The result of the run before the event's own, as far as it is remembered."""
    at = next((at for at, end in enumerate(ends) if end.request == event.request_id), -1)
    return ends[at + 1].result.value if at + 1 < len(ends) else None


def _failed(failed: Exception) -> dict[str, Any]:
    text = str(failed) if isinstance(failed, NotTakenError) else problem_of(failed, Side.NETBOX).text
    log.error("an event could not be recorded: %s", text)
    return {"error": text}
