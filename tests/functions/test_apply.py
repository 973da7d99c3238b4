"""Apply: the order of writing, the pace, and one bad object among many for a NetBox of an older kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.actual import Actual
from functions.apply import Applier
from functions.errors import Code
from functions.pace import Pace
from functions.plan import Create, Plan, Update
from functions.records import Record, Ref
from functions.rows import references
from functions.waves import waves
from infra.deadline import Deadline
from infra.netbox import NetBox
from tests.wanted import SHARED, cable, device, port


def creates(records: list[Record]) -> Plan:
    return Plan(tuple(Create(record) for record in records))


drawn = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(drawn, st.randoms(use_true_random=False), st.sets(st.integers(0, 60)))
def test_whatever_a_record_refers_to_is_written_before_it(counts: list[int], luck: Any, known: set[int]) -> None:
    records = list(SHARED)
    ports: list[Record] = []
    for number, count in enumerate(counts):
        box = device("lab", f"d{number}")
        lag = port(box, "lag", type="lag")
        records += [box, lag]
        # A port of a sub-bundle joins the first one: two steps below a new LAG.
        sub = port(box, "sub", type="lag", lag=Ref("interface", lag.key))
        ports = [port(box, f"p{each}", lag=Ref("interface", (sub if each % 2 else lag).key)) for each in range(count)]
        records += [sub, *ports]
        records += [cable("lab", f"c{number}-{each}", ports[each], lag) for each in range(count)]
    luck.shuffle(records)
    updates = tuple(Update(record, number, ()) for number, record in enumerate(records) if number in known)
    news = tuple(Create(record) for number, record in enumerate(records) if number not in known)
    order = [op for wave in waves(Plan(news, updates)) for op in wave]
    assert len(order) == len(records)
    place = {Ref(op.record.model, op.record.key): at for at, op in enumerate(order)}
    new = {Ref(op.record.model, op.record.key) for op in news}
    for op in order:
        for ref in references(op.record):
            if ref in new:
                assert place[ref] < place[Ref(op.record.model, op.record.key)]
    for wave in waves(Plan(news, updates)):
        assert len({(op.record.model, type(op)) for op in wave}) == 1


def test_what_changes_is_written_before_what_is_new_so_that_ports_get_free() -> None:
    box = device("lab", "d")
    a, b, c = (port(box, name) for name in "abc")
    changed, new = cable("lab", "old", a, b), cable("lab", "new", b, c)
    order = [wave[0] for wave in waves(Plan((Create(new),), (Update(changed, 1, ()),)))]
    assert [type(op) for op in order] == [Update, Create]


def test_an_hour_for_one_object_is_no_reason_to_stop_while_there_are_two() -> None:
    pace = Pace()
    pace.learn("cable", "create", 1, 3600.0)
    assert pace.fits("cable", "create", 7200.0) == 1
    assert pace.fits("cable", "create", 3600.0) == 0


@given(st.floats(0, 1000), st.integers(1, 1000), st.floats(0, 600))
def test_a_batch_is_predicted_to_end_in_time(seconds: float, count: int, left: float) -> None:
    pace = Pace(most=100)
    pace.learn("device", "create", count, seconds)
    size = pace.fits("device", "create", left)
    assert 0 <= size <= 100
    if size:
        assert pace.predict("device", "create", size) <= left


class OldNetBox(BaseHTTPRequestHandler):
    """Answers bulk creates as NetBox did before 4.7: a list with one entry each, or a text that names no row."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: OldServer

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.sizes.append(len(rows))
        bad = [row["name"] in self.server.bad for row in rows]
        if not any(bad):
            first = sum(self.server.sizes) * 100
            answer: Any = [
                {
                    **row,
                    "id": first + at,
                    **{name: {"id": row[name]} for name in ("device_type", "role", "site", "cluster")},
                    "status": {"value": row["status"]},
                }
                for at, row in enumerate(rows)
            ]
            self._answer(201, answer)
        elif self.server.style == "list":
            self._answer(400, [{"name": ["no"]} if each else {} for each in bad])
        else:
            self._answer(400, {"detail": "duplicate key value violates unique constraint"})

    def _answer(self, status: int, content: Any) -> None:
        kind, body = "application/json", json.dumps(content).encode()
        if status == 400 and self.server.style == "html":
            kind, body = "text/html", b"<h1>Bad Request</h1>"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        return


class OldServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, style: str, bad: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), OldNetBox)
        self.style = style
        self.bad = bad
        self.sizes: list[int] = []


@contextmanager
def old_netbox(style: str, *bad: str) -> Iterator[tuple[OldServer, NetBox]]:
    server = OldServer(style, set(bad))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with NetBox(f"http://127.0.0.1:{server.server_address[1]}", "0" * 40, Deadline.after(60)) as netbox:
            yield server, netbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


KNOWN = {
    Ref("device_type", "acme-box"): 1,
    Ref("device_role", "leaf"): 2,
    Ref("site", "lab"): 3,
    Ref("cluster", "lab"): 4,
    Ref("tag", "fabric-managed"): 5,
}


def sixteen() -> list[Record]:
    return [device("lab", f"d{number}") for number in range(16)]


def test_a_netbox_that_names_no_row_is_asked_by_halves_until_the_bad_one_is_alone() -> None:
    with old_netbox("text", "d5", "d6", "d15") as (server, netbox):
        done = Applier(netbox, Actual({}, dict(KNOWN)), "lab").apply(creates(sixteen()))
    assert [refused.key for refused in done.refused] == [f"lab/Switch/default/d{number}" for number in (5, 6, 15)]
    assert {refused.text for refused in done.refused} == {"duplicate key value violates unique constraint"}
    assert (done.written, done.left, done.stopped) == (13, 0, None)
    assert done.requests == len(server.sizes) < 2 * 16


def test_a_netbox_that_lists_the_rows_is_asked_once_more() -> None:
    with old_netbox("list", "d5", "d15") as (server, netbox):
        done = Applier(netbox, Actual({}, dict(KNOWN)), "lab").apply(creates(sixteen()))
    assert [(refused.key[-3:], refused.text) for refused in done.refused] == [("/d5", "name: no"), ("d15", "name: no")]
    assert (done.written, done.left, server.sizes) == (14, 0, [16, 14])


def test_a_page_that_refuses_is_not_netbox_and_blames_no_object() -> None:
    with old_netbox("html", "d5") as (server, netbox):
        done = Applier(netbox, Actual({}, dict(KNOWN)), "lab").apply(creates(sixteen()))
    assert done.refused == []
    assert done.stopped is not None
    assert done.stopped.code is Code.NETBOX_BAD_ANSWER
    assert (server.sizes, done.written, done.left) == ([16], 0, 16)


def test_nothing_is_sent_after_the_deadline_and_nothing_counts_as_sent() -> None:
    with old_netbox("text") as (server, netbox):
        netbox.deadline = Deadline.after(0.001)
        netbox.deadline.pause(0.01)
        done = Applier(netbox, Actual({}, dict(KNOWN)), "lab").apply(creates(sixteen()))
    assert (done.cut, done.written, done.unconfirmed, done.left, server.sizes) == (True, 0, 0, 16, [])
