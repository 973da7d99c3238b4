"""Pure: what is remembered of a fabric between two runs, how it is written down, and when it may be gone by.

For each unit (the object of the fabric that records come from, or a shared object by itself) a digest of its records as
NetBox was last seen to hold them. It holds as long as neither side moved: the fabric's side is read in full every time,
NetBox's is told by its change log (`functions/changelog.py`). Whatever cannot be read is as if nothing were remembered.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from functions.actual import Actual
from functions.compare import kind_of
from functions.fabric import DeletePolicy
from functions.fields import FULL_HOURS, HOLD_TAG, STALE_TAG
from functions.guard import since_of
from functions.moments import moment
from functions.outcome import Result
from functions.plan import Create, Plan, Stale, Update
from functions.records import MODELS, Record, Ref
from functions.rows import references
from functions.standing import Standing

USUAL_HOURS: Final = 24
"""Hours between two full comparisons, unless the cluster says otherwise."""

SPREAD: Final = 0.2
"""The share of that time by which fabrics differ, each by its name, so that they are not all compared at once."""

MOST_BYTES: Final = 4 * 1024 * 1024
"""What unpacks to more than this was not written by us: a fabric of 13,000 objects takes some 100 KB."""

_DIGEST: Final = 5
"""Bytes of a unit's digest: a changed unit looks unchanged once in 10^12 changes, until the next full comparison."""

_OPEN: Final = bytes(_DIGEST)
"""In the place of a digest: of this unit NetBox may hold anything of its models."""

_OWNED: Final = tuple(name for name, model in MODELS.items() if not (model.shared or model.named))


@dataclass(frozen=True, slots=True)
class Unit:
    """What is remembered of one unit: the digest of its records, and the models that they are of."""

    digest: bytes
    models: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether it was not confirmed."""
        return self.digest == _OPEN


@dataclass(frozen=True, slots=True)
class Mark:
    """How far NetBox's change log is accounted for: every row up to `top`, but for those in `ask`.

    `ask` are ids that were not there yet (a transaction may take its number long before it ends), or whose change
    another run is to look at. `at` is the time of the newest row then, by NetBox's clock.
    """

    top: int
    at: datetime
    ask: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered of a fabric. `stale` are the units of objects that are marked as gone, and their models.

    `lease` is the number of the lease under which it was written.
    `seen` is a digest of what the fabric said, where NetBox was confirmed to hold all that follows from it: `counts`
    records of each model. Empty where something was left.
    `mapping` and `settings` are digests of what made records of the fabric: under others the memory says nothing.
    `verified_at` is when the last comparison of everything began.
    """

    mapping: str
    settings: str
    verified_at: datetime
    mark: Mark
    units: Mapping[str, Unit] = field(default_factory=dict)
    stale: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lease: int = 0
    seen: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The memory as its custom field holds it."""
        names = sorted(self.units)
        told = {
            "mapping": self.mapping,
            "settings": self.settings,
            "verified_at": self.verified_at.isoformat(),
            "top": self.mark.top,
            "at": self.mark.at.isoformat(),
            "ask": list(self.mark.ask),
            "stale": _packed(_lines(self.stale)),
            "lease": self.lease,
            "seen": self.seen,
            "counts": dict(self.counts),
            "units": _packed(_lines({name: self.units[name].models for name in names})),
            "digests": base64.b64encode(b"".join(self.units[name].digest for name in names)).decode(),
        }
        return {**told, "sum": _sum(told)}


def memory_of(value: Any) -> Memory | None:
    """The memory that a custom field holds; None where it holds none, or what somebody edited or cut."""
    try:
        if value["sum"] != _sum({name: inner for name, inner in value.items() if name != "sum"}):
            return None
        models, digests = _named(value["units"]), base64.b64decode(value["digests"], validate=True)
        if len(digests) != _DIGEST * len(models):
            return None
        at, verified_at = moment(value["at"]), moment(value["verified_at"])
        if at is None or verified_at is None:
            return None
        units = {
            name: Unit(digests[_DIGEST * n : _DIGEST * (n + 1)], some) for n, (name, some) in enumerate(models.items())
        }
        mark = Mark(int(value["top"]), at, tuple(int(id_) for id_ in value["ask"]))
        return Memory(
            mapping=str(value["mapping"]),
            settings=str(value["settings"]),
            verified_at=verified_at,
            mark=mark,
            units=units,
            stale=_named(value["stale"]),
            lease=int(value["lease"]),
            seen=str(value["seen"]),
            counts={str(model): int(count) for model, count in value["counts"].items()},
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, zlib.error):
        return None


def _lines(units: Mapping[str, Iterable[str]]) -> bytes:
    """Units and their models in text: a line for each, the models by their numbers."""
    numbers = {name: ",".join(str(_OWNED.index(model)) for model in sorted(some)) for name, some in units.items()}
    return "\n".join(f"{name}\t{some}" for name, some in numbers.items()).encode()


def _named(packed: str) -> dict[str, frozenset[str]]:
    pairs = [line.rsplit("\t", 1) for line in _unpacked(packed).decode().split("\n") if line]
    return {name: frozenset(_OWNED[int(number)] for number in some.split(",") if number) for name, some in pairs}


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _unpacked(text: str) -> bytes:
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    if not unpacker.eof:
        raise ValueError("the packed text is cut, or larger than it may be")
    return raw


def _sum(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


@cache
def mapping_version() -> str:
    """The digest of the source that makes records of a fabric and compares them: another with every change of it."""
    here = Path(__file__).parent
    rooms = [
        here / f"{name}.py" for name in ("actual", "compare", "drift", "fields", "kinds", "records", "rows", "snapshot")
    ]
    whole = hashlib.sha256()
    for file in (*rooms, here / "observe.py", here / "memory.py", *sorted((here / "translate").glob("*.py"))):
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def unit_of(model: str, key: str) -> str:
    """The unit of a record: the fabric's object in its key, or the object itself where the key names none."""
    spec = MODELS[model]
    return f"{model}:{key}" if spec.shared or spec.named else key.partition(" ")[0].partition("#")[0]


def by_unit(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each unit, in their order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(unit_of(record.model, record.key), []).append(record)
    return found


def units_of(records: Iterable[Record]) -> dict[str, Unit]:
    """What is to be remembered of `records` once NetBox holds them."""
    return {
        name: Unit(_digest(some), frozenset(r.model for r in some) & set(_OWNED))
        for name, some in by_unit(records).items()
    }


def _digest(records: Iterable[Record]) -> bytes:
    told = sorted(
        json.dumps([r.model, r.key, r.fields, r.custom, sorted(r.tags)], sort_keys=True, default=_plain)
        for r in records
    )
    return hashlib.blake2b("\n".join(told).encode(), digest_size=_DIGEST).digest()


def _plain(value: Any) -> list[Any]:
    if isinstance(value, Ref):
        return ["ref", value.model, value.key]
    return sorted(value, key=str)


def differing(before: Mapping[str, Unit], now: Mapping[str, Unit], unseen: frozenset[str]) -> frozenset[str]:
    """The units that are new, gone, or not as they were; what is of a kind that was `unseen` is not gone."""
    return frozenset(
        name
        for name in before.keys() | now.keys()
        if before.get(name) != now.get(name) and (name in now or kind_of(name) not in unseen)
    )


def full_hours(custom: Mapping[str, Any]) -> int:
    """Hours between full comparisons by a cluster's custom fields; 0 asks for one in every run."""
    hours = custom.get(FULL_HOURS)
    return max(0, hours) if isinstance(hours, int) and not isinstance(hours, bool) else USUAL_HOURS


def due_at(verified_at: datetime, hours: int, fabric: str) -> datetime:
    """When the next full comparison of `fabric` is due: after 80 to 100 % of `hours`, by its name."""
    share = int.from_bytes(hashlib.sha256(fabric.encode()).digest()[:4]) / 2**32
    return verified_at + timedelta(hours=hours) * (1 - SPREAD * share)


def against(memory: Memory, standing: Standing, settings: str, hours: int, fabric: str, now: datetime) -> str | None:
    """Why a run must compare everything whatever is remembered; None when it may look at what moved alone."""
    if memory.mapping != mapping_version():
        return "fabric-sync was updated"
    if memory.settings != settings:
        return "the fabric's settings were changed"
    goes_on = standing.result is Result.CONTINUED and memory.lease == standing.lease.number
    if not (goes_on or standing.result is Result.SUCCEEDED) or standing.lease.abandoned(now):
        return "the last run did not succeed"
    if not memory.verified_at <= now < due_at(memory.verified_at, hours, fabric):
        return "a full comparison is due"
    return None


def too_much(
    plan: Plan, actual: Actual, among: Collection[str], records: Iterable[Record], policy: DeletePolicy
) -> str | None:
    """Why a plan that was made of the units `among` alone will not do; None when a full one would be the same.

    What is to be marked, or may be deleted, is decided by all that NetBox holds of the fabric. What is marked already
    stays as it is, under the policy `mark`.
    """
    if plan.stale and (policy is not DeletePolicy.MARK or not all(_waits(s, actual) for s in plan.stale)):
        return "something is gone from the fabric"
    new = {Ref(op.model, op.key) for op in plan.creates if not MODELS[op.model].shared}
    if new and any(
        unit_of(record.model, record.key) not in among and not new.isdisjoint(references(record)) for record in records
    ):
        return "something is missing in NetBox to which other objects refer"
    if any(
        op.model == "ip_address" and change.field == "assigned_object" for op in plan.updates for change in op.changes
    ):
        return "an address moves to another port"
    return None


def _waits(stale: Stale, actual: Actual) -> bool:
    existing = actual.owned[stale.model][stale.key]
    return since_of(existing.custom) is not None and STALE_TAG in existing.tags and HOLD_TAG not in existing.tags


def confirmed(units: Mapping[str, Unit], left: Plan, later: Mapping[str, Collection[str]]) -> dict[str, Unit]:
    """What NetBox holds of `units`. Open are the units of which something is `left` to write, to mark as gone, or held
    though it is gone; and those that were not looked at (`later`, with the models of which there may be something)."""
    ops: list[Create | Update] = [*left.creates, *left.updates, *left.held]
    gone = [*((op.model, op.key) for op in left.marks), *((s.model, s.key) for hold in left.holds for s in hold.stale)]
    open_ = {name: units[name].models for op in ops if (name := unit_of(op.model, op.key)) in units}
    for model, key in gone:  # of which the fabric may have nothing any more
        name = unit_of(model, key)
        open_[name] = open_.get(name, units[name].models if name in units else frozenset()) | {model}
    return {**units, **{name: Unit(_OPEN, frozenset(some)) for name, some in (open_ | {**later}).items()}}


def portion(names: Collection[str], first: Collection[str], records: Iterable[Record], most: int) -> frozenset[str]:
    """Some `most` of the units `names`: those that go `first`, then in the order of `records`, each with all of
    `names` that it refers to."""
    wanted = by_unit(records)
    chosen: set[str] = set()
    for name in (*first, *(name for name in wanted if name in names)):
        if len(chosen) >= most:
            break
        waiting = [name]
        while waiting:
            if (one := waiting.pop()) not in chosen:
                chosen.add(one)
                refs = (ref for record in wanted.get(one, ()) for ref in references(record))
                waiting += [unit for ref in refs if (unit := unit_of(ref.model, ref.key)) in names]
    return frozenset(chosen)
