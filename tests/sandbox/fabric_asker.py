"""A bare HTTP client for one simulated fabric."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from infra.sandbox.fabric.serve import ServedFabric

WIRING = "/apis/wiring.githedgehog.com/v1beta1"
SWITCHES = f"{WIRING}/switches"


class Asker:
    """A bare HTTP client on one connection."""

    def __init__(self, fabric: ServedFabric, timeout: float = 20.0) -> None:
        context = ssl.create_default_context(cadata=fabric.ca_pem.decode())
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", fabric.listener.port, context=context, timeout=timeout
        )
        self.token = fabric.token

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        self.connection.request(method, path, headers={"Authorization": f"Bearer {self.token}", **headers})
        response = self.connection.getresponse()
        body = response.read()
        is_json = "json" in response.headers.get("Content-Type", "")
        return response.status, json.loads(body) if is_json and body else body.decode()
