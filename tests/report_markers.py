"""A pytest plugin (`-p tests.report_markers`): writes each test's markers into the report, for `.ci/judge.py`."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [("marker", name) for name in sorted({mark.name for mark in item.iter_markers()})]
