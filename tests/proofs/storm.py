"""Many requests at once, doubled and out of order, pushed by Google's emulator: each is told one end, runs never
overlap, and every fabric ends as after one undisturbed sync.
"""

from __future__ import annotations

import base64
import json
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.churn import content, different
from functions.events import SyncRequest, request_message
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.pubsub import Message
from infra.sandbox.messaging import DEAD_LETTERS_PULL, OUTCOMES_PULL, REQUESTS, take
from tests.house import posted
from tests.proofs.leases import Writing, change_log, writings
from tests.proofs.places import Sandbox, sandbox

TRIGGERS = ("manual", "schedule", "netbox")
COPIES = (1, 1, 1, 2, 2, 3)
FORCED = 0.2
"""The share of requests that trust no earlier run: they take the lease and compare everything."""
UNORDERED = 0.5
"""The share of copies without an ordering key: these are pushed beside others of their fabric."""
BURST, WINDOW = 20, 60
"""Messages of one publish, and those that may be without an outcome before the next."""
QUIET = 15.0
"""Seconds without an event after which the storm is over: a push that was refused comes again before."""


@dataclass(frozen=True)
class Ends:
    """What the events told: request → its ends, each with its result; and the requests that runs made themselves."""

    ends: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    started: Counter[str] = field(default_factory=Counter)
    follow_ups: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return sum(map(len, self.ends.values()))

    def hear(self, place: Sandbox, watched: str, asked: frozenset[str]) -> int:
        """Take in what was published meanwhile; how many messages that were."""
        told, before = take(place.at.broker, place.at.project, OUTCOMES_PULL, 1000), self.count
        for data, attributes in told:
            event = json.loads(data)
            if "result" in attributes:
                self.ends[event["request_id"]].append(event)
            elif attributes["ce-type"].endswith("started"):
                self.started[event["request_id"]] += 1
        if self.count // 100 > before // 100:
            print(f"{self.count} outcomes", flush=True)
        requests = take(place.at.broker, place.at.project, watched, 1000)
        self.follow_ups.update({attributes["ce-id"] for _, attributes in requests} - asked)
        return len(told)


@dataclass(frozen=True)
class Verdict:
    """What came of a storm. The lists tell each thing that was wrong."""

    requests: int
    deliveries: int
    seconds: float
    results: Mapping[str, int]
    skipped: Mapping[str, int]
    told_again: int
    follow_ups: int
    holds: int
    writes: int
    dead: int
    unanswered: Sequence[str]
    two_ends: Sequence[str]
    without_reason: Sequence[str]
    bad: Sequence[str]
    overlapping: Sequence[str]
    different: Sequence[str]

    @property
    def wrong(self) -> list[str]:
        """Everything that was not as promised."""
        lists = (self.unanswered, self.two_ends, self.without_reason, self.bad, self.overlapping, self.different)
        return [text for texts in lists for text in texts]

    def figures(self) -> dict[str, Any]:
        """The verdict in numbers."""
        return {name: len(value) if isinstance(value, list) else value for name, value in vars(self).items()}


def run(state: Path, requests: int, fabrics: int, seed: int, seconds: float) -> Verdict:
    """Let a storm of so many requests come over so many fabrics; it must be over after `seconds`."""
    names = [f"storm{number}" for number in range(1, fabrics + 1)]
    with sandbox(state, names, instances=4) as place:
        return _judged(place, random.Random(seed), requests, Deadline.after(seconds))


def deliveries(chance: random.Random, fabrics: Sequence[str], requests: int) -> Iterator[Message]:
    """The messages of a storm in their order: each request at least once, with its id alone in common."""
    mark, now, sent = uuid.uuid4().hex[:8], datetime.now(UTC), []
    for number in range(requests):
        id_ = f"{mark}-{number}"
        asked = SyncRequest(
            fabrics[number % len(fabrics)],
            id_,
            id_,
            trigger=chance.choice(TRIGGERS),
            force=chance.random() < FORCED,
            requested_at=now,
        )
        sent += [request_message(asked)] * chance.choice(COPIES)
    chance.shuffle(sent)
    for message in sent:
        yield replace(message, ordering_key="") if chance.random() < UNORDERED else message


def _judged(place: Sandbox, chance: random.Random, requests: int, deadline: Deadline) -> Verdict:
    messages = list(deliveries(chance, place.fabrics, requests))
    asked = frozenset(message.attributes["ce-id"] for message in messages)
    place.retry_soon()
    watched, told, began = place.subscribe(REQUESTS), Ends(), time.monotonic()
    half = len(messages) // 2
    _pour(place, messages[:half], told, watched, asked, deadline)
    _listen(place, told, watched, asked, half, deadline)
    with place.netbox() as netbox:
        edited = list(_edit(netbox, place.fabrics))
    _pour(place, messages[half:], told, watched, asked, deadline)
    _listen(place, told, watched, asked, len(messages), deadline)
    seconds = time.monotonic() - began
    dead = take(place.at.broker, place.at.project, DEAD_LETTERS_PULL, 1000)
    with place.netbox() as netbox:
        written = writings(change_log(netbox), edited)
        stormed = {name: content(netbox, name) for name in place.fabrics}
    fresh = dict(undisturbed(place))
    ends = [end for ends in told.ends.values() for end in ends]
    return Verdict(
        requests=len(asked),
        deliveries=len(messages),
        seconds=round(seconds, 1),
        results=Counter(end["result"] for end in ends),
        skipped=Counter(end["skip"] for end in ends if end["result"] == "skipped"),
        told_again=sum(end["told_again"] for end in ends),
        follow_ups=len(told.follow_ups),
        holds=sum(len(one.holds) for one in written.values()),
        writes=sum(one.writes for one in written.values()),
        dead=len(dead),
        unanswered=sorted((asked | told.follow_ups) - told.ends.keys()),
        two_ends=[text for id_, ends in told.ends.items() if (text := two_ends(id_, ends))],
        without_reason=[str(end) for end in ends if end["result"] == "skipped" and not end["reasons"]],
        bad=[f"{end['result']} {end['error']} {end['reasons'][:2]}" for end in ends if end["result"] not in _GOOD],
        overlapping=[text for one in written.values() for text in overlaps(one)],
        different=[f"{n}: {text}" for n in place.fabrics for text in _unlike(stormed[n], fresh[n])],
    )


_GOOD = frozenset({"succeeded", "continued", "skipped"})


def two_ends(id_: str, ends: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong where a request that was served was told more than one end (the same event again is the same)."""
    found = {end["result"] for end in ends if end["result"] != "skipped"}
    return f"{id_} ended as {sorted(found)}" if len(found) > 1 else ""


def overlaps(writing: Writing) -> list[str]:
    """Runs that wrote at the same time: by the lease, by its numbers, and by writes that nobody's hold covers."""
    numbers = [hold.number for hold in writing.holds]
    unordered = [] if numbers == sorted(set(numbers)) else [f"the lease's numbers do not grow: {numbers}"]
    open_ = [f"{hold.request} never let go" for hold in writing.holds[:-1] if hold.ended > writing.holds[-1].began]
    return [*writing.overtaken, *writing.unheld, *unordered, *open_]


def _unlike(stormed: Mapping[str, str], fresh: Mapping[str, str]) -> list[str]:
    return different(stormed, fresh) if fresh else ["the undisturbed sync left nothing"]


def _pour(
    place: Sandbox, messages: Sequence[Message], told: Ends, watched: str, asked: frozenset[str], deadline: Deadline
) -> None:
    """Publish in bursts, no faster than outcomes come: what waits too long in the server's queue would come twice."""
    before = told.count
    for start in range(0, len(messages), BURST):
        while start - (told.count - before) > WINDOW - BURST and deadline.pause(0.2):
            told.hear(place, watched, asked)
        place.publish(REQUESTS, [_as_json(one) for one in messages[start : start + BURST]])


def _listen(place: Sandbox, told: Ends, watched: str, asked: frozenset[str], wanted: int, deadline: Deadline) -> None:
    """Hear until there is an end of each delivery and of each request that runs made, and nothing more comes."""
    silent_since = time.monotonic()
    while deadline.pause(0.5):
        if told.hear(place, watched, asked):
            silent_since = time.monotonic()
        complete = told.count >= wanted and told.follow_ups <= told.ends.keys()
        if time.monotonic() - silent_since > (QUIET / 3 if complete else QUIET * 4):
            return


def _edit(netbox: NetBox, fabrics: Sequence[str]) -> Iterator[int]:
    """A person switches off a port of each fabric in mid-storm; the ids of the ports."""
    for name in fabrics:
        port = netbox.latest("dcim/interfaces", {"cf_fabric_name": name, "enabled": True}, ("name",), 1)[0]
        netbox.update("dcim/interfaces", [{"id": port["id"], "enabled": False}])
        yield port["id"]


def undisturbed(place: Sandbox) -> Iterator[tuple[str, dict[str, str]]]:
    """What one sync of each fabric, one after the other, leaves in an empty NetBox."""
    place.empty()
    for name in place.fabrics:
        message = request_message(SyncRequest(name, id_ := str(uuid.uuid4()), id_, trigger="manual"))
        _, outcome, _ = posted(place.at.function, message.attributes, message.data)
        assert outcome["result"] == "succeeded", outcome
        with place.netbox() as netbox:
            yield name, content(netbox, name)


def _as_json(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}
    return body | ({"orderingKey": message.ordering_key} if message.ordering_key else {})
