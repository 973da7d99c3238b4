"""Redaction: a secret is shown by nothing, and taken out of any text it got into."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import redaction
from infra.redaction import MASK, Secret, is_sensitive, redact
from tests.proofs.traces import traces

VALUE = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def own_register() -> Iterator[None]:
    """What one test registers must not be masked in another: hypothesis tries plain words as secrets, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_known", redaction._Known())
        yield


WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=20, max_size=40)


def test_a_secret_is_shown_by_nothing_but_reveal() -> None:
    secret = Secret(VALUE)
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret} {secret!r}",
        str([secret]),
    ):
        assert VALUE not in shown
        assert "***" in shown
    assert secret.reveal() == VALUE


def test_a_secret_cannot_leave_by_json_or_pickle_or_its_attributes() -> None:
    secret = Secret(VALUE)
    with pytest.raises(TypeError):
        json.dumps({"token": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        vars(secret)


def test_a_secret_is_equal_by_value_and_cannot_be_changed() -> None:
    secret = Secret(VALUE)
    assert secret == Secret(VALUE)
    assert secret != Secret(VALUE + "x")
    assert secret != VALUE
    assert hash(secret) == hash(Secret(VALUE))
    assert copy.deepcopy(secret) is secret
    with pytest.raises(AttributeError):
        secret.other = 1  # type: ignore[attr-defined]


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Secret("")


# The mask


@settings(max_examples=60, deadline=None)
@given(
    value=st.text(min_size=4, max_size=60).filter(lambda text: len(text.strip()) >= 4 and "*" not in text),
    around=st.text(),
)
def test_a_known_value_is_masked_in_every_form_it_is_written_in(value: str, around: str) -> None:
    Secret(value)
    for written in (value, json.dumps(value), repr(value), quote(value.encode("utf-8", "surrogatepass"))):
        assert value not in redact(f"{around} {written} {around}").replace(MASK, "")
    packed = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    assert packed not in redact(f"{around} {packed}")


@settings(max_examples=60, deadline=None)
@given(value=WORDS, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_value_that_is_packed_with_others_is_masked(value: str, before: bytes, after: bytes) -> None:
    Secret(value)
    for pack in (base64.b64encode, base64.urlsafe_b64encode):
        packed = pack(before + value.encode() + after).decode()
        assert traces({"value": value}, {"line": redact(packed).encode()}) == []


def test_a_line_of_a_longer_secret_is_masked_too() -> None:
    Secret("apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user: {thing: QWxhZGRpbjpvcGVuIHNlc2FtZQ}\n")
    assert "QWxhZGRpbjpvcGVuIHNlc2FtZQ" not in redact('line 5: "  user: {thing: QWxhZGRpbjpvcGVuIHNlc2FtZQ}" is odd')
    assert redact("kind: Config") == "kind: Config"


SHAPES = (
    "Authorization: Bearer {}",
    "authorization: Basic {}==",
    "{{'Authorization': 'Token {}'}}",
    "bearer {}",
    "nbt_AbCdEf012345.{}",
    "the token nbt_{} is refused",
    "ya29.{}",
    "eyJhbGciOiJSUzI1NiJ9.{}.{}",
    "https://anna:{}@netbox.example.org/api/",
    "https://netbox.example.org/api/?token={}&x=1",
    "token: {}",
    "token:   |\n    {}\nnext: 1",
    "password={} user=anna",
    "PASSWORD = '{} {}'",
    '{{"token": "{}", "name": "x"}}',
    '{{"text": "{{\\"password\\": \\"{}\\"}}"}}',
    "{{'access_token': '{}'}}",
    "client-key-data: {}",
    '"client-certificate-data": "{}"',
    "passwordHash: $5$rounds=5000${}",
    "client_secret={}",
    "NETBOX_TOKEN={}",
    "joinToken: {}",
    "users:\n- name: me\n  user:\n    exec: {}\n",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\n{}\\n{}",
    "-----BEGIN EC PRIVATE KEY-----\n{}",
)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=15, deadline=None)
@given(word=WORDS)
def test_what_looks_like_a_credential_is_masked_though_nobody_registered_it(shape: str, word: str) -> None:
    text = shape.replace("{}", word).replace("{{", "{").replace("}}", "}")
    for whole in (text, f"before {text} after", f"before\n{text}\nafter"):
        assert word not in redact(whole)


@pytest.mark.parametrize(
    "text",
    [
        "the secret 'fabric-one' is missing: put it into a file of that name",
        "read 12 switches of fabric one in 0.4 s",
        "3 tokens left; the token is not accepted",
        "https://netbox.example.org:8443/api/dcim/devices/?limit=500",
        "NETBOX_TOKEN is not set: give the token",
        "users: none",
        'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: x',
    ],
)
def test_a_plain_sentence_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name", ["token", "NETBOX_TOKEN", "joinToken", "password", "passwordHash", "Authorization", "kubeconfig"]
)
def test_a_field_named_for_a_credential_is_sensitive(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["tokens", "fabric", "secret_name", "author", "token_count", "x" * 10_000])
def test_another_field_is_not(name: str) -> None:
    assert not is_sensitive(name)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "token",
        'token:\\"',
        'password="',
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "users:\n",
        " ",
        "eyJaaaaaaaa.",
    ],
)
def test_no_text_makes_the_mask_slow(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 10, "linear in the length; a quadratic pattern would take minutes"


def test_what_follows_a_cut_is_dropped_after_the_masking() -> None:
    Secret(VALUE)
    text = "x" * 65_520 + VALUE + "y" * 100
    assert "correct" not in redact(text)
