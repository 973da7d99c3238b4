"""Two runs of one fabric at once: Pub/Sub delivers at least once, and nothing may be there twice for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from functions.events import SyncRequest
from functions.outcome import Outcome, Result
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.fabric.serve import serve
from infra.secrets import DirectorySecrets
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

PATHS = ("dcim/devices", "dcim/interfaces", "dcim/cables")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorySecrets]:
    """The secrets of one fabric that is served meanwhile."""
    place = tmp_path_factory.mktemp("fabrics")
    with serve({"racy": small_cluster("racy", switches=4, ports=6)}, place):
        yield DirectorySecrets(place / "secrets", "fabric-")


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        with_fabric(netbox, "racy")
    return served


def run(served: ServedNetBox, secrets: DirectorySecrets, id_: str, start: Barrier | None = None) -> Outcome:
    deadline = Deadline.after(90.0, reserve=3.0)
    with NetBox(served.url, served.token_v2, deadline) as netbox:
        if start:
            start.wait(10)
        return sync(Run(SyncRequest("racy", id_, id_), secrets, deadline, batch=8), netbox)


def test_two_runs_at_once_make_nothing_twice_and_the_next_one_finds_it_all_done(
    ready: ServedNetBox, secrets: DirectorySecrets
) -> None:
    start = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda id_: run(ready, secrets, id_, start), ("one", "two")))
    # Of two that read the cluster at the same time one gets the lease; the other is told who has it.
    results = sorted((outcome.result, outcome.skip or "") for outcome in both)
    assert results in (
        [(Result.SKIPPED, "busy"), (Result.SUCCEEDED, "")],
        [(Result.SUCCEEDED, ""), (Result.SUCCEEDED, "")],  # the second came when the first was done
    ), both
    for number in range(5):
        last = run(ready, secrets, f"after-{number}")
        if last.result is Result.SUCCEEDED:
            break
    assert (last.result, last.reasons, last.problem) == (Result.SUCCEEDED, (), None)
    with opened(ready) as netbox:
        for path in PATHS:
            keys = Counter(row["custom_fields"]["fabric_key"] for row in netbox.read(path, {"cf_fabric_name": "racy"}))
            assert keys
            assert set(keys.values()) == {1}
            assert netbox.count(path) == keys.total()
        before = changes(netbox)
        assert run(ready, secrets, "again").written == 0
        assert changes(netbox) == before
