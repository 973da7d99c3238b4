"""The scheduler's step: which fabrics are due in this tick, and one request for each; who went silent is told of.

NetBox is read page by page and what is due is published page by page, so memory does not grow with the fabrics, and a
tick that the deadline cuts off has requested what it read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from functions import registry
from functions.admit import RECOVERY, SCHEDULED
from functions.due import Cause, Verdict, Wait, due, request_id
from functions.errors import Code, Problem, Side, SyncStopped
from functions.events import SyncRequest, outcome_message, request_message, status_message
from functions.lease import FabricLease
from functions.outcome import Outcome, Result
from functions.problems import problem_of
from functions.schedule import Schedule, facts_of, schedule_of
from functions.settle import config_digest, differing, settled
from functions.standing import STATE, Standing, fields_of, standing_of
from functions.status import Status, status
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBox, NetBoxError, Row, StaleObjectError
from infra.pubsub import Message, Publisher, PublishError
from infra.transport import TransportError

log = logging.getLogger(__name__)

MOST_NAMES: Final = 20
"""Fabrics that are named in a report, one by one; the rest is a count."""

WRITING_SHARE: Final = 0.3
"""The share of the deadline that may go into writing to clusters, one by one: requests come first. What is not written
now (after an outage, of many) is written in the next ticks."""

_RANK: Final = {cause: rank for rank, cause in enumerate(Cause)}


@dataclass(slots=True)
class Report:
    """What a tick found and did. `failed` counts messages that were not confirmed; `problem` is what cut it short."""

    at: datetime
    fabrics: int = 0
    due: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    late: int = 0
    published: int = 0
    failed: int = 0
    recovered: int = 0
    told: int = 0
    unfit: dict[str, str] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def whole(self) -> bool:
        """Whether every fabric was looked at, and every request was confirmed."""
        return self.problem is None and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "at": self.at.isoformat(),
            "fabrics": self.fabrics,
            "due": self.due.total(),
            "causes": dict(self.due),
            "late": self.late,
            "skipped": dict(self.waiting),
            "published": self.published,
            "failed": self.failed,
            "recovered": self.recovered,
            "told": self.told,
            "not_configured": dict(list(self.unfit.items())[:MOST_NAMES]),
            "error": self.problem.as_dict() if self.problem else None,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """One fabric in this tick: its cluster, what is configured and recorded of it, and the verdict."""

    name: str
    row: Row
    schedule: Schedule
    standing: Standing
    verdict: Verdict


@dataclass(slots=True)
class Tick:
    """One tick of the scheduler: its doors, when it was to come (`at`), and how often one comes (`every`).

    `publisher` opens the way to Pub/Sub, or gives the one that is open, where there is something to tell.
    """

    netbox: NetBox
    publisher: Callable[[], Publisher]
    topic_requests: str
    topic_outcomes: str
    deadline: Deadline
    at: datetime
    every: timedelta
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _writing: float = 0.0

    def run(self) -> Report:
        """Look at every fabric, and request what is due; never raises for what NetBox or Pub/Sub do."""
        report = Report(self.at)
        self._writing = self.deadline.length * WRITING_SHARE
        try:
            for page in registry.pages(self.netbox):
                seen = [self._seen(row, report) for row in page]
                self._request(seen, report)
                self._write(seen, report)
        except (DeadlineExceeded, NetBoxError, SyncStopped, TransportError) as error:
            report.problem = problem_of(error, Side.NETBOX)
        except PublishError as error:
            report.problem = problem_of(error, Side.EVENTS)
        told = report.as_dict()
        level = logging.INFO if report.whole else logging.ERROR
        text = "tick: %d fabrics, %d due, %d late, %d requests published, %d failed%s"
        why = f": {report.problem.text}" if report.problem else ""
        numbers = (report.fabrics, report.due.total(), report.late, report.published, report.failed)
        log.log(level, text, *numbers, why, extra={"fields": {"tick": told}})
        return report

    def _seen(self, row: Row, report: Report) -> Seen:
        unfit = None
        try:
            registry.fabric_of(row)
        except SyncStopped as stopped:
            if stopped.problem.code is not Code.NOT_CONFIGURED:
                raise
            unfit = stopped.problem.text
        name, schedule = str(row.get("name")), schedule_of(row, unfit)
        standing = standing_of(row["custom_fields"])
        verdict = due(name, schedule, standing, config_digest(row), self.at, self.now(), self.every)
        report.fabrics += 1
        report.late += verdict.late is not None
        if verdict.wait is not None:
            report.waiting[verdict.wait.value] += 1
        if verdict.cause is not None:
            report.due[verdict.cause.value] += 1
        if schedule.problems:
            report.unfit[name] = "; ".join(schedule.problems)[:300]
        return Seen(name, row, schedule, standing, verdict)

    def _request(self, seen: list[Seen], report: Report) -> None:
        """Publish a request for each fabric of the page that is due, those that were never synced first."""
        found = [(_RANK[one.verdict.cause], one) for one in seen if one.verdict.cause is not None]
        # Who was silent is settled first, and requested then.
        found = [(rank, one) for rank, one in found if not one.standing.lease.abandoned(self.now())]
        found.sort(key=lambda pair: pair[0])
        messages = [self._message(one) for _, one in found]
        self._publish(self.topic_requests, messages, report)

    def _message(self, one: Seen) -> Message:
        if one.verdict.slot is None:
            raise LookupError(f"{one.name} is due for no moment")
        id_ = request_id(one.name, one.verdict.slot)
        return request_message(SyncRequest(one.name, id_, id_, trigger=SCHEDULED), self.now())

    def _publish(self, topic: str, messages: list[Message], report: Report | None) -> bool:
        """Publish messages; whether all were confirmed. The report counts requests alone."""
        if not messages:
            return True
        answers = self.publisher().publish_many(topic, messages, self.deadline)
        failures = [answer for answer in answers if isinstance(answer, PublishError)]
        if report is not None:
            report.published += len(answers) - len(failures)
            report.failed += len(failures)
        if failures:
            log.error("%d of %d messages were not published: %s", len(failures), len(answers), failures[0])
        return not failures

    def _write(self, seen: list[Seen], report: Report) -> None:
        """Settle the runs that ended without a word, and tell who is late and who no longer is."""
        for one in seen:
            now = self.now()
            abandoned = one.standing.lease.abandoned(now)
            turned = (one.verdict.late is not None) is not (one.standing.late_told is not None)
            if not (abandoned or turned) or one.verdict.wait is Wait.NOT_CONFIGURED:
                continue
            before = self.deadline.left()
            if self._writing <= 0 or before <= 0:
                return
            self.publisher()  # what could not be told is not written either
            try:
                self.netbox.deadline = self.deadline.within(self._writing)
                if abandoned:
                    self._recover(one, now, report)
                else:
                    self._tell(one, now, report)
            except (DeadlineExceeded, NetBoxError, TransportError) as failed:
                log.warning("what became of %s could not be written to its cluster: %s", one.name, failed)
            finally:
                self.netbox.deadline = self.deadline
                self._writing -= before - self.deadline.left()

    def _recover(self, one: Seen, now: datetime, report: Report) -> None:
        """Record that a run ended without a word, tell it, and request the fabric again."""
        request, outcome = silent(one.name, one.standing, now)
        after = settled(one.standing, request, outcome, False, config_digest(one.row))
        lease = FabricLease(self.netbox, one.row, "", self.now)
        if not lease.expire(differing(one.row, fields_of(after))):
            return  # somebody took it meanwhile
        report.recovered += 1
        text = outcome.problem.text if outcome.problem else ""
        changed = status_message(one.name, request.id, Status.SYNCING, Status.ERROR, late=False, since=now, reason=text)
        # An open circuit waits for its time: a run that dies each time must not be started each minute.
        breaker = after.failures is not None and after.failures.open
        if one.schedule.enabled and one.schedule.active and not one.schedule.suspended(now) and not breaker:
            id_ = request_id(f"{one.name} after {one.standing.lease.number}", one.standing.lease.until or now)
            again = SyncRequest(one.name, id_, id_, trigger=RECOVERY)
            self._publish(self.topic_requests, [request_message(again, now)], report)
        self._publish(self.topic_outcomes, [outcome_message(outcome), changed], None)

    def _tell(self, one: Seen, now: datetime, report: Report) -> None:
        """Tell that a fabric became late, or is late no longer: once, for its cluster remembers it."""
        late = one.verdict.late
        waits = one.verdict.wait in (Wait.DISABLED, Wait.INACTIVE, Wait.SUSPENDED, Wait.WINDOW)
        since = now - late if late is not None else one.standing.last_attempt or now
        state = fields_of(replace(one.standing, late_told=now if late is not None else None))[STATE]
        facts = facts_of(one.schedule, one.standing, now, self.every)
        word = status(facts, one.standing, now)
        if late is not None:
            reason = f"no run was recorded for {_words(late)} after it was due"
        else:
            reason = "it is not to be synced for now" if waits else "a run was recorded again"
        id_ = request_id(f"{one.name} {'late' if late is not None else 'not late'}", since)
        message = status_message(one.name, id_, word, word, late=late is not None, since=since, reason=reason)
        if not self._publish(self.topic_outcomes, [message], None):
            return
        try:
            self.netbox.change(registry.PATH, one.row, {"custom_fields": {STATE: state}})
        except StaleObjectError:
            return  # a run writes it just now; the next tick looks again
        report.told += 1


def silent(fabric: str, standing: Standing, now: datetime) -> tuple[SyncRequest, Outcome]:
    """The request whose run held the lease and ended without a word, and the outcome that nobody else will tell."""
    lease = standing.lease
    id_ = lease.request or f"{fabric}#{lease.number}"
    chain = standing.chain.id if standing.chain else id_
    since = lease.since or now
    until = lease.until or now
    text = f"the run of request {id_} ended without a word: its lease ran out at {until:%Y-%m-%d %H:%M:%S} UTC"
    request = SyncRequest(fabric, id_, chain, trigger=lease.trigger or "unknown")
    outcome = Outcome(
        fabric=fabric,
        result=Result.TIMED_OUT,
        request_id=id_,
        correlation_id=chain,
        attempt=standing.chain.attempt if standing.chain else 1,
        trigger=request.trigger,
        started_at=since,
        finished_at=now,
        deadline_s=max(0.0, (until - since).total_seconds()),
        netbox_requests=0,
        problem=Problem(Code.INTERRUPTED, text),
    )
    return request, outcome


def _words(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
