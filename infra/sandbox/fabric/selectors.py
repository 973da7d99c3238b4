"""Label and field selectors as the API server reads them, with its words for what it cannot read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.sandbox.fabric.manifests import Stored

type Test = Callable[[Mapping[str, str]], bool]

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_TOKEN = re.compile(r"\s*(===?|!=|[=!,()]|[^\s=!,()]+)")
_FIELDS = {"metadata.name": 1, "metadata.namespace": 0}


class SelectorError(ValueError):
    """A selector that is answered 400; its text is the server's."""


def by_label(selector: str) -> Callable[[Stored], bool]:
    """A test for objects from `a=b,c!=d,e in (f,g),h,!i`.

    Raises:
        SelectorError: it cannot be parsed.
    """
    tests = [_requirement(part) for part in _split(selector)]

    def matches(stored: Stored) -> bool:
        labels: Mapping[str, str] = stored.object["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def by_field(selector: str) -> Callable[[Stored], bool]:
    """A test for objects from `metadata.name=x,metadata.namespace!=y`; other fields are not supported.

    Raises:
        SelectorError: unknown field, or no operator.
    """
    tests: list[tuple[int, str, bool]] = []
    for term in selector.split(","):
        if not term:
            continue
        match = re.match(r"(.*?)(==|!=|=)(.*)", term)
        if match is None:
            raise SelectorError(f"invalid selector: '{selector}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if not field and not value.strip("="):
            continue  # the real server takes `===,` for no condition at all
        if field not in _FIELDS:
            raise SelectorError(f"field label not supported: {field}")
        tests.append((_FIELDS[field], value, operator != "!="))
    return lambda stored: all((stored.key[place] == value) is wanted for place, value, wanted in tests)


def _split(selector: str) -> list[list[str]]:
    tokens = [token for token in _TOKEN.findall(selector) if token]
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")  # noqa: S105 - brackets, no passwords
        if token == "," and depth == 0:  # noqa: S105
            parts.append([])
        else:
            parts[-1].append("==" if token == "===" else token)  # noqa: S105
            if token == "===":  # noqa: S105
                parts[-1].append("=")
    return [part for part in parts if part]


def _requirement(tokens: list[str]) -> Test:
    negated = tokens[0] == "!"
    key, *rest = tokens[1:] if negated else tokens
    if not re.fullmatch(_NAME, key.rpartition("/")[2]):
        raise SelectorError(
            f'unable to parse requirement: <nil>: Invalid value: "{key}": name part must consist of alphanumeric '
            "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
            "'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    if not rest:
        return (lambda labels: key not in labels) if negated else (lambda labels: key in labels)
    operator, values = rest[0], rest[1:]
    if operator in ("in", "notin") and values[:1] == ["("] and values[-1:] == [")"]:
        among = {value for value in values[1:-1] if value != ","}
        return lambda labels: (labels.get(key) in among) is (operator == "in")
    if operator not in ("=", "==", "!="):
        raise SelectorError(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    if len(values) > 1 or values[:1] in (["="], ["=="], ["!="]):
        raise SelectorError(f"unable to parse requirement: found '{values[0]}', expected: identifier")
    value = values[0] if values else ""
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def test_of(query: Mapping[str, str]) -> Callable[[Stored], bool] | None:
    """The test that a list's query asks for, or None if every object is wanted.

    Raises:
        SelectorError: one of the selectors cannot be read.
    """
    made: list[Any] = []
    if query.get("labelSelector"):
        made.append(by_label(query["labelSelector"]))
    if query.get("fieldSelector"):
        made.append(by_field(query["fieldSelector"]))
    return (lambda stored: all(test(stored) for test in made)) if made else None
