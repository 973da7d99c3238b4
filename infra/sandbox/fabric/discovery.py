"""What the fabric says it offers: /apis, /apis/<group>, /apis/<group>/<version>, plain and aggregated."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from infra.sandbox.fabric.answers import Answer, document
from infra.sandbox.fabric.manifests import encode
from infra.sandbox.fabric.offering import Offer

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]
_CORE_GROUPS = (
    ("apiregistration.k8s.io", "v1"),
    ("apps", "v1"),
    ("authentication.k8s.io", "v1"),
    ("authorization.k8s.io", "v1"),
    ("apiextensions.k8s.io", "v1"),
)


def api() -> Answer:
    """GET /api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]
    return document({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})


def groups(offers: Sequence[Offer]) -> Answer:
    """GET /apis for clients that know no aggregated discovery."""
    pairs = [*_CORE_GROUPS, *_versions(offers)]
    return document(
        {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": g} | _group(g, v) for g, v in pairs]}
    )


def group(offers: Sequence[Offer], name: str) -> Answer | None:
    """GET /apis/<group>, or None if nothing of it is offered."""
    for found, version in _versions(offers):
        if found == name:
            return document({"kind": "APIGroup", "apiVersion": "v1", "name": name} | _group(name, version))
    return None


def resources(offers: Sequence[Offer], name: str, version: str) -> Answer | None:
    """GET /apis/<group>/<version>, or None if nothing of it is offered."""
    of_group = [offer for offer in offers if (offer.group, offer.version) == (name, version)]
    if not of_group:
        return None
    listed = [entry for offer in of_group for entry in (_resource(offer), _status_resource(offer))]
    head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{name}/{version}"}
    return document(head | {"resources": listed})


def aggregated(offers: Sequence[Offer], seen: str | None) -> Answer:
    """GET /apis with the aggregated Accept; 304 when `seen` (If-None-Match) is still true."""
    items = [
        {"metadata": {"name": name}, "versions": [_aggregated_version(offers, name, version)]}
        for name, version in _versions(offers)
    ]
    return _aggregate(items, seen)


def aggregated_core(seen: str | None) -> Answer:
    """GET /api with the aggregated Accept; the core kinds themselves are not simulated."""
    return _aggregate([{"metadata": {}, "versions": [_aggregated_version((), "", "v1")]}], seen)


def _aggregate(items: list[dict[str, Any]], seen: str | None) -> Answer:
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
    body = encode(head | {"items": items}, sort=False) + b"\n"
    etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = {"Etag": etag, "Vary": "Accept"}
    if seen == etag:
        return Answer(304, b"", None, headers, "public")
    return Answer(200, body, AGGREGATED, headers, "public")


def _versions(offers: Sequence[Offer]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((offer.group, offer.version) for offer in offers))


def _group(name: str, version: str) -> dict[str, Any]:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"versions": [one], "preferredVersion": one}


def _names(offer: Offer) -> dict[str, Any]:
    short = {"shortNames": list(offer.short_names)} if offer.short_names else {}
    return short | {"categories": list(offer.categories)}


def _resource(offer: Offer) -> dict[str, Any]:
    head = {"name": offer.plural, "singularName": offer.singular, "namespaced": True, "kind": offer.kind}
    digest = hashlib.sha256(f"{offer.group}/{offer.version}/{offer.kind}".encode()).digest()[:8]
    return head | {"verbs": _VERBS} | _names(offer) | {"storageVersionHash": base64.b64encode(digest).decode()}


def _status_resource(offer: Offer) -> dict[str, Any]:
    head = {"name": f"{offer.plural}/status", "singularName": "", "namespaced": True, "kind": offer.kind}
    return head | {"verbs": _STATUS_VERBS}


def _aggregated_version(offers: Sequence[Offer], name: str, version: str) -> dict[str, Any]:
    listed = []
    for offer in offers:
        if offer.group != name:
            continue
        kind = {"group": name, "version": version, "kind": offer.kind}
        head = {"resource": offer.plural, "responseKind": kind, "scope": "Namespaced"}
        below = [{"subresource": "status", "responseKind": kind, "verbs": _STATUS_VERBS}]
        names = {"singularResource": offer.singular, "verbs": _VERBS} | _names(offer)
        listed.append(head | names | {"subresources": below})
    return {"version": version, "resources": listed, "freshness": "Current"}
