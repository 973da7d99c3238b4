"""What can be asked of fabrics: their status, a plan, a test of the connection, a sync now; all of it as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from functions import registry
from functions.children import CHECKUP, CHECKUP_SECONDS, PLAN
from functions.errors import Code, Problem, Side, SyncStopped
from functions.events import SyncRequest, request_message, valid_digest
from functions.problems import problem_of
from functions.service import WALL_SHARE, SyncService
from functions.standing import standing_of
from functions.status import Connection
from functions.web.answers import Refused, refusal_of, refused
from functions.web.seen import request_path, request_state, seen
from functions.web.stream import Step
from infra.deadline import Deadline, DeadlineExceeded
from infra.netbox import NetBoxError, NetBoxReader
from infra.pubsub import PublishError
from infra.secrets import SecretError, read_netbox_token
from infra.settings import Settings
from infra.transport import TransportError

MOST_ROWS: Final = 200
"""Rows of each part of a plan; `totals` has how many there are."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A sync that somebody wants: `force` and `plan` as in the request event."""

    fabric: str
    by: str
    force: bool = False
    plan: str | None = None


def wish_of(fabric: str, by: str, told: Mapping[str, Any]) -> Wish:
    """The wish in a body; raises `Refused` (400) where it says what nobody understands."""
    force, plan = told.get("force", False), told.get("plan") or None
    if isinstance(force, str):  # of a form
        force = force in ("1", "on", "true")
    if not isinstance(force, bool) or not (plan is None or valid_digest(plan)):
        raise Refused(
            400, "bad_request", "`force` is true or false, `plan` the digest of a plan (16 hexadecimal digits)"
        )
    if strange := sorted(set(told) - {"force", "plan", "form_token"}):
        raise Refused(
            400, "bad_request", f"the body names {', '.join(strange)[:200]}: only `force` and `plan` are known"
        )
    return Wish(fabric, by, force, plan)


class Fabrics:
    """All fabrics of one NetBox, and the service that syncs them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.service = SyncService(settings)
        self._tick = timedelta(seconds=settings.tick_s)

    def every(self, deadline: Deadline) -> list[dict[str, Any]]:
        """All fabrics as they are seen; raises `Refused`."""
        with self._netbox(deadline) as netbox:
            now = datetime.now(UTC)
            return [seen(row, self.settings.netbox_url, now, self._tick) for row in registry.every(netbox)]

    def one(self, name: str, deadline: Deadline) -> dict[str, Any]:
        """One fabric as it is seen; raises `Refused`."""
        with self._netbox(deadline) as netbox:
            return seen(registry.find(netbox, name), self.settings.netbox_url, datetime.now(UTC), self._tick)

    def request(self, name: str, request_id: str, deadline: Deadline) -> dict[str, Any]:
        """What is known of one request; raises `Refused`."""
        with self._netbox(deadline) as netbox:
            return request_state(registry.find(netbox, name), request_id, datetime.now(UTC))

    def plan(self, name: str, deadline: Deadline) -> Mapping[str, Any]:
        """What a sync would write, found out in a child process whose client cannot write; raises `Refused`."""
        argument = {"fabric": name, "most": MOST_ROWS, "length_s": deadline.length}
        argument |= {"ends_at": deadline.ends_at, "reserve_s": deadline.reserve}
        ended = self.service.supervisor.run(PLAN, argument, _wall(deadline))
        if ended.result is None:
            code = Code.HARD_WALL if ended.end == "killed_at_wall" else Code.CRASHED
            raise refused(Problem(code, ended.text))
        if "outcome" in ended.result:
            outcome = ended.result["outcome"]
            raise refusal_of(outcome) or Refused(500, "internal", "there is no plan, and nothing says why")
        plan: Mapping[str, Any] = ended.result["plan"]
        return plan

    def test(self, name: str, deadline: Deadline) -> Mapping[str, Any]:
        """Whether the fabric can be reached and read, within ten seconds; raises `Refused` where it is none."""
        bounded = deadline.within(CHECKUP_SECONDS)
        ends_at = bounded.ends_at - 1.0
        ended = self.service.supervisor.run(CHECKUP, {"fabric": name, "ends_at": ends_at}, bounded)
        told = _without_end(name, ended.text) if ended.result is None else ended.result
        error = told["error"]
        if error and error["code"] in (Code.UNKNOWN_FABRIC, Code.NOT_CONFIGURED, Code.BAD_REQUEST):
            raise refused(Problem(Code(error["code"]), error["text"]))
        return told

    def sync(self, wish: Wish, deadline: Deadline, on_step: Step = lambda step: None) -> Mapping[str, Any]:
        """Sync now: the outcome, or `Refused` with it where it is no plain success."""
        request = _request(wish)
        served = self.service.serve(request, deadline, on_step)
        if served.unpublished is not None:
            raise refused(served.unpublished, outcome=served.outcome)
        refusal = refusal_of(served.outcome)
        if refusal is not None and refusal.code == "busy":
            raise self._busy(wish.fabric, refusal, deadline)
        if refusal is not None:
            raise refusal
        return served.outcome

    def ask(self, wish: Wish, deadline: Deadline) -> dict[str, Any]:
        """Have it synced by the function `sync`: what was published, and where to follow it; raises `Refused`."""
        with self._netbox(deadline) as netbox:
            registry.fabric_of(registry.find(netbox, wish.fabric))
        return self.publish(_request(wish), deadline)

    def publish(self, request: SyncRequest, deadline: Deadline) -> dict[str, Any]:
        """Publish a request; raises `Refused` (503) where it was not kept."""
        try:
            message = request_message(request)
            self.service.publisher.publish(self.settings.topic_requests, message, deadline.reporting())
        except (PublishError, DeadlineExceeded) as failed:
            raise refused(problem_of(failed, Side.EVENTS)) from failed
        path = request_path(request.fabric, request.id)
        return {"fabric": request.fabric, "request_id": request.id, "state": "requested", "status_url": path}

    def _busy(self, name: str, refusal: Refused, deadline: Deadline) -> Refused:
        """The refusal with the run that is in the way; where that cannot be found out any more, as it is."""
        try:
            with self._netbox(deadline.reporting()) as netbox:
                lease = standing_of(registry.find(netbox, name)["custom_fields"]).lease
        except Refused:
            return refusal
        if lease.request is None:
            return refusal
        more = {"running": lease.request, "status_url": request_path(name, lease.request)}
        return Refused(409, "busy", str(refusal), hint=_FOLLOW, headers={"Retry-After": "10"}, **refusal.more, **more)

    @contextmanager
    def _netbox(self, deadline: Deadline) -> Iterator[NetBoxReader]:
        """NetBox, to be read; what goes wrong inside is raised as `Refused`."""
        try:
            token = read_netbox_token(self.settings, deadline).reveal()
        except (SecretError, DeadlineExceeded) as error:
            raise refused(problem_of(error, Side.CONFIG)) from error
        ca_file = str(self.settings.netbox_ca_file) if self.settings.netbox_ca_file else None
        try:
            with NetBoxReader(self.settings.netbox_url, token, deadline, ca_file=ca_file) as netbox:
                yield netbox
        except (DeadlineExceeded, NetBoxError, SyncStopped, TransportError) as error:
            raise refused(problem_of(error, Side.NETBOX)) from error


_FOLLOW: Final = "Another run holds the fabric: follow it at `status_url`, and ask again when it has ended."


def _request(wish: Wish) -> SyncRequest:
    id_ = str(uuid.uuid4())
    return SyncRequest(
        wish.fabric, id_, id_, trigger="manual", requested_by=wish.by[:200], plan=wish.plan, force=wish.force
    )


def _without_end(name: str, text: str) -> dict[str, Any]:
    """What is told of a test that did not end by itself."""
    return {
        "fabric": name,
        "connection": Connection.UNREACHABLE.value,
        "ok": False,
        "steps": [{"step": "connection", "ok": False, "found": text}],
        "error": Problem(Code.FABRIC_TIMEOUT, text).as_dict(),
    }


def _wall(deadline: Deadline) -> Deadline:
    return Deadline(deadline.ends_at - deadline.reserve * WALL_SHARE)
