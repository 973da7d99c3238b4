"""One request, one fabric, one outcome: the journey through the rooms, under one deadline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from functions import registry
from functions.actual import Actual
from functions.adopt import adopt
from functions.apply import Applied, Applier
from functions.compare import compare
from functions.errors import Code, Problem, Side, SyncStopped, problem_of
from functions.events import SyncRequest
from functions.fabric import DeletePolicy, Fabric
from functions.fields import STALE_TAG
from functions.guard import Source, permit
from functions.observe import observe
from functions.outcome import Facts, Outcome, judge, kinds_of, left_of, mended_by, objects_of
from functions.pace import Pace
from functions.plan import Plan
from functions.records import Ref
from functions.retire import look_up_in, retire
from functions.rows import found_by_key
from functions.survey import survey
from functions.translate import translate
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubeconfig import KubeconfigError, parse_kubeconfig
from infra.kubernetes import KubernetesClient, KubernetesError
from infra.netbox import NetBox, NetBoxError, NetBoxReader, Row
from infra.secrets import SecretError, SecretStore
from infra.transport import TransportError

log = logging.getLogger(__name__)

STALE = Ref("tag", STALE_TAG)

REPORT_SHARE = 0.5
"""The share of the reserve that writing the result to NetBox may take; the rest is for publishing it."""

type Listener = Callable[[str, dict[str, Any]], None]
"""Hears what happens as it happens: a step's name, and its facts."""


def _unheard(step: str, facts: dict[str, Any]) -> None:
    return None


@dataclass(slots=True)
class Run:
    """One run: its doors, its deadline, and the facts as far as it got.

    `deadline` keeps a reserve for reporting; `batch` caps the objects of one bulk request, `parallel` the
    requests to NetBox that are on their way at once; `now` is the clock by
    which objects are marked and deleted.
    """

    request: SyncRequest
    secrets: SecretStore
    deadline: Deadline
    batch: int = 100
    parallel: int = 4
    listen: Listener = _unheard
    facts: Facts = field(default_factory=Facts)
    cluster: Row | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _side: Side = Side.NETBOX

    def plan(self, netbox: NetBoxReader) -> tuple[Fabric, Actual, Plan] | None:
        """Read both sides and compare them; None when the fabric is not to be synced. Raises what the doors raise."""
        with self._on(Side.NETBOX):
            self.cluster = registry.find(netbox, self.request.fabric)
            fabric = registry.fabric_of(self.cluster)
        if not fabric.enabled:
            self._know(skipped="sync is switched off for this fabric (fabric_enabled)")
            return None
        self._know(insecure_tls=fabric.insecure_tls)
        with self._on(Side.CONFIG):
            kubeconfig = self.secrets.read(fabric.secret, self.deadline)
        with self._on(Side.FABRIC):
            credentials = parse_kubeconfig(kubeconfig.reveal(), allow_insecure=fabric.insecure_tls)
            with KubernetesClient(credentials, self.deadline) as client:
                snapshot = observe(fabric.name, client, self.deadline, on_kind=lambda kind: self._tell_kind(kind))
        self._know(snapshot=snapshot)
        translation = translate(snapshot, fabric)
        self._know(translation=translation)
        self.listen("translated", {"records": len(translation.records), "issues": len(translation.issues)})
        with self._on(Side.NETBOX):
            actual = survey(
                netbox,
                fabric,
                {*found_by_key(translation.records), STALE},
                on_model=lambda m, n: self.listen("surveyed", {m: n}),
                at_once=self.parallel,
            )
        compared = partial(
            compare,
            translation.records,
            actual,
            fabric.name,
            translation.complete,
            unseen=translation.unseen,
            reuse=fabric.deletion.policy is not DeletePolicy.NEVER,
        )
        plan = compared()
        if fabric.adopt:
            with self._on(Side.NETBOX):
                found = adopt(netbox, plan.creates, fabric.adopt, actual)
            if found:
                plan = compared()

        def look_up(sources: Collection[Source]) -> Mapping[Source, str]:
            with KubernetesClient(credentials, self.deadline) as client:
                return look_up_in(client, sources)

        with self._on(Side.NETBOX):
            plan = retire(plan, actual, fabric, snapshot, netbox, look_up, self.now())
        self._know(plan=plan)
        self.listen("planned", {"creates": len(plan.creates), "updates": len(plan.updates), "stale": len(plan.stale)})
        return fabric, actual, plan

    def apply(self, netbox: NetBox, fabric: Fabric, actual: Actual, plan: Plan) -> Applied:
        """Write the plan, as far as the deadline allows; raises `SyncStopped` when another one was agreed to.

        A plan with nothing to write is as good as any: a request that comes again finds its work done.
        """
        if (agreed := self.request.plan) not in (None, plan.digest) and len(plan):
            text = f"the plan {agreed} is not what there is to do any more: that is {plan.digest} ({len(plan)} objects)"
            raise SyncStopped(Problem(Code.PLAN_MOVED, text))
        allowed = permit(plan.deletes, actual.owned, fabric.name) if plan.deletes else None
        applier = Applier(
            netbox,
            actual,
            fabric.name,
            Pace(self.batch),
            on_batch=self._tell_batch,
            permit=allowed,
            most_in_flight=self.parallel,
        )
        applied = applier.apply(plan)
        self._know(applied=applied)
        return applied

    def _tell_kind(self, listing: Any) -> None:
        self.listen("observed", {"kind": listing.kind, "reading": listing.reading, "objects": len(listing.items)})

    def _tell_batch(self, model: str, verb: str, done: int, planned: int) -> None:
        self.listen("applied", {"model": model, "verb": verb, "done": done, "planned": planned})

    def _know(self, **facts: Any) -> None:
        self.facts = replace(self.facts, **facts)

    @contextmanager
    def _on(self, side: Side) -> Iterator[None]:
        """What is asked inside is asked of `side`: an error there is that side's."""
        self._side = side
        yield

    def stopped(self, error: Exception) -> None:
        """Take in what ended the run: the error's place in the closed list, or the deadline."""
        problem = problem_of(error, self._side)
        # A fabric all of whose lists hang stops the run with that problem shortly before the deadline would.
        timed_out = isinstance(error, DeadlineExceeded) or problem.code in (Code.FABRIC_TIMEOUT, Code.NETBOX_TIMEOUT)
        self._know(problem=problem, timed_out=timed_out)


EXPECTED = (
    DeadlineExceeded,
    KubeconfigError,
    KubernetesError,
    NetBoxError,
    SecretError,
    SyncStopped,
    TransportError,
)
"""What the doors and steps raise; anything else is a fault of ours, and is reported as such."""


def sync(run: Run, netbox: NetBox, started_at: datetime | None = None) -> Outcome:
    """Run to the end, and tell what came of it; never raises. The result is written to the fabric's cluster."""
    started_at = started_at or datetime.now(UTC)
    try:
        planned = run.plan(netbox)
        if planned is not None:
            run.apply(netbox, *planned)
    except EXPECTED as error:
        run.stopped(error)
    except Exception as error:  # a fault of ours must end in an outcome like everything else; the log has the traceback
        log.exception("the sync of %s failed by a fault of fabric-sync", run.request.fabric)
        run.stopped(error)
    outcome = outcome_of(run, started_at, netbox.requests)
    record(run, netbox, outcome)
    return outcome


def outcome_of(run: Run, started_at: datetime, requests: int) -> Outcome:
    """The outcome that the facts of a run allow."""
    facts, request = run.facts, run.request
    result, problem, reasons = judge(facts)
    return Outcome(
        fabric=request.fabric,
        result=result,
        request_id=request.id,
        correlation_id=request.correlation_id,
        attempt=request.attempt,
        trigger=request.trigger,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        deadline_s=round(run.deadline.length, 3),
        netbox_requests=requests,
        reasons=reasons,
        problem=problem,
        kinds=kinds_of(facts),
        objects=objects_of(facts),
        refused=tuple(facts.applied.refused) if facts.applied else (),
        unconfirmed=facts.applied.unconfirmed if facts.applied else 0,
        left=facts.applied.left if facts.applied else 0,
        plan_digest=facts.plan.digest if facts.plan is not None else None,
        plan_left=left_of(facts),
        mended=mended_by(facts),
        insecure_tls=facts.insecure_tls,
    )


def record(run: Run, netbox: NetBox, outcome: Outcome) -> None:
    """Write the result to the fabric's cluster, where it is another one than before: no change, no write.

    What fails here is logged; the outcome event carries the result all the same. That a plan was refused says
    nothing of the fabric, and is not written.
    """
    if run.cluster is None or (outcome.problem and outcome.problem.code is Code.PLAN_MOVED):
        return
    before = run.cluster.get("custom_fields") or {}
    error = f"{outcome.problem.code}: {outcome.problem.text}\n{outcome.problem.nature.hint}" if outcome.problem else ""
    error = error or "\n".join(outcome.reasons[:10])
    facts = dict(run.facts.plan.notes) if run.facts.plan is not None else {}
    if before.get("fabric_result") != outcome.result.value or (before.get("fabric_error") or "") != error:
        facts |= {
            "fabric_result": outcome.result.value,
            "fabric_result_since": outcome.finished_at.isoformat(timespec="seconds"),
            "fabric_error": error,
        }
    if not facts:
        return
    reporting = run.deadline.reporting()
    try:
        netbox.deadline = reporting.within(reporting.left() * REPORT_SHARE)
        netbox.update(registry.PATH, [{"id": run.cluster["id"], "custom_fields": facts}])
    except (DeadlineExceeded, NetBoxError, TransportError) as failed:
        log.warning("the result %s could not be written to the cluster: %s", outcome.result, failed)
