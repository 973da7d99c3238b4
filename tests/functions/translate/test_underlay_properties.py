"""What holds of the underlay for every fabric: addresses are one each, and nothing hangs on what could not be read."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.records import MODELS
from functions.translate import Translation, translate
from functions.translate.mapping import SHARED_ROLES
from tests.functions.translate.hedgehog import LAB, connection, gateway, profile, snapshot, switch, thing
from tests.functions.translate.test_properties import JSON, QUICK, shuffled, sound


def agent(name: str, kind: str = "Agent") -> Any:
    item = thing(kind, name, {})
    status = {"lastAppliedGen": 2, "version": "v1", "agentVersion": "v1", "state": {"nos": {"serialNumber": "SN"}}}
    return {**item, "metadata": {**item["metadata"], "generation": 3}, "status": status}


UNDERLAY: tuple[Any, ...] = (
    profile(),
    thing("SwitchGroup", "g", {}),
    thing("GatewayGroup", "default", {}),
    switch("leaf-01", asn=65101, ip="10.0.0.1/24", vtepIP="10.0.2.1", redundancy={"group": "g", "type": "mclag"}),
    switch("leaf-02", asn=65102, ip="10.0.0.2/24", vtepIP="10.0.2.1", redundancy={"group": "g", "type": "mclag"}),
    switch("spine-01", "spine", asn=65100, protocolIP="10.0.1.0/32", boot={"mac": "0c:20:12:ff:00:00"}),
    gateway(
        "gw-1",
        asn=65534,
        protocolIP="10.0.1.5/32",
        vtepIP="10.0.2.5/32",
        vtepMAC="CA:FE:BA:BE:01:01",
        groups=[{"name": "default", "priority": 2}],
        interfaces={"enp2s1": {"ips": ["10.0.3.3/31"]}},
        neighbors=[{"ip": "10.0.3.2", "asn": 65100, "source": "enp2s1"}, {"ip": "10.0.3.4", "asn": 65100}],
    ),
    connection(
        "f",
        fabric={
            "links": [
                {
                    "spine": {"port": "spine-01/E1/1", "ip": "10.0.3.0/31"},
                    "leaf": {"port": "leaf-01/E1/3", "ip": "10.0.3.1/31"},
                },
                {"spine": {"port": "spine-01/E1/3", "ip": "10.0.3.6/31"}, "leaf": {"port": "leaf-02/E1/1"}},
            ]
        },
    ),
    connection(
        "g",
        gateway={
            "links": [
                {
                    "switch": {"port": "spine-01/E1/2", "ip": "10.0.3.2/31"},
                    "gateway": {"port": "gw-1/enp2s1", "ip": "10.0.3.3/31"},
                }
            ]
        },
    ),
    thing("DHCPSubnet", "management", {"cidrBlock": "10.0.0.0/24", "startIP": "10.0.0.100", "endIP": "10.0.0.200"}),
    thing("Fabricator", "default", {"config": {"fabric": {"mode": "mesh", "vtepSubnet": "10.0.2.0/24"}}}, "fab"),
    thing("ControlNode", "control-1", {"management": {"ip": "10.0.0.9/24", "interface": "eno1"}}, "fab"),
    thing("FabNode", "gw-1", {"management": {"ip": "10.0.0.8/24", "interface": "mgmt"}, "roles": ["gateway"]}, "fab"),
    agent("leaf-01"),
    agent("gw-1", "GatewayAgent"),
)
KINDS = (
    "SwitchProfile", "Switch", "Server", "Gateway", "Connection", "DHCPSubnet", "Fabricator", "ControlNode", "FabNode",
    "Agent", "GatewayAgent",
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "", "leaf-01", "spine-01", "gw-1", "control-1", "default", "management", "g", "E1/1", "M1", "lo", "vtep",
        "enp2s1", "eno1", "leaf-01/E1/1", "gw-1/enp2s1", "10.0.0.1/24", "10.0.0.1", "10.0.2.1/32", "10.0.3.0/31",
        "10.0.3.2/31", "10.0.3.1/30", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.9/24", "2001:db8::1/64", "10.0.0.1/0",
        "0c:20:12:ff:00:00", "acme-1", "spine", "mclag", "gateway",
    ]
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        "ip", "protocolIP", "vtepIP", "vtepMAC", "asn", "boot", "mac", "serial", "redundancy", "group", "type",
        "interfaces", "ips", "management", "interface", "roles", "cidrBlock", "startIP", "endIP", "config", "control",
        "fabric", "managementSubnet", "vtepSubnet", "links", "spine", "leaf", "switch", "gateway", "port", "profile",
        "role", "groups", "name", "priority", "neighbors", "logs", "linkFlapErrDisable", "portAutoNegs", "mesh",
        "leaf1", "leaf2",
    ]
)  # fmt: skip
ANYTHING = st.recursive(
    WORDS | st.integers(-1, 70_000) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | WORDS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "metadata": st.fixed_dictionaries({"name": WORDS}, optional={"generation": ANYTHING}),
        "spec": st.dictionaries(FIELDS, ANYTHING, max_size=6),
    },
    optional={"status": JSON},
)


def one_each(found: Translation) -> None:
    """No address twice in a VRF, but those that NetBox lets several interfaces have; primary ones on their device."""
    hosts: Counter[tuple[object, str]] = Counter()
    roles: dict[tuple[object, str], set[object]] = {}
    interfaces = {record.key: record for record in found.records if record.model == "interface"}
    addresses = {record.key: record for record in found.records if record.model == "ip_address"}
    for record in addresses.values():
        host = (record.fields["vrf"], str(record.fields["address"]).partition("/")[0])
        hosts[host] += 1
        roles.setdefault(host, set()).add(record.fields.get("role"))
    for host, count in hosts.items():
        assert count == 1 or roles[host] <= SHARED_ROLES, host
    for record in found.records:
        primary = record.fields.get("primary_ip4")
        if record.model == "device" and primary is not None:
            held = addresses[primary.key].fields["assigned_object"]  # type: ignore[union-attr]
            assert interfaces[held.key].fields["device"].key == record.key  # type: ignore[union-attr]


@QUICK
@given(st.lists(OBJECTS, max_size=10), st.booleans())
def test_no_underlay_is_so_strange_that_an_address_is_given_twice(objects: list[dict[str, Any]], good: bool) -> None:
    found = translate(snapshot(*(UNDERLAY if good else ()), *objects), LAB)
    sound(found)
    one_each(found)


@QUICK
@given(st.lists(OBJECTS, max_size=8), st.sets(st.sampled_from(KINDS)))
def test_unread_kinds_never_add_or_change_a_record_of_the_underlay(
    objects: list[dict[str, Any]], unread: set[str]
) -> None:
    items = [*UNDERLAY, *objects]
    known = {(record.model, record.key): record for record in translate(snapshot(*items), LAB).records}
    less = translate(snapshot(*items, unread=unread), LAB)
    assert unread <= less.unseen
    for record in less.records:
        if not MODELS[record.model].shared:
            other = known[record.model, record.key]
            assert record.fields.items() <= other.fields.items()
            assert record.custom.items() <= other.custom.items()


@QUICK
@given(st.sets(st.sampled_from(KINDS)))
def test_what_is_gone_with_an_unread_kind_is_of_an_incomplete_model_or_of_an_unseen_kind(unread: set[str]) -> None:
    full, less = translate(snapshot(*UNDERLAY), LAB), translate(snapshot(*UNDERLAY, unread=unread), LAB)
    mine = {(record.model, record.key) for record in less.records}
    for record in full.records:
        if (record.model, record.key) in mine or MODELS[record.model].shared or MODELS[record.model].named:
            continue
        assert record.model not in less.complete or record.key.split("/")[1] in less.unseen, record.key


@QUICK
@given(st.randoms(use_true_random=False))
def test_the_order_of_an_underlays_lists_changes_nothing(chance: random.Random) -> None:
    items = shuffled(list(UNDERLAY), chance)
    assert translate(snapshot(*items), LAB) == translate(snapshot(*UNDERLAY), LAB)
