"""The door to NetBox before servers that are none, or that change while they are read: nothing false is believed."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.errors import Code, Side
from functions.problems import problem_of
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import DeletePermit, NetBox, NetBoxError, NetBoxReader, UnprovenReadError, UnusableAnswerError
from infra.redaction import MASK, Secret
from infra.transport import TransportError
from tests import hostile
from tests.proofs.traces import traces
from tests.proxy import answering

PATH = "extras/tags"
V1 = "0" * 40


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_server_that_says_the_token_back_does_not_get_it_into_an_error(kind: str) -> None:
    token = Secret(f"nbt_{secrets.token_hex(6)}.{secrets.token_urlsafe(30)}").reveal()

    def telling(peer: hostile.Peer) -> None:
        said = peer.request().decode()
        packed = base64.b64encode(said.encode()).decode()
        body = json.dumps({"detail": {"said": said, "packed": packed}}) if "json" in kind else f"x{token} {packed}"
        peer.send(hostile.answer(body.encode(), kind=kind, status="500 Told"))

    with (
        hostile.serve(telling) as server,
        NetBox(server.url, token, Deadline.after(20)) as netbox,
        pytest.raises(NetBoxError) as failed,
    ):
        netbox.read(PATH)
    assert traces({"token": token}, {"text": str(failed.value).encode(), "detail": failed.value.detail.encode()}) == []
    assert MASK in failed.value.detail


class Scripted(BaseHTTPRequestHandler):
    """Answers lists from the server's own rows, changed by a script between two requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedNetBox

    def do_GET(self) -> None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = json.dumps(self.server.page(query)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        return


class ScriptedNetBox(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Scripted)
        self.ids: list[int] = []
        self.script: list[list[int]] = []
        self.most = 1000

    def page(self, query: Mapping[str, str]) -> Any:
        """One page; then the next step of the script changes the rows."""
        rows = sorted(id_ for id_ in self.ids if id_ > int(query.get("id__gt", 0)))
        answer = {"count": len(rows), "results": [{"id": id_} for id_ in rows[: min(int(query["limit"]), self.most)]]}
        if self.script:
            self.ids = self.script.pop(0)
        return answer


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedNetBox]:
    server = ScriptedNetBox()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


id_sets = st.lists(st.integers(1, 30), unique=True)


@settings(deadline=None, max_examples=150)
@given(id_sets, st.lists(id_sets, max_size=8), st.integers(1, 5))
def test_a_list_that_is_believed_was_there_at_some_moment(
    scripted: ScriptedNetBox, first: list[int], script: list[list[int]], most: int
) -> None:
    """Whatever others do between two pages, an id that was there all the time is never missing from the answer."""
    scripted.ids, scripted.script, scripted.most = list(first), [list(step) for step in script], most
    always = set(first).intersection(*script) if script else set(first)
    ever = set(first).union(*script)
    with NetBoxReader(f"http://127.0.0.1:{scripted.server_address[1]}", V1, Deadline.after(60)) as netbox:
        try:
            read = [row["id"] for row in netbox.read("dcim/devices")]
        except UnprovenReadError:
            assert script
            return
    assert always <= set(read) <= ever
    assert read == sorted(set(read))


@contextmanager
def answered_with(behaviour: hostile.Behaviour, seconds: float = 30.0) -> Iterator[NetBox]:
    with hostile.serve(behaviour) as server, NetBox(server.url, V1, Deadline.after(seconds)) as netbox:
        yield netbox


def as_json(content: Any, status: str = "200 OK") -> hostile.Behaviour:
    return answering(status, json.dumps(content).encode(), kind="application/json")


def listed(*rows: Any, count: Any = None) -> hostile.Behaviour:
    return as_json({"count": len(rows) if count is None else count, "results": list(rows)})


UNUSABLE = {
    "a maintenance page": answering("200 OK", b"<h1>back soon</h1>"),
    "a login page that refuses": answering("403 Forbidden", b"<h1>log in</h1>"),
    "nothing": answering("200 OK"),
    "half a JSON": hostile.truncated_json,
    "a text": as_json("hello"),
    "null": as_json(None),
    "another object": as_json({"ok": True}),
    "results that are no list": as_json({"count": 1, "results": 7}),
    "rows without ids": listed({"name": "x"}),
    "rows that are numbers": listed(7),
    "ids in words": listed({"id": "one"}),
    "a count in words": listed({"id": 1}, count="one"),
    "ids out of order": listed({"id": 2}, {"id": 1}),
    "an id twice": listed({"id": 1}, {"id": 1}),
    "depth beyond reason": answering("200 OK", b"[" * 100_000, kind="application/json"),
    "a number of 5,000 digits": answering("200 OK", b"9" * 5000, kind="application/json"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_answer_that_is_not_netboxs_is_not_taken_for_one(case: str) -> None:
    with answered_with(UNUSABLE[case]) as netbox, pytest.raises(UnusableAnswerError) as unusable:
        netbox.read(PATH)
    assert problem_of(unusable.value, Side.NETBOX).code is Code.NETBOX_BAD_ANSWER


REFUSED = {
    "a bad gateway's page": (answering("502 Bad Gateway", b"<h1>502</h1>"), 502, Code.NETBOX_ERROR),
    "a maintenance page of 503": (answering("503 Service Unavailable", b"<h1>503</h1>"), 503, Code.NETBOX_ERROR),
    "a 504 with nothing": (answering("504 Gateway Time-out"), 504, Code.NETBOX_ERROR),
    "NetBox's own 500": (as_json({"error": "x", "exception": "y"}, "500 Oops"), 500, Code.NETBOX_ERROR),
    "a proxy's 429": (answering("429 Too Many Requests", b"<h1>429</h1>"), 429, Code.NETBOX_THROTTLED),
    "a JSON 429": (as_json({"detail": "slow down"}, "429 Too Many Requests"), 429, Code.NETBOX_THROTTLED),
    "a 401": (as_json({"detail": "no"}, "401 Unauthorized"), 401, Code.NETBOX_DENIED),
    "a 403": (as_json({"detail": "no"}, "403 Forbidden"), 403, Code.NETBOX_DENIED),
    "a 409": (as_json({"detail": "no"}, "409 Conflict"), 409, Code.NETBOX_ERROR),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("ask", ["read", "create", "delete"])
def test_a_refusal_is_told_with_its_status(case: str, ask: str) -> None:
    behaviour, status, code = REFUSED[case]
    with answered_with(behaviour) as netbox, pytest.raises(NetBoxError) as refused:
        if ask == "read":
            netbox.read(PATH)
        elif ask == "create":
            netbox.create(PATH, [{"name": "x"}])
        else:
            netbox.delete(PATH, [1], DeletePermit(frozenset({(PATH, 1)})))
    assert refused.value.status == status
    assert problem_of(refused.value, Side.NETBOX).code is code
    assert len(str(refused.value)) < 700


SHAPES = {
    "4.7, by index": ({"detail": "2 failed", "errors": [{"index": 1, "errors": {"name": ["no"]}}]}, {1: "name: no"}),
    "4.7, by id": ({"errors": [{"id": 8, "errors": {"name": ["no", "never"]}}]}, {1: "name: no, never"}),
    "before, one entry each": ([{}, {"name": ["no"]}], {1: "name: no"}),
    "before, for the whole": ({"detail": "duplicate key"}, {}),
    "a list of another length": (["no"], {}),
    "an index in words": ({"errors": [{"index": "1"}, "x", None, {"id": []}]}, {}),
    "errors that are a text": ({"errors": "no"}, {}),
    "errors in depth": ({"errors": [{"index": 0, "errors": [[[[[[[["deep"]]]]]]]]}]}, {0: "…"}),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_rows_that_were_refused_are_known_where_they_are_named(case: str) -> None:
    body, rows = SHAPES[case]
    with answered_with(as_json(body, "400 Bad Request")) as netbox, pytest.raises(NetBoxError) as refused:
        netbox.update(PATH, [{"id": 7, "name": "a"}, {"id": 8, "name": "b"}])
    assert refused.value.status == 400
    assert refused.value.rows == rows


WRONG_CONFIRMATIONS = {
    "fewer": [{"id": 1}],
    "more": [{"id": 1}, {"id": 2}, {"id": 3}],
    "one object": {"id": 1},
    "others": [{"id": 1}, {"id": 9}],
    "one twice": [{"id": 1}, {"id": 1}],
    "without ids": [{}, {}],
    "texts": ["1", "2"],
}


@pytest.mark.parametrize("case", WRONG_CONFIRMATIONS)
def test_a_confirmation_that_does_not_fit_what_was_sent_confirms_nothing(case: str) -> None:
    with answered_with(as_json(WRONG_CONFIRMATIONS[case])) as netbox, pytest.raises(UnusableAnswerError):
        netbox.update(PATH, [{"id": 1}, {"id": 2}])


def test_a_page_is_not_followed_elsewhere() -> None:
    behaviour = as_json({"count": 1, "next": "http://127.0.0.1:1/elsewhere", "results": [{"id": 1}]})
    with answered_with(behaviour) as netbox:
        assert netbox.read(PATH) == [{"id": 1}]
        assert netbox.requests == 1


def test_a_list_that_never_ends_ends() -> None:
    # A page that is always empty while more are promised would be asked for for ever.
    with answered_with(listed(count=5)) as netbox:
        with pytest.raises(UnprovenReadError):
            netbox.read(PATH)
        assert netbox.requests == 2


def test_silence_ends_at_the_deadline_and_nothing_is_asked_after_it() -> None:
    with hostile.serve(hostile.silent) as server, NetBox(server.url, V1, Deadline.after(1.0)) as netbox:
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                netbox.read(PATH)
        assert len(server.requests) == 1


def test_nobody_at_home_is_unreachable() -> None:
    with (
        hostile.refusing() as server,
        NetBox(server.url, V1, Deadline.after(10)) as netbox,
        pytest.raises(TransportError) as failed,
    ):
        netbox.read(PATH)
    assert problem_of(failed.value, Side.NETBOX).code is Code.NETBOX_UNREACHABLE


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7\r\n", 7.0),
        ("Retry-After: 0\r\n", 0.0),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0.0),
        ("", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: -3\r\n", None),
        ("Retry-After: \xb2\r\n", None),
    ],
)
def test_a_refusal_tells_for_how_long_netbox_is_not_to_be_asked(header: str, seconds: float | None) -> None:
    behaviour = answering("429 Too Many Requests", b"<h1>slow down</h1>", headers=header)
    with (
        hostile.serve(behaviour) as server,
        NetBox(server.url, V1, Deadline.after(20)) as netbox,
        pytest.raises(NetBoxError) as refused,
    ):
        netbox.create(PATH, [{"name": "a"}])
    assert (refused.value.status, refused.value.retry_after) == (429, seconds)


def test_a_write_never_goes_over_a_connection_that_was_used_before_and_reads_keep_theirs() -> None:
    page = hostile.answers(hostile.answer(b'[{"id": 1, "name": "a"}]'))
    with hostile.serve(page) as server, NetBox(server.url, V1, Deadline.after(20)) as netbox:
        for _ in range(3):
            netbox.create(PATH, [{"name": "a"}])
        assert len(server.connections) == sum(b"POST" in each for each in server.requests) == 3
    empty = hostile.answers(hostile.answer(b'{"count": 0, "results": []}'))
    with hostile.serve(empty) as server, NetBox(server.url, V1, Deadline.after(20)) as netbox:
        for _ in range(3):
            assert netbox.read(PATH) == []
        assert (len(server.connections), len(server.requests)) == (1, 3)


def test_every_request_is_counted_when_many_threads_ask() -> None:
    empty = hostile.answers(hostile.answer(b'{"count": 0, "results": []}'))
    with hostile.serve(empty) as server, NetBox(server.url, V1, Deadline.after(60)) as netbox:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: netbox.read(PATH), range(200)))
        assert answers == [[]] * 200
        assert netbox.requests == len(server.requests) == 200
