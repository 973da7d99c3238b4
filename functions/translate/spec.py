"""Reading the objects of a fabric, where every field is optional and may be of the wrong type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.kinds import BY_NAME
from functions.snapshot import Snapshot
from functions.translate.issues import Code, Notes
from functions.translate.names import clean

GENERATION_MAX = 2**53  # the largest count that JSON carries exactly


@dataclass(frozen=True, slots=True)
class Spec:
    """A tree of JSON that belongs to the object `source`; what is not as expected is noted and read as absent."""

    data: Mapping[str, Any]
    source: str
    notes: Notes
    at: str = "spec"

    def _get(self, path: tuple[str, ...]) -> Any:
        value: Any = self.data
        for step in path:
            if value is None:
                return None
            if not isinstance(value, Mapping):
                self.malformed(path, "is not inside an object")
                return None
            value = value.get(step)
        return value

    def malformed(self, path: tuple[str, ...], what: str) -> None:
        """Note that the value at `path` cannot be used, and why."""
        where = ".".join((self.at, *path))
        self.notes.add(self.source, Code.MALFORMED, f"{where} {what}; it is left out")

    def text(self, *path: str) -> str | None:
        """The text at `path`, cleaned; an empty one is none (Go writes `""` for what is not set)."""
        value = self._get(path)
        if value is None:
            return None
        if not isinstance(value, str):
            self.malformed(path, "is not a text")
            return None
        return clean(value) or None

    def number(self, *path: str, high: int, zero: bool = False) -> int | None:
        """The whole number at `path`, 1 to `high`; 0 is none (Go writes 0 for what is not set) but with `zero`."""
        value = self._get(path)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            self.malformed(path, f"is not a whole number up to {high}")
            return None
        return value if value or zero else None

    def flag(self, *path: str) -> bool:
        """Whether the value at `path` is true; absent is false."""
        value = self._get(path)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.malformed(path, "is not true or false")
        return False

    def child(self, *path: str) -> Spec:
        """The object at `path`, empty when absent."""
        value = self._get(path)
        if value is not None and not isinstance(value, Mapping):
            self.malformed(path, "is not an object")
            value = None
        return Spec(value or {}, self.source, self.notes, ".".join((self.at, *path)))

    def children(self, *path: str) -> list[Spec]:
        """The objects in the list at `path`, in its order."""
        return [
            Spec(value, self.source, self.notes, ".".join((self.at, *path, str(place))))
            for place, value in self._rows(path)
            if self._fits(value, Mapping, (*path, str(place)), "is not an object")
        ]

    def texts(self, *path: str) -> list[str]:
        """The texts in the list at `path`, in its order."""
        return [
            cleaned
            for place, value in self._rows(path)
            if self._fits(value, str, (*path, str(place)), "is not a text") and (cleaned := clean(value))
        ]

    def lists(self, *path: str) -> list[list[str]]:
        """The lists of texts in the list at `path`, in its order."""
        return [
            Spec({"": value}, self.source, self.notes, ".".join((self.at, *path, str(place)))).texts("")
            for place, value in self._rows(path)
            if self._fits(value, list, (*path, str(place)), "is not a list")
        ]

    def names(self, *path: str) -> list[str]:
        """The keys of the object at `path`, sorted."""
        return sorted(key for key in self.child(*path).data if isinstance(key, str))

    def has(self, key: str) -> bool:
        """Whether anything but null stands at `key`."""
        return self.data.get(key) is not None

    def _rows(self, path: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
        value = self._get(path)
        if value is not None and not isinstance(value, list | tuple):
            self.malformed(path, "is not a list")
            value = None
        return enumerate(value or ())

    def _fits(self, value: Any, kind: type, path: tuple[str, ...], what: str) -> bool:
        if isinstance(value, kind):
            return True
        self.malformed(path, what)
        return False


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of the fabric: what names it, its spec, and the `whole` of it."""

    kind: str
    namespace: str
    name: str
    spec: Spec
    whole: Spec

    @property
    def status(self) -> Spec:
        """What is known of its state; only Agents and the like have any."""
        inner = self.whole.child("status")
        return Spec(inner.data, inner.source, inner.notes, "status")

    @property
    def generation(self) -> int | None:
        """How often its spec was changed, counted by the API server."""
        return self.whole.number("metadata", "generation", high=GENERATION_MAX)

    @property
    def source(self) -> str:
        """`Kind namespace/name`, as issues name it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def origin(self) -> str:
        """`group/Kind namespace/name`: the custom field `fabric_source`."""
        return f"{BY_NAME[self.kind].group}/{self.source}"

    def key(self, fabric: str) -> str:
        """The identity `<fabric>/<Kind>/<namespace>/<name>`."""
        return f"{fabric}/{self.kind}/{self.namespace}/{self.name}"


def things(snapshot: Snapshot, kind: str, notes: Notes) -> list[Thing]:
    """All usable objects of `kind`, sorted by namespace and name; one without a name is noted and left out."""
    found: dict[tuple[str, str], Thing] = {}
    for item in snapshot.items(kind):
        whole = Spec(item if isinstance(item, Mapping) else {}, f"{kind} ?/?", notes, "object")
        name, namespace = whole.text("metadata", "name"), whole.text("metadata", "namespace") or "default"
        if name is None:
            whole.malformed(("metadata", "name"), "is missing")
            continue
        source = f"{kind} {namespace}/{name}"
        if (namespace, name) in found:
            notes.add(source, Code.CLASH, "was listed twice; the first one counts")
            continue
        whole = Spec(whole.data, source, notes, "object")
        found[namespace, name] = Thing(kind, namespace, name, Spec(whole.child("spec").data, source, notes), whole)
    return [found[place] for place in sorted(found)]
