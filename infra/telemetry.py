"""Telemetry: one JSON line per event on stdout, with the context of the invocation and without any secret."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, TextIO

from infra.deadline import Deadline
from infra.redaction import MASK, Secret, is_sensitive, redact

LINE_LIMIT: Final = 32 * 1024
"""Bytes of one log line, its newline included."""

_TEXT_LIMIT = 8 * 1024  # characters of a message or of one field
_STACK_LIMIT = 12 * 1024  # characters of an exception's text: its head and its tail
_MOST_ITEMS = 1000  # values inside all containers of one line together
_MOST_FIELDS = 200
_DEEPEST = 6
_QUIET = ("urllib3", "requests", "google", "kubernetes", "pynetbox", "werkzeug", "asyncio")

# Cloud Logging's LogSeverity names, by Python's level: the highest row that is not above the record's level
_SEVERITIES = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (10, "DEBUG"), (0, "DEFAULT"))
_PLAIN_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields"}

_context: ContextVar[Mapping[str, object]] = ContextVar("telemetry", default=MappingProxyType({}))


@contextmanager
def bound(**context: object) -> Iterator[None]:
    """Put `context` on every log line written inside, in this thread or task: fabric, event_id, correlation_id, …

    `deadline` is a `Deadline`; the lines show its seconds left as `remaining_s`. Names that are None are left out.
    """
    token = _context.set(MappingProxyType({**_context.get(), **context}))
    try:
        yield
    finally:
        _context.reset(token)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Fields for one line, under any name: `log.info("read %s", kind, extra=fields(name=…, objects=…))`."""
    return {"fields": values}


def setup(level: str = "INFO", log_format: str = "json", stream: TextIO | None = None) -> None:
    """Let the root logger write to stdout (or `stream`), as `json` or, for a terminal, as `text`.

    May be called again: the later call wins, and no line is ever written twice.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        # a handler of our own, or the bare one that logging.basicConfig and frameworks put in
        if isinstance(handler, _Lines) or type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    ours = _Lines(stream)
    ours.setFormatter(_FORMATS[log_format]())
    root.addHandler(ours)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines(logging.Handler):
    """Writes whole lines, one write each, to what stdout is at that moment; a failing stdout fails no work."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        stream = self._stream or sys.stdout
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # reason: an object that cannot even be looked at must not fail the work
            line = json.dumps({"severity": "ERROR", "message": "a log line could not be made", "logger": record.name})
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):  # closed or broken: nobody is left to tell
            return


class _JsonLine(logging.Formatter):
    """One JSON object, in ASCII, at most `LINE_LIMIT` bytes long."""

    def format(self, record: logging.LogRecord) -> str:
        return _fitted(_entry(record))


class _TextLine(logging.Formatter):
    """For people at a terminal: time, severity, fabric, message, the rest as name=value; a stack below."""

    def format(self, record: logging.LogRecord) -> str:
        entry = _entry(record)
        stack = entry.pop("stack_trace", "")
        head = f"{entry.pop('time')[11:19]} {entry.pop('severity'):<8} {entry.pop('fabric', '-'):<16} "
        message = entry.pop("message")
        entry.pop("logger")
        rest = "".join(f"  {name}={value}" for name, value in entry.items())
        line = head + "".join(char if char.isprintable() else repr(char)[1:-1] for char in message + rest)
        return (
            (line + ("\n" + stack.rstrip() if stack else ""))
            .encode("utf-8", "replace")[: LINE_LIMIT - 4]
            .decode("utf-8", "ignore")
        )


_FORMATS: dict[str, type[logging.Formatter]] = {"json": _JsonLine, "text": _TextLine}


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    """The line as an object of plain JSON values, all of them masked and cut to size."""
    entry: dict[str, Any] = {
        "severity": next(name for least, name in _SEVERITIES if record.levelno >= least or least == 0),
        "message": _cut(redact(_message(record)), _TEXT_LIMIT),
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "logger": record.name,
    }
    if record.exc_info and record.exc_info[0]:
        entry["stack_trace"] = _stack(record.exc_info)
    context = dict(_context.get())
    deadline = context.pop("deadline", None)
    if isinstance(deadline, Deadline):
        entry["remaining_s"] = round(deadline.left(), 3)
    own = {name: value for name, value in vars(record).items() if name not in _PLAIN_RECORD}
    given = getattr(record, "fields", {})
    budget = iter(range(_MOST_ITEMS))
    named = {**context, **own, **(given if isinstance(given, dict) else {})}
    for name, value in islice(named.items(), _MOST_FIELDS):
        if value is None:
            continue
        plain = _plain_field(str(name), value, _DEEPEST, budget)
        entry[f"{name}_" if name in entry else _cut(redact(str(name)), 100)] = plain
    return entry


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # reason: a wrong format string or a failing __str__ must not lose the line
        return f"{_text(record.msg)} (its arguments did not fit)"


def _stack(exc_info: Any) -> str:
    try:
        text = "".join(traceback.format_exception(*exc_info))
    except Exception:  # noqa: BLE001  # reason: an exception whose own text fails must not lose the line
        text = f"{exc_info[0].__name__} (its text could not be made)"
    return _cut(redact(text), _STACK_LIMIT, tail=_STACK_LIMIT * 2 // 3)


def _plain_field(name: str, value: object, depth: int, budget: Iterator[int]) -> Any:
    """A named value; under the name of a credential it is masked, whatever it is."""
    hidden = value is not None and not isinstance(value, bool) and is_sensitive(name)
    return MASK if hidden else _plain(value, depth, budget)


def _plain(value: object, depth: int, budget: Iterator[int]) -> Any:
    """A value as JSON can hold it, masked; containers as deep and as wide as `depth` and `budget` allow."""
    if isinstance(value, Secret):
        return MASK
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth, budget)
    if isinstance(value, int | float):
        return value if -(2**63) < value < 2**63 else _cut(_text(value), 100)  # nan and infinity as text, too
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if depth and isinstance(value, Mapping):
        return {
            _cut(redact(_text(key)), 100): _plain_field(_text(key), item, depth - 1, budget)
            for (key, item), _ in zip(value.items(), budget, strict=False)
        }
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1, budget) for item, _ in zip(value, budget, strict=False)]
    return _cut(redact(_text(value)), _TEXT_LIMIT)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # reason: a failing __str__ of somebody's object must not lose the line
        return f"<{type(value).__name__}>"


def _cut(text: str, limit: int, tail: int = 0) -> str:
    """At most about `limit` characters: the head, and the last `tail` of them. Only for masked text."""
    if len(text) <= limit:
        return text
    end = text[-tail:] if tail else ""
    return f"{text[: limit - tail]}… ({len(text) - limit} more characters){end}"


def _fitted(entry: dict[str, Any]) -> str:
    """The entry as one JSON line that keeps to the limit: the largest values are halved, or left out."""

    def size(name: str) -> int:
        return len(json.dumps({name: entry[name]}))

    sizes = {name: size(name) for name in entry}
    while sum(sizes.values()) > LINE_LIMIT - 64:  # 64: for "truncated" and the newline
        largest = max(sizes, key=lambda name: sizes[name])
        if isinstance(entry[largest], str) and len(entry[largest]) > 64:
            entry[largest] = entry[largest][: len(entry[largest]) // 2]
            sizes[largest] = size(largest)
        else:
            del entry[largest], sizes[largest]
        entry["truncated"] = True
    return json.dumps(entry, allow_nan=False)
