"""Whoever attacks the function `manual`: without a token, with forged ones, from other sites, slowly, and in masses."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from functions.web.auth import COOKIE
from tests.functions.web_house import TOKEN, Answer, Desk, desk
from tests.netbox_content import opened
from tests.netbox_fixtures import ServedNetBox

pytestmark = pytest.mark.netbox

HTML = "text/html"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def served(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(netbox_server, tmp_path_factory.mktemp("attacked")) as made:
        yield made


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found
    return found[1]


def logged_in(served: Desk, name: str = "Ada") -> str:
    """The cookie of a login by the form."""
    token = form_token(served.ask("GET", "/login", bare=True, Accept=HTML).text)
    body = f"form_token={quote(token)}&token={quote(TOKEN)}&name={quote(name)}&next=/"
    answer = served.ask("POST", "/login", body, bare=True, Accept=HTML)
    assert answer.status == 303
    return answer.headers["Set-Cookie"]


def cookie(set_cookie: str) -> str:
    return set_cookie.partition(";")[0]


WRONG = {
    "none": {},
    "wrong": {"Authorization": f"Bearer {TOKEN[:-1]}x"},
    "empty": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": f"Basic {TOKEN}"},
    "not ASCII": {"Authorization": "Bearer ÿÿ".encode("latin-1").decode("latin-1")},
    "an unsigned ID token": {"Authorization": "Bearer e30.e30."},
    "rubbish in a cookie": {"Cookie": f"{COOKIE}=QWRh.9999999999.{'0' * 64}"},
    "a cookie without parts": {"Cookie": f"{COOKIE}=x"},
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/fabrics"),
        ("GET", "/fabrics/lab"),
        ("GET", "/fabrics/lab/plan"),
        ("POST", "/fabrics/lab/sync"),
        ("POST", "/fabrics/lab/test"),
        ("GET", "/fabrics/lab/requests/x"),
        ("POST", "/logout"),
    ],
)
def test_nothing_is_told_or_done_without_the_right_token(served: Desk, case: str, method: str, path: str) -> None:
    answer = served.ask(method, path, bare=True, **WRONG[case])
    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text
    assert served.requests() == []


def test_a_cookie_is_kept_from_scripts_and_other_sites_and_ends_by_itself(served: Desk) -> None:
    made = logged_in(served)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(made.replace("; ", ";").split(";"))
    assert served.ask("GET", "/fabrics", bare=True, Cookie=cookie(made)).status == 200
    # A cookie whose time is over, signed by who has the token: there is no other way to an old one within a test.
    key = hashlib.sha256(b"fabric-sync page|" + TOKEN.encode()).digest()
    for ends, status in ((int(time.time()) - 1, 401), (int(time.time()) + 60, 200)):
        signed = f"QWRh.{ends}"
        text = f"login|{hashlib.sha256(b'').hexdigest()}|{signed}"
        seal = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        assert served.ask("GET", "/fabrics", bare=True, Cookie=f"{COOKIE}={signed}.{seal}").status == status
    assert "Secure" in logged_in_over_https(served)


def logged_in_over_https(served: Desk) -> str:
    token = form_token(served.ask("GET", "/login", bare=True, Accept=HTML).text)
    body = f"form_token={quote(token)}&token={quote(TOKEN)}&name=&next=/"
    return served.ask("POST", "/login", body, bare=True, X_Forwarded_Proto="https").headers["Set-Cookie"]


def test_a_form_of_another_site_does_nothing(served: Desk) -> None:
    mine = cookie(logged_in(served))
    other = cookie(logged_in(served, "Eve"))
    token = form_token(served.ask("GET", "/fabrics/lab", bare=True, Cookie=mine, Accept=HTML).text)
    theirs = form_token(served.ask("GET", "/fabrics/lab", bare=True, Cookie=other, Accept=HTML).text)
    path = "/fabrics/lab/sync?wait=false"
    cases: list[tuple[str, dict[str, str], int]] = [
        ("", {}, 403),
        (f"form_token={quote(theirs)}", {}, 403),
        (f"form_token={quote(token)}", {"Origin": "https://evil.example"}, 403),
        (f"form_token={quote(token)}", {"Origin": "null"}, 403),
        (f"form_token={quote(token)}", {"Sec_Fetch_Site": "cross-site"}, 403),
        (f"form_token={quote(token)}", {"Origin": served.url, "Sec_Fetch_Site": "same-origin"}, 202),
    ]
    for body, headers, status in cases:
        assert served.ask("POST", path, body, bare=True, Cookie=mine, **headers).status == status, (body, headers)
    assert len(served.requests()) == 1
    login = form_token(served.ask("GET", "/login", bare=True, Accept=HTML).text)
    body = f"form_token={quote(login)}&token={quote(TOKEN)}&name=x&next=/"
    assert served.ask("POST", "/login", body, bare=True, Origin="https://evil.example").status == 403
    assert served.ask("POST", "/login", body.replace("form_token", "x"), bare=True).status == 403


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "/%0d%0aX: y\r\nSet-Cookie: a=b", "/\t/evil"]
)
def test_a_login_leads_nowhere_else_and_into_no_header(served: Desk, place: str) -> None:
    token = form_token(served.ask("GET", "/login", bare=True, Accept=HTML).text)
    name = quote("x\r\nX-Evil: 1")
    body = f"form_token={quote(token)}&token={quote(TOKEN)}&name={name}&next={quote(place)}"
    answer = served.ask("POST", "/login", body, bare=True)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "..%2f..%2fetc", "a/b", "LAB", "lab%00", "lab%0d%0aX-Evil:1", "a" * 300, quote(EVIL), "%ff"],
)
@pytest.mark.parametrize("accept", ["application/json", HTML])
def test_a_name_that_is_none_is_a_404_and_goes_nowhere(served: Desk, name: str, accept: str) -> None:
    for method, path in (("GET", ""), ("GET", "/plan"), ("POST", "/sync"), ("POST", "/test")):
        answer = served.ask(method, f"/fabrics/{name}{path}", Accept=accept)
        assert answer.status in (404, 405), answer.text
        assert "X-Evil" not in answer.headers
        assert EVIL not in answer.text or accept != HTML
    for file in ("..%2fapp.py", "%2e%2e/app.py", "live.js%00", "../auth.py"):
        assert served.ask("GET", f"/assets/{file}", bare=True).status == 404


def test_a_large_body_is_refused_unread(served: Desk) -> None:
    for path in ("/fabrics/lab/sync", "/hooks/netbox", "/login"):
        answer = served.ask("POST", path, b"x" * (10 * 1024 * 1024 - 1), Content_Type="application/json")
        assert answer.status == 413
    assert served.ask("POST", "/fabrics/lab/sync", b'{"force": "maybe', Content_Type="application/json").status == 400
    assert served.ask("POST", "/fabrics/lab/sync", b"<x/>", Content_Type="application/xml").status == 415
    assert served.ask("POST", "/fabrics/lab/sync", {"force": 1}).status == 400
    assert served.ask("POST", "/fabrics/lab/sync", {"plan": "../../etc"}).status == 400
    assert served.ask("POST", "/fabrics/lab/sync", {"shell": "rm"}).status == 400


def test_every_answer_has_the_strict_headers(served: Desk) -> None:
    for answer in every_kind(served):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Referrer-Policy" in answer.headers
        assert "Cache-Control" in answer.headers


def every_kind(served: Desk) -> list[Answer]:
    asked = [("GET", "/"), ("GET", "/fabrics"), ("GET", "/fabrics/lab"), ("GET", "/nothing"), ("POST", "/login")]
    answers = [served.ask(method, path, Accept=accept) for method, path in asked for accept in (HTML, "*/*")]
    return [*answers, served.ask("GET", "/assets/live.js", bare=True), served.ask("GET", "/healthz", bare=True)]


def test_what_people_typed_into_netbox_is_shown_and_not_run(served: Desk) -> None:
    with opened(served.netbox) as netbox:
        clusters = "virtualization/clusters"
        row = netbox.read(clusters, {"name": "shown"})[0]
        netbox.update(clusters, [{"id": row["id"], "custom_fields": {"fabric_error": EVIL, "fabric_result": "failed"}}])
        kind = row["type"]["id"]
        (made,) = netbox.create(clusters, [{"name": f"{EVIL}", "type": kind}])
    try:
        for path in ("/", "/fabrics/shown", f"/fabrics/shown?request={quote(EVIL)}"):
            page = served.ask("GET", path, Accept=HTML)
            assert page.status == 200
            assert EVIL not in page.text
            assert "&lt;script&gt;" in page.text
    finally:
        with opened(served.netbox) as netbox:
            netbox.update("virtualization/clusters", [{"id": made["id"], "name": "harmless"}])
    logged = served.ask("GET", "/fabrics/shown", bare=True, Cookie=cookie(logged_in(served, EVIL)), Accept=HTML)
    assert (logged.status, EVIL in logged.text) == (200, False)


def test_a_body_that_drips_is_ended_and_holds_nobody(served: Desk) -> None:
    head = (
        f"POST /fabrics/lab/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 2000\r\n\r\n"
    )
    target = urlsplit(served.url)
    with socket.create_connection((target.hostname or "", target.port or 0), timeout=30) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.2)
        answer = b""
        for _ in range(300):
            try:
                connection.sendall(b" ")
                answer += connection.recv(4096)
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert served.ask("GET", "/healthz", bare=True).status == 200
