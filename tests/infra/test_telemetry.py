"""Telemetry: one line each, whole, bounded, with its context, and without any secret in any place."""

from __future__ import annotations

import enum
import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import redaction
from infra.deadline import Deadline
from infra.redaction import Secret
from infra.telemetry import LINE_LIMIT, bound, fields, setup

log = logging.getLogger("tests.telemetry")


@pytest.fixture(autouse=True, scope="module")
def own_register() -> Iterator[None]:
    """What is registered here must not be masked in other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redaction, "_known", redaction._Known())
        yield


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    setup("DEBUG", stream=stream)
    yield stream
    root.handlers[:], root.level = before


def without_pytests_own() -> None:
    """Take pytest's handlers off: they raise what ours must swallow."""
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__ == "infra.telemetry"]


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    entry: dict[str, Any] = json.loads(line)
    return entry


def test_a_line_is_one_json_object_with_severity_message_and_time(out: io.StringIO) -> None:
    log.warning("read %d of %s", 3, "kinds\nin two lines")
    entry = only(out)
    assert entry["severity"] == "WARNING"
    assert entry["message"] == "read 3 of kinds\nin two lines"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    assert "remaining_s" not in entry


@pytest.mark.parametrize(
    ("level", "severity"),
    [(10, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARNING"), (40, "ERROR"), (50, "CRITICAL"), (99, "CRITICAL")],
)
def test_severities_have_the_names_of_cloud_logging(level: int, severity: str, out: io.StringIO) -> None:
    log.log(level, "x")
    assert only(out)["severity"] == severity


def test_the_context_of_the_invocation_is_on_every_line_inside_it(out: io.StringIO) -> None:
    deadline = Deadline(ends_at=130.0, reserve=3.0, clock=lambda: 100.0)
    with bound(fabric="one", event_id="e1", deadline=deadline):
        with bound(correlation_id="c1", fabric="two"):
            log.info("inner")
        log.info("outer", extra=fields(objects=5, name="sw-1", message="other"))
    log.info("outside")
    inner, outer, outside = (json.loads(line) for line in out.getvalue().splitlines())
    assert (inner["fabric"], inner["event_id"], inner["correlation_id"]) == ("two", "e1", "c1")
    assert inner["remaining_s"] == 27.0
    assert (outer["fabric"], outer["objects"], outer["name"]) == ("one", 5, "sw-1")
    assert "correlation_id" not in outer
    assert (outer["message"], outer["message_"]) == ("outer", "other")
    assert "fabric" not in outside


def test_the_context_of_one_thread_is_not_that_of_another(out: io.StringIO) -> None:
    with bound(fabric="one"):
        thread = threading.Thread(target=lambda: log.info("elsewhere"))
        thread.start()
        thread.join(10)
    assert "fabric" not in only(out)


def test_setting_up_twice_writes_once(out: io.StringIO) -> None:
    setup("INFO", stream=out)
    setup("INFO", stream=out)
    log.info("once")
    log.debug("below the level")
    assert only(out)["message"] == "once"


def test_lines_go_to_what_stdout_is_at_that_moment(out: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    setup("INFO")
    log.info("hello")
    assert json.loads(capsys.readouterr().out)["message"] == "hello"


def test_libraries_that_chatter_are_quiet(out: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").info("starting new connection")
    assert out.getvalue() == ""


def test_an_exception_is_told_with_its_causes(out: io.StringIO) -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        log.exception("it failed")
    entry = only(out)
    assert entry["severity"] == "ERROR"
    assert "KeyError: 'inner'" in entry["stack_trace"]
    assert entry["stack_trace"].rstrip().endswith("RuntimeError: outer")


def test_text_mode_is_a_line_for_people(out: io.StringIO) -> None:
    setup("INFO", "text", out)
    with bound(fabric="one"):
        log.info("read\x1b[31m %s", "Switch\nfake line", extra=fields(objects=5))
    (line,) = out.getvalue().splitlines()
    assert line.endswith("read\\x1b[31m Switch\\nfake line  objects=5")
    assert "INFO" in line
    assert "one" in line


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class BrokenMapping(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


@pytest.mark.parametrize(
    "speak",
    [
        lambda: log.info("%d and %s", "x"),
        lambda: log.info("%s", Broken()),
        lambda: log.info(Broken()),
        lambda: log.info("x", extra=fields(a=Broken(), b={Broken(): Broken()})),
        lambda: log.info("x", extra=fields(a=BrokenMapping(b=1))),
        lambda: log.info("x", extra={"fields": 5}),
        lambda: log.error("x", exc_info=RuntimeError(Broken())),
        lambda: log.info("\ud800 %s", "\udfff"),
        lambda: log.info("x", extra=fields(a=float("nan"), b=10**400, c=float("inf"), d=b"\xff")),
    ],
)
def test_nothing_that_is_logged_can_raise_or_lose_its_line(speak: Callable[[], None], out: io.StringIO) -> None:
    without_pytests_own()
    speak()
    assert only(out)["message"]
    assert "NaN" not in out.getvalue()


def test_a_closed_stdout_fails_no_work(out: io.StringIO) -> None:
    out.close()
    log.info("to nobody")


def test_a_value_that_holds_itself_ends(out: io.StringIO) -> None:
    circle: list[Any] = []
    circle.extend([circle] * 200)
    log.info("x", extra=fields(circle=circle))
    assert only(out)["message"] == "x"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(min_size=1, max_size=8),
    times=st.sampled_from([1, 5_000, 20_000]),
    count=st.sampled_from([1, 40, 300]),
)
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_line_is_longer_than_its_limit(log_format: str, text: str, times: int, count: int, out: io.StringIO) -> None:
    out.seek(0)
    out.truncate()
    setup("INFO", log_format, out)
    long = text * times
    many: dict[str, Any] = {f"f{number}": text * min(times, 400) for number in range(count)}
    try:
        raise ValueError(long)
    except ValueError:
        log.exception("%s", long, extra=fields(inside=many, **many))
    written = out.getvalue()
    assert len(written.encode("utf-8", "surrogatepass")) <= LINE_LIMIT
    if log_format == "json":
        assert json.loads(written)["severity"] == "ERROR"


# Secrets, in every place a value can be put into


@dataclass
class Holder:
    token_of: object


def _raise(value: str) -> None:
    try:
        try:
            raise KeyError(value)
        except KeyError as error:
            error.add_note(f"note {value}")
            raise RuntimeError(f"with {value}") from error
    except RuntimeError:
        log.exception("failed")


def _bound(value: str) -> None:
    with bound(fabric=value, event_id={value: [value]}):
        log.info("x")


PLACES: dict[str, Callable[[str], None]] = {
    "message": lambda value: log.info(f"before {value} after"),
    "argument": lambda value: log.info("%s", value),
    "argument repr": lambda value: log.info("%r", value),
    "argument that does not fit": lambda value: log.info(f"{value} %d", value),
    "argument in a dict": lambda value: log.info("%s", {"a": [value]}),
    "field": lambda value: log.info("x", extra=fields(a=value)),
    "extra": lambda value: log.info("x", extra={"a": value}),
    "field name": lambda value: log.info("x", extra=fields(**{value: 1})),
    "nested field": lambda value: log.info("x", extra=fields(a={"b": [{"c": (value, {value})}]})),
    "deeply nested": lambda value: log.info("x", extra=fields(a=[[[[[[[[[value]]]]]]]]])),
    "object": lambda value: log.info("x", extra=fields(a=Holder(value))),
    "enum": lambda value: log.info("x", extra=fields(a=enum.Enum("E", {"ONE": value}).ONE)),  # type: ignore[attr-defined]
    "bytes": lambda value: log.info("x", extra=fields(a=value.encode("utf-8", "surrogatepass"))),
    "exception": _raise,
    "exception field": lambda value: log.info("x", extra=fields(a=ValueError(value))),
    "context": _bound,
    "json inside": lambda value: log.info("body %s", json.dumps({"a": value})),
    "at the cut": lambda value: log.info("x" * (8 * 1024 - 3) + value),
    "past the cut": lambda value: log.info("x" * 65_530 + value + "y" * 70_000),
    "cut in a stack": lambda value: log.error("x", exc_info=ValueError("x" * 11_990 + value + "y" * 20_000)),
}


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.text(alphabet=st.characters(exclude_characters="*x"), min_size=8, max_size=80).filter(
        lambda v: len(v.strip()) > 7
    )
)
def test_a_secret_reaches_no_line_from_any_place(place: str, log_format: str, value: str, out: io.StringIO) -> None:
    without_pytests_own()
    Secret(value)
    out.seek(0)
    out.truncate()
    setup("INFO", log_format, out)
    PLACES[place](value)
    written = out.getvalue()
    assert written
    assert value not in written
    assert json.dumps(value)[1:-1] not in written
    if log_format == "json":
        assert all(value not in text for text in strings(json.loads(written)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_a_secret_and_a_field_named_for_one_are_masked(out: io.StringIO) -> None:
    log.info("with %s", Secret("open-sesame"), extra=fields(a=Secret("open-sesame"), password="1234", b={"token": "1"}))
    entry = only(out)
    assert (entry["message"], entry["a"], entry["password"], entry["b"]) == ("with ***", "***", "***", {"token": "***"})
