"""NetBox's own event rule and webhook, sent by NetBox's own worker: what people edit there asks for a sync."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions import registry
from functions.web.hooks import BUCKET_SECONDS
from infra.netbox import NetBox
from tests.functions.web_house import HOOK_KEY, Desk, desk
from tests.netbox_content import device_of_people, opened
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Proxy, proxied
from tests.pubsub_fixtures import eventually

pytestmark = pytest.mark.netbox


@dataclass(frozen=True)
class Office:
    """People's NetBox, the function that its webhook tells, and what came there."""

    desk: Desk
    netbox: NetBox
    door: Proxy

    def edit(self, fabric: str, **fields: Any) -> None:
        """Change a fabric's cluster, as a person does."""
        row = registry.find(self.netbox, fabric)
        self.netbox.update(registry.PATH, [{"id": row["id"], **fields}])

    def asked(self, fabric: str) -> list[dict[str, Any]]:
        """The requests that were published up to the first one for this fabric, which is waited for."""
        told: list[dict[str, Any]] = []

        def came() -> bool:
            told.extend({"id": attributes["ce-id"], **data} for attributes, data in self.desk.house.requests())
            return any(one["fabric"] == fabric for one in told)

        assert eventually(came, 120.0), self.desk.house.log()[-2000:]
        return told


@pytest.fixture(scope="module")
def office(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with (
        desk(netbox_server, tmp_path_factory.mktemp("hooks")) as made,
        proxied(made.url) as door,
        netbox_server.sandbox.worker(),
        opened(netbox_server, 600) as netbox,
    ):
        webhook(netbox, "fabric-sync", door.url, HOOK_KEY)
        yield Office(made, netbox, door)


def webhook(netbox: NetBox, name: str, url: str, secret: str) -> None:
    """The webhook and the event rule that docs/http.md asks for."""
    told = {"name": name, "payload_url": f"{url}/hooks/netbox", "http_method": "POST", "secret": secret}
    (hook,) = netbox.create("extras/webhooks", [{**told, "http_content_type": "application/json"}])
    rule = {
        "name": name,
        "object_types": ["virtualization.cluster", "dcim.device"],
        "event_types": ["object_created", "object_updated", "object_deleted"],
        "action_type": "webhook",
        "action_object_type": "extras.webhook",
        "action_object_id": hook["id"],
    }
    netbox.create("extras/event-rules", [rule])


def test_what_a_person_edits_at_a_fabric_in_netbox_is_one_request_however_often_they_save(office: Office) -> None:
    assert eventually(lambda: time.time() % BUCKET_SECONDS < BUCKET_SECONDS / 3, BUCKET_SECONDS + 5.0)
    office.door.seen.clear()
    office.edit("lab", description="moved to the third floor")
    office.edit("lab", custom_fields={"fabric_interval": 600})
    office.edit("lab", comments="call Ada first")
    office.edit("other", description="the last one")
    told = office.asked("other")
    assert len(office.door.seen) == 4
    lab = [one for one in told if one["fabric"] == "lab"]
    assert (len(lab), len({one["id"] for one in lab})) == (3, 1)
    assert {(one["trigger"], one["requested_by"]) for one in told} == {("netbox", "netbox: admin")}


def test_what_a_sync_itself_writes_asks_for_none_and_what_people_do_to_a_device_of_it_does(office: Office) -> None:
    office.door.seen.clear()
    done = office.desk.ask("POST", "/fabrics/shown/sync", {})
    assert (done.status, done.json["result"]) == (200, "succeeded")
    device_of_people(office.netbox, "shown", "a box of nobody's fabric")
    office.edit("held", description="the last one")
    told = office.asked("held")
    assert len(office.door.seen) > 4
    assert {one["fabric"] for one in told} == {"held"}
    (device, *_) = office.netbox.read("dcim/devices", {"cf_fabric_name": "shown"})
    office.netbox.update("dcim/devices", [{"id": device["id"], "comments": "smells of smoke"}])
    assert {one["fabric"] for one in office.asked("shown")} == {"shown"}


def test_a_webhook_with_another_secret_is_not_heard(office: Office) -> None:
    (rule,) = office.netbox.read("extras/event-rules", {"name": "fabric-sync"})
    office.netbox.update("extras/event-rules", [{"id": rule["id"], "enabled": False}])
    webhook(office.netbox, "forged", office.door.url, "a-key-that-somebody-guessed")
    office.door.seen.clear()
    office.edit("slow", description="forged")
    assert eventually(lambda: bool(office.door.seen), 60.0)
    assert eventually(lambda: "401 unsigned" in office.desk.house.log(), 20.0)
    assert office.desk.house.requests() == []
