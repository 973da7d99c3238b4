"""Pure: maintenance windows as people write them, in their own time zone: when one is open, opened last, opens next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_WINDOWS: Final = 20

_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:\s*[-,]\s*[a-z]{3})*)\s+)?"
    r"(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)
_WEEK = 8
"""Days to look back and ahead for the opening of a window that may be open on one day of the week alone."""


class BadWindowsError(ValueError):
    """A text does not say windows; the message says which part of it, and how one is written."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window: on these days (0 is Monday) from `start` for `length` of wall time, in `zone`."""

    days: frozenset[int]
    start: time
    length: timedelta
    zone: ZoneInfo

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """When it opens and closes (UTC) if it opens on `day` of its zone.

        Where clocks are put forward, a time that does not exist is as much later; where they are put back, the window
        is open from the first of the two to the second. One that a change would swallow is as long as ever.
        """
        if day.weekday() not in self.days:
            return None
        opens = datetime.combine(day, self.start, self.zone)
        wall = datetime.combine(day, self.start) + self.length
        closes = max(wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        opens = opens.astimezone(UTC)
        return opens, closes if closes > opens else opens + self.length


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a fabric; without any it is always open."""

    windows: tuple[Window, ...] = ()

    def opening(self, at: datetime) -> datetime | None:
        """When the window that is open at `at` opened (UTC), None when none is open; meaningless without windows."""
        return max((opens for opens, closes in self._around(at) if opens <= at < closes), default=None)

    def open(self, at: datetime) -> bool:
        """Whether a sync may run at `at`."""
        return not self.windows or self.opening(at) is not None

    def next_open(self, at: datetime) -> datetime | None:
        """The first moment from `at` on at which a sync may run (UTC); None when there is none within a week."""
        if self.open(at):
            return at
        return min((opens for opens, _ in self._around(at) if opens >= at), default=None)

    def _around(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        for window in self.windows:
            today = at.astimezone(window.zone).date()
            for days in range(-_WEEK, _WEEK + 1):
                if found := window.on(today + timedelta(days=days)):
                    yield found


def read_windows(text: str) -> Windows:
    """The windows in a text such as `Sat 02:00-06:00 Europe/Berlin; Mon-Fri 23:00-01:00 UTC`; "" is none.

    Raises `BadWindowsError`.
    """
    parts = [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]
    if len(parts) > MOST_WINDOWS:
        raise BadWindowsError(f"{len(parts)} windows are more than {MOST_WINDOWS}")
    return Windows(tuple(_window(part) for part in parts))


def _window(part: str) -> Window:
    found = _WINDOW.fullmatch(part)
    if found is None:
        raise BadWindowsError(f"{part[:60]!r} is not a window such as `Sat 02:00-06:00 Europe/Berlin`")
    if not found["zone"]:
        raise BadWindowsError(f"{part[:60]!r} names no time zone (such as UTC or Europe/Berlin)")
    try:
        zone = ZoneInfo(found["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise BadWindowsError(f"{found['zone'][:60]!r} is not a time zone of the IANA database") from unknown
    start, end = _minutes(found["start"]), _minutes(found["end"])
    if start == end or start == 24 * 60:
        raise BadWindowsError(f"{part[:60]!r} begins where it ends (the whole day is 00:00-24:00)")
    length = timedelta(minutes=end - start if end > start else end - start + 24 * 60)
    return Window(_days(found["days"]), time(*divmod(start, 60)), length, zone)


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise BadWindowsError(f"{text} is not a time of the day")
    return hours * 60 + minutes


def _days(text: str | None) -> frozenset[int]:
    if not text:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, *last = (_day(name) for name in part.split("-"))
        if len(last) > 1:
            raise BadWindowsError(f"{part.strip()!r} is not a day, nor from one day to another")
        found |= {(first + ahead) % 7 for ahead in range((last[0] - first) % 7 + 1)} if last else {first}
    return frozenset(found)


def _day(name: str) -> int:
    if (name := name.strip().lower()) not in DAYS:
        raise BadWindowsError(f"{name!r} is not a day of the week (Mon, Tue, …)")
    return DAYS.index(name)
