"""The end of a run, recorded on its fabric's cluster in one write: what came of it, what follows, the lease let go."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from functions.errors import Code
from functions.events import SyncRequest
from functions.fields import CUSTOM_FIELDS
from functions.lease import FabricLease
from functions.mended import MOST_OBJECTS
from functions.outcome import Outcome, Result
from functions.retrying import after
from functions.standing import RECORD_EVERY, Chain, Lease, Standing, fields_of, remembered
from functions.status import Facts, connection_after, status
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBoxError
from infra.transport import TransportError

log = logging.getLogger(__name__)

_SETTINGS = tuple(field.name for field in CUSTOM_FIELDS if field.on == ("virtualization.cluster",) and field.editable)


def config_digest(row: Mapping[str, Any]) -> str:
    """What people configured on a cluster, in 12 digits: a failure that waits for a change waits for another digest."""
    custom = row.get("custom_fields") or {}
    scope = row.get("scope") or {}
    told = [scope.get("id"), *(custom.get(name) for name in _SETTINGS)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:12]


def worth_recording(before: Standing, outcome: Outcome) -> bool:
    """Whether the end of a run that found nothing to do is to be written on its cluster: not where it says the same."""
    if outcome.result is not Result.SUCCEEDED or before.result is not outcome.result or before.last_success is None:
        return True
    return not outcome.finished_at - RECORD_EVERY < before.last_success <= outcome.finished_at


def settled(before: Standing, request: SyncRequest, outcome: Outcome, stalled: bool, config: str) -> Standing:
    """Pure: what is recorded of a fabric once a run has ended with `outcome`; it holds no lease any more.

    `stalled`: there was something to write, and no write was confirmed in time. A run that was skipped is not recorded;
    of one whose plan had moved only that it ended, for it says nothing of the fabric.
    """
    after_it = remembered(unheld(before), outcome, request.requested_by)
    if outcome.problem is not None and outcome.problem.code is Code.PLAN_MOVED:
        return after_it
    ended, result, problem = outcome.finished_at, outcome.result, outcome.problem
    succeeded = result is Result.SUCCEEDED
    answered = any(kind.get("reading") == "complete" for kind in outcome.kinds.values())
    return replace(
        after_it,
        chain=Chain(request.correlation_id, request.attempt + 1) if result is Result.CONTINUED else None,
        failures=after(before.failures, result, problem, outcome.fabric, config, ended),
        stalled=before.stalled + 1 if stalled else 0,
        last_attempt=outcome.started_at,
        last_success=ended if succeeded else before.last_success,
        synced_from=outcome.started_at if succeeded else before.synced_from,
        result=result,
        result_since=before.result_since if result is before.result else ended,
        error=error_text(outcome),
        connection=connection_after(before.connection, answered, problem.code if problem else None).value,
        last_run=run_facts(outcome),
    )


def unheld(standing: Standing) -> Standing:
    """The standing without a holder of its lease."""
    return replace(standing, lease=Lease(standing.lease.number))


def announcements(before: Standing, after: Standing, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """Pure: what else is to be told of a run: `status` when the fabric's is another one, `drift` when people edited.

    Each is null, or the arguments of its event as JSON.
    """
    told: dict[str, Any] = {"status": None, "drift": None}
    was, now_is = status(Facts(), before, now), status(Facts(), after, now)
    if was is not now_is:
        told["status"] = {"before": was.value, "now": now_is.value, "reason": error_text(outcome).partition("\n")[0]}
    if edited := outcome.mended.put_back:
        told["drift"] = {
            "objects": [one.as_dict() for one in edited[:MOST_OBJECTS]],
            "objects_total": len(edited),
            "fields_total": sum(len(one.fields) for one in edited),
        }
    return told


def error_text(outcome: Outcome) -> str:
    """What went wrong and what to do, or why the result is no better, as people read it on the cluster."""
    if outcome.problem:
        return f"{outcome.problem.code}: {outcome.problem.text}\n{outcome.problem.nature.hint}"
    return "\n".join(outcome.reasons[:10])


def run_facts(outcome: Outcome) -> dict[str, Any]:
    """The run's figures as people read them on the cluster: seconds, what was written, objects by kind."""
    return {
        "trigger": outcome.trigger,
        "duration_s": round((outcome.finished_at - outcome.started_at).total_seconds(), 1),
        "written": outcome.written,
        "kinds": {name: kind["objects"] for name, kind in outcome.kinds.items() if kind.get("objects")},
        "plan_digest": outcome.plan_digest,
    }


def differing(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `wanted` custom fields that a cluster does not have like that."""
    custom = row.get("custom_fields") or {}
    return {name: value for name, value in wanted.items() if (custom.get(name) or None) != (value or None)}


def record(lease: FabricLease, standing: Standing, notes: Mapping[str, Any], deadline: Deadline) -> str | None:
    """Write `standing` and the plan's `notes` to the cluster, and let go of the lease; None, or why it was not written.

    Never raises for what NetBox or the network do; what was not written here is told by the outcome event all the same.
    """
    changed = differing(lease.row, {**fields_of(standing), **notes})
    reporting = deadline.reporting()
    try:
        lease.netbox.deadline = reporting
        if lease.settle(changed):
            return None
        return "another run holds the fabric's lease"
    except (DeadlineExceeded, NetBoxError, TransportError) as failed:
        log.warning("the result of %s could not be written to its cluster: %s", lease.row.get("name"), failed)
        return str(failed)
