"""What can be made to go wrong with a simulated fabric, switched on and off while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Trouble(StrEnum):
    """The ways in which a fabric can misbehave."""

    HANG = "hang"  # takes the request and never answers
    TLS_SILENCE = "tls_silence"  # takes the connection and never speaks TLS
    SLOW = "slow"  # answers rightly, `seconds` later
    DRIP_HEADER = "drip_header"  # one byte of the header per `seconds`
    DRIP_BODY = "drip_body"  # one byte of the body per `seconds`
    ENDLESS = "endless"  # a body that never ends
    RESET = "reset"  # the connection is reset in mid-body
    CUT_CONNECTION = "cut_connection"  # a chunked body without its end: closed in mid-JSON
    CUT_JSON = "cut_json"  # a well-framed answer whose JSON stops halfway
    CUT_ITEMS = "cut_items"  # valid JSON that lacks the second half of the page and offers no `continue`
    SERVER_ERROR = "server_error"  # 5xx, `code`
    UNAUTHORIZED = "unauthorized"  # 401, as if the token were revoked
    FORBIDDEN = "forbidden"  # 403 by RBAC
    THROTTLED = "throttled"  # 429 in plain text: overload
    INITIALIZING = "initializing"  # 429 as a Status: the storage of the kind is being made
    CRD_MISSING = "crd_missing"  # the kind is gone: 404 and not in discovery
    CRD_STALE = "crd_stale"  # the kind is gone: 404, but discovery still offers it
    EXPIRED = "expired"  # every `continue` token is answered 410
    HTML = "html"  # an HTML page instead of JSON


LISTS_ONLY = frozenset({Trouble.CUT_ITEMS, Trouble.CRD_MISSING, Trouble.CRD_STALE, Trouble.EXPIRED})
"""Troubles that concern requests for a resource and leave /version, health and discovery alone."""


class FaultError(ValueError):
    """A fault that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One trouble, and where and when it strikes.

    Attributes:
        trouble: what happens.
        kind: the plural it is limited to (`switches`); None strikes every request.
        after: requests that are still answered rightly before it starts (those it would concern).
        times: how often it strikes; None always.
        seconds: the delay of SLOW, or between two bytes of a drip.
        code: the status of SERVER_ERROR.
    """

    trouble: Trouble
    kind: str | None = None
    after: int = 0
    times: int | None = None
    seconds: float = 0.5
    code: int = 500

    @classmethod
    def of(cls, spec: str | Mapping[str, Any] | Fault) -> Fault:
        """A fault from JSON (`{"trouble": "hang", "kind": "switches"}`) or short text (`hang`, `forbidden:agents`).

        Raises:
            FaultError: unknown trouble or unknown field.
        """
        if isinstance(spec, Fault):
            return spec
        if isinstance(spec, str):
            name, _, kind = spec.partition(":")
            spec = {"trouble": name, "kind": kind or None}
        try:
            return cls(**{**spec, "trouble": Trouble(spec["trouble"])})
        except (KeyError, TypeError, ValueError) as error:
            raise FaultError(f"no such fault: {spec!r} ({error}); troubles are {', '.join(Trouble)}") from error

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """The faults of one fabric, safe for many threads. Setting them releases whatever hangs."""

    def __init__(self, faults: Iterable[str | Mapping[str, Any] | Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._active: list[tuple[Fault, list[int]]] = []
        self._released = threading.Event()
        self.set(faults)

    def set(self, faults: Iterable[str | Mapping[str, Any] | Fault] = ()) -> None:
        """Put these faults in the place of all others; counters start anew.

        Raises:
            FaultError: one of them cannot be understood (then nothing changes).
        """
        read = [(Fault.of(fault), [0]) for fault in faults]
        with self._lock:
            self._active = read
            self._released.set()
            self._released = threading.Event()

    @property
    def active(self) -> tuple[Fault, ...]:
        with self._lock:
            return tuple(fault for fault, _ in self._active)

    @property
    def released(self) -> threading.Event:
        """Set once the faults of now are no longer those of the moment it was asked for."""
        return self._released

    def silent(self) -> bool:
        """Whether a new connection is met with silence before TLS."""
        return self._strike(lambda fault: fault.trouble is Trouble.TLS_SILENCE) is not None

    def strike(self, plural: str | None, *, token: bool = False) -> Fault | None:
        """The fault that strikes a request, if any; it is counted.

        Args:
            plural: the resource that is asked for; None for /version, health and discovery.
            token: the request carries a `continue` token.
        """

        def concerns(fault: Fault) -> bool:
            if fault.trouble is Trouble.TLS_SILENCE or (fault.kind is not None and fault.kind != plural):
                return False
            if fault.trouble is Trouble.EXPIRED:
                return token
            return plural is not None or fault.trouble not in LISTS_ONLY

        return self._strike(concerns)

    def absent(self, plural: str) -> bool:
        """Whether discovery leaves the kind out."""
        return any(f.trouble is Trouble.CRD_MISSING and f.kind in (None, plural) for f in self.active)

    def _strike(self, concerns: Any) -> Fault | None:
        with self._lock:
            for fault, seen in self._active:
                if not concerns(fault):
                    continue
                seen[0] += 1
                struck = seen[0] - fault.after
                if struck > 0 and (fault.times is None or struck <= fault.times):
                    return fault
        return None
