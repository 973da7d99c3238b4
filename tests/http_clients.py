"""The three clients that speak through the bounded transport, each asking as the system asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pynetbox
import pytest
import requests

from infra.deadline import Deadline, DeadlineExceeded
from infra.kubernetes import Credentials, KubernetesClient, KubernetesError, Resource
from infra.transport import BoundedSession, bounded_session

BUDGET = 1.0
MARGIN = 2.0  # the machine is shared; without the deadline these servers hold a client for a minute and more
PATIENCE = 30.0  # for what must end by itself, long before any deadline
CAP = 1024 * 1024
SWITCHES = Resource("wiring.githedgehog.com", "v1beta1", "switches", "Switch")


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
