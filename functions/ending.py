"""The outcome that the facts of a run allow, or the earlier one of a request that comes again; and its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from functions.errors import Code, Problem
from functions.events import SyncRequest
from functions.facts import judge, kinds_of, left_of, mended_by, objects_of
from functions.lease import lost
from functions.outcome import Outcome, Result
from functions.run import Run
from functions.settle import announcements, config_digest, record, settled, unheld, worth_recording
from functions.standing import End
from infra.deadline import Deadline
from infra.netbox import NetBox


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
        plan_left=left_of(facts) if request.plan else None,
        mended=mended_by(facts),
        insecure_tls=facts.insecure_tls,
        verified=run.verified if result is Result.SUCCEEDED else None,
        verified_at=run.verified_at if result is Result.SUCCEEDED else None,
    )


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


def settle(run: Run, netbox: NetBox, outcome: Outcome) -> Outcome:
    """Record how the run ended on its fabric's cluster; the outcome, which is another one where the lease was lost."""
    if run.row is None or outcome.result is Result.SKIPPED or outcome.told_again:
        return outcome
    lease = run.lease_of(netbox)
    if lease.mine is None and not worth_recording(run.standing, outcome):
        return outcome
    after = settled(run.standing, run.request, outcome, run.facts.stalled, config_digest(lease.row))
    notes = run.facts.plan.notes if run.facts.plan is not None else {}
    # Who speaks for a run that died sees the lease of that run: what the fabric was is told without it.
    before = run.before or unheld(run.standing)
    unrecorded = record(lease, after, notes, run.deadline)
    if lease.mine is not None and not lease.ours():
        return replace(outcome, result=Result.FAILED, problem=lost(lease.recorded()), reasons=())
    if unrecorded is None:
        run.announcements = announcements(before, after, outcome, run.now())
    return outcome
