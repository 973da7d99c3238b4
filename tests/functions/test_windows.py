"""Maintenance windows: read as people write them, open when their own clocks say so, also where these are changed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.windows import BadWindowsError, read_windows

ROOT = Path(__file__).resolve().parents[2]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        ("", "2026-06-01T12:00", True),
        ("00:00-24:00 UTC", "2026-06-01T12:00", True),
        ("Sat 02:00-06:00 Europe/Berlin", "2026-06-06T00:00", True),  # 02:00 in Berlin
        ("Sat 02:00-06:00 Europe/Berlin", "2026-06-06T03:59", True),
        ("Sat 02:00-06:00 Europe/Berlin", "2026-06-06T04:00", False),
        ("Sat 02:00-06:00 Europe/Berlin", "2026-06-07T01:00", False),
        ("23:00-01:00 UTC", "2026-06-06T00:30", True),
        ("23:00-01:00 UTC", "2026-06-06T22:59", False),
        ("Fri 23:00-01:00 UTC", "2026-06-06T00:30", True),  # opened on Friday
        ("Fri 23:00-01:00 UTC", "2026-06-05T00:30", False),
        ("Mon-Wed, Fri 10:00-11:00 UTC", "2026-06-05T10:00", True),
        ("Sat-Mon 10:00-11:00 UTC", "2026-06-07T10:00", True),
        ("Sat-Mon 10:00-11:00 UTC", "2026-06-09T10:00", False),
        ("Sat 02:00-06:00 Europe/Berlin; 23:00-01:00 UTC", "2026-06-03T23:30", True),
        # In the east the day has begun already.
        ("Mon 00:00-01:00 Pacific/Kiritimati", "2026-05-31T10:30", True),
    ],
)
def test_a_window_is_open_by_the_clock_of_its_zone(text: str, moment: str, is_open: bool) -> None:
    assert read_windows(text).open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("text", "opens", "closes"),
    [
        # 2026-03-29: 02:00 becomes 03:00 in Berlin, at 01:00 UTC
        ("Sun 01:00-04:00 Europe/Berlin", "2026-03-29T00:00", "2026-03-29T02:00"),
        ("Sun 02:30-04:00 Europe/Berlin", "2026-03-29T01:30", "2026-03-29T02:00"),
        ("Sun 02:00-03:00 Europe/Berlin", "2026-03-29T01:00", "2026-03-29T02:00"),
        # 2026-10-25: 03:00 becomes 02:00 again in Berlin, at 01:00 UTC
        ("Sun 02:00-03:00 Europe/Berlin", "2026-10-25T00:00", "2026-10-25T02:00"),
        ("Sun 01:00-02:30 Europe/Berlin", "2026-10-24T23:00", "2026-10-25T01:30"),
        ("Sat 23:00-01:00 America/Sao_Paulo", "2026-10-25T02:00", "2026-10-25T04:00"),
    ],
)
def test_where_clocks_are_changed_a_window_is_there_all_the_same(text: str, opens: str, closes: str) -> None:
    windows = read_windows(text)
    second = timedelta(seconds=1)
    assert not windows.open(at(opens) - second)
    assert windows.opening(at(opens)) == at(opens)
    assert windows.open(at(closes) - second)
    assert not windows.open(at(closes))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("weekends", "is not a window such as"),
        ("02:00-06:00", "names no time zone"),
        ("Sat 02:00-06:00 Mars/Olympus", "is not a time zone"),
        ("Sat 02:00-06:00 ../../etc/passwd", "is not a time zone"),
        ("Xyz 02:00-06:00 UTC", "is not a day of the week"),
        ("Mon-Tue-Wed 02:00-06:00 UTC", "from one day to another"),
        ("25:00-26:00 UTC", "is not a time of the day"),
        ("02:60-03:00 UTC", "is not a time of the day"),
        ("02:00-02:00 UTC", "begins where it ends"),
        (";".join(["02:00-03:00 UTC"] * 21), "more than 20"),
    ],
)
def test_what_is_no_window_is_told_with_how_one_is_written(text: str, told: str) -> None:
    with pytest.raises(BadWindowsError, match=told):
        read_windows(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_windows(text)
    except BadWindowsError:
        return


@given(
    st.sampled_from(
        ["Sat 02:00-06:00 Europe/Berlin", "02:00-03:00 America/New_York", "Mon 23:30-00:10 Australia/Lord_Howe"]
    ),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(text: str, moment: datetime) -> None:
    windows, now = read_windows(text), moment.replace(tzinfo=UTC)
    found = windows.next_open(now)
    assert found is not None
    assert windows.open(found)
    if found > now:
        assert windows.opening(found) == found
        assert not windows.open(now)
        assert not windows.open(now + (found - now) / 2)


def test_zones_are_known_where_the_system_knows_none() -> None:
    program = "from functions.windows import read_windows; read_windows('Sat 02:00-06:00 Europe/Berlin')"
    bare = {"PYTHONTZPATH": "", "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=bare, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
