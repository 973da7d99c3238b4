"""A look at what moved alone: what a run knows by the memory and the change log, and the plan that comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from functions import recall
from functions.actual import Actual
from functions.adopt import compare_and_adopt
from functions.changelog import moved
from functions.fabric import DeletePolicy, Fabric
from functions.memory import (
    Mark,
    Memory,
    against,
    by_unit,
    confirmed,
    differing,
    full_hours,
    mapping_version,
    too_much,
    unit_of,
    units_of,
)
from functions.plan import Plan
from functions.records import Record
from functions.rows import found_by_key, references
from functions.settle import config_digest
from functions.standing import Standing
from functions.survey import survey_units
from functions.translate import Translation
from functions.translate.addressing import underlay_key
from infra.netbox import NetBox, NetBoxReader, Row

MOST_UNITS: Final = 150
"""Units that are looked at one by one; with more, reading everything costs less."""


@dataclass(frozen=True, slots=True)
class Recollection:
    """What is known of a fabric without looking: its memory, the object that holds it, and what the log has since."""

    memory: Memory
    holder: Row
    since: recall.Since


def recollect(
    netbox: NetBoxReader, fabric: Fabric, cluster: Row, standing: Standing, now: datetime
) -> Recollection | None:
    """What can be relied on; None where everything must be compared. `cluster` is the fabric's, as it was read."""
    found = recall.look_up(netbox, fabric.name, underlay_key(fabric.name))
    holder, memory = found or ({}, None)
    if memory is None:
        return None
    hours = full_hours(cluster.get("custom_fields") or {})
    if against(memory, standing, config_digest(cluster), hours, fabric.name, now):
        return None
    if memory.stale and fabric.deletion.policy is DeletePolicy.DELETE:
        return None  # what waits for its deletion is counted by every run
    since = recall.since(netbox, memory.mark)
    return Recollection(memory, holder, since) if since is not None else None


type Units = Mapping[str, frozenset[str]]
"""Units to look at, each with the models of which NetBox may hold something of it."""


def to_look_at(known: Recollection, translation: Translation, fabric: Fabric) -> Units | None:
    """The units that may differ; None where everything may.

    Of a unit that is not remembered NetBox holds nothing but what it is to hold: the comparison of everything, on which
    the memory rests, had nothing left over, and the log tells what came since.
    """
    records = translation.records
    touched = moved(known.since.entries, fabric.name, found_by_key(records), records)
    if touched.all_of_it:
        return None
    before, now = known.memory.units, units_of(records)
    names, marked = touched.units.keys() | differing(before, now, translation.unseen), known.memory.stale
    if names:
        names |= marked.keys()  # what is marked as gone may come back, under another key too
    if len(names) > MOST_UNITS:
        return None
    units = {
        name: frozenset[str]().union(*(side[name].models for side in (before, now) if name in side)) for name in names
    }
    return {name: some.union(*(side.get(name, ()) for side in (touched.units, marked))) for name, some in units.items()}


def unmoved(translation: Translation) -> Plan:
    """The plan of a run that found nothing moved."""
    return Plan(unchanged=Counter(record.model for record in translation.records))


def plan_of(
    netbox: NetBoxReader, fabric: Fabric, translation: Translation, known: Recollection, units: Units
) -> tuple[Actual, Plan] | None:
    """What NetBox holds of `units`, and what is to be done about it; None where everything must be compared."""
    wanted = by_unit(translation.records)
    records = [record for name in units for record in wanted.get(name, ())]
    refs = {ref for record in records for ref in references(record)} | found_by_key(records)
    actual = survey_units(netbox, fabric, units, unit_of, refs)
    order = {(record.model, record.key): at for at, record in enumerate(translation.records)}
    records.sort(key=lambda record: order[record.model, record.key])
    plan = compare_and_adopt(netbox, records, translation, actual, fabric)
    if too_much(plan, actual, units, translation.records, fabric.deletion.policy):
        return None
    rest = Counter(r.model for r in translation.records if unit_of(r.model, r.key) not in units)
    return actual, replace(plan, waiting=plan.stale, unchanged=Counter(plan.unchanged) + rest)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a run confirmed: of its `records` all but what is `left` of its plan, by what the log had up to `mark`.

    `lease` is the number of the run's lease; `verified_at` is when the last comparison of everything began.
    """

    records: Collection[Record]
    left: Plan
    mark: Mark
    verified_at: datetime
    lease: int


def remember(netbox: NetBox, fabric: Fabric, cluster: Row, holder: int, found: Confirmed) -> None:
    """Write to the `holder` (a VRF's id) what was confirmed, where the next run can use it; raises as the door does."""
    stale: dict[str, frozenset[str]] = {}
    for one in found.left.stale:
        name = unit_of(one.model, one.key)
        stale[name] = stale.get(name, frozenset()) | {one.model}
    units = confirmed(found.records, found.left)
    if stale and fabric.deletion.policy is DeletePolicy.DELETE:
        return  # every run compares everything until they are gone
    if len(units_of(found.records)) - len(units) > MOST_UNITS:
        return
    since = recall.since(netbox, found.mark, netbox.writes)
    after = recall.accounted(since, fabric.name, found_by_key(found.records)) if since is not None else None
    if after is not None:
        settings = config_digest(cluster)
        memory = Memory(mapping_version(), settings, found.verified_at, after, units, stale, found.lease)
        recall.keep(netbox, holder, memory)


def move_mark(netbox: NetBox, known: Recollection) -> None:
    """Pass the rows of others that a run looked through and found to be none of the fabric's, where they are many."""
    if known.since.rows > recall.REWRITE_AFTER:
        recall.keep_if_unmoved(netbox, known.holder, replace(known.memory, mark=known.since.mark))
