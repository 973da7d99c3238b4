"""Whether a fabric could be synced: its settings, secret, API server and kinds; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from functions import registry
from functions.errors import Code, Problem, Side, SyncStopped
from functions.kinds import KINDS
from functions.problems import problem_of
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubeconfig import KubeconfigError, parse_kubeconfig
from infra.kubernetes import KubernetesClient, KubernetesError, Resource
from infra.netbox import NetBoxError, NetBoxReader
from infra.secrets import SecretError, SecretStore
from infra.transport import TransportError

EXPECTED: Final = (
    DeadlineExceeded,
    KubeconfigError,
    KubernetesError,
    NetBoxError,
    SecretError,
    SyncStopped,
    TransportError,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is as it should be, what was found, and what to do if not."""

    what: str
    ok: bool
    found: str
    hint: str = ""
    problem: Problem | None = None

    def as_dict(self) -> dict[str, Any]:
        """The check as JSON."""
        return {"what": self.what, "ok": self.ok, "found": self.found, "hint": self.hint}


def failed(what: str, error: Exception, side: Side) -> Check:
    """The check that ended with an error."""
    problem = problem_of(error, side)
    return Check(what, False, f"{problem.code}: {problem.text}", problem.nature.hint, problem)


def check_fabric(name: str, netbox: NetBoxReader, secrets: SecretStore, deadline: Deadline) -> Iterator[Check]:
    """Look at one fabric step by step, until one leaves nothing to look at; raises nothing that is expected."""
    side, what = Side.NETBOX, "settings"
    try:
        fabric = registry.fabric_of(registry.find(netbox, name))
        yield Check(what, True, f"site {fabric.site}, secret {fabric.secret}")
        side, what = Side.CONFIG, "secret"
        secret = secrets.read(fabric.secret, deadline)
        yield Check(what, True, f"{fabric.secret} was read")
        side, what = Side.FABRIC, "kubeconfig"
        credentials = parse_kubeconfig(secret.reveal(), allow_insecure=fabric.insecure_tls)
        yield Check(what, True, "TLS is not verified" if fabric.insecure_tls else "a server, its CA and credentials")
        what = "connection"
        with KubernetesClient(credentials, deadline) as client:
            yield Check(what, True, f"Kubernetes {client.version()}")
            what = "kinds"
            there = {(one.group, one.plural): one for one in client.discover()}
            yield from _kinds(client, there, deadline)
    except EXPECTED as error:
        yield failed(what, error, side)


def _kinds(client: KubernetesClient, there: dict[tuple[str, str], Resource], deadline: Deadline) -> Iterator[Check]:
    """Whether each kind may be listed: one object of it is asked for."""
    absent: list[str] = []
    refused: list[str] = []
    listed = 0
    for kind in KINDS:
        resource = there.get((kind.group, kind.plural))
        if resource is None:
            absent.append(kind.name)
            continue
        deadline.check(f"listing {kind.name}")
        try:
            next(iter(client.pages(resource, limit=1, metadata_only=True)), None)
            listed += 1
        except KubernetesError as error:
            (absent if kind.optional else refused).append(f"{kind.name} ({error.status})")
    if refused:
        hint = "Grant `list` and `get` on the Hedgehog kinds to the service account."
        text = f"may not be listed: {', '.join(refused)}"
        yield Check("kinds", False, text, hint, Problem(Code.FABRIC_FORBIDDEN, text))
        return
    if not listed:
        text = "the API server offers no Hedgehog kind: is this a Hedgehog fabric?"
        yield Check("kinds", False, text, "Is Hedgehog installed?", Problem(Code.FABRIC_BAD_ANSWER, text))
        return
    some = f"; without {', '.join(absent)}" if absent else ""
    yield Check("kinds", True, f"{listed} kinds may be listed{some}")
