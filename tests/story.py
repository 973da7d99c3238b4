"""One fabric, one real NetBox and a clock of our own, run by run: for tests of what comes of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from functions import registry
from functions.events import SyncRequest
from functions.fields import MEMORY
from functions.outcome import Outcome, Result
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox, Row
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import ServedFabric, serve
from infra.secrets import open_secrets
from tests.fabric_content import thing
from tests.netbox_content import opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Story:
    """One fabric, one NetBox, and a clock that is ours."""

    served: ServedFabric
    netbox: NetBox
    secrets: Path
    name: str
    now: datetime = START
    runs: int = 0
    seconds: float = 120.0

    @property
    def cluster(self) -> Cluster:
        return self.served.cluster

    def sync(
        self,
        hours: float = 0.0,
        cut_after: int | None = None,
        batch: int = 100,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """One run, so many hours after the last one; its deadline comes after so many bulk requests, if any.

        `meanwhile` happens when everything is read, and nothing is written.
        """
        self.now += timedelta(hours=hours)
        self.runs += 1
        deadline = Deadline.after(self.seconds, reserve=5)
        request = SyncRequest(self.name, f"r{self.runs}", f"r{self.runs}")
        secrets, sent = open_secrets(str(self.secrets), "fabric-"), count(1)

        def hear(step: str, facts: dict[str, Any]) -> None:
            if step == "planned":
                meanwhile()
            if step == "applied" and next(sent) == cut_after:
                self.netbox.deadline = Deadline.after(0.001)

        at_once = 4 if cut_after is None else 1
        run = Run(request, secrets, deadline, batch, at_once, listen=hear, now=lambda: self.now)
        self.netbox.deadline = deadline
        self.netbox.requests = 0  # as with a door of the run's own, which people do not use
        self.netbox.writes.clear()
        try:
            return sync(run, self.netbox)
        finally:
            self.netbox.deadline = Deadline.after(600)

    def settings(self, **custom: Any) -> None:
        """Set custom fields of the fabric's cluster, as a person does."""
        row = registry.find(self.netbox, self.name)
        self.netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": custom}])

    def owned(self, path: str) -> list[Row]:
        """What NetBox holds of the fabric below `path`."""
        return self.netbox.read(path, {"cf_fabric_name": self.name})

    def held(self) -> dict[tuple[str, int], tuple[Any, ...]]:
        """All that NetBox holds of the fabric, but for the times of changes and what is remembered of it."""
        found = {}
        for path in ("dcim/devices", "dcim/interfaces", "dcim/cables", "ipam/vrfs", "ipam/prefixes", "ipam/vlans"):
            for row in self.owned(path):
                plain = {name: value for name, value in row.items() if name not in ("last_updated", "cluster")}
                plain["custom_fields"] = {**row["custom_fields"], MEMORY: None}
                found[path, row["id"]] = tuple(sorted((name, repr(value)) for name, value in plain.items()))
        return found


@contextmanager
def story(
    served: ServedNetBox, place: Path, name: str, cluster: Cluster, *, synced: bool = True, **custom: Any
) -> Iterator[Story]:
    """A fabric of the given content, registered with `custom` fields and synced once."""
    with serve({name: cluster}, place) as fabrics, opened(served, 600) as netbox:
        with_fabric(netbox, name, **custom)
        told = Story(fabrics[name], netbox, place / "secrets", name)
        if synced:
            first = told.sync()
            assert (first.result, first.reasons) == (Result.SUCCEEDED, ())
        yield told


def without(cluster: Cluster, kind: str, name: str) -> dict[str, Any]:
    """Take an object away from a fabric; the manifest of what it was."""
    there = cluster.get(kind, name)
    assert there is not None
    cluster.delete(kind, name)
    return there


def tenant(cluster: Cluster) -> Cluster:
    """The cluster with one VPC of one subnet."""
    subnet = {
        "subnet": "10.0.1.0/24",
        "gateway": "10.0.1.1",
        "vlan": 1001,
        "dhcp": {"enable": True, "range": {"start": "10.0.1.10", "end": "10.0.1.20"}},
    }
    vpc = {"ipv4Namespace": "default", "vlanNamespace": "default", "subnets": {"s1": subnet}}
    return cluster.load(
        [
            thing("IPv4Namespace", "default", {"subnets": ["10.0.0.0/16"]}),
            thing("VLANNamespace", "default", {"ranges": [{"from": 1000, "to": 2999}]}),
            thing("VPC", "vpc-1", vpc),
        ]
    )
