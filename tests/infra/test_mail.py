"""Mail is handed in within the deadline, encrypted unless it stays here, or the error says why it was not."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from infra.deadline import Deadline, DeadlineExceeded
from infra.faults import Fault, TransportError
from infra.mail import MailError, MailServer, deliver
from infra.redaction import Secret
from infra.sandbox.process import free_port
from tests import hostile
from tests.certificates import authority, server_context, stranger
from tests.mail_server import PASSWORD, USER, post_office

SECONDS = 1.5


def message(*to: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["Subject"], made["From"], made["To"] = "a word", "us@example.org", ", ".join(to or ("ann@example.org",))
    made.set_content("grün\n.\nthe end\n", cte="quoted-printable")
    return made


def strict(port: int, password: str | None = None, *, tls: bool = False) -> MailServer:
    """The server as if it were on another machine, where nothing goes in the clear."""
    user, secret = (USER, Secret(password)) if password else (None, None)
    return MailServer("127.0.0.1", port, tls, not tls, user, secret)


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the authority of the tests be one of the system's."""
    (tmp_path / "ca.pem").write_text(authority().certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def test_a_server_on_this_machine_gets_it_as_it_is() -> None:
    with post_office() as office:
        assert deliver(message(), MailServer.from_url(f"smtp://localhost:{office.port}"), Deadline.after(20)) == {}
    assert office.came[0].get_content().splitlines() == ["grün", ".", "the end"]
    assert (office.to, office.encrypted) == ([["ann@example.org"]], [False])


@pytest.mark.usefixtures("trusting")
def test_another_one_gets_it_encrypted_and_the_password_only_then() -> None:
    with post_office(tls_context=server_context(), require_starttls=True) as office:
        deliver(message(), strict(office.port, PASSWORD), Deadline.after(20))
    with post_office(ssl_context=server_context(), auth_require_tls=False) as second:
        deliver(message(), strict(second.port, PASSWORD, tls=True), Deadline.after(20))
    assert (office.encrypted, office.logins) == ([True], [USER])
    assert (len(second.came), second.logins) == (1, [USER])


def test_who_offers_no_encryption_gets_nothing_and_no_password() -> None:
    with post_office(auth_require_tls=False) as office, pytest.raises(MailError, match="STARTTLS"):
        deliver(message(), strict(office.port, PASSWORD), Deadline.after(20))
    assert (office.came, office.logins) == ([], [])


@pytest.mark.parametrize("tls", [True, False])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text(stranger().certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    options = {"ssl_context" if tls else "tls_context": server_context()}
    with post_office(**options) as office, pytest.raises(TransportError) as caught:
        deliver(message(), strict(office.port, PASSWORD, tls=tls), Deadline.after(20))
    assert caught.value.fault is Fault.TLS
    assert (office.came, office.logins) == ([], [])


def test_a_wrong_password_is_told_and_not_quoted() -> None:
    with post_office(auth_require_tls=False) as office, pytest.raises(MailError) as caught:
        server = MailServer("127.0.0.1", office.port, tls=False, starttls=False, user=USER, password=Secret("wrong!pw"))
        deliver(message(), server, Deadline.after(20))
    assert "535" in str(caught.value)
    assert "wrong!pw" not in str(caught.value)


def test_addresses_that_are_refused_are_told_and_keep_nobody_else_from_it() -> None:
    with post_office() as office:
        server = MailServer.from_url(f"smtp://127.0.0.1:{office.port}")
        refused = deliver(message("no-one@example.org", "ann@example.org"), server, Deadline.after(20))
        assert list(refused) == ["no-one@example.org"]
        with pytest.raises(MailError, match="550 no such person"):
            deliver(message("no-one@example.org"), server, Deadline.after(20))
    assert office.to == [["ann@example.org"]]


def drips(peer: hostile.Peer) -> None:
    """One byte of the greeting every now and then."""
    peer.drip(b"220-" + b"welcome " * 100)


def silent_after_greeting(peer: hostile.Peer) -> None:
    peer.send(b"220 hello\r\n")
    peer.hold()


def hangs_in_the_handshake(peer: hostile.Peer) -> None:
    peer.send(b"220 hello\r\n")
    peer.sock.recv(1000)
    peer.send(b"250-hello\r\n250 STARTTLS\r\n")
    peer.sock.recv(1000)
    peer.send(b"220 go on\r\n")
    peer.hold()


@pytest.mark.parametrize("behaviour", [drips, silent_after_greeting, hangs_in_the_handshake, hostile.silent])
def test_whatever_a_server_does_it_ends_at_the_deadline(behaviour: hostile.Behaviour) -> None:
    began = time.monotonic()
    with hostile.serve(behaviour) as server, pytest.raises(DeadlineExceeded):
        deliver(message(), strict(int(server.place.rpartition(":")[2])), Deadline.after(SECONDS))
    assert SECONDS - 0.1 < time.monotonic() - began < SECONDS + 1.5


def talks_for_ever(peer: hostile.Peer) -> None:
    while not peer.stop.is_set():
        peer.send(b"220-" + b"welcome " * 1000 + b"\r\n")


def test_who_says_too_much_or_is_not_there_is_told_as_such() -> None:
    with hostile.serve(talks_for_ever) as server, pytest.raises(TransportError) as caught:
        deliver(message(), strict(int(server.place.rpartition(":")[2])), Deadline.after(20))
    assert caught.value.fault is Fault.TOO_LARGE
    with pytest.raises(TransportError) as caught:
        deliver(message(), strict(free_port()), Deadline.after(20))
    assert caught.value.fault is Fault.REFUSED
