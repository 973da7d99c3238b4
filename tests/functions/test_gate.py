"""Who is let in by Google's word and by a cookie: tokens signed by a stand-in for Google, over HTTP; forged seals."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.oauth2 import id_token
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from functions.web.answers import Refused
from functions.web.auth import SESSION_SECONDS, Gate, Way
from infra.deadline import Deadline
from infra.settings import Settings, SettingsError
from tests import hostile
from tests.proxy import answering

AUDIENCE = "https://fabric-sync.example.com"
TOKEN = "a-token-that-nobody-guesses"
PLAIN = {"NETBOX_URL": "https://netbox.example.com", "NETBOX_TOKEN": "0" * 40}
GOOGLE = {
    **PLAIN,
    "FABRIC_SYNC_MANUAL_AUDIENCE": AUDIENCE,
    "FABRIC_SYNC_MANUAL_USERS": "ada@example.com, @ops.example.com",
}


def gate(environment: dict[str, str], clock: Any = time.time) -> Gate:
    return Gate(Settings.from_env(environment), clock)


def request(**headers: str) -> Request:
    return Request(EnvironBuilder(headers={k.replace("_", "-"): v for k, v in headers.items()}).get_environ())


def refused(gate: Gate, seconds: float = 20.0, **headers: str) -> Refused:
    with pytest.raises(Refused) as no:
        gate.person(request(**headers), Deadline.after(seconds))
    return no.value


def made_key() -> tuple[bytes, bytes]:
    """A private key and a certificate of it, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a stand-in")])
    now, day = datetime.now(UTC), timedelta(days=1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem, built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def keys() -> tuple[bytes, bytes]:
    return made_key()


@pytest.fixture
def google(keys: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for Google that gives out one certificate."""
    body = json.dumps({"one": keys[1].decode()}).encode()
    with hostile.serve(answering("200 OK", body, kind="application/json")) as server:
        monkeypatch.setattr(id_token, "_GOOGLE_OAUTH2_CERTS_URL", server.url)
        yield


def token_of(key: bytes, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": "ada@example.com", "email_verified": True}
    encode: Any = jwt.encode
    signer: Any = crypt.RSASigner.from_string(key, key_id="one")
    return str(encode(signer, {**claims, "iat": now, "exp": now + 60, **changes}).decode())


@pytest.mark.usefixtures("google")
def test_who_google_vouches_for_and_who_is_listed_is_let_in_and_nobody_else(keys: tuple[bytes, bytes]) -> None:
    door = gate(GOOGLE)
    for address in ("ada@example.com", "ADA@example.com", "anybody@ops.example.com"):
        bearer = f"Bearer {token_of(keys[0], email=address)}"
        person = door.person(request(Authorization=bearer), Deadline.after(20))
        assert (person.name, person.way) == (address, Way.GOOGLE)
    now = int(time.time())
    cases: list[tuple[dict[str, Any], int]] = [
        ({"email": "eve@example.com"}, 403),
        ({"email": "eve@notops.example.com"}, 403),
        ({"aud": "https://other.example.com"}, 401),
        ({"email_verified": False}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"iat": now - 600, "exp": now - 300}, 401),
    ]
    for changes, status in cases:
        assert refused(door, Authorization=f"Bearer {token_of(keys[0], **changes)}").status == status, changes
    assert refused(door, Authorization=f"Bearer {token_of(made_key()[0])}").status == 401


def test_a_google_that_hangs_is_a_503_in_time(keys: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile.serve(hostile.silent) as server:
        monkeypatch.setattr(id_token, "_GOOGLE_OAUTH2_CERTS_URL", server.url)
        no = refused(gate(GOOGLE), 0.5, Authorization=f"Bearer {token_of(keys[0])}")
    assert (no.status, no.code) == (503, "google_unreachable")


def test_settings_that_let_in_nobody_or_everybody_of_google_are_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="FABRIC_SYNC_MANUAL_TOKEN"):
        gate(PLAIN)
    with pytest.raises(SettingsError, match="FABRIC_SYNC_MANUAL_USERS"):
        gate({**PLAIN, "FABRIC_SYNC_MANUAL_AUDIENCE": AUDIENCE})
    with pytest.raises(SettingsError, match="FABRIC_SYNC_MANUAL_TOKEN"):
        gate({**PLAIN, "FABRIC_SYNC_MANUAL_TOKEN": "short"})


def test_an_open_sandbox_lets_in_this_machine_alone() -> None:
    door = gate({**PLAIN, "FABRIC_SYNC_MANUAL_OPEN": "1"})
    assert door.person(request(Host="localhost:8080"), Deadline.after(5)).way is Way.OPEN
    assert refused(door, Host="rebound.evil.example").status == 403


def test_a_login_ends_after_its_time() -> None:
    clock = [1000.0]
    door = gate({**PLAIN, "FABRIC_SYNC_MANUAL_TOKEN": TOKEN}, lambda: clock[0])
    response = Response()
    assert door.login(TOKEN, "Ada", response, secure=True)
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert door.person(request(Cookie=cookie), Deadline.after(5)).name == "Ada"
    clock[0] += SESSION_SECONDS
    assert refused(door, Cookie=cookie).status == 401


@given(st.text(max_size=200), st.integers(0, 300), st.characters())
def test_no_text_is_taken_for_a_seal_and_no_seal_with_a_changed_letter(text: str, at: int, letter: str) -> None:
    door = gate({**PLAIN, "FABRIC_SYNC_MANUAL_TOKEN": TOKEN})
    assert not door.is_form_token(text, "session")
    token = door.form_token("session")
    assert door.is_form_token(token, "session")
    assert not door.is_form_token(token, "another session")
    at %= len(token)
    if token[at] != letter:
        assert not door.is_form_token(token[:at] + letter + token[at + 1 :], "session")
