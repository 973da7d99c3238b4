"""What the broker keeps for one subscription: lanes of messages, leases, counts. No sockets, no threads of its own.

A *lane* holds the messages that must be delivered one after the other: those of one ordering key, or a single
message without one. The head of a lane is either waiting for its time or leased to whoever works on it; what is behind
it waits. So "one outstanding per key, a failing head blocks its key" is not checked anywhere: it cannot be otherwise.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from infra.sandbox.filters import Predicate

NO_POLICY = (0.1, 60.0)
"""Backoff in seconds (first, longest) of a subscription without a retry policy, as the service paces such a push."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that the broker has accepted."""

    message_id: str
    publish_time: str
    data: bytes
    attributes: Mapping[str, str] = field(default=MappingProxyType({}))
    ordering_key: str = ""

    def size(self) -> int:
        """Bytes that it holds, roughly."""
        return len(self.data) + sum(len(key) + len(value) for key, value in self.attributes.items()) + 200


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings of one subscription that its queue acts upon. Times in seconds."""

    name: str
    topic: str
    accepts: Predicate
    ack_deadline: float = 10.0
    ordered: bool = False
    backoff: tuple[float, float] = NO_POLICY
    dead_letter_topic: str = ""
    max_attempts: int = 0
    push_endpoint: str = ""
    unwrapped: bool = False
    write_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one subscription may hold; beyond it, publishing is refused (nothing is thrown away silently)."""

    messages: int = 10_000
    size: int = 64 * 1024 * 1024


@dataclass(slots=True)
class Counts:
    """What happened so far, for the live table."""

    accepted: int = 0
    filtered: int = 0
    delivered: int = 0
    acknowledged: int = 0
    refused: int = 0
    expired: int = 0
    dead_lettered: int = 0


@dataclass(slots=True)
class Lease:
    """One delivery under way: acknowledged, refused, or over at `ends_at` (seconds of the queue's clock)."""

    ack_id: str
    message: Stored
    attempt: int
    ends_at: float
    lane: _Lane = field(repr=False)
    last_error: str = ""


@dataclass(slots=True)
class _Lane:
    """Messages in order; `attempts` counts the deliveries of the head."""

    key: str
    messages: deque[Stored]
    attempts: int = 0


class Queue:
    """The backlog of one subscription. Every method may be called from any thread."""

    def __init__(
        self,
        terms: Terms,
        bury: Callable[[Terms, Lease], bool],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bury` takes a message that failed too often to the dead letter topic; false when that has no room."""
        self.terms = terms
        self.counts = Counts()
        self._bury = bury
        self._limits = limits or Limits()
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._waiting: list[tuple[float, int, _Lane]] = []
        self._keyed: dict[str, _Lane] = {}
        self._leases: dict[str, Lease] = {}
        self._serial = itertools.count(1)
        self._messages = 0
        self._size = 0
        self._closed = False

    def has_room(self, messages: list[Stored]) -> bool:
        """Whether all of `messages` fit."""
        with self._changed:
            fits = self._messages + len(messages) <= self._limits.messages
            return fits and self._size + sum(message.size() for message in messages) <= self._limits.size

    def offer(self, message: Stored) -> None:
        """Takes `message` in, unless the filter turns it away (which counts as acknowledged, as in the service)."""
        with self._changed:
            if not self.terms.accepts(message.attributes):
                self.counts.filtered += 1
                return
            self.counts.accepted += 1
            self._messages += 1
            self._size += message.size()
            key = message.ordering_key if self.terms.ordered else ""
            lane = self._keyed.get(key) if key else None
            if lane is not None:
                lane.messages.append(message)
                return
            lane = _Lane(key, deque([message]))
            if key:
                self._keyed[key] = lane
            self._wait(lane, 0.0)
            self._changed.notify()

    def take(self, within: float) -> Lease | None:
        """The next delivery, waited for at most `within` seconds; `None` when there is none, or the queue is closed."""
        ends_at = self._clock() + within
        while True:
            overdue: list[Lease] = []
            with self._changed:
                now = self._clock()
                overdue = [lease for lease in self._leases.values() if lease.ends_at <= now]
                if not overdue:
                    if self._closed:
                        return None
                    if self._waiting and self._waiting[0][0] <= now:
                        return self._lease(heapq.heappop(self._waiting)[2], now)
                    if now >= ends_at:
                        return None
                    self._changed.wait(max(0.0, min(ends_at, self._next_event()) - now))
            for lease in overdue:
                self._settle_failed(lease, expired=True)

    def acknowledge(self, ack_id: str) -> bool:
        """The message of this lease is done; false when the lease is over (the message will come again)."""
        with self._changed:
            lease = self._leases.pop(ack_id, None)
            if lease is None:
                return False
            self.counts.acknowledged += 1
            self._remove_head(lease)
            return True

    def refuse(self, ack_id: str, why: str = "") -> bool:
        """The delivery failed: again after the backoff, or to the dead letters. False when the lease is over."""
        with self._changed:
            lease = self._leases.get(ack_id)
        if lease is None:
            return False
        lease.last_error = why
        self._settle_failed(lease, expired=False)
        return True

    def extend(self, ack_id: str, seconds: float) -> bool:
        """The lease now ends `seconds` from now; false when it is over already."""
        with self._changed:
            lease = self._leases.get(ack_id)
            if lease is None:
                return False
            lease.ends_at = self._clock() + seconds
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Nothing is handed out any more; whoever waits is let go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def table(self) -> dict[str, int]:
        """The counts, with how many messages wait and how many are outstanding now."""
        with self._changed:
            counted = {name: getattr(self.counts, name) for name in Counts.__slots__}
            return counted | {"outstanding": len(self._leases), "backlog": self._messages, "bytes": self._size}

    def _lease(self, lane: _Lane, now: float) -> Lease:
        lane.attempts += 1
        self.counts.delivered += 1
        ack_id = f"{lane.messages[0].message_id}:{next(self._serial)}"
        lease = Lease(ack_id, lane.messages[0], lane.attempts, now + self.terms.ack_deadline, lane)
        self._leases[ack_id] = lease
        return lease

    def _settle_failed(self, lease: Lease, *, expired: bool) -> None:
        with self._changed:
            if self._leases.pop(lease.ack_id, None) is None:
                return
            if expired:
                self.counts.expired += 1
                lease.last_error = lease.last_error or "the acknowledgement deadline passed"
            else:
                self.counts.refused += 1
            last = bool(self.terms.dead_letter_topic) and lease.attempt >= self.terms.max_attempts
        # Outside the lock: burying publishes, and the dead letter topic may feed this very queue. The head stays in
        # its lane meanwhile, so nothing of its key can pass it.
        buried = last and self._bury(self.terms, lease)
        with self._changed:
            if buried:
                self.counts.dead_lettered += 1
                self._remove_head(lease)
            else:
                first, longest = self.terms.backoff
                self._wait(lease.lane, min(longest, first * 2.0 ** min(lease.attempt - 1, 30)))
                self._changed.notify_all()

    def _remove_head(self, lease: Lease) -> None:
        lane = lease.lane
        gone = lane.messages.popleft()
        lane.attempts = 0
        self._messages -= 1
        self._size -= gone.size()
        if lane.messages:
            self._wait(lane, 0.0)
            self._changed.notify()
        elif lane.key:
            del self._keyed[lane.key]

    def _wait(self, lane: _Lane, seconds: float) -> None:
        heapq.heappush(self._waiting, (self._clock() + seconds, next(self._serial), lane))

    def _next_event(self) -> float:
        heads = [self._waiting[0][0]] if self._waiting else []
        return min([lease.ends_at for lease in self._leases.values()] + heads, default=float("inf"))
