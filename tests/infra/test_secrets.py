"""Secrets: read by name, from a directory or from Secret Manager, within the deadline, and shown to nobody."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.deadline import Deadline, DeadlineExceeded
from infra.secrets import (
    SIZE_LIMIT,
    DirectorySecrets,
    GoogleSecrets,
    SecretError,
    SecretProblem,
    open_secrets,
    read_netbox_token,
)
from infra.settings import Settings

VALUE = "correct-horse-battery-staple"
NAME = "fabric-one"


@pytest.fixture
def soon() -> Deadline:
    return Deadline.after(20)


def refusal(store: Any, name: str, deadline: Deadline) -> SecretError:
    with pytest.raises(SecretError) as caught:
        store.read(name, deadline)
    assert VALUE not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    return caught.value


# A directory


def test_a_secret_is_the_file_of_its_name_without_the_last_newline(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / NAME).write_text(f"{VALUE}\n")
    assert DirectorySecrets(tmp_path).read(NAME, soon).reveal() == VALUE
    assert open_secrets(str(tmp_path), "fabric-").read(NAME, soon).reveal() == VALUE


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../fabric-one", "fabric-one/../../x", "/fabric-one", "-fabric", "fabric-é", "f" * 129],
)
def test_a_name_that_could_lead_elsewhere_is_forbidden(name: str, tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / NAME).write_text(VALUE)
    assert refusal(DirectorySecrets(tmp_path, "f"), name, soon).code is SecretProblem.FORBIDDEN


def test_a_name_outside_the_prefix_is_forbidden(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / "netbox-token").write_text(VALUE)
    assert refusal(DirectorySecrets(tmp_path), "netbox-token", soon).code is SecretProblem.FORBIDDEN


def test_a_missing_secret_says_where_to_put_it(tmp_path: Path, soon: Deadline) -> None:
    error = refusal(DirectorySecrets(tmp_path), NAME, soon)
    assert error.code is SecretProblem.MISSING
    assert error.name == NAME
    assert str(tmp_path) in str(error)


def test_a_link_inside_the_directory_is_followed(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / NAME).write_text(VALUE)
    (tmp_path / NAME).symlink_to(Path("..data") / NAME)
    assert DirectorySecrets(tmp_path).read(NAME, soon).reveal() == VALUE


def test_a_link_out_of_the_directory_is_forbidden(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / "outside").write_text(VALUE)
    inside = tmp_path / "secrets"
    inside.mkdir()
    (inside / NAME).symlink_to(tmp_path / "outside")
    assert refusal(DirectorySecrets(inside), NAME, soon).code is SecretProblem.FORBIDDEN


def test_links_in_a_circle_end(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / NAME)
    assert refusal(DirectorySecrets(tmp_path), NAME, soon).code is SecretProblem.UNREACHABLE


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path, soon: Deadline) -> None:
    os.mkfifo(tmp_path / NAME)
    assert refusal(DirectorySecrets(tmp_path), NAME, soon).code is SecretProblem.INVALID


@pytest.mark.parametrize("content", [b"", b"\n", VALUE.encode() + b"\xff", b"x" * (SIZE_LIMIT + 1)])
def test_what_is_no_text_of_fair_size_is_invalid(content: bytes, tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert refusal(DirectorySecrets(tmp_path), NAME, soon).code is SecretProblem.INVALID


def test_a_directory_in_place_of_the_file_is_invalid(tmp_path: Path, soon: Deadline) -> None:
    (tmp_path / NAME).mkdir()
    assert refusal(DirectorySecrets(tmp_path), NAME, soon).code is SecretProblem.INVALID


def test_after_the_deadline_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(VALUE)
    with pytest.raises(DeadlineExceeded):
        DirectorySecrets(tmp_path).read(NAME, Deadline.after(1, clock=iter([0.0, 5.0, 5.0]).__next__))


# The token of NetBox


def test_the_netbox_token_may_be_named_outside_the_prefix(tmp_path: Path, soon: Deadline) -> None:
    token = "nbt_AbCdEf012345.AbCdEf0123456789AbCdEf0123456789AbCdEf01"
    environ = {"NETBOX_URL": "https://netbox", "NETBOX_TOKEN_SECRET": "netbox", "FABRIC_SYNC_SECRETS": str(tmp_path)}
    (tmp_path / "netbox").write_text(f"{token}\n")
    assert read_netbox_token(Settings.from_env(environ), soon).reveal() == token
    (tmp_path / "netbox").write_text(VALUE)
    with pytest.raises(SecretError) as caught:
        read_netbox_token(Settings.from_env(environ), soon)
    assert caught.value.code is SecretProblem.INVALID


# Secret Manager: the metadata server and the API, played over real HTTP


class Cloud(BaseHTTPRequestHandler):
    """The metadata server's token endpoint and Secret Manager's `access`, as their references describe them."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        if self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token"):
            self._answer(*self.server.token)
        elif self.path.startswith("/computeMetadata/"):
            self._answer(200, {"email": "sync@demo.example.org", "scopes": [], "aliases": ["default"]})
        elif self.path == f"/v1/projects/demo/secrets/{NAME}/versions/latest:access":
            self._answer(*self.server.secret)
        else:
            self._answer(404, {"error": {"code": 404, "status": "NOT_FOUND"}})

    def do_POST(self) -> None:
        """The token endpoint of a service account (RFC 7523)."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers)))
        self._answer(*self.server.token)

    def _answer(self, status: int, body: Any) -> None:
        if status == 0:  # never answers
            self.server.over.wait(30)
            self.close_connection = True
            return
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


def payload(raw: bytes) -> dict[str, Any]:
    return {"name": "projects/1/secrets/x/versions/1", "payload": {"data": base64.b64encode(raw).decode()}}


@pytest.fixture
def cloud() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.daemon_threads = True
    server.seen = []
    server.over = threading.Event()
    server.token = (200, {"access_token": "ya29.fake-access-token", "expires_in": 3599, "token_type": "Bearer"})
    server.secret = (200, payload(VALUE.encode()))
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def google(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> GoogleSecrets:
    from google.auth.compute_engine import _metadata

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", cloud.url.removeprefix("http://"))
    return GoogleSecrets("demo", base_url=cloud.url)


def test_secret_manager_is_asked_with_the_token_of_the_metadata_server(
    google: GoogleSecrets, cloud: Any, soon: Deadline
) -> None:
    assert google.read(NAME, soon).reveal() == VALUE
    path, headers = cloud.seen[-1]
    assert path == f"/v1/projects/demo/secrets/{NAME}/versions/latest:access"
    assert headers["Authorization"] == "Bearer ya29.fake-access-token"


def test_a_token_is_fetched_once_and_kept(google: GoogleSecrets, cloud: Any, soon: Deadline) -> None:
    google.read(NAME, soon)
    before = len(cloud.seen)
    google.read(NAME, soon)
    assert len(cloud.seen) == before + 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, SecretProblem.MISSING),
        (401, SecretProblem.FORBIDDEN),
        (403, SecretProblem.FORBIDDEN),
        (404, SecretProblem.MISSING),
        (429, SecretProblem.UNREACHABLE),
        (500, SecretProblem.UNREACHABLE),
        (503, SecretProblem.UNREACHABLE),
        (302, SecretProblem.UNREACHABLE),
    ],
)
def test_what_secret_manager_refuses_has_a_name(
    status: int, code: SecretProblem, google: GoogleSecrets, cloud: Any, soon: Deadline
) -> None:
    cloud.secret = (status, {"error": {"message": VALUE}})
    assert refusal(google, NAME, soon).code is code


@pytest.mark.parametrize(
    "body", [[], {}, {"payload": {}}, {"payload": {"data": f"{VALUE}!"}}, payload(b"\xff\xfe"), payload(b"")]
)
def test_an_answer_without_a_usable_text_is_invalid(
    body: Any, google: GoogleSecrets, cloud: Any, soon: Deadline
) -> None:
    cloud.secret = (200, body)
    assert refusal(google, NAME, soon).code is SecretProblem.INVALID


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, SecretProblem.FORBIDDEN), (429, SecretProblem.UNREACHABLE), (503, SecretProblem.UNREACHABLE)],
)
def test_without_a_token_nothing_is_asked(
    status: int, code: SecretProblem, google: GoogleSecrets, cloud: Any, soon: Deadline
) -> None:
    cloud.token = (status, {})
    assert refusal(google, NAME, soon).code is code
    assert not [path for path, _ in cloud.seen if path.startswith("/v1/")]
    assert len(cloud.seen) == 2, "a server that fails is not asked again and again"


@pytest.mark.parametrize("which", ["token", "secret"])
def test_a_hung_cloud_ends_at_the_deadline(which: str, google: GoogleSecrets, cloud: Any) -> None:
    setattr(cloud, which, (0, None))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        google.read(NAME, Deadline.after(2))
    assert time.monotonic() - started < 12


def test_a_cloud_that_is_not_there_is_unreachable(google: GoogleSecrets, soon: Deadline, cloud: Any) -> None:
    cloud.shutdown()
    cloud.server_close()
    assert refusal(google, NAME, soon).code is SecretProblem.UNREACHABLE


def test_names_are_checked_before_anything_is_sent(google: GoogleSecrets, cloud: Any, soon: Deadline) -> None:
    for name in ("other-one", "fabric-one/versions/1:destroy?", "../fabric-x"):
        assert refusal(google, name, soon).code is SecretProblem.FORBIDDEN
    assert cloud.seen == []


def test_a_token_never_goes_out_in_the_clear() -> None:
    with pytest.raises(ValueError, match="use https"):
        GoogleSecrets("demo", base_url="http://secretmanager.example.org")


@pytest.mark.parametrize("kind", ["service_account", "external_account", "authorized_user"])
def test_a_credentials_file_is_used_when_one_is_named(
    kind: str, cloud: Any, soon: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    info = {
        "type": kind,
        "client_email": "sync@demo.example.org",
        "private_key": pem,
        "token_uri": f"{cloud.url}/token",
    }
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    store = GoogleSecrets("demo", base_url=cloud.url)
    if kind == "service_account":
        assert store.read(NAME, soon).reveal() == VALUE
    else:  # a type that may run programs, and one that lacks what it needs
        assert refusal(store, NAME, soon).code is SecretProblem.FORBIDDEN
        assert cloud.seen == []


def test_reading_a_secret_from_the_cloud_never_imports_grpc(cloud: Any) -> None:
    program = f"""
import sys
from infra.deadline import Deadline
from infra.secrets import GoogleSecrets
assert "requests" not in sys.modules, "a directory needs no HTTP"
assert GoogleSecrets("demo", base_url={cloud.url!r}).read({NAME!r}, Deadline.after(60)).reveal() == {VALUE!r}
assert "grpc" not in sys.modules
"""
    environ = {k: v for k, v in os.environ.items() if k != "GOOGLE_APPLICATION_CREDENTIALS"}
    environ["GCE_METADATA_HOST"] = cloud.url.removeprefix("http://")
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
