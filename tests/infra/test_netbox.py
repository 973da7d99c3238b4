"""The door to NetBox: reads of the real one that prove they are complete, refusals by row, tokens of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.errors import Code, Side, SyncStopped
from functions.fabric import Fabric
from functions.problems import problem_of
from functions.survey import survey
from infra import netbox as door
from infra.deadline import Deadline
from infra.netbox import MOST_SEEN, DeletePermit, NetBox, NetBoxError, NetBoxReader, StaleObjectError, UnprovenReadError
from tests import hostile
from tests.netbox_content import opened
from tests.netbox_fixtures import ServedNetBox
from tests.proxy import Seen, proxied

PATH = "extras/tags"
V1 = "0" * 40


def rows_of(count: int, prefix: str = "tag") -> list[dict[str, str]]:
    return [{"name": f"{prefix} {number:03}", "slug": f"{prefix}-{number:03}"} for number in range(count)]


@pytest.fixture
def seven_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PAGE", 7)


@pytest.fixture(scope="module")
def filled(netbox_server: ServedNetBox) -> ServedNetBox:
    """The real NetBox with thirty tags."""
    netbox_server.reset()
    with opened(netbox_server) as netbox:
        netbox.create(PATH, rows_of(30))
    return netbox_server


def slugs(rows: list[dict[str, Any]]) -> list[str]:
    return [row["slug"] for row in rows]


WANTED = [f"tag-{number:03}" for number in range(30)]


@pytest.mark.parametrize("token", ["token_v2", "token_v1"])
def test_a_list_of_many_pages_is_read_whole_with_a_token_of_either_kind(
    filled: ServedNetBox, seven_a_page: None, token: str
) -> None:
    with NetBoxReader(filled.url, getattr(filled, token), Deadline.after(60)) as netbox:
        rows = netbox.read(PATH, {}, ("slug",))
        assert slugs(rows) == WANTED
        assert set(rows[0]) == {"id", "slug"}
        assert netbox.requests == 6  # five pages, and the count at the end
        assert netbox.count(PATH) == 30


def test_a_list_of_one_page_costs_one_request(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        assert len(netbox.read(PATH)) == 30
        assert netbox.requests == 1


def test_an_empty_list_is_a_list(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        assert netbox.read(PATH, {"slug": "nobody"}) == []


def test_a_hundred_slugs_fit_into_one_request(filled: ServedNetBox) -> None:
    asked = [*WANTED[3:6], *(f"{'x' * 20}-{number}" for number in range(97))]
    with opened(filled) as netbox:
        assert slugs(netbox.read(PATH, {"slug": asked}, ("slug",))) == WANTED[3:6]


def test_a_token_that_netbox_does_not_know_is_a_denial(filled: ServedNetBox) -> None:
    for token in (V1, "nbt_abcdefghijkl." + "x" * 40):
        with NetBoxReader(filled.url, token, Deadline.after(60)) as netbox:
            with pytest.raises(NetBoxError) as refused:
                netbox.read(PATH)
            assert problem_of(refused.value, Side.NETBOX).code is Code.NETBOX_DENIED
            assert token not in str(refused.value)


def test_the_status_names_the_version(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        assert netbox.status()["netbox-version"].startswith("4.")


def test_a_reader_has_no_way_to_write() -> None:
    public = {name for name in dir(NetBoxReader) if not name.startswith("_")}
    assert public == {"close", "count", "deadline", "latest", "page", "pages", "read", "status"}
    assert {"create", "update", "delete"} <= set(dir(NetBox))


def at_second_page(do: Callable[[], None]) -> Callable[[Seen], bool]:
    """Does something to NetBox just before the second page of a list is asked for, each time."""

    def look(seen: Seen) -> bool:
        if "id__gt" in seen.path and "limit=7" in seen.path and look.pages == 0:  # type: ignore[attr-defined]
            do()
        look.pages = look.pages + 1 if "id__gt" in seen.path else 0  # type: ignore[attr-defined]
        return False

    look.pages = 0  # type: ignore[attr-defined]
    return look


def delete(netbox: NetBox, ids: list[int]) -> None:
    """What people do without a guard."""
    netbox.delete(PATH, ids, DeletePermit(frozenset((PATH, id_) for id_ in ids)))


@pytest.fixture
def crowd(filled: ServedNetBox) -> Iterator[tuple[ServedNetBox, NetBox]]:
    """The real NetBox with thirty tags, and somebody else's door to it; what they do is undone afterwards."""
    with opened(filled) as other:
        yield filled, other
        delete(other, [row["id"] for row in other.read(PATH)])
        other.create(PATH, rows_of(30))


def test_what_is_added_while_a_list_is_read_is_read_with_it_at_the_second_try(
    crowd: tuple[ServedNetBox, NetBox], seven_a_page: None
) -> None:
    served, other = crowd
    added: list[int] = []

    def add() -> None:
        if not added:
            added.append(other.create(PATH, rows_of(1, "late"))[0]["id"])

    with proxied(served.url) as proxy, NetBox(proxy.url, served.token_v2, Deadline.after(60)) as netbox:
        proxy.misbehave(hostile.silent, concerns=at_second_page(add))
        assert slugs(netbox.read(PATH, {}, ("slug",))) == [*WANTED, "late-000"]
        assert added
        assert netbox.requests > 6


def test_what_is_removed_while_a_list_is_read_is_not_in_it_at_the_second_try(
    crowd: tuple[ServedNetBox, NetBox], seven_a_page: None
) -> None:
    served, other = crowd
    first = other.read(PATH)[0]["id"]
    removed: list[int] = []

    def remove() -> None:
        if not removed:
            removed.append(first)
            delete(other, [first])

    with proxied(served.url) as proxy, NetBox(proxy.url, served.token_v2, Deadline.after(60)) as netbox:
        proxy.misbehave(hostile.silent, concerns=at_second_page(remove))
        # The removed tag was on the first page: only the count at the end can tell.
        assert slugs(netbox.read(PATH, {}, ("slug",))) == WANTED[1:]
        assert removed


def test_a_list_that_never_rests_proves_nothing_and_says_so(
    crowd: tuple[ServedNetBox, NetBox], seven_a_page: None
) -> None:
    served, other = crowd
    names = iter(rows_of(100, "restless"))
    with proxied(served.url) as proxy, NetBox(proxy.url, served.token_v2, Deadline.after(60)) as netbox:
        proxy.misbehave(
            hostile.silent, concerns=at_second_page(lambda: bool(other.create(PATH, [next(names)])) or None)
        )
        with pytest.raises(UnprovenReadError) as unproven:
            netbox.read(PATH)
    assert problem_of(unproven.value, Side.NETBOX).code is Code.NETBOX_CHANGED


def test_a_filter_that_netbox_does_not_know_is_noticed_by_the_survey(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        # No bootstrap was run here: NetBox ignores a filter by a custom field that it does not have.
        maker = netbox.create("dcim/manufacturers", [{"name": "Acme", "slug": "acme"}])[0]["id"]
        kind = netbox.create("dcim/device-types", [{"model": "Box", "slug": "box", "manufacturer": maker}])[0]["id"]
        role = netbox.create("dcim/device-roles", [{"name": "Role", "slug": "role"}])[0]["id"]
        site = netbox.create("dcim/sites", [{"name": "Site", "slug": "site"}])[0]["id"]
        netbox.create("dcim/devices", [{"name": "theirs", "device_type": kind, "role": role, "site": site}])
        with pytest.raises(SyncStopped) as stopped:
            survey(netbox, Fabric("lab", 1, "site", "secret", site_id=site), [])
    assert stopped.value.problem.code is Code.NETBOX_NOT_READY


def test_a_bulk_refusal_names_every_bad_row(filled: ServedNetBox) -> None:
    rows = rows_of(5, "bulk")
    rows[1]["slug"] = "tag-000"
    rows[3]["slug"] = "not a slug"
    with opened(filled) as netbox:
        with pytest.raises(NetBoxError) as refused:
            netbox.create(PATH, rows)
        assert (refused.value.status, set(refused.value.rows)) == (400, {1, 3})
        assert "slug" in refused.value.rows[1]
        assert netbox.read(PATH, {"slug": [row["slug"] for row in rows if row["slug"].startswith("bulk")]}) == []


def test_a_bulk_change_refusal_names_the_bad_row(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        before = netbox.read(PATH, {"slug": WANTED[:3]}, ("slug",))
        changes = [
            {"id": row["id"], "color": color}
            for row, color in zip(before, ("112233", "nonsense!", "445566"), strict=True)
        ]
        with pytest.raises(NetBoxError) as refused:
            netbox.update(PATH, changes)
        assert set(refused.value.rows) == {1}


def test_a_bulk_change_of_a_row_that_is_gone_is_a_refusal(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        (row,) = netbox.read(PATH, {"slug": WANTED[0]})
        with pytest.raises(NetBoxError) as refused:
            netbox.update(PATH, [{"id": row["id"], "color": "112233"}, {"id": 999_999, "color": "112233"}])
        assert refused.value.status in (400, 404)


def test_what_is_changed_comes_back_in_the_order_in_which_it_was_sent(filled: ServedNetBox) -> None:
    with opened(filled) as netbox:
        ids = [row["id"] for row in netbox.read(PATH, {"slug": WANTED[:5]})]
        sent = [{"id": id_, "description": f"for {id_}"} for id_ in reversed(ids)]
        assert [(row["id"], row["description"]) for row in netbox.update(PATH, sent)] == [
            (row["id"], row["description"]) for row in sent
        ]


def test_many_objects_are_changed_only_if_none_of_them_was_changed_since(netbox: ServedNetBox) -> None:
    with opened(netbox) as door_:
        made = door_.create(PATH, rows_of(MOST_SEEN, "seen"))
        seen = [row["last_updated"] for row in made]
        changed = door_.update(PATH, [{"id": row["id"], "description": "ours"} for row in made], seen)
        assert [row["id"] for row in changed] == [row["id"] for row in made]
        door_.update(PATH, [{"id": made[-1]["id"], "description": "theirs"}])
        with pytest.raises(StaleObjectError):
            door_.update(
                PATH,
                [{"id": row["id"], "description": "again"} for row in changed],
                [row["last_updated"] for row in changed],
            )
        held = {row["description"] for row in door_.read(PATH, {}, ("description",))}
        assert held == {"ours", "theirs"}
