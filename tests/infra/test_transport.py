"""Every hostile server against every client that speaks through the transport: time holds, the error is right."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import KubernetesError, Malformed
from infra.transport import Fault, TransportError
from tests import certificates, hostile
from tests.http_clients import (
    CONTENT,
    PATIENCE,
    Ask,
    ask_with_requests,
    ends_by_the_deadline,
    every_client,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


@every_client
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("behaviour", hostile.HOSTILE, ids=lambda behaviour: behaviour.__name__)
def test_a_hostile_server_gets_its_error_and_no_more_than_its_time(
    behaviour: hostile.Behaviour, tls: bool, ask: Ask, ca_file: str
) -> None:
    expected = hostile.HOSTILE[behaviour]
    with hostile.serve(behaviour, tls=tls) as server:
        if expected == "deadline":
            with ends_by_the_deadline(f"reading from {server.place}") as deadline:
                ask(server.url, deadline, ca_file)
        elif expected == "content":
            with pytest.raises(CONTENT[ask]) as caught:
                ask(server.url, Deadline.after(PATIENCE), ca_file)
            if isinstance(caught.value, KubernetesError):
                wanted = Malformed.HTML if behaviour is hostile.html_page else Malformed.NOT_JSON
                assert caught.value.reason == wanted
        else:
            with pytest.raises(TransportError) as failed:
                ask(server.url, Deadline.after(PATIENCE), ca_file)
            assert (failed.value.fault, failed.value.host) == (Fault(expected), server.place)
        assert len(server.connections) == 1, "it was tried more than once"
        assert len(server.requests) == 1, "it was sent more than once"


@every_client
def test_a_peer_that_never_speaks_tls_ends_at_the_deadline(ask: Ask, ca_file: str) -> None:
    with hostile.tls_silence() as server, ends_by_the_deadline(f"TLS handshake with {server.place}") as deadline:
        ask(server.url, deadline, ca_file)


@every_client
def test_a_black_hole_ends_at_the_deadline(ask: Ask, ca_file: str) -> None:
    with hostile.black_hole() as server, ends_by_the_deadline(f"connecting to {server.place}") as deadline:
        ask(server.url, deadline, ca_file)


@every_client
def test_a_hung_name_resolution_ends_at_the_deadline(ask: Ask, ca_file: str, hung_names: None) -> None:
    with ends_by_the_deadline("resolving the name fabric.example") as deadline:
        ask("https://fabric.example:6443", deadline, ca_file)


def test_a_literal_address_needs_no_name_resolution(hung_names: None, ca_file: str) -> None:
    with hostile.serve(hostile.answers(hostile.answer(b"{}"))) as server:
        assert ask_with_requests(server.url, Deadline.after(PATIENCE), ca_file) == {}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("resolve 127")]


@every_client
def test_a_name_without_an_address_is_a_dns_fault(ask: Ask, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(TransportError) as failed:
        ask("https://fabric.example", Deadline.after(PATIENCE), ca_file)
    assert (failed.value.fault, failed.value.host) == (Fault.DNS, "fabric.example:443")


@every_client
def test_a_closed_port_is_refused(ask: Ask, ca_file: str) -> None:
    with hostile.refusing() as server, pytest.raises(TransportError) as failed:
        ask(server.url, Deadline.after(PATIENCE), ca_file)
    assert failed.value.fault is Fault.REFUSED


@every_client
def test_a_spent_deadline_sends_nothing(ask: Ask, ca_file: str) -> None:
    with hostile.serve(hostile.html_page) as server:
        with pytest.raises(DeadlineExceeded, match=server.place):
            ask(server.url, Deadline(time.monotonic() - 1), ca_file)
        assert server.connections == []


@every_client
def test_a_certificate_by_somebody_else_is_a_tls_fault(ask: Ask, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(certificates.stranger().certificate)
    with hostile.serve(hostile.html_page, tls=True) as server:
        with pytest.raises(TransportError) as failed:
            ask(server.url, Deadline.after(PATIENCE), str(other))
        assert server.requests == []
    assert failed.value.fault is Fault.TLS
