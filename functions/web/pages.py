"""The page for people: what programs get as JSON, in HTML made here; everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from werkzeug.wrappers import Response

from functions.status import Status
from functions.web.answers import Refused
from functions.web.auth import Gate, Person
from functions.web.seen import WORDS, age
from functions.web.spark import spark

PLACE: Final = Path(__file__).parent
STATIC: Final = {
    "page.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

PARTS: Final = (
    ("creates", "Would be created"),
    ("updates", "Would be changed"),
    ("deletes", "Would be deleted"),
    ("marks", "No longer in the fabric: would be marked"),
    ("held", "Differs, and is held by its tag"),
    ("stale_held", "No longer in the fabric, and held"),
    ("waiting", "Marked before, and kept for now"),
    ("conflicts", "Something is there already: NetBox may refuse ours"),
)
"""The parts of a plan in the order in which they are shown."""


class Pages:
    """Renders the pages; `gate` makes the tokens of their forms."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._templates = Environment(
            loader=FileSystemLoader(PLACE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"value": value, "word": word, "minute": minute, "plain": plain}

    def overview(self, fabrics: Sequence[Mapping[str, Any]], person: Person) -> Response:
        """All fabrics at a glance."""
        now = datetime.now(UTC)
        rows = [{**one, "age": age(one["last_success"], now), "spark": spark(one["ends"])} for one in fabrics]
        return self._page("overview.html", person, fabrics=rows)

    def fabric(self, told: Mapping[str, Any], person: Person, ended: str = "") -> Response:
        """One fabric; `ended` is the request whose end is told on top."""
        now = datetime.now(UTC)
        end = next((one for one in told["ends"] if one["request_id"] == ended), None)
        ages = {name: age(told[name], now) for name in ("last_success", "last_attempt")}
        ends = [{**one, "age": age(one["finished_at"], now)} for one in told["ends"]]
        return self._page("fabric.html", person, fabric={**told, "ends": ends}, ages=ages, end=end)

    def plan(self, told: Mapping[str, Any], person: Person) -> Response:
        """What a sync would write."""
        parts = [(name, title, told[name] or [], told["totals"][name]) for name, title in PARTS]
        return self._page("plan.html", person, plan=told, parts=parts)

    def tested(self, told: Mapping[str, Any], person: Person) -> Response:
        """What a test of the connection saw."""
        return self._page("connection.html", person, test=told)

    def login(self, place: str, status: int = 200, *, wrong: bool = False) -> Response:
        """The login form, which leads to `place`."""
        token = self.gate.form_token("login")
        return self._page("login.html", None, status, place=place, wrong=wrong, login_token=token)

    def again(self, place: str) -> Response:
        """A page that asks for `place` once more by itself: from here the browser brings our cookie."""
        return self._page("again.html", None, place=place)

    def refused(self, no: Refused, person: Person | None) -> Response:
        """A refusal in words."""
        response = self._page("refused.html", person, no.status, no=no, more=no.more)
        response.headers.extend(no.headers)
        return response

    def _page(self, template: str, person: Person | None, status: int = 200, **told: Any) -> Response:
        token = self.gate.form_token(person.session) if person else ""
        html = self._templates.get_template(template).render(person=person, form_token=token, **told)
        return Response(html, status, content_type="text/html; charset=utf-8")


def static(file: str) -> Response:
    """A file of the page, of a closed list; raises `Refused` (404)."""
    if file not in STATIC:
        raise Refused(404, "not_found", "there is nothing at this path")
    text = (PLACE / "static" / file).read_bytes()
    return Response(text, content_type=STATIC[file], headers={"Cache-Control": "max-age=300"})


def value(given: Any) -> str:
    """A value of a field as people read it."""
    if isinstance(given, list | tuple):
        return " ".join(map(str, given))
    return "-" if given in (None, "") else str(given)


def word(status: str) -> str:
    """A status in words."""
    return WORDS[Status(status)]


def plain(name: Any) -> str:
    """A word of programs as people write it."""
    return str(name or "-").replace("_", " ")


def minute(text: str | None) -> str:
    """A time in RFC 3339 for people, in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if text else "never"
