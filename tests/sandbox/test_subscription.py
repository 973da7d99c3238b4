"""The backlog of one subscription, on a clock of its own: lanes, backoff, leases, the bound."""

from __future__ import annotations

from typing import Any

from infra.sandbox.filters import compile_filter
from infra.sandbox.subscription import Lease, Limits, Queue, Stored, Terms


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _queue(clock: Clock, limits: Limits | None = None, graves: list[Lease] | None = None, **terms: Any) -> Queue:
    def bury(_: Terms, lease: Lease) -> bool:
        if graves is None:
            return False
        graves.append(lease)
        return True

    return Queue(Terms("s", "t", compile_filter(""), **terms), bury, limits, clock)


def _message(number: int, key: str = "") -> Stored:
    return Stored(str(number), "", b"x", {}, key)


def _taken(queue: Queue) -> Lease:
    lease = queue.take(0)
    assert lease is not None
    return lease


def test_the_backoff_doubles_from_the_first_to_the_longest() -> None:
    clock = Clock()
    queue = _queue(clock, backoff=(1.0, 5.0))
    queue.offer(_message(1))
    waits = []
    for _ in range(5):
        queue.refuse(_taken(queue).ack_id)
        began = clock.now
        while not (lease := queue.take(0)):
            clock.now += 0.5
        waits.append(clock.now - began)
        queue.refuse(lease.ack_id)
        clock.now += 10

    assert waits == [1.0, 4.0, 5.0, 5.0, 5.0]


def test_the_head_of_a_key_holds_its_own_key_back_and_no_other() -> None:
    clock = Clock()
    queue = _queue(clock, ordered=True, backoff=(10.0, 10.0))
    for number, key in enumerate(["one", "one", "two", ""]):
        queue.offer(_message(number, key))

    leases = [_taken(queue) for _ in range(3)]
    assert [lease.message.message_id for lease in leases] == ["0", "2", "3"]
    assert queue.take(0) is None
    queue.refuse(leases[0].ack_id)
    assert queue.take(0) is None, "the second of the key came before its failing head"
    clock.now += 10
    again = _taken(queue)
    assert (again.message.message_id, again.attempt) == ("0", 2)
    queue.acknowledge(again.ack_id)
    following = _taken(queue)
    assert (following.message.message_id, following.attempt) == ("1", 1)


def test_without_ordering_a_key_means_nothing() -> None:
    queue = _queue(Clock())
    queue.offer(_message(1, "one"))
    queue.offer(_message(2, "one"))

    assert [_taken(queue).message.message_id for _ in range(2)] == ["1", "2"]


def test_a_lease_that_is_over_cannot_be_acknowledged_any_more() -> None:
    clock = Clock()
    queue = _queue(clock, ack_deadline=10.0, backoff=(0.0, 0.0))
    queue.offer(_message(1))
    first = _taken(queue)
    assert queue.extend(first.ack_id, 30)
    clock.now += 29
    assert queue.take(0) is None, "an extended lease ended early"
    clock.now += 2

    second = _taken(queue)

    assert not queue.acknowledge(first.ack_id)
    assert not queue.refuse(first.ack_id)
    assert not queue.extend(first.ack_id, 10)
    assert queue.acknowledge(second.ack_id)
    assert queue.table()["backlog"] == 0
    assert queue.table()["expired"] == 1


def test_a_deadline_that_passes_counts_as_an_attempt() -> None:
    clock, graves = Clock(), list[Lease]()
    queue = _queue(clock, graves=graves, backoff=(0.0, 0.0), dead_letter_topic="dead", max_attempts=5)
    queue.offer(_message(1))
    for _ in range(5):
        _taken(queue)
        clock.now += 11

    assert queue.take(0) is None
    assert [(grave.attempt, grave.last_error) for grave in graves] == [(5, "the acknowledgement deadline passed")]
    assert queue.table() | {"bytes": 0, "backlog": 0, "dead_lettered": 1, "expired": 5} == queue.table()


def test_everything_that_was_taken_in_is_counted_out_again() -> None:
    queue = _queue(Clock(), ordered=True)
    for number in range(50):
        queue.offer(_message(number, f"key-{number % 7}"))
    while lease := queue.take(0):
        queue.acknowledge(lease.ack_id)

    table = queue.table()
    assert (table["accepted"], table["acknowledged"], table["backlog"], table["bytes"]) == (50, 50, 0, 0)


def test_the_bound_counts_messages_and_bytes() -> None:
    assert not _queue(Clock(), Limits(messages=1)).has_room([_message(1), _message(2)])
    assert not _queue(Clock(), Limits(size=100)).has_room([Stored("1", "", b"x" * 101)])
    assert _queue(Clock(), Limits(messages=2)).has_room([_message(1), _message(2)])


def test_a_closed_queue_lets_its_waiters_go() -> None:
    queue = _queue(Clock())
    queue.close()

    assert queue.take(within=60) is None
