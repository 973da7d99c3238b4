"""What stands between NetBox and a fabric: creates, updates, marks and deletes, as data with a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from functions.drift import Drift
from functions.fields import KEY
from functions.records import MODELS, Record, Shape

_BY_ID = (Shape.REF, Shape.REFS, Shape.GENERIC, Shape.ENDS)
"""Shapes whose value in NetBox is the number of another object."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one object, from what NetBox holds to what the fabric wants, and who moved."""

    field: str
    before: Any
    after: Any
    drift: Drift = Drift.UNKNOWN


@dataclass(frozen=True, slots=True)
class Create:
    """An object that NetBox does not hold yet."""

    record: Record

    @property
    def model(self) -> str:
        """The model of the object."""
        return self.record.model

    @property
    def key(self) -> str:
        """The identity of the object."""
        return self.record.key


@dataclass(frozen=True, slots=True)
class Update:
    """An object whose owned fields differ. `tags` is the whole merged set when tags change, else None; `tagged` are
    the tags that it had.

    `id` is None for an object that is made in the same run; `extra` parts finish what another operation counts;
    a `mark` tells people that the fabric no longer has the object, and changes nothing else. `last` is the note of
    what was last applied to it. One that steps `aside` makes way for another, and gets its values back in the same run.
    """

    record: Record
    id: int | None
    changes: tuple[Change, ...]
    tags: frozenset[str] | None = None
    tagged: frozenset[str] = frozenset()
    extra: bool = False
    last: Mapping[str, str] = field(default_factory=dict)
    mark: bool = False
    aside: bool = False

    @property
    def adopts(self) -> bool:
        """Whether the object was nobody's before: it gets our key by this."""
        return any(change.field == KEY and not change.before for change in self.changes)

    @property
    def model(self) -> str:
        """The model of the object."""
        return self.record.model

    @property
    def key(self) -> str:
        """The identity of the object."""
        return self.record.key


@dataclass(frozen=True, slots=True)
class Stale:
    """An object of ours that the fabric no longer has, by a complete reading."""

    model: str
    key: str
    id: int


@dataclass(frozen=True, slots=True)
class Delete:
    """An object that goes. `after` are those of ours, as (model, id), that must be gone before it.

    With `first` it goes before anything else is written: it is in the way of what the fabric has now.
    """

    stale: Stale
    after: frozenset[tuple[str, int]] = frozenset()
    first: bool = False

    @property
    def model(self) -> str:
        """The model of the object."""
        return self.stale.model

    @property
    def key(self) -> str:
        """The identity of the object."""
        return self.stale.key


@dataclass(frozen=True, slots=True)
class Hold:
    """Stale objects that are left as they are, and why; `release` is what a person gives to let these pass."""

    stale: tuple[Stale, ...]
    reason: str
    release: str | None = None


@dataclass(frozen=True)
class Plan:
    """What stands between NetBox and the fabric. `held` objects differ, but carry the tag that forbids a change.

    Of the `stale` objects, `marks` are to be marked, `waiting` are marked and stay for now, `deletes` go in this run,
    `later` go in the runs after it (this one has no time to look at them), and `holds` are left as they are.
    `notes` are custom fields of the fabric's own cluster, written at the end of the run. What `first` writes only lets
    the others pass. `more` counts the objects of the fabric that were not compared, as runs after this one will.
    """

    creates: tuple[Create, ...] = ()
    updates: tuple[Update, ...] = ()
    held: tuple[Update, ...] = ()
    stale: tuple[Stale, ...] = ()
    unchanged: Mapping[str, int] = field(default_factory=dict)
    marks: tuple[Update, ...] = ()
    waiting: tuple[Stale, ...] = ()
    deletes: tuple[Delete, ...] = ()
    later: tuple[Stale, ...] = ()
    holds: tuple[Hold, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    first: tuple[Update, ...] = ()
    more: int = 0

    def __len__(self) -> int:
        """How many objects would be written."""
        return sum(map(len, (self.creates, self.updates, self.marks, self.deletes, self.later)))

    @property
    def undecided(self) -> tuple[Stale, ...]:
        """The stale objects of which nobody decided what is to become: none, once the guard has judged."""
        marked = {(op.record.model, op.record.key) for op in self.marks}
        held = {stale for hold in self.holds for stale in hold.stale}
        decided = {*self.waiting, *self.later, *held, *(delete.stale for delete in self.deletes)}
        return tuple(s for s in self.stale if s not in decided and (s.model, s.key) not in marked)

    @property
    def operations(self) -> dict[str, str]:
        """Each operation, as `<verb> <model> <key>`, with 12 hexadecimal digits of what it does.

        That is what it writes and the plain values that it overwrites, not NetBox's ids or the clock.
        """
        gone = [*(delete.stale for delete in self.deletes), *self.later]
        doings: list[tuple[str, Create | Update | Stale, Sequence[object]]] = [
            *(("create", c, [_plain(c.record), sorted(c.record.tags)]) for c in self.creates),
            *(("update", u, [_wanted(u), _overwritten(u), sorted(u.tags or ())]) for u in self.updates),
            *(("stale", s, []) for s in self.stale),
            *(("mark", u, []) for u in self.marks),
            *(("delete", s, []) for s in gone),
        ]
        return {f"{verb} {op.model} {op.key}": _sum(doing, 12) for verb, op, doing in doings}

    @cached_property
    def digest(self) -> str:
        """Identifies the plan by its operations: 16 hexadecimal digits. Of a large plan it takes a second or more."""
        return digest_of(self.operations)


def digest_of(operations: Mapping[str, str]) -> str:
    """The digest of the plan that has these operations."""
    return _sum(operations, 16)


def _sum(content: object, digits: int) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _plain(record: Record) -> dict[str, str]:
    """What a record wants, as texts without NetBox's ids; references stay references."""
    fields = {name: sorted(value) if isinstance(value, tuple) else value for name, value in record.fields.items()}
    return {name: str(value) for name, value in {**record.custom, **fields}.items()}


def _wanted(update: Update) -> dict[str, str]:
    wanted = _plain(update.record)
    return {change.field: wanted.get(change.field, str(change.after)) for change in update.changes}


def _overwritten(update: Update) -> dict[str, Any]:
    fields = MODELS[update.model].fields
    return {
        change.field: change.before
        for change in update.changes
        if change.field not in fields or fields[change.field].shape not in _BY_ID
    }
