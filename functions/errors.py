"""Pure: the closed list of what can go wrong with a sync: each with its side, whether to try again, and a hint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Where it went wrong."""

    FABRIC = "fabric"  # the Hedgehog control cluster, or the way to it
    NETBOX = "netbox"  # NetBox, or the way to it
    EVENTS = "events"  # Pub/Sub, or the way to it
    CONFIG = "config"  # what people configured: the cluster in NetBox, the secret, the environment
    SELF = "self"  # this system


class Code(StrEnum):
    """Every error that an outcome can carry. Values are stable: programs act on them."""

    FABRIC_TIMEOUT = "fabric_timeout"
    FABRIC_UNREACHABLE = "fabric_unreachable"
    FABRIC_TLS = "fabric_tls"
    FABRIC_UNAUTHORIZED = "fabric_unauthorized"
    FABRIC_FORBIDDEN = "fabric_forbidden"
    FABRIC_THROTTLED = "fabric_throttled"
    FABRIC_ERROR = "fabric_error"
    FABRIC_BAD_ANSWER = "fabric_bad_answer"
    NETBOX_TIMEOUT = "netbox_timeout"
    NETBOX_UNREACHABLE = "netbox_unreachable"
    NETBOX_TLS = "netbox_tls"
    NETBOX_DENIED = "netbox_denied"
    NETBOX_THROTTLED = "netbox_throttled"
    NETBOX_ERROR = "netbox_error"
    NETBOX_BAD_ANSWER = "netbox_bad_answer"
    NETBOX_CHANGED = "netbox_changed"
    NETBOX_NOT_READY = "netbox_not_ready"
    PUBLISH_FAILED = "publish_failed"
    BAD_REQUEST = "bad_request"
    PLAN_MOVED = "plan_moved"
    UNKNOWN_FABRIC = "unknown_fabric"
    NOT_CONFIGURED = "not_configured"
    BAD_SECRET = "bad_secret"  # noqa: S105 - the name of an error
    SECRETS_UNREACHABLE = "secrets_unreachable"
    BAD_KUBECONFIG = "bad_kubeconfig"
    LEASE_LOST = "lease_lost"
    NO_PROGRESS = "no_progress"
    HARD_WALL = "hard_wall"
    INTERRUPTED = "interrupted"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Nature:
    """What is always true of an error: where it lies, whether trying again may help, what a person can do."""

    side: Side
    retryable: bool
    hint: str


_F, _N, _E, _C, _S = Side.FABRIC, Side.NETBOX, Side.EVENTS, Side.CONFIG, Side.SELF

NATURES: dict[Code, Nature] = {
    Code.FABRIC_TIMEOUT: Nature(_F, True, "The fabric's API server did not answer in time: is the control node up?"),
    Code.FABRIC_UNREACHABLE: Nature(_F, True, "Check the server address in the kubeconfig, routing and firewalls."),
    Code.FABRIC_TLS: Nature(_F, False, "The certificate does not fit the CA in the kubeconfig: renew the secret."),
    Code.FABRIC_UNAUTHORIZED: Nature(_F, False, "The fabric refused the token: make a new one, update the secret."),
    Code.FABRIC_FORBIDDEN: Nature(_F, False, "Grant `list` and `get` on the Hedgehog kinds to the service account."),
    Code.FABRIC_THROTTLED: Nature(_F, True, "The API server is overloaded; the next run tries again."),
    Code.FABRIC_ERROR: Nature(_F, True, "The API server failed: look at its log, and at etcd."),
    Code.FABRIC_BAD_ANSWER: Nature(_F, True, "Not a Kubernetes answer: is there a proxy in front of the API server?"),
    Code.NETBOX_TIMEOUT: Nature(_N, True, "NetBox did not answer in time: look at its load and its database."),
    Code.NETBOX_UNREACHABLE: Nature(_N, True, "Check NETBOX_URL, routing and whether NetBox is up."),
    Code.NETBOX_TLS: Nature(_N, False, "NetBox's certificate is not trusted: set NETBOX_CA_FILE."),
    Code.NETBOX_DENIED: Nature(_N, False, "NetBox refused the token or a permission is missing: see the README."),
    Code.NETBOX_THROTTLED: Nature(_N, True, "NetBox, or what stands in front of it, limits requests."),
    Code.NETBOX_ERROR: Nature(_N, True, "NetBox failed: look at its log and its database."),
    Code.NETBOX_BAD_ANSWER: Nature(_N, True, "Not a NetBox answer: is a maintenance page or a proxy in front of it?"),
    Code.NETBOX_CHANGED: Nature(_N, True, "NetBox was changed while it was read; the next run tries again."),
    Code.NETBOX_NOT_READY: Nature(_N, False, "Run `fabric-sync bootstrap` against this NetBox."),
    Code.PUBLISH_FAILED: Nature(_E, True, "The event could not be published: check the topic and its permissions."),
    Code.BAD_REQUEST: Nature(_C, False, "The request is not a sync request: see docs/events.md."),
    Code.PLAN_MOVED: Nature(
        _C, False, "The fabric or NetBox changed since: look at the new plan, `fabric-sync plan NAME`, and apply that."
    ),
    Code.UNKNOWN_FABRIC: Nature(_C, False, "No cluster of type Hedgehog Fabric has this name in NetBox."),
    Code.NOT_CONFIGURED: Nature(_C, False, "Fill in what is missing on the fabric's cluster in NetBox."),
    Code.BAD_SECRET: Nature(_C, False, "The secret that the fabric names cannot be read from the secret store."),
    Code.SECRETS_UNREACHABLE: Nature(_C, True, "The secret store did not answer; the next run tries again."),
    Code.BAD_KUBECONFIG: Nature(
        _C, False, "The kubeconfig in the secret is refused: see the README for what is taken."
    ),
    Code.LEASE_LOST: Nature(_S, True, "Another run took over (a clock may be wrong); it tells how the fabric is."),
    Code.NO_PROGRESS: Nature(
        _N,
        True,
        "No write was confirmed in two runs: NetBox is too slow for the deadline, or a single object hangs it.",
    ),
    Code.HARD_WALL: Nature(_S, True, "The run did not end by itself and was ended: its log has its last step."),
    Code.INTERRUPTED: Nature(_S, True, "The platform stopped this instance; the next run goes on."),
    Code.OUT_OF_MEMORY: Nature(_S, True, "The run needed more memory than it may have: raise FABRIC_SYNC_MEMORY_MIB."),
    Code.CRASHED: Nature(_S, True, "The run's process died: the log tells the signal or exit code."),
    Code.INTERNAL: Nature(_S, True, "A fault of fabric-sync: the log has the traceback under this event id."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as an outcome carries it. `text` says what happened, to which object; it never holds a secret."""

    code: Code
    text: str

    @property
    def nature(self) -> Nature:
        """What is always true of this error."""
        return NATURES[self.code]

    def as_dict(self) -> dict[str, object]:
        """The error as JSON: code, side, retryable, text, hint."""
        nature = self.nature
        return {
            "code": self.code.value,
            "side": nature.side.value,
            "retryable": nature.retryable,
            "text": self.text,
            "hint": nature.hint,
        }


class SyncStopped(Exception):
    """A step found that the run cannot go on; `problem` is what the outcome will say."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem
