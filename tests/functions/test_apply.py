"""Apply: the order of writing, and one bad object among many, against the real NetBox and one of an older kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.actual import Actual
from functions.apply import Applied, Applier, references, waves
from functions.compare import Create, Plan, Update, compare
from functions.errors import Code
from functions.fabric import Fabric
from functions.pace import Pace
from functions.records import MODELS, Record, Ref, Value
from functions.survey import survey
from infra.deadline import Deadline
from infra.netbox import NetBox
from tests.netbox_content import bootstrapped, changes, device_of_people, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

SHARED = (
    Record("manufacturer", "acme", {"name": "Acme", "slug": "acme"}),
    Record("device_role", "leaf", {"name": "Leaf", "slug": "leaf", "color": "112233"}),
    Record(
        "device_type",
        "acme-box",
        {"manufacturer": Ref("manufacturer", "acme"), "model": "Box", "slug": "acme-box", "u_height": 1.0},
    ),
)
MANAGED = frozenset({"fabric-managed"})


def device(fabric: str, name: str, **fields: Value) -> Record:
    wanted: dict[str, Value] = {
        "name": name,
        "device_type": Ref("device_type", "acme-box"),
        "role": Ref("device_role", "leaf"),
        "site": Ref("site", fabric),
        "cluster": Ref("cluster", fabric),
        "status": "active",
    }
    return Record("device", f"{fabric}/Switch/default/{name}", {**wanted, **fields}, {"fabric_asn": 65_001}, MANAGED)


def port(of: Record, name: str, **fields: Value) -> Record:
    wanted: dict[str, Value] = {"device": Ref("device", of.key), "name": name, "type": "25gbase-x-sfp28"}
    return Record("interface", f"{of.key}#{name}", {**wanted, **fields}, {}, MANAGED)


def cable(fabric: str, name: str, a: Record, b: Record) -> Record:
    ends = {"a_terminations": (Ref("interface", a.key),), "b_terminations": (Ref("interface", b.key),)}
    return Record("cable", f"{fabric}/Connection/default/{name}", {**ends, "status": "connected"}, {}, MANAGED)


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


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def synced(netbox: NetBox, fabric: Fabric, records: list[Record]) -> Applied:
    """Make NetBox hold `records`, as a run does."""
    shared = {ref for record in records for ref in references(record) if MODELS[ref.model].shared}
    actual = survey(netbox, fabric, shared)
    plan = compare(records, actual, fabric.name, frozenset({"device", "interface", "cable"}))
    return Applier(netbox, actual, fabric.name).apply(plan)


@pytest.mark.parametrize("token", ["token_v2", "token_v1"])
def test_what_was_applied_is_there_and_a_second_run_writes_nothing(ready: ServedNetBox, token: str) -> None:
    name = token.replace("_", "-")
    with NetBox(ready.url, getattr(ready, token), Deadline.after(120)) as netbox:
        fabric = with_fabric(netbox, name)
        box = device(name, "leaf")
        lag = port(box, "lag0", type="lag")
        ports = [port(box, f"E1/{each}", lag=Ref("interface", lag.key)) for each in (1, 2)]
        records = [*SHARED, box, lag, *ports, cable(name, "c", *ports)]
        done = synced(netbox, fabric, records)
        assert (done.refused, done.stopped, done.cut, done.left) == ([], None, False, 0)
        before = changes(netbox)
        again = synced(netbox, fabric, records)
        assert (again.written, again.requests, changes(netbox)) == (0, 0, before)


def test_a_bad_object_is_refused_by_name_and_the_others_go_in(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "conflict")
        device_of_people(netbox, "conflict", "leaf-3")
        boxes = [device("conflict", f"leaf-{number}") for number in range(6)]
        ports = [port(box, name) for box in boxes for name in ("E1/1", "E1/2")]
        cables = [
            cable("conflict", "good", ports[0], ports[2]),
            cable("conflict", "bad", ports[1], ports[6]),  # E1/1 of the third
        ]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports, *cables])
        refused = {each.key: each.text for each in done.refused}
        assert done.created["device"] == 5
        assert done.created["interface"] == 10
        assert done.created["cable"] == 1
        assert set(refused) == {boxes[3].key, ports[6].key, ports[7].key, cables[1].key}
        assert "unique" in refused[boxes[3].key].lower() or "already exists" in refused[boxes[3].key].lower()
        assert boxes[3].key in refused[ports[6].key]
        assert refused[boxes[3].key] in refused[ports[6].key]
        assert ports[6].key in refused[cables[1].key]
        assert refused[boxes[3].key] in refused[cables[1].key]
        assert done.left == 0
        # The person's device is as it was.
        (theirs,) = netbox.read("dcim/devices", {"name": "leaf-3", "site": "conflict"})
        assert theirs["device_type"]["slug"] == "their-box"
        assert theirs["tags"] == []


def test_a_port_that_a_person_has_cabled_refuses_our_cable_alone(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "occupied")
        boxes = [device("occupied", f"leaf-{number}") for number in range(2)]
        ports = [port(box, f"E1/{each}") for box in boxes for each in (1, 2, 3)]
        assert synced(netbox, fabric, [*SHARED, *boxes, *ports]).refused == []
        _, theirs = device_of_people(netbox, "occupied", "theirs", 1)
        (taken,) = netbox.read("dcim/interfaces", {"device": "leaf-0", "site": "occupied", "name": "E1/2"})
        ends = [[{"object_type": "dcim.interface", "object_id": row["id"]}] for row in (taken, theirs[0])]
        netbox.create("dcim/cables", [{"a_terminations": ends[0], "b_terminations": ends[1]}])
        cables = [cable("occupied", f"c{each}", ports[each], ports[each + 3]) for each in range(3)]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports, *cables])
        assert [refused.key for refused in done.refused] == [cables[1].key]
        assert done.created["cable"] == 2
        assert len(netbox.read("dcim/cables", {"cf_fabric_name": "occupied"})) == 2


def test_values_that_netbox_cannot_take_refuse_their_own_objects_alone(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "values")
        device_of_people(netbox, "values", "LEAF-3")  # the same name to NetBox, which folds case
        serials = {1: "x" * 60, 2: "a\x00b", 4: "a\ud800b"}
        boxes = [device("values", f"leaf-{number}", serial=serials.get(number, "")) for number in range(6)]
        ports = [port(boxes[0], "E1/1", label="l" * 65), port(boxes[0], "E1/2")]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports])
        assert {refused.key for refused in done.refused} == {boxes[at].key for at in (1, 2, 3, 4)} | {ports[0].key}
        assert (done.created["device"], done.created["interface"], done.stopped) == (2, 1, None)
        with_text = " ".join(refused.text for refused in done.refused)
        assert with_text.encode()  # fit to be told: no half of a surrogate pair came back


def test_a_cable_can_be_turned_round_and_moved_in_one_go(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "turned")
        box = device("turned", "leaf")
        a, b, c = (port(box, f"E1/{each}") for each in (1, 2, 3))
        assert synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", a, b)]).refused == []
        done = synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", b, c)])
        assert (done.refused, done.stopped, done.updated["cable"]) == ([], None, 1)
        assert synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", c, b)]).requests == 0


def test_people_keep_their_tags_and_lose_the_fields_that_are_ours(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "people")
        netbox.create("extras/tags", [{"name": "theirs", "slug": "theirs"}])
        box = device("people", "leaf", serial="S1")
        synced(netbox, fabric, [*SHARED, box])
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "people"})
        tags = [{"slug": "theirs"}]
        netbox.update("dcim/devices", [{"id": row["id"], "serial": "S2", "status": "failed", "tags": tags}])
        done = synced(netbox, fabric, [*SHARED, box])
        assert done.updated == {"device": 1}
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "people"})
        assert (row["serial"], row["status"]["value"]) == ("S1", "failed")
        assert {tag["slug"] for tag in row["tags"]} == {"theirs", "fabric-managed"}


def test_the_last_tag_of_ours_can_be_taken_away(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "untagged")
        group = Record("tag", "fabric-sg-untagged-a", {"name": "a of untagged", "slug": "fabric-sg-untagged-a"})
        box = replace(device("untagged", "leaf"), tags=frozenset({group.key}))
        assert synced(netbox, fabric, [group, *SHARED, box]).refused == []
        done = synced(netbox, fabric, [*SHARED, replace(box, tags=frozenset())])
        assert (done.refused, done.updated["device"]) == ([], 1)
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "untagged"})
        assert row["tags"] == []


def test_what_netbox_drops_without_a_word_is_a_refusal(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "dropped")
        box = device("dropped", "leaf", serial="  padded  ")
        done = synced(netbox, fabric, [*SHARED, box])
        assert [refused.key for refused in done.refused] == [box.key]
        assert "serial is 'padded', not '  padded  '" in done.refused[0].text
        assert done.created["device"] == 0


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
