"""The function `manual` behind its entry point: which path is answered by what, for whom, in which form."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from functions.web.answers import HEADERS, Refused, json_answer, problem_answer
from functions.web.auth import COOKIE, Gate, Person
from functions.web.bodies import body_of, fields_of
from infra.deadline import Deadline
from infra.once import once
from infra.settings import Settings

if TYPE_CHECKING:
    from functions.web.fabrics import Fabrics
    from functions.web.pages import Pages
    from functions.web.stream import Step, Told

log = logging.getLogger(__name__)

PATHS: Final = Map(
    [
        Rule("/", endpoint="overview", methods=["GET"]),
        Rule("/healthz", endpoint="health", methods=["GET"]),
        Rule("/openapi.json", endpoint="openapi", methods=["GET"]),
        # not /static: functions-framework answers that itself
        Rule("/assets/<file>", endpoint="static", methods=["GET"]),
        Rule("/login", endpoint="login", methods=["GET", "POST"]),
        Rule("/logout", endpoint="logout", methods=["POST"]),
        Rule("/hooks/netbox", endpoint="hook", methods=["POST"]),
        Rule("/fabrics", endpoint="fabrics", methods=["GET"]),
        Rule("/fabrics/<name>", endpoint="fabric", methods=["GET"]),
        Rule("/fabrics/<name>/plan", endpoint="plan", methods=["GET"]),
        Rule("/fabrics/<name>/test", endpoint="test", methods=["POST"]),
        Rule("/fabrics/<name>/sync", endpoint="sync", methods=["POST"]),
        Rule("/fabrics/<name>/requests/<request_id>", endpoint="request", methods=["GET"]),
    ],
    strict_slashes=False,
    merge_slashes=False,
    redirect_defaults=False,
)
_PUBLIC: Final = frozenset({"health", "openapi", "static", "login", "hook"})
"""What is answered without knowing who asks: it shows nothing of any fabric, or has a proof of its own."""


class Manual:
    """Answers people and programs. Everything that is said of a fabric comes from `Fabrics`, in whatever form.

    What a path needs is loaded by the first request that takes it: a start waits for none of it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings)
        self._answers: Mapping[str, Callable[..., Response]] = {
            "overview": self._overview,
            "health": lambda _a: json_answer({"ok": True}),
            "openapi": self._openapi,
            "static": self._static,
            "login": self._login,
            "logout": self._logout,
            "hook": self._hook,
            "fabrics": lambda a: json_answer({"fabrics": self.fabrics.every(a.deadline)}),
            "fabric": self._fabric,
            "plan": self._plan,
            "test": self._test,
            "sync": self._sync,
            "request": lambda a, name, request_id: json_answer(self.fabrics.request(name, request_id, a.deadline)),
        }

    @once
    def fabrics(self) -> Fabrics:
        """What is known of fabrics, and done with them."""
        from functions.web.fabrics import Fabrics

        return Fabrics(self.settings)

    @once
    def pages(self) -> Pages:
        """What people see of it."""
        from functions.web.pages import Pages

        return Pages(self.gate)

    def answer(self, request: Request) -> Response:
        """The answer to one request; refusals are problem details, or a page where a browser asks for one."""
        asked = Asked(request, self.settings.deadline())
        try:
            response = self._answered(asked)
        except Refused as no:
            log.info("%s %s: %d %s: %s", request.method, request.path, no.status, no.code, no)
            response = self._refused(asked, no)
        except Exception as error:  # a fault of ours must be told like everything else; the log has the traceback
            log.exception("%s %s failed by a fault of fabric-sync", request.method, request.path)
            response = self._refused(asked, Refused(500, "internal", f"a fault of fabric-sync: {type(error).__name__}"))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _answered(self, asked: Asked) -> Response:
        request = asked.request
        try:
            endpoint, arguments = PATHS.bind_to_environ(request.environ).match()
        except MethodNotAllowed as wrong:
            allow = ", ".join(sorted(wrong.valid_methods or ()))
            raise Refused(405, "method", f"{request.method} is not for this path", headers={"Allow": allow}) from wrong
        except HTTPException as nothing:
            raise Refused(404, "not_found", "there is nothing at this path") from nothing
        if endpoint not in _PUBLIC:
            asked.person = self.gate.person(request, asked.deadline)
        if "name" in arguments:
            self._must_be_a_name(arguments["name"])
        return self._answers[endpoint](asked, **arguments)

    def _must_be_a_name(self, name: str) -> None:
        from functions.contract import valid_name

        if not valid_name(name):
            raise Refused(404, "unknown_fabric", "a fabric's name is a lower-case slug of at most 16 characters")

    def _refused(self, asked: Asked, no: Refused) -> Response:
        if not asked.wants_page:
            return problem_answer(no, asked.request.path)
        if no.status == 401 and self.gate.has_login and asked.request.method == "GET":
            if asked.from_elsewhere:
                return self.pages.again(asked.request.full_path.rstrip("?"))
            return self.pages.login(asked.request.full_path.rstrip("?"), status=401)
        return self.pages.refused(no, asked.person)

    def _openapi(self, _: Asked) -> Response:
        from functions.web.openapi import document

        return json_answer(document())

    # Pages and what they stand for

    def _static(self, _: Asked, file: str) -> Response:
        from functions.web.pages import static

        return static(file)

    def _overview(self, asked: Asked) -> Response:
        return self.pages.overview(self.fabrics.every(asked.deadline), asked.known)

    def _fabric(self, asked: Asked, name: str) -> Response:
        told = self.fabrics.one(name, asked.deadline)
        if not asked.wants_page:
            return json_answer(told)
        return self.pages.fabric(told, asked.known, ended=asked.request.args.get("request", ""))

    def _plan(self, asked: Asked, name: str) -> Response:
        self.fabrics.service.supervisor.prewarm()
        told = self.fabrics.plan(name, asked.deadline)
        return self.pages.plan(told, asked.known) if asked.wants_page else json_answer(told)

    def _test(self, asked: Asked, name: str) -> Response:
        self._meant(asked)
        self.fabrics.service.supervisor.prewarm()
        told = self.fabrics.test(name, asked.deadline)
        return self.pages.tested(told, asked.known) if asked.wants_page else json_answer(told)

    def _sync(self, asked: Asked, name: str) -> Response:
        from functions.web.fabrics import wish_of
        from functions.web.stream import streamed

        wish = wish_of(name, asked.known.name, self._meant(asked))
        if asked.request.args.get("wait", "true").lower() in ("false", "0"):
            told = self.fabrics.ask(wish, asked.deadline)
            return json_answer(told, 202, {"Location": told["status_url"]})
        self.fabrics.service.supervisor.prewarm()
        if asked.wants_stream:
            return streamed(lambda hear: self._streamed(asked, wish, hear), asked.deadline)
        outcome = self.fabrics.sync(wish, asked.deadline)
        if not asked.wants_page:
            return json_answer(outcome)
        # Seen again by its own address, so that a reload does not ask for another sync.
        return Response(status=303, headers={"Location": f"/fabrics/{name}?request={outcome['request_id']}"})

    def _streamed(self, asked: Asked, wish: Any, hear: Step) -> Told:
        try:
            return "outcome", self.fabrics.sync(wish, asked.deadline, hear)
        except Refused as no:
            return "problem", no.as_dict(asked.request.path)
        except Exception as error:  # the status is sent already: a fault of ours must end the stream in words
            log.exception("a streamed sync failed by a fault of fabric-sync")
            return "problem", Refused(500, "internal", type(error).__name__).as_dict(asked.request.path)

    def _meant(self, asked: Asked) -> dict[str, Any]:
        """The fields of a request that changes something; raises `Refused` unless who is let in meant it."""
        told = fields_of(asked.request)
        given = asked.request.headers.get("X-Form-Token") or told.get("form_token")
        self.gate.must_be_ours(asked.request, asked.known, given if isinstance(given, str) else "")
        return told

    # Logging in and out

    def _login(self, asked: Asked) -> Response:
        if not self.gate.has_login:
            raise Refused(404, "not_found", "there is no login here")
        if asked.request.method == "GET":
            return self.pages.login("/")
        self.gate.must_be_of_this_origin(asked.request)
        told = fields_of(asked.request)
        if not self.gate.is_form_token(str(told.get("form_token", "")), "login"):
            raise Refused(403, "not_our_form", "the form is not ours, or too old: open the page again")
        place = _inside(str(told.get("next", "/")))
        response = Response(status=303, headers={"Location": place})
        forwarded = asked.request.headers.get("X-Forwarded-Proto", "")
        secure = asked.request.is_secure or forwarded.partition(",")[0].strip() == "https"
        if not self.gate.login(str(told.get("token", "")), str(told.get("name", "")), response, secure=secure):
            return self.pages.login(place, status=401, wrong=True)
        return response

    def _logout(self, asked: Asked) -> Response:
        self._meant(asked)
        response = Response(status=303, headers={"Location": "/"})
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    # NetBox

    def _hook(self, asked: Asked) -> Response:
        from functions.web.hooks import MOST_BYTES, SIGNATURE, BadHookError, heard, is_signed

        key = self.settings.hook_key
        if key is None:
            raise Refused(404, "not_found", "FABRIC_SYNC_HOOK_KEY is not set, so no webhook is heard")
        body = body_of(asked.request, MOST_BYTES)
        if not is_signed(body, asked.request.headers.get(SIGNATURE, ""), key.reveal()):
            raise Refused(401, "unsigned", f"{SIGNATURE} does not fit the body")
        try:
            told = json.loads(body)
            found = heard(told if isinstance(told, dict) else {}, datetime.now(UTC))
        except (ValueError, RecursionError, BadHookError) as bad:
            raise Refused(400, "bad_hook", f"this is no webhook of NetBox's: {bad}") from bad
        if found.request is None:
            return json_answer({"state": "ignored", "reason": found.text})
        return json_answer(self.fabrics.publish(found.request, asked.deadline), 202)


class Asked:
    """One request as it is answered: who asks, until when, and the form they want."""

    def __init__(self, request: Request, deadline: Deadline) -> None:
        self.request = request
        self.deadline = deadline
        self.person: Person | None = None

    @property
    def known(self) -> Person:
        """Who asks; raises `LookupError` before that is known."""
        if self.person is None:
            raise LookupError("nobody was let in yet")
        return self.person

    @property
    def wants_page(self) -> bool:
        """Whether HTML was asked for rather than JSON; who says nothing gets JSON."""
        kinds = self.request.accept_mimetypes
        return kinds.best_match(["application/json", "text/html"], "application/json") == "text/html"

    @property
    def wants_stream(self) -> bool:
        """Whether a stream of events was asked for."""
        return self.request.accept_mimetypes.quality("text/event-stream") > 0 and "text/event-stream" in (
            self.request.headers.get("Accept", "")
        )

    @property
    def from_elsewhere(self) -> bool:
        """Whether a link on a page of another site led here: then the browser kept our cookie back."""
        return self.request.headers.get("Sec-Fetch-Site") == "cross-site"


def _inside(place: str) -> str:
    """A path of ours, or "/" for everything that could lead to somebody else."""
    plain = all(0x20 < ord(letter) < 0x7F for letter in place)
    return place if plain and place.startswith("/") and not place.startswith(("//", "/\\")) else "/"
