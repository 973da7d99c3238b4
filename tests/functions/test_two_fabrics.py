"""Two fabrics in one NetBox: what they share is nobody's, and whoever comes second takes it as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from functions.ending import outcome_of
from functions.events import SyncRequest
from functions.outcome import Result
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.sandbox.fabric.serve import SECRETS, serve
from infra.secrets import DirectorySecrets
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox


def test_what_another_run_made_between_plan_and_write_is_taken_and_not_refused(
    netbox_server: ServedNetBox, tmp_path: Path
) -> None:
    served = bootstrapped(netbox_server)
    secrets = DirectorySecrets(tmp_path / SECRETS, "fabric-")

    def run_of(name: str) -> Run:
        return Run(SyncRequest(name, name, name), secrets, Deadline.after(60))

    with serve({name: small_cluster(name) for name in ("first", "second")}, tmp_path), opened(served) as netbox:
        for name in ("first", "second"):
            with_fabric(netbox, name)
        second = run_of("second")
        fabric = second.enter(netbox)
        assert fabric is not None
        planned = second.plan(netbox, fabric)
        assert sync(run_of("first"), netbox).result is Result.SUCCEEDED
        makers = (
            netbox.count("dcim/manufacturers"),
            netbox.count("dcim/device-types"),
            netbox.count("dcim/device-roles"),
        )

        applied = second.apply(netbox, fabric, *planned)
        assert (applied.refused, applied.stopped, applied.left) == ([], None, 0)
        assert applied.created["manufacturer"] == applied.created["device_type"] == 0
        assert applied.created["device"] > 0
        assert outcome_of(second, datetime.now(UTC), 0).result is Result.SUCCEEDED
        again = netbox.count("dcim/manufacturers"), netbox.count("dcim/device-types"), netbox.count("dcim/device-roles")
        assert again == makers

        for name in ("first", "second"):
            sync(run_of(name), netbox)  # writes its result, once
            before = changes(netbox)
            assert sync(run_of(name), netbox).written == 0
            assert changes(netbox) == before
