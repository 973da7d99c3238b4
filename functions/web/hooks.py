"""Pure: what a webhook of NetBox asks for: which fabric changed, whether by people, and under which request id."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from functions.events import SyncRequest
from functions.fabric import valid_name
from functions.fields import APPLIED, CLUSTER_TYPE_SLUG, CUSTOM_FIELDS, NAME
from functions.moments import moment

SIGNATURE: Final = "X-Hook-Signature"
BUCKET_SECONDS: Final = 20
"""Changes of one fabric within one span of this length make one request: a bulk edit is a webhook for each object."""
STALE_AFTER: Final = timedelta(minutes=10)
"""The age from which a webhook is no news: NetBox sends within seconds, who sends it again later is somebody else."""
EARLY: Final = timedelta(minutes=2)
MOST_BYTES: Final = 1024 * 1024
"""A webhook carries its object three times, a fabric's cluster with its state among them."""

OWN_FACTS: Final = frozenset(one.name for one in CUSTOM_FIELDS if not one.editable)
"""The custom fields that only this system writes."""

_CLUSTER: Final = "virtualization.cluster"


class BadHookError(Exception):
    """What came in is no webhook of NetBox's; the text says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a webhook comes to: a request, or why there is none."""

    request: SyncRequest | None
    text: str


def is_signed(body: bytes, signature: str, key: str) -> bool:
    """Whether NetBox signed the body: its HMAC-SHA512 in hexadecimal, as `extras/webhooks.py` makes it."""
    made = hmac.new(key.encode(), body, hashlib.sha512).hexdigest()
    return hmac.compare_digest(made.encode(), signature.strip().lower().encode("utf-8", "surrogateescape"))


def heard(told: Mapping[str, Any], now: datetime) -> Heard:
    """The request that a webhook's body asks for; raises `BadHookError` where it is none, or too old.

    The id follows from the fabric and the time in the (signed) body alone: a webhook that comes again is the same
    request again, and is not served twice.
    """
    at = moment(told.get("timestamp"))
    data, kind = told.get("data"), told.get("object_type") or told.get("model")
    if at is None or not isinstance(data, Mapping) or not isinstance(kind, str):
        raise BadHookError("the body has no timestamp with its zone, no object_type or no data: is its template ours?")
    if not -EARLY < now - at < STALE_AFTER:
        raise BadHookError(f"the change is of {at.isoformat()}, which is no news")
    snapshots = told.get("snapshots")
    before, after = _snapshots(snapshots if isinstance(snapshots, Mapping) else {})
    name = _fabric(kind, data)
    if name is None:
        return Heard(None, "no fabric's object changed")
    if kind in (_CLUSTER, "cluster"):
        if before and after and not _by_people(before, after):
            return Heard(None, "only facts that fabric-sync records itself changed")
    elif _custom(before).get(APPLIED) != _custom(after).get(APPLIED) and after:
        return Heard(None, "fabric-sync itself wrote the object")
    asked = told.get("request")
    user = asked.get("user") if isinstance(asked, Mapping) else told.get("username")
    id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, f"netbox/{name}/{int(at.timestamp()) // BUCKET_SECONDS}"))
    who = f"netbox: {user}" if isinstance(user, str) and user.isprintable() else "netbox"
    # A hook is nobody's wish that a person waits for: what others do meanwhile need not be done again.
    request = SyncRequest(name, id_, id_, trigger="netbox", requested_by=who[:200], requested_at=at)
    return Heard(request, f"{kind} changed")


def _fabric(kind: str, data: Mapping[str, Any]) -> str | None:
    """The fabric that an object belongs to: a cluster of its type is one, other objects name it."""
    if kind in (_CLUSTER, "cluster"):
        type_ = data.get("type")
        ours = isinstance(type_, Mapping) and type_.get("slug") == CLUSTER_TYPE_SLUG
        name: Any = data.get("name") if ours else None
    else:
        name = _custom(data).get(NAME)
    return name if isinstance(name, str) and valid_name(name) else None


def _snapshots(told: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    before, after = told.get("prechange"), told.get("postchange")
    return (before if isinstance(before, Mapping) else {}), (after if isinstance(after, Mapping) else {})


def _by_people(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether more differs between two states of a cluster than what this system records on it."""
    return _of_people(before) != _of_people(after)


def _of_people(state: Mapping[str, Any]) -> dict[str, Any]:
    theirs = {name: value for name, value in _custom(state).items() if name not in OWN_FACTS}
    kept = {name: value for name, value in state.items() if name not in ("custom_fields", "last_updated")}
    return {**kept, "custom_fields": theirs}


def _custom(state: Mapping[str, Any]) -> Mapping[str, Any]:
    custom = state.get("custom_fields")
    return custom if isinstance(custom, Mapping) else {}
