"""Pure: which stale objects are in the way of what the fabric has now. NetBox takes one cable on a port, one
object with a name, a number or an address, and no two ranges that overlap: these cannot wait for their grace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from functions.actual import Actual
from functions.compare import ends_of, wanted_ends
from functions.needs import parts, users
from functions.places import UNIQUE, Span, overlap, placed, places_of
from functions.plan import Create, Plan, Stale, Update
from functions.records import MODELS, Record, Ref, Shape
from functions.rows import comparable

NUMBERED: Final = frozenset({"vlan", "prefix", "ip_address"})
"""The models of which an object may have to give up its number at once; a name can wait until its owner is gone."""

GOES_ALONG: Final = frozenset({"prefix", "l2vpn_termination"})
"""What has no parts of its own, and is nothing without its number."""


def superseded(plan: Plan, actual: Actual) -> dict[Stale, str]:
    """The stale objects of `plan` that are in the way of one of its own creates or updates: each with whose way."""
    ports = dict(_ports(plan, actual))
    ranges = [(op.key, wanted) for op in _written(plan, "ip_range") if (wanted := _wanted_span(op.record, actual))]
    taken = {place: op.key for op in _moved(plan) for place in places_of(op.model, _values(op.record, actual))}
    found: dict[Stale, str] = {}
    for stale in plan.stale:
        existing = actual.owned.get(stale.model, {}).get(stale.key)
        if existing is None:
            continue
        if stale.model == "cable":
            whose = next((ports[port] for port in sorted(ends_of(existing.values)) if port in ports), None)
        elif stale.model == "ip_range":
            there = placed(existing.values.get("vrf"), existing.values)
            whose = next((key for key, wanted in ranges if there and overlap(wanted, there)), None)
        elif stale.model in NUMBERED:
            whose = next((taken[place] for place in places_of(stale.model, existing.values) if place in taken), None)
        else:
            continue
        if whose is not None:
            found[stale] = whose
    return _with_parts(found, plan, actual)


def _with_parts(found: Mapping[Stale, str], plan: Plan, actual: Actual) -> dict[Stale, str]:
    """The `found` ones, and what goes with a number: the prefix of a VLAN, and its termination, when they are gone too.

    A number that something else of ours still has (the port of a switch that is gone) waits until that is gone.
    """
    used = users(actual.owned)
    gone = {(s.model, s.id): s for s in plan.stale}
    whole = dict(found)
    for stale, whose in found.items():
        some = parts((stale.model, stale.id), used) if stale.model in NUMBERED else frozenset()
        if all(place in gone and place[0] in GOES_ALONG for place in some):
            whole |= {gone[place]: whose for place in some if gone[place] not in whole}
        elif any(place in gone for place in some):
            del whole[stale]
    return whole


def _written(plan: Plan, model: str) -> Iterator[Create | Update]:
    yield from (op for op in plan.creates if op.model == model)
    yield from (op for op in plan.updates if op.model == model)


def _moved(plan: Plan) -> Iterator[Create | Update]:
    """What gets a place that it did not have: a name, a number or an address."""
    yield from plan.creates
    for op in plan.updates:
        names = {name for unique in UNIQUE.get(op.model, ()) for name in unique}
        if any(change.field in names for change in op.changes):
            yield op


def _values(record: Record, actual: Actual) -> dict[str, Any]:
    fields = MODELS[record.model].fields
    return {name: comparable(value, fields[name].shape, actual.ids) for name, value in record.fields.items()}


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
    return placed(place, {"start_address": start, "end_address": end})
