"""Apply against the real NetBox: what goes in, what is refused alone and by name, what people keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.applied import Applied
from functions.apply import Applier
from functions.compare import compare
from functions.fabric import Fabric
from functions.fields import HOLD_TAG
from functions.records import MODELS, Record, Ref
from functions.rows import references
from functions.survey import survey
from infra.deadline import Deadline
from infra.netbox import NetBox
from tests import hostile
from tests.netbox_content import bootstrapped, changes, device_of_people, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Seen, answering, proxied
from tests.wanted import SHARED, cable, device, port


@pytest.fixture(scope="module")
def ready(netbox_server: ServedNetBox) -> ServedNetBox:
    return bootstrapped(netbox_server)


def synced(netbox: NetBox, fabric: Fabric, records: list[Record]) -> Applied:
    """Make NetBox hold `records`, as a run does."""
    shared = {ref for record in records for ref in references(record) if MODELS[ref.model].shared}
    actual = survey(netbox, fabric, shared)
    plan = compare(records, actual, fabric.name, frozenset({"device", "interface", "cable"}))
    return Applier(netbox, actual, fabric.name).apply(plan)


@pytest.mark.parametrize("token", ["token_v2", "token_v1"])
def test_what_was_applied_is_there_and_a_second_run_writes_nothing(ready: ServedNetBox, token: str) -> None:
    name = token.replace("_", "-")
    with NetBox(ready.url, getattr(ready, token), Deadline.after(120)) as netbox:
        fabric = with_fabric(netbox, name)
        box = device(name, "leaf")
        lag = port(box, "lag0", type="lag")
        ports = [port(box, f"E1/{each}", lag=Ref("interface", lag.key)) for each in (1, 2)]
        records = [*SHARED, box, lag, *ports, cable(name, "c", *ports)]
        done = synced(netbox, fabric, records)
        assert (done.refused, done.stopped, done.cut, done.left) == ([], None, False, 0)
        before = changes(netbox)
        again = synced(netbox, fabric, records)
        assert (again.written, again.requests, changes(netbox)) == (0, 0, before)


def test_a_bad_object_is_refused_by_name_and_the_others_go_in(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "conflict")
        device_of_people(netbox, "conflict", "leaf-3")
        boxes = [device("conflict", f"leaf-{number}") for number in range(6)]
        ports = [port(box, name) for box in boxes for name in ("E1/1", "E1/2")]
        cables = [
            cable("conflict", "good", ports[0], ports[2]),
            cable("conflict", "bad", ports[1], ports[6]),  # E1/1 of the third
        ]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports, *cables])
        refused = {each.key: each.text for each in done.refused}
        assert done.created["device"] == 5
        assert done.created["interface"] == 10
        assert done.created["cable"] == 1
        assert set(refused) == {boxes[3].key, ports[6].key, ports[7].key, cables[1].key}
        assert "unique" in refused[boxes[3].key].lower() or "already exists" in refused[boxes[3].key].lower()
        assert boxes[3].key in refused[ports[6].key]
        assert refused[boxes[3].key] in refused[ports[6].key]
        assert ports[6].key in refused[cables[1].key]
        assert refused[boxes[3].key] in refused[cables[1].key]
        assert done.left == 0
        # The person's device is as it was.
        (theirs,) = netbox.read("dcim/devices", {"name": "leaf-3", "site": "conflict"})
        assert theirs["device_type"]["slug"] == "their-box"
        assert theirs["tags"] == []


def test_a_port_that_a_person_has_cabled_refuses_our_cable_alone(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "occupied")
        boxes = [device("occupied", f"leaf-{number}") for number in range(2)]
        ports = [port(box, f"E1/{each}") for box in boxes for each in (1, 2, 3)]
        assert synced(netbox, fabric, [*SHARED, *boxes, *ports]).refused == []
        _, theirs = device_of_people(netbox, "occupied", "theirs", 1)
        (taken,) = netbox.read("dcim/interfaces", {"device": "leaf-0", "site": "occupied", "name": "E1/2"})
        ends = [[{"object_type": "dcim.interface", "object_id": row["id"]}] for row in (taken, theirs[0])]
        netbox.create("dcim/cables", [{"a_terminations": ends[0], "b_terminations": ends[1]}])
        cables = [cable("occupied", f"c{each}", ports[each], ports[each + 3]) for each in range(3)]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports, *cables])
        assert [refused.key for refused in done.refused] == [cables[1].key]
        assert done.created["cable"] == 2
        assert len(netbox.read("dcim/cables", {"cf_fabric_name": "occupied"})) == 2


def test_values_that_netbox_cannot_take_refuse_their_own_objects_alone(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "values")
        device_of_people(netbox, "values", "LEAF-3")  # the same name to NetBox, which folds case
        serials = {1: "x" * 60, 2: "a\x00b", 4: "a\ud800b"}
        boxes = [device("values", f"leaf-{number}", serial=serials.get(number, "")) for number in range(6)]
        ports = [port(boxes[0], "E1/1", label="l" * 65), port(boxes[0], "E1/2")]
        done = synced(netbox, fabric, [*SHARED, *boxes, *ports])
        assert {refused.key for refused in done.refused} == {boxes[at].key for at in (1, 2, 3, 4)} | {ports[0].key}
        assert (done.created["device"], done.created["interface"], done.stopped) == (2, 1, None)
        with_text = " ".join(refused.text for refused in done.refused)
        assert with_text.encode()  # fit to be told: no half of a surrogate pair came back


def test_a_cable_can_be_turned_round_and_moved_in_one_go(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "turned")
        box = device("turned", "leaf")
        a, b, c = (port(box, f"E1/{each}") for each in (1, 2, 3))
        assert synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", a, b)]).refused == []
        done = synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", b, c)])
        assert (done.refused, done.stopped, done.updated["cable"]) == ([], None, 1)
        assert synced(netbox, fabric, [*SHARED, box, a, b, c, cable("turned", "x", c, b)]).requests == 0


def test_people_keep_their_tags_and_lose_the_fields_that_are_ours(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "people")
        netbox.create("extras/tags", [{"name": "theirs", "slug": "theirs"}])
        box = device("people", "leaf", serial="S1")
        synced(netbox, fabric, [*SHARED, box])
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "people"})
        tags = [{"slug": "theirs"}]
        netbox.update("dcim/devices", [{"id": row["id"], "serial": "S2", "status": "failed", "tags": tags}])
        done = synced(netbox, fabric, [*SHARED, box])
        assert done.updated == {"device": 1}
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "people"})
        assert (row["serial"], row["status"]["value"]) == ("S1", "failed")
        assert {tag["slug"] for tag in row["tags"]} == {"theirs", "fabric-managed"}


def test_the_last_tag_of_ours_can_be_taken_away(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "untagged")
        group = Record("tag", "fabric-sg-untagged-a", {"name": "a of untagged", "slug": "fabric-sg-untagged-a"})
        box = replace(device("untagged", "leaf"), tags=frozenset({group.key}))
        assert synced(netbox, fabric, [group, *SHARED, box]).refused == []
        done = synced(netbox, fabric, [*SHARED, replace(box, tags=frozenset())])
        assert (done.refused, done.updated["device"]) == ([], 1)
        (row,) = netbox.read("dcim/devices", {"cf_fabric_name": "untagged"})
        assert row["tags"] == []


def test_what_netbox_drops_without_a_word_is_a_refusal(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "dropped")
        box = device("dropped", "leaf", serial="  padded  ")
        done = synced(netbox, fabric, [*SHARED, box])
        assert [refused.key for refused in done.refused] == [box.key]
        assert "serial is 'padded', not '  padded  '" in done.refused[0].text
        assert done.created["device"] == 0


# Contexts, which people write as well


def contexts(name: str, value: int) -> list[Record]:
    """Three devices with a context of ours, and one without."""
    data = {"hedgehog": {"value": value}}
    serial = f"s-{value}"
    boxes = [device(name, f"leaf-{number}", local_context_data=data, serial=serial) for number in range(3)]
    return [*SHARED, *boxes, device(name, "bare", serial=serial)]


def of_contexts(seen: Seen) -> bool:
    return seen.method == "PATCH" and "/dcim/devices/" in seen.path


def test_people_may_write_into_a_context_again_and_again_and_nothing_of_it_is_lost(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "restless")
        assert synced(netbox, fabric, contexts("restless", 1)).refused == []
        written: list[int] = []

        def meanwhile(seen: Seen) -> bool:
            """Three times a person is faster, each time at another device."""
            if of_contexts(seen) and len(written) < 3:
                (row,) = netbox.read("dcim/devices", {"name": f"leaf-{len(written)}", "site": "restless"})
                noted = {**row["local_context_data"], "people": len(written)}
                netbox.update("dcim/devices", [{"id": row["id"], "local_context_data": noted}])
                written.append(row["id"])
            return False

        with proxied(ready.url) as way, NetBox(way.url, ready.token_v2, Deadline.after(120)) as door:
            way.misbehave(hostile.silent, concerns=meanwhile)
            done = synced(door, fabric, contexts("restless", 2))
        assert (done.refused, done.stopped, done.left, done.updated["device"]) == ([], None, 0, 4)
        assert len(written) == 3
        rows = {row["id"]: row for row in netbox.read("dcim/devices", {"cf_fabric_name": "restless"})}
        found = [rows[id_]["local_context_data"] for id_ in written]
        assert found == [{"hedgehog": {"value": 2}, "people": number} for number in range(3)]
        assert {row["serial"] for row in rows.values()} == {"s-2"}


def test_what_a_person_takes_in_hand_meanwhile_is_left_to_them_and_the_others_go_in(ready: ServedNetBox) -> None:
    with opened(ready) as netbox:
        fabric = with_fabric(netbox, "in-hand")
        assert synced(netbox, fabric, contexts("in-hand", 1)).refused == []
        (row,) = netbox.read("dcim/devices", {"name": "leaf-1", "site": "in-hand"})
        tagged: list[Seen] = []

        def meanwhile(seen: Seen) -> bool:
            if of_contexts(seen) and not tagged:
                tagged.append(seen)
                netbox.update("dcim/devices", [{"id": row["id"], "add_tags": [{"slug": HOLD_TAG}]}])
            return False

        with proxied(ready.url) as way, NetBox(way.url, ready.token_v2, Deadline.after(120)) as door:
            way.misbehave(hostile.silent, concerns=meanwhile)
            done = synced(door, fabric, contexts("in-hand", 2))
        assert [refused.key for refused in done.refused] == ["in-hand/Switch/default/leaf-1"]
        assert (done.updated["device"], done.left, done.stopped) == (3, 0, None)
        (now,) = netbox.read("dcim/devices", {"id": row["id"]})
        assert (now["serial"], now["local_context_data"]) == ("s-1", {"hedgehog": {"value": 1}})


def test_where_netbox_says_moved_of_what_did_not_move_its_objects_are_refused_and_the_run_ends(
    ready: ServedNetBox,
) -> None:
    with opened(ready) as netbox, proxied(ready.url) as way:
        fabric = with_fabric(netbox, "moved")
        assert synced(netbox, fabric, contexts("moved", 1)).refused == []
        way.misbehave(answering("412 Precondition Failed", b'{"detail": "Precondition failed."}'), concerns=of_contexts)
        with NetBox(way.url, ready.token_v2, Deadline.after(120)) as door:
            done = synced(door, fabric, contexts("moved", 2))
        assert (len(done.refused), done.left, done.stopped, done.cut) == (4, 0, None, False)
        assert sum(map(of_contexts, way.seen)) < 10
