"""Records as NetBox sees them: values to compare with what was read, and rows to send."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from functions.fields import KEY, NAME, STALE_RUN, STALE_SINCE
from functions.records import MODELS, Record, Ref, Shape

NOTHING: tuple[Any, ...] = (None, "", (), frozenset())
"""What need not be sent when an object is made: NetBox has it so by itself."""


def comparable(value: Any, shape: Shape, ids: Mapping[Ref, int]) -> Any:
    """A record's value in the shape of `Existing.values`; a reference that has no id yet stays a `Ref`."""
    if isinstance(value, Ref):
        id_ = ids.get(value)
        if id_ is None:
            return value
        return (MODELS[value.model].content_type, id_) if shape is Shape.GENERIC else id_
    if shape in (Shape.ENDS, Shape.REFS):
        return frozenset(ids.get(ref, ref) for ref in value or ())
    return plain_json(value)


def plain_json(value: Any) -> Any:
    """The value as JSON gives it back: tuples are lists, mappings are dicts."""
    if isinstance(value, Mapping):
        return {name: plain_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    return value


def identity(record: Record, fabric: str) -> dict[str, Any]:
    """The custom fields of a record, those that make it ours included; shared and named objects have none.

    What the fabric has is not marked as gone: a mark of an earlier run is to be taken away.
    """
    model = MODELS[record.model]
    ours: dict[str, Any] = {KEY: record.key, NAME: fabric, STALE_SINCE: None, STALE_RUN: None}
    own = {} if model.shared or model.named else ours
    return own | {name: plain_json(value) for name, value in record.custom.items()}


def new_row(record: Record, fabric: str, ids: Mapping[Ref, int]) -> dict[str, Any]:
    """The row that makes an object: everything that is not NetBox's default, late fields aside."""
    fields = {
        name: comparable(value, MODELS[record.model].fields[name].shape, ids)
        for name, value in record.fields.items()
        if not MODELS[record.model].fields[name].late
    }
    row = _row(record.model, {name: value for name, value in fields.items() if value not in NOTHING}, ids)
    custom = {name: value for name, value in identity(record, fabric).items() if value is not None}
    return (
        row | ({"custom_fields": custom} if custom else {}) | (_tags(record.model, record.tags) if record.tags else {})
    )


def changed_row(
    model: str,
    id_: int,
    changes: Mapping[str, Any],
    tags: frozenset[str] | None,
    tagged: frozenset[str],
    ids: Mapping[Ref, int],
) -> dict[str, Any]:
    """The row that changes an object: `changes` by field or custom field, `tags` those it is to have, or None.

    Against those that it had (`tagged`), tags are added and taken away one by one: what people added since it was read
    stays.
    """
    fields = {name: value for name, value in changes.items() if name in MODELS[model].fields}
    custom = {name: value for name, value in changes.items() if name not in fields}
    row = {"id": id_} | _row(model, fields, ids) | ({"custom_fields": custom} if custom else {})
    if tags is None:
        return row
    if MODELS[model].named:
        return row | _tags(model, tags)  # of a config context they are a field, and no tags of it
    some = {"add_tags": tags - tagged, "remove_tags": tagged - tags}
    return row | {name: [{"slug": slug} for slug in sorted(slugs)] for name, slugs in some.items() if slugs}


def _row(model: str, values: Mapping[str, Any], ids: Mapping[Ref, int]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in values.items():
        shape = MODELS[model].fields[name].shape
        if isinstance(value, Ref):
            value = comparable(value, shape, ids)
        if shape is Shape.GENERIC:
            row[f"{name}_type"], row[f"{name}_id"] = value or (None, None)
        elif shape is Shape.ENDS:
            row[name] = [{"object_type": "dcim.interface", "object_id": id_} for id_ in _all(value, ids)]
        elif shape is Shape.REFS:
            row[name] = _all(value, ids)
        else:
            row[name] = value
    return row


def _all(value: frozenset[Any], ids: Mapping[Ref, int]) -> list[int]:
    return sorted(ids[item] if isinstance(item, Ref) else item for item in value)


def _tags(model: str, slugs: frozenset[str]) -> dict[str, Any]:
    # A config context takes the tags it is for as slugs, everything else takes objects.
    return {"tags": [slug if MODELS[model].named else {"slug": slug} for slug in sorted(slugs)]}


def references(record: Record, *, late: bool = True) -> Iterator[Ref]:
    """Every record that a record refers to, its tags included; without `late`, those that must exist before it."""
    for name, value in record.fields.items():
        if late or not MODELS[record.model].fields[name].late:
            yield from refs_in(value)
    for slug in sorted(record.tags):
        yield Ref("tag", slug)


def refs_in(value: Any) -> Iterator[Ref]:
    """The references in a value: itself, or what it lists."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple | frozenset):
        yield from sorted(item for item in value if isinstance(item, Ref))


def found_by_key(records: Collection[Record]) -> set[Ref]:
    """Of all that records are and refer to, what is found in NetBox by its own key: shared and named objects."""
    refs = {ref for record in records for ref in references(record)}
    refs |= {Ref(record.model, record.key) for record in records}
    return {ref for ref in refs if MODELS[ref.model].shared or MODELS[ref.model].named}
