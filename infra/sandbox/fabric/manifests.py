"""The object store of one simulated fabric: what etcd holds, with the metadata an API server adds."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from infra.sandbox.fabric.offering import BY_KIND, Release

type Json = dict[str, Any]
type Key = tuple[str, str]
"""Namespace and name."""

DEFAULT_NAMESPACE = "default"
_EPOCH = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
_FIRST_REVISION = 1000
_PINS = 256  # snapshots kept for paging before the oldest counts as compacted
_CONTROLLER_KINDS = frozenset({"Agent", "Catalog", "DHCPSubnet", "VPCInfo", "GatewayAgent", "SwitchProfile"})


class ManifestError(Exception):
    """A manifest cannot become an object of a fabric: it says which one and why."""


class _PlainLoader(yaml.CSafeLoader):
    """YAML whose timestamps stay text, as in the JSON that the API server speaks."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(slots=True)
class Stored:
    """One version of one object; never changed once made, so that snapshots may share it."""

    object: Json
    _body: bytes | None = field(default=None, repr=False)

    @property
    def body(self) -> bytes:
        """The object as the server sends it: compact JSON, keys sorted, HTML characters escaped as Go does."""
        if self._body is None:
            self._body = encode(self.object)
        return self._body

    @property
    def key(self) -> Key:
        meta = self.object["metadata"]
        return meta["namespace"], meta["name"]


type Table = tuple[Stored, ...]
"""All objects of one kind, in the order of etcd's keys: by namespace, then name."""


def encode(value: Any, *, sort: bool = True) -> bytes:
    """JSON as the API server writes it (custom resources with sorted keys, its own types in field order)."""
    text = json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode()


class Cluster:
    """The custom resources of one fabric under one revision counter.

    Every write raises `revision` by one; `generation` moves only with spec. Tables are rebuilt lazily and never
    changed in place: a pinned revision therefore costs one small dictionary. Safe for use by several threads.
    Everything that a store invents (uids, times) follows from `name` and the order of the writes.
    """

    def __init__(self, name: str = "fabric", *, release: Release = Release.V0_126, managed_fields: bool = True) -> None:
        self.name = name
        self.release = release
        self.managed_fields = managed_fields
        self.revision = _FIRST_REVISION
        self._lock = threading.RLock()
        self._objects: dict[str, dict[Key, Stored]] = {kind: {} for kind in BY_KIND}
        self._tables: dict[str, Table] = {}
        self._pins: OrderedDict[int, dict[str, Table]] = OrderedDict()

    # Reading.

    def get(self, kind: str, name: str, namespace: str = DEFAULT_NAMESPACE) -> Json | None:
        """A private copy of one object, or None."""
        stored = self.stored(kind, name, namespace)
        return _copy(stored.object) if stored else None

    def stored(self, kind: str, name: str, namespace: str = DEFAULT_NAMESPACE) -> Stored | None:
        """One object as stored; not to be changed."""
        return self._objects[kind].get((namespace, name))

    def objects(self, kind: str) -> Iterator[Json]:
        """Private copies of all objects of a kind, in order."""
        return (_copy(stored.object) for stored in self.table(kind))

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of all objects of a kind, in order."""
        return tuple(stored.object["metadata"]["name"] for stored in self.table(kind))

    def table(self, kind: str) -> Table:
        """All objects of a kind now."""
        with self._lock:
            table = self._tables.get(kind)
            if table is None:
                held = self._objects[kind]
                table = self._tables[kind] = tuple(held[key] for key in sorted(held, key="/".join))
            return table

    def pin(self) -> int:
        """Keep all tables as they are now for later pages; the revision under which `pinned` finds them."""
        with self._lock:
            if self.revision not in self._pins:
                self._pins[self.revision] = {kind: self.table(kind) for kind in BY_KIND}
                while len(self._pins) > _PINS:
                    self._pins.popitem(last=False)
            return self.revision

    def pinned(self, revision: int) -> dict[str, Table] | None:
        """The tables as they were at `revision`, or None when that is compacted (or never was)."""
        with self._lock:
            if revision == self.revision:
                return {kind: self.table(kind) for kind in BY_KIND}
            return self._pins.get(revision)

    def compact(self) -> None:
        """Forget all old revisions, as etcd does every five minutes: tokens given out before are expired."""
        with self._lock:
            self.revision += 1
            self._pins.clear()

    def dump(self) -> bytes:
        """Everything in one byte string: equal bytes, equal stores."""
        with self._lock:
            return b"\n".join(stored.body for kind in BY_KIND for stored in self.table(kind))

    # Writing.

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Add an object; uid, creationTimestamp, generation, resourceVersion and managedFields are filled in."""
        with self._lock:
            kind, key, made = self._read(manifest)
            if key in self._objects[kind]:
                raise ManifestError(f"{kind} {'/'.join(key)} already exists in {self.name}")
            self.revision += 1
            meta = made["metadata"]
            meta["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}/{kind}/{'/'.join(key)}@{self.revision}"))
            meta["creationTimestamp"] = self._now()
            meta.setdefault("generation", 1)
            self._store(kind, key, made)

    def replace(self, manifest: Mapping[str, Any]) -> None:
        """Put a new version in the place of an object; identity stays, generation moves if spec differs."""
        with self._lock:
            kind, key, made = self._read(manifest)
            old = self._objects[kind].get(key)
            if old is None:
                raise ManifestError(f"{kind} {'/'.join(key)} does not exist in {self.name}")
            self.revision += 1
            meta, was = made["metadata"], old.object["metadata"]
            meta["uid"], meta["creationTimestamp"] = was["uid"], was["creationTimestamp"]
            meta["generation"] = was["generation"] + (made.get("spec") != old.object.get("spec"))
            self._store(kind, key, made)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create the object, or replace it if it is there."""
        with self._lock:
            kind, key, _ = self._read(manifest)
            (self.replace if key in self._objects[kind] else self.create)(manifest)

    def patch(self, kind: str, name: str, change: Mapping[str, Any], namespace: str = DEFAULT_NAMESPACE) -> None:
        """Merge `change` into an object (RFC 7386: null removes a key)."""
        with self._lock:
            held = self.get(kind, name, namespace)
            if held is None:
                raise ManifestError(f"{kind} {namespace}/{name} does not exist in {self.name}")
            self.replace(_merge(held, change))

    def delete(self, kind: str, name: str, namespace: str = DEFAULT_NAMESPACE) -> None:
        """Remove an object."""
        with self._lock:
            if self._objects[kind].pop((namespace, name), None) is None:
                raise ManifestError(f"{kind} {namespace}/{name} does not exist in {self.name}")
            self.revision += 1
            self._tables.pop(kind, None)

    def load(self, *sources: Path | Iterable[Mapping[str, Any]]) -> Cluster:
        """Apply manifests from files (`.yaml`, `.yml`, `.json`, each also `.gz`) or ready dictionaries, in order."""
        with self._lock:
            for source in sources:
                for manifest in read_manifests(source) if isinstance(source, Path) else source:
                    self.apply(manifest)
        return self

    def _read(self, manifest: Mapping[str, Any]) -> tuple[str, Key, Json]:
        kind, meta = manifest.get("kind"), manifest.get("metadata") or {}
        offer, name = BY_KIND.get(str(kind)), meta.get("name")
        if offer is None or manifest.get("apiVersion") != offer.api_version:
            raise ManifestError(f"{manifest.get('apiVersion')} {kind} {name!r} is no kind of a Hedgehog fabric")
        if not isinstance(name, str) or not name:
            raise ManifestError(f"a {kind} without metadata.name")
        made: Json = _copy(manifest)
        namespace = made["metadata"].setdefault("namespace", DEFAULT_NAMESPACE)
        return offer.kind, (namespace, name), made

    def _store(self, kind: str, key: Key, made: Json) -> None:
        made["metadata"]["resourceVersion"] = str(self.revision)
        made["metadata"].pop("managedFields", None)
        if self.managed_fields:
            made["metadata"]["managedFields"] = _managed_fields(made, self._now())
        self._objects[kind][key] = Stored(made)
        self._tables.pop(kind, None)

    def _now(self) -> str:
        return (_EPOCH + timedelta(seconds=self.revision)).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_manifests(path: Path) -> Iterator[Json]:
    """The objects of one file; several documents, `List` kinds and gzip are understood.

    Raises:
        ManifestError: the file cannot be read, or is not YAML.
    """
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        documents = [_text_keys(document) for document in yaml.load_all(text, Loader=_PlainLoader) if document]
    except (OSError, yaml.YAMLError) as error:
        raise ManifestError(f"{path} holds no readable manifests: {error}") from error
    for document in documents:
        yield from document["items"] if str(document.get("kind", "")).endswith("List") else (document,)


def _text_keys(value: Any) -> Any:
    """JSON has no other keys than text; YAML would make numbers of `1:`."""
    if isinstance(value, dict):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    return [_text_keys(inner) for inner in value] if isinstance(value, list) else value


def _copy(value: Any) -> Any:
    """A deep copy of plain JSON, several times faster than copy.deepcopy."""
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value


def _merge(base: Any, change: Any) -> Any:
    if not isinstance(change, Mapping):
        return _copy(change)
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _managed_fields(made: Json, time: str) -> list[Json]:
    """Who wrote what, as bulky as the real thing: one entry for spec and labels, one for the status subresource."""
    meta = made["metadata"]
    owned: Json = {f"f:{part}": _owned(meta[part]) for part in ("annotations", "labels") if meta.get(part)}
    fields: Json = {"f:metadata": owned} if owned else {}
    if "spec" in made:
        fields["f:spec"] = _owned(made["spec"])
    manager = "fabric-manager" if made["kind"] in _CONTROLLER_KINDS else "kubectl-client-side-apply"
    entry = {"apiVersion": made["apiVersion"], "fieldsType": "FieldsV1", "operation": "Update", "time": time}
    entries: list[Json] = [{**entry, "fieldsV1": fields, "manager": manager}]
    if made.get("status"):
        status = {"f:status": _owned(made["status"])}
        entries.append({**entry, "fieldsV1": status, "manager": "fabric-agent", "subresource": "status"})
    return entries


def _owned(value: Any) -> Json:
    if not isinstance(value, dict) or not value:
        return {}
    return {".": {}} | {f"f:{key}": _owned(inner) for key, inner in value.items()}
