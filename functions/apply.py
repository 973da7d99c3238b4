"""The plan, written: bulk requests in the order of dependency, each the unit of progress, none beyond the deadline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.actual import Actual, existing_of
from functions.compare import Create, Plan, Update, differences, merged_tags, resolved
from functions.errors import Problem, Side, problem_of
from functions.fields import KEY, NAME
from functions.pace import Pace
from functions.records import MODELS, Record, Ref, Shape
from functions.survey import read_slugs
from infra.deadline import DeadlineExceeded
from infra.netbox import NetBox, NetBoxError, Row, UnusableAnswerError
from infra.transport import TransportError

type Operation = Create | Update

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

    `unconfirmed` objects were sent in a request that got no answer; `left` were not sent. `stopped` is what ended
    the work before its time, or None; `cut` is True when the deadline did.
    """

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    unconfirmed: int = 0
    left: int = 0
    requests: int = 0
    stopped: Problem | None = None
    cut: bool = False

    @property
    def written(self) -> int:
        """How many objects NetBox confirmed as written."""
        return self.created.total() + self.updated.total()


@dataclass(slots=True)
class Applier:
    """Writes one plan to one NetBox. `on_batch` hears (model, verb, objects confirmed so far, objects planned)."""

    netbox: NetBox
    actual: Actual
    fabric: str
    pace: Pace = field(default_factory=Pace)
    on_batch: Callable[[str, str, int, int], None] = lambda model, verb, done, planned: None
    _lost: dict[Ref, str] = field(default_factory=dict)

    def apply(self, plan: Plan) -> Applied:
        """Write the plan as far as the deadline allows; never raises for what NetBox or the network do."""
        done = Applied(left=len(plan))
        try:
            for wave in waves(plan):
                self._wave(wave, done, len(plan))
        except DeadlineExceeded:
            done.cut = True
        except (NetBoxError, TransportError) as error:
            done.stopped = problem_of(error, Side.NETBOX)
        return done

    def _wave(self, wave: Sequence[Operation], done: Applied, planned: int) -> None:
        queue = list(wave)
        model, verb = queue[0].record.model, verb_of(queue[0])
        while queue:
            size = self.pace.fits(model, verb, self.netbox.deadline.left())
            if size < 1:
                raise DeadlineExceeded(f"no time for another batch of {model} objects")
            batch = [op for op in queue[:size] if self._ready(op, done)]
            del queue[:size]
            if batch:
                self._send(batch, done)
                self.on_batch(model, verb, done.written, planned)

    def _ready(self, op: Operation, done: Applied) -> bool:
        """Whether all that the object refers to exists; where it was refused, the object is refused with it."""
        missing = next((ref for ref in references(op.record) if ref not in self.actual.ids), None)
        if missing is not None:
            why = f"was refused: {self._lost[missing]}" if missing in self._lost else "is not in NetBox"
            self._refuse(op, f"its {missing.model} {missing.key} {why}", done)
        return missing is None

    def _send(self, batch: list[Operation], done: Applied) -> None:
        model, verb = batch[0].record.model, verb_of(batch[0])
        path = MODELS[model].path
        write = self.netbox.create if verb == "create" else self.netbox.update
        rows = [self._row(op) for op in batch]
        self.netbox.deadline.check(f"another batch of {model} objects")
        started = time.monotonic()
        done.requests += 1
        try:
            answer = write(path, rows)
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
            done.unconfirmed += len(batch)
            done.left -= len(batch)
            raise
        self.pace.learn(model, verb, len(batch), time.monotonic() - started)
        for op, row in zip(batch, answer, strict=True):
            self._confirm(op, row, done)

    def _without_those_there(self, batch: list[Operation], done: Applied) -> list[Operation]:
        """What is still to be created: the run of another fabric may have made the same shared objects meanwhile.

        NetBox refuses such a request whole, and answers 500 where the two met in its database.
        """
        model = batch[0].record.model
        if not MODELS[model].shared:
            return batch
        found = read_slugs(self.netbox, model, [op.record.key for op in batch])
        self.actual.ids.update({Ref(model, slug): id_ for slug, id_ in found.items()})
        done.left -= len(found)
        return [op for op in batch if op.record.key not in found]

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
        self._lost[Ref(op.record.model, op.record.key)] = text
        done.refused.append(Refused(op.record.model, op.record.key, text))
        done.left -= 1

    def _confirm(self, op: Operation, row: Row, done: Applied) -> None:
        """Hold NetBox's answer against the record: it drops what it does not know without a word."""
        record = op.record
        self.actual.ids[Ref(record.model, record.key)] = row["id"]
        if not MODELS[record.model].shared:
            existing = existing_of(record.model, row)
            created = isinstance(op, Create)
            kept = differences(record, existing, self.actual.ids, self.fabric, created=created)
            if kept:
                text = "; ".join(f"{c.field} is {c.before!r}, not {c.after!r}" for c in kept)
                self._refuse(op, f"NetBox took it, but {text}", done)
                return
            if merged_tags(record, existing, self.fabric) is not None:
                self._refuse(op, "NetBox took it, but not its tags", done)
                return
        done.left -= 1
        (done.created if isinstance(op, Create) else done.updated)[record.model] += 1

    def _row(self, op: Operation) -> dict[str, Any]:
        """The JSON object for a bulk request: all fields of a new object, the changed ones of an old one."""
        record, model = op.record, MODELS[op.record.model]
        if isinstance(op, Create):
            row = {name: self._value(record, name) for name, value in record.fields.items() if value not in (None, "")}
            custom: dict[str, Any] = {KEY: record.key, NAME: self.fabric} if not model.shared else {}
            custom |= {name: value for name, value in record.custom.items() if value is not None}
            tags = record.tags or None
        else:
            changed = {change.field for change in op.changes}
            row = {"id": op.id, **{name: self._value(record, name) for name in model.fields if name in changed}}
            own = {KEY: record.key, NAME: self.fabric, **record.custom}
            custom = {name: value for name, value in own.items() if name in changed}
            tags = op.tags
        if custom:
            row["custom_fields"] = custom
        if tags is not None:
            row["tags"] = [{"slug": slug} for slug in sorted(tags)]
        return row

    def _value(self, record: Record, name: str) -> Any:
        value = record.fields[name]
        if MODELS[record.model].fields[name].shape is Shape.ENDS:
            ends = sorted(resolved(value, self.actual.ids))
            return [{"object_type": "dcim.interface", "object_id": id_} for id_ in ends]
        return resolved(value, self.actual.ids)


def verb_of(op: Operation) -> str:
    """`create` or `update`."""
    return "create" if isinstance(op, Create) else "update"


def references(record: Record) -> Iterator[Ref]:
    """Every record that a record refers to, its tags included."""
    for value in record.fields.values():
        if isinstance(value, Ref):
            yield value
        elif isinstance(value, tuple):
            yield from value
    for slug in sorted(record.tags):
        yield Ref("tag", slug)


def waves(plan: Plan) -> list[list[Operation]]:
    """The plan's operations in the order of dependency, alike ones together.

    Models go in the order of `MODELS`; inside a model, what refers to another new object of it goes one step later
    (a port after the LAG it joins). What changes goes before what is new: a cable may have to free a port first.
    """
    order = {name: at for at, name in enumerate(MODELS)}
    new = {Ref(op.record.model, op.record.key): op.record for op in plan.creates}

    def depth(record: Record) -> int:
        alike = [new[ref] for ref in references(record) if ref.model == record.model and ref in new]
        return 1 + max(map(depth, alike)) if alike else 0

    grouped: dict[tuple[int, int, bool], list[Operation]] = {}
    operations: tuple[Operation, ...] = (*plan.updates, *plan.creates)
    for op in operations:
        at = (order[op.record.model], depth(op.record), isinstance(op, Create))
        grouped.setdefault(at, []).append(op)
    return [grouped[at] for at in sorted(grouped)]
