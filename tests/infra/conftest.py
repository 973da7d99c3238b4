"""What the tests of the ground floor share."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.deadline import Deadline
from infra.kubernetes import Credentials, KubernetesClient
from tests import certificates, hostile
from tests.kubernetes_api import PATIENCE, TOKEN, Api, Recorded


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def client(api: Api) -> Iterator[KubernetesClient]:
    with hostile.serve(api.behaviour, tls=True) as server:
        credentials = Credentials(server.url, certificates.authority().certificate, TOKEN)
        with KubernetesClient(credentials, Deadline.after(PATIENCE)) as client:
            yield client


@pytest.fixture
def recorded(shared: Path) -> Recorded:
    def read(name: str) -> list[dict[str, Any]]:
        exchanges: list[dict[str, Any]] = json.loads((shared / "facts" / "kubernetes" / f"{name}.json").read_text())[
            "exchanges"
        ]
        return exchanges

    return read


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the tests' own certificate authority."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(certificates.authority().certificate)
    return str(path)


@pytest.fixture
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
