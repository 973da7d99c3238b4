"""The subscriber end to end: outcome events in, one journal entry each in a real NetBox, and notes on transitions."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions import registry
from functions.contract import parse
from functions.errors import Code, Problem
from functions.events import outcome_message, status_message
from functions.history import ends, history
from functions.journal import entry_of, event_id_of
from functions.mailing import message_of
from functions.notify import ID, SIGNATURE, TIMESTAMP, Note, Turn, note_of, signed
from functions.outcome import Outcome, Result
from functions.standing import End, Standing, fields_of
from infra.pubsub import Message
from infra.redaction import Secret
from infra.sandbox.serving import Serving
from tests.house import MAIN, posted
from tests.mail_server import Office, post_office
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

KEY = "a key of the tests, long enough"
NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


def outcome(id_: str, result: Result = Result.SUCCEEDED, written: int = 2, **changes: Any) -> Outcome:
    bad = result in (Result.FAILED, Result.TIMED_OUT)
    problem = Problem(Code.FABRIC_TIMEOUT, "token=abcdefghijklmnop [x](y) did not answer") if bad else None
    objects = {"device": {"created": written, "unchanged": 7}} if written and not bad else {}
    given = {"netbox_requests": 3, "deadline_s": 30.0, "trigger": "manual", "requested_by": "ann", **changes}
    return Outcome(
        fabric="lab",
        result=result,
        request_id=id_,
        correlation_id=id_,
        attempt=1,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=4),
        problem=problem,
        objects=objects,
        **given,
    )


class Receiver(BaseHTTPRequestHandler):
    """Whoever is told: keeps what comes, and answers as it is asked to."""

    came: list[tuple[dict[str, str], bytes]] = []
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append((dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@dataclass(frozen=True)
class Book:
    serving: Serving
    served: ServedNetBox
    office: Office

    def tell(self, message: Message, wrapped: bool = False) -> tuple[int, Any]:
        headers, body = dict(message.attributes), message.data
        if wrapped:
            inner = {"data": base64.b64encode(body).decode(), "attributes": headers, "messageId": "1"}
            headers, body = {}, json.dumps({"message": inner, "subscription": "s"}).encode()
        status, answer, _ = posted(self.serving.url, headers, body)
        return status, answer

    def entries(self) -> list[Any]:
        with opened(self.served) as netbox:
            return history(netbox, registry.find(netbox, "lab"))

    def recorded(self, *results: Result) -> None:
        """Let the cluster remember these runs, the newest first, with the ids r-0, r-1, …"""
        made = tuple(End(f"r-{at}", result, NOW - timedelta(minutes=at)) for at, result in enumerate(results))
        with opened(self.served) as netbox:
            row = registry.find(netbox, "lab")
            custom = {"fabric_state": fields_of(Standing(ends=made))["fabric_state"]}
            netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": custom}])
            assert [end["request"] for end in ends(registry.find(netbox, "lab"))] == [end.request for end in made]


@pytest.fixture(scope="module")
def book(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        with_fabric(netbox, "lab")
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    environment = {
        "NETBOX_URL": served.url,
        "NETBOX_TOKEN": served.token_v2,
        "FABRIC_SYNC_NOTIFY_URL": f"http://127.0.0.1:{receiver.server_address[1]}/hook",
        "FABRIC_SYNC_NOTIFY_KEY": KEY,
    }
    log: Path = tmp_path_factory.mktemp("record") / "record.log"
    with post_office() as office:
        environment["FABRIC_SYNC_NOTIFY_EMAIL"] = "ann@example.org, bob@example.org"
        environment["FABRIC_SYNC_SMTP_URL"] = f"smtp://127.0.0.1:{office.port}"
        with Serving(MAIN, "record", log, environment) as serving:
            yield Book(serving, served, office)
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture(autouse=True)
def quiet() -> None:
    Receiver.came.clear()
    Receiver.status = 200


def test_the_same_event_three_times_is_one_entry_in_whatever_shape_it_comes(book: Book) -> None:
    message = outcome_message(outcome("once"))
    answers = [book.tell(message), book.tell(message, wrapped=True), book.tell(message)]
    assert [status for status, _ in answers] == [200] * 3
    assert [answer["entry"] for _, answer in answers] == [True, False, False]
    (entry,) = [one for one in book.entries() if one.event == "once/succeeded"]
    assert entry.kind == "success"
    assert "device: 2 created" in entry.text
    assert "by ann" in entry.text


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (outcome("quiet", written=0), None),
        (outcome("skipped", Result.SKIPPED, written=0), None),
        (outcome("cut", Result.CONTINUED), "info"),
        (outcome("gap", Result.INCOMPLETE, written=0, reasons=("Connection could not be read",)), "warning"),
        (outcome("bad", Result.FAILED), "danger"),
        (outcome("slow", Result.TIMED_OUT), "danger"),
    ],
)
def test_runs_that_changed_or_failed_something_have_an_entry_and_no_others(
    book: Book, made: Outcome, kind: str
) -> None:
    status, _ = book.tell(outcome_message(made))
    assert status == 200
    found = [one.kind for one in book.entries() if one.event == f"{made.request_id}/{made.result}"]
    assert found == ([kind] if kind else [])


def test_an_event_of_no_fabric_or_no_event_at_all_is_passed_over(book: Book) -> None:
    assert book.tell(outcome_message(replace(outcome("x"), fabric="nosuch")))[0] == 200
    assert book.tell(Message(b"nonsense"))[0] == 200
    assert (
        book.tell(Message(b"{}", {"ce-type": "x.y.v9", "ce-id": "1", "ce-source": "s", "ce-specversion": "1.0"}))[0]
        == 200
    )


def test_the_third_failure_in_a_row_is_told_signed_and_so_is_the_recovery(book: Book) -> None:
    bad = Result.FAILED
    for count, told in ((2, 0), (3, 1), (4, 1)):
        book.recorded(*[bad] * count, Result.SUCCEEDED)
        assert book.tell(outcome_message(outcome("r-0", bad)))[0] == 200
        assert len(Receiver.came) == told
    headers, body = Receiver.came[0]
    assert headers[SIGNATURE] == signed(body, headers[TIMESTAMP], Secret(KEY))
    assert (headers[ID], json.loads(body)["turn"]) == ("r-0/failed", "failing")
    book.recorded(Result.SUCCEEDED, *[bad] * 3)
    assert book.tell(outcome_message(outcome("r-0")))[0] == 200
    assert [json.loads(body)["turn"] for _, body in Receiver.came] == ["failing", "recovered"]


def test_who_is_late_is_told_and_a_receiver_that_fails_lets_the_event_come_again(book: Book) -> None:
    Receiver.status = 500
    late = status_message("lab", "late-1", "in_sync", "in_sync", late=True, since=NOW, reason="no run was recorded")
    assert book.tell(late)[0] == 503
    Receiver.status = 200
    assert book.tell(late) == (200, {"event": "late-1/status", "entry": False, "note": "late"})


def test_the_same_is_told_by_mail_and_what_comes_twice_is_the_same_message(book: Book) -> None:
    book.office.came.clear()
    book.recorded(*[Result.FAILED] * 3)
    for _ in range(2):
        assert book.tell(outcome_message(outcome("r-0", Result.FAILED)))[0] == 200
    first, again = book.office.came
    assert first["Message-ID"] == again["Message-ID"]
    assert first["Subject"] == "fabric-sync: lab keeps failing"
    assert (first["To"], book.office.to[-1]) == (
        "ann@example.org, bob@example.org",
        ["ann@example.org", "bob@example.org"],
    )
    text = first.get_content()
    assert "3 runs in a row failed: fabric_timeout" in text
    assert "event: r-0/failed" in text
    assert "abcdefghijklmnop" not in text
    book.recorded(Result.SUCCEEDED, *[Result.FAILED] * 3)
    assert book.tell(outcome_message(outcome("r-0")))[0] == 200
    assert book.office.came[-1]["Subject"] == "fabric-sync: lab recovered"
    assert book.office.came[-1]["Message-ID"] != first["Message-ID"]


def test_who_cannot_be_told_keeps_nobody_else_from_it(book: Book) -> None:
    book.office.came.clear()
    late = status_message("lab", "late-2", "in_sync", "in_sync", late=True, since=NOW, reason="no run was recorded")
    book.office.answer = "451 not now"
    status, told = book.tell(late)
    book.office.answer = "250 taken"
    assert (status, len(Receiver.came)) == (503, 1)
    assert "answered 451 not now" in told["error"]
    Receiver.status = 500
    assert book.tell(late)[0] == 503
    assert [one["Subject"] for one in book.office.came] == ["fabric-sync: lab is late"]


def test_a_message_has_no_header_that_its_event_made_up() -> None:
    note = Note("e\r\nBcc: eve@example.org", "lab", Turn.FAILING, "failed\r\nBcc: eve@example.org\r\n\r\n.\r\n", NOW)
    made = message_of(note, ["ann@example.org"], "ops@example.org", NOW)
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)
    assert (read["Bcc"], read["From"], read["To"]) == (None, "fabric-sync <ops@example.org>", "ann@example.org")
    assert message_of(note, ["ann@example.org"], "ops", NOW)["From"] == "fabric-sync <ann@example.org>"
    with pytest.raises(ValueError, match="may not contain linefeed"):
        message_of(replace(note, fabric="lab\r\nBcc: eve@example.org"), ["ann@example.org"], None, NOW)


def event_of(made: Outcome) -> Any:
    message = outcome_message(made)
    return parse(message.attributes, message.data)


def test_an_entry_holds_no_secret_and_no_markup_of_others() -> None:
    entry = entry_of(event_of(outcome("e", Result.FAILED)))
    assert "abcdefghijklmnop" not in entry["comments"]
    assert "[x](y)" not in entry["comments"]
    assert event_id_of(entry["comments"]) == "e/failed"


def test_runs_that_others_asked_wrongly_for_are_no_failures_of_the_fabric() -> None:
    bad, other = End("r-2", Result.FAILED, NOW), End("o", Result.FAILED, NOW, code="plan_moved")
    three = (End("e", Result.FAILED, NOW), other, bad, other, End("r-1", Result.FAILED, NOW))
    note = note_of(event_of(outcome("e", Result.FAILED)), three)
    assert note is not None
    assert note.turn is Turn.FAILING
    assert note_of(event_of(outcome("e", Result.FAILED)), three[:3]) is None
    assert note_of(event_of(outcome("unknown", Result.FAILED)), three) is None
