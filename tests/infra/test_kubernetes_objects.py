"""What else is asked of a Kubernetes API: its version, its kinds, one object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.kubernetes import (
    KubernetesClient,
    KubernetesError,
    Malformed,
)
from tests.kubernetes_api import CONNECTIONS, LISTS, SWITCHES, Api, Recorded, item


def test_the_version_is_the_servers(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    api.add_recorded("/version", recorded("36-version-health")[0])
    assert client.version() == "v1.36.2"


def test_discovery_in_one_answer_and_group_by_group_find_the_same(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    api.add_recorded("/apis", recorded("31-discovery-aggregated")[0])
    at_once = client.discover()
    assert len(api.asked) == 1
    for exchange in recorded("30-discovery")[:4]:
        api.add_recorded(exchange["request"]["path"], exchange)
    groups = {"wiring.githedgehog.com", "vpc.githedgehog.com"}
    older = json.loads(api.answers["/apis"][0][2])
    older["groups"] = [group for group in older["groups"] if group["name"] in groups or "hedgehog" not in group["name"]]
    api.answers["/apis"] = [(200, {"Content-Type": "application/json"}, json.dumps(older).encode())]
    one_by_one = client.discover()
    assert {CONNECTIONS, SWITCHES} <= at_once
    assert one_by_one
    assert {found for found in at_once if found.group in groups} == one_by_one
    assert not [found for found in at_once if "/" in found.plural]


def test_discovery_keeps_to_hedgehogs_own_groups(client: KubernetesClient, api: Api) -> None:
    def group(name: str) -> dict[str, Any]:
        kind = {"resource": "things", "responseKind": {"kind": "Thing"}, "verbs": ["list"]}
        return {
            "metadata": {"name": name},
            "versions": [{"version": "v1", "resources": [kind, {**kind, "resource": "x", "verbs": ["get"]}]}],
        }

    groups = ["githedgehog.com", "a.githedgehog.com", "evilgithedgehog.com", "githedgehog.com.evil", "apps"]
    api.add("/apis", {"kind": "APIGroupDiscoveryList", "items": [group(name) for name in groups]})
    found = client.discover()
    assert {(each.group, each.plural) for each in found} == {
        ("githedgehog.com", "things"),
        ("a.githedgehog.com", "things"),
    }


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "Status"},
        {"kind": "APIGroupDiscoveryList"},
        {"kind": "APIGroupDiscoveryList", "items": [{}]},
        {"kind": "APIGroupList", "groups": [{"name": "a.githedgehog.com"}]},
    ],
    ids=["status", "no items", "a group without a name", "a group without versions"],
)
def test_a_discovery_of_another_shape_is_not_believed(body: Any, client: KubernetesClient, api: Api) -> None:
    api.add("/apis", body)
    with pytest.raises(KubernetesError) as refused:
        client.discover()
    assert refused.value.reason == Malformed.SHAPE


def test_an_object_is_got_by_its_name(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    exchange = recorded("05-get-one")[0]
    api.add_recorded(exchange["request"]["path"], exchange)
    switch = client.get(SWITCHES, "default", "leaf-01")
    assert switch is not None
    assert switch["spec"] == exchange["response"]["body"]["spec"]
    assert "managedFields" not in switch["metadata"]


def test_a_missing_object_is_none_and_a_missing_kind_is_an_error(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    exchange = recorded("16-get-missing-404")[0]
    api.add_recorded(exchange["request"]["path"], exchange)
    assert client.get(SWITCHES, "default", "no-such-switch") is None
    api.add_recorded(f"{LISTS}/namespaces/default/switches/leaf-01", recorded("11-unknown-kind-404")[0])
    with pytest.raises(KubernetesError) as refused:
        client.get(SWITCHES, "default", "leaf-01")
    assert refused.value.status == 404


def test_an_object_without_a_namespace_is_got_from_the_cluster(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections/a", item("a", ""))
    assert client.get(CONNECTIONS, "", "a") is not None


def test_another_object_than_asked_for_is_not_believed(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/namespaces/default/connections/a", item("b"))
    with pytest.raises(KubernetesError, match="another object"):
        client.get(CONNECTIONS, "default", "a")


@pytest.mark.parametrize("name", ["", "..", "../secrets", "a/b", "a?x=1", "A", "a\r\nHost: b", "a" * 300])
def test_a_name_that_no_object_has_is_not_sent(name: str, client: KubernetesClient, api: Api) -> None:
    with pytest.raises(KubernetesError) as refused:
        client.get(CONNECTIONS, "default", name)
    assert (refused.value.status, refused.value.reason) == (0, Malformed.NAME)
    assert api.asked == []
