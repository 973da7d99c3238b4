"""The bounded session itself: its deadline, its connections, what it takes from the environment (nothing)."""

from __future__ import annotations

import ast
import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.deadline import Deadline, DeadlineExceeded
from infra.transport import BoundedPoolManager, Bounds, Fault, TransportError, bounded_session
from tests import certificates, hostile
from tests.conftest import ROOT
from tests.http_clients import (
    PATIENCE,
    Ask,
    ask_with_requests,
    ends_by_the_deadline,
    every_client,
    session_for,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

KEEPS_ALIVE = hostile.answers(hostile.answer(b"{}"))


def test_the_sessions_own_ca_holds_whatever_the_environment_says(
    ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(certificates.stranger().certificate)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(other))
    with hostile.serve(hostile.answers(hostile.answer(b"{}")), tls=True) as server:
        assert ask_with_requests(server.url, Deadline.after(PATIENCE), ca_file) == {}
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
        with pytest.raises(TransportError) as failed:
            ask_with_requests(server.url, Deadline.after(PATIENCE), str(other))
    assert failed.value.fault is Fault.TLS


@every_client
def test_proxies_of_the_environment_are_not_used(ask: Ask, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile.serve(hostile.silent) as proxy, hostile.serve(hostile.closed_before_answer) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(TransportError):
            ask(server.url, Deadline.after(PATIENCE), ca_file)
        assert proxy.connections == []
        assert len(server.requests) == 1


def test_a_proxy_asked_for_by_a_caller_is_refused() -> None:
    with bounded_session(Deadline.after(PATIENCE)) as session, pytest.raises(TransportError) as failed:
        session.get("http://127.0.0.1:1/", proxies={"http": "http://127.0.0.1:2"})
    assert failed.value.fault is Fault.PROTOCOL


def test_the_deadline_can_be_set_anew_on_a_session_with_open_connections() -> None:
    with hostile.serve(KEEPS_ALIVE) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).ok
        work = Deadline(time.monotonic() + 10, reserve=20)
        session.deadline = work
        with pytest.raises(DeadlineExceeded):
            session.get(server.url)
        session.deadline = work.reporting()
        assert session.get(server.url).ok
        assert len(server.connections) == 1


def test_a_kept_connection_that_the_server_resets_is_a_reset_and_not_sent_again() -> None:
    def once(peer: hostile.Peer) -> None:
        peer.request()
        peer.send(hostile.answer(b"{}"))
        peer.request()
        peer.reset()

    with hostile.serve(once) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).ok
        with pytest.raises(TransportError) as failed:
            session.post(server.url, json={})
        assert failed.value.fault is Fault.RESET
        assert len(server.connections) == 1


def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    closed = threading.Event()

    def once(peer: hostile.Peer) -> None:
        peer.request()
        peer.send(hostile.answer(b"{}"))
        peer.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    with hostile.serve(once) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).ok
        assert closed.wait(10)
        assert session.get(server.url).ok
        assert len(server.connections) == 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_peer_that_does_not_take_the_body_ends_at_the_deadline(tls: bool, ca_file: str) -> None:
    with hostile.serve(lambda peer: peer.hold(), tls=tls) as server:
        place = f"sending to {server.place}"
        with ends_by_the_deadline(place) as deadline, session_for(server.url, deadline, ca_file) as session:
            session.post(server.url, data=b"x" * (64 * 1024 * 1024))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_large_body_arrives_whole(tls: bool, ca_file: str) -> None:
    body = os.urandom(1024) * 3000
    received = bytearray()

    def take(peer: hostile.Peer) -> None:
        while len(received) < len(body):
            received.extend(
                peer.sock.recv(1 << 20).rpartition(b"\r\n\r\n")[2] if not received else peer.sock.recv(1 << 20)
            )
        peer.send(hostile.answer(b"{}"))

    with (
        hostile.serve(take, tls=tls) as server,
        session_for(server.url, Deadline.after(PATIENCE), ca_file) as session,
    ):
        assert session.post(server.url, data=body).ok
    assert bytes(received) == body


@pytest.mark.parametrize("retries", [None, 3], ids=["urllib3's own", "asked for"])
def test_a_pool_never_retries_whatever_it_is_told(retries: int | None) -> None:
    busy = hostile.answer(b"", status="429 Too Many Requests", headers="Retry-After: 1\r\n")
    manager = BoundedPoolManager(Bounds(Deadline.after(PATIENCE)), retries=retries)
    with hostile.serve(hostile.closed_before_answer) as dropping, hostile.serve(hostile.answers(busy)) as refusing:
        with pytest.raises(TransportError):
            manager.request("GET", dropping.url, retries=retries)
        assert manager.request("GET", refusing.url, retries=retries).status == 429
        assert (len(dropping.requests), len(refusing.requests)) == (1, 1)
        manager.clear()


def drops_idle_connections(peer: hostile.Peer) -> None:
    """Answers the first request on a connection; a second one crosses with the closing of it."""
    peer.request()
    peer.send(hostile.answer(b"{}"))
    peer.request()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_reading_request_that_crosses_with_the_closing_of_its_idle_connection_is_sent_on_a_new_one(
    tls: bool, ca_file: str
) -> None:
    with (
        hostile.serve(drops_idle_connections, tls=tls) as server,
        session_for(server.url, Deadline.after(PATIENCE), ca_file) as session,
    ):
        assert session.get(server.url).ok
        assert session.get(server.url).ok
        assert (len(server.connections), len(server.requests)) == (2, 3)


def test_a_writing_request_that_crosses_with_it_is_not_sent_again() -> None:
    with hostile.serve(drops_idle_connections) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).ok
        with pytest.raises(TransportError) as failed:
            session.post(server.url, json={})
        assert failed.value.fault is Fault.RESET
        assert (len(server.connections), len(server.requests)) == (1, 2)


def test_a_writing_request_takes_a_new_connection_in_place_of_one_that_was_idle_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.transport.FRESH_FOR", 0.0)
    with hostile.serve(drops_idle_connections) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).ok
        assert session.post(server.url, json={}).ok
        assert (len(server.connections), len(server.requests)) == (2, 2)


def test_a_pool_does_not_follow_a_redirect_either() -> None:
    manager = BoundedPoolManager(Bounds(Deadline.after(PATIENCE)))
    with hostile.serve(hostile.slow_redirects) as server, pytest.raises(TransportError) as failed:
        manager.request("GET", server.url, redirect=True)
    assert failed.value.fault is Fault.REDIRECT


def test_a_literal_ipv6_address_is_an_address(hung_names: None) -> None:
    with pytest.raises(TransportError) as failed, bounded_session(Deadline.after(PATIENCE)) as session:
        session.get("http://[::1]:1/")
    assert failed.value.fault in (Fault.REFUSED, Fault.UNREACHABLE)


def test_a_packed_answer_arrives_unpacked() -> None:
    packed = hostile.answer(gzip.compress(b'{"a": 1}'), headers="Content-Encoding: gzip\r\n")
    with hostile.serve(hostile.answers(packed)) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).json() == {"a": 1}


def test_cookies_do_not_travel() -> None:
    sets = hostile.answers(hostile.answer(b"{}", headers="Set-Cookie: sessionid=abc\r\n"))
    with hostile.serve(sets) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        session.get(server.url)
        session.get(server.url)
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/", "no url", "http://user:hunter2@", "http://[::1"])
def test_an_address_that_is_none_is_said_without_its_password(url: str) -> None:
    with bounded_session(Deadline.after(PATIENCE)) as session, pytest.raises(TransportError) as failed:
        session.get(url)
    assert failed.value.fault is Fault.PROTOCOL
    assert "hunter2" not in str(failed.value)


def test_a_ca_bundle_that_is_not_there_is_a_tls_fault() -> None:
    with (
        bounded_session(Deadline.after(PATIENCE), verify="/nowhere/ca.pem") as session,
        pytest.raises(TransportError) as failed,
    ):
        session.get("https://127.0.0.1:1/")
    assert failed.value.fault is Fault.TLS


def test_a_silent_first_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile.black_hole() as hole, hostile.serve(KEEPS_ALIVE) as server:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (at.host, at.port)) for at in (hole, server)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with bounded_session(Deadline.after(4)) as session:
            assert session.get("http://fabric.example/").ok


def test_nobody_sets_the_timeout_that_the_kubernetes_client_ignores() -> None:
    """`configuration.timeout` is no setting of the kubernetes client: assigning it looks like a fix and is none."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for floor in ("infra", "functions")
        for path in (ROOT / floor).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "timeout" and "config" in ast.unparse(node.value).lower()
    ]
    assert found == []


def test_the_transport_does_not_import_the_kubernetes_client() -> None:
    """Half a second of every cold start that does not need it."""
    code = (
        "import sys, infra.transport, infra.kubeconfig; print([m for m in sys.modules if m.startswith('kubernetes')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
