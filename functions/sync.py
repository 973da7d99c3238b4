"""One request, one fabric, one outcome: the journey through the rooms, under one deadline."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from functions import registry
from functions.actual import Actual
from functions.admit import Skip, admit
from functions.adopt import adopt
from functions.apply import Applied, Applier
from functions.compare import compare
from functions.errors import Code, Problem, Side, SyncStopped, problem_of
from functions.events import SyncRequest
from functions.fabric import DeletePolicy, Fabric
from functions.fields import STALE_TAG
from functions.guard import Source, permit
from functions.lease import FabricLease, LeaseHeldError, lost
from functions.observe import observe
from functions.outcome import Facts, Outcome, Result, judge, kinds_of, left_of, mended_by, objects_of
from functions.pace import Pace
from functions.plan import Plan
from functions.records import Ref
from functions.retire import look_up_in, retire
from functions.rows import found_by_key
from functions.settle import announcements, config_digest, record, settled
from functions.standing import End, Standing, standing_of
from functions.survey import survey
from functions.translate import translate
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubeconfig import KubeconfigError, parse_kubeconfig
from infra.kubernetes import KubernetesClient, KubernetesError
from infra.netbox import NetBox, NetBoxError, NetBoxReader, Row
from infra.secrets import SecretError, SecretStore
from infra.stopping import Stopped
from infra.transport import TransportError

log = logging.getLogger(__name__)

STALE = Ref("tag", STALE_TAG)

type Listener = Callable[[str, dict[str, Any]], None]
"""Hears what happens as it happens: a step's name, and its facts."""


def _unheard(step: str, facts: dict[str, Any]) -> None:
    return None


@dataclass(slots=True)
class Run:
    """One run: its doors, its deadline, and the facts as far as it got.

    `deadline` keeps a reserve for reporting; `batch` caps the objects of one bulk request, `parallel` the requests to
    NetBox that are on their way at once; `now` is the clock by which objects are marked and deleted, and leases end.
    `id` is the run's own, not its request's: a request may be delivered twice at once. `running` says that this
    happened: there is nothing to tell, the first delivery will.
    """

    request: SyncRequest
    secrets: SecretStore
    deadline: Deadline
    batch: int = 100
    parallel: int = 4
    listen: Listener = _unheard
    facts: Facts = field(default_factory=Facts)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    row: Row | None = None
    lease: FabricLease | None = None
    running: bool = False
    ended: End | None = None
    before: Standing | None = None
    announcements: dict[str, Any] = field(default_factory=dict)
    _side: Side = Side.NETBOX

    def find(self, netbox: NetBoxReader) -> Fabric:
        """The fabric as NetBox has it now; raises what the door raises, and `SyncStopped`."""
        with self._on(Side.NETBOX):
            self.row = row = registry.find(netbox, self.request.fabric)
            fabric = registry.fabric_of(row)
        self._know(insecure_tls=fabric.insecure_tls)
        return fabric

    def enter(self, netbox: NetBox) -> Fabric | None:
        """The fabric, with its lease in hand; None where the request is not to be served: the facts tell why."""
        fabric, lease = self.find(netbox), self.lease_of(netbox)
        self.before = self.standing
        refusal = admit(self.request, fabric, self.standing, config_digest(lease.row), self.now())
        if refusal is None:
            with self._on(Side.NETBOX):
                try:
                    lease.acquire(self.request.id, self.request.trigger, self.deadline.reporting().left())
                    self.listen("started", {"lease": lease.recorded().number})
                    return fabric
                except LeaseHeldError:
                    # Somebody was faster: by what is recorded now, it is busy, or done.
                    refusal = admit(self.request, fabric, self.standing, config_digest(lease.row), self.now())
        text, skip = (refusal.text, refusal.skip) if refusal else ("busy: others write its cluster", Skip.BUSY)
        self.ended, self.running = (refusal.ended, refusal.running) if refusal else (None, False)
        self._know(skipped=text, skip=skip.value if skip else None)
        return None

    def lease_of(self, netbox: NetBox) -> FabricLease:
        """The lease of the fabric that was found, held or not."""
        if self.lease is None:
            if self.row is None:
                raise LookupError("the fabric was not found yet")
            self.lease = FabricLease(netbox, self.row, self.id, self.now)
        return self.lease

    @property
    def standing(self) -> Standing:
        """What was recorded of the fabric when its cluster was last seen."""
        row = self.lease.row if self.lease else self.row or {}
        return standing_of(row.get("custom_fields") or {})

    def plan(self, netbox: NetBoxReader, fabric: Fabric) -> tuple[Actual, Plan]:
        """Read both sides and compare them; raises what the doors raise."""
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
        return actual, plan

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
            may_go_on=self.lease.ask if self.lease else lambda: None,
        )
        self._know(applied=applier.done)
        return applier.apply(plan)

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

    def interrupted(self) -> None:
        """Take in that the platform ended the run: what was written stays, and the work goes on from there."""
        progress = self.facts.applied is not None and self.facts.applied.written > 0
        problem = Problem(Code.INTERRUPTED, "the platform told this instance to stop in mid-run")
        self._know(problem=problem, timed_out=progress)


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
    """Run to the end, and tell what came of it; never raises. The result is recorded on the fabric's cluster."""
    started_at = started_at or run.now()
    try:
        fabric = run.enter(netbox)
        if fabric is not None:
            run.apply(netbox, fabric, *run.plan(netbox, fabric))
    except EXPECTED as error:
        run.stopped(error)
    except Stopped:
        run.interrupted()
    except Exception as error:  # a fault of ours must end in an outcome like everything else; the log has the traceback
        log.exception("the sync of %s failed by a fault of fabric-sync", run.request.fabric)
        run.stopped(error)
    return settle(run, netbox, outcome_of(run, started_at, netbox.requests))


def outcome_of(run: Run, started_at: datetime, requests: int) -> Outcome:
    """The outcome that the facts of a run allow; of a request that ended before, that end once more."""
    if run.ended is not None:
        return _told_again(run.request, run.ended, run.deadline)
    facts, request = run.facts, run.request
    result, problem, reasons = judge(facts, run.standing.stalled)
    return Outcome(
        fabric=request.fabric,
        result=result,
        request_id=request.id,
        correlation_id=request.correlation_id,
        attempt=request.attempt,
        trigger=request.trigger,
        requested_by=request.requested_by,
        started_at=started_at,
        finished_at=run.now(),
        deadline_s=round(run.deadline.length, 3),
        netbox_requests=requests,
        reasons=reasons,
        skip=facts.skip,
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


def settle(run: Run, netbox: NetBox, outcome: Outcome) -> Outcome:
    """Record how the run ended on its fabric's cluster; the outcome, which is another one where the lease was lost."""
    if run.row is None or outcome.result is Result.SKIPPED or outcome.told_again:
        return outcome
    lease = run.lease_of(netbox)
    after = settled(run.standing, run.request, outcome, run.facts.stalled, config_digest(lease.row))
    notes = run.facts.plan.notes if run.facts.plan is not None else {}
    before = run.before or run.standing
    record(lease, after, notes, run.deadline)
    if lease.mine is not None and not lease.ours():
        return replace(outcome, result=Result.FAILED, problem=lost(lease.recorded()), reasons=())
    run.announcements = announcements(before, after, outcome, run.now())
    return outcome


def _told_again(request: SyncRequest, end: End, deadline: Deadline) -> Outcome:
    """The outcome of a run that ended before, as far as it is remembered."""
    problem = Problem(Code(end.code), "told again: the first outcome has the text") if end.code in set(Code) else None
    return Outcome(
        fabric=request.fabric,
        result=end.result,
        request_id=request.id,
        correlation_id=end.correlation,
        attempt=end.attempt,
        trigger=end.trigger,
        requested_by=end.requested_by,
        started_at=end.finished_at - timedelta(seconds=end.duration_s),
        finished_at=end.finished_at,
        deadline_s=round(deadline.length, 3),
        netbox_requests=0,
        reasons=("this request ended before: its outcome is told again, without the details",),
        problem=problem,
        told_again=True,
    )
