"""The plan, written: bulk requests in the order of dependency, each the unit of progress, none beyond the deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from functions.actual import Actual, Existing, existing_of
from functions.applied import Applied, Refused
from functions.compare import differences, merged_tags
from functions.drift import applied
from functions.errors import Side, SyncStopped
from functions.fields import APPLIED
from functions.flights import Flights, Landed
from functions.meanwhile import conditions, read_again, take_in
from functions.operations import Operation, fields_of, is_extra, needs, verb_of
from functions.pace import BATCH_SECONDS, Pace
from functions.plan import Create, Delete, Plan, Update
from functions.problems import problem_of
from functions.records import MODELS, Ref
from functions.rows import changed_row, new_row
from functions.turns import Turns
from functions.waves import waves
from functions.window import Window
from infra.deadline import DeadlineExceeded
from infra.netbox import (
    DeletePermit,
    NetBox,
    NetBoxError,
    Row,
    StaleObjectError,
    UnpermittedDeleteError,
    UnusableAnswerError,
)
from infra.stopping import Stopped
from infra.transport import TransportError

REFUSALS = frozenset({400, 404, 409, 412, 422})
"""HTTP statuses that speak of the rows sent; everything else speaks of NetBox, the token or the way there."""

ENDINGS = (DeadlineExceeded, NetBoxError, SyncStopped, TransportError)
"""What ends the work before its time."""

GRACE: Final = 0.5
"""Seconds after the deadline for the requests in flight to notice it; they end by it themselves."""

HUNG: Final = 2 * BATCH_SECONDS
"""Seconds after which nothing waits any more for a request that is on its way, but for what refers to its rows. One
more is then sent than else would be: not one for each that hangs, for NetBox may only be slow, and drown in them."""


@dataclass(slots=True)
class Applier:
    """Writes one plan to one NetBox. `on_batch` hears (model, verb, objects confirmed so far, objects planned).

    Up to `most_in_flight` requests are on their way at once, in threads that do nothing else: what is sent is made, and
    what comes back is taken in, by the thread that called. They are shared with the `others`, runs that write to the
    same NetBox. `may_go_on` is asked there before each batch, and raises to stop. Without a `permit` nothing is
    deleted, whatever the plan says. `done` is what was confirmed so far.
    """

    netbox: NetBox
    actual: Actual
    fabric: str
    pace: Pace = field(default_factory=Pace)
    on_batch: Callable[[str, str, int, int], None] = lambda model, verb, done, planned: None
    permit: DeletePermit | None = None
    most_in_flight: int = 4
    others: Callable[[], int] = lambda: 0
    may_go_on: Callable[[], None] = lambda: None
    done: Applied = field(default_factory=Applied)
    _lost: dict[Ref, str] = field(default_factory=dict)
    _stuck: set[tuple[str, int]] = field(default_factory=set)
    _coming: frozenset[Ref] = frozenset()

    def apply(self, plan: Plan) -> Applied:
        """Write the plan as far as the deadline allows; never raises for what NetBox or the network do.

        Whatever ends the work, requests in flight are awaited, and count as what came of them.
        """
        done = self.done
        done.left = len(plan)
        self._coming = frozenset(Ref(op.model, op.key) for op in plan.creates)
        turns, window = Turns(waves(plan)), Window(self.most_in_flight)
        going_on = True
        with Flights(self.most_in_flight) as flights:
            while going_on or len(flights):
                try:
                    going_on = going_on and self._hand_out(turns, window, flights, done)
                    # Until the deadline, or until more may be sent.
                    patience = window.pause() or max(0.0, self.netbox.deadline.left()) + 2 * GRACE
                    if flights.age < HUNG:
                        patience = min(patience, HUNG - flights.age)
                    if landed := flights.landed(patience):
                        self._take_in(landed, turns, window, done)
                        self.on_batch(landed.batch[0].model, verb_of(landed.batch[0]), done.written, len(plan))
                    elif len(flights) and self.netbox.deadline.left() < -GRACE:
                        done.cut = done.cut or not done.stopped
                        for batch in flights.batches:
                            self._unheard(batch, done)
                        break
                except Stopped:
                    for batch in flights.batches:
                        self._unheard(batch, done)
                    raise
                except ENDINGS as end:
                    going_on = False
                    if done.cut or done.stopped:
                        continue  # the first one says why
                    done.cut = isinstance(end, DeadlineExceeded)
                    done.stopped = None if done.cut else problem_of(end, Side.NETBOX)
        # What there was no time to look at goes in the next run, which is worth asking for where this one got on.
        progress = (plan.later and done.deleted.total() > 0) or (plan.more and done.written > 0)
        done.cut = done.cut or (bool(progress) and not done.stopped)
        return done

    def _hand_out(self, turns: Turns, window: Window, flights: Flights, done: Applied) -> bool:
        """Send what may be sent now; whether there is, or will be, more."""
        window.most = max(1, self.most_in_flight // (1 + self.others()))
        at_once = min(window.most, window.room + 1)
        if (pause := window.pause()) > 0:
            if not len(flights):
                self.netbox.deadline.pause(pause)
            return True
        room = min(self.most_in_flight, window.room + (flights.age >= HUNG))
        while len(flights) < room:
            if not (batch := self._next(turns, flights, at_once)) and not (len(flights) or turns.over):
                # Shortly before the deadline one may do alone what two cannot do beside each other.
                batch, at_once = self._next(turns, flights, 1), 1
                if not batch:
                    raise DeadlineExceeded("no time for another batch")
            if not batch:
                break
            if batch := [op for op in batch if self._ready(op, done)]:
                self.may_go_on()
                self.netbox.deadline.check(f"another batch of {batch[0].model} objects")
                done.requests += 1
                flights.send(batch, self._writing(batch))
                if at_once == 1:
                    break
        return bool(len(flights)) or not turns.over

    def _next(self, turns: Turns, flights: Flights, at_once: int) -> list[Operation]:
        return turns.next(flights.batches, self._waits, partial(self._fits, at_once), eager=flights.age >= HUNG)

    def _fits(self, at_once: int, op: Operation) -> int:
        return self.pace.fits(op.model, verb_of(op), self.netbox.deadline.left(), at_once)

    def _waits(self, op: Operation) -> bool:
        """Whether something that the operation needs is not there, and may still come."""
        if isinstance(op, Delete):
            return False
        ids, lost = self.actual.ids, self._lost
        return any(ref not in ids and ref in self._coming and ref not in lost for ref in needs(op))

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

    def _writing(self, batch: list[Operation]) -> Callable[[], list[Row]]:
        """What sends one request with operations of one model and verb, and gives the answer's rows.

        After deletes these are the rows that are still there: NetBox's word for it is not enough.
        """
        netbox, path, permit = self.netbox, MODELS[batch[0].model].path, self.permit
        if not isinstance(batch[0], Delete):
            rows = [self._row(op) for op in batch if not isinstance(op, Delete)]
            if isinstance(batch[0], Create):
                return partial(netbox.create, path, rows)
            return partial(netbox.update, path, rows, conditions(batch, self.actual))
        if permit is None:
            raise UnpermittedDeleteError(f"a plan with deletes of {batch[0].model} objects came without a permit")
        ids = [op.stale.id for op in batch if isinstance(op, Delete)]

        def delete() -> list[Row]:
            netbox.delete(path, ids, permit)
            try:
                return netbox.read(path, {"id": ids})
            except NetBoxError as unseen:  # no refusal of the delete, which must not be sent again
                text = f"objects were deleted, but whether they are gone could not be seen: {unseen.detail}"
                raise UnusableAnswerError(unseen.status, text) from unseen

        return delete

    def _take_in(self, landed: Landed, turns: Turns, window: Window, done: Applied) -> None:
        batch = landed.batch
        model, verb = batch[0].model, verb_of(batch[0])
        try:
            answer = landed.answer()
        except NetBoxError as refusal:
            self._refused(batch, refusal, turns, window, done)
            return
        except (DeadlineExceeded, TransportError):
            self._unheard(batch, done)
            raise
        self.pace.learn(model, verb, len(batch), landed.seconds, landed.beside)
        window.answered(model, verb, len(batch), landed.seconds, landed.beside)
        if verb == "delete":
            self._confirm_gone(batch, answer, done)
            return
        for op, row in zip(batch, answer, strict=True):
            if not isinstance(op, Delete):
                self._confirm(op, row, done)

    def _unheard(self, batch: list[Operation], done: Applied) -> None:
        """Count a batch that was sent, and of which nothing is known."""
        counted = sum(not is_extra(op) for op in batch)
        done.unconfirmed += counted
        done.left -= counted

    def _refused(
        self, batch: list[Operation], refusal: NetBoxError, turns: Turns, window: Window, done: Applied
    ) -> None:
        """Send again what can be; raises the refusal where that does not help."""
        if refusal.status not in REFUSALS:
            window.pushed_back()
        if _not_begun(refusal) and window.wait(refusal.retry_after, self.netbox.deadline.left()):
            turns.again(batch)
            return
        seen = conditions(batch, self.actual)
        rest = self._read_again(batch, refusal, done)
        if rest != batch or conditions(rest, self.actual) != seen:
            for verb in (Create, Update):
                turns.again([op for op in rest if isinstance(op, verb)])
        elif refusal.status not in REFUSALS or isinstance(refusal, UnusableAnswerError):
            raise refusal
        else:
            self._split(batch, refusal, turns, done)

    def _confirm_gone(self, batch: list[Operation], still: list[Row], done: Applied) -> None:
        there = {row["id"] for row in still}
        for op in batch:
            if isinstance(op, Delete) and op.stale.id in there:
                self._refuse(op, "NetBox took the delete, but the object is still there", done)
            else:
                done.left -= 1
                done.deleted[op.model] += 1
                done.settled.append(op)

    def _read_again(self, batch: list[Operation], refusal: NetBoxError, done: Applied) -> list[Operation]:
        """What is still to be done, where others wrote the same objects meanwhile; else the batch as it is.

        NetBox refuses a request whole where shared objects of it were made meanwhile, and answers 500 where two such
        requests met in its database; and 412 where objects were changed since they were read.
        """
        met = MODELS[batch[0].model].shared and verb_of(batch[0]) == "create"
        if not (met or isinstance(refusal, StaleObjectError)):
            return batch
        rest, needless = read_again(self.netbox, batch, self.actual, self.fabric)
        done.left -= len(needless)
        done.settled += needless
        return rest

    def _split(self, batch: list[Operation], refusal: NetBoxError, turns: Turns, done: Applied) -> None:
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
            turns.again(part)

    def _refuse(self, op: Operation, text: str, done: Applied) -> None:
        if isinstance(op, Delete):
            self._stuck.add((op.model, op.stale.id))
            text = f"not deleted: {text}"
        else:
            self._lost[Ref(op.model, op.key)] = text
        done.refused.append(Refused(op.model, op.key, text))
        done.left -= 0 if is_extra(op) else 1

    def _confirm(self, op: Create | Update, row: Row, done: Applied) -> None:
        """Hold NetBox's answer against the record: it drops what it does not know without a word."""
        record = op.record
        self.actual.ids[Ref(record.model, record.key)] = row["id"]
        existing = existing_of(record.model, row)
        take_in(record, existing, self.actual)
        differ = differences(record, existing, self.actual.ids, self.fabric, created=isinstance(op, Create))
        if kept := [change for change in differ if change.field in fields_of(op)]:
            text = "; ".join(f"{c.field} is {c.before!r}, not {c.after!r}" for c in kept)
            self._refuse(op, f"NetBox took it, but {text}", done)
        elif isinstance(op, Update) and op.aside:
            done.settled.append(op)  # its own update is still to come
        elif not self._tagged(op, existing):
            self._refuse(op, "NetBox took it, but not its tags", done)
        else:
            done.settled.append(op)
            if isinstance(op, Update) and MODELS[op.model].shared:
                done.settled.append(Create(record))  # which it was in the plan, if another run made it meanwhile
            if not is_extra(op):
                done.left -= 1
                made = done.marked if isinstance(op, Update) and op.mark else done.updated
                (done.created if isinstance(op, Create) else made)[record.model] += 1

    def _tagged(self, op: Create | Update, existing: Existing) -> bool:
        """Whether the object has the tags that it should."""
        if isinstance(op, Update) and op.tags is not None:
            return op.tags - op.tagged <= existing.tags and not (op.tagged - op.tags) & existing.tags
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
        return changed_row(record.model, id_, changes, op.tags, op.tagged, ids)


def _not_begun(refusal: NetBoxError) -> bool:
    """Whether nothing came of the request, so that it may be sent again.

    So it is with too many requests (429, RFC 6585), with a 503 that names a time (RFC 9110 15.6.4), and where
    PostgreSQL ended one of two transactions that waited for each other. With any other fault NetBox may still be at it.
    """
    if isinstance(refusal, UnusableAnswerError):
        return False
    named = refusal.status == 503 and refusal.retry_after is not None
    return refusal.status == 429 or named or (refusal.status == 500 and "deadlock detected" in refusal.detail)
