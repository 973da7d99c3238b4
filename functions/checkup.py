"""A look at the way to one fabric, step by step, within seconds; it writes nothing and touches no fact of a sync."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from functions import registry
from functions.errors import Code, Problem, Side, SyncStopped, problem_of
from functions.fabric import Fabric
from functions.kinds import KINDS
from functions.status import Connection, connection_after
from functions.sync import EXPECTED
from infra.deadline import Deadline
from infra.kubeconfig import parse_kubeconfig
from infra.kubernetes import KubernetesClient, Resource
from infra.netbox import NetBoxReader
from infra.secrets import open_secrets, read_netbox_token
from infra.settings import Settings
from infra.telemetry import bound, setup

CHECKUP: Final = "functions.checkup:work"
"""What the supervisor is told to run."""

MOST_SECONDS: Final = 10.0
"""How long a look may take, all steps together."""


@dataclass(slots=True)
class Checkup:
    """What was seen so far: the steps that went well, each with its seconds, and what stood in the way."""

    connection: Connection = Connection.UNKNOWN
    steps: list[dict[str, Any]] = field(default_factory=list)
    problem: Problem | None = None
    _step: tuple[str, Side] = ("settings", Side.CONFIG)

    def look(self, settings: Settings, name: str, deadline: Deadline) -> None:
        """Read the fabric's cluster, its secret and kubeconfig, and ask its API server; never raises for what is met.

        One object of each offered kind is listed, for a right to read that is missing shows nowhere else.
        """
        try:
            fabric = self._fabric(settings, name, deadline)
            with self._at("secret", Side.CONFIG):
                secrets = open_secrets(settings.secrets or "", settings.secret_prefix)
                kubeconfig = secrets.read(fabric.secret, deadline)
            with self._at("kubeconfig", Side.FABRIC) as told:
                credentials = parse_kubeconfig(kubeconfig.reveal(), allow_insecure=fabric.insecure_tls)
                told["server"] = credentials.server
            with KubernetesClient(credentials, deadline) as client:
                self._ask(client)
            self.connection = Connection.CONNECTED
        except EXPECTED as error:
            self.problem = problem_of(error, self._step[1])
            self.steps.append({"step": self._step[0], "ok": False})
            self.connection = connection_after(None, False, self.problem.code)

    def _fabric(self, settings: Settings, name: str, deadline: Deadline) -> Fabric:
        with self._at("settings", Side.CONFIG):
            token = read_netbox_token(settings, deadline).reveal()
        ca_file = str(settings.netbox_ca_file) if settings.netbox_ca_file else None
        with (
            self._at("cluster", Side.NETBOX),
            NetBoxReader(settings.netbox_url, token, deadline, ca_file=ca_file) as netbox,
        ):
            return registry.fabric_of(registry.find(netbox, name))

    def _ask(self, client: KubernetesClient) -> None:
        with self._at("version", Side.FABRIC) as told:
            told["version"] = client.version()
        with self._at("kinds", Side.FABRIC) as told:
            offered = {(found.group, found.kind): found for found in client.discover()}
            known: list[Resource] = [
                offered[kind.group, kind.name] for kind in KINDS if (kind.group, kind.name) in offered
            ]
            told["kinds"] = len(known)
            if not known:
                text = "the API server offers no Hedgehog kind: is this a Hedgehog fabric?"
                raise SyncStopped(Problem(Code.FABRIC_BAD_ANSWER, text))
        with self._at("rights", Side.FABRIC) as told:
            for resource in known:
                next(client.pages(resource, limit=1, metadata_only=True), None)
            told["kinds"] = len(known)

    @contextmanager
    def _at(self, step: str, side: Side) -> Iterator[dict[str, Any]]:
        """A step: what raises inside ends the look there."""
        self._step, began = (step, side), time.monotonic()
        told: dict[str, Any] = {}
        yield told
        self.steps.append({"step": step, "ok": True, "seconds": round(time.monotonic() - began, 3), **told})

    def as_dict(self, fabric: str) -> dict[str, Any]:
        """What was seen, as JSON."""
        return {
            "fabric": fabric,
            "connection": self.connection.value,
            "ok": self.problem is None,
            "steps": self.steps,
            "error": self.problem.as_dict() if self.problem else None,
        }


def timed_out(fabric: str, text: str) -> dict[str, Any]:
    """What is told of a look that did not end by itself."""
    return Checkup(Connection.UNREACHABLE, problem=Problem(Code.FABRIC_TIMEOUT, text)).as_dict(fabric)


def work(argument: Mapping[str, Any], send: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Look at `argument["fabric"]` until `argument["ends_at"]`, as a child process does it."""
    settings = Settings.from_env(os.environ, needs=("secrets",))
    setup(settings.log_level, settings.log_format)
    checkup = Checkup()
    with bound(fabric=argument["fabric"]):
        checkup.look(settings, argument["fabric"], Deadline(argument["ends_at"]))
    return checkup.as_dict(argument["fabric"])
