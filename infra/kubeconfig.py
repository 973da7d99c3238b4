"""What may be taken from a kubeconfig, and the refusal of everything that could run code, read files or lead astray."""

from __future__ import annotations

import base64
import binascii
import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml
from urllib3.util.ssl_ import create_urllib3_context

from infra.redaction import Secret

MAX_BYTES = 256 * 1024
_MAX_NODES = 5_000  # a kubeconfig of a hundred clusters has two thousand; parsing more is only a waste of time


class KubeconfigError(Exception):
    """A kubeconfig is not usable; the text says what is wrong and what to do, and never quotes a value of it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where one Kubernetes API is and how to be let in; all of it in memory, the secrets not in its repr.

    `ca_pem` is the only authority trusted for `server`; None means that the certificate is not verified, which
    `parse_kubeconfig` grants only on request. Certificates and keys are PEM text.
    """

    server: str
    ca_pem: str | None = field(repr=False)
    token: str | None = field(default=None, repr=False)
    client_certificate_pem: str | None = field(default=None, repr=False)
    client_key_pem: str | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The host and port of the server, for messages."""
        return urlsplit(self.server).netloc


_FILE = "names a file, and files of this machine are not read: put the content into the kubeconfig as {0}-data"
_COMMAND = "would run a program here: use a service account token or a client certificate instead"
_IMPERSONATION = "asks to act as somebody else: give the account itself the rights that it needs"
_PASSWORD = "is a password login, which the API no longer has: use a token or a client certificate"  # noqa: S105

# Every key that is understood (None) or refused (the reason and the way out). Other keys are refused as unknown.
_CLUSTER_KEYS: Mapping[str, str | None] = {
    "server": None,
    "certificate-authority-data": None,
    "insecure-skip-tls-verify": None,
    "disable-compression": None,
    "extensions": None,
    "certificate-authority": _FILE.format("certificate-authority"),
    "proxy-url": "would send the credentials through another machine: give an address that can be reached directly",
    "tls-server-name": "is not supported: use the name in the server's certificate as the server's address",
}
_USER_KEYS: Mapping[str, str | None] = {
    "token": None,
    "client-certificate-data": None,
    "client-key-data": None,
    "extensions": None,
    "exec": _COMMAND,
    "auth-provider": _COMMAND,
    "client-certificate": _FILE.format("client-certificate"),
    "client-key": _FILE.format("client-key"),
    "tokenFile": "names a file, and files of this machine are not read: put the token itself into the kubeconfig",
    "username": _PASSWORD,
    "password": _PASSWORD,
    "as": _IMPERSONATION,
    "as-uid": _IMPERSONATION,
    "as-groups": _IMPERSONATION,
    "as-user-extra": _IMPERSONATION,
}


def parse_kubeconfig(text: str | bytes, *, allow_insecure: bool = False) -> Credentials:
    """The credentials of the current context of a kubeconfig.

    Only the server, the CA and a token or client certificate are taken; the namespace is not used.
    `allow_insecure`: whether this fabric may be spoken to without verifying its certificate, when the kubeconfig says
    `insecure-skip-tls-verify: true` or holds no CA. A CA that is there is always used.
    Raises `KubeconfigError` for everything else. Fields: kubernetes.io, "kubeconfig (v1)".
    """
    config = _mapping(_load(text), "the kubeconfig")
    current = config.get("current-context")
    if not isinstance(current, str) or not current:
        raise KubeconfigError("the kubeconfig has no current-context: set it to the name of one of its contexts")
    context = _named(config, "contexts", "context", current, "current-context")
    cluster = _named(config, "clusters", "cluster", context.get("cluster"), "the context's cluster")
    user = _named(config, "users", "user", context.get("user"), "the context's user")
    _refuse(cluster, _CLUSTER_KEYS, "the cluster")
    _refuse(user, _USER_KEYS, "the user")
    certificate = _pem(user, "client-certificate-data")
    key = _pem(user, "client-key-data")
    token = _token(user)
    if (certificate is None) != (key is None):
        raise KubeconfigError("client-certificate-data and client-key-data belong together: one of them is missing")
    if certificate is None and token is None:
        raise KubeconfigError("the user has no credentials: give it a token or client-certificate-data and -key-data")
    if key is not None and "ENCRYPTED" in key:
        raise KubeconfigError("client-key-data is encrypted, and there is nobody to type its password: decrypt it")
    for credential in filter(None, (token, key)):
        Secret(credential)  # masked from now on, wherever it is said back to us
    return Credentials(_server(cluster), _authority(cluster, allow_insecure), token, certificate, key)


class _PlainLoader(yaml.BaseLoader):
    """YAML of mappings, lists and texts alone: no types, and no aliases, which only a bomb needs."""

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise KubeconfigError("the kubeconfig uses YAML aliases: write the values out")
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise KubeconfigError(f"the kubeconfig has more than {_MAX_NODES} values: keep the one context in use")
        return super().compose_node(parent, index)


def _load(text: str | bytes) -> Any:
    if len(text) > MAX_BYTES:
        raise KubeconfigError(f"the kubeconfig is larger than {MAX_BYTES // 1024} KiB: keep the one context in use")
    # PyYAML quotes the lines around an error, which may be a token: hence `from None`, against the house's habit.
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506 - builds nothing but dict, list and str
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise KubeconfigError(f"the kubeconfig is not valid YAML{place}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise KubeconfigError("the kubeconfig is not valid YAML") from None


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise KubeconfigError(f"{what} is not a mapping: the secret must hold a kubeconfig, as YAML or JSON")
    return value


def _named(config: dict[str, Any], plural: str, singular: str, name: Any, what: str) -> dict[str, Any]:
    """The entry called `name` of one of the three lists of a kubeconfig."""
    entries = config.get(plural)
    if not isinstance(entries, list):
        raise KubeconfigError(f"the kubeconfig has no list of {plural}")
    found = [entry for entry in entries if isinstance(entry, dict) and entry.get("name") == name]
    if not isinstance(name, str) or len(found) != 1:
        count = "is not" if not found else "is more than once"
        raise KubeconfigError(f"{what} names something that {count} in {plural}: it must be there once")
    return _mapping(found[0].get(singular), f"{singular} of an entry of {plural}")


def _refuse(entry: dict[str, Any], known: Mapping[str, str | None], what: str) -> None:
    for key in entry:
        if key not in known:
            name = key if re.fullmatch("[A-Za-z-]{1,40}", str(key)) else "(not a name)"  # it may be a slipped secret
            raise KubeconfigError(f"{what} has a field that is not known here: remove {name}")
        if (reason := known[key]) is not None:
            raise KubeconfigError(f"{key} {reason}")


def _text(entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise KubeconfigError(f"{key} is not a text")
    return value


def _token(user: dict[str, Any]) -> str | None:
    token = (_text(user, "token") or "").strip()
    # It goes into a header: a line break in it would be a second header.
    if not all("!" <= letter <= "~" for letter in token):
        raise KubeconfigError("token holds characters that no token has: copy it again, without spaces or line breaks")
    return token or None


def _pem(entry: dict[str, Any], key: str) -> str | None:
    encoded = _text(entry, key)
    if encoded is None:
        return None
    try:
        decoded = base64.b64decode("".join(encoded.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise KubeconfigError(f"{key} is not base64 of a PEM text: copy it again") from None  # may quote the key
    if "-----BEGIN " not in decoded:
        raise KubeconfigError(f"{key} is not base64 of a PEM text: it has no BEGIN line")
    return decoded


def _authority(cluster: dict[str, Any], allow_insecure: bool) -> str | None:
    said = (_text(cluster, "insecure-skip-tls-verify") or "false").lower()
    if said not in ("true", "false"):
        raise KubeconfigError("insecure-skip-tls-verify is neither true nor false")
    skip = said == "true"
    authority = _pem(cluster, "certificate-authority-data")
    if skip and authority is not None:
        raise KubeconfigError("insecure-skip-tls-verify and certificate-authority-data exclude each other: remove one")
    if authority is None and not allow_insecure:
        seen = "insecure-skip-tls-verify is set" if skip else "the cluster has no certificate-authority-data"
        raise KubeconfigError(f"{seen}: add certificate-authority-data, or allow this fabric to be read unverified")
    return authority


def _server(cluster: dict[str, Any]) -> str:
    server = _text(cluster, "server")
    if server is None:
        raise KubeconfigError("the cluster has no server: add its https:// address")
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError:
        raise KubeconfigError("server is not a URL: it must look like https://name:6443") from None
    if parts.scheme != "https":
        raise KubeconfigError("server is not an https:// address, and credentials are not sent in the clear")
    if not parts.hostname or port == 0 or not all("!" <= letter <= "~" for letter in server):
        raise KubeconfigError("server is not a URL: it must look like https://name:6443")
    if parts.username is not None or parts.query or parts.fragment:
        raise KubeconfigError("server holds more than an address: remove the user, the query and the fragment")
    return server.rstrip("/")


@contextmanager
def _file_in_memory(text: str) -> Iterator[str]:
    """A path under which `text` can be read: OpenSSL's API for client certificates takes nothing but paths."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("credentials")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        # Where there is no memfd (not on Linux): a file that only we may read, gone when the certificate is loaded.
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            yield file.name


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """The TLS settings of one fabric: its own CA and nothing else, and its client certificate.

    Nothing touches the disk. Raises `KubeconfigError` when a certificate or key cannot be used.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_NONE if credentials.ca_pem is None else ssl.CERT_REQUIRED)
    # On from Python 3.13; the CAs that older clusters made for themselves lack what it asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if credentials.ca_pem is not None:
        try:
            context.load_verify_locations(cadata=credentials.ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise KubeconfigError("certificate-authority-data holds no usable certificate: copy it again") from error
    if credentials.client_certificate_pem is not None:
        pem = f"{credentials.client_certificate_pem}\n{credentials.client_key_pem}\n"
        try:
            with _file_in_memory(pem) as path:
                # A password, though none is needed, so that OpenSSL never asks for one on the terminal.
                context.load_cert_chain(path, password="")
        except (ssl.SSLError, ValueError) as error:
            raise KubeconfigError(
                "client-certificate-data and client-key-data do not make a usable pair: copy both again"
            ) from error
    return context
