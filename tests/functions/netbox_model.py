"""A model of what NetBox holds, and of what a plan makes of it: values alone, for properties over many fabrics.

It keeps the rules of NetBox that a plan can run into: names, numbers and addresses are unique where NetBox has them so,
a port takes one cable, and what is deleted takes its parts along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from typing import Any

from functions import places
from functions.actual import Actual, Existing
from functions.drift import applied
from functions.fabric import Fabric
from functions.fields import APPLIED, KEY, NAME
from functions.operations import needs
from functions.plan import Create, Delete, Plan, Update
from functions.records import BY_CONTENT_TYPE, MODELS, Ref, Shape
from functions.rows import comparable, found_by_key, identity, plain_json, references
from functions.translate import Translation
from functions.waves import waves

UNIQUE = places.UNIQUE | {"config_context": (("name",),), "l2vpn_termination": (("assigned_object",),)}

PARENTS = {"interface": ("device",), "l2vpn_termination": ("l2vpn", "assigned_object")}
"""Fields whose object takes this one along when it goes."""

EMPTY: dict[Shape, Any] = {Shape.REFS: frozenset(), Shape.ENDS: frozenset()}


@dataclass
class World:
    """Everything in one NetBox: model → id → object."""

    things: dict[str, dict[int, Existing]] = field(default_factory=lambda: {name: {} for name in MODELS})
    held: dict[tuple[Any, ...], int] = field(default_factory=dict)
    last_id: int = 100

    def add(self, model: str, values: dict[str, Any], custom: dict[str, Any], tags: Iterable[str] = ()) -> int:
        """Put an object there, by whomever."""
        self.last_id += 1
        every = {name: EMPTY.get(spec.shape) for name, spec in MODELS[model].fields.items()}
        self.put(model, Existing(self.last_id, every | values, custom, frozenset(tags)))
        return self.last_id

    def owned(self, fabric: str) -> Iterator[tuple[str, Existing]]:
        """The objects of a fabric."""
        for model, things in self.things.items():
            yield from ((model, thing) for thing in things.values() if thing.custom.get(NAME) == fabric)

    def survey(self, fabric: Fabric, translation: Translation) -> Actual:
        """What a run reads."""
        actual = Actual({}, {Ref("site", fabric.site): fabric.site_id, Ref("cluster", fabric.name): fabric.cluster_id})
        wanted = found_by_key(translation.records)
        for model, things in self.things.items():
            if MODELS[model].shared or MODELS[model].named:
                continue
            mine = [thing for thing in things.values() if thing.custom.get(NAME) == fabric.name]
            actual.owned[model] = {thing.custom[KEY]: thing for thing in mine if thing.custom.get(KEY)}
            actual.ids |= {Ref(model, key): thing.id for key, thing in actual.owned[model].items()}
        for ref in wanted - actual.ids.keys():
            for thing in self.things[ref.model].values():
                if str(thing.values[MODELS[ref.model].natural[0]]) == ref.key:
                    actual.ids[ref] = thing.id
                    if MODELS[ref.model].named:
                        actual.owned.setdefault(ref.model, {})[ref.key] = thing
                    else:
                        actual.shared[ref] = thing
        return actual

    def apply(self, plan: Plan, actual: Actual, fabric: Fabric) -> list[str]:
        """Write a plan in the order of `waves`, as a run does; what was refused, and why."""
        refused: list[str] = []
        for wave in waves(plan):
            # NetBox holds all rows of a request against what was there before it.
            before = dict(self.held)
            for op in wave:
                why = self._delete(op) if isinstance(op, Delete) else self._write(op, actual, fabric, before)
                refused += [f"{op.model} {op.key}: {why}"] if why else []
        return refused

    def _write(
        self, op: Create | Update, actual: Actual, fabric: Fabric, before: Mapping[tuple[Any, ...], int]
    ) -> str | None:
        record, ids = op.record, actual.ids
        fields = MODELS[record.model].fields
        note = {} if MODELS[record.model].shared or MODELS[record.model].named else {APPLIED: applied(record, ids)}
        if isinstance(op, Create):
            if missing := [ref for ref in references(record, late=False) if ref not in ids]:
                return f"{missing[0]} is not there"
            sent = {name: value for name, value in record.fields.items() if not fields[name].late}
            values = {name: comparable(value, fields[name].shape, ids) for name, value in sent.items()}
            every = {name: EMPTY.get(spec.shape) for name, spec in fields.items()}
            custom = {name: value for name, value in identity(record, fabric.name).items() if value is not None}
            self.last_id += 1
            made = Existing(self.last_id, every | values, custom | note, record.tags)
        else:
            id_ = ids.get(Ref(record.model, record.key)) if op.id is None else op.id
            if id_ not in self.things[record.model]:
                return "it is not there"
            if missing := [ref for ref in needs(op) if ref not in ids]:
                return f"{missing[0]} is not there"
            there = self.things[record.model][id_]
            changes = {change.field: change.after for change in op.changes}
            own = {name: value for name, value in changes.items() if name in fields}
            values = {name: resolved(value, fields[name].shape, ids) for name, value in own.items()}
            custom = {name: plain_json(value) for name, value in changes.items() if name not in fields}
            if not op.extra and not op.mark:
                custom |= {APPLIED: {**op.last, **note[APPLIED]}} if note else {}
            tags = there.tags if op.tags is None else op.tags
            made = replace(there, values={**there.values, **values}, custom={**there.custom, **custom}, tags=tags)
        if why := taken(before, record.model, made) or self.put(record.model, made):
            return why
        ids[Ref(record.model, record.key)] = made.id
        return None

    def _delete(self, op: Delete) -> str | None:
        if any(id_ in self.things[model] for model, id_ in op.after):
            return "a part of it is still there"
        if op.stale.id not in self.things[op.model]:
            return "it is not there"
        before = sum(map(len, self.things.values()))
        self.remove(op.model, op.stale.id)
        gone = before - sum(map(len, self.things.values()))
        return None if gone == 1 else f"{gone - 1} others went with it"

    def remove(self, model: str, id_: int) -> None:
        """Delete an object as NetBox does: its parts go with it, and what else refers to it lets go."""
        if self.forget(model, id_) is None:
            return
        for name, things in self.things.items():
            for thing in list(things.values()):
                lost = [at for at in MODELS[name].fields if means(name, at, thing, model, id_)]
                if not lost:
                    continue
                if any(at in PARENTS.get(name, ()) or MODELS[name].fields[at].shape is Shape.ENDS for at in lost):
                    self.remove(name, thing.id)
                    continue
                less = {
                    at: thing.values[at] - {id_} if isinstance(thing.values[at], frozenset) else None for at in lost
                }
                self.put(name, replace(thing, values={**thing.values, **less}))

    def put(self, model: str, made: Existing) -> str | None:
        """Let an object be there as it is given; why NetBox would refuse it, or None."""
        if why := self.refusal(model, made):
            return why
        self.forget(model, made.id)
        self.things[model][made.id] = made
        self.held |= dict.fromkeys(claims(model, made), made.id)
        return None

    def forget(self, model: str, id_: int) -> Existing | None:
        """Take an object out, and nothing with it."""
        there = self.things[model].pop(id_, None)
        for claim in claims(model, there) if there else ():
            self.held.pop(claim, None)
        return there

    def refusal(self, model: str, made: Existing) -> str | None:
        """Why NetBox would not take an object, or None."""
        if why := taken(self.held, model, made):
            return why
        there = self.things[model].get(made.id)
        goes = model == "ip_address" and there and there.values["assigned_object"] != made.values["assigned_object"]
        if goes and any(device.values.get("primary_ip4") == made.id for device in self.things["device"].values()):
            return "a device has it as its primary address"
        if model == "ip_range" and any(
            overlap(made, thing) for thing in self.things["ip_range"].values() if thing.id != made.id
        ):
            return "it overlaps another"
        return None


def means(name: str, at: str, thing: Existing, model: str, id_: int) -> bool:
    """Whether a field of an object refers to another (ids are unique across models here)."""
    value, shape = thing.values.get(at), MODELS[name].fields[at].shape
    if shape is Shape.GENERIC:
        return bool(value) and BY_CONTENT_TYPE.get(value[0]) == model and value[1] == id_
    if shape in (Shape.REF, Shape.REFS, Shape.ENDS):
        return id_ == value or (isinstance(value, frozenset) and id_ in value)
    return False


def taken(held: Mapping[tuple[Any, ...], int], model: str, made: Existing) -> str | None:
    """Whether something else has what an object is to have."""
    return next((f"taken: {claim}" for claim in claims(model, made) if held.get(claim, made.id) != made.id), None)


def resolved(value: Any, shape: Shape, ids: dict[Ref, int]) -> Any:
    """A value of a change: it may hold references to what was made in the same run."""
    if isinstance(value, frozenset):
        return frozenset(ids[item] if isinstance(item, Ref) else item for item in value)
    return comparable(value, shape, ids) if isinstance(value, Ref) else value


def claims(model: str, thing: Existing) -> Iterator[tuple[Any, ...]]:
    """What only one object can have: its key, its names and numbers, the ports of its cable."""
    if thing.custom.get(KEY):
        yield "key", model, thing.custom[KEY]
    if MODELS[model].shared and MODELS[model].fields:
        yield model, thing.values[MODELS[model].natural[0]]
    for names in UNIQUE.get(model, ()):
        values = folded(model, thing, names)
        if None not in values[:-1] and not (model == "ip_address" and thing.values.get("role")):
            yield model, names, values
    if model == "cable":
        yield from (("port", port) for port in thing.values["a_terminations"] | thing.values["b_terminations"])
    if model == "interface" and thing.values.get("mark_connected"):
        yield "port", thing.id


def folded(model: str, thing: Existing, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Values as NetBox tells them apart."""
    values = [thing.values.get(name) for name in names]
    if model == "device":
        values[-1] = str(values[-1]).lower()
    if model == "ip_address":
        values[-1] = str(values[-1]).partition("/")[0]
    return tuple(values)


def overlap(one: Existing, other: Existing) -> bool:
    """Whether two ranges have an address in common."""
    if one.values["vrf"] != other.values["vrf"]:
        return False
    spans = [
        tuple(int(ip_interface(thing.values[name]).ip) for name in ("start_address", "end_address"))
        for thing in (one, other)
    ]
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]
