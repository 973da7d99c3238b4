"""Everything around the fabrics that could be wrong: NetBox, its bootstrap, its token, secrets, topics, clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from functions import registry
from functions.checkup import EXPECTED, Check, failed
from functions.errors import Side
from functions.fields import CLUSTER_TYPE_SLUG, CUSTOM_FIELDS
from functions.records import MODELS
from infra.deadline import Deadline
from infra.netbox import NetBoxError, NetBoxReader
from infra.pubsub import topic_path
from infra.secrets import SecretStore
from infra.transport import bounded_session

LEAST_VERSION: Final = (4, 6)
"""NetBox from this version on compares ETags, on which the lease of a fabric depends."""

_NTP: Final = "Let both machines keep time (NTP): leases depend on it."
_GRANT: Final = "Grant the token's user view, add and change: see README."
_BOOTSTRAP: Final = "Run `fabric-sync bootstrap`."


def check_netbox(netbox: NetBoxReader) -> Iterator[Check]:
    """NetBox's version, what bootstrap makes, and what the token may view; raises nothing that is expected."""
    try:
        version = str(netbox.status()["netbox-version"])
        new_enough = _version(version) >= LEAST_VERSION
        yield Check("NetBox", new_enough, f"version {version}", "" if new_enough else "Update to NetBox 4.6 or newer.")
        types = netbox.count("virtualization/cluster-types", {"slug": CLUSTER_TYPE_SLUG})
        there = {row["name"] for row in netbox.read("extras/custom-fields", fields=("name",))}
        missing = [field.name for field in CUSTOM_FIELDS if field.name not in there]
        if not types:
            missing.insert(0, "the cluster type")
        found = f"missing: {', '.join(missing)}" if missing else "cluster type and custom fields are there"
        yield Check("bootstrap", not missing, found, _BOOTSTRAP if missing else "")
        yield _views(netbox)
    except EXPECTED as error:
        yield failed("NetBox", error, Side.NETBOX)


def check_fabrics(netbox: NetBoxReader, secrets: SecretStore | None, deadline: Deadline) -> Iterator[Check]:
    """Each fabric's settings, and whether its secret can be read."""
    try:
        rows = registry.every(netbox)
        if not rows:
            yield Check(
                "fabrics", False, "none is registered", "fabric-sync fabrics add NAME --site SLUG --secret NAME"
            )
        for row in rows:
            what = f"fabric {row['name']}"
            try:
                fabric = registry.fabric_of(row)
                if secrets is not None:
                    secrets.read(fabric.secret, deadline)
                yield Check(what, True, "settings and secret" if secrets else "settings; no place of secrets is set")
            except EXPECTED as error:
                yield failed(what, error, Side.CONFIG)
    except EXPECTED as error:
        yield failed("fabrics", error, Side.NETBOX)


def check_clock(netbox: NetBoxReader, now: datetime | None = None) -> Iterator[Check]:
    """Whether the times that are recorded on clusters lie in the future by this machine's clock: then one is wrong."""
    now = now or datetime.now(UTC)
    try:
        stamps = [str(row.get("last_updated")) for row in registry.every(netbox)]
        ahead = max((datetime.fromisoformat(text) - now for text in stamps if "T" in text), default=None)
        wrong = ahead is not None and ahead.total_seconds() > 5
        found = f"NetBox is {ahead.total_seconds():.0f} s ahead of this machine" if ahead and wrong else "nothing ahead"
        yield Check(
            "clocks", not wrong, found, "Let both machines keep time (NTP): leases depend on it." if wrong else ""
        )
    except (*EXPECTED, ValueError) as error:
        yield failed("clocks", error, Side.NETBOX)


def check_topics(url: str, project: str, topics: Iterable[str], deadline: Deadline) -> Iterator[Check]:
    """Whether the topics are there, on the broker or emulator at `url`."""
    for topic in topics:
        try:
            with bounded_session(deadline) as session:
                status = session.get(f"{url}/v1/{topic_path(project, topic)}").status_code
            hint = "" if status == 200 else "Create the topic, or name the right one in the settings."
            yield Check(f"topic {topic}", status == 200, "is there" if status == 200 else f"answered {status}", hint)
        except EXPECTED as error:
            yield failed(f"topic {topic}", error, Side.EVENTS)


def _views(netbox: NetBoxReader) -> Check:
    denied = []
    for name, model in MODELS.items():
        try:
            netbox.count(model.path)
        except NetBoxError as error:
            if error.status not in (401, 403):
                raise
            denied.append(name)
    found = f"may not view {', '.join(denied)}" if denied else f"may view all {len(MODELS)} models"
    return Check(
        "token", not denied, found, "Grant the token's user view, add and change: see README." if denied else ""
    )


def _version(text: str) -> tuple[int, ...]:
    parts: list[Any] = text.split("-")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdecimal())
