"""How the door to a Kubernetes API is opened, and that it leaves nothing behind."""

from __future__ import annotations

import base64
import copy
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kubernetes.client import ApiClient, Configuration

from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import (
    Credentials,
    KubeconfigError,
    KubernetesClient,
    KubernetesError,
    parse_kubeconfig,
)
from infra.redaction import MASK
from infra.sandbox.fabric.serve import make_kubeconfig
from infra.transport import Fault, TransportError
from tests import certificates, hostile
from tests.certificates import authority
from tests.kubernetes_api import PATIENCE, TOKEN, Api
from tests.proofs.traces import traces


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_a_server_that_says_the_token_back_does_not_get_it_into_an_error(kind: str) -> None:
    token = secrets.token_urlsafe(30)

    def telling(peer: hostile.Peer) -> None:
        said = peer.request().decode()
        packed = base64.b64encode(said.encode()).decode()
        text = json.dumps({"kind": "Status", "reason": said, "message": f"x{token} {packed}"}) if "j" in kind else said
        peer.send(hostile.answer(text.encode(), kind=kind, status="500 Told"))

    kubeconfig = make_kubeconfig("lab", "https://127.0.0.1:1", authority().certificate.encode(), token)
    credentials = parse_kubeconfig(kubeconfig)
    with (
        hostile.serve(telling, tls=True) as server,
        KubernetesClient(replace(credentials, server=server.url), Deadline.after(PATIENCE)) as client,
        pytest.raises(KubernetesError) as failed,
    ):
        client.version()
    error = failed.value
    shown = {"text": str(error), "message": error.message, "reason": error.reason}
    assert traces({"token": token}, {place: text.encode() for place, text in shown.items()}) == []
    assert MASK in str(error)


def test_the_deadline_can_be_set_anew(client: KubernetesClient, api: Api) -> None:
    api.add("/version", {"gitVersion": "v1"})
    client.deadline = Deadline(time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded):
        client.version()
    client.deadline = Deadline.after(PATIENCE)
    assert client.version() == "v1"


def test_an_answer_above_the_cap_is_refused(api: Api) -> None:
    api.add("/version", {"gitVersion": "v1", "rest": "x" * 5000})
    with (
        hostile.serve(api.behaviour) as server,
        KubernetesClient(Credentials(server.url, None, TOKEN), Deadline.after(PATIENCE), max_bytes=4000) as client,
        pytest.raises(TransportError) as failed,
    ):
        client.version()
    assert failed.value.fault is Fault.TOO_LARGE


@contextmanager
def demanding(api: Api) -> Iterator[str]:
    """The small server, for clients with a certificate alone."""
    context = certificates.server_context(demand_client=True)

    def behaviour(peer: hostile.Peer) -> None:
        with context.wrap_socket(peer.sock, server_side=True) as sock:
            api.behaviour(hostile.Peer(sock, peer.server, peer.stop))

    with hostile.serve(behaviour) as server:
        yield server.url.replace("http:", "https:")


def test_a_client_certificate_opens_the_door_and_nothing_is_on_disk(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    api.add("/version", {"gitVersion": "v1"})
    pair = certificates.certificate("reader")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with demanding(api) as url:
        credentials = Credentials(url, certificates.authority().certificate, None, pair.certificate, pair.key)
        with KubernetesClient(credentials, Deadline.after(PATIENCE)) as client:
            assert client.version() == "v1"
            assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert "authorization" not in api.asked[0][2]


def test_without_its_client_certificate_the_door_stays_shut(api: Api) -> None:
    ca = certificates.authority().certificate
    with (
        demanding(api) as url,
        KubernetesClient(Credentials(url, ca, TOKEN), Deadline.after(PATIENCE)) as client,
        pytest.raises(TransportError) as failed,
    ):
        client.version()
    assert failed.value.fault in (Fault.TLS, Fault.RESET)
    assert api.asked == []


def test_a_server_whose_certificate_is_for_another_address_gets_no_token(api: Api) -> None:
    with hostile.serve(api.behaviour, tls=True) as server:
        elsewhere = Credentials(
            server.url.replace("127.0.0.1", "localhost"), certificates.authority().certificate, TOKEN
        )
        with (
            KubernetesClient(elsewhere, Deadline.after(PATIENCE)) as client,
            pytest.raises(TransportError) as failed,
        ):
            client.version()
    assert failed.value.fault is Fault.TLS
    assert api.asked == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_unverified_fabric_is_read_when_that_was_allowed(api: Api) -> None:
    api.add("/version", {"gitVersion": "v1"})
    with (
        hostile.serve(api.behaviour, tls=True) as server,
        KubernetesClient(Credentials(server.url, None, TOKEN), Deadline.after(PATIENCE)) as client,
    ):
        assert client.version() == "v1"


def test_certificates_that_cannot_be_used_are_told_before_anything_is_sent() -> None:
    with pytest.raises(KubeconfigError, match="no usable certificate"):
        KubernetesClient(Credentials("https://a", "-----BEGIN NOTHING-----", TOKEN), Deadline.after(PATIENCE))


def test_two_fabrics_at_once_do_not_know_of_each_other(api: Api) -> None:
    default = copy.copy(Configuration.__dict__.get("_default"))
    other = Api()
    api.add("/version", {"gitVersion": "v1"})
    other.add("/version", {"gitVersion": "v2"})
    ca = certificates.authority().certificate
    with hostile.serve(api.behaviour, tls=True) as one, hostile.serve(other.behaviour, tls=True) as two:
        deadline = Deadline.after(PATIENCE)
        with (
            KubernetesClient(Credentials(one.url, ca, TOKEN), deadline) as first,
            KubernetesClient(Credentials(two.url, ca, None), deadline) as second,
        ):
            assert (first.version(), second.version()) == ("v1", "v2")
    assert "authorization" not in other.asked[0][2]
    assert Configuration.__dict__.get("_default") == default
    assert ApiClient._default is None


def test_a_client_starts_no_thread_for_an_address(client: KubernetesClient, api: Api) -> None:
    before = threading.active_count()
    api.add("/version", {"gitVersion": "v1"})
    client.version()
    assert threading.active_count() == before + 1  # the server's own, for the connection


def test_secrets_are_in_no_error(client: KubernetesClient) -> None:
    with pytest.raises(KubernetesError) as refused:
        client.version()
    assert TOKEN not in f"{refused.value!r} {refused.value} {client!r}"
