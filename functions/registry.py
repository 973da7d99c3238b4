"""The registry of fabrics: clusters of type Hedgehog Fabric in NetBox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from functions.errors import Code, Problem, SyncStopped
from functions.fabric import DeletePolicy, Deletion, Fabric, Naming, valid_name
from functions.fields import (
    CLUSTER_TYPE_NAME,
    CLUSTER_TYPE_SLUG,
    GRACE_HOURS,
    GRACE_RUNS,
    POLICY,
    RELEASE,
    RELEASED,
    RUNS,
    SUSPENDED_UNTIL,
)
from infra.netbox import NetBox, NetBoxError, NetBoxReader, Row

PATH = "virtualization/clusters"
TYPES = "virtualization/cluster-types"
_NEEDED = ("fabric_secret", "fabric_lease", "fabric_state")
_FIELDS = ("name", "scope_type", "scope", "status", "custom_fields", "last_updated")
_PAGE = 500
"""Clusters of one page: a few megabytes of JSON."""
FEW = 50
"""Clusters that a look at what else is synced reads at most, however many there are."""


def find(netbox: NetBoxReader, name: str) -> Row:
    """The cluster behind fabric `name`; raises `SyncStopped` (unknown_fabric, netbox_not_ready)."""
    if not valid_name(name):
        raise SyncStopped(Problem(Code.BAD_REQUEST, "a fabric's name is a lower-case slug of at most 16 characters"))
    rows = [row for row in _clusters(netbox, {"name": name}) if row.get("name") == name]
    if not rows:
        raise SyncStopped(Problem(Code.UNKNOWN_FABRIC, f"no {CLUSTER_TYPE_NAME} cluster {name} in NetBox"))
    if len(rows) > 1:
        raise SyncStopped(Problem(Code.NOT_CONFIGURED, f"{len(rows)} clusters in NetBox have the name {name}"))
    return rows[0]


def every(netbox: NetBoxReader) -> list[Row]:
    """The clusters of all fabrics, by id."""
    return _clusters(netbox, {})


def lately(netbox: NetBoxReader, row: Row, seconds: float) -> list[Row]:
    """The clusters that were written after the one of `row`, or at most so many `seconds` before it: the newest `FEW`.

    All by NetBox's clock, so that nobody else's matters.
    """
    since = datetime.fromisoformat(row["last_updated"]) - timedelta(seconds=seconds)
    filters = {"type": CLUSTER_TYPE_SLUG, "last_updated__gte": since.isoformat(), "ordering": "-last_updated"}
    with _typed():
        return _usable(netbox.page(PATH, filters, _FIELDS, FEW)[0])


def pages(netbox: NetBoxReader) -> Iterator[list[Row]]:
    """The clusters of all fabrics, a page at a time, so that thousands need no more memory than one."""
    with _typed():
        for page in netbox.pages(PATH, {"type": CLUSTER_TYPE_SLUG}, _FIELDS, _PAGE):
            yield _usable(page)


def _clusters(netbox: NetBoxReader, filters: dict[str, Any]) -> list[Row]:
    with _typed():
        return _usable(netbox.read(PATH, {**filters, "type": CLUSTER_TYPE_SLUG}, _FIELDS))


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except NetBoxError as refused:
        # NetBox refuses a filter by a cluster type that it does not have.
        if refused.status != 400:
            raise
        raise SyncStopped(
            Problem(Code.NETBOX_NOT_READY, f"NetBox has no cluster type {CLUSTER_TYPE_NAME}: {refused.detail}")
        ) from refused


def _usable(rows: list[Row]) -> list[Row]:
    if not all(isinstance(row.get("custom_fields"), dict) for row in rows):
        raise SyncStopped(Problem(Code.NETBOX_BAD_ANSWER, "NetBox answered clusters without custom fields"))
    return rows


def fabric_of(row: Row) -> Fabric:
    """The fabric that a cluster configures; raises `SyncStopped` (not_configured, with all that is missing)."""
    custom = row.get("custom_fields") or {}
    scope: Any = row.get("scope")
    if absent := [name for name in _NEEDED if name not in custom]:
        raise SyncStopped(Problem(Code.NETBOX_NOT_READY, f"custom fields are missing in NetBox: {', '.join(absent)}"))
    missing = [] if valid_name(row.get("name")) else ["the name is not a lower-case slug of at most 16 characters"]
    if row.get("scope_type") != "dcim.site" or not isinstance(scope, dict):
        missing.append("the cluster's scope is not a site")
    if not custom["fabric_secret"]:
        missing.append("fabric_secret is empty")
    naming = _choice(custom.get("fabric_naming")) or Naming.PLAIN.value
    if naming not in set(Naming):
        missing.append(f"fabric_naming {naming!r} is not one of {', '.join(Naming)}")
    if (policy := _choice(custom.get(POLICY)) or DeletePolicy.MARK) not in set(DeletePolicy):
        missing.append(f"{POLICY} {policy!r} is not one of {', '.join(DeletePolicy)}")
    missing += [f"{name} is negative" for name in (GRACE_RUNS, GRACE_HOURS) if _number(custom, name, 0) < 0]
    if missing:
        raise SyncStopped(Problem(Code.NOT_CONFIGURED, f"{row['name']}: {'; '.join(missing)}"))
    return Fabric(
        name=row["name"],
        cluster_id=row["id"],
        site=scope["slug"],
        site_id=scope["id"],
        secret=custom["fabric_secret"],
        naming=Naming(naming),
        enabled=custom.get("fabric_enabled") is not False,
        insecure_tls=custom.get("fabric_insecure_tls") is True,
        deletion=_deletion(custom),
        adopt=frozenset(_choices(custom.get("fabric_adopt"))),
        suspended_until=_moment(custom.get(SUSPENDED_UNTIL)),
    )


def _deletion(custom: Row) -> Deletion:
    """How the fabric's deletes are configured; what is not said is as it is by itself."""
    usual = Deletion()
    released = custom.get(RELEASED)
    moments = {kind: _moment(text) for kind, text in released.items()} if isinstance(released, dict) else {}
    return Deletion(
        policy=DeletePolicy(_choice(custom.get(POLICY)) or usual.policy),
        grace_runs=_number(custom, GRACE_RUNS, usual.grace_runs),
        grace=timedelta(hours=_number(custom, GRACE_HOURS, int(usual.grace.total_seconds() // 3600))),
        runs=_number(custom, RUNS, usual.runs),
        release=frozenset(str(custom.get(RELEASE) or "").replace(",", " ").split()),
        released={kind: moment for kind, moment in moments.items() if moment is not None},
    )


def _choice(value: Any) -> Any:
    """The value of a choice, which NetBox answers as {value, label}, or as the value alone before 4.7."""
    return value.get("value") if isinstance(value, dict) else value


def _number(custom: Row, name: str, usual: int) -> int:
    number = custom.get(name)
    return number if isinstance(number, int) and not isinstance(number, bool) else usual


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def ensure_site(netbox: NetBox, slug: str) -> bool:
    """Create the site with that slug, named alike, unless it is there; whether it was created."""
    if any(row.get("slug") == slug for row in netbox.read("dcim/sites", {"slug": slug}, ("slug",))):
        return False
    netbox.create("dcim/sites", [{"name": slug, "slug": slug, "status": "active"}])
    return True


def add(netbox: NetBox, name: str, *, site: str, secret: str, naming: Naming = Naming.PLAIN) -> Row:
    """Register a fabric: a cluster in the existing site with slug `site`; raises `SyncStopped` when it cannot."""
    if not valid_name(name):
        raise SyncStopped(Problem(Code.NOT_CONFIGURED, f"{name!r} is not a lower-case slug of at most 16 characters"))
    sites = [row for row in netbox.read("dcim/sites", {"slug": site}, ("slug",)) if row.get("slug") == site]
    if not sites:
        raise SyncStopped(Problem(Code.NOT_CONFIGURED, f"NetBox has no site with the slug {site}"))
    row = {
        "name": name,
        "type": {"slug": CLUSTER_TYPE_SLUG},
        "status": "active",
        "scope_type": "dcim.site",
        "scope_id": sites[0]["id"],
        "custom_fields": {"fabric_secret": secret, "fabric_naming": naming.value, "fabric_enabled": True},
    }
    return netbox.create(PATH, [row])[0]


def retire(netbox: NetBox, row: Row) -> Row:
    """Take a fabric out of the registry: its cluster gets another type; nothing else of it is touched."""
    former = {"name": f"Former {CLUSTER_TYPE_NAME}", "slug": f"former-{CLUSTER_TYPE_SLUG}"}
    if not any(
        found.get("slug") == former["slug"] for found in netbox.read(TYPES, {"slug": former["slug"]}, ("slug",))
    ):
        netbox.create(TYPES, [former])
    return netbox.change(PATH, row, {"type": {"slug": former["slug"]}})


def _choices(value: Any) -> list[str]:
    """The values of a multiple choice, which NetBox answers as a list of values or of {value, label}."""
    return [item["value"] if isinstance(item, dict) else item for item in value or ()]
