"""A plain HTTP door on loopback through which another process switches faults, churns and reads the record."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.sandbox.fabric.apiserver import SimulatedFabric
from infra.sandbox.fabric.churn import churn
from infra.sandbox.fabric.faults import FaultError


class _Refused(Exception):
    """An admin call that cannot be done: status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class AdminDoor:
    """Serves, per fabric: `GET|PUT /-/faults/<fabric>` (a JSON list), `GET|DELETE /-/audit/<fabric>`,
    `POST /-/compact/<fabric>`, `POST /-/churn/<fabric>` (`{"seed": 1, "steps": 5}`), and `GET /-/fabrics`."""

    def __init__(self, fabrics: Mapping[str, SimulatedFabric], port: int = 0) -> None:
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                try:
                    given = json.loads(self.rfile.read(length) or b"null")
                    status, answer = 200, door.call(self.command, self.path, given)
                except _Refused as error:
                    status, answer = error.status, {"error": str(error)}
                except (FaultError, ValueError, TypeError) as error:
                    status, answer = 400, {"error": str(error)}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - names that http.server looks for

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing: the record of requests is kept elsewhere."""

        self._fabrics = dict(fabrics)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="fabric-admin", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def call(self, method: str, path: str, given: Any) -> Any:
        """Do one admin call; the answer as JSON."""
        parts = path.strip("/").split("/")
        if (method, parts) == ("GET", ["-", "fabrics"]):
            return sorted(self._fabrics)
        if len(parts) != 3 or parts[0] != "-" or parts[2] not in self._fabrics:
            raise _Refused(404, f"no such place: {path}; fabrics are {', '.join(sorted(self._fabrics))}")
        fabric = self._fabrics[parts[2]]
        match method, parts[1]:
            case "PUT", "faults":
                fabric.faults.set(given or [])
            case "GET", "faults":
                pass
            case "GET", "audit":
                return [{"method": one.method, "target": one.target, "user": one.user} for one in fabric.audit]
            case "DELETE", "audit":
                fabric.forget_audit()
            case "POST", "churn":
                wanted = {"seed": 1, "steps": 1} | (given or {})
                return [change.text for change in churn(fabric.cluster, int(wanted["seed"]), int(wanted["steps"]))]
            case "POST", "compact":
                fabric.cluster.compact()
            case _:
                raise _Refused(405, f"{method} {path} is no admin call")
        return [fault.as_json() for fault in fabric.faults.active]
