"""Pure: which stale objects are in the way of what the fabric has now. NetBox takes one cable on a port, and no two
ranges that overlap, so these cannot wait for their grace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Any

from functions.actual import Actual, Existing
from functions.compare import ends_of, wanted_ends
from functions.plan import Create, Plan, Stale, Update
from functions.records import Record, Ref, Shape
from functions.rows import comparable

type Span = tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]


def superseded(plan: Plan, actual: Actual) -> dict[Stale, str]:
    """The stale objects of `plan` that are in the way of one of its own creates or updates: each with whose way."""
    ports = dict(_ports(plan, actual))
    ranges = [(op.key, wanted) for op in _written(plan, "ip_range") if (wanted := _wanted_span(op.record, actual))]
    found: dict[Stale, str] = {}
    for stale in plan.stale:
        existing = actual.owned.get(stale.model, {}).get(stale.key)
        if existing is None:
            continue
        if stale.model == "cable":
            whose = next((ports[port] for port in sorted(ends_of(existing.values)) if port in ports), None)
        elif stale.model == "ip_range":
            there = _span(existing)
            whose = next((key for key, wanted in ranges if there and _overlap(wanted, there)), None)
        else:
            continue
        if whose is not None:
            found[stale] = whose
    return found


def _written(plan: Plan, model: str) -> Iterator[Create | Update]:
    yield from (op for op in plan.creates if op.model == model)
    yield from (op for op in plan.updates if op.model == model)


def _ports(plan: Plan, actual: Actual) -> Iterator[tuple[int, str]]:
    """Each port that a new or moved cable needs, or that is to be marked as connected without one; and by whom."""
    for op in _written(plan, "cable"):
        if isinstance(op, Create) or any(change.field.endswith("_terminations") for change in op.changes):
            yield from ((port, op.key) for port in wanted_ends(op.record, actual.ids))
    for update in plan.updates:
        if update.id is not None and any(c.field == "mark_connected" and c.after for c in update.changes):
            yield update.id, update.key


def _wanted_span(record: Record, actual: Actual) -> tuple[Any, Span] | None:
    start, end = record.fields.get("start_address"), record.fields.get("end_address")
    vrf = record.fields.get("vrf")
    place = comparable(vrf, Shape.REF, actual.ids) if isinstance(vrf, Ref) else vrf
    return _placed(place, {"start_address": start, "end_address": end})


def _span(existing: Existing) -> tuple[Any, Span] | None:
    return _placed(existing.values.get("vrf"), existing.values)


def _placed(vrf: Any, values: Mapping[str, Any]) -> tuple[Any, Span] | None:
    try:
        start, end = (ip_interface(str(values.get(name))).ip for name in ("start_address", "end_address"))
    except ValueError:
        return None
    return vrf, (start, end)


def _overlap(one: tuple[Any, Span], other: tuple[Any, Span]) -> bool:
    (vrf, (start, end)), (other_vrf, (other_start, other_end)) = one, other
    if vrf != other_vrf or start.version != other_start.version:
        return False
    return int(start) <= int(other_end) and int(other_start) <= int(end)
