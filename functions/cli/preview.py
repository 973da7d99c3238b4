"""A plan as a program reads it: what would be written, field by field, with counts and digest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from functions.actual import Actual
from functions.compare import Plan, Update
from functions.outcome import Facts, gaps
from functions.records import Ref


def preview(fabric: str, plan: Plan, actual: Actual, facts: Facts) -> dict[str, Any]:
    """The plan as JSON.

    `counts` is model → {create, update, held, stale, unchanged}; `reasons` is what makes the plan incomplete. What
    refers to another object shows its key, on both sides of a change.
    """
    names = {(ref.model, id_): ref.key for ref, id_ in actual.ids.items()}
    counts: dict[str, Counter[str]] = {}
    for verb, models in (
        ("create", [op.record.model for op in plan.creates]),
        ("update", [op.record.model for op in plan.updates]),
        ("held", [op.record.model for op in plan.held]),
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
        "counts": {model: dict(row) for model, row in sorted(counts.items())},
        "creates": [
            {
                "model": op.record.model,
                "key": op.record.key,
                "fields": {name: _plain(value) for name, value in op.record.fields.items() if value not in (None, "")},
                "custom_fields": dict(op.record.custom),
                "tags": sorted(op.record.tags),
            }
            for op in plan.creates
        ],
        "updates": [_update(op, names) for op in plan.updates],
        "held": [_update(op, names) for op in plan.held],
        "stale": [{"model": one.model, "key": one.key, "id": one.id} for one in plan.stale],
        "reasons": gaps(facts.snapshot, facts.translation) if facts.snapshot and facts.translation else [],
    }


def _update(op: Update, names: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    changes = []
    for change in op.changes:
        wanted = op.record.fields.get(change.field)
        refs = wanted if isinstance(wanted, tuple) else (wanted,)
        model = next((ref.model for ref in refs if isinstance(ref, Ref)), None)
        before, after = (_named(value, model, names) for value in (change.before, change.after))
        changes.append({"field": change.field, "before": before, "after": after})
    tags = sorted(op.tags) if op.tags is not None else None
    return {"model": op.record.model, "key": op.record.key, "id": op.id, "changes": changes, "tags": tags}


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
