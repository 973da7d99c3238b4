"""The page sees a fabric as the scheduler does: what it may be late for, and what keeps it from being synced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.fields import CUSTOM_FIELDS
from functions.web.seen import seen

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # a Wednesday
TICK = timedelta(minutes=1)


def told(*, last_attempt: datetime | None = None, status: str = "active", **custom: Any) -> dict[str, Any]:
    """How the fabric `lab`, which succeeded at `last_attempt`, is seen at `NOW`."""
    fields: dict[str, Any] = {one.name: None for one in CUSTOM_FIELDS if "virtualization.cluster" in one.on}
    fields |= {"fabric_secret": "fabric-lab", "fabric_interval": 300, "fabric_enabled": True}
    if last_attempt is not None:
        fields |= {"fabric_last_attempt": last_attempt.isoformat(), "fabric_result": "succeeded"}
    row = {
        "id": 7,
        "name": "lab",
        "status": {"value": status},
        "scope_type": "dcim.site",
        "scope": {"id": 1, "slug": "here"},
        "last_updated": (NOW - timedelta(days=1)).isoformat(),
        "custom_fields": {**fields, **custom},
    }
    return seen(row, "https://netbox.example.org", NOW, TICK)


LONG_AGO = NOW - timedelta(hours=5)


def test_who_was_not_tried_for_too_long_is_late_and_who_never_was_as_well() -> None:
    assert told(last_attempt=NOW - timedelta(minutes=5))["late"] is False
    assert told(last_attempt=LONG_AGO)["late"] is True
    assert told()["late"] is True


@pytest.mark.parametrize(
    ("custom", "cluster_status", "status"),
    [
        ({"fabric_windows": "Sat 02:00-06:00 UTC"}, "active", "in_sync"),
        ({"fabric_suspended_until": "2026-06-04T00:00:00+00:00"}, "active", "disabled"),
        ({"fabric_interval": 0}, "active", "in_sync"),
        ({"fabric_enabled": False}, "active", "disabled"),
        ({}, "planned", "disabled"),
    ],
)
def test_who_nobody_may_sync_is_not_late(custom: dict[str, Any], cluster_status: str, status: str) -> None:
    found = told(last_attempt=LONG_AGO, status=cluster_status, **custom)
    assert (found["late"], found["status"]) == (False, status)


def test_a_suspension_is_told_with_its_end_and_reason_while_it_lasts() -> None:
    found = told(fabric_suspended_until="2026-06-04T00:00:00+00:00", fabric_suspend_reason="new spines")
    assert (found["suspended_until"], found["suspend_reason"]) == ("2026-06-04T00:00:00+00:00", "new spines")
    over = told(fabric_suspended_until="2026-06-02T00:00:00+00:00", fabric_suspend_reason="new spines")
    assert (over["suspended_until"], over["suspend_reason"]) == (None, "")


def test_all_settings_that_make_no_sense_are_missing_for_a_sync() -> None:
    found = told(fabric_secret="", fabric_windows="whenever", fabric_interval=5)
    assert (found["status"], found["configured"]) == ("not_configured", False)
    for part in ("fabric_secret is empty", "fabric_windows", "fabric_interval"):
        assert part in found["missing"]
