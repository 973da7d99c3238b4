"""The digest of what was seen: it moves with all that the fabric says, and with nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.snapshot import Listing, Reading, Snapshot
from functions.translate import translate
from tests.functions.netbox_model import World
from tests.functions.two_sides import FABRICS, Drawn, put

SWITCH: dict[str, Any] = {
    "apiVersion": "wiring.githedgehog.com/v1beta1",
    "kind": "Switch",
    "metadata": {
        "name": "leaf-1",
        "namespace": "default",
        "uid": "a-b-c",
        "resourceVersion": "12",
        "managedFields": [{"manager": "kubectl"}],
        "labels": {"rack": "1"},
    },
    "spec": {"role": "server-leaf", "asn": 65101, "tags": ["a", "b"]},
    "status": {},
}


def seen(*items: Any, reading: Reading = Reading.COMPLETE, error: str | None = None, kind: str = "Switch") -> str:
    return Snapshot("lab", {kind: Listing(kind, reading, tuple(items), error)}).digest()


def changed(path: str, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(SWITCH)
    *parents, leaf = path.split(".")
    inside = other
    for name in parents:
        inside = inside[name]
    inside[leaf] = value
    return other


@pytest.mark.parametrize("name", ["resourceVersion", "managedFields", "labels", "annotations", "uid"])
def test_what_no_record_is_made_from_does_not_move_it(name: str) -> None:
    assert seen(changed(f"metadata.{name}", "13")) == seen(SWITCH)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FABRICS)
def test_records_are_made_from_nothing_else(drawn: Drawn) -> None:
    site = put(World(), "a", drawn.cluster("a"))
    snapshot = site.snapshot()
    listings = {
        kind: replace(listing, items=tuple(less(item) for item in listing.items))
        for kind, listing in snapshot.listings.items()
    }
    bare = Snapshot(snapshot.fabric, listings)
    assert bare.digest() == snapshot.digest()
    assert translate(bare, site.fabric) == translate(snapshot, site.fabric)


def less(item: Any) -> Any:
    metadata = item["metadata"]
    named = {name: metadata[name] for name in ("name", "namespace", "generation") if name in metadata}
    return {"metadata": named, **{name: item[name] for name in ("spec", "status") if name in item}}


@pytest.mark.parametrize(
    "other",
    [
        seen(changed("metadata.generation", 4)),
        seen(changed("metadata.namespace", "other")),
        seen(changed("metadata.name", "leaf-2")),
        seen(changed("spec.asn", "65101")),
        seen(changed("spec.tags", ["b", "a"])),
        seen(changed("status.ready", True)),
        seen(SWITCH, SWITCH),
        seen(),
        seen(reading=Reading.ABSENT),
        seen(reading=Reading.UNREAD, error="403"),
        seen(reading=Reading.UNREAD, error="404"),
        seen(SWITCH, kind="Server"),
    ],
)
def test_whatever_the_fabric_says_otherwise_moves_it(other: str) -> None:
    assert other != seen(SWITCH)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


ITEM = st.fixed_dictionaries({"spec": JSON}, optional={"status": JSON})
ITEMS = st.lists(st.just({}) | ITEM, max_size=3)


@given(ITEMS, ITEMS)
def test_two_lists_have_the_same_digest_where_they_say_the_same_and_nowhere_else(left: Any, right: Any) -> None:
    def plain(items: Any) -> str:
        return repr([sorted(item.items()) for item in items])  # tells 1 from True, which == does not

    assert (seen(*left) == seen(*right)) == (plain(left) == plain(right))
