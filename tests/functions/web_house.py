"""The function `manual` served as it is deployed, with a real NetBox, simulated fabrics and the embedded broker."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.sandbox.fabric.serve import Fabrics, serve
from tests.fabric_content import small_cluster
from tests.house import House, house
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

TOKEN = "a-token-that-nobody-guesses"
HOOK_KEY = "a-key-of-netboxs-own-webhook"
FABRICS = ("lab", "other", "held", "slow", "shown", "journey")


@dataclass(frozen=True)
class Answer:
    """One answer of the function."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Desk:
    """The served function, and who asks it."""

    house: House
    netbox: ServedNetBox
    fabrics: Fabrics
    headers: Mapping[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {TOKEN}"})

    @property
    def url(self) -> str:
        return self.house.serving.url

    def ask(self, method: str, path: str, body: Any = None, *, bare: bool = False, **headers: str) -> Answer:
        """Ask with the token (not when `bare`); `body` is JSON, a form's text or bytes, `_` in a header is a hyphen."""
        given = {} if bare else dict(self.headers)
        given |= {name.replace("_", "-"): text for name, text in headers.items()}
        if isinstance(body, dict):
            body, given = json.dumps(body).encode(), {"Content-Type": "application/json", **given}
        elif isinstance(body, str):
            body, given = body.encode(), {"Content-Type": "application/x-www-form-urlencoded", **given}
        return asked(self.url, method, path, body, given)

    def requests(self) -> list[tuple[Mapping[str, str], Any]]:
        """The attributes and data of the requests that were published since they were last asked for."""
        return self.house.requests()


def asked(url: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request to a server."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        return Answer(reply.status, dict(reply.getheaders()), reply.read().decode())


@contextlib.contextmanager
def desk(netbox_server: ServedNetBox, place: Path, deadline: float = 20.0, **environment: str) -> Iterator[Desk]:
    """`manual` with the fabrics `FABRICS`, of which none was synced yet, and one that is not configured (`bare`)."""
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        for name in FABRICS:
            with_fabric(netbox, name)
        with_fabric(netbox, "off", fabric_enabled=False)
        with_fabric(netbox, "bare", fabric_secret="x")
        row = next(row for row in netbox.read("virtualization/clusters", {"name": "bare"}))
        netbox.update("virtualization/clusters", [{"id": row["id"], "custom_fields": {"fabric_secret": None}}])
    content = {name: small_cluster(name) for name in FABRICS}
    given = {"FABRIC_SYNC_MANUAL_TOKEN": TOKEN, "FABRIC_SYNC_HOOK_KEY": HOOK_KEY, **environment}
    given = {name: text for name, text in given.items() if text}
    with (
        serve(content, place) as fabrics,
        house(
            place,
            served.url,
            served.token_v2,
            deadline=deadline,
            reserve=4.0,
            target="manual",
            threads=8,
            environment=given,
        ) as made,
    ):
        yield Desk(made, served, fabrics)
