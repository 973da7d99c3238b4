"""From what a door raised to the error of the closed list that an outcome carries."""

from __future__ import annotations

from functions.errors import Code, Problem, Side, SyncStopped
from infra.deadline import DeadlineExceeded
from infra.faults import Fault, TransportError
from infra.secrets import SecretError, SecretProblem

_TRANSPORT = {
    Fault.TLS: "tls",
    Fault.TOO_LARGE: "bad_answer",
    Fault.REDIRECT: "bad_answer",
    Fault.PROTOCOL: "bad_answer",
}


def problem_of(error: Exception, side: Side) -> Problem:
    """The error of the closed list behind an exception that a door of `side` raised.

    The doors raise specific exceptions; anything unknown is `internal`, with its type and text.
    """
    text = str(error)
    if isinstance(error, SyncStopped):
        return error.problem
    if isinstance(error, SecretError):
        unreachable = error.code is SecretProblem.UNREACHABLE
        return Problem(Code.SECRETS_UNREACHABLE if unreachable else Code.BAD_SECRET, text)
    if side is Side.CONFIG and isinstance(error, DeadlineExceeded):
        return Problem(Code.SECRETS_UNREACHABLE, text)
    if side in (Side.FABRIC, Side.NETBOX):
        if isinstance(error, DeadlineExceeded):
            return Problem(Code(f"{side}_timeout"), text)
        if isinstance(error, TransportError):
            return Problem(Code(f"{side}_{_TRANSPORT.get(error.fault, 'unreachable')}"), text)
        found = _fabric_answer(error) if side is Side.FABRIC else _netbox_answer(error)
        if found is not None:
            return Problem(found, text)
    if side is Side.EVENTS:
        return Problem(Code.PUBLISH_FAILED, text)
    return Problem(Code.INTERNAL, f"{type(error).__name__}: {text}")


def _fabric_answer(error: Exception) -> Code | None:
    """The code behind what the Kubernetes door raised; imported late, for NetBox alone needs no Kubernetes."""
    from infra.kubeconfig import KubeconfigError
    from infra.kubernetes import KubernetesError

    if isinstance(error, KubeconfigError):
        return Code.BAD_KUBECONFIG
    if not isinstance(error, KubernetesError):
        return None
    by_status = {401: Code.FABRIC_UNAUTHORIZED, 403: Code.FABRIC_FORBIDDEN, 429: Code.FABRIC_THROTTLED}
    if error.status in by_status:
        return by_status[error.status]
    return Code.FABRIC_BAD_ANSWER if error.status < 400 else Code.FABRIC_ERROR


def _netbox_answer(error: Exception) -> Code | None:
    from infra.netbox import NetBoxError, UnprovenReadError, UnusableAnswerError

    if isinstance(error, UnprovenReadError):
        return Code.NETBOX_CHANGED
    if isinstance(error, UnusableAnswerError):
        return Code.NETBOX_BAD_ANSWER
    if not isinstance(error, NetBoxError):
        return None
    by_status = {401: Code.NETBOX_DENIED, 403: Code.NETBOX_DENIED, 429: Code.NETBOX_THROTTLED}
    return by_status.get(error.status, Code.NETBOX_ERROR)
