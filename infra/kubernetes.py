"""The door to a fabric's Kubernetes API: read-only, page by page, answers as plain JSON, all under one deadline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, cast

from kubernetes.client import ApiClient, Configuration

from infra.deadline import Deadline
from infra.kubeconfig import Credentials, KubeconfigError, parse_kubeconfig, tls_context
from infra.redaction import unsaid
from infra.transport import MAX_BYTES, Bounds, bound_api_client

__all__ = [
    "Credentials",
    "KubeconfigError",
    "KubernetesClient",
    "KubernetesError",
    "ListExpired",
    "Malformed",
    "Page",
    "Resource",
    "parse_kubeconfig",
]

_HEDGEHOG = "githedgehog.com"
_JSON = "application/json"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_SHOWN = 300  # letters of a server's own words that an error quotes
_LOOKED_AT = 65_536  # and those that secrets are looked for in, before the rest is cut away
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # RFC 1123 subdomain, as the API server requires


class Malformed(StrEnum):
    """Reasons of our own for an answer that came, but is not what the Kubernetes API answers."""

    HTML = "HTML"  # a proxy or login page stands in front of the API
    NOT_JSON = "NotJSON"  # another service, or the text breaks off
    SHAPE = "UnexpectedShape"  # JSON, but not the kind of object that was asked for
    INCONSISTENT = "InconsistentList"  # the pages of one list do not belong together
    NAME = "InvalidName"  # no object can have that name; nothing was sent


class KubernetesError(Exception):
    """The API answered, but not with what was asked for.

    `status` is the HTTP status (0: nothing was sent), `reason` the server's own (Status.reason, such as "Forbidden")
    or one of `Malformed`, `message` is meant for people, `retry_after` is in seconds or None.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        # The server's own words are not to be trusted: neither their length nor control characters, and they may say
        # back what they were told.
        reason, message = _shown(reason), _shown(message)
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class ListExpired(KubernetesError):
    """410: the snapshot that a `continue` token points into is gone; only a new list from the start is whole."""


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A kind that the API serves: where it is (group, version, plural) and what its objects call themselves."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def path(self) -> str:
        """The path of its objects in all namespaces."""
        return f"/apis/{self.group}/{self.version}/{self.plural}"


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list: objects without their managedFields, and the version of the snapshot all pages come from."""

    items: list[dict[str, Any]]
    resource_version: str


class KubernetesClient:
    """One fabric's API, as far as reading goes.

    Every request ends by `deadline` (which may be set anew between requests), is sent once and takes at most
    `max_bytes` of answer. Nothing outside this object is configured and nothing is left on disk. Raises
    `KubernetesError`, `infra.transport.TransportError`, `infra.deadline.DeadlineExceeded`, and on construction
    `KubeconfigError` when a certificate or key cannot be used.
    """

    def __init__(self, credentials: Credentials, deadline: Deadline, *, max_bytes: int = MAX_BYTES) -> None:
        # `proxy` and `no_proxy` are given, though empty, so that the environment is not asked for them.
        configuration = Configuration(
            host=credentials.server,
            api_key={"authorization": f"Bearer {credentials.token}"} if credentials.token else None,
            verify_ssl=credentials.ca_pem is not None,
            proxy="",
            no_proxy="",
            retries=False,
        )
        context = tls_context(credentials)
        self._bounds = Bounds(deadline, max_bytes)
        self._api = cast("Any", ApiClient(configuration))  # its annotations are incomplete
        self._api.user_agent = "fabric-sync"
        # A list packs to a tenth, and fabrics are rarely near. The server packs only what is over 128 KiB.
        self._api.set_default_header("Accept-Encoding", "gzip")
        self._pool = bound_api_client(self._api, self._bounds, ssl_context=context, cert_reqs=context.verify_mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @property
    def deadline(self) -> Deadline:
        """The end of every request sent from now on."""
        return self._bounds.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._bounds.deadline = deadline

    def version(self) -> str:
        """The server's version, such as "v1.36.2".

        It answers while the API's store is down, so it shows that the server is there, not that it can be read.
        """
        return _string(self._read("/version"), "gitVersion", "the version")

    def discover(self) -> frozenset[Resource]:
        """Every listable Hedgehog kind in every served version; asks once, or once per group on older servers."""
        answer = self._read("/apis", accept=_DISCOVERY)
        match answer.get("kind"):
            case "APIGroupDiscoveryList":
                return frozenset(_aggregated(answer))
            case "APIGroupList":
                return frozenset(self._group_by_group(answer))
        raise _shape("/apis answered with neither APIGroupDiscoveryList nor APIGroupList")

    def _group_by_group(self, groups: dict[str, Any]) -> Iterator[Resource]:
        for group in _objects(groups, "groups"):
            name = _string(group, "name", "a group")
            if not _is_hedgehog(name):
                continue
            for served in _objects(group, "versions"):
                version = _string(served, "version", f"a version of {name}")
                answer = self._read(f"/apis/{name}/{version}")
                for entry in _objects(answer, "resources"):
                    plural = _string(entry, "name", f"a resource of {name}")
                    if "/" not in plural and "list" in (entry.get("verbs") or ()):
                        yield Resource(name, version, plural, _string(entry, "kind", plural))

    def pages(self, resource: Resource, *, limit: int = 500, metadata_only: bool = False) -> Iterator[Page]:
        """All objects of a kind in all namespaces, page by page, to the end; a list that ends normally is complete.

        `limit` is the number of objects on a page; 0 asks for one page, which costs the server of a big quiet kind
        far less but is subject to `max_bytes`. `metadata_only` asks for the objects' metadata alone.
        Raises `ListExpired` when the snapshot is lost midway, and `KubernetesError` when the pages do not make one
        list (another resourceVersion, an object twice, objects missing by the server's own count).
        """
        wanted = "PartialObjectMetadataList" if metadata_only else f"{resource.kind}List"
        seen: set[tuple[str, str]] = set()
        tokens: set[str] = set()
        snapshot: str | None = None
        query: dict[str, str] = {"limit": str(limit)} if limit else {}
        while True:
            answer = self._read(resource.path, query, accept=_METADATA if metadata_only else _JSON)
            if answer.get("kind") != wanted:
                raise _shape(f"the list of {resource.plural} is not a {wanted}")
            metadata = _object(answer, "metadata", f"the list of {resource.plural}")
            version = _string(metadata, "resourceVersion", f"the list of {resource.plural}")
            if snapshot not in (None, version):
                raise _inconsistent(f"a page of {resource.plural} comes from another resourceVersion than the first")
            snapshot = version
            items = _objects(answer, "items")
            for item in items:
                key = _key(item, resource)
                if key in seen:
                    raise _inconsistent(f"{resource.plural} {'/'.join(key)} is listed twice")
                seen.add(key)
            token = metadata.get("continue") or ""
            if not isinstance(token, str) or token in tokens:
                raise _inconsistent(f"the list of {resource.plural} goes in circles")
            if not token and metadata.get("remainingItemCount"):
                raise _inconsistent(f"the list of {resource.plural} ends before all objects are read")
            yield Page(items, version)
            if not token:
                return
            tokens.add(token)
            query["continue"] = token

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """One object without its managedFields, or None when the API says that there is none of that name.

        `namespace` is "" for a kind without namespaces. A kind that is not served raises `KubernetesError` (404).
        """
        for part in filter(None, (namespace, name or "-")):
            if not _NAME.fullmatch(part):
                raise KubernetesError(
                    0, Malformed.NAME, f"{part!r:.{_SHOWN}} cannot be the name of a Kubernetes object"
                )
        scope = f"/namespaces/{namespace}" if namespace else ""
        path = f"/apis/{resource.group}/{resource.version}{scope}/{resource.plural}/{name}"
        try:
            answer = self._read(path)
        except KubernetesError as error:
            # A missing kind is also a 404, but in plain text and without a reason.
            if error.status == 404 and error.reason == "NotFound":
                return None
            raise
        if answer.get("kind") != resource.kind or _key(answer, resource)[1] != name:
            raise _shape(f"the answer for {resource.plural} {name} is another object")
        return answer

    def _read(self, path: str, query: dict[str, str] | None = None, *, accept: str = _JSON) -> dict[str, Any]:
        request = self._api.param_serialize(
            "GET", path, query_params=query, header_params={"Accept": accept}, auth_settings=["BearerToken"]
        )
        answer = self._api.call_api(*request)
        body: bytes = answer.read()
        if not 200 <= answer.status < 300:
            raise _refused(answer.status, answer.reason or "", answer.headers.get("Retry-After"), body)
        return _parsed(answer.status, body)


def _parsed(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        if body.lstrip()[:1] == b"<":
            message = "a web page came instead of JSON: is a proxy or a login in front of the API?"
            raise KubernetesError(status, Malformed.HTML, message) from error
        message = f"the answer of {len(body)} bytes is not JSON, or breaks off"
        raise KubernetesError(status, Malformed.NOT_JSON, message) from error
    if not isinstance(answer, dict):
        raise _shape("the answer is JSON, but not an object")
    return answer


def _refused(status: int, phrase: str, retry_after: str | None, body: bytes) -> KubernetesError:
    """The error for an answer that is not 2xx; its body is a Status object, a line of text, or anything."""
    kind = ListExpired if status == 410 else KubernetesError
    seconds = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    try:
        said = _parsed(status, body)
    except KubernetesError as unreadable:
        if unreadable.reason == Malformed.HTML:
            return kind(status, Malformed.HTML, unreadable.message, seconds)
        said = {"message": body[:_LOOKED_AT].decode(errors="replace").strip()}
    return kind(status, str(said.get("reason") or ""), str(said.get("message") or phrase or "no explanation"), seconds)


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in unsaid(text[:_LOOKED_AT])[:_SHOWN])


def _aggregated(answer: dict[str, Any]) -> Iterator[Resource]:
    for group in _objects(answer, "items"):
        name = _string(_object(group, "metadata", "a group"), "name", "a group")
        if not _is_hedgehog(name):
            continue
        for served in _objects(group, "versions"):
            version = _string(served, "version", f"a version of {name}")
            for entry in _objects(served, "resources"):
                plural = _string(entry, "resource", f"a resource of {name}")
                if "list" in (entry.get("verbs") or ()):
                    kind = _string(_object(entry, "responseKind", plural), "kind", plural)
                    yield Resource(name, version, plural, kind)


def _is_hedgehog(group: str) -> bool:
    return group == _HEDGEHOG or group.endswith(f".{_HEDGEHOG}")


def _key(item: dict[str, Any], resource: Resource) -> tuple[str, str]:
    """Namespace and name of an object, which loses its managedFields here (nearly half of its bytes)."""
    metadata = _object(item, "metadata", f"one of the {resource.plural}")
    metadata.pop("managedFields", None)
    return str(metadata.get("namespace") or ""), _string(metadata, "name", f"one of the {resource.plural}")


def _object(parent: dict[str, Any], key: str, what: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _shape(f"{what} has no {key}")
    return value


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _shape(f"{parent.get('kind') or 'the answer'} has no list of {key}")
    return value


def _string(parent: dict[str, Any], key: str, what: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise _shape(f"{what} has no {key}")
    return value


def _shape(message: str) -> KubernetesError:
    return KubernetesError(200, Malformed.SHAPE, message)


def _inconsistent(message: str) -> KubernetesError:
    return KubernetesError(200, Malformed.INCONSISTENT, message)
