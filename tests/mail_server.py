"""A real mail server on loopback (aiosmtpd), which keeps what it takes."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from infra.sandbox.process import free_port

USER, PASSWORD = "ops@example.org", "pass word of the tests"


@dataclass
class Office:
    """Keeps what comes: the message, to whom, and whether it came over TLS; `no-` addresses are refused."""

    port: int
    came: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    answer: str = "250 taken"

    async def handle_RCPT(self, _s: Any, _session: Any, envelope: Any, address: str, _o: Any) -> str:  # noqa: N802
        if address.startswith("no-"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if not self.answer.startswith("250"):
            return self.answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.came.append(message)
        self.to.append(envelope.rcpt_tos)
        self.encrypted.append(session.ssl is not None)
        return self.answer

    def is_known(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> Any:
        good = (given.login.decode(), given.password.decode()) == (USER, PASSWORD)
        self.logins += [USER] if good else []
        return AuthResult(success=good, handled=False)


@contextmanager
def post_office(**options: Any) -> Iterator[Office]:
    """A mail server; `options` are aiosmtpd's."""
    office = Office(free_port())
    server = Controller(office, "127.0.0.1", office.port, authenticator=office.is_known, **options)
    server.start()
    try:
        yield office
    finally:
        server.stop()
