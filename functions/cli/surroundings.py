"""What a command works on: the settings of its environment, or of the sandbox that runs here; its NetBox."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from infra.deadline import Deadline
from infra.netbox import NetBox, NetBoxReader
from infra.secrets import read_netbox_token
from infra.settings import Settings
from infra.telemetry import setup

COMMAND_SECONDS = 120.0
"""What a command other than `sync` may take."""


def settings_here(needs: Collection[str] = (), *, quiet: bool = False) -> Settings:
    """The settings of this environment; where NETBOX_URL is not set, those of a sandbox that runs here.

    That is said on stderr, unless `quiet`. Raises `SettingsError`.
    """
    environ = dict(os.environ)
    if not environ.get("NETBOX_URL", "").strip():
        from infra.sandbox.world import World

        world = World()
        addresses = world.addresses()
        if addresses is not None:
            environ |= addresses.environment()
            if not quiet:
                text = f"NETBOX_URL is not set: working on the sandbox in {world.state} ({addresses.netbox})\n"
                sys.stderr.write(text)
    settings = Settings.from_env(environ, needs=needs)
    if os.environ.get("FABRIC_SYNC_LOG_LEVEL", "").strip():
        setup(settings.log_level, settings.log_format, sys.stderr)
    else:
        # Asked for by nobody, a log would stand between the lines that a person reads.
        logging.getLogger().addHandler(logging.NullHandler())
    return settings


@contextmanager
def open_netbox(settings: Settings, deadline: Deadline | None = None) -> Iterator[NetBox]:
    """The NetBox of these settings, to read and to write; `deadline` as `COMMAND_SECONDS` from now by default."""
    deadline = deadline or Deadline.after(COMMAND_SECONDS)
    with NetBox(settings.netbox_url, _token(settings, deadline), deadline, ca_file=_ca_file(settings)) as netbox:
        yield netbox


@contextmanager
def open_reader(settings: Settings, deadline: Deadline | None = None) -> Iterator[NetBoxReader]:
    """The NetBox of these settings, with no way to change it."""
    deadline = deadline or Deadline.after(COMMAND_SECONDS)
    with NetBoxReader(settings.netbox_url, _token(settings, deadline), deadline, ca_file=_ca_file(settings)) as netbox:
        yield netbox


def _token(settings: Settings, deadline: Deadline) -> str:
    return read_netbox_token(settings, deadline).reveal()


def _ca_file(settings: Settings) -> str | None:
    return str(settings.netbox_ca_file) if settings.netbox_ca_file else None
