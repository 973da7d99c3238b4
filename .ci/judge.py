"""Reads pytest's report and refuses one in which the real NetBox, emulator or browser was left out."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

REAL = {
    "netbox",
    "emulator",
    "browser",
}  # the markers of pyproject.toml; tests/report_markers.py writes them into the report


def complaints(report: str, least: int) -> list[str]:
    """What is wrong with the report at the path `report`, which must hold at least `least` tests that ran."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314  # reason: pytest wrote it just now
    skipped = [case for case in cases if case.find("skipped") is not None]
    found = []
    for case in skipped:
        marks = {prop.get("value", "") for prop in case.iter("property") if prop.get("name") == "marker"}
        if marks & REAL:
            reason = case.find("skipped").get("message", "")  # type: ignore[union-attr]
            found.append(f"{case.get('classname')}.{case.get('name')} was skipped: {reason}")
    if (ran := len(cases) - len(skipped)) < least:
        found.append(f"{ran} tests ran, and there must be at least {least}")
    print(f"{len(cases)} tests, {len(skipped)} skipped")
    return found


if __name__ == "__main__":
    told = complaints(sys.argv[1], int(sys.argv[2]))
    for line in told:
        print(f"refused: {line}")
    sys.exit(bool(told))
