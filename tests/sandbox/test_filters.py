"""The filter language: what is let through, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sandbox.filters import MAX_FILTER_BYTES, FilterError, compile_filter

EAST = {"fabric": "east-1", "ce-type": "sync.failed", "empty": ""}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("  ", True),
        ("attributes:fabric", True),
        ("attributes:site", False),
        ('attributes.fabric = "east-1"', True),
        ('attributes.fabric="east"', False),
        ('attributes.fabric != "east-1"', False),
        ('attributes.site != "x"', True),
        ('attributes.ce-type = "sync.failed"', True),
        ('attributes."ce-type" = "sync.failed"', True),
        ('hasPrefix(attributes.fabric, "east")', True),
        ('hasPrefix(attributes.fabric, "west")', False),
        ('hasPrefix(attributes.empty, "")', True),
        ('hasPrefix(attributes.site, "")', False),
        ("NOT attributes:site", True),
        ("-attributes:fabric", False),
        ("NOT NOT attributes:fabric", True),
        ('attributes:fabric AND attributes.ce-type = "sync.failed"', True),
        ("attributes:fabric AND attributes:site", False),
        ("attributes:site OR attributes:fabric", True),
        ("attributes:site OR (attributes:fabric AND NOT attributes:site)", True),
        ("NOT (attributes:site OR attributes:fabric)", False),
        ("attributes:a OR attributes:b OR attributes:empty", True),
        (r'attributes.fabric = "east\-1"', True),
    ],
)
def test_a_filter_decides_by_the_attributes(text: str, passes: bool) -> None:
    assert compile_filter(text)(EAST) is passes


@pytest.mark.parametrize(
    "text",
    [
        "fabric",
        "attributes",
        "attributes.fabric",
        "attributes.fabric = east",
        'attributes.fabric == "east"',
        "attributes.fabric = 'east'",
        'attributes.fabric < "east"',
        'attributes.fabric = "east',
        "attributes:a AND attributes:b OR attributes:c",
        "attributes:a and attributes:b",
        "attributes:a AND",
        "(attributes:a",
        "attributes:a)",
        'hasPrefix(attributes.a "x")',
        'hasPrefix("a", "x")',
        "NOT",
        'data.fabric = "east"',
        "attributes:" + "a" * MAX_FILTER_BYTES,
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text)


@given(value=st.text(max_size=20), other=st.text(max_size=20))
def test_any_value_can_be_asked_for(value: str, other: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    predicate = compile_filter(f'attributes.key = "{quoted}"')

    assert predicate({"key": value})
    assert predicate({"key": other}) is (other == value)


@given(text=st.text(alphabet='attributes.:="()ANDORNOT -x', max_size=40))
def test_nothing_but_a_filter_error_comes_of_a_bad_text(text: str) -> None:
    try:
        compile_filter(text)({"x": "x"})
    except FilterError:
        return
