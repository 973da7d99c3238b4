"""Lists of one kind: pages, continue tokens, selectors and resource versions, as the real server answers them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.sandbox.fabric import answers, views
from infra.sandbox.fabric.answers import Answer
from infra.sandbox.fabric.manifests import Cluster, Stored, Table, encode
from infra.sandbox.fabric.offering import Offer
from infra.sandbox.fabric.selectors import SelectorError, test_of
from infra.sandbox.fabric.views import View

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - a format, no secret
_PATIENCE = 3.0  # seconds the real server waits for a resource version that is yet to come


class TokenError(ValueError):
    """A `continue` token that is answered 400; its text is the server's."""


@dataclass(frozen=True, slots=True)
class Token:
    """Where a list goes on: in the snapshot `revision` (-1: the newest), from the key `start` on."""

    revision: int
    start: str

    def encode(self) -> str:
        body = encode({"v": _TOKEN_VERSION, "rv": self.revision, "start": self.start}, sort=False)
        return base64.urlsafe_b64encode(body).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Token:
        """Read a token.

        Raises:
            TokenError: it is none of ours.
        """
        bad = re.search(r"[^A-Za-z0-9_-]", text)
        if bad or len(text) % 4 == 1:
            at = bad.start() if bad else len(text) - 1
            raise TokenError(f"continue key is not valid: illegal base64 data at input byte {at}")
        try:
            read = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            version, revision, start = read["v"], int(read["rv"]), str(read["start"])
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise TokenError(f"continue key is not valid: {error}") from error
        if version != _TOKEN_VERSION:
            raise TokenError(f'continue key is not valid: server does not recognize this encoded version "{version}"')
        return cls(revision, start)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One LIST: the kind, the namespace (None: all of them), the query and the form asked for."""

    offer: Offer
    namespace: str | None
    query: Mapping[str, str]
    view: View = View.PLAIN


def answer(cluster: Cluster, request: ListRequest, *, expired: bool = False, cut: bool = False) -> Answer:
    """Answer one LIST.

    Args:
        expired: treat the continue token as compacted (a fault).
        cut: leave the second half of the page out and offer no `continue` (a fault).
    """
    query = request.query
    try:
        wanted = test_of(query)
        limit = _limit(query)
        token = Token.decode(query["continue"]) if query.get("continue") else None
    except TokenError as error:
        return answers.bad_request(f"invalid continue token: {error}")
    except (SelectorError, ValueError) as error:
        return answers.bad_request(str(error))
    refused = _refused_version(cluster, query, token)
    if refused:
        return refused
    if token and (expired or (token.revision >= 0 and cluster.pinned(token.revision) is None)):
        return answers.expired_continue(Token(-1, token.start.removeprefix("/")).encode())
    revision = _revision(cluster, query, token)
    tables = cluster.pinned(revision)
    if tables is None:
        return answers.expired_list()
    found = _within(tables[request.offer.kind], request.namespace)
    if token:
        begin = token.start.removeprefix("/")
        found = found[bisect_left(found, begin, key=lambda stored: _place(stored, request.namespace)) :]
    if wanted:
        found = tuple(stored for stored in found if wanted(stored))
    page = found[:limit] if limit else found
    meta: dict[str, Any] = {"continue": "", "resourceVersion": str(revision)}
    if len(page) < len(found):
        start = _place(page[-1], request.namespace) + "\x00"
        meta["continue"] = Token(revision, start if token else "/" + start).encode()
        if not wanted:
            meta["remainingItemCount"] = len(found) - len(page)
    if cut:
        page, meta["continue"] = page[: len(page) // 2], ""
    return _render(request, page, meta)


def _revision(cluster: Cluster, query: Mapping[str, str], token: Token | None) -> int:
    if query.get("resourceVersionMatch") == "Exact":
        return int(query["resourceVersion"])
    return token.revision if token and token.revision >= 0 else cluster.pin()


def single(cluster: Cluster, offer: Offer, namespace: str, name: str, query: Mapping[str, str], view: View) -> Answer:
    """Answer one GET of one object."""
    refused = _refused_version(cluster, query, None)
    if refused:
        return refused
    stored = cluster.stored(offer.kind, name, namespace)
    if stored is None:
        return answers.missing(offer.plural, offer.group, name)
    if view is View.METADATA:
        return answers.document(views.metadata_of(stored))
    if view is View.TABLE:
        meta = {"resourceVersion": stored.object["metadata"]["resourceVersion"]}
        return answers.document(views.table(offer, meta, [stored], query.get("includeObject", "Metadata")))
    return Answer(200, stored.body + b"\n")


def _render(request: ListRequest, page: Table, meta: dict[str, Any]) -> Answer:
    if request.view is View.PLAIN:
        head = encode({"apiVersion": request.offer.api_version})[:-1]
        tail = encode({"kind": request.offer.list_kind, "metadata": meta})[1:]
        return Answer(200, head + b',"items":[' + b",".join(stored.body for stored in page) + b"]," + tail + b"\n")
    order = ("resourceVersion", "continue", "remainingItemCount")
    ordered = {key: meta[key] for key in order if meta.get(key)}
    if request.view is View.METADATA:
        return answers.document(views.metadata_list(ordered, page))
    include = request.query.get("includeObject", "Metadata")
    return answers.document(views.table(request.offer, ordered, page, include))


def _place(stored: Stored, namespace: str | None) -> str:
    """The key of an object below the prefix that is listed."""
    return stored.key[1] if namespace is not None else "/".join(stored.key)


def _within(table: Table, namespace: str | None) -> Table:
    return table if namespace is None else tuple(stored for stored in table if stored.key[0] == namespace)


def _limit(query: Mapping[str, str]) -> int:
    """The page size; 0 is all of it. A list from the cache (resourceVersion=0) has no pages."""
    text = query.get("limit", "")
    if not re.fullmatch(r"[+-]?\d+|", text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    cached = query.get("resourceVersion") == "0" and not query.get("continue")
    return 0 if cached else max(int(text or 0), 0)


def _refused_version(cluster: Cluster, query: Mapping[str, str], token: Token | None) -> Answer | None:
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not version:
        return answers.match_without_version()
    if not version:
        return None
    if not version.isdigit():
        return answers.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{version}": '
            f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
    if token and version != "0":
        return answers.bad_request("specifying resource version is not allowed when using continue")
    if int(version) > cluster.revision:
        time.sleep(_PATIENCE)
        return answers.version_too_large(int(version), cluster.revision)
    if match == "Exact" and int(version) != cluster.revision and cluster.pinned(int(version)) is None:
        return answers.expired_list()
    return None
