"""The function as it is deployed, served beside a broker of its own: asked over HTTP, outcomes read from a topic."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from functions.events import SyncRequest, request_message
from infra.sandbox.broker import Broker
from infra.sandbox.fabric.serve import make_kubeconfig
from infra.sandbox.serving import Serving
from tests.proxy import Proxy, proxied
from tests.pubsub_fixtures import Place

MAIN = Path(__file__).resolve().parent.parent / "functions" / "main.py"
PROJECT = "fabric-sync-tests"
type Body = bytes | Iterator[bytes]
"""A request's body; an iterator is sent in chunks, without a length."""

_numbers = itertools.count(1)

MARGIN = 3.0
"""Seconds that a busy test machine may need beyond a deadline to give an answer back."""


@dataclass(frozen=True)
class Asked:
    """One request to the function: the answer's status and content, the seconds it took, the outcomes that came."""

    status: int
    answer: Any
    seconds: float
    outcomes: list[Mapping[str, Any]]

    @property
    def outcome(self) -> Mapping[str, Any]:
        """The one outcome event's data."""
        (one,) = self.outcomes
        return one

    @property
    def code(self) -> str | None:
        error = self.outcome["error"]
        return error["code"] if error else None


@dataclass(frozen=True)
class House:
    """The function under functions-framework, its topics, and proxies in front of its NetBox and its broker."""

    serving: Serving
    broker: Broker
    events: Proxy
    netbox: Proxy
    secrets: Path
    requests_topic: str
    subscription: str
    requests_subscription: str
    others: list[str] = field(default_factory=list)

    def secret(self, fabric: str, kubeconfig: str) -> None:
        """Let the fabric's kubeconfig be this one."""
        (self.secrets / f"fabric-{fabric}").write_text(kubeconfig)

    def points_at(self, fabric: str, url: str, ca_pem: str) -> None:
        """Let the fabric's kubeconfig name this server."""
        self.secret(fabric, make_kubeconfig(fabric, url, ca_pem.encode(), "a-token-of-the-tests"))

    def ask(self, fabric: str, id_: str | None = None, *, force: bool = False) -> Asked:
        """Send a sync request as an unwrapped push does; a new one, unless `id_` says which."""
        return self.post(*requested(fabric, id_ or f"e-{next(_numbers)}", force=force))

    def post(self, headers: Mapping[str, str], body: Body) -> Asked:
        """Send any request to the function."""
        status, answer, seconds = posted(self.serving.url, headers, body)
        return Asked(status, answer, seconds, self.outcomes())

    def outcomes(self, wait: float = 0.0) -> list[Mapping[str, Any]]:
        """The data of the outcome events that came since they were last asked for; the types of `others` are kept."""
        told = self._pulled(self.subscription, wait)
        self.others.extend(attributes["ce-type"] for attributes, _ in told if "result" not in attributes)
        return [data for attributes, data in told if "result" in attributes]

    def requests(self, wait: float = 0.0) -> list[tuple[Mapping[str, str], Any]]:
        """The attributes and data of the requests that were published since they were last asked for."""
        return self._pulled(self.requests_subscription, wait)

    def _pulled(self, subscription: str, wait: float) -> list[tuple[Mapping[str, str], Any]]:
        name = f"projects/{PROJECT}/subscriptions/{subscription}"
        received = self.broker.exchange.pull(name, 100, wait)
        self.broker.exchange.acknowledge(name, [one["ackId"] for one in received])
        messages = [one["message"] for one in received]
        return [(each.get("attributes", {}), json.loads(base64.b64decode(each["data"]))) for each in messages]

    def log(self) -> str:
        return self.serving.log.read_text()


def requested(fabric: str, id_: str = "e-1", *, force: bool = False) -> tuple[Mapping[str, str], bytes]:
    """The headers and the body of a sync request as an unwrapped push."""
    message = request_message(SyncRequest(fabric, id_, id_, trigger="manual", force=force))
    return message.attributes, message.data


def posted(url: str, headers: Mapping[str, str], body: Body, patience: float = 120.0) -> tuple[int, Any, float]:
    """Send a request to a served function: the status, the answer as JSON, and the seconds that it took."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=patience)
    with contextlib.closing(connection):
        began = time.monotonic()
        connection.request("POST", "/", body, dict(headers))
        reply = connection.getresponse()
        text = reply.read()
        seconds = time.monotonic() - began
    return reply.status, json.loads(text), seconds


@contextlib.contextmanager
def house(
    place: Path,
    netbox_url: str,
    token: str,
    *,
    deadline: float,
    reserve: float,
    main: Path = MAIN,
    secrets: Path | None = None,
    target: str = "sync",
    environment: Mapping[str, str] | None = None,
    **serving: Any,
) -> Iterator[House]:
    """Serve the function from `main`, its state below `place`; `environment` goes on top, `serving` to `Serving`."""
    secrets = secrets or place / "secrets"
    secrets.mkdir(exist_ok=True)
    with Broker() as broker, proxied(broker.url) as events, proxied(netbox_url) as netbox:
        topics = Place("broker", broker.url)
        requests, outcomes = topics.topic("requests"), topics.topic("outcomes")
        subscription = topics.subscription(outcomes, ackDeadlineSeconds=60)
        asks = topics.subscription(requests, ackDeadlineSeconds=60)
        environment = {
            "NETBOX_URL": netbox.url,
            "NETBOX_TOKEN": token,
            "FABRIC_SYNC_SECRETS": str(secrets),
            "FABRIC_SYNC_PROJECT": PROJECT,
            "FABRIC_SYNC_BROKER_URL": events.url,
            "FABRIC_SYNC_TOPIC_REQUESTS": requests,
            "FABRIC_SYNC_TOPIC_OUTCOMES": outcomes,
            "FABRIC_SYNC_DEADLINE_S": str(deadline),
            "FABRIC_SYNC_RESERVE_S": str(reserve),
            **(environment or {}),
        }
        with Serving(main, target, place / "function.log", environment, **serving) as served:
            yield House(served, broker, events, netbox, secrets, requests, subscription, asks)
