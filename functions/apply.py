"""The plan, written: bulk requests in the order of dependency, each the unit of progress, none beyond the deadline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from functions.actual import Actual, Existing, existing_of
from functions.compare import differences, merged_tags
from functions.drift import applied
from functions.errors import Problem, Side, SyncStopped, problem_of
from functions.fields import APPLIED, KEY, NAME
from functions.pace import Pace
from functions.plan import Create, Delete, Plan, Update
from functions.records import MODELS, Ref
from functions.rows import changed_row, new_row, references, refs_in
from functions.survey import survey_by_key
from functions.waves import Operation, waves
from infra.deadline import DeadlineExceeded
from infra.netbox import DeletePermit, NetBox, NetBoxError, Row, UnpermittedDeleteError, UnusableAnswerError
from infra.transport import TransportError

REFUSALS = frozenset({400, 404, 409, 422})
"""HTTP statuses that speak of the rows sent; everything else speaks of NetBox, the token or the way there."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One object that NetBox would not take, and what it said."""

    model: str
    key: str
    text: str


@dataclass(slots=True)
class Applied:
    """What NetBox confirmed, object by object.

    `settled` are the operations that need not be sent again. `unconfirmed` objects were sent in a request that got no
    answer; `left` were not sent. `stopped` is what ended the work before its time, or None; `cut` is True when the
    deadline did.
    """

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    settled: list[Operation] = field(default_factory=list)
    unconfirmed: int = 0
    left: int = 0
    requests: int = 0
    stopped: Problem | None = None
    cut: bool = False

    @property
    def written(self) -> int:
        """How many objects NetBox confirmed as written."""
        return sum(counts.total() for counts in (self.created, self.updated, self.marked, self.deleted))


@dataclass(slots=True)
class Applier:
    """Writes one plan to one NetBox. `on_batch` hears (model, verb, objects confirmed so far, objects planned).

    Without a `permit` nothing is deleted, whatever the plan says. `may_go_on` is asked before each batch, and raises
    `SyncStopped` where there is a reason to stop (the lease is another's by now). `done` is what was confirmed so far.
    """

    netbox: NetBox
    actual: Actual
    fabric: str
    pace: Pace = field(default_factory=Pace)
    on_batch: Callable[[str, str, int, int], None] = lambda model, verb, done, planned: None
    permit: DeletePermit | None = None
    may_go_on: Callable[[], None] = lambda: None
    done: Applied = field(default_factory=Applied)
    _lost: dict[Ref, str] = field(default_factory=dict)
    _stuck: set[tuple[str, int]] = field(default_factory=set)

    def apply(self, plan: Plan) -> Applied:
        """Write the plan as far as the deadline allows; never raises for what NetBox or the network do."""
        done = self.done
        done.left = len(plan)
        try:
            for wave in waves(plan):
                self._wave(wave, done, len(plan))
        except DeadlineExceeded:
            done.cut = True
        except (NetBoxError, TransportError) as error:
            done.stopped = problem_of(error, Side.NETBOX)
        except SyncStopped as stopped:
            done.stopped = stopped.problem
        # What there was no time to look at goes in the next run, which is worth asking for where this one got on.
        done.cut = done.cut or (bool(plan.later) and not done.stopped and done.deleted.total() > 0)
        return done

    def _wave(self, wave: Sequence[Operation], done: Applied, planned: int) -> None:
        queue = list(wave)
        model, verb = queue[0].model, verb_of(queue[0])
        while queue:
            size = self.pace.fits(model, verb, self.netbox.deadline.left())
            if size < 1:
                raise DeadlineExceeded(f"no time for another batch of {model} objects")
            batch = [op for op in queue[:size] if self._ready(op, done)]
            del queue[:size]
            if batch:
                self.may_go_on()
                self._send(batch, done)
                self.on_batch(model, verb, done.written, planned)

    def _ready(self, op: Operation, done: Applied) -> bool:
        """Whether all that the object refers to exists; where it was refused, the object is refused with it.

        What goes must have lost its parts: NetBox would delete those with it, and they were refused for a reason.
        """
        if isinstance(op, Delete):
            if stuck := sorted(op.after & self._stuck):
                self._refuse(op, f"{len(stuck)} parts of it could not be deleted ({stuck[0][0]} {stuck[0][1]})", done)
            return not stuck
        missing = next((ref for ref in needs(op) if ref not in self.actual.ids), None)
        if missing is not None:
            why = f"was refused: {self._lost[missing]}" if missing in self._lost else "is not in NetBox"
            self._refuse(op, f"its {missing.model} {missing.key} {why}", done)
        return missing is None

    def _send(self, batch: list[Operation], done: Applied) -> None:
        model, verb = batch[0].model, verb_of(batch[0])
        self.netbox.deadline.check(f"another batch of {model} objects")
        started = time.monotonic()
        done.requests += 1
        try:
            answer = self._write(batch)
        except NetBoxError as refusal:
            rest = self._without_those_there(batch, done)
            if len(rest) < len(batch):
                if rest:
                    self._send(rest, done)
                return
            if refusal.status not in REFUSALS or isinstance(refusal, UnusableAnswerError):
                raise
            self._split(batch, refusal, done)
            return
        except (DeadlineExceeded, TransportError):
            counted = sum(not _extra(op) for op in batch)
            done.unconfirmed += counted
            done.left -= counted
            raise
        self.pace.learn(model, verb, len(batch), time.monotonic() - started)
        if verb == "delete":
            self._confirm_gone(batch, done)
            return
        for op, row in zip(batch, answer, strict=True):
            if not isinstance(op, Delete):
                self._confirm(op, row, done)

    def _write(self, batch: list[Operation]) -> list[Row]:
        """One request with operations of one model and verb; the answer's rows, none for deletes."""
        path = MODELS[batch[0].model].path
        if isinstance(batch[0], Delete):
            if self.permit is None:
                raise UnpermittedDeleteError(f"a plan with deletes of {batch[0].model} objects came without a permit")
            self.netbox.delete(path, [op.stale.id for op in batch if isinstance(op, Delete)], self.permit)
            return []
        rows = [self._row(op) for op in batch if not isinstance(op, Delete)]
        return self.netbox.create(path, rows) if isinstance(batch[0], Create) else self.netbox.update(path, rows)

    def _confirm_gone(self, batch: list[Operation], done: Applied) -> None:
        """Look whether what was deleted is gone: NetBox's word for it is not enough."""
        model = batch[0].model
        ids = [op.stale.id for op in batch if isinstance(op, Delete)]
        there = {row["id"] for row in self.netbox.read(MODELS[model].path, {"id": ids})}
        for op in batch:
            if isinstance(op, Delete) and op.stale.id in there:
                self._refuse(op, "NetBox took the delete, but the object is still there", done)
            else:
                done.left -= 1
                done.deleted[model] += 1
                done.settled.append(op)

    def _without_those_there(self, batch: list[Operation], done: Applied) -> list[Operation]:
        """What is still to be created: the run of another fabric may have made the same shared objects meanwhile.

        NetBox refuses such a request whole, and answers 500 where the two met in its database.
        """
        model = batch[0].model
        if not MODELS[model].shared or verb_of(batch[0]) != "create":
            return batch
        survey_by_key(self.netbox, model, [op.key for op in batch], self.actual)
        rest = [op for op in batch if Ref(model, op.key) not in self.actual.ids]
        done.left -= len(batch) - len(rest)
        done.settled += [op for op in batch if op not in rest]
        return rest

    def _split(self, batch: list[Operation], refusal: NetBoxError, done: Applied) -> None:
        """Part the bad objects from the others: by name where NetBox names them, else by halves."""
        named = {at: text for at, text in refusal.rows.items() if 0 <= at < len(batch)}
        if len(batch) == 1:
            self._refuse(batch[0], named.get(0, refusal.detail), done)
            return
        if named:
            for at, text in named.items():
                self._refuse(batch[at], text, done)
            parts = [[op for at, op in enumerate(batch) if at not in named]]
        else:
            parts = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        for part in parts:
            if part:
                self._send(part, done)

    def _refuse(self, op: Operation, text: str, done: Applied) -> None:
        if isinstance(op, Delete):
            self._stuck.add((op.model, op.stale.id))
            text = f"not deleted: {text}"
        else:
            self._lost[Ref(op.model, op.key)] = text
        done.refused.append(Refused(op.model, op.key, text))
        done.left -= 0 if _extra(op) else 1

    def _confirm(self, op: Create | Update, row: Row, done: Applied) -> None:
        """Hold NetBox's answer against the record: it drops what it does not know without a word."""
        record = op.record
        self.actual.ids[Ref(record.model, record.key)] = row["id"]
        existing = existing_of(record.model, row)
        sent = fields_of(op)
        differ = differences(record, existing, self.actual.ids, self.fabric, created=isinstance(op, Create))
        if kept := [change for change in differ if change.field in sent]:
            text = "; ".join(f"{c.field} is {c.before!r}, not {c.after!r}" for c in kept)
            self._refuse(op, f"NetBox took it, but {text}", done)
        elif isinstance(op, Update) and op.aside:
            done.settled.append(op)  # its own update is still to come
        elif not self._tagged(op, existing):
            self._refuse(op, "NetBox took it, but not its tags", done)
        else:
            done.settled.append(op)
            if _extra(op):
                return
            done.left -= 1
            made = done.marked if isinstance(op, Update) and op.mark else done.updated
            (done.created if isinstance(op, Create) else made)[record.model] += 1

    def _tagged(self, op: Create | Update, existing: Existing) -> bool:
        """Whether the object has the tags that it should."""
        if isinstance(op, Update) and op.tags is not None:
            return existing.tags == op.tags
        return MODELS[op.model].shared or merged_tags(op.record, existing, self.fabric) is None

    def _row(self, op: Create | Update) -> dict[str, Any]:
        record, ids = op.record, self.actual.ids
        note = {} if MODELS[record.model].shared or MODELS[record.model].named else {APPLIED: applied(record, ids)}
        if isinstance(op, Create):
            return new_row(replace(record, custom={**record.custom, **note}), self.fabric, ids)
        id_ = ids[Ref(record.model, record.key)] if op.id is None else op.id
        changes = {change.field: change.after for change in op.changes}
        if note and not op.extra and not op.mark:
            changes[APPLIED] = {**op.last, **note[APPLIED]}
        return changed_row(record.model, id_, changes, op.tags, ids)


def verb_of(op: Operation) -> str:
    """`create`, `update` or `delete`."""
    if isinstance(op, Delete):
        return "delete"
    return "create" if isinstance(op, Create) else "update"


def needs(op: Create | Update) -> Iterator[Ref]:
    """What must exist before the operation can be sent."""
    if isinstance(op, Create):
        yield from references(op.record, late=False)
        return
    if op.id is None:
        yield Ref(op.record.model, op.record.key)
    for change in op.changes:
        yield from refs_in(change.after)
    for slug in sorted(op.record.tags if op.tags is not None else ()):
        yield Ref("tag", slug)


def fields_of(op: Create | Update) -> set[str]:
    """The fields and custom fields that the operation writes."""
    if isinstance(op, Update):
        return {change.field for change in op.changes}
    fields = MODELS[op.record.model].fields
    return {name for name in op.record.fields if not fields[name].late} | {KEY, NAME, *op.record.custom}


def _extra(op: Operation) -> bool:
    return isinstance(op, Update) and op.extra
