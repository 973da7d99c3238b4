"""A notification as e-mail. A room of its own: who mails nothing does not load it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from functions.notify import Note, NotTakenError, Turn
from infra.deadline import Deadline
from infra.mail import MailError, MailServer, deliver
from infra.redaction import redact
from infra.transport import TransportError

log = logging.getLogger(__name__)

_WORDS: Final = {
    Turn.FAILING: "keeps failing",
    Turn.RECOVERED: "recovered",
    Turn.LATE: "is late",
    Turn.ON_TIME: "is on time again",
}


def mail(note: Note, to: str, server: MailServer, deadline: Deadline, now: datetime) -> None:
    """Mail a note to the addresses `to`, between commas; raises `NotTakenError` or `DeadlineExceeded`."""
    addresses = [address.strip() for address in to.split(",")]
    try:
        refused = deliver(message_of(note, addresses, server.user, now), server, deadline)
    except (MailError, TransportError) as error:
        raise NotTakenError(f"the mail server did not take a notification: {error}") from error
    if refused:
        log.warning("the mail server refused %d of %d addresses of a notification", len(refused), len(addresses))


def message_of(note: Note, to: Sequence[str], user: str | None, now: datetime) -> EmailMessage:
    """Pure: the note as a message, from the mail server's `user` where that is an address, else from the first of `to`.

    Its Message-ID follows from the event's id: what comes twice is the same message.
    """
    sender = user if user and user.count("@") == 1 else to[0]
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"fabric-sync: {note.fabric} {_WORDS[note.turn]}"
    message["From"] = Address("fabric-sync", addr_spec=sender)
    message["To"] = [Address(addr_spec=address) for address in to]
    message["Date"] = now
    message["Message-ID"] = f"<{hashlib.sha256(note.id.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: so that nobody's absence answers
    message.set_content(
        f"{redact(note.text)}\n\nfabric: {note.fabric}\nat: {note.at.isoformat()}\nevent: {note.id}\n",
        cte="quoted-printable",
    )
    return message
