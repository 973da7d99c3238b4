"""Real fabrics (samples beside the repository): counts by hand, and what must hold of every link."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.records import Record, Ref
from functions.translate import Translation, translate
from functions.translate.variants import VARIANTS
from tests.functions.translate.hedgehog import EVERYTHING, LAB, codes, of, snapshot, switch

SAMPLES = {
    "spineleaf-default": ("spineleaf-default.cluster.yaml", "spineleaf-default.controller.yaml"),
    "docs-build-wiring": ("docs-build-wiring.cluster.yaml", "docs-build-wiring.controller.yaml"),
    "mesh-gw": ("mesh-gw.cluster.yaml",),
    "spineleaf-8x24": ("spineleaf-8x24.cluster.yaml", "spineleaf-8x24.controller.yaml.gz"),
    "medium-64": ("medium-64.cluster.yaml", "medium-64.controller.yaml.gz"),
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UNREAD = {"Agent", "GatewayAgent"}

COUNTS: dict[str, dict[str, int]] = {
    # 5 switches of 48 ports and M1, 5 + 3 loopbacks, 10 server ports, 4 bonds, LAGs: 2 ESLAGs on 2 switches, 2 bundles;
    # cables: 6 spine-leaf pairs of 2, 2 ESLAGs and 2 bundles of 2, 2 single ones
    "spineleaf-default": {"device": 5 + 6, "interface": 5 * 49 + 8 + 10 + 4 + 6, "cable": 12 + 8 + 2},
    # 60 leaves of 33 ports and M1 (some cages in 4 lanes) and 4 spines; counted by the authors of the sample,
    # but for the parts of two ports that carry the two externals
    "medium-64": {"device": 64 + 720, "interface": 7100 + 2, "cable": 1800},
}


@pytest.fixture(scope="session")
def objects(shared: Path) -> Any:
    """The objects of a sample by its name, read once."""
    read: dict[str, list[Any]] = {}

    def load(name: str) -> list[Any]:
        if name not in read:
            read[name] = []
            for file in SAMPLES[name]:
                place = shared / "hedgehog" / "samples" / file
                text = gzip.decompress(place.read_bytes()) if file.endswith(".gz") else place.read_bytes()
                documents = text.decode().split("\n---\n")
                wanted = [part for part in documents if not any(f"\nkind: {kind}\n" in part for kind in UNREAD)]
                read[name] += [item for part in wanted if (item := yaml.load(part, Loader=LOADER))]
        return read[name]

    return load


def links(objects: list[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every link of every connection: the connection and its ends as (kind, `device/port`)."""
    for item in objects:
        if item["kind"] != "Connection":
            continue
        for variant in VARIANTS:
            body = item["spec"].get(variant.key)
            found = body.get(variant.links, []) if body else []
            for one in found if isinstance(found, list) else [found]:
                yield item["metadata"]["name"], [(end.kind, one[end.at]["port"]) for end in variant.ends]


def plain(ref: Ref) -> tuple[str, str]:
    """An interface's reference as (kind, `device/port`), lane 1 of a cage being the cage."""
    kind, _, rest = ref.key.removeprefix("lab1/").split("/", 2)
    return kind, rest.replace("#", "/")


def same(ref: Ref, end: tuple[str, str]) -> bool:
    return plain(ref) in (end, (end[0], f"{end[1]}/1"))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_link_of_a_sample_is_one_cable_between_the_two_ports_it_names(name: str, objects: Any) -> None:
    found = translate(snapshot(*objects(name)), LAB)
    cables = [record for record in found.records if record.model == "cable"]
    by_connection: dict[str, list[Record]] = {}
    for record in cables:
        by_connection.setdefault(record.key.split("/")[3].split("#")[0], []).append(record)
    wanted = [(conn, ends) for conn, ends in links(objects(name)) if len(ends) == 2]
    assert len(wanted) == len(cables)
    for conn, (first, second) in wanted:
        matching = [
            record
            for record in by_connection[conn]
            if same(record.fields["a_terminations"][0], first)  # type: ignore[index, arg-type]
            and same(record.fields["b_terminations"][0], second)  # type: ignore[index, arg-type]
        ]
        assert len(matching) == 1, (conn, first, second)
    assert found.issues == ()
    assert found.complete == EVERYTHING


def ends(found: Translation) -> list[Ref]:
    return [
        ref
        for record in found.records
        if record.model == "cable"
        for side in ("a_terminations", "b_terminations")
        for ref in record.fields[side]  # type: ignore[union-attr]
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_cable_end_is_an_interface_of_its_own_and_every_lag_is_on_the_device_of_its_members(
    name: str, objects: Any
) -> None:
    found = translate(snapshot(*objects(name)), LAB)
    interfaces = of(found, "interface")
    assert max(Counter(ends(found)).values()) == 1
    assert {ref.key for ref in ends(found)} <= set(interfaces)
    members: Counter[str] = Counter()
    for record in interfaces.values():
        lag = record.fields.get("lag")
        if isinstance(lag, Ref):
            assert interfaces[lag.key].fields["type"] == "lag"
            assert interfaces[lag.key].fields["device"] == record.fields["device"]
            members[lag.key] += 1
    assert set(members) == {key for key, record in interfaces.items() if record.fields["type"] == "lag"}


@pytest.mark.parametrize("name", COUNTS)
def test_the_numbers_are_those_counted_by_hand(name: str, objects: Any) -> None:
    found = translate(snapshot(*objects(name)), LAB)
    counted = Counter(record.model for record in found.records)
    assert {model: counted[model] for model in COUNTS[name]} == COUNTS[name]


def test_an_eslag_of_a_sample_has_the_number_of_its_catalog_on_both_switches(objects: Any) -> None:
    shown = of(translate(snapshot(*objects("spineleaf-default")), LAB), "interface")
    conn = "lab1/Connection/default/server-02--eslag--leaf-01--leaf-02"
    assert [shown[f"{conn}#lag:{leaf}"].fields["name"] for leaf in ("leaf-01", "leaf-02")] == ["PortChannel2"] * 2
    assert shown["lab1/Connection/default/server-04--bundled--leaf-02#lag:leaf-02"].fields["name"] == "PortChannel3"
    assert shown["lab1/Connection/default/server-06--bundled--leaf-03#lag:leaf-03"].fields["name"] == "PortChannel1"


def test_the_lanes_of_a_broken_out_spine_are_ports_of_their_own(objects: Any) -> None:
    found = translate(snapshot(*objects("docs-build-wiring")), LAB)
    spines = [item["metadata"]["name"] for item in objects("docs-build-wiring") if item["spec"].get("role") == "spine"]
    assert len(spines) == 2
    for spine in spines:
        lanes = {
            key.partition("#")[2]: (record.fields["type"], record.custom["fabric_nos_name"])
            for key, record in of(found, "interface").items()
            if key.startswith(f"lab1/Switch/default/{spine}#E1/1/")
        }
        assert lanes == {f"E1/1/{lane}": ("100gbase-x-qsfp28", f"Ethernet{2 * (lane - 1)}") for lane in (1, 2, 3, 4)}


def test_the_pages_of_the_manual_translate_as_far_as_their_devices_go(shared: Path) -> None:
    for page in sorted((shared / "hedgehog" / "samples" / "docs-release-25.04").glob("*.yaml")):
        items = [item for item in yaml.safe_load_all(page.read_text()) if item]
        found = translate(snapshot(*items), LAB)
        devices = {(item["kind"], item["metadata"]["name"]) for item in items}
        kinds = ("Switch", "Server", "Gateway", "ControlNode")
        assert len(of(found, "device")) == sum(kind in kinds for kind, _ in devices)
        assert "malformed" not in {str(code) for _, code in codes(found)}, page.name


def test_every_profile_that_hedgehog_ships_gives_ports_with_a_type_and_a_speed(shared: Path) -> None:
    place = shared / "hedgehog" / "samples" / "switchprofiles-v0.129.1.yaml"
    items = [item for item in yaml.load_all(place.read_bytes(), Loader=LOADER) if item]
    switches = [switch(item["metadata"]["name"], "spine", profile=item["metadata"]["name"]) for item in items]
    found = translate(snapshot(*items, *switches), LAB)
    assert found.issues == ()
    assert {record.fields["manufacturer"].key for record in of(found, "device_type").values()} == {  # type: ignore[union-attr]
        "dell", "celestica", "edgecore", "supermicro", "hedgehog",
    }  # fmt: skip
    for record in of(found, "interface").values():
        data = not record.fields["mgmt_only"]
        assert bool(record.fields.get("speed")) == data, record
        assert (record.fields["type"] == "other") == (data and "/vs#" in record.key), record
        assert record.custom["fabric_nos_name"], record
