"""A real NetBox for tests: `netbox_server`, one for the whole run, and `netbox`, the same one emptied for each test."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.sandbox.netbox import CannotInstall, NetBoxSandbox, Running
from infra.sandbox.netbox.sandbox import STATE_VARIABLE
from tests.everything_said import keep_secret

ROOT = Path(__file__).resolve().parent.parent
_PLACES = 8


@dataclass(frozen=True)
class ServedNetBox:
    """A NetBox that answers, and the means to empty it."""

    sandbox: NetBoxSandbox
    running: Running

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def token_v2(self) -> str:
        return self.running.token_v2

    @property
    def token_v1(self) -> str:
        return self.running.token_v1

    def reset(self) -> None:
        """Empty it; the administrator and the tokens stay."""
        self.sandbox.reset()


@contextmanager
def place_for(name: str) -> Iterator[Path]:
    """A state directory that no other test run uses meanwhile, kept for the next run because its install is reused."""
    parent = Path(os.environ.get(STATE_VARIABLE) or ROOT / ".sandbox")
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, _PLACES + 1):
        place = parent / (name if number == 1 else f"{name}-{number}")
        with place.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield place
            return
    pytest.fail(f"{_PLACES} test runs use the sandboxes {parent / name} already")


@pytest.fixture(scope="session")
def netbox_server() -> Iterator[ServedNetBox]:
    """The NetBox of this test run, empty at its start; skips, saying what is missing, where none can be installed."""
    with place_for("netbox-test") as state:
        sandbox = NetBoxSandbox(state)
        try:
            sandbox.install()
        except CannotInstall as missing:
            pytest.skip(f"no real NetBox here: {missing}")
        try:
            running = sandbox.up(owned=True)
            keep_secret("NetBox's token, v2", running.token_v2)
            keep_secret("NetBox's token, v1", running.token_v1)
            sandbox.reset()
            yield ServedNetBox(sandbox, running)
        finally:
            sandbox.down()


@pytest.fixture
def netbox(netbox_server: ServedNetBox) -> ServedNetBox:
    """The NetBox of this test run, emptied."""
    netbox_server.reset()
    return netbox_server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "netbox_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.netbox)
