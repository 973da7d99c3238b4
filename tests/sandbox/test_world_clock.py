"""The sandbox with a clock: a scheduler's message comes in, and what is due is synced."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from functions.enrol import enrol
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.addresses import SECRET_PREFIX
from infra.sandbox.messaging import OUTCOMES_PULL, TICKS, rest, take
from infra.sandbox.world import Content, World
from tests.netbox_fixtures import ServedNetBox
from tests.pubsub_fixtures import eventually

FABRICS = {"lab": "topology:spine_leaf,spines=1,leaves=1,servers=1"}


def test_a_message_of_the_scheduler_lets_a_new_fabric_be_synced(netbox_server: ServedNetBox, tmp_path: Path) -> None:
    netbox_server.reset()
    (tmp_path / "netbox").symlink_to(netbox_server.sandbox.state)
    world = World(tmp_path)
    with world.running(lambda text: None, Content(FABRICS, instances=1, beside=["tick"])) as at:
        with NetBox(at.netbox, at.token, Deadline.after(120)) as netbox:
            enrol(netbox, FABRICS, SECRET_PREFIX)

        def ended() -> list[str]:
            # A fabric that is new is due in the first tick after the minute in which it was registered.
            message = {"data": base64.b64encode(b"{}").decode()}
            rest(at.broker, "POST", f"/v1/projects/{at.project}/topics/{TICKS}:publish", {"messages": [message]})
            Deadline.after(10).pause(3)
            told = [json.loads(data) for data, _ in take(at.broker, at.project, OUTCOMES_PULL)]
            return [one["fabric"] for one in told if one.get("trigger") == "schedule"]

        assert "lab" in eventually(ended, 150)
