"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.everything_said", "tests.netbox_fixtures", "tests.pubsub_fixtures"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared facts and samples beside the repository (other people's data: read, never copied)."""
    place = Path(os.environ.get("FABRIC_SYNC_SHARED", ROOT.parent / "shared"))
    if not (place / "facts").is_dir():
        pytest.skip(f"the shared facts and samples are not at {place} (set FABRIC_SYNC_SHARED)")
    return place
