"""Lists from a Kubernetes API: read to the end, or not believed."""

from __future__ import annotations

import copy
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.kubernetes import (
    KubernetesClient,
    KubernetesError,
    ListExpired,
    Malformed,
    Resource,
)
from tests.kubernetes_api import CONNECTIONS, LISTS, TOKEN, WIRING, Api, Recorded, item, names, page


def test_a_recorded_list_is_followed_to_its_end(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    first, second = recorded("01-list-limit2-page1-page2")
    last = copy.deepcopy(second)
    last["response"]["body"]["items"] = [item("zz-last")]
    last["response"]["body"]["metadata"] = {"continue": "", "resourceVersion": "2174"}
    for exchange in (first, second, last):
        api.add_recorded(f"{LISTS}/connections", exchange)
    pages = list(client.pages(CONNECTIONS, limit=2))
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {page.resource_version for page in pages} == {"2174"}
    assert all("managedFields" not in item["metadata"] for page in pages for item in page.items)
    assert pages[0].items[0]["spec"] == first["response"]["body"]["items"][0]["spec"]
    tokens = [exchange["response"]["body"]["metadata"]["continue"] for exchange in (first, second)]
    assert [query for _, query, _ in api.asked] == [
        {"limit": "2"},
        {"limit": "2", "continue": tokens[0]},
        {"limit": "2", "continue": tokens[1]},
    ]
    assert {path for path, _, _ in api.asked} == {f"{LISTS}/connections"}, "not all namespaces"
    assert {sent["authorization"] for _, _, sent in api.asked} == {f"Bearer {TOKEN}"}


def test_an_empty_list_is_one_empty_page(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    groups = Resource(WIRING, "v1beta1", "switchgroups", "SwitchGroup")
    api.add_recorded(groups.path, recorded("04-list-empty-missing-namespace-clusterwide")[0])
    assert [page.items for page in client.pages(groups)] == [[]]


def test_metadata_alone_is_asked_for_by_its_own_media_type(
    client: KubernetesClient, api: Api, recorded: Recorded
) -> None:
    first = recorded("32-partialobjectmetadata")[0]
    api.add_recorded(f"{LISTS}/connections", first)
    # On the last page of this kind of list `continue` is left out altogether.
    api.add(f"{LISTS}/connections", {
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": first["response"]["body"]["metadata"]["resourceVersion"]},
        "items": [{"kind": "PartialObjectMetadata", "metadata": {"name": "zz", "namespace": "default"}}],
    })  # fmt: skip
    pages = list(client.pages(CONNECTIONS, limit=2, metadata_only=True))
    assert sum(len(page.items) for page in pages) == len(first["response"]["body"]["items"]) + 1
    assert {sent["accept"] for _, _, sent in api.asked} == {first["request"]["headers"]["Accept"]}


def test_a_list_without_pages_says_no_limit(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections", page(item("a"), item("b")))
    assert names(client, limit=0) == ["a", "b"]
    assert api.asked[0][1] == {}


def test_one_name_in_two_namespaces_is_two_objects(client: KubernetesClient, api: Api) -> None:
    api.add(f"{LISTS}/connections", page(item("a", "one"), item("a", "two")))
    assert names(client) == ["a", "a"]


def test_a_packed_list_is_unpacked(client: KubernetesClient, api: Api) -> None:
    packed = gzip.compress(json.dumps(page(item("a"))).encode())
    api.add(f"{LISTS}/connections", packed, **{"Content-Encoding": "gzip"})
    assert names(client) == ["a"]
    assert api.asked[0][2]["accept-encoding"] == "gzip"


LIES: dict[str, tuple[list[Any], Malformed]] = {
    "another snapshot": ([page(item("a"), token="t"), page(item("b"), version="8")], Malformed.INCONSISTENT),
    "an object on two pages": ([page(item("a"), token="t"), page(item("a"))], Malformed.INCONSISTENT),
    "an object twice on a page": ([page(item("a"), item("a"))], Malformed.INCONSISTENT),
    "a circle": ([page(item("a"), token="t"), page(item("b"), token="t")], Malformed.INCONSISTENT),
    "a circle of empty pages": ([page(token="t"), page(token="t")], Malformed.INCONSISTENT),
    "an end before the end": ([page(item("a"), remainingItemCount=3)], Malformed.INCONSISTENT),
    "a token that is no text": ([page(item("a"), **{"continue": 5})], Malformed.INCONSISTENT),
    "another kind": ([page(item("a"), kind="SwitchList")], Malformed.SHAPE),
    "an object for a list": ([item("a")], Malformed.SHAPE),
    "a status": ([{"kind": "Status", "status": "Success"}], Malformed.SHAPE),
    "no items": ([{**page(), "items": None}], Malformed.SHAPE),
    "items that are no objects": ([page("a")], Malformed.SHAPE),
    "an item without metadata": ([page({"kind": "Connection"})], Malformed.SHAPE),
    "an item without a name": ([page({"metadata": {"namespace": "default"}})], Malformed.SHAPE),
    "no metadata": ([{"kind": "ConnectionList", "items": []}], Malformed.SHAPE),
    "no resourceVersion": ([page(version="")], Malformed.SHAPE),
    "a list": ([[1, 2]], Malformed.SHAPE),
    "null": ([None], Malformed.SHAPE),
    "truncated": ([b'{"kind": "ConnectionList", "items": [{"meta'], Malformed.NOT_JSON),
    "nothing": ([b""], Malformed.NOT_JSON),
    "too deep": ([b"[" * 200_000], Malformed.NOT_JSON),
    "no text": ([b"\xff\xfe\xfd"], Malformed.NOT_JSON),
    "a web page": ([b"\n<html><body>Log in"], Malformed.HTML),
}


@pytest.mark.parametrize("bodies", LIES)
def test_a_list_is_not_believed_with(bodies: str, client: KubernetesClient, api: Api) -> None:
    sent, reason = LIES[bodies]
    for body in sent:
        api.add(f"{LISTS}/connections", body)
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.status, refused.value.reason) == (200, reason)


def test_an_expired_list_is_said_to_be_expired(client: KubernetesClient, api: Api, recorded: Recorded) -> None:
    for exchange in recorded("41-expired-continue-410")[:2]:
        api.add_recorded(f"{LISTS}/connections", exchange)
    pages = client.pages(CONNECTIONS, limit=2)
    next(pages)
    with pytest.raises(ListExpired) as expired:
        next(pages)
    assert (expired.value.status, expired.value.reason) == (410, "Expired")


# File, exchange, and what must be read out of it: status, reason, part of the message, seconds to wait.
REFUSALS = [
    ("12-bad-token-401", 0, 401, "Unauthorized", "Unauthorized", None),
    ("12-bad-token-401", 2, 403, "Forbidden", "system:anonymous", None),
    ("11-unknown-kind-404", 0, 404, "", "404 page not found", None),
    ("40-first-list-after-start-429", 0, 429, "TooManyRequests", "storage is (re)initializing", 1.0),
    ("43-too-many-requests-429-plain", 0, 429, "", "Too many requests, please try again later.", 1.0),
    ("43-too-many-requests-429-apf", 0, 429, "", "Too many requests, please try again later.", 1.0),
    ("10-bogus-continue-token-400", 0, 400, "BadRequest", "continue key is not valid", None),
    ("45-etcd-killed", 0, 504, "Timeout", "did not complete within the allotted timeout", None),
]


@pytest.mark.parametrize(
    ("name", "index", "status", "reason", "message", "wait"), REFUSALS, ids=[f"{row[0]}-{row[1]}" for row in REFUSALS]
)
def test_a_recorded_refusal_is_read(
    name: str, index: int, status: int, reason: str, message: str, wait: float | None,
    client: KubernetesClient, api: Api, recorded: Recorded,
) -> None:  # fmt: skip
    api.add_recorded(f"{LISTS}/connections", recorded(name)[index])
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (status, reason, wait)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b"<html><h1>502 Bad Gateway</h1>", Malformed.HTML, "a web page came instead"),
        (b"", "", "Some Phrase"),
        (b"upstream\x1b[31m sad\r\nX: y", "", "upstream [31m sad  X: y"),
        (b"x" * 100_000, "", "x" * 300),
        (json.dumps({"message": ["a"], "reason": {"b": 1}}).encode(), "{'b': 1}", "['a']"),
        (json.dumps({"message": "m" * 100_000, "reason": "r" * 100_000}).encode(), "r" * 300, "m" * 300),
    ],
    ids=["web page", "nothing", "control letters", "long text", "odd status", "long status"],
)
def test_a_proxys_refusal_is_told_in_few_plain_letters(
    body: bytes, reason: str, message: str, client: KubernetesClient, api: Api
) -> None:
    api.add(f"{LISTS}/connections", body, status=502, **{"Retry-After": "soon"})
    with pytest.raises(KubernetesError) as refused:
        names(client)
    assert (refused.value.reason, refused.value.retry_after) == (reason, None)
    assert refused.value.message.startswith(message)
    assert len(refused.value.message) <= 300


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LISTLIKE = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.just("ConnectionList") | ANY_JSON,
        "items": st.lists(st.fixed_dictionaries({}, optional={"metadata": ANY_JSON}) | ANY_JSON, max_size=3) | ANY_JSON,
        "metadata": st.fixed_dictionaries(
            {}, optional={"resourceVersion": st.just("1") | ANY_JSON, "continue": st.just("") | ANY_JSON}
        )
        | ANY_JSON,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=LISTLIKE | ANY_JSON)
def test_whatever_json_comes_no_other_error_escapes(body: Any, client: KubernetesClient, api: Api) -> None:
    api.answers[f"{LISTS}/connections"] = [(200, {"Content-Type": "application/json"}, json.dumps(body).encode())]
    try:
        names(client)
    except KubernetesError as refused:
        assert str(refused)
