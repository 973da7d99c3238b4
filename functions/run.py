"""One run of one fabric: its doors, its deadline, what it found out so far, and the steps that find out more."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from functions import registry
from functions.actual import Actual
from functions.admit import Refusal, Skip, admit
from functions.adopt import compare_and_adopt
from functions.agreed import rest
from functions.applied import Applied
from functions.apply import Applier
from functions.errors import Code, Problem, Side, SyncStopped
from functions.events import SyncRequest
from functions.fabric import Fabric
from functions.facts import Facts, gaps, judge
from functions.fields import STALE_TAG
from functions.guard import Source, permit
from functions.lease import FabricLease, LeaseHeldError
from functions.memory import Mark
from functions.narrow import (
    Confirmed,
    Look,
    Recollection,
    Wanted,
    move_mark,
    plan_of,
    recollect,
    remember,
    said,
    says_the_same,
    to_look_at,
)
from functions.observe import observe
from functions.outcome import Result, Verified
from functions.pace import Pace
from functions.plan import Plan
from functions.problems import problem_of
from functions.recall import mark_now
from functions.records import Ref
from functions.retire import look_up_in, retire
from functions.rows import found_by_key
from functions.settle import config_digest
from functions.snapshot import Snapshot
from functions.standing import End, Standing, standing_of
from functions.survey import survey
from functions.translate import Translation, translate
from functions.translate.addressing import underlay_key
from infra.deadline import Deadline, DeadlineExceeded
from infra.kubeconfig import Credentials, KubeconfigError, parse_kubeconfig
from infra.kubernetes import KubernetesClient, KubernetesError
from infra.netbox import NetBox, NetBoxError, NetBoxReader, Row
from infra.secrets import SecretError, SecretStore
from infra.transport import TransportError

log = logging.getLogger(__name__)

STALE = Ref("tag", STALE_TAG)
EXPECTED = (DeadlineExceeded, KubeconfigError, KubernetesError, NetBoxError, SecretError, SyncStopped, TransportError)
"""What the doors and steps raise; anything else is a fault of ours, and is reported as such."""
MEMORY_SHARE = 0.3
"""The share of the reserve that remembering may take, where the time for work is used up."""

type Listener = Callable[[str, dict[str, Any]], None]
"""Hears what happens as it happens: a step's name, and its facts."""


def _unheard(step: str, facts: dict[str, Any]) -> None:
    return None


@dataclass(slots=True)
class Run:
    """One run: its doors, its deadline, and the facts as far as it got.

    `deadline` keeps a reserve for reporting; `batch` caps the objects of one bulk request, `parallel` the requests to
    NetBox that are on their way at once, of all fabrics together; `now` is the clock by which objects are marked and
    deleted, and leases end. `id` is the run's own, not its request's: a request may be delivered twice at once.
    `running` says that this happened: there is nothing to tell, the first delivery will.
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
    verified: Verified | None = None
    verified_at: datetime | None = None
    _known: Recollection | None = None
    _look_at: Look | None = None
    _wanted: Wanted | None = None
    _mark: Mark | None = None
    _credentials: Credentials | None = None
    _side: Side = Side.NETBOX

    def find(self, netbox: NetBoxReader) -> Fabric:
        """The fabric as NetBox has it now; raises what the door raises, and `SyncStopped`."""
        with self._on(Side.NETBOX):
            self.row = row = registry.find(netbox, self.request.fabric)
            fabric = registry.fabric_of(row)
        self._know(insecure_tls=fabric.insecure_tls)
        return fabric

    def enter(self, netbox: NetBox) -> Fabric | None:
        """The fabric, where the request is to be served now; None where it is not: the facts tell why."""
        fabric, lease = self.find(netbox), self.lease_of(netbox)
        self.before = self.standing
        refusal = admit(self.request, fabric, self.standing, config_digest(lease.row), self.now())
        if refusal is None:
            return fabric
        self._turned_away(refusal)
        return None

    def hold(self, netbox: NetBox, fabric: Fabric) -> bool:
        """Take the lease; whether it is ours. What was found out before is not used where others held it meanwhile."""
        lease, found = self.lease_of(netbox), self.standing.lease.number
        with self._on(Side.NETBOX):
            try:
                lease.acquire(self.request.id, self.request.trigger, self.deadline.reporting().left())
            except LeaseHeldError:
                # Somebody was faster: by what is recorded now, it is busy, or done.
                self._turned_away(
                    admit(self.request, fabric, self.standing, config_digest(lease.row), self.now())
                    or Refusal("busy: others write its cluster", Skip.BUSY)
                )
                return False
        number = lease.recorded().number
        self.listen("started", {"lease": number})
        if number != found + 1:
            self.facts = Facts(insecure_tls=fabric.insecure_tls)
            self._known, self._look_at, self._wanted = None, None, None
        return True

    def _turned_away(self, refusal: Refusal) -> None:
        self.ended, self.running = refusal.ended, refusal.running
        self._know(
            skipped=refusal.text, skip=refusal.skip.value if refusal.skip else None, snapshot=None, translation=None
        )

    def quiet(self, netbox: NetBox, fabric: Fabric) -> bool:
        """Whether nothing moved on either side since the fabric was in sync: then there is nothing to do."""
        if self.request.force or self.request.plan:
            return False
        with self._on(Side.NETBOX):
            self._known = recollect(netbox, fabric, self.lease_of(netbox).row, self.standing, self.now())
        if self._known is None:
            return False
        snapshot = self._observe(fabric)
        told = said(snapshot, fabric)
        if says_the_same(self._known, told, fabric):
            return self._is_unmoved(netbox, self._known, self._known.memory.counts, same=True)
        translation = self._translate(snapshot, fabric)
        self._wanted = Wanted.of(translation, told)
        if not gaps(snapshot, translation):
            self._look_at = to_look_at(self._known, self._wanted, translation.unseen, fabric)
        if self._look_at is None or self._look_at.units:
            return False
        return self._is_unmoved(netbox, self._known, self._wanted.counts)

    def _is_unmoved(
        self, netbox: NetBox, known: Recollection, counts: Mapping[str, int], *, same: bool = False
    ) -> bool:
        self.verified, self.verified_at = Verified.CHANGES, known.memory.verified_at
        self._know(plan=Plan(unchanged=Counter(counts)), applied=Applied(), same=same)
        with self._on(Side.NETBOX):
            move_mark(netbox, known)
        return True

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

    def _observe(self, fabric: Fabric) -> Snapshot:
        """Read the fabric; raises what the doors raise."""
        with self._on(Side.CONFIG):
            kubeconfig = self.secrets.read(fabric.secret, self.deadline)
        with self._on(Side.FABRIC):
            self._credentials = parse_kubeconfig(kubeconfig.reveal(), allow_insecure=fabric.insecure_tls)
            with KubernetesClient(self._credentials, self.deadline) as client:
                snapshot = observe(fabric.name, client, self.deadline, on_kind=lambda kind: self._tell_kind(kind))
        self._know(snapshot=snapshot)
        return snapshot

    def _translate(self, snapshot: Snapshot, fabric: Fabric) -> Translation:
        translation = translate(snapshot, fabric)
        self._know(translation=translation)
        self.listen("translated", {"records": len(translation.records), "issues": len(translation.issues)})
        return translation

    def plan(self, netbox: NetBoxReader, fabric: Fabric) -> tuple[Actual, Plan]:
        """Read both sides and compare them, or what moved of them; raises what the doors raise."""
        translation = self.facts.translation or self._translate(self._observe(fabric), fabric)
        with self._on(Side.NETBOX):
            actual, plan = self._narrow(netbox, fabric, translation) or self._full(netbox, fabric, translation)
        self._know(plan=plan)
        counts = {"creates": len(plan.creates), "updates": len(plan.updates), "stale": len(plan.stale)}
        # Of a large plan it takes a second, which the time that is kept for reporting has not.
        self.listen("planned", {**counts, "digest": plan.digest})
        return actual, plan

    def _narrow(self, netbox: NetBoxReader, fabric: Fabric, translation: Translation) -> tuple[Actual, Plan] | None:
        if self._known is None or self._look_at is None:
            return None
        made = plan_of(netbox, fabric, translation, self._look_at, self.parallel)
        if made is not None:
            self.verified, self.verified_at = Verified.CHANGES, self._known.memory.verified_at
            self._mark = self._known.since.mark
        return made

    def _full(self, netbox: NetBoxReader, fabric: Fabric, translation: Translation) -> tuple[Actual, Plan]:
        self.verified, self.verified_at = Verified.FULL, self.now()
        self._mark = mark_now(netbox) if self.lease is not None and self.lease.mine is not None else None
        if self._mark is not None and self._wanted is None and self.facts.snapshot is not None:
            self._wanted = Wanted.of(translation, said(self.facts.snapshot, fabric))
        actual = survey(
            netbox,
            fabric,
            {*found_by_key(translation.records), STALE},
            on_model=lambda m, n: self.listen("surveyed", {m: n}),
            at_once=self.parallel,
        )
        plan = compare_and_adopt(netbox, translation.records, translation, actual, fabric)

        def look_up(sources: Collection[Source]) -> Mapping[Source, str]:
            if self._credentials is None:
                raise LookupError("the fabric was not read yet")
            with KubernetesClient(self._credentials, self.deadline) as client:
                return look_up_in(client, sources)

        if self.facts.snapshot is None:
            raise LookupError("the fabric was not read yet")
        return actual, retire(plan, actual, fabric, self.facts.snapshot, netbox, look_up, self.now())

    def remember(self, netbox: NetBox, fabric: Fabric, actual: Actual, applied: Applied) -> None:
        """Keep what was confirmed for the next run; a memory that could not be written costs that run its time."""
        facts, lease = self.facts, self.lease
        holder = actual.ids.get(Ref("vrf", underlay_key(fabric.name)))
        holder = self._known.holder["id"] if self._known else holder
        if judge(facts)[0] not in (Result.SUCCEEDED, Result.CONTINUED) or holder is None or self._mark is None:
            return
        if lease is None or lease.mine is None or self.verified_at is None:
            return
        if facts.plan is None or facts.snapshot is None or facts.translation is None or self._wanted is None:
            return
        if gaps(facts.snapshot, facts.translation):
            return  # of what could not be read, nothing is known
        reporting = self.deadline.reporting()
        netbox.deadline = reporting.within(max(self.deadline.left(), reporting.left() * MEMORY_SHARE))
        found = Confirmed(
            wanted=self._wanted,
            left=rest(facts.plan, applied.settled),
            later=self._look_at.later if facts.plan.more and self._look_at else {},
            refused=bool(applied.refused),
            mark=self._mark,
            verified_at=self.verified_at,
            lease=lease.mine.number,
        )
        try:
            remember(netbox, fabric, lease.row, holder, found)
        except (DeadlineExceeded, NetBoxError, TransportError) as failed:
            log.warning("what was confirmed of %s could not be remembered: %s", fabric.name, failed)
        finally:
            netbox.deadline = self.deadline

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
            others=lambda: self.lease.others if self.lease else 0,
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
