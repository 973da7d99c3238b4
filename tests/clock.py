"""A wall clock that a test can turn, for processes that it starts (libfaketime; monotonic time goes on as it is)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Clock:
    """The clock of every process with `environment`; how much it is off stands in the file `place`."""

    place: Path

    def __post_init__(self) -> None:
        self.jump(0.0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to go by this clock."""
        spec = find_spec("libfaketime")
        assert spec is not None and spec.origin is not None
        return {
            "LD_PRELOAD": str(Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"),
            "FAKETIME_TIMESTAMP_FILE": str(self.place),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        """Be so many seconds ahead of the true time from now on, or behind it."""
        aside = self.place.with_suffix(".new")
        aside.write_text(f"{seconds:+.0f}")
        aside.replace(self.place)
