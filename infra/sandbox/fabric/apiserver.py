"""One simulated fabric as a request sees it: who asks, what they may, which answer it is. No sockets here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.sandbox.fabric import answers, discovery, listing
from infra.sandbox.fabric.answers import Answer
from infra.sandbox.fabric.faults import Fault, Faults, Trouble
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import GROUPS, Offer, offered
from infra.sandbox.fabric.views import negotiate

ANONYMOUS, READER, AUDITOR, NOBODY = "system:anonymous", "fabric-reader", "fabric-auditor", "fabric-nobody"
_HEALTH = ("/readyz", "/livez", "/healthz")
_READS = frozenset({"get", "list", "watch"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_AUDIT_SIZE = 200_000

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+sandbox",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-05T08:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Place:
    """A resource path taken apart; `group` is empty for the core API."""

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @classmethod
    def of(cls, path: str) -> Place | None:
        """The resource that a path names, or None if it names none (discovery, health, nonsense)."""
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["apis"] and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        elif parts[:1] == ["api"] and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        else:
            return None
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        padded = [*rest, None, None]
        return cls(group, version, str(padded[0]), namespace, padded[1], padded[2])


@dataclass(frozen=True, slots=True)
class Audited:
    """One request that reached the fabric, for tests to look at."""

    method: str
    target: str
    user: str


class SimulatedFabric:
    """A fabric: its objects, its callers, its faults, and the record of what was asked.

    Attributes:
        cluster: what it holds; change it at any time.
        faults: what goes wrong; change it at any time.
        tokens: bearer token → user. `reader` may read the Hedgehog groups, `auditor` all groups, `nobody` nothing.
    """

    def __init__(self, cluster: Cluster, tokens: Mapping[str, str], faults: Faults | None = None) -> None:
        self.cluster = cluster
        self.faults = faults or Faults()
        self.tokens = dict(tokens)
        self._audit: deque[Audited] = deque(maxlen=_AUDIT_SIZE)
        self._audit_lock = threading.Lock()

    @property
    def audit(self) -> tuple[Audited, ...]:
        """All requests so far, oldest first."""
        with self._audit_lock:
            return tuple(self._audit)

    def forget_audit(self) -> None:
        with self._audit_lock:
            self._audit.clear()

    def struck(self, request: Request) -> Fault | None:
        """The fault that this request runs into; asking counts."""
        place = Place.of(request.path)
        return self.faults.strike(place.plural if place else None, token=bool(request.query.get("continue")))

    def answer(self, request: Request, fault: Fault | None = None) -> Answer:
        """Answer a request: authentication, then permission, then routing, as the real order is."""
        user = self._user(request)
        with self._audit_lock:
            self._audit.append(Audited(request.method, request.target, user or "?"))
        trouble = fault.trouble if fault else None
        if user is None or trouble is Trouble.UNAUTHORIZED:
            return answers.unauthorized()
        place = Place.of(request.path)
        refused = self._refused(user, request, place, forbidden=trouble is Trouble.FORBIDDEN)
        if refused:
            return refused
        if fault and (simple := _simple_fault(fault)):
            return simple
        if place is None:
            return self._unbound(request)
        return self._resource(request, place, trouble)

    def offers(self) -> tuple[Offer, ...]:
        """What discovery names now."""
        return tuple(offer for offer in offered(self.cluster.release) if not self.faults.absent(offer.plural))

    def _user(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return ANONYMOUS
        return self.tokens.get(token.strip())

    def _refused(self, user: str, request: Request, place: Place | None, *, forbidden: bool) -> Answer | None:
        if place is None:
            path, open_path = request.path, request.path.split("/")[1:2] in (["version"], *([h[1:]] for h in _HEALTH))
            listed = user != ANONYMOUS and path.split("/")[1:2] in (["api"], ["apis"], ["openapi"])
            known = open_path or listed or user == AUDITOR
            allowed = request.method == "GET" and known and not (forbidden and not open_path)
            verb = _VERBS.get(request.method, request.method.lower())
            return None if allowed else answers.forbidden_path(user, verb, path)
        verb = _verb(request, place)
        groups = {READER: place.group in GROUPS, AUDITOR: True}
        if verb in _READS and groups.get(user, False) and not forbidden:
            return None
        return answers.forbidden_resource(user, verb, place.plural, place.group, place.namespace, place.name)

    def _unbound(self, request: Request) -> Answer:
        path, accept = request.path.rstrip("/"), request.headers.get("accept", "")
        if path == "/version":
            return answers.document(VERSION)
        if path in _HEALTH:
            verbose = f"[+]ping ok\n[+]etcd ok\n{path[1:]} check passed\n"
            return answers.text(200, verbose if "verbose" in request.query else "ok")
        found: Answer | None = None
        parts = path.split("/")[1:]
        if parts in (["api"], ["apis"]) and "as=APIGroupDiscoveryList" in accept and "v=v2" in accept:
            seen = request.headers.get("if-none-match")
            core = parts == ["api"]
            return discovery.aggregated_core(seen) if core else discovery.aggregated(self.offers(), seen)
        if parts == ["api"]:
            found = discovery.api()
        elif parts == ["apis"]:
            found = discovery.groups(self.offers())
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(self.offers(), parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resources(self.offers(), parts[1], parts[2])
        return found or answers.page_not_found()

    def _resource(self, request: Request, place: Place, trouble: Trouble | None) -> Answer:
        offer = next(
            (
                offer
                for offer in offered(self.cluster.release)
                if (offer.group, offer.version, offer.plural) == (place.group, place.version, place.plural)
            ),
            None,
        )
        gone = trouble in (Trouble.CRD_MISSING, Trouble.CRD_STALE)
        if offer is None or gone or place.subresource not in (None, "status"):
            return answers.page_not_found()
        if _verb(request, place) == "watch":
            return answers.no_watch()
        view = negotiate(request.headers.get("accept", ""))
        if view is None:
            return answers.not_acceptable()
        if place.name is not None:
            return listing.single(self.cluster, offer, place.namespace or "", place.name, request.query, view)
        wanted = listing.ListRequest(offer, place.namespace, request.query, view)
        expired, cut = trouble is Trouble.EXPIRED, trouble is Trouble.CUT_ITEMS
        return listing.answer(self.cluster, wanted, expired=expired, cut=cut)


def _verb(request: Request, place: Place) -> str:
    if request.method != "GET":
        many = request.method == "DELETE" and place.name is None
        return "deletecollection" if many else _VERBS.get(request.method, request.method.lower())
    if place.name is not None:
        return "get"
    return "watch" if request.query.get("watch") in ("1", "true") else "list"


def _simple_fault(fault: Fault) -> Answer | None:
    """The faults that are a whole answer by themselves."""
    match fault.trouble:
        case Trouble.SERVER_ERROR:
            return answers.server_error(fault.code)
        case Trouble.THROTTLED:
            return answers.too_many_requests()
        case Trouble.INITIALIZING:
            return answers.storage_initializing()
        case Trouble.HTML:
            return answers.html()
        case _:
            return None
