"""What others write between our reading and our writing stays: a field that is not ours alone goes only if unmoved.

NetBox takes such an update only while all objects of the request are as they were read (If-Match, `netbox.md` §4).
Where one is not, they are read again, and what is sent then is made of what is there now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from functions.actual import Actual, Existing, existing_of
from functions.compare import differences
from functions.fields import HOLD_TAG
from functions.operations import Operation
from functions.plan import Change, Delete, Update
from functions.records import MODELS, Record, Ref, Shape
from functions.rows import comparable
from functions.survey import fields_to_read, survey_by_key
from infra.netbox import NetBoxReader


def conditions(batch: Sequence[Operation], actual: Actual) -> list[str]:
    """What each object of a batch must be unmoved since, its `last_updated`; none where all that is written is ours."""
    if not any(isinstance(op, Update) and _of_others_too(op) for op in batch):
        return []
    there = [_known(op, actual) for op in batch]
    return [existing.seen if existing else "" for existing in there]


def _of_others_too(op: Update) -> bool:
    model = MODELS[op.model]
    return any(change.field in model.mixed for change in op.changes) or (model.named and op.tags is not None)


def _known(op: Operation, actual: Actual) -> Existing | None:
    if MODELS[op.model].shared:
        return actual.shared.get(Ref(op.model, op.key))
    return actual.owned.get(op.model, {}).get(op.key)


def take_in(record: Record, existing: Existing, actual: Actual) -> None:
    """Note what NetBox answered to a write, where the next one to the object may be held to it."""
    model = MODELS[record.model]
    if not model.mixed:
        return
    if model.shared:
        actual.shared[Ref(record.model, record.key)] = existing
    else:
        actual.owned.setdefault(record.model, {})[record.key] = existing


def read_again(
    netbox: NetBoxReader, batch: Sequence[Operation], actual: Actual, fabric: str
) -> tuple[list[Operation], list[Operation]]:
    """Of operations on one model those that are still to be done, made of what NetBox holds now, and those that are
    not; raises as the door does."""
    model = batch[0].model
    if not MODELS[model].shared:
        return _of_owned(netbox, batch, actual), []
    survey_by_key(netbox, model, [op.key for op in batch], actual)
    rest: list[Operation] = []
    done: list[Operation] = []
    for op in batch:
        there = actual.shared.get(ref := Ref(model, op.key))
        if isinstance(op, Delete) or ref not in actual.ids:
            rest.append(op)
        elif there and (changes := differences(op.record, there, actual.ids, fabric)):
            rest.append(Update(op.record, there.id, changes))
        else:
            done.append(op)
    return rest, done


def _of_owned(netbox: NetBoxReader, batch: Sequence[Operation], actual: Actual) -> list[Operation]:
    model = batch[0].model
    ids = {op.key: op.id or actual.ids[Ref(model, op.key)] for op in batch if isinstance(op, Update)}
    fields = (*fields_to_read(model), *(() if MODELS[model].named else ("custom_fields",)), "tags")
    rows = netbox.read(MODELS[model].path, {"id": sorted(ids.values())}, fields)
    now = {row["id"]: existing_of(model, row) for row in rows}
    rest: list[Operation] = []
    for op in batch:
        # What a person took in hand meanwhile stays as it was read, and so is refused: the next run sees it held.
        if isinstance(op, Update) and (there := now.get(ids[op.key])) and HOLD_TAG not in there.tags:
            take_in(op.record, there, actual)
            op = _made_of(op, there, actual)
        rest.append(op)
    return rest


def _made_of(op: Update, there: Existing, actual: Actual) -> Update:
    """The update with what others put beside ours as it is `there`."""
    changes = tuple(_anew(change, op.record, there, actual) for change in op.changes)
    if op.tags is None:
        return replace(op, changes=changes)
    tags = there.tags - (op.tagged - op.tags) | (op.tags - op.tagged)
    return replace(op, changes=changes, tags=tags, tagged=there.tags)


def _anew(change: Change, record: Record, there: Existing, actual: Actual) -> Change:
    spec = MODELS[record.model].fields.get(change.field)
    if spec is None or spec.shape is not Shape.OWN_KEYS:
        return change
    before = there.values.get(change.field)
    ours = comparable(record.fields[change.field], spec.shape, actual.ids)
    return replace(change, before=before, after={**(before or {}), **ours})
