"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

pytest_plugins = ["tests.everything_said", "tests.netbox_fixtures", "tests.pubsub_fixtures"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background job ignores it, and so would every program that a test starts, and ends by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests with the same id: of those, xdist runs one alone, without a word."""
    if twice := [id_ for id_, times in Counter(item.nodeid for item in items).items() if times > 1]:
        raise pytest.UsageError(f"several tests have the same id: {', '.join(twice)}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared facts and samples beside the repository (other people's data: read, never copied)."""
    place = Path(os.environ.get("FABRIC_SYNC_SHARED", ROOT.parent / "shared"))
    if not (place / "facts").is_dir():
        pytest.skip(f"the shared facts and samples are not at {place} (set FABRIC_SYNC_SHARED)")
    return place
