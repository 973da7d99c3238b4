"""A small server that gives recorded or made-up answers of a Kubernetes API, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from infra.kubernetes import KubernetesClient, Resource
from tests import hostile

TOKEN = "sEcReT.token"
PATIENCE = 30.0
WIRING = "wiring.githedgehog.com"
CONNECTIONS = Resource(WIRING, "v1beta1", "connections", "Connection")
SWITCHES = Resource(WIRING, "v1beta1", "switches", "Switch")
LISTS = f"/apis/{WIRING}/v1beta1"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Api:
    """What the small server answers: the first answer left for a path, in order; and what it was asked."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def add(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.setdefault(path, []).append((status, {"Content-Type": "application/json", **headers}, raw))

    def add_recorded(self, path: str, exchange: dict[str, Any]) -> None:
        response = exchange["response"]
        raw = response["body_text"].encode() if "body_text" in response else json.dumps(response["body"]).encode()
        headers = {name: value for name, value in response["headers"] if name in ("Content-Type", "Retry-After")}
        self.answers.setdefault(path, []).append((int(response["status_line"].split()[1]), headers, raw))

    def behaviour(self, peer: hostile.Peer) -> None:
        while head := peer.request().decode():
            request, *lines = head.split("\r\n")
            target = urlsplit(request.split()[1])
            sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            query = {
                name: values[0] for name, values in parse_qs(target.query, strict_parsing=bool(target.query)).items()
            }
            self.asked.append((target.path, query, sent))
            if sent.get("authorization") not in (None, f"Bearer {TOKEN}"):
                peer.send(hostile.answer(b"{}", status="401 Unauthorized"))
                continue
            left = self.answers.get(target.path)
            status, headers, body = (
                left.pop(0) if left else (404, {"Content-Type": "text/plain"}, b"404 page not found\n")
            )
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "Content-Type")
            peer.send(hostile.answer(body, kind=headers["Content-Type"], status=f"{status} Some Phrase", headers=more))


Recorded = Callable[[str], list[dict[str, Any]]]


def item(name: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "managedFields": [{"manager": "kubectl"}]}
    return {"apiVersion": f"{WIRING}/v1beta1", "kind": "Connection", "metadata": metadata, **more}


def page(*items: Any, token: str = "", version: str = "7", kind: str = "ConnectionList", **metadata: Any) -> Any:
    return {
        "apiVersion": f"{WIRING}/v1beta1",
        "items": list(items),
        "kind": kind,
        "metadata": {"continue": token, "resourceVersion": version, **metadata},
    }


def names(client: KubernetesClient, **options: Any) -> list[str]:
    return [item["metadata"]["name"] for page in client.pages(CONNECTIONS, **options) for item in page.items]
