"""Generated fabrics obey the rules that the webhooks of a real one enforce."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.admission import admit, endpoints, variant
from infra.sandbox.fabric.agents import FAKE_SECRETS
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.offering import Release
from infra.sandbox.fabric.plan import TopologyError
from infra.sandbox.fabric.topology import mesh, spine_leaf
from tests.sandbox.topology_rules import broken_rules, specs

EVERY_VARIANT = {
    *("unbundled", "bundled", "eslag", "mclag", "mclagDomain", "fabric", "gateway"),
    *("vpcLoopback", "external", "staticExternal"),
}
CRD_FOLDERS = {Release.V0_87: "v0.87.0", Release.V0_99: "v0.99.0", Release.V0_126: "v0.126.0"}


sizes = st.fixed_dictionaries(
    {
        "spines": st.integers(1, 4),
        "leaves": st.integers(1, 9),
        "links": st.integers(1, 3),
        "orphans": st.integers(0, 3),
        "mclag": st.integers(0, 2),
        "servers": st.integers(0, 5),  # per leaf
        "vpcs": st.integers(0, 8),
        "subnets": st.integers(1, 4),
        "externals": st.integers(0, 5),
        "static_externals": st.integers(0, 3),
        "loopbacks": st.booleans(),
        "gateways": st.integers(0, 3),
        "hardware": st.booleans(),
        "release": st.sampled_from(Release),
    }
)


@settings(max_examples=40, deadline=None)
@given(size=sizes, seed=st.integers(0, 1000))
def test_no_generated_spine_leaf_fabric_breaks_a_rule(size: dict[str, Any], seed: int) -> None:
    size = size | {"servers": size["servers"] * size["leaves"]}
    assert list(broken_rules(spine_leaf(size="lab", seed=seed, **size))) == []


@pytest.mark.parametrize("hardware", [False, True])
@pytest.mark.parametrize("leaves", [1, 2, 3])
def test_no_generated_mesh_breaks_a_rule(leaves: int, hardware: bool) -> None:
    cluster = mesh(leaves=leaves, gateways=2, servers=8, hardware=hardware)
    assert list(broken_rules(cluster)) == []
    assert {variant(spec) for spec in specs(cluster, "Connection").values()} >= (
        {"mesh", "gateway"} if leaves > 1 else {"gateway"}
    )


def test_a_fabric_of_every_variant_has_every_variant_and_every_spelling() -> None:
    cluster = spine_leaf(size="everything")
    connections = specs(cluster, "Connection")
    assert {variant(spec) for spec in connections.values()} == EVERY_VARIANT
    ports = [port for spec in connections.values() for _, _, port in endpoints(spec)]
    assert any(re.fullmatch(r"E1/5\d", port) for port in ports), "a cage by its own name"
    assert any(re.fullmatch(r"E1/5\d/1", port) for port in ports), "a cage by its first lane"
    assert any(re.fullmatch(r"E1/49/[234]", port) for port in ports), "a lane of a broken out cage"
    assert any("/" in port and port.startswith("nic") for port in ports), "a server port with a slash"


def test_a_large_fabric_stands_within_the_plan() -> None:
    cluster = spine_leaf(
        spines=8, leaves=120, links=1, servers=900, vpcs=150, subnets=2, externals=6, hardware=True, agents=False
    )
    assert len(cluster.names("Switch")) == 128
    assert list(broken_rules(cluster)) == []


@pytest.mark.parametrize("size", [{"leaves": 500}, {"vpcs": 3000}, {"servers": 5000}, {"subnets": 21}, {"leaves": 0}])
def test_a_fabric_beyond_the_plan_is_refused(size: dict[str, Any]) -> None:
    with pytest.raises(TopologyError):
        spine_leaf(**size)


def test_the_same_seed_makes_the_same_bytes_and_another_makes_others() -> None:
    first, again, other = (spine_leaf("a", size="everything", seed=seed).dump() for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.parametrize("release", Release)
def test_generated_objects_fit_the_schemas_of_their_release(shared: Path, release: Release) -> None:
    problems: list[str] = []
    folder = shared / "hedgehog" / "crds" / CRD_FOLDERS[release]
    for cluster in (spine_leaf(size="everything", release=release), mesh(gateways=2, release=release)):
        for path in sorted(folder.glob("*.yaml")):
            crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
            schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            kind = crd["spec"]["names"]["kind"]
            for made in cluster.objects(kind):
                problems += misfits(schema, made, f"{kind} {made['metadata']['name']}")
    assert problems == []


def misfits(schema: dict[str, Any], value: Any, where: str) -> list[str]:
    """Where a value does not fit a structural schema: types, required, enum, patterns, bounds, unknown fields."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    wanted = schema.get("type")
    if wanted and (not isinstance(value, kinds[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        return [f"{where}: {value!r} is no {wanted}"]
    found = [f"{where}: no {name}" for name in schema.get("required", ()) if name not in value]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{where}: {value!r} does not match {schema['pattern']}")
    if not schema.get("minimum", float("-inf")) <= (value if wanted == "integer" else 0) or (
        isinstance(value, list) and len(value) < schema.get("minItems", 0)
    ):
        found.append(f"{where}: {value!r} is too small")
    if isinstance(value, list):
        return found + [
            bad for n, inner in enumerate(value) for bad in misfits(schema["items"], inner, f"{where}[{n}]")
        ]
    if isinstance(value, dict) and not where.endswith(".metadata"):
        more = schema.get("additionalProperties")
        for name, inner in value.items():
            below = schema.get("properties", {}).get(name, more)
            if isinstance(below, dict):
                found += misfits(below, inner, f"{where}.{name}")
            elif below is None and not schema.get("x-kubernetes-preserve-unknown-fields") and "properties" in schema:
                found.append(f"{where}: unknown field {name}")
    return found


def test_sample_objects_are_already_as_our_admission_leaves_them(shared: Path) -> None:
    """Our labels and defaults are those of the real webhooks, as far as the samples (of v0.129) can tell."""
    sample = Cluster(managed_fields=False).load(shared / "hedgehog" / "samples" / "mesh-gw.cluster.yaml")
    for kind in ("Switch", "Connection", "External", "ExternalAttachment", "Gateway", "SwitchProfile"):
        for made in sample.objects(kind):
            before = json.loads(json.dumps(made))
            admitted = admit(made, Release.V0_99)
            assert admitted["metadata"].get("labels") == before["metadata"].get("labels")
            assert admitted["spec"] == before["spec"]
            if kind == "SwitchProfile":
                assert admitted["metadata"]["annotations"] == before["metadata"]["annotations"]


def test_agents_carry_secrets_that_a_leak_would_show_and_have_applied_what_they_were_told() -> None:
    cluster = spine_leaf()
    for made in cluster.objects("Agent"):
        text = json.dumps(made["spec"])
        assert all(json.dumps(secret)[1:-1] in text for secret in FAKE_SECRETS)
        assert not any(json.dumps(secret)[1:-1] in json.dumps(made["status"]) for secret in FAKE_SECRETS)
        assert made["status"]["lastAppliedGen"] == made["metadata"]["generation"]


def test_agents_name_their_interfaces_as_the_profile_and_the_modes_do() -> None:
    cluster = spine_leaf(size="everything")
    known = specs(cluster, "SwitchProfile")
    for made in cluster.objects("Agent"):
        switch = made["spec"]["switch"]
        ports = profiles.available(known[switch["profile"]], switch.get("portBreakouts", {}))
        assert set(made["status"]["state"]["interfaces"]) == {"M1", *ports}


def test_members_of_a_redundancy_group_share_the_numbers_of_their_lags() -> None:
    catalogs = specs(spine_leaf(size="everything"), "Catalog")
    assert catalogs["redundancy.eslag-1"]["portChannelIDs"]
    assert "portChannelIDs" not in catalogs["switch.leaf-01"]
    for spec in catalogs.values():
        for numbers in spec.values():
            plain = [number for number in numbers.values() if isinstance(number, int)]
            assert len(plain) == len(set(plain))
