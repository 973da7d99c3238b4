"""Every hostile server against every client that speaks through the transport: the deadline holds, the error is right.

The clients are used as the system uses them: a requests session, pynetbox on that session, and the door to Kubernetes.
"""

from __future__ import annotations

import ast
import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pynetbox
import pytest
import requests

from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import Credentials, KubernetesClient, KubernetesError, Malformed, Resource
from infra.transport import BoundedSession, Fault, TransportError, bounded_session
from tests import hostile
from tests.conftest import ROOT

BUDGET = 1.0
MARGIN = 2.0  # the machine is shared; without the deadline these servers hold a client for a minute and more
PATIENCE = 30.0  # for what must end by itself, long before any deadline
CAP = 1024 * 1024
SWITCHES = Resource("wiring.githedgehog.com", "v1beta1", "switches", "Switch")


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(hostile.authority().certificate)
    return str(path)


def session_for(url: str, deadline: Deadline, ca_file: str) -> BoundedSession:
    return bounded_session(deadline, verify=ca_file if url.startswith("https") else True, max_bytes=CAP)


def ask_with_requests(url: str, deadline: Deadline, ca_file: str) -> object:
    with session_for(url, deadline, ca_file) as session:
        return session.get(f"{url}/api/", headers={"Authorization": "Token abc"}).json()


def ask_with_pynetbox(url: str, deadline: Deadline, ca_file: str) -> object:
    with session_for(url, deadline, ca_file) as session:
        netbox = pynetbox.api(url, token="abc")
        netbox.http_session = session
        return list(netbox.dcim.devices.filter(name="leaf-01"))


def ask_with_kubernetes(url: str, deadline: Deadline, ca_file: str) -> object:
    credentials = Credentials(url, Path(ca_file).read_text(), token="abc")
    with KubernetesClient(credentials, deadline, max_bytes=CAP) as client:
        return list(client.pages(SWITCHES))


Ask = Callable[[str, Deadline, str], object]
CLIENTS: tuple[Ask, ...] = (ask_with_requests, ask_with_pynetbox, ask_with_kubernetes)
# What each client says of an answer that came whole and is not what it wanted.
CONTENT: dict[Ask, type[Exception]] = {
    ask_with_requests: requests.exceptions.JSONDecodeError,
    ask_with_pynetbox: pynetbox.ContentError,
    ask_with_kubernetes: KubernetesError,
}
every_client = pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__.removeprefix("ask_with_"))


@contextmanager
def ends_by_the_deadline(place: str) -> Iterator[Deadline]:
    """A deadline that must be what ends the block: not before, not long after, and naming where the time went."""
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        yield Deadline.after(BUDGET)
    assert BUDGET * 0.9 < time.monotonic() - begun < BUDGET + MARGIN
    assert place in str(caught.value)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    def open_things() -> tuple[set[str], set[str]]:
        files = {str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
        threads = {thread.name for thread in threading.enumerate() if not thread.name.startswith("resolve ")}
        return files, threads

    before_files, before_threads = open_things()
    yield
    files, threads = open_things()
    assert files - before_files == set()
    assert threads - before_threads == set()


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


@pytest.fixture
def hung_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name resolution that answers only when the test is over."""
    over = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *args: object, **kwargs: object) -> object:
        if host.endswith(".example"):
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "the test is over")
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    over.set()


@every_client
def test_a_hung_name_resolution_ends_at_the_deadline(ask: Ask, ca_file: str, hung_names: None) -> None:
    with ends_by_the_deadline("resolving the name fabric.example") as deadline:
        ask("https://fabric.example:6443", deadline, ca_file)


def test_a_literal_address_needs_no_name_resolution(hung_names: None, ca_file: str) -> None:
    with hostile.serve(answers(hostile.answer(b"{}"))) as server:
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
    other.write_text(hostile._issue("somebody else", None).certificate)
    with hostile.serve(hostile.html_page, tls=True) as server:
        with pytest.raises(TransportError) as failed:
            ask(server.url, Deadline.after(PATIENCE), str(other))
        assert server.requests == []
    assert failed.value.fault is Fault.TLS


def test_the_sessions_own_ca_holds_whatever_the_environment_says(
    ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(hostile._issue("somebody else", None).certificate)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(other))
    with hostile.serve(answers(hostile.answer(b"{}")), tls=True) as server:
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


def answers(data: bytes) -> hostile.Behaviour:
    """A server that gives the same answer to every request on a kept connection."""

    def behaviour(peer: hostile.Peer) -> None:
        while peer.request():
            peer.send(data)

    return behaviour


keeps_alive = answers(hostile.answer(b"{}"))


def test_the_deadline_can_be_set_anew_on_a_session_with_open_connections() -> None:
    with hostile.serve(keeps_alive) as server, bounded_session(Deadline.after(PATIENCE)) as session:
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


def test_a_packed_answer_arrives_unpacked() -> None:
    packed = hostile.answer(gzip.compress(b'{"a": 1}'), headers="Content-Encoding: gzip\r\n")
    with hostile.serve(answers(packed)) as server, bounded_session(Deadline.after(PATIENCE)) as session:
        assert session.get(server.url).json() == {"a": 1}


def test_cookies_do_not_travel() -> None:
    sets = answers(hostile.answer(b"{}", headers="Set-Cookie: sessionid=abc\r\n"))
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
    with hostile.black_hole() as hole, hostile.serve(keeps_alive) as server:
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
