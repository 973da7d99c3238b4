"""Pure: whether a request is to be served now, by what is recorded of its fabric. Who is turned away is told why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from functions.events import SyncRequest
from functions.fabric import Fabric
from functions.standing import End, Standing

STALE_AFTER: Final = timedelta(hours=1)
"""The age at which nobody waits for a request any more; what it asked for, later ones ask for as well."""

EARLY: Final = timedelta(minutes=5)
"""How far clocks may differ before a request from the future is told as one."""

SCHEDULED: Final = "schedule"
CONTINUATION: Final = "continuation"
RECOVERY: Final = "recovery"
"""The trigger of the request that follows a run which ended without a word."""
BY_ITSELF: Final = frozenset({SCHEDULED, CONTINUATION, RECOVERY})
"""Triggers without a person behind them: what another run did meanwhile need not be done again."""


class Skip(StrEnum):
    """Why nothing was tried."""

    BUSY = "busy"  # another run holds the fabric's lease
    DISABLED = "disabled"  # people switched the fabric off
    SUSPENDED = "suspended"  # people suspended the fabric for a time that is not over
    STALE = "stale"  # the request is too old
    SUPERSEDED = "superseded"  # a run that began after the request has done what it asked for
    BACKING_OFF = "backing_off"  # the last runs failed, and it is not time to try again


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served: what was found, in a word and in a sentence. `ended` is its own earlier end."""

    text: str
    skip: Skip | None = None
    ended: End | None = None
    running: bool = False


def admit(request: SyncRequest, fabric: Fabric, standing: Standing, config: str, now: datetime) -> Refusal | None:
    """None when the request is to be served; the first reason against it otherwise.

    A request that ended before is answered with that end; one whose first delivery still runs (`running`) is to come
    again. `config` is the digest of the fabric's settings.
    """
    if (ended := standing.ended(request.id)) is not None:
        return Refusal(f"this request ended at {ended.finished_at:%Y-%m-%d %H:%M:%S} UTC", ended=ended)
    lease = standing.lease
    if lease.held(now):
        if lease.request == request.id:
            return Refusal("the first delivery of this request is still being served", Skip.BUSY, running=True)
        return Refusal(f"busy: request {lease.request} runs until {lease.until:%H:%M:%S} UTC at most", Skip.BUSY)
    if not fabric.enabled and not request.force:
        return Refusal("sync is switched off for this fabric (fabric_enabled)", Skip.DISABLED)
    suspended = fabric.suspended_until
    if suspended is not None and now < suspended and not request.force:
        return Refusal(f"suspended until {suspended:%Y-%m-%d %H:%M} UTC (fabric_suspended_until)", Skip.SUSPENDED)
    asked = request.requested_at
    if asked is not None and now - asked > STALE_AFTER:
        return Refusal(f"stale: the request is of {asked:%Y-%m-%d %H:%M:%S} UTC", Skip.STALE)
    if request.trigger in BY_ITSELF and (text := _superseded(request, standing)):
        return Refusal(text, Skip.SUPERSEDED)
    failures = standing.failures
    if request.trigger == SCHEDULED and failures is not None and failures.holds_back(now, config):
        until = f"until {failures.retry_at:%H:%M:%S} UTC" if failures.retry_at else "for a change or a person"
        text = f"backing off after {failures.count} failures in a row ({failures.code}): waits {until}"
        return Refusal(text, Skip.BACKING_OFF)
    return None


def _superseded(request: SyncRequest, standing: Standing) -> str | None:
    """What made the request needless, if anything did."""
    asked, synced = request.requested_at, standing.synced_from
    if asked is not None and synced is not None and synced > asked:
        return f"superseded: a run that began at {synced:%H:%M:%S} UTC, after this request, has synced the fabric"
    chain = standing.chain
    if request.trigger == CONTINUATION and chain is not None:
        if chain.id != request.correlation_id:
            return f"superseded: the work goes on in the chain {chain.id}"
        if request.attempt < chain.attempt:
            return f"superseded: the chain is at attempt {chain.attempt} already"
    return None
