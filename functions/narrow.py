"""A look at what moved alone: what a run knows by the memory and the change log, and the plan that comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
    Unit,
    against,
    by_unit,
    confirmed,
    differing,
    full_hours,
    mapping_version,
    portion,
    too_much,
    unit_of,
    units_of,
)
from functions.plan import Plan
from functions.records import Record, Ref
from functions.rows import found_by_key, references
from functions.settle import config_digest
from functions.snapshot import Snapshot
from functions.standing import Standing
from functions.survey import survey_units
from functions.translate import Translation
from functions.translate.addressing import underlay_key
from infra.netbox import NetBox, NetBoxReader, Row

MOST_UNITS: Final = 250
"""Units that are looked at one by one; with more, everything is read. Where a run was cut off, so many of what it left
are a part that the next run looks at."""


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What NetBox is to hold of a fabric, and what is remembered of it once it does: of 90,000 records the digests take
    seconds, which the time that is kept for reporting has not."""

    records: Collection[Record]
    said: str
    units: Mapping[str, Unit]
    shared: Collection[Ref]

    @classmethod
    def of(cls, translation: Translation, said: str) -> Wanted:
        """By a fabric's records, and what it `said`."""
        return cls(translation.records, said, units_of(translation.records), found_by_key(translation.records))

    @property
    def counts(self) -> Counter[str]:
        """How many records of each model."""
        return Counter(record.model for record in self.records)


type Units = Mapping[str, frozenset[str]]
"""Units to look at, each with the models of which NetBox may hold something of it."""


@dataclass(frozen=True, slots=True)
class Look:
    """The units that may differ: those to look at in this run, and what it has no time for."""

    units: Units
    later: Units = field(default_factory=dict)


def to_look_at(known: Recollection, wanted: Wanted, unseen: frozenset[str], fabric: Fabric) -> Look | None:
    """The units that may differ; None where everything may.

    Of a unit that is not remembered NetBox holds nothing: the comparison of everything, on which the memory rests, had
    nothing left over, and the log tells what came since.
    """
    records = wanted.records
    touched = moved(known.since.entries, fabric.name, wanted.shared, records)
    if touched.all_of_it:
        return None
    before, now = known.memory.units, wanted.units
    names, marked = touched.units.keys() | differing(before, now, unseen), known.memory.stale
    if names:
        names |= marked.keys()  # what is marked as gone may come back, under another key too
    goes_on = any(unit.open for unit in before.values())
    if len(names) > MOST_UNITS and not goes_on:
        return None
    units = {
        name: frozenset[str]().union(*(side[name].models for side in (before, now) if name in side)) for name in names
    }
    units = {
        name: some.union(*(side.get(name, ()) for side in (touched.units, marked))) for name, some in units.items()
    }
    if len(names) <= MOST_UNITS:
        return Look(units)
    # What others touched, and what is gone, is not put off: with it everything may have to be compared.
    first = touched.units.keys() | marked.keys() | (names - now.keys())
    chosen = portion(names, first, records, MOST_UNITS)
    if len(first) > MOST_UNITS or len(chosen) > 4 * MOST_UNITS:
        return None
    return Look(
        {name: some for name, some in units.items() if name in chosen},
        {name: some for name, some in units.items() if name not in chosen},
    )


def said(snapshot: Snapshot, fabric: Fabric) -> str:
    """A digest of all that the records of a fabric follow from, by one and the same mapping."""
    return f"{snapshot.digest()} {fabric.site} {fabric.site_id} {fabric.cluster_id} {fabric.naming}"


def says_the_same(known: Recollection, said: str, fabric: Fabric) -> bool:
    """Whether there is nothing to look at, and one need not even translate what the fabric says to know it."""
    if not known.memory.seen or any(entry.concerns(fabric.name) for entry in known.since.entries):
        return False
    return known.memory.seen == said


def plan_of(
    netbox: NetBoxReader, fabric: Fabric, translation: Translation, look: Look, at_once: int
) -> tuple[Actual, Plan] | None:
    """What NetBox holds of the units, and what is to be done about it; None where everything must be compared."""
    units, wanted = look.units, by_unit(translation.records)
    records = [record for name in units for record in wanted.get(name, ())]
    refs = {ref for record in records for ref in references(record)} | found_by_key(records)
    known = {name: {record.model for record in some} for name, some in wanted.items()}
    actual = survey_units(netbox, fabric, units, unit_of, refs, known, at_once)
    order = {(record.model, record.key): at for at, record in enumerate(translation.records)}
    records.sort(key=lambda record: order[record.model, record.key])
    plan = compare_and_adopt(netbox, records, translation, actual, fabric)
    among = units.keys() | look.later.keys()
    if too_much(plan, actual, among, translation.records, fabric.deletion.policy) or (look.later and not len(plan)):
        return None
    rest = Counter(r.model for r in translation.records if unit_of(r.model, r.key) not in among)
    more = sum(len(wanted.get(name, ())) for name in look.later)
    return actual, replace(plan, waiting=plan.stale, unchanged=Counter(plan.unchanged) + rest, more=more)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a run confirmed: of all that is `wanted` all but what is `left` of its plan, by what the log had up to
    `mark`, and but what it did not look at (`later`).

    `lease` is the number of the run's lease; `verified_at` is when the last comparison of everything began. `refused`:
    NetBox would not take something.
    """

    wanted: Wanted
    left: Plan
    later: Units
    refused: bool
    mark: Mark
    verified_at: datetime
    lease: int


def remember(netbox: NetBox, fabric: Fabric, cluster: Row, holder: int, found: Confirmed) -> None:
    """Write to the `holder` (a VRF's id) what was confirmed, where the next run can use it; raises as the door does."""
    stale: dict[str, frozenset[str]] = {}
    for one in found.left.stale:
        name = unit_of(one.model, one.key)
        stale[name] = stale.get(name, frozenset()) | {one.model}
    units = confirmed(found.wanted.units, found.left, found.later)
    if stale and fabric.deletion.policy is DeletePolicy.DELETE:
        return  # every run compares everything until they are gone
    if found.refused and sum(unit.open for unit in units.values()) > MOST_UNITS:
        return  # it would be in the way of what comes behind it, again and again
    since = recall.since(netbox, found.mark, netbox.writes)
    after = recall.accounted(since, fabric.name, found.wanted.shared) if since is not None else None
    if after is not None:
        settings = config_digest(cluster)
        seen = "" if any(unit.open for unit in units.values()) else found.wanted.said
        counts = found.wanted.counts
        memory = Memory(mapping_version(), settings, found.verified_at, after, units, stale, found.lease, seen, counts)
        recall.keep(netbox, holder, memory)


def move_mark(netbox: NetBox, known: Recollection) -> None:
    """Pass the rows of others that a run looked through and found to be none of the fabric's, where they are many."""
    if known.since.rows > recall.REWRITE_AFTER:
        recall.keep_if_unmoved(netbox, known.holder, replace(known.memory, mark=known.since.mark))
