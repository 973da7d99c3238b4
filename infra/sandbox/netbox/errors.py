"""What can go wrong with the sandbox, each error saying what to do."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the text says why and what is missing."""


class CannotInstall(SandboxError):
    """NetBox, PostgreSQL or Valkey could not be put onto this machine."""


class CannotStart(SandboxError):
    """A process of the sandbox ended, or did not answer in time; the text ends with the last lines of its log."""


class Busy(SandboxError):
    """Another process holds the state directory and did not let go of it in time."""
