"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest_plugins = ["tests.everything_said", "tests.netbox_fixtures", "tests.pubsub_fixtures"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background job ignores it, and so would every program that a test starts, and ends by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared facts and samples beside the repository (other people's data: read, never copied)."""
    place = Path(os.environ.get("FABRIC_SYNC_SHARED", ROOT.parent / "shared"))
    if not (place / "facts").is_dir():
        pytest.skip(f"the shared facts and samples are not at {place} (set FABRIC_SYNC_SHARED)")
    return place
