"""The `record` function behind its entry point: an outcome event in, a journal entry and perhaps a notification out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from functions import contract, journal, registry
from functions.contract import ContractError, Result, StatusChanged, SyncEnded
from functions.errors import Code, Side, SyncStopped, problem_of
from functions.notify import Note, NotTakenError, note_of, send
from functions.standing import End, standing_of
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox, NetBoxError
from infra.secrets import SecretError, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, fields
from infra.transport import TransportError

log = logging.getLogger(__name__)

MOST_BYTES: Final = 1024 * 1024
"""An outcome is a few kilobytes; what is larger is none of ours."""

JSON: Final = {"Content-Type": "application/json"}
type Answer = tuple[str, int, dict[str, str]]


class RecordHandler:
    """Answers outcome events. What is no event of this system, or of a fabric that is gone, is taken and passed over.

    The same event again finds its entry and writes nothing. Status 503 when NetBox or the receiver of notifications
    did not take it: then it comes again.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def answer(self, headers: Mapping[str, str], read: Callable[[int], bytes], length: int | None) -> Answer:
        """The HTTP answer to one event."""
        deadline = Deadline.after(self.settings.deadline_s, reserve=self.settings.reserve_s)
        body = read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            return self._passed("the event is larger than any of ours")
        try:
            event = contract.parse(headers, body)
        except ContractError as wrong:
            return self._passed(str(wrong))
        if not isinstance(event, SyncEnded | StatusChanged) or _is_no_news(event):
            return json.dumps({"event": event.id, "entry": False, "note": None}), 200, JSON
        with bound(fabric=event.fabric, event_id=event.id, deadline=deadline.reporting()):
            try:
                told = self._record(event, deadline)
            except SyncStopped as stopped:
                if stopped.problem.code is Code.UNKNOWN_FABRIC:
                    return self._passed(stopped.problem.text)
                return _again(stopped)
            except (DeadlineExceeded, NetBoxError, SecretError, TransportError, NotTakenError) as failed:
                return _again(failed)
            log.info("recorded %s", event.id, extra=fields(recorded=told))
        return json.dumps(told), 200, JSON

    def _record(self, event: SyncEnded | StatusChanged, deadline: Deadline) -> dict[str, Any]:
        settings = self.settings
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
            self._tell(note, deadline.reporting())
        return {"event": event.id, "entry": entered, "note": note.turn.value if note else None}

    def _tell(self, note: Note, deadline: Deadline) -> None:
        """Tell everybody who is to be told; who cannot be told keeps nobody else from it, and is raised at last."""
        settings, failed = self.settings, None
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

    def _passed(self, why: str) -> Answer:
        log.warning("passed over an event: %s", why)
        return json.dumps({"passed_over": why}), 200, JSON


def _is_no_news(event: SyncEnded | StatusChanged) -> bool:
    """Whether an event needs no look into NetBox: nothing was tried, or it was told before."""
    return isinstance(event, SyncEnded) and (event.result is Result.SKIPPED or event.told_again)


def _before(event: SyncEnded, ends: tuple[End, ...]) -> str | None:
    """The result of the run before the event's own, as far as it is remembered."""
    at = next((at for at, end in enumerate(ends) if end.request == event.request_id), -1)
    return ends[at + 1].result.value if at + 1 < len(ends) else None


def _again(failed: Exception) -> Answer:
    problem = problem_of(failed, Side.NETBOX)
    text = str(failed) if isinstance(failed, NotTakenError) else problem.text
    log.error("an event could not be recorded: %s", text)
    return json.dumps({"error": text}), 503, JSON
