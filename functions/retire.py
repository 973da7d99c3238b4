"""What becomes of the objects that a fabric no longer has: judged by the guard, looked up again on both sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from functions.actual import Actual
from functions.fabric import Fabric
from functions.fields import RELEASED, RUNS
from functions.guard import Source, judge_stale, marks, merged, source_of
from functions.hanging import NO_TIME, hanging
from functions.kinds import BY_NAME
from functions.needs import blocked, parts, users
from functions.plan import Delete, Hold, Plan, Stale
from functions.records import MODELS
from functions.snapshot import Reading, Snapshot
from functions.superseded import superseded
from infra.deadline import DeadlineExceeded
from infra.kubernetes import KubernetesClient, KubernetesError, Resource
from infra.netbox import NetBoxReader
from infra.transport import TransportError

A_SECOND: Final = 4.0
"""Deletes that a run takes on for each second it has left: they cost NetBox 0.1 to 0.4 s each (`netbox.md` §2)."""

LOOK_SHARE: Final = 0.3
"""The share of the time left that looking again may take, on either side: what was not seen in it is held."""

ALONE_SHARE: Final = 0.7
"""The same for what people hung on objects, where nothing is to be written before them: else a NetBox that is too slow
for the smaller share would have them wait for ever."""

type LookUp = Callable[[Collection[Source]], Mapping[Source, str]]
"""Looks for sources in the fabric, by name; those that are not proved to be gone, each with the reason."""


def retire(
    plan: Plan, actual: Actual, fabric: Fabric, snapshot: Snapshot, netbox: NetBoxReader, look_up: LookUp, now: datetime
) -> Plan:
    """The plan with what is to be done about its stale objects: marks, deletes, and those that wait or are held."""
    if not plan.stale:
        return plan
    urgent = superseded(plan, actual)
    absent = {listing.kind for listing in snapshot.listings.values() if listing.reading is Reading.ABSENT}
    verdict = judge_stale(plan.stale, actual.owned, fabric.name, fabric.deletion, now=now, urgent=urgent, absent=absent)
    notes: dict[str, object] = {}
    if verdict.counting:
        notes[RUNS] = fabric.deletion.runs + 1
    if verdict.released:
        until = {**fabric.deletion.released, **verdict.released}
        notes[RELEASED] = {kind: moment.isoformat(timespec="seconds") for kind, moment in until.items()}
    plan = replace(
        plan,
        marks=marks(verdict.mark, actual.owned, now=now, runs=fabric.deletion.runs),
        waiting=verdict.waiting,
        holds=verdict.holds,
        notes=notes,
    )
    return _settled(plan, verdict.delete, urgent, actual, fabric, snapshot, netbox, look_up) if verdict.delete else plan


def _settled(
    plan: Plan,
    due: Collection[Stale],
    urgent: Mapping[Stale, str],
    actual: Actual,
    fabric: Fabric,
    snapshot: Snapshot,
    netbox: NetBoxReader,
    look_up: LookUp,
) -> Plan:
    """The plan with the objects whose time is over: what goes in this run, what goes later, and what stays, and why."""
    used = users(actual.owned)
    stuck = blocked(due, used, plan.updates)
    rank = {name: at for at, name in enumerate(reversed(MODELS))}
    # Leaf first, as they go, so that what is for later never hangs on what is for now; what is in the way before all.
    free = sorted((s for s in due if s not in stuck), key=lambda s: (s not in urgent, rank[s.model], s.key))
    most = max(1, int(netbox.deadline.left() * A_SECOND))
    chosen, later = free[:most], free[most:]
    kept = _still_there(chosen, fabric.name, snapshot, look_up)
    share = LOOK_SHARE if plan.creates or plan.updates or plan.marks else ALONE_SHARE
    kept |= _hung([s for s in chosen if s not in kept], actual, fabric.name, netbox, share)
    later += [s for s, reason in kept.items() if reason == NO_TIME]
    stuck |= blocked([s for s in free if s not in kept or s in later], used, plan.updates)
    stuck = {s: user for s, user in stuck.items() if s not in kept}
    going = [s for s in chosen if s not in kept and s not in stuck]
    needed = blocked(going, used, plan.updates)
    later += needed
    going = [s for s in going if s not in needed]
    waits = {(s.model, s.id) for s in (*plan.waiting, *later)}
    behind = {(s.model, s.id): user for s, user in stuck.items()}
    names = {(model, one.id): key for model, objects in actual.owned.items() for key, one in objects.items()}
    waiting: list[Stale] = []
    holds = [
        Hold((s,), reason + (f", and it is in the way of {urgent[s]}" if s in urgent else ""))
        for s, reason in kept.items()
        if reason != NO_TIME
    ]
    for s, user in stuck.items():
        root = user
        while root in behind:
            root = behind[root]
        if root in waits:
            waiting.append(s)
        else:
            holds.append(Hold((s,), f"the {user[0]} {names.get(user, user[1])} needs it, and stays"))
    leaving = {(s.model, s.id) for s in going}
    return replace(
        plan,
        deletes=tuple(Delete(s, parts((s.model, s.id), used) & leaving, s in urgent) for s in going),
        later=tuple(s for s in later if s not in stuck),
        waiting=(*plan.waiting, *waiting),
        holds=merged([*plan.holds, *holds]),
    )


def _still_there(chosen: Collection[Stale], fabric: str, snapshot: Snapshot, look_up: LookUp) -> dict[Stale, str]:
    """Those whose source is not proved to be gone.

    One that was read is there, and has lost this part of it only. A kind that is not offered has nothing to look up:
    its objects come this far only when a person let them pass. What has no kind is of our own making.
    """
    absent = {listing.kind for listing in snapshot.listings.values() if listing.reading is Reading.ABSENT}
    read = {
        (listing.kind, str(meta.get("namespace") or ""), str(meta.get("name") or ""))
        for listing in snapshot.listings.values()
        for item in listing.items
        if (meta := item.get("metadata") or {})
    }
    sources = {s: source for s in chosen if (source := source_of(s.key, fabric)) is not None}
    missing = {
        source
        for source in sources.values()
        if (source.kind, source.namespace, source.name) not in read
        and source.kind in BY_NAME
        and source.kind not in absent
    }
    there = look_up(sorted(missing)) if missing else {}
    return {s: there[source] for s, source in sources.items() if source in there}


def _hung(
    chosen: Collection[Stale], actual: Actual, fabric: str, netbox: NetBoxReader, share: float
) -> dict[Stale, str]:
    whole = netbox.deadline
    netbox.deadline = whole.within(whole.check("looking for what people hung on what goes") * share)
    try:
        return hanging(netbox, chosen, actual.owned, fabric)
    finally:
        netbox.deadline = whole


def look_up_in(client: KubernetesClient, sources: Collection[Source]) -> dict[Source, str]:
    """Those of `sources` that the fabric does not say to be gone, each with the reason."""
    whole = client.deadline
    client.deadline = whole.within(whole.check("looking again for what is gone") * LOOK_SHARE)
    unseen = list(sources)
    found: dict[Source, str] = {}
    try:
        offered = {(resource.group, resource.kind): resource for resource in client.discover()}
        while unseen:
            source, kind = unseen[0], BY_NAME[unseen[0].kind]
            if reason := _found(client, offered.get((kind.group, kind.name)), source):
                found[source] = reason
            unseen.pop(0)
    except (KubernetesError, TransportError) as error:
        found |= dict.fromkeys(unseen, f"the fabric could not be asked for it again: {error}")
    except DeadlineExceeded:
        found |= dict.fromkeys(unseen, NO_TIME)
    finally:
        client.deadline = whole
    return found


def _found(client: KubernetesClient, resource: Resource | None, source: Source) -> str | None:
    """Why the source is not gone: it is there, or nobody can tell."""
    if resource is None:
        return f"the fabric does not offer {source.kind} any more"
    try:
        there = client.get(resource, source.namespace, source.name)
    except (KubernetesError, TransportError) as error:
        return f"{source} could not be looked up again: {error}"
    return f"{source} is there when it is asked for by name" if there is not None else None
