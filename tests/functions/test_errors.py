"""The closed list of errors: complete, and each exception of a door finds its place in it."""

from __future__ import annotations

import pytest

from functions.errors import NATURES, Code, Problem, Side, SyncStopped
from functions.problems import problem_of
from infra.deadline import DeadlineExceeded
from infra.kubeconfig import KubeconfigError
from infra.kubernetes import KubernetesError, ListExpired
from infra.netbox import NetBoxError, UnprovenReadError, UnusableAnswerError
from infra.pubsub import PublishError
from infra.secrets import SecretError, SecretProblem
from infra.transport import Fault, TransportError


@pytest.mark.parametrize("code", Code)
def test_every_error_says_where_it_lies_and_what_to_do(code: Code) -> None:
    problem = Problem(code, "text")
    assert problem.nature is NATURES[code]
    assert problem.as_dict()["code"] == code.value
    assert problem.nature.hint.endswith((".", "?"))
    prefix = code.value.partition("_")[0]
    if prefix in ("fabric", "netbox"):
        assert problem.nature.side.value == prefix


@pytest.mark.parametrize("side", [Side.FABRIC, Side.NETBOX])
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_of_the_transport_is_an_error_of_that_side(side: Side, fault: Fault) -> None:
    problem = problem_of(TransportError(fault, "host:1", "detail"), side)
    assert problem.nature.side is side
    assert "host:1" in problem.text


PLACES = {
    "a fabric out of time": (DeadlineExceeded("x"), Side.FABRIC, Code.FABRIC_TIMEOUT),
    "NetBox out of time": (DeadlineExceeded("x"), Side.NETBOX, Code.NETBOX_TIMEOUT),
    "a secret store out of time": (DeadlineExceeded("x"), Side.CONFIG, Code.SECRETS_UNREACHABLE),
    "Pub/Sub out of time": (DeadlineExceeded("x"), Side.EVENTS, Code.PUBLISH_FAILED),
    "Pub/Sub refusing": (PublishError("x", retryable=False), Side.EVENTS, Code.PUBLISH_FAILED),
    "a secret that is missing": (SecretError(SecretProblem.MISSING, "s", "x"), Side.CONFIG, Code.BAD_SECRET),
    "a secret store that is away": (
        SecretError(SecretProblem.UNREACHABLE, "s", "x"),
        Side.CONFIG,
        Code.SECRETS_UNREACHABLE,
    ),
    "a kubeconfig": (KubeconfigError("x"), Side.FABRIC, Code.BAD_KUBECONFIG),
    "a fabric's 401": (KubernetesError(401, "r", "x"), Side.FABRIC, Code.FABRIC_UNAUTHORIZED),
    "a fabric's 403": (KubernetesError(403, "r", "x"), Side.FABRIC, Code.FABRIC_FORBIDDEN),
    "a fabric's 404": (KubernetesError(404, "r", "x"), Side.FABRIC, Code.FABRIC_ERROR),
    "a fabric's 410": (ListExpired(410, "r", "x"), Side.FABRIC, Code.FABRIC_ERROR),
    "a fabric's 429": (KubernetesError(429, "r", "x"), Side.FABRIC, Code.FABRIC_THROTTLED),
    "a fabric's 500": (KubernetesError(500, "r", "x"), Side.FABRIC, Code.FABRIC_ERROR),
    "a fabric's page of HTML": (KubernetesError(200, "HTML", "x"), Side.FABRIC, Code.FABRIC_BAD_ANSWER),
    "NetBox's 401": (NetBoxError(401, "x"), Side.NETBOX, Code.NETBOX_DENIED),
    "NetBox's 403": (NetBoxError(403, "x"), Side.NETBOX, Code.NETBOX_DENIED),
    "NetBox's 429": (NetBoxError(429, "x"), Side.NETBOX, Code.NETBOX_THROTTLED),
    "NetBox's 500": (NetBoxError(500, "x"), Side.NETBOX, Code.NETBOX_ERROR),
    "a NetBox that moves": (UnprovenReadError(200, "x"), Side.NETBOX, Code.NETBOX_CHANGED),
    "a page of HTML": (UnusableAnswerError(403, "x"), Side.NETBOX, Code.NETBOX_BAD_ANSWER),
    "a step that stopped": (SyncStopped(Problem(Code.UNKNOWN_FABRIC, "x")), Side.NETBOX, Code.UNKNOWN_FABRIC),
    "a fault of ours": (KeyError("x"), Side.NETBOX, Code.INTERNAL),
    "a fault of ours beside the fabric": (ValueError("x"), Side.FABRIC, Code.INTERNAL),
}


@pytest.mark.parametrize("case", PLACES)
def test_what_a_door_raises_finds_its_place(case: str) -> None:
    error, side, code = PLACES[case]
    problem = problem_of(error, side)
    assert problem.code is code
    assert "x" in problem.text
