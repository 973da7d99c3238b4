"""Pure: which objects that the fabric no longer has may be marked, which may be deleted, and which are held, and why.

The rules (design, decision 8; lessons 18 to 30): only from complete readings (compare sees to that), only objects with
our key, not more than a share of a kind at once, after a grace by our own clock, and only what nothing else needs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from functions.actual import Existing
from functions.fabric import DeletePolicy, Deletion
from functions.fields import HOLD_TAG, KEY, NAME, STALE_RUN, STALE_SINCE, STALE_TAG
from functions.plan import Change, Delete, Hold, Stale, Update
from functions.records import MODELS, Json, Record
from infra.netbox import DeletePermit

MOST_OBJECTS: Final = 25
MOST_SHARE: Final = 0.25
"""More of a kind than both of these at once looks like a fault, not like a change: held until a person releases it."""

SWITCH: Final = "Switch"

type Owned = Mapping[str, Mapping[str, Existing]]
"""All that NetBox holds of a fabric: model → key → object."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """The fabric's object behind a NetBox object, out of its key `<fabric>/<Kind>/<namespace>/<name>#<part>`."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with the stale objects. `waiting` are marked, and their grace is not over.

    `released` are the kinds of which a mass was let pass by a person, each with the moment; `counting` says whether
    an object waits for the count of runs, so that this run is to be counted.
    """

    mark: tuple[Stale, ...] = ()
    delete: tuple[Stale, ...] = ()
    waiting: tuple[Stale, ...] = ()
    holds: tuple[Hold, ...] = ()
    released: Mapping[str, datetime] = field(default_factory=dict)
    counting: bool = False


def source_of(key: str, fabric: str) -> Source | None:
    """The source that a key names; None when the key is not one of `fabric`'s."""
    # An object that two writers made twice has its number behind its key, with blanks that no key has.
    parts = key.partition(" ")[0].partition("#")[0].split("/")
    if len(parts) != 4 or parts[0] != fabric or not all(parts):
        return None
    return Source(*parts[1:])


def is_ours(stale: Stale, existing: Existing | None, fabric: str) -> bool:
    """Whether NetBox's object is proved to be `fabric`'s own: its model, number, key and name all say so."""
    if existing is None or existing.id != stale.id or source_of(stale.key, fabric) is None:
        return False
    model = MODELS[stale.model]
    key = existing.custom.get(KEY)
    return (
        not (model.shared or model.named)
        and existing.custom.get(NAME) == fabric
        and key in (stale.key, stale.key.partition(" ")[0])
    )


def judge_stale(
    stale: Collection[Stale],
    owned: Owned,
    fabric: str,
    deletion: Deletion,
    *,
    now: datetime,
    urgent: Mapping[Stale, str] | None = None,
    absent: Collection[str] = (),
) -> Verdict:
    """What may be done with `stale` objects of `fabric`.

    `urgent` are those in the way of an object that the fabric has now (and of which): under the policy `delete` they do
    not wait for the grace.
    `absent` are the kinds that the fabric no longer offers: of these nothing is deleted unless a person releases it.
    """
    urgent = urgent or {}
    # Under `mark` nothing is deleted, whatever it is in the way of: NetBox's refusal of the new object tells of it.
    hurried = set(urgent) if deletion.policy is DeletePolicy.DELETE else set()
    known = {s: owned.get(s.model, {}).get(s.key) for s in stale}
    holds: list[Hold] = []
    open_: list[Stale] = []
    for s, existing in known.items():
        if not is_ours(s, existing, fabric):
            holds.append(Hold((s,), "its key is not ours" + _in_the_way(s, urgent)))
        elif existing is not None and HOLD_TAG in existing.tags:
            holds.append(Hold((s,), f"tagged {HOLD_TAG}" + _in_the_way(s, urgent)))
        elif deletion.policy is DeletePolicy.NEVER:
            holds.append(Hold((s,), "the delete policy is never" + _in_the_way(s, urgent)))
        else:
            open_.append(s)
    marks: list[Stale] = []
    due: list[Stale] = []
    waiting: list[Stale] = []
    for s in open_:
        custom, tags = owned[s.model][s.key].custom, owned[s.model][s.key].tags
        since = since_of(custom)
        if s in hurried or _is_over(custom, deletion, now):
            due.append(s)
        elif since is None or STALE_TAG not in tags:
            marks.append(s)
        else:
            waiting.append(s)
    masses, released = _masses(stale, open_, marks, due, owned, fabric, deletion, now, absent)
    stopped = {s for hold in masses for s in hold.stale}
    waiting = [s for s in waiting if s not in stopped]
    return Verdict(
        tuple(s for s in marks if s not in stopped),
        tuple(s for s in due if s not in stopped),
        tuple(waiting),
        merged([*holds, *masses]),
        released,
        deletion.policy is DeletePolicy.DELETE
        and any(deletion.runs - run_of(owned[s.model][s.key].custom) < deletion.grace_runs for s in waiting),
    )


def _in_the_way(stale: Stale, urgent: Mapping[Stale, str]) -> str:
    return f", and it is in the way of {urgent[stale]}" if stale in urgent else ""


def _is_over(custom: Mapping[str, Any], deletion: Deletion, now: datetime) -> bool:
    """Whether an object's grace is over: this run is one more that saw it gone."""
    since = since_of(custom)
    if deletion.policy is not DeletePolicy.DELETE or since is None or now - since < deletion.grace:
        return False
    return deletion.runs + 1 - run_of(custom) >= deletion.grace_runs


def _masses(
    stale: Collection[Stale],
    open_: Collection[Stale],
    marks: Collection[Stale],
    due: Collection[Stale],
    owned: Owned,
    fabric: str,
    deletion: Deletion,
    now: datetime,
    absent: Collection[str],
) -> tuple[list[Hold], dict[str, datetime]]:
    """The kinds of which too much goes at once, and those of which a person let it go.

    What counts is the fabric's own objects: one switch is one, with all its ports, and is gone also where a person
    holds some of it. A mark lets all of the kind pass that are gone now, and stays good while they go, run by run.
    """
    keys = {s.key for s in stale}
    behind = {s: source for s in open_ if (source := source_of(s.key, fabric)) is not None}
    living = {source_of(key, fabric) for objects in owned.values() for key in objects if key not in keys}
    vanished = {source for s in stale if (source := source_of(s.key, fabric)) and source not in living}
    totals = Counter(source.kind for source in living | vanished if source)
    gone = Counter(source.kind for source in vanished)
    new = {behind[s] for s in marks} & vanished
    going = {behind[s] for s in due if not _passed(owned[s.model][s.key].custom, behind[s].kind, deletion)}
    holds: list[Hold] = []
    released: dict[str, datetime] = {}
    for kind in sorted(gone | Counter(source.kind for source in going)):
        at_once = max(sum(source.kind == kind for source in some) for some in (new, going & vanished))
        leaving = any(source.kind == kind for source in going)
        if at_once and kind == SWITCH and gone[kind] == totals[kind]:
            why = f"all {totals[kind]} {kind} objects are gone"
        elif at_once > MOST_OBJECTS and at_once > MOST_SHARE * totals[kind]:
            why = f"{at_once} of {totals[kind]} {kind} objects are gone at once"
        elif kind in absent and leaving:
            why = f"the fabric no longer offers the kind {kind}"
        else:
            continue
        mark = release_mark(fabric, {source for source in behind.values() if source.kind == kind})
        if mark in deletion.release:
            released[kind] = now
        elif kind == SWITCH and gone[kind] == totals[kind]:
            # Without switches hardly anything else is wanted: what goes with them says nothing by itself.
            return [Hold(tuple(open_), why, mark)], {}
        else:
            holds.append(Hold(tuple(s for s in open_ if behind[s].kind == kind), why, mark))
    return holds, released


def _passed(custom: Mapping[str, Any], kind: str, deletion: Deletion) -> bool:
    """Whether a person has let the object pass: it was marked when they did."""
    since, until = since_of(custom), deletion.released.get(kind)
    return since is not None and until is not None and since <= until


def release_mark(fabric: str, sources: Iterable[Source]) -> str:
    """What a person gives to let exactly these objects of the fabric pass: 12 hexadecimal digits."""
    text = "\n".join([fabric, *map(str, sorted(sources))])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def since_of(custom: Mapping[str, Any]) -> datetime | None:
    """Since when the object is marked, None when it is not (or its mark cannot be read: it is then marked anew)."""
    text = custom.get(STALE_SINCE)
    try:
        since = datetime.fromisoformat(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
    return since.replace(tzinfo=UTC) if since and since.tzinfo is None else since


def run_of(custom: Mapping[str, Any]) -> int:
    """The fabric's count of runs when the object was marked."""
    number = custom.get(STALE_RUN)
    return number if isinstance(number, int) else 0


def marks(stale: Iterable[Stale], owned: Owned, *, now: datetime, runs: int) -> tuple[Update, ...]:
    """The updates that say of each object that the fabric no longer has it, since `now` and the count of `runs`."""
    return tuple(_mark(s, owned[s.model][s.key], now, runs) for s in stale)


def _mark(stale: Stale, existing: Existing, now: datetime, runs: int) -> Update:
    # As NetBox answers it; were it written in another form, the answer would look like another value.
    moment = now.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    custom: dict[str, Json] = {} if since_of(existing.custom) else {STALE_SINCE: moment, STALE_RUN: runs}
    record = Record(stale.model, stale.key, {}, custom, frozenset({STALE_TAG}))
    changes = tuple(Change(name, existing.custom.get(name), value) for name, value in custom.items())
    return Update(record, stale.id, changes, existing.tags | {STALE_TAG}, existing.tags, mark=True)


def merged(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """The holds, those of one reason in one."""
    found: dict[tuple[str, str | None], list[Stale]] = {}
    for hold in holds:
        found.setdefault((hold.reason, hold.release), []).extend(hold.stale)
    return tuple(Hold(tuple(stale), reason, release) for (reason, release), stale in found.items())


def permit(deletes: Iterable[Delete], owned: Owned, fabric: str) -> DeletePermit:
    """The capability to delete these objects of `fabric`, and no others.

    What is not proved to be its own, or carries the tag that forbids it, is not in the permit.
    """
    proved = {
        (MODELS[op.model].path, op.stale.id)
        for op in deletes
        if is_ours(op.stale, existing := owned.get(op.model, {}).get(op.key), fabric)
        and existing is not None
        and HOLD_TAG not in existing.tags
    }
    return DeletePermit(frozenset(proved))
