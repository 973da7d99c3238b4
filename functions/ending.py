"""The outcome that the facts of a run allow, or the earlier one of a request that comes again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions.errors import Code, Problem
from functions.events import SyncRequest
from functions.facts import judge, kinds_of, left_of, mended_by, objects_of
from functions.outcome import Outcome, Result
from functions.standing import End
from infra.deadline import Deadline

if TYPE_CHECKING:
    from functions.sync import Run


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
