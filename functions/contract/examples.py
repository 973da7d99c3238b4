"""One example of each type of event: the documents show them, and the tests hold them against the schemas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .types import (
    Adopted,
    DriftDetected,
    Edited,
    Event,
    Failure,
    KindRead,
    Refusal,
    StatusChanged,
    SyncEnded,
    SyncRequest,
    SyncStarted,
)
from .values import Direction, Result, Status

_ASKED = datetime(2026, 11, 2, 8, 0, 0, tzinfo=UTC)
_BEGAN = _ASKED + timedelta(seconds=1.25)
_EDITED = Edited(
    model="interface",
    key="lab1/Switch/default/leaf-1#E1/1",
    fields={"description": Direction.NETBOX_EDITED, "mtu": Direction.BOTH},
)


def _ended(result: Result, seconds: float, **more: Any) -> SyncEnded:
    request_id = f"lab1-{result}"
    return SyncEnded(
        fabric="lab1",
        result=result,
        request_id=request_id,
        correlation_id=request_id,
        attempt=1,
        trigger="schedule",
        started_at=_BEGAN,
        finished_at=_BEGAN + timedelta(seconds=seconds),
        duration_s=seconds,
        deadline_s=30.0,
        **more,
    )


_READ = {
    "Switch": KindRead(reading="complete", objects=3),
    "VPC": KindRead(reading="complete", objects=2),
    "Peering": KindRead(reading="absent"),
}
_FAILURE = Failure(
    code="netbox_unreachable",
    side="netbox",
    retryable=True,
    text="POST /api/dcim/devices/: connection refused",
    hint="Check NETBOX_URL, routing and whether NetBox is up.",
)
_SLOW = Failure(
    code="fabric_timeout",
    side="fabric",
    retryable=True,
    text="no answer in time when listing switches",
    hint="The fabric's API server did not answer in time: is the control node up?",
)

EXAMPLES: Final[Mapping[str, Event]] = {
    "sync.requested": SyncRequest("lab1", "lab1-0800", "lab1-0800", "manual", "ann@example.com", requested_at=_ASKED),
    "sync.started": SyncStarted(
        fabric="lab1",
        request_id="lab1-0800",
        correlation_id="lab1-0800",
        attempt=1,
        trigger="manual",
        started_at=_BEGAN,
        deadline_s=30.0,
    ),
    "sync.succeeded": _ended(
        Result.SUCCEEDED,
        6.5,
        kinds=_READ,
        objects={"device": {"unchanged": 3}, "interface": {"updated": 1, "unchanged": 95}, "vrf": {"created": 1}},
        written=2,
        netbox_requests=37,
        plan_digest="0f3c9a51b2d4e687",
        drift={"fabric_moved": 0, "netbox_edited": 1, "both": 1, "unknown": 0},
        put_back=(_EDITED,),
        put_back_total=1,
        adopted=(Adopted(model="vrf", key="lab1/VPC/default/vpc-1"),),
        adopted_total=1,
    ),
    "sync.continued": _ended(
        Result.CONTINUED,
        27.1,
        kinds=_READ,
        objects={"interface": {"created": 400}},
        written=400,
        left=650,
        netbox_requests=61,
        plan_digest="6d1e0c7f8a2b3495",
        plan_left="b2a4c6e80f1d3957",
    ),
    "sync.incomplete": _ended(
        Result.INCOMPLETE,
        5.2,
        kinds={**_READ, "Connection": KindRead(reading="unread", error="403 Forbidden")},
        reasons=(
            "Connection could not be read: 403 Forbidden",
            "prefix lab1/VPC/default/vpc-1#default was refused: Duplicate prefix found",
        ),
        reasons_total=2,
        objects={"prefix": {"refused": 1}, "device": {"unchanged": 3}},
        refused=(Refusal(model="prefix", key="lab1/VPC/default/vpc-1#default", text="Duplicate prefix found"),),
        refused_total=1,
        netbox_requests=24,
        plan_digest="91f0b3d5a7c2e846",
    ),
    "sync.failed": _ended(Result.FAILED, 0.4, error=_FAILURE, netbox_requests=1),
    "sync.timed_out": _ended(Result.TIMED_OUT, 27.0, error=_SLOW, netbox_requests=2),
    "sync.skipped": _ended(
        Result.SKIPPED,
        0.2,
        reasons=("sync is switched off for this fabric (fabric_enabled)",),
        reasons_total=1,
        netbox_requests=1,
    ),
    "drift.detected": DriftDetected(
        fabric="lab1",
        request_id="lab1-succeeded",
        detected_at=_BEGAN + timedelta(seconds=3),
        objects=(_EDITED,),
        objects_total=1,
        fields_total=2,
    ),
    "fabric.status_changed": StatusChanged(
        fabric="lab1",
        request_id="lab1-failed",
        from_=Status.IN_SYNC,
        to=Status.ERROR,
        late=False,
        since=_BEGAN + timedelta(seconds=0.4),
        reason="netbox_unreachable: POST /api/dcim/devices/: connection refused",
    ),
}
"""By the type's short name."""
