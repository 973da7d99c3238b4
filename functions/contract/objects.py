"""JSON objects as frozen dataclasses: the shape of each field stands beside it, and what is not known is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from .errors import BadDataError
from .shapes import Schema, Shape


class Said(NamedTuple):
    """What the contract says of one field: its shape, and its meaning in one line.

    `filled`: it may be missing although it has no default, for who reads it fills it in from elsewhere.
    `omitted`: it is left out where it is null.
    """

    shape: Shape
    meaning: str
    filled: bool = False
    omitted: bool = False


class Property(NamedTuple):
    """One field of a dataclass and of its JSON object. `name` is the one in JSON, `field` the one in Python."""

    name: str
    field: str
    said: Said
    required: bool
    default: Any


def properties(model: type) -> tuple[Property, ...]:
    """The fields of a dataclass that stand in its JSON: those that are `Annotated` with what is `Said` of them.

    A field without a default is required. An underscore at a field's end (`from_`) is not in its JSON name.
    """
    key: Any = model
    return _properties(key)


@cache
def _properties(model: Any) -> tuple[Property, ...]:
    hints = get_type_hints(model, include_extras=True)
    said = {
        name: next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Said)), None)
        for name, hint in hints.items()
    }
    return tuple(
        Property(each.name.rstrip("_"), each.name, known, not (known.filled or _optional(each)), _default(each))
        for each in fields(model)
        if (known := said[each.name]) is not None
    )


def _optional(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def read_object[T](model: type[T], data: Mapping[str, Any], where: str = "data", **given: Any) -> T:
    """The dataclass behind a JSON object, with the fields `given` that are not in it.

    Fields that are not known are kept in its field `extra`. Raises `BadDataError` with the place of the first fault.
    """
    values: dict[str, Any] = {}
    for each in properties(model):
        if each.name in data:
            values[each.field] = each.said.shape.read(data[each.name], f"{where}.{each.name}")
        elif each.required:
            raise BadDataError(f"{where}.{each.name} is missing")
    known = {each.name for each in properties(model)}
    values["extra"] = {str(name): value for name, value in data.items() if name not in known}
    return model(**values, **given)


def write_object(value: Any) -> dict[str, Any]:
    """The JSON object of a dataclass: every field of the contract, and what was kept that is not in it."""
    found = dict(value.extra)
    for each in properties(type(value)):
        plain = getattr(value, each.field)
        if plain is None and each.said.omitted:
            continue
        found[each.name] = each.said.shape.write(plain)
    return found


def schema_of(model: type) -> Schema:
    """The JSON Schema of a dataclass; fields that it does not name may be there."""
    described: dict[str, Schema] = {}
    for each in properties(model):
        described[each.name] = {"description": each.said.meaning, **each.said.shape.schema()}
        if each.default is not MISSING and not isinstance(each.default, dict | tuple):
            described[each.name]["default"] = each.default
    return {
        "type": "object",
        "description": str(model.__doc__).split("\n\n")[0].replace("\n", " "),
        "properties": described,
        "required": [each.name for each in properties(model) if each.required],
    }


@dataclass(frozen=True, slots=True)
class ObjectOf(Shape):
    """A JSON object that is a dataclass of the contract."""

    model: type

    def read(self, value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise BadDataError(f"{where} is not a JSON object")
        return read_object(self.model, value, where)

    def write(self, value: Any) -> Any:
        return write_object(value)

    def schema(self) -> Schema:
        return schema_of(self.model)
