"""The underlay and the state of real fabrics (samples beside the repository): counts by hand, and what must hold."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.kinds import BY_NAME
from functions.observe import trimmed
from functions.records import Record, Ref
from functions.translate import Translation, translate
from tests.functions.translate.hedgehog import LAB, of, snapshot
from tests.functions.translate.test_samples import LOADER, SAMPLES
from tests.functions.translate.test_underlay_properties import one_each

type Fabric = tuple[list[Any], Translation]

LINKED = ("fabric", "mesh", "gateway")

COUNTS: dict[str, dict[str, int]] = {
    # 5 switches (3 of them leaves, with a VTEP), 12 links of a /31 with 2 ends; spines share an AS number
    "spineleaf-default": {"ip_address": 5 + 5 + 3 + 24, "p2p": 12, "asn": 4, "mac_address": 5},
    # 6 switches (4 leaves), a gateway with 2 loopbacks and a VTEP's MAC, 16 spine-leaf links and 2 to the gateway
    "docs-build-wiring": {"ip_address": 6 + 6 + 4 + 2 + 36, "p2p": 18, "asn": 6, "mac_address": 7},
    # 3 leaves in a mesh of 6 links, 2 gateways with 2 links and 2 loopbacks each; one neighbor of an External
    "mesh-gw": {"ip_address": 3 + 3 + 3 + 4 + 20, "p2p": 10, "asn": 5, "mac_address": 5},
    # 64 switches (60 of them leaves), 480 links; the addresses and prefixes of tenants are counted elsewhere
    "medium-64": {"ip_address": 64 + 64 + 60 + 960, "p2p": 480, "asn": 61, "mac_address": 64},
}


@pytest.fixture(scope="session")
def fabric(shared: Path) -> Callable[[str], Fabric]:
    """The objects of a sample as `observe` lets them out, and their translation; worked out once."""
    read: dict[str, Fabric] = {}

    def load(name: str) -> Fabric:
        if name not in read:
            items = []
            for file in SAMPLES[name]:
                data = (shared / "hedgehog" / "samples" / file).read_bytes()
                text = gzip.decompress(data) if file.endswith(".gz") else data
                items += [trimmed(item, BY_NAME[item["kind"]]) for item in yaml.load_all(text, Loader=LOADER) if item]
            read[name] = items, translate(snapshot(*items), LAB)
        return read[name]

    return load


def own(found: Translation, model: str) -> list[Record]:
    """The records of `model` that come from switches, gateways and their links."""
    return [
        record for key, record in of(found, model).items() if key.split("/")[1] in ("Switch", "Gateway", "Connection")
    ]


@pytest.mark.parametrize("name", COUNTS)
def test_the_underlay_has_as_many_objects_as_were_counted_by_hand(name: str, fabric: Callable[[str], Fabric]) -> None:
    _, found = fabric(name)
    links = [record for record in of(found, "prefix").values() if record.fields["role"] == Ref("role", "fabric-p2p")]
    counted = {
        "ip_address": len(own(found, "ip_address")),
        "p2p": len(links),
        "asn": len(of(found, "asn")),
        "mac_address": len(of(found, "mac_address")),
    }
    assert counted == COUNTS[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_address_of_a_link_is_on_the_port_that_names_it_and_no_other_has_it(
    name: str, fabric: Callable[[str], Fabric]
) -> None:
    items, found = fabric(name)
    one_each(found)
    held = {
        (str(record.fields["address"]), record.fields["assigned_object"].key.partition("/")[2])  # type: ignore[union-attr]
        for record in own(found, "ip_address")
    }
    networks = {record.fields["prefix"] for record in of(found, "prefix").values()}
    wanted = 0
    for item in items:
        for variant in LINKED if item["kind"] == "Connection" else ():
            for link in item["spec"].get(variant, {}).get("links", []):
                for side, end in link.items():
                    device, port = end["port"].split("/", 1)
                    kind = "Gateway" if side == "gateway" else "Switch"
                    place = f"{kind}/default/{device}#{port}"
                    assert (end["ip"], place) in held or (end["ip"], f"{place}/1") in held, (name, end)
                    assert str(ip_interface(end["ip"]).network) in networks
                    wanted += 1
    assert wanted == 2 * sum(
        record.fields["role"] == Ref("role", "fabric-p2p") for record in of(found, "prefix").values()
    )
    assert found.issues == ()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_switch_is_managed_at_its_own_address_and_named_by_its_own_numbers(
    name: str, fabric: Callable[[str], Fabric]
) -> None:
    items, found = fabric(name)
    devices, addresses, interfaces = of(found, "device"), of(found, "ip_address"), of(found, "interface")
    for item in items:
        if item["kind"] != "Switch":
            continue
        key, spec = f"lab1/Switch/default/{item['metadata']['name']}", item["spec"]
        primary = devices[key].fields["primary_ip4"]
        assert addresses[primary.key].fields["address"] == spec["ip"]  # type: ignore[union-attr]
        assert addresses[primary.key].fields["assigned_object"] == Ref("interface", f"{key}#M1")  # type: ignore[union-attr]
        loopbacks = {port: addresses.get(f"{key}#ip:{port}") for port in ("Loopback1", "Loopback2")}
        assert loopbacks["Loopback1"] is not None
        assert loopbacks["Loopback1"].fields["address"] == spec["protocolIP"]
        assert (loopbacks["Loopback2"] is None) == ("vtepIP" not in spec) == (f"{key}#Loopback2" not in interfaces)
        assert str(spec["asn"]) in of(found, "asn")
        mac = interfaces[f"{key}#M1"].fields["primary_mac_address"]
        assert of(found, "mac_address")[mac.key].fields["mac_address"] == spec["boot"]["mac"].upper()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name, files in SAMPLES.items() if len(files) > 1])
def test_every_switch_and_gateway_tells_what_its_agent_tells(name: str, fabric: Callable[[str], Fabric]) -> None:
    items, found = fabric(name)
    told = Counter[str]()
    for item in items:
        kind = {"Agent": "Switch", "GatewayAgent": "Gateway"}.get(item["kind"])
        if kind is None:
            continue
        told[kind] += 1
        status, custom = item["status"], of(found, "device")[f"lab1/{kind}/default/{item['metadata']['name']}"].custom
        assert custom["fabric_applied_gen"] == status["lastAppliedGen"]
        assert custom["fabric_desired_gen"] == item["metadata"]["generation"]
        assert custom["fabric_ready"] is (status["lastAppliedGen"] == item["metadata"]["generation"])
        assert custom["fabric_agent_version"] == status["version" if kind == "Switch" else "agentVersion"]
        if kind == "Switch":
            fields = of(found, "device")[f"lab1/Switch/default/{item['metadata']['name']}"].fields
            assert fields["serial"] == status["state"]["nos"]["serialNumber"]
        assert "spec" not in item, "an agent's spec holds secrets: it must not have come this far"
    assert told["Switch"] == sum(key.startswith("lab1/Switch/") for key in of(found, "device"))
