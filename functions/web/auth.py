"""Who may use the function `manual`: by a shared token, by Google's word, by the login form, or everybody here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from functions.web.answers import Refused
from functions.web.google import address_in
from infra.deadline import Deadline
from infra.settings import Settings, SettingsError
from infra.variables import is_loopback

COOKIE: Final = "fabric_sync"
SESSION_SECONDS: Final = 12 * 3600
"""How long a login lasts, and a form on an open page can be sent."""
MOST_NAME: Final = 60
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="fabric-sync"'}


class Way(StrEnum):
    """How somebody showed who they are."""

    TOKEN = "token"  # noqa: S105 - the shared token, in a header
    GOOGLE = "google"  # an ID token signed by Google
    COOKIE = "cookie"  # the login form, by which the shared token was given
    OPEN = "open"  # not at all: everybody on this machine is let in


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: `name` as it is recorded, and `session`, which binds a form to the one who got it."""

    name: str
    way: Way
    session: str = ""

    @property
    def by_browser(self) -> bool:
        """Whether a browser would send what lets them in by itself, also for a page of others."""
        return self.way in (Way.COOKIE, Way.OPEN)


class Gate:
    """Lets people in; raises `SettingsError` where the settings would let in nobody, or everybody unasked."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        if not (settings.manual_token or settings.manual_audience or settings.manual_open):
            raise SettingsError(
                [
                    "FABRIC_SYNC_MANUAL_TOKEN or FABRIC_SYNC_MANUAL_AUDIENCE is not set, and needed here: give a token "
                    "for people and programs, or the audience of Google's ID tokens (in a sandbox: "
                    "FABRIC_SYNC_MANUAL_OPEN=1)"
                ]
            )
        self.settings = settings
        self.clock = clock
        # All instances must have the same key, or a form that one made would be refused by the next.
        known = settings.manual_token or settings.netbox_token
        self._key = hashlib.sha256(b"fabric-sync page|" + known.reveal().encode()).digest() if known else _random()

    @property
    def has_login(self) -> bool:
        """Whether there is a token that a person could type into the login form."""
        return self.settings.manual_token is not None

    def person(self, request: Request, deadline: Deadline) -> Person:
        """Who asks; raises `Refused`: 401 without or with wrong credentials, 403 for who is known and not let in."""
        given = request.headers.get("Authorization", "")
        scheme, _, token = given.partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(token.strip(), deadline)
        if cookie := request.cookies.get(COOKIE):
            name = self._unsealed("login", "", cookie)
            if name is not None:
                return Person(name or "page", Way.COOKIE, cookie)
        if self.settings.manual_open:
            # A name that leads here from elsewhere (DNS rebinding) would make its pages ours.
            if not is_loopback(f"//{request.host}"):
                raise Refused(403, "forbidden", "everybody is let in here, and so only as localhost")
            return Person("page (open)", Way.OPEN, "open")
        raise Refused(401, "unauthorized", "a token is needed: Authorization: Bearer …", headers=_CHALLENGE)

    def _bearer(self, token: str, deadline: Deadline) -> Person:
        ours = self.settings.manual_token
        if ours is not None and _alike(token, ours.reveal()):
            return Person("token", Way.TOKEN)
        if self.settings.manual_audience is not None and token.count(".") == 2:
            address = address_in(token, self.settings.manual_audience, deadline)
            if not self._listed(address):
                raise Refused(403, "forbidden", f"{address} is not in FABRIC_SYNC_MANUAL_USERS")
            return Person(address, Way.GOOGLE)
        raise Refused(401, "unauthorized", "this token is not taken", headers=_CHALLENGE)

    def _listed(self, address: str) -> bool:
        wanted = [one.strip().lower() for one in (self.settings.manual_users or "").split(",")]
        return address.lower() in wanted or "@" + address.lower().rpartition("@")[2] in wanted

    # The login form

    def login(self, token: str, name: str, response: Response, *, secure: bool) -> bool:
        """Set the cookie of a login on `response`, if the token is right; whether it is. `name` is what they say."""
        ours = self.settings.manual_token
        if ours is None or not _alike(token, ours.reveal()):
            return False
        name = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in name)).strip()[:MOST_NAME]
        response.set_cookie(
            COOKIE,
            self._sealed("login", "", name),
            max_age=SESSION_SECONDS,
            httponly=True,
            secure=secure,
            samesite="Strict",
        )
        return True

    # Forms

    def form_token(self, session: str) -> str:
        """What a form of ours carries, so that nobody else's can be taken for it."""
        return self._sealed("form", session, "")

    def must_be_ours(self, request: Request, person: Person, given: str) -> None:
        """Raises `Refused` (403) unless a request that changes something was meant by who is let in.

        What comes with a header of its own cannot be sent by a page of others; what a browser sends by itself can.
        """
        if not person.by_browser:
            return
        self.must_be_of_this_origin(request)
        from_browser = any(name in request.headers for name in ("Origin", "Sec-Fetch-Site", "Cookie"))
        if (person.way is Way.COOKIE or from_browser) and not self.is_form_token(given, person.session):
            raise Refused(403, "not_our_form", "the form is not ours, or too old: open the page again")

    def must_be_of_this_origin(self, request: Request) -> None:
        """Raises `Refused` (403) where a browser says that a page of others sent it."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if site not in (None, "same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
            raise Refused(403, "cross_site", "a page of another site sent this")

    def is_form_token(self, given: str, session: str) -> bool:
        """Whether `given` was made for a form of this session, not too long ago."""
        return self._unsealed("form", session, given) is not None

    def _sealed(self, use: str, session: str, text: str) -> str:
        body = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        signed = f"{body}.{int(self.clock()) + SESSION_SECONDS}"
        return f"{signed}.{self._seal(use, session, signed)}"

    def _unsealed(self, use: str, session: str, given: str) -> str | None:
        signed, _, seal = given.rpartition(".")
        if not _alike(seal, self._seal(use, session, signed)):
            return None
        body, _, expires = signed.partition(".")
        if int(expires) <= self.clock():
            return None
        try:
            return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    def _seal(self, use: str, session: str, signed: str) -> str:
        text = f"{use}|{hashlib.sha256(session.encode()).hexdigest()}|{signed}"
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def _alike(given: str, ours: str) -> bool:
    """Whether two texts are the same, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), ours.encode("utf-8", "surrogateescape"))


def _random() -> bytes:
    return secrets.token_bytes(32)
