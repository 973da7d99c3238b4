"""Brings simulated fabrics up, in this process: ports, certificates, kubeconfigs, an address book, an admin door."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from infra.sandbox.fabric.admin import AdminDoor
from infra.sandbox.fabric.apiserver import AUDITOR, NOBODY, READER, Audited, SimulatedFabric
from infra.sandbox.fabric.certificates import Authority, make_authority
from infra.sandbox.fabric.faults import Faults
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.server import FabricListener
from infra.sandbox.fabric.spec import read_spec

ADDRESS_BOOK = "fabrics.json"
SECRETS = "secrets"
KUBECONFIG_PREFIX = "fabric-"  # as the secrets door allows by default

type Content = Cluster | Path | Sequence[Path] | str
"""What a fabric holds: a store, manifest files, or a text as `read_spec` takes it."""


@dataclass(frozen=True, slots=True)
class ServedFabric:
    """One running fabric: where it is, how to get in, and the handles to change it."""

    name: str
    url: str
    ca_pem: bytes
    token: str
    fabric: SimulatedFabric
    listener: FabricListener

    @property
    def cluster(self) -> Cluster:
        return self.fabric.cluster

    @property
    def faults(self) -> Faults:
        return self.fabric.faults

    @property
    def audit(self) -> tuple[Audited, ...]:
        return self.fabric.audit

    def token_of(self, user: str) -> str:
        """The bearer token of `fabric-reader`, `fabric-auditor` or `fabric-nobody`."""
        return next(token for token, known in self.fabric.tokens.items() if known == user)

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig value (YAML) for the reader: server, CA data and bearer token, nothing else."""
        return make_kubeconfig(self.name, self.url, self.ca_pem, self.token)


class Fabrics:
    """Running fabrics by name; a context manager. Closing is immediate and leaves no thread that matters."""

    def __init__(self, served: Mapping[str, ServedFabric], state: Path | None, admin_port: int = 0) -> None:
        self._served = dict(served)
        self._state = state
        self.admin = AdminDoor({name: one.fabric for name, one in served.items()}, admin_port)
        if state:
            self._write(state)

    def __getitem__(self, name: str) -> ServedFabric:
        return self._served[name]

    def __iter__(self) -> Any:
        return iter(self._served)

    def __len__(self) -> int:
        return len(self._served)

    def __enter__(self) -> Fabrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all fabrics and take the address book away (the kubeconfigs stay)."""
        self.admin.close()
        for served in self._served.values():
            served.listener.close()
        if self._state:
            (self._state / ADDRESS_BOOK).unlink(missing_ok=True)

    def _write(self, state: Path) -> None:
        folder = state / SECRETS
        folder.mkdir(parents=True, exist_ok=True)
        book: dict[str, Any] = {"pid": os.getpid(), "admin": self.admin.url, "fabrics": {}}
        for name, served in self._served.items():
            secret = folder / f"{KUBECONFIG_PREFIX}{name}"
            _write_private(secret, served.kubeconfig)
            book["fabrics"][name] = {"url": served.url, "kubeconfig": str(secret), "secret": secret.name}
        _write_private(state / ADDRESS_BOOK, json.dumps(book, indent=2) + "\n")


def serve(
    fabrics: Mapping[str, Content],
    state_dir: Path | None = None,
    *,
    faults: Mapping[str, Iterable[Any]] | None = None,
    admin_port: int = 0,
) -> Fabrics:
    """Serve fabrics on free loopback ports until closed.

    Args:
        fabrics: name → content.
        state_dir: where to write `secrets/<name>` (a kubeconfig each) and `fabrics.json` (addresses, pid, admin URL).
        faults: name → faults that are on from the start.
        admin_port: the port of the admin door (0: any).

    Raises:
        ManifestError, SpecError, FaultError: the content or a fault of a fabric cannot be understood.
        OSError: no port, or the state directory cannot be written.
    """
    authority = make_authority()
    served: dict[str, ServedFabric] = {}
    with contextlib.ExitStack() as undo:
        for name, content in fabrics.items():
            served[name] = _start(name, _content(name, content), Faults((faults or {}).get(name, ())), authority)
            undo.callback(served[name].listener.close)
        running = Fabrics(served, state_dir, admin_port)
        undo.pop_all()
    return running


def make_kubeconfig(name: str, url: str, ca_pem: bytes, token: str) -> str:
    """A kubeconfig value with inline CA data and a bearer token."""
    authority = base64.b64encode(ca_pem).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": authority}}],
            "users": [{"name": "reader", "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "reader"}}],
            "current-context": name,
        },
        sort_keys=False,
    )


def _content(name: str, content: Content) -> Cluster:
    if isinstance(content, Cluster):
        return content
    if isinstance(content, str):
        return read_spec(name, content)
    return Cluster(name).load(*([content] if isinstance(content, Path) else content))


def _start(name: str, cluster: Cluster, faults: Faults, authority: Authority) -> ServedFabric:
    tokens = {secrets.token_urlsafe(24): user for user in (READER, AUDITOR, NOBODY)}
    fabric = SimulatedFabric(cluster, tokens, faults)
    listener = FabricListener(fabric, authority.context)
    return ServedFabric(name, listener.url, authority.ca_pem, next(iter(tokens)), fabric, listener)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
