"""Pure: what the fabric wants of an object, what NetBox holds, what was last applied, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from functions.actual import Actual
from functions.fields import APPLIED
from functions.plan import Plan
from functions.records import Record, Ref


def explained(wanted: str, records: Iterable[Record], actual: Actual, plan: Plan) -> list[dict[str, Any]]:
    """The objects that `wanted` names (a key, a part of one, or a name), each with its fields and the verdict."""
    names = {(ref.model, id_): ref.key for ref, id_ in actual.ids.items()}
    verdicts = _verdicts(plan)
    found = [one for one in records if _named(wanted, one)]
    exact = [one for one in found if wanted in (one.key, one.fields.get("name"))]
    told = [_told(one, actual, verdicts, names) for one in exact or found]
    gone = [stale for stale in plan.stale if wanted in stale.key]
    return told + [
        {
            "model": stale.model,
            "key": stale.key,
            "id": actual.ids.get(Ref(stale.model, stale.key)),
            "verdict": verdicts.get((stale.model, stale.key), "no longer in the fabric"),
            "fields": [],
        }
        for stale in gone
    ]


def _named(wanted: str, record: Record) -> bool:
    return wanted in record.key or wanted == record.fields.get("name")


def _verdicts(plan: Plan) -> dict[tuple[str, str], str]:
    found = {(op.record.model, op.record.key): "would be created" for op in plan.creates}
    for update in plan.updates:
        found[update.record.model, update.record.key] = "would be adopted" if update.adopts else "would be changed"
    found |= {(op.record.model, op.record.key): "differs, and is held by its tag" for op in plan.held}
    found |= {(op.record.model, op.record.key): "no longer in the fabric, would be marked" for op in plan.marks}
    found |= {(one.model, one.key): "marked, and kept for now" for one in (*plan.waiting, *plan.later)}
    found |= {(op.stale.model, op.stale.key): "would be deleted" for op in plan.deletes}
    found |= {(s.model, s.key): f"held: {hold.reason}" for hold in plan.holds for s in hold.stale}
    return found


def _told(
    record: Record, actual: Actual, verdicts: dict[tuple[str, str], str], names: dict[tuple[str, int], str]
) -> dict[str, Any]:
    existing = actual.owned.get(record.model, {}).get(record.key) or actual.shared.get(Ref(record.model, record.key))
    holds = {**existing.values, **existing.custom} if existing else {}
    notes = existing.custom.get(APPLIED) if existing else None
    applied = notes if isinstance(notes, dict) else {}
    fields = {**record.fields, **record.custom}
    return {
        "model": record.model,
        "key": record.key,
        "id": existing.id if existing else actual.ids.get(Ref(record.model, record.key)),
        "verdict": verdicts.get((record.model, record.key), "is as the fabric wants it"),
        "fields": [
            {"field": name, "wanted": _plain(value), "holds": _plain(holds.get(name)), "applied": applied.get(name, "")}
            for name, value in fields.items()
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.key
    if isinstance(value, list | tuple | set | frozenset):
        return " ".join(sorted(str(_plain(item)) for item in value))
    return value
