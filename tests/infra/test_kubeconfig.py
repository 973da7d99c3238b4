"""A kubeconfig gives an address and a way in; everything that could do more is refused, in words that help."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.kubeconfig import MAX_BYTES, Credentials, KubeconfigError, parse_kubeconfig, tls_context
from tests import certificates

SECRET = "eyJhbGciOi.sEcReT-tOkEn"
Config = dict[str, Any]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config() -> Config:
    """A kubeconfig that is fine: two contexts, the second one current."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fabric",
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "fabric", "context": {"cluster": "here", "user": "reader", "namespace": "default"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other:6443"}},
            {
                "name": "here",
                "cluster": {
                    "server": "https://127.0.0.1:6443",
                    "certificate-authority-data": encoded(certificates.authority().certificate),
                },
            },
        ],
        "users": [
            {"name": "other", "user": {"exec": {"command": "rm"}}},
            {"name": "reader", "user": {"token": SECRET}},
        ],
    }


def cluster(**fields: Any) -> Callable[[Config], Any]:
    return lambda config: config["clusters"][1]["cluster"].update({k.replace("_", "-"): v for k, v in fields.items()})


def user(**fields: Any) -> Callable[[Config], Any]:
    return lambda config: config["users"][1]["user"].update({k.replace("_", "-"): v for k, v in fields.items()})


def without(*path: Any) -> Callable[[Config], Any]:
    def change(config: Config) -> None:
        at: Any = config
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]

    return change


def put(*path: Any) -> Callable[[Config], Any]:
    def change(config: Config) -> None:
        at: Any = config
        for step in path[:-2]:
            at = at[step]
        at[path[-2]] = path[-1]

    return change


def test_the_current_context_is_taken_and_nothing_else() -> None:
    credentials = parse_kubeconfig(yaml.safe_dump(config()))
    assert credentials == Credentials("https://127.0.0.1:6443", certificates.authority().certificate, SECRET)
    assert credentials.host == "127.0.0.1:6443"


def test_json_is_a_kubeconfig_too() -> None:
    assert parse_kubeconfig(json.dumps(config()).encode()).token == SECRET


def test_a_client_certificate_is_taken_with_its_key() -> None:
    pair = certificates.certificate("reader")
    changed = config()
    changed["users"][1]["user"] = {
        "client-certificate-data": encoded(pair.certificate),
        "client-key-data": encoded(pair.key),
    }
    credentials = parse_kubeconfig(yaml.safe_dump(changed))
    assert (credentials.token, credentials.client_key_pem) == (None, pair.key)
    assert tls_context(credentials)


REFUSED: list[tuple[str, Callable[[Config], Any], str]] = [
    ("no current context", without("current-context"), "no current-context"),
    ("an unknown context", put("current-context", "nowhere"), "current-context names something that is not"),
    ("no contexts", without("contexts"), "no list of contexts"),
    ("a context twice", put("contexts", 0, "name", "fabric"), "more than once in contexts"),
    ("an unknown cluster", put("contexts", 1, "context", "cluster", "x"), "the context's cluster names something"),
    ("an unknown user", put("contexts", 1, "context", "user", "x"), "the context's user names something"),
    ("an empty user", put("users", 1, "user", None), "not a mapping"),
    ("no credentials", put("users", 1, "user", {}), "no credentials"),
    ("a program", user(exec={"command": "sh"}), "exec would run a program"),
    ("a program with a token beside it", user(exec={"command": "sh"}, token=SECRET), "exec would run a program"),
    ("an auth provider", user(auth_provider={"name": "gcp"}), "auth-provider would run a program"),
    ("a CA file", cluster(certificate_authority="/etc/ca.pem"), "certificate-authority names a file"),
    ("a certificate file", user(client_certificate="/etc/c.pem"), "client-certificate names a file"),
    ("a key file", user(client_key="/etc/k.pem"), "client-key names a file"),
    ("a token file", user(tokenFile="/etc/token"), "tokenFile names a file"),
    ("a user name", user(username="admin"), "username is a password login"),
    ("a password", user(password=SECRET), "password is a password login"),
    ("impersonation", put("users", 1, "user", "as", "admin"), "as asks to act as somebody else"),
    ("impersonated groups", user(as_groups=["system:masters"]), "as-groups asks to act"),
    ("a proxy", cluster(proxy_url="http://proxy:3128"), "proxy-url would send the credentials"),
    ("another server name", cluster(tls_server_name="x"), "tls-server-name is not supported"),
    ("an unknown field of the user", user(newfangled="x"), "remove newfangled"),
    ("a secret in place of a field", put("users", 1, "user", SECRET, "x"), r"remove \(not a name\)"),
    ("skipped verification", lambda c: (without("clusters", 1, "cluster", "certificate-authority-data")(c),
                                        cluster(insecure_skip_tls_verify=True)(c)), "insecure-skip-tls-verify is set"),
    ("skipped verification beside a CA", cluster(insecure_skip_tls_verify=True), "exclude each other"),
    ("a verification flag that is neither", cluster(insecure_skip_tls_verify="perhaps"), "neither true nor false"),
    ("no CA", without("clusters", 1, "cluster", "certificate-authority-data"), "no certificate-authority-data"),
    ("a CA that is not base64", cluster(certificate_authority_data="###"), "certificate-authority-data is not base64"),
    ("a CA that is not PEM", cluster(certificate_authority_data=encoded("hello")), "no BEGIN line"),
    ("no server", without("clusters", 1, "cluster", "server"), "no server"),
    ("a server in the clear", cluster(server="http://127.0.0.1:6443"), "not an https:// address"),
    ("a server on disk", cluster(server="file:///etc/passwd"), "not an https:// address"),
    ("a server without a name", cluster(server="https://:6443"), "not a URL"),
    ("a server with a strange port", cluster(server="https://a:999999"), "not a URL"),
    ("a server with a line break", cluster(server="https://a\r\nHost: b"), "not a URL"),
    ("a server with a login", cluster(server=f"https://me:{SECRET}@a"), "more than an address"),
    ("a server with a query", cluster(server="https://a?x=1"), "more than an address"),
    ("a token with a line break", user(token=f"{SECRET}\r\nX: y"), "token holds characters"),
    ("a token that is a list", user(token=[SECRET]), "token is not a text"),
    ("a certificate without its key", user(client_certificate_data=encoded("-----BEGIN x")), "belong together"),
    ("a locked key", user(client_certificate_data=encoded("-----BEGIN x"),
                          client_key_data=encoded("-----BEGIN ENCRYPTED PRIVATE KEY-----")), "is encrypted"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_kubeconfig_is_refused_with(change: Callable[[Config], Any], words: str) -> None:
    changed = config()
    change(changed)
    with pytest.raises(KubeconfigError, match=words) as refused:
        parse_kubeconfig(yaml.safe_dump(changed))
    assert "sEcReT" not in f"{refused.value}"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a mapping"),
        ("just a text", "not a mapping"),
        ("- a\n- list", "not a mapping"),
        (f"users: [{{token: {SECRET}\n: :", r"not valid YAML \(line \d+"),
        (f"token: '{SECRET}", r"not valid YAML \(line \d+"),
        ("a: \x00", "not valid YAML"),
        (BOMB, "YAML aliases"),
        ("a: &a [*a]", "YAML aliases"),
        ("[" * 3000, "not valid YAML"),
        ("[" + "a," * 6000 + "]", "more than 5000 values"),
        ("a: " + "x" * MAX_BYTES, "larger than 256 KiB"),
        ("!!python/object/apply:os.system [echo]", "not a mapping"),
        (b"\xff\xfe\x00", "not valid YAML|not a mapping"),
    ],
    ids=[
        "empty",
        "text",
        "list",
        "broken",
        "open quote",
        "nul",
        "bomb",
        "loop",
        "deep",
        "long",
        "large",
        "tag",
        "bytes",
    ],
)
def test_what_is_no_kubeconfig_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(KubeconfigError, match=words) as refused:
        parse_kubeconfig(text)
    shown: BaseException | None = refused.value
    while shown is not None:
        assert "sEcReT" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


def test_an_unverified_fabric_needs_to_be_allowed() -> None:
    changed = config()
    without("clusters", 1, "cluster", "certificate-authority-data")(changed)
    assert parse_kubeconfig(yaml.safe_dump(changed), allow_insecure=True).ca_pem is None
    cluster(insecure_skip_tls_verify=True)(changed)
    assert parse_kubeconfig(yaml.safe_dump(changed), allow_insecure=True).ca_pem is None


def test_being_allowed_to_be_insecure_does_not_make_a_fabric_with_a_ca_so() -> None:
    assert (
        parse_kubeconfig(yaml.safe_dump(config()), allow_insecure=True).ca_pem == certificates.authority().certificate
    )


def test_secrets_are_not_shown() -> None:
    pair = certificates.certificate("reader")
    shown = repr(Credentials("https://a", certificates.authority().certificate, SECRET, pair.certificate, pair.key))
    assert shown == "Credentials(server='https://a')"


def _locked() -> str:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certificates.certificate("reader").key.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    ).decode()


@pytest.mark.parametrize(
    ("ca", "certificate", "key", "words"),
    [
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", None, None, "no usable certificate"),
        ("-----BEGIN NOTHING-----", None, None, "no usable certificate"),
        (None, "reader", "server", "usable pair"),
        (None, "reader", "-----BEGIN PRIVATE KEY-----", "usable pair"),
        (None, "reader", _locked(), "usable pair"),
    ],
    ids=["broken CA", "no CA", "another's key", "broken key", "locked key"],
)
def test_unusable_certificates_are_told_apart(
    ca: str | None, certificate: str | None, key: str | None, words: str
) -> None:
    pem = certificates.certificate(certificate).certificate if certificate else None
    if key == "server":
        key = certificates.certificate("server").key
    with pytest.raises(KubeconfigError, match=words):
        tls_context(Credentials("https://a", ca, "t", pem, key))


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "no memory files"])
def test_no_key_is_left_on_disk(memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere" if memory else tmp_path))
    if not memory:
        monkeypatch.delattr("os.memfd_create")
    pair = certificates.certificate("reader")
    assert tls_context(Credentials("https://a", None, None, pair.certificate, pair.key))
    assert list(tmp_path.iterdir()) == []
