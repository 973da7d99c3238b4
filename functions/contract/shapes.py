"""The shapes of single values: how each is read from JSON, written to it, and described in JSON Schema."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from .errors import BadDataError

type Schema = dict[str, Any]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Shape(ABC):
    """One shape. `read(write(value)) == value` for each value that it can hold."""

    @abstractmethod
    def read(self, value: Any, where: str) -> Any:
        """The value behind a JSON value; raises `BadDataError`, which names the place (such as `data.attempt`)."""

    def write(self, value: Any) -> Any:
        """The value as JSON."""
        return value

    @abstractmethod
    def schema(self) -> Schema:
        """The shape in JSON Schema 2020-12. It lets pass all that `read` takes."""


@dataclass(frozen=True, slots=True)
class Text(Shape):
    """A text of `least` to `most` characters (no limit: None); `printable`: fit for a log line and a header."""

    least: int = 0
    most: int | None = None
    printable: bool = False
    pattern: str | None = None
    called: str = "a text"

    def read(self, value: Any, where: str) -> str:
        fits = (
            isinstance(value, str)
            and len(value) >= self.least
            and (self.most is None or len(value) <= self.most)
            and (not self.printable or value.isprintable())
            and (self.pattern is None or re.fullmatch(self.pattern, value, re.ASCII) is not None)
        )
        if not fits:
            raise BadDataError(f"{where} is not {self.called}")
        return str(value)

    def write(self, value: Any) -> Any:
        return str(value) if isinstance(value, str) else value

    def schema(self) -> Schema:
        limits = {
            "minLength": self.least or None,
            "maxLength": self.most,
            "pattern": self.pattern and f"^{self.pattern}$",
        }
        return {"type": "string", **{name: limit for name, limit in limits.items() if limit is not None}}


@dataclass(frozen=True, slots=True)
class Whole(Shape):
    """A whole number from `least` to `most`."""

    least: int = 0
    most: int | None = None

    def read(self, value: Any, where: str) -> int:
        known = isinstance(value, int) and not isinstance(value, bool)
        if not known or value < self.least or (self.most is not None and value > self.most):
            upto = f"to {self.most}" if self.most is not None else "up"
            raise BadDataError(f"{where} is not a whole number from {self.least} {upto}")
        return int(value)

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, **({} if self.most is None else {"maximum": self.most})}


@dataclass(frozen=True, slots=True)
class Number(Shape):
    """A number, such as seconds; negative where a clock was put back meanwhile."""

    def read(self, value: Any, where: str) -> float:
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not math.isfinite(value):
            raise BadDataError(f"{where} is not a number")
        return value  # type: ignore[no-any-return]  # an int stays one: as it came, so it goes on

    def schema(self) -> Schema:
        return {"type": "number"}


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """True or false."""

    def read(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise BadDataError(f"{where} is neither true nor false")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Moment(Shape):
    """A time with its offset from UTC, as in RFC 3339; written in UTC."""

    def read(self, value: Any, where: str) -> datetime:
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            try:
                return datetime.fromisoformat(value.upper())
            except ValueError:
                pass  # the 30th of February
        raise BadDataError(f"{where} is not a time as in RFC 3339, such as 2026-01-02T03:04:05Z")

    def write(self, value: Any) -> Any:
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise BadDataError(f"{value!r} is not a time with an offset from UTC")
        try:
            return value.astimezone(UTC).isoformat()
        except OverflowError as wrong:
            raise BadDataError(f"{value!r} has no time in UTC") from wrong

    def schema(self) -> Schema:
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """A word of a closed list: within a version of a type no other is added."""

    words: type[StrEnum]

    def read(self, value: Any, where: str) -> StrEnum:
        try:
            return self.words(value)
        except ValueError as wrong:
            raise BadDataError(f"{where} is not one of {', '.join(self.words)}") from wrong

    def write(self, value: Any) -> Any:
        return str(value)

    def schema(self) -> Schema:
        return {"type": "string", "enum": [word.value for word in self.words]}


@dataclass(frozen=True, slots=True)
class OrNull(Shape):
    """What `shape` holds, or null."""

    shape: Shape

    def read(self, value: Any, where: str) -> Any:
        return None if value is None else self.shape.read(value, where)

    def write(self, value: Any) -> Any:
        return None if value is None else self.shape.write(value)

    def schema(self) -> Schema:
        return {"anyOf": [self.shape.schema(), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list of `least` to `most` values of one shape; a tuple here."""

    shape: Shape
    least: int = 0
    most: int | None = None

    def read(self, value: Any, where: str) -> tuple[Any, ...]:
        known = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        if not known or len(value) < self.least or (self.most is not None and len(value) > self.most):
            size = f" of {self.least} to {self.most} values" if self.most is not None else ""
            raise BadDataError(f"{where} is not a list{size}")
        return tuple(self.shape.read(each, f"{where}[{number}]") for number, each in enumerate(value))

    def write(self, value: Any) -> Any:
        return [self.shape.write(each) for each in value]

    def schema(self) -> Schema:
        limits = {"minItems": self.least or None, "maxItems": self.most}
        return {
            "type": "array",
            "items": self.shape.schema(),
            **{name: limit for name, limit in limits.items() if limit is not None},
        }


@dataclass(frozen=True, slots=True)
class MapOf(Shape):
    """A JSON object whose names are data, with values of one shape."""

    shape: Shape

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise BadDataError(f"{where} is not a JSON object")
        return {str(name): self.shape.read(each, f"{where}.{name}") for name, each in value.items()}

    def write(self, value: Any) -> Any:
        return {str(name): self.shape.write(each) for name, each in value.items()}

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.shape.schema()}
