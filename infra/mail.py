"""The one way out over SMTP: a message is handed to a mail server within a deadline, encrypted unless it stays here."""

from __future__ import annotations

import contextlib
import io
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from infra.deadline import Deadline, DeadlineExceeded
from infra.faults import Fault, TransportError
from infra.redaction import Secret, redact
from infra.variables import is_loopback
from infra.wire import BoundedReader, Bounds, connected, out_of_time

MAX_BYTES: Final = 64 * 1024
"""Of all that a mail server says to one message."""

PORTS: Final = {"smtp": 587, "smtps": 465}
"""Where mail is handed in (RFC 6409, RFC 8314) when the address names no port."""


class MailError(Exception):
    """The mail server did not take the message; the text says why, and holds no credential."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. `tls` from the first byte (smtps), or else by `starttls`, without which nothing is sent."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None = None
    password: Secret | None = None

    @classmethod
    def from_url(cls, url: str, password: Secret | None = None) -> MailServer:
        """The server of `smtp://host:587` or `smtps://user@host`; on this machine plain SMTP will do."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        user = unquote(parts.username) if parts.username else None
        starttls = not tls and not is_loopback(url)
        return cls(parts.hostname or "", parts.port or PORTS[parts.scheme], tls, starttls, user, password)


def deliver(message: EmailMessage, server: MailServer, deadline: Deadline) -> dict[str, Any]:
    """Hand a message in; who of its addresses was refused, where others were taken.

    Raises `MailError`, `TransportError` or `DeadlineExceeded`.
    """
    place = f"{server.host}:{server.port}"
    what = f"handing a message to {place}"
    try:
        with contextlib.closing(_BoundedSMTP(server, deadline, place)) as smtp:
            if server.starttls:
                smtp.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                smtp.login(server.user, server.password.reveal())
            refused = smtp.send_message(message)
            # It is taken: how the conversation ends changes nothing.
            with contextlib.suppress(OSError, DeadlineExceeded, TransportError):
                smtp.quit()
            return refused
    except smtplib.SMTPException as error:
        deadline.check(what)  # smtplib takes a socket's timeout for a connection that was closed
        raise MailError(f"{place}: {_words(error)}") from error
    except TimeoutError as error:
        out_of_time(error, what, place)
    except ssl.SSLError as error:
        raise TransportError(Fault.TLS, place, f"TLS failed: {error}") from error
    except OSError as error:
        raise TransportError(Fault.RESET, place, f"the connection was closed: {error}") from error


class _BoundedSMTP(smtplib.SMTP):
    """smtplib's client over a connection with every wait capped by the deadline; its own timeouts are not used."""

    def __init__(self, server: MailServer, deadline: Deadline, place: str) -> None:
        super().__init__(local_hostname="localhost")  # or it would ask the resolver for our name, without a limit
        self._server = server
        self._bounds = Bounds(deadline, MAX_BYTES)
        self._place = place
        self._host = server.host  # smtplib checks the certificate for STARTTLS against it
        try:
            code, said = self.connect(server.host, server.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, said)
        except BaseException:  # whatever it was, the descriptor must not leak
            self.close()
            raise

    def _get_socket(self, host: str, port: int, _timeout: float) -> Any:
        sock = connected(host, port, self._bounds.deadline, self._place)
        ours = sock.getsockname()[0]
        self.local_hostname = f"[IPv6:{ours}]" if ":" in ours else f"[{ours}]"  # RFC 5321 4.1.3
        if not self._server.tls:
            return sock
        try:
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except BaseException:  # whatever it was, the descriptor must not leak
            sock.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(BoundedReader(self.sock, self._bounds, self._place))
        reply = super().getreply()
        # A TLS handshake may come next, without another chance to look at the clock.
        self._cap()
        return reply

    def send(self, s: Any) -> None:
        self._cap()
        super().send(s)

    def _cap(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._bounds.deadline.check(f"talking to {self._place}"))


def _words(error: smtplib.SMTPException) -> str:
    """What the server said, in a line."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, said = error.smtp_code, _bytes(error.smtp_error)
    else:
        return redact(str(error))[:200]
    return f"answered {code} {redact(' '.join(said.decode('utf-8', 'replace').split()))[:200]}"


def _bytes(said: bytes | str) -> bytes:
    return said.encode() if isinstance(said, str) else said
