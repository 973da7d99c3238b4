"""The promise: whatever a fabric, NetBox or Pub/Sub does, one outcome is out by the deadline, with the right error."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from functions import registry
from functions.kinds import KINDS
from infra.deadline import Deadline
from infra.sandbox.fabric.serve import Fabrics, make_kubeconfig, serve
from tests import hostile
from tests.certificates import authority
from tests.fabric_content import small_cluster
from tests.hostile import HOSTILE, Behaviour, Peer, Server
from tests.house import MARGIN, Asked, House, house, requested
from tests.netbox_content import bootstrapped, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Seen, answering

DEADLINE = 7.0
RESERVE = 3.4  # the most that settings allow: the runs that hang end sooner
FABRIC = "victim"

# What an outcome may say for each way in which a server can misbehave. An answer that is too large may also be too
# slow: how far 64 MiB get before the deadline is the machine's affair.
BY_ENDING = {
    "deadline": {("timed_out", "timeout")},
    "too_large": {("failed", "bad_answer"), ("timed_out", "timeout")},
    "protocol": {("failed", "bad_answer")},
    "redirect": {("failed", "bad_answer")},
    "content": {("failed", "bad_answer")},
    "reset": {("failed", "unreachable")},
}


def cases() -> list[pytest.param]:
    return [pytest.param(behaviour, id=behaviour.__name__) for behaviour in HOSTILE]


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        for name in (FABRIC, "healthy", "written", "compared"):
            with_fabric(netbox, name)
        with_fabric(netbox, "unchecked", fabric_insecure_tls=True)
    return served


@pytest.fixture(scope="module")
def fabrics() -> Iterator[Fabrics]:
    """Fabrics that answer as they should."""
    with serve({name: small_cluster(name) for name in ("healthy", "written", "compared")}) as served:
        yield served


@pytest.fixture(scope="module")
def at_home(ready: ServedNetBox, fabrics: Fabrics, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    place = tmp_path_factory.mktemp("house")
    with house(place, ready.url, ready.token_v2, deadline=DEADLINE, reserve=RESERVE) as served:
        for name in fabrics:
            served.secret(name, fabrics[name].kubeconfig)
        yield served


@pytest.fixture(autouse=True)
def at_peace(at_home: House) -> Iterator[None]:
    """Each test begins and ends with proxies that pass everything on, and no outcome left over."""
    at_home.netbox.behave()
    at_home.events.behave()
    at_home.outcomes()
    yield
    at_home.netbox.behave()
    at_home.events.behave()


def one_outcome_in_time(asked: Asked, fabric: str = FABRIC) -> None:
    assert asked.seconds < DEADLINE + MARGIN
    assert asked.status == 200
    assert asked.outcome == asked.answer
    assert asked.outcome["fabric"] == fabric
    assert asked.outcome["duration_s"] < DEADLINE
    assert "a-token-of-the-tests" not in str(asked.outcome)


def told_in_netbox(ready: ServedNetBox, fabric: str = FABRIC) -> tuple[str, str]:
    """The result and the error's code that the fabric's cluster in NetBox shows."""
    with opened(ready) as netbox:
        custom = registry.find(netbox, fabric)["custom_fields"]
    return custom["fabric_result"], custom["fabric_error"].partition(":")[0]


@pytest.mark.parametrize("behaviour", cases())
def test_a_hostile_fabric_ends_in_one_outcome_by_the_deadline(
    at_home: House, ready: ServedNetBox, behaviour: Behaviour
) -> None:
    with hostile.serve(behaviour, tls=True) as server:
        at_home.points_at(FABRIC, server.url, authority().certificate)
        asked = at_home.ask(FABRIC)
    one_outcome_in_time(asked)
    wanted = {(result, f"fabric_{code}") for result, code in BY_ENDING[HOSTILE[behaviour]]}
    ending = (asked.outcome["result"], str(asked.code))
    assert ending in wanted
    assert told_in_netbox(ready) == ending
    assert server.connections
    assert not [seen for seen in at_home.netbox.seen if seen.writes and "clusters" not in seen.path]


def in_the_clear(peer: Peer) -> None:
    """Answers before it is asked, without TLS."""
    peer.send(hostile.answer(b"<h1>hello</h1>", kind="text/html"))


NO_CONVERSATION = {
    "never speaks TLS": (hostile.tls_silence, ("timed_out", "fabric_timeout")),
    "drops every packet": (hostile.black_hole, ("timed_out", "fabric_timeout")),
    "is not there": (hostile.refusing, ("failed", "fabric_unreachable")),
    "speaks HTTP in the clear": (lambda: hostile.serve(in_the_clear), ("failed", "fabric_tls")),
}


@pytest.mark.parametrize("case", NO_CONVERSATION)
def test_a_fabric_that_is_not_to_be_talked_to_ends_in_one_outcome_by_the_deadline(at_home: House, case: str) -> None:
    opening, ending = NO_CONVERSATION[case]
    with opening() as server:
        assert isinstance(server, Server)
        at_home.points_at(FABRIC, f"https://{server.place}", authority().certificate)
        asked = at_home.ask(FABRIC)
    one_outcome_in_time(asked)
    assert (asked.outcome["result"], asked.code) == ending


def test_a_fabric_with_the_certificate_of_another_gets_no_token(at_home: House, fabrics: Fabrics) -> None:
    with hostile.serve(hostile.html_page, tls=True) as server:
        at_home.points_at(FABRIC, server.url, fabrics["healthy"].ca_pem.decode())
        asked = at_home.ask(FABRIC)
    one_outcome_in_time(asked)
    assert (asked.outcome["result"], asked.code) == ("failed", "fabric_tls")
    assert server.requests == []


@pytest.mark.parametrize(
    ("token", "code"),
    [("revoked", "fabric_unauthorized"), ("fabric-nobody", "fabric_forbidden")],
    ids=["a token that is not known", "a token without any right"],
)
def test_a_token_that_is_no_use_is_told_by_the_right_error(
    at_home: House, fabrics: Fabrics, token: str, code: str
) -> None:
    fabric = fabrics["healthy"]
    given = token if token == "revoked" else fabric.token_of(token)
    at_home.secret(FABRIC, make_kubeconfig(FABRIC, fabric.url, fabric.ca_pem, given))
    asked = at_home.ask(FABRIC)
    one_outcome_in_time(asked)
    assert (asked.outcome["result"], asked.code) == ("failed", code)
    assert given not in str(asked.outcome)


def test_a_certificate_goes_unchecked_only_where_the_fabric_says_so_and_every_outcome_tells_it(
    at_home: House, fabrics: Fabrics
) -> None:
    served = fabrics["healthy"]
    lines = served.kubeconfig.splitlines()
    at = next(number for number, line in enumerate(lines) if "certificate-authority-data" in line)
    end = next(number for number in range(at + 1, len(lines)) if ":" in lines[number] or lines[number].startswith("-"))
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    unchecked = "\n".join([*lines[:at], f"{indent}insecure-skip-tls-verify: true", *lines[end:]])
    for name in (FABRIC, "unchecked"):
        at_home.secret(name, unchecked)
    refused, taken = at_home.ask(FABRIC), at_home.ask("unchecked")
    assert (refused.code, refused.outcome["insecure_tls"]) == ("bad_kubeconfig", False)
    assert taken.outcome["insecure_tls"] is True
    assert taken.outcome["kinds"]["Switch"]["reading"] == "complete"


def test_a_fabric_all_of_whose_lists_hang_is_timed_out(at_home: House, fabrics: Fabrics) -> None:
    fabrics["healthy"].faults.set(f"hang:{kind.plural}" for kind in KINDS)
    try:
        asked = at_home.ask("healthy")
    finally:
        fabrics["healthy"].faults.set()
    one_outcome_in_time(asked, "healthy")
    assert (asked.outcome["result"], asked.code) == ("timed_out", "fabric_timeout")


BAD_SECRETS = {
    "nothing": ("", "bad_secret"),
    "no kubeconfig": ("hello", "bad_kubeconfig"),
    "a program to run": (
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {exec: {}}}]}",
        "bad_kubeconfig",
    ),
    "a bomb": ("a: &a [x]\nb: [*a, *a]\n" + "[" * 5000, "bad_kubeconfig"),
}


@pytest.mark.parametrize("case", BAD_SECRETS)
def test_a_secret_that_is_no_use_ends_in_one_outcome(at_home: House, case: str) -> None:
    content, code = BAD_SECRETS[case]
    at_home.secret(FABRIC, content)
    asked = at_home.ask(FABRIC)
    one_outcome_in_time(asked)
    assert (asked.outcome["result"], asked.code) == ("failed", code)


@pytest.mark.parametrize("behaviour", cases())
def test_a_hostile_netbox_ends_in_one_outcome_by_the_deadline(at_home: House, behaviour: Behaviour) -> None:
    at_home.netbox.misbehave(behaviour)
    asked = at_home.ask("healthy")
    one_outcome_in_time(asked, "healthy")
    wanted = {(result, f"netbox_{code}") for result, code in BY_ENDING[HOSTILE[behaviour]]}
    assert (asked.outcome["result"], asked.code) in wanted
    assert asked.outcome["written"] == 0


REFUSALS = {
    "401": (answering("401 Unauthorized", b'{"detail": "no"}', kind="application/json"), "netbox_denied"),
    "403": (answering("403 Forbidden", b'{"detail": "no"}', kind="application/json"), "netbox_denied"),
    "429 in HTML": (answering("429 Too Many Requests", b"<h1>slow down</h1>"), "netbox_throttled"),
    "500": (answering("500 Internal Server Error", b'{"error": "x"}', kind="application/json"), "netbox_error"),
    "502 in HTML": (answering("502 Bad Gateway", b"<h1>bad gateway</h1>"), "netbox_error"),
    "503 in HTML": (answering("503 Service Unavailable", b"<h1>maintenance</h1>"), "netbox_error"),
    "504 and nothing": (answering("504 Gateway Time-out"), "netbox_error"),
    "200 in HTML": (answering("200 OK", b"<h1>maintenance</h1>"), "netbox_bad_answer"),
    "another service's JSON": (answering("200 OK", b'{"ok": true}', kind="application/json"), "netbox_bad_answer"),
    "null": (answering("200 OK", b"null", kind="application/json"), "netbox_bad_answer"),
    "JSON beyond all depth": (answering("200 OK", b"[" * 200_000, kind="application/json"), "netbox_bad_answer"),
    "a number of 5,000 digits": (answering("200 OK", b"9" * 5000, kind="application/json"), "netbox_bad_answer"),
    "a refusal beyond all depth": (
        answering("400 Bad Request", b'{"a":' * 900 + b"1" + b"}" * 900, kind="application/json"),
        "netbox_not_ready",
    ),
    "a refusal of another shape": (
        answering("400 Bad Request", b'{"errors": ["x", {"index": [], "id": {}}]}', kind="application/json"),
        "netbox_not_ready",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_netbox_that_refuses_is_told_by_the_right_error(at_home: House, case: str) -> None:
    behaviour, code = REFUSALS[case]
    at_home.netbox.misbehave(behaviour)
    asked = at_home.ask("healthy")
    one_outcome_in_time(asked, "healthy")
    assert (asked.outcome["result"], asked.code) == ("failed", code)


def test_a_netbox_whose_rows_have_another_shape_ends_in_one_outcome(at_home: House) -> None:
    row = b'{"id": 1, "name": "healthy", "custom_fields": ["x"], "scope": 7, "scope_type": "dcim.site"}'
    body = b'{"count": 1, "results": [' + row + b"]}"
    at_home.netbox.misbehave(answering("200 OK", body, kind="application/json"))
    asked = at_home.ask("healthy")
    one_outcome_in_time(asked, "healthy")
    assert asked.outcome["result"] == "failed"


@pytest.mark.parametrize("after", [1, 5])
def test_a_netbox_that_begins_to_hang_ends_in_one_outcome_by_the_deadline(at_home: House, after: int) -> None:
    at_home.netbox.misbehave(hostile.silent, after=after)
    asked = at_home.ask("healthy")
    one_outcome_in_time(asked, "healthy")
    assert (asked.outcome["result"], asked.code) == ("timed_out", "netbox_timeout")


def is_of_cables(seen: Seen) -> bool:
    return seen.method == "GET" and "/dcim/cables/" in seen.path


def test_a_comparison_that_the_deadline_ends_tells_how_far_it_got(at_home: House) -> None:
    """A fabric that is too large for the deadline is no fault of NetBox: who reads it is to know what to do."""
    assert asked_until_done(at_home, "compared").outcome["result"] == "succeeded"
    at_home.netbox.misbehave(hostile.silent, concerns=is_of_cables)
    asked = at_home.ask("compared", force=True)
    one_outcome_in_time(asked, "compared")
    assert (asked.outcome["result"], asked.code) == ("timed_out", "netbox_timeout")
    text = asked.outcome["error"]["text"]
    assert re.search(r"[1-9][0-9]* objects of the fabric were read by then", text)
    assert "FABRIC_SYNC_DEADLINE_S" in text


def asked_until_done(house: House, fabric: str) -> Asked:
    """Ask again while the work goes on, or while the lease of a run that could not let go of it lasts."""
    patience = Deadline.after(120)
    while True:
        asked = house.ask(fabric)
        one_outcome_in_time(asked, fabric)
        busy = asked.outcome["skip"] == "busy"
        if not (busy or asked.outcome["result"] == "continued") or not patience.pause(1.0 if busy else 0.0):
            return asked


def is_bulk(seen: Seen) -> bool:
    return seen.method == "POST"


def test_what_was_sent_and_never_confirmed_is_told_and_found_again(at_home: House, ready: ServedNetBox) -> None:
    at_home.netbox.misbehave(hostile.silent, concerns=is_bulk, after=1, deliver=True)
    asked = at_home.ask("written")
    one_outcome_in_time(asked, "written")
    assert asked.outcome["result"] in ("continued", "timed_out")
    assert asked.outcome["unconfirmed"] >= 1
    assert asked.outcome["left"] >= 1
    at_home.netbox.behave()
    asked = asked_until_done(at_home, "written")
    assert (asked.outcome["result"], asked.outcome["reasons"]) == ("succeeded", [])
    with opened(ready) as netbox:
        rows = netbox.read("dcim/interfaces", {"cf_fabric_name": "written"})
        keys = [row["custom_fields"]["fabric_key"] for row in rows]
        assert len(keys) == len(set(keys)) > 0
    assert at_home.ask("written").outcome["written"] == 0


def test_a_body_without_a_length_is_read_no_further_than_allowed(at_home: House) -> None:
    headers, _ = requested(FABRIC)
    asked = at_home.post(headers, iter([b" " * 65_536] * 64))
    assert (asked.status, asked.outcome["result"], asked.code) == (200, "failed", "bad_request")
    assert asked.outcome["fabric"] == FABRIC


def test_a_healthy_fabric_is_synced_after_all_that(at_home: House) -> None:
    asked = asked_until_done(at_home, "healthy")
    assert (asked.outcome["result"], asked.outcome["reasons"]) == ("succeeded", [])


def test_no_line_of_the_log_holds_a_credential(at_home: House, ready: ServedNetBox, fabrics: Fabrics) -> None:
    log = at_home.log()
    assert "sync of victim" in log
    for secret in (ready.token_v2, ready.token_v1, "a-token-of-the-tests", *(fabrics[name].token for name in fabrics)):
        assert secret not in log
