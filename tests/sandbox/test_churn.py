"""The script of changes keeps a fabric valid, tells what it did, and does the same again."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.sandbox.fabric.churn import churn, steps
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.topology import mesh, spine_leaf
from tests.sandbox.topology_rules import broken_rules


@pytest.mark.parametrize("seed", range(4))
def test_no_change_breaks_a_rule(seed: int) -> None:
    cluster = spine_leaf(size="everything", agents=False, seed=seed)
    for change in steps(cluster, seed, 25):
        assert list(broken_rules(cluster)) == [], change.text


def test_the_same_seed_makes_the_same_changes() -> None:
    first, again = mesh("m", gateways=1), mesh("m", gateways=1)
    assert churn(first, 7, 12) == churn(again, 7, 12)
    assert first.dump() == again.dump()
    other = mesh("m", gateways=1)
    churn(other, 8, 12)
    assert other.dump() != first.dump()


def test_a_long_script_makes_every_kind_of_change() -> None:
    cluster = spine_leaf(size="everything", servers=30, vpcs=10, subnets=2, agents=False, leaves=8)
    actions = Counter(change.action for change in steps(cluster, 1, 120))
    assert set(actions) == {
        *("add_server", "add_vpc", "change_breakout", "describe_switch", "empty_kind", "move_link"),
        *("remove_connection", "remove_server", "remove_vpc", "renumber_vpc"),
        *("replace_switch", "swap_links", "swap_subnets"),
    }


def test_a_change_raises_the_version_of_what_it_touched_and_leaves_the_rest_alone() -> None:
    cluster = spine_leaf()

    def versions(of: Cluster) -> dict[tuple[str, str], str]:
        kinds = ("Switch", "Server", "Connection", "VPC", "VPCAttachment", "VPCPeering", "ExternalPeering")
        return {
            (kind, made["metadata"]["name"]): made["metadata"]["resourceVersion"]
            for kind in kinds
            for made in of.objects(kind)
        }

    before = versions(cluster)
    for change in steps(cluster, 3, 10):
        after = versions(cluster)
        differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert differing <= set(change.touched), change.text
        before = after


def test_agents_follow_a_change_of_their_switch_and_numbers_stay_what_they_were() -> None:
    cluster = spine_leaf(size="everything")
    held = {o["metadata"]["name"]: o["spec"] for o in cluster.objects("Catalog")}["vpcs"]["vpcVNIs"]
    generations = {o["metadata"]["name"]: o["metadata"]["generation"] for o in cluster.objects("Agent")}
    for change in steps(cluster, 2, 15):
        for kind, name in change.touched:
            if kind == "Switch" and name in cluster.names("Switch"):
                agent = cluster.get("Agent", name)
                assert agent is not None and agent["metadata"]["generation"] > generations.get(name, 0)
                assert agent["status"]["lastAppliedGen"] == agent["metadata"]["generation"]
    after = {o["metadata"]["name"]: o["spec"] for o in cluster.objects("Catalog")}["vpcs"]["vpcVNIs"]
    assert all(after[name] == number for name, number in held.items() if name in after)
