"""A plan as a program reads it: what would be written, field by field, with counts, digest and forecast. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from functions.actual import Actual
from functions.adopt import Conflict
from functions.facts import Facts, gaps, told
from functions.forecast import Forecast
from functions.plan import Plan, Stale, Update
from functions.records import Ref
from functions.rows import NOTHING


def preview(
    fabric: str,
    plan: Plan,
    actual: Actual,
    facts: Facts,
    forecast: Forecast,
    conflicts: Iterable[Conflict] | None,
) -> dict[str, Any]:
    """The plan as JSON.

    `conflicts` is None when there was no time to look for them. `operations` is what the digest is made of. `counts`
    is model → {create, adopt, update, mark, delete, held, waiting, stale, unchanged}; `reasons` is what makes the plan
    incomplete. What refers to another object shows its key, on both sides of a change.
    """
    names = {(ref.model, id_): ref.key for ref, id_ in actual.ids.items()}
    counts: dict[str, Counter[str]] = {}
    for verb, models in (
        ("create", [op.record.model for op in plan.creates]),
        ("adopt", [op.record.model for op in plan.updates if op.adopts]),
        ("update", [op.record.model for op in plan.updates if not op.adopts]),
        ("mark", [op.model for op in plan.marks]),
        ("delete", [*(op.model for op in plan.deletes), *(one.model for one in plan.later)]),
        ("held", [*(op.model for op in plan.held), *(one.model for hold in plan.holds for one in hold.stale)]),
        ("waiting", [one.model for one in plan.waiting]),
        ("stale", [stale.model for stale in plan.stale]),
    ):
        for model in models:
            counts.setdefault(model, Counter())[verb] += 1
    for model, count in plan.unchanged.items():
        counts.setdefault(model, Counter())["unchanged"] += count
    return {
        "fabric": fabric,
        "digest": plan.digest,
        "writes": len(plan),
        "forecast": forecast.as_dict(),
        "counts": {model: dict(row) for model, row in sorted(counts.items())},
        "creates": [
            {
                "model": op.record.model,
                "key": op.record.key,
                "fields": {name: _plain(value) for name, value in op.record.fields.items() if value not in NOTHING},
                "custom_fields": dict(op.record.custom),
                "tags": sorted(op.record.tags),
            }
            for op in plan.creates
        ],
        "updates": [_update(op, names) for op in plan.updates],
        "held": [_update(op, names) for op in plan.held],
        "stale": [_stale(one) for one in plan.stale],
        "marks": [{"model": op.model, "key": op.key, "id": op.id} for op in plan.marks],
        "deletes": [*(_stale(op.stale) for op in plan.deletes), *map(_stale, plan.later)],
        "waiting": [_stale(one) for one in plan.waiting],
        "stale_held": [
            {**_stale(one), "reason": hold.reason, "release": hold.release} for hold in plan.holds for one in hold.stale
        ],
        "conflicts": None if conflicts is None else [_conflict(one) for one in conflicts],
        "reasons": [
            *(gaps(facts.snapshot, facts.translation) if facts.snapshot and facts.translation else []),
            *map(told, plan.holds),
        ],
        "operations": plan.operations,
    }


def _conflict(one: Conflict) -> dict[str, Any]:
    return {"model": one.model, "key": one.key, "id": one.id, "fabric": one.fabric}


def _stale(one: Stale) -> dict[str, Any]:
    return {"model": one.model, "key": one.key, "id": one.id}


def _update(op: Update, names: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    changes = []
    for change in op.changes:
        wanted = op.record.fields.get(change.field)
        refs = wanted if isinstance(wanted, tuple) else (wanted,)
        model = next((ref.model for ref in refs if isinstance(ref, Ref)), None)
        before, after = (_named(value, model, names) for value in (change.before, change.after))
        changes.append({"field": change.field, "before": before, "after": after, "drift": change.drift.value})
    tags = sorted(op.tags) if op.tags is not None else None
    return {
        "model": op.record.model,
        "key": op.record.key,
        "id": op.id,
        "adopts": op.adopts,
        "changes": changes,
        "tags": tags,
    }


def _named(value: Any, model: str | None, names: Mapping[tuple[str, int], str]) -> Any:
    """A NetBox id as the key of the object behind it; where that is none of ours, as #id."""
    if isinstance(value, frozenset):
        return sorted(str(_named(one, model, names)) for one in value)
    if model is not None and isinstance(value, int) and not isinstance(value, bool):
        return names.get((model, value), f"#{value}")
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.key
    if isinstance(value, tuple | frozenset):
        return sorted(str(_plain(one)) for one in value)
    return value
