"""A real NetBox on this machine, for demonstrations and tests: no Docker, no root, one directory."""

from infra.sandbox.netbox.errors import Busy, CannotInstall, CannotStart, SandboxError
from infra.sandbox.netbox.sandbox import NetBoxSandbox, Running, State, Status, default_state

__all__ = [
    "Busy",
    "CannotInstall",
    "CannotStart",
    "NetBoxSandbox",
    "Running",
    "SandboxError",
    "State",
    "Status",
    "default_state",
]
