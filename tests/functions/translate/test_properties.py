"""What holds for every fabric, however strange: translation never fails, and depends on content alone."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.records import MODELS, Ref
from functions.snapshot import Listing, Reading, Snapshot
from functions.translate import Translation, translate
from tests.functions.translate.hedgehog import LAB
from tests.functions.translate.test_reading import LAB_FABRIC, snapshot

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.sampled_from(
    [
        "", "a", "leaf-01", "spine-01", "server-01", "acme-1", "E1/1", "E1/3", "E1/3/1", "leaf-01/E1/3", "server-01/a",
        "4x25G", "1x100G", "25G", "x" * 300, "\ud800", "default", "links", "profile", "switch", "port",
        "vpc-1", "ext-1", "ext.ext-1", "vpc-1/subnet-1", "10.0.1.0/24", "10.0.1.5", "0.0.0.0/0", "10.0.1.255/24", "h",
        "fd00::1/64", "1.2.3.4/33", "l3vni", "e", "b",
    ]
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        "profile", "role", "groups", "redundancy", "group", "portBreakouts", "portSpeeds", "portGroupSpeeds", "boot",
        "serial", "asn", "interfaces", "mtu", "unbundled", "bundled", "eslag", "mclagDomain", "fabric", "mesh",
        "gateway", "external", "link", "links", "peerLinks", "switch", "server", "spine", "leaf", "leaf1", "leaf2",
        "switch1", "switch2", "port", "ports", "portProfiles", "portGroups", "breakout", "default", "supported",
        "offsets", "speed", "displayName", "otherNames", "nosType", "portChannelIDs", "name", "E1/1", "E1/3", "1x100G",
        "enableAllPorts", "management", "baseNOSName", "description", "protocolIP", "QSFP28-100G", "acme-1",
        "ranges", "from", "to", "subnets", "subnet", "vlan", "gateway", "dhcp", "range", "start", "end", "static", "ip",
        "hostBGP", "vlanNamespace", "ipv4Namespace", "permit", "connection", "nativeVLAN", "vpc-1", "ext-1", "default",
        "external", "neighbor", "remoteIP", "prefixes", "prefix", "inboundACL", "statements", "seq", "staticExternal",
        "withinVPC", "nextHop", "peering", "expose", "acl", "staticRoutes", "nextHops", "mode", "options", "vpcVNIs",
        "vpcSubnetVNIs", "vpc", "subnet-1", "02:00:00:00:00:01", "inboundCommunity", "enable",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**12) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | WORDS, inner, max_size=5),
    max_leaves=20,
)
KINDS = (
    "SwitchProfile", "Switch", "Server", "Gateway", "Connection", "Catalog", "SwitchGroup", "GatewayGroup",
    "VLANNamespace", "IPv4Namespace", "VPC", "VPCAttachment", "VPCPeering", "External", "ExternalAttachment",
    "ExternalPeering", "GatewayPeering", "Peering",
)  # fmt: skip
OBJECTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS)},
    optional={
        "metadata": JSON | st.fixed_dictionaries({"name": WORDS}, optional={"namespace": JSON}),
        "spec": JSON | st.dictionaries(FIELDS, JSON, max_size=8),
    },
)


def sound(found: Translation) -> None:
    """Unique identities, fields of their model alone, texts that NetBox takes, and no reference into nothing."""
    present = {(record.model, record.key) for record in found.records}
    assert len(present) == len(found.records)
    limits = {"name": 100, "label": 100, "description": 200, "slug": 100, "model": 100, "part_number": 50}
    for record in found.records:
        assert set(record.fields) <= set(MODELS[record.model].fields)
        for name, value in record.fields.items():
            if isinstance(value, str):
                value.encode()
                assert len(value) <= (64 if record.model in ("device", "interface") and name == "name" else 200)
                assert len(value) <= limits.get(name, 200)
            for ref in value if isinstance(value, tuple) else (value,):
                if isinstance(ref, Ref):
                    assert ref.model in ("site", "cluster") or (ref.model, ref.key) in present, (record, ref)
    names = [str(record.fields["name"]).lower() for record in found.records if record.model == "device"]
    assert len(set(names)) == len(names)
    ends = [
        ref
        for record in found.records
        if record.model == "cable"
        for side in ("a_terminations", "b_terminations")
        for ref in record.fields[side]  # type: ignore[union-attr]
    ]
    assert len(set(ends)) == len(ends)


@QUICK
@given(st.lists(OBJECTS, max_size=12), st.booleans())
def test_no_fabric_is_so_malformed_that_translation_fails(objects: list[dict[str, Any]], among_good_ones: bool) -> None:
    items = [*(LAB_FABRIC if among_good_ones else ()), *objects]
    sound(translate(snapshot(*items), LAB))


@QUICK
@given(st.lists(JSON, max_size=5))
def test_things_that_are_not_even_objects_are_noted(items: list[Any]) -> None:
    listings = {kind: Listing(kind, Reading.COMPLETE, tuple(items)) for kind in KINDS}
    sound(translate(Snapshot("lab1", listings), LAB))


@QUICK
@given(st.integers(0, len(LAB_FABRIC) - 1), st.data())
def test_a_good_object_with_anything_in_one_place_never_fails(place: int, data: st.DataObject) -> None:
    def broken(value: Any) -> Any:
        if not isinstance(value, dict) or not value or data.draw(st.integers(0, 3)) == 0:
            return data.draw(JSON)
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: broken(value[key])}

    items = list(LAB_FABRIC)
    items[place] = {**items[place], "spec": broken(items[place]["spec"])}
    sound(translate(snapshot(*items), LAB))


def shuffled(value: Any, chance: random.Random) -> Any:
    """`value` with every list and every object in another order, but for lists whose order means something."""
    if isinstance(value, dict):
        keys = chance.sample(list(value), len(value))
        kept = ("offsets", "otherNames", "rules", "expose", "ips", "as")
        return {key: value[key] if key in kept else shuffled(value[key], chance) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, chance) for item in chance.sample(value, len(value))]
    return value


@QUICK
@given(st.randoms(use_true_random=False))
def test_the_order_of_lists_and_fields_changes_nothing(chance: random.Random) -> None:
    items = shuffled(list(LAB_FABRIC), chance)
    assert translate(snapshot(*items), LAB) == translate(snapshot(*LAB_FABRIC), LAB)


@QUICK
@given(st.lists(OBJECTS, max_size=8), st.sets(st.sampled_from(KINDS)))
def test_unread_kinds_never_add_or_change_a_record(objects: list[dict[str, Any]], unread: set[str]) -> None:
    items = [*LAB_FABRIC, *objects]
    full, less = translate(snapshot(*items), LAB), translate(snapshot(*items, unread=unread), LAB)
    known = {(record.model, record.key): record for record in full.records}
    assert less.complete <= full.complete or full.issues, "a bad object that was not read cannot blind"
    for record in less.records:
        if MODELS[record.model].shared:
            continue
        other = known[record.model, record.key]
        assert record.fields.items() <= other.fields.items()
        assert record.custom.items() <= other.custom.items()
