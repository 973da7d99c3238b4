"""A story in which every secret is known and everything goes wrong; whether any of them came out anywhere."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from functions import journal
from infra.sandbox.fabric.serve import make_kubeconfig
from infra.sandbox.messaging import DEAD_LETTERS_PULL, OUTCOMES_PULL, REQUESTS, TICKS, take
from infra.sandbox.process import NotReady
from infra.sandbox.serving import Serving
from infra.sandbox.world import EVERYTHING
from tests.certificates import authority, certificate
from tests.functions.web_house import asked
from tests.hostile import Peer, answer, serve
from tests.house import MAIN, posted, requested
from tests.proofs.places import Sandbox, sandbox
from tests.proofs.traces import traces
from tests.proxy import Proxy, proxied
from tests.pubsub_fixtures import eventually

DEADLINE = 10
FAILING = ("revoked", "program", "keyed", "password", "broken", "unchecked", "telling")
"""Fabrics whose kubeconfig is of no use, each in its way; `telling` answers with all that it was told."""

CODES = frozenset(
    {"succeeded", "bad_kubeconfig", "fabric_error", "fabric_forbidden", "fabric_unauthorized", "netbox_error"}
    | {"netbox_denied", "publish_failed", "not_ready", "200", "303", "400", "401", "404"}
)
"""What must have happened: by the error of an outcome, the status of a page, or a start that was refused."""


@dataclass
class Story:
    """The secrets of the story, and what came out, by where."""

    secrets: dict[str, str] = field(default_factory=dict)
    came: dict[str, bytes] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    failing: Sequence[str] = FAILING

    def new(self, name: str, text: str = "") -> str:
        """A secret that nobody else has."""
        return self.secrets.setdefault(name, text or secrets.token_urlsafe(30))

    def out(self, place: str, *data: bytes | str) -> None:
        """Keep what came out there."""
        self.came[place] = self.came.get(place, b"") + b"\n".join(
            one.encode() if isinstance(one, str) else one for one in data
        )

    def figures(self) -> dict[str, Any]:
        """The story in numbers."""
        size = sum(map(len, self.came.values()))
        return {"secrets": len(self.secrets), "places": len(self.came), "bytes": size, "codes": sorted(self.codes)}


def run(state: Path, failing: Sequence[str] = FAILING) -> tuple[Story, list[str]]:
    """Play it with these fabrics of `FAILING`; what came out, and where a secret stands in it."""
    story, notes = Story(failing=failing), Notes()
    with serve(notes) as receiver:
        settings = {
            "FABRIC_SYNC_MANUAL_OPEN": "0",
            "FABRIC_SYNC_MANUAL_TOKEN": story.new("the token of the page"),
            "FABRIC_SYNC_HOOK_KEY": story.new("the key of the hook"),
            "FABRIC_SYNC_NOTIFY_URL": receiver.url,
            "FABRIC_SYNC_NOTIFY_KEY": story.new("the key of notifications"),
            "FABRIC_SYNC_LOG_LEVEL": "DEBUG",
            "FABRIC_SYNC_DEADLINE_S": str(DEADLINE),
        }
        with sandbox(state, ("good", *failing), beside=EVERYTHING, settings=settings) as place:
            story.secrets |= {"NetBox's token": place.at.token, "the token of good": _token(place, "good")}
            watched = place.subscribe(REQUESTS)
            with _kubeconfigs(story, place):
                _sync(story, place)
                _misconfigured(story, place, settings)
                _page(story, place)
                _hooks(story, place)
            _collect(story, place, watched)
        story.out("notifications", *notes.came)
    return story, traces(story.secrets, story.came)


class Notes:
    """A receiver of notifications that refuses the first and says all of it back."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        data = peer.request()
        with self._lock:
            self.came.append(data)
            refused = len(self.came) == 1
        peer.send(answer(data, kind="text/plain", status="500 No" if refused else "200 OK"))


def telling(peer: Peer) -> None:
    """Answers with all that it was told, in every form in which a server may do so."""
    head = peer.request()
    said = {"message": head.decode("latin-1"), "detail": base64.b64encode(head).decode(), "reason": "Unauthorized"}
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, **said})
    peer.send(answer(body.encode(), status="500 Told", headers=f"X-Told: {_authorization(head)}\r\n"))


def _authorization(head: bytes) -> str:
    found = re.search(rb"(?i)^authorization: (.*?)\r?$", head, re.MULTILINE)
    return found[1].decode("latin-1") if found else ""


def _token(place: Sandbox, fabric: str) -> str:
    file = Path(place.at.secrets) / f"fabric-{fabric}"
    token: str = yaml.safe_load(file.read_text())["users"][0]["user"]["token"]
    return token


@contextlib.contextmanager
def _kubeconfigs(story: Story, place: Sandbox) -> Iterator[None]:
    """Let each fabric of `FAILING` have its kubeconfig."""
    key = certificate("client").key.splitlines()
    # The number that makes an elliptic key stands across its first two lines; what is before it is alike in all.
    story.secrets["a client's key"] = key[1][-16:] + key[2][:24]
    story.secrets["a client's key, as data"] = base64.b64encode("\n".join(key).encode()).decode()[150:190]
    with proxied(place.at.fabrics["telling"]) as proxy:
        proxy.misbehave(telling)
        for name in story.failing:
            (Path(place.at.secrets) / f"fabric-{name}").write_text(_kubeconfig(name, story, place, proxy))
        yield


def _kubeconfig(name: str, story: Story, place: Sandbox, proxy: Proxy) -> str:
    file = Path(place.at.secrets) / f"fabric-{name}"
    config = yaml.safe_load(file.read_text())
    secret, user, cluster = story.new(f"the secret of {name}"), {}, config["clusters"][0]["cluster"]
    match name:
        case "telling":
            return make_kubeconfig(name, proxy.url, authority().certificate.encode(), secret)
        case "program":
            given = [{"name": "TOKEN", "value": secret}]
            user = {"exec": {"apiVersion": "v1", "command": "get", "args": [secret], "env": given}}
        case "keyed":
            pair = certificate("client")
            encoded = {"certificate": pair.certificate, "key": pair.key}
            user = {f"client-{what}-data": base64.b64encode(text.encode()).decode() for what, text in encoded.items()}
        case "password":
            user = {"username": "admin", "password": secret}
        case "unchecked":
            cluster["insecure-skip-tls-verify"] = True
            cluster["server"] = cluster["server"].replace("://", f"://admin:{secret}@")
        case _:
            pass
    config["users"][0]["user"] = user or {"token": secret}
    text = yaml.safe_dump(config)
    return text.replace("token:", "token: {[") if name == "broken" else text


def _sync(story: Story, place: Sandbox) -> None:
    """Every fabric is asked for, those that fail so often that people are told; then the scheduler asks."""
    story.out("answers of sync", *_asked(story, place.at.function, "good"))
    for name in story.failing:
        for _ in range(3):
            story.out("answers of sync", *_asked(story, place.at.function, name))
    place.publish(TICKS, [{"data": base64.b64encode(b"{}").decode()}])


def _asked(story: Story, url: str, fabric: str) -> list[str]:
    status, told, _ = posted(url, *requested(fabric, str(uuid.uuid4())))
    story.codes |= {one["code"] for name in ("error", "publish_error") if (one := told.get(name))} | {told["result"]}
    return [f"{status}", json.dumps(told)]


def _misconfigured(story: Story, place: Sandbox, settings: Mapping[str, str]) -> None:
    """Functions with a token that NetBox refuses, with a NetBox that tells, that cannot publish, that cannot start."""
    usual = {**place.at.environment(), **settings, "FABRIC_SYNC_DEADLINE_S": "7", "FABRIC_SYNC_RESERVE_S": "2"}
    wrong = f"nbt_{secrets.token_hex(6)}.{story.new('a token that NetBox refuses', secrets.token_hex(20))}"
    nowhere = f"http://admin:{story.new('the password of a broker')}@127.0.0.1:9"
    with proxied(place.at.netbox) as netbox:
        netbox.misbehave(telling)
        cases = {
            "refused": {"NETBOX_TOKEN": wrong},
            "told": {"NETBOX_URL": netbox.url},
            "unheard": {"PUBSUB_EMULATOR_HOST": "", "FABRIC_SYNC_BROKER_URL": nowhere},
            "unheard, too": {"PUBSUB_EMULATOR_HOST": "127.0.0.1:9"},
            "misspelt": {
                "NETBOX_TOKEN": f"{wrong}\n{wrong}",
                "FABRIC_SYNC_HOOK_KEYS": settings["FABRIC_SYNC_HOOK_KEY"],
            },
        }
        for name, changed in cases.items():
            log = Path(place.at.logs) / f"{name}.log"
            try:
                with Serving(MAIN, "sync", log, {**usual, **changed}) as served:
                    story.out("answers of sync", *_asked(story, served.url, "good"))
            except NotReady as failed:
                story.codes.add("not_ready")
                story.out("errors", str(failed))


def _page(story: Story, place: Sandbox) -> None:
    """All that people and programs may ask, with the token, with another one, and by the form."""
    token = story.secrets["the token of the page"]
    paths = ["/", "/healthz", "/openapi.json", "/fabrics", "/login", "/nothing"]
    paths += [f"/fabrics/{name}" for name in story.failing] + ["/fabrics/good/plan", "/fabrics/telling/plan"]
    doings = [f"/fabrics/{name}/{what}" for name in ("good", "telling") for what in ("test", "sync")]
    ways = [{"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {story.new('a token of somebody')}"}, {}]
    for way in ways:
        for kind in ("text/html", "application/json"):
            headers = {**way, "Accept": kind}
            for method, path in [("GET", path) for path in paths] + [("POST", path) for path in doings]:
                _told(story, place, method, path, headers)
    _told(story, place, "POST", "/fabrics/good/sync", {**ways[0], "Accept": "text/event-stream"})
    form = re.search(
        r'name="form_token" value="([^"]+)"', _told(story, place, "GET", "/login", {"Accept": "text/html"})
    )
    assert form, "the login has no form"
    for given in (story.new("a login that is wrong"), token):
        fields = urlencode({"form_token": form[1], "token": given, "name": "someone", "next": "/"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        _told(story, place, "POST", "/login", headers, fields)


def _hooks(story: Story, place: Sandbox) -> None:
    """Webhooks of NetBox's: signed, signed by somebody else, and not at all."""
    body = json.dumps({"event": "updated", "data": {"name": "good"}}).encode()
    for key in (story.secrets["the key of the hook"], story.new("a key of somebody's hook"), ""):
        signature = {"X-Hook-Signature": hmac.new(key.encode(), body, hashlib.sha512).hexdigest()} if key else {}
        _told(story, place, "POST", "/hooks/netbox", {"Content-Type": "application/json", **signature}, body)


def _told(
    story: Story, place: Sandbox, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> str:
    """Ask the page; its answer, which is kept with its headers."""
    got = asked(place.at.page, method, path, body, headers)
    story.codes.add(f"{got.status}")
    story.out("answers of the page", f"{method} {path} {got.status}", str(got.headers), got.text)
    return got.text


def _collect(story: Story, place: Sandbox, watched: str) -> None:
    """All events, all that NetBox holds of the runs, and all logs, once the last outcome was recorded."""
    with place.netbox() as netbox:
        eventually(lambda: netbox.count(journal.PATH) >= 3 * len(story.failing), 60)
        for path in (journal.PATH, "virtualization/clusters", "core/object-changes", "dcim/devices"):
            story.out(f"NetBox, {path}", *(json.dumps(row) for row in netbox.read(path)))
    for name in (OUTCOMES_PULL, watched, DEAD_LETTERS_PULL):
        while messages := take(place.at.broker, place.at.project, name, 1000):
            story.out(f"events, {name}", *(json.dumps(attributes).encode() + data for data, attributes in messages))
    for log in Path(place.at.logs).glob("*.log"):
        story.out(f"log, {log.stem}", log.read_bytes())
