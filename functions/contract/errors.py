"""What can be wrong with an event that came in, or that is to go out."""

from __future__ import annotations

from collections.abc import Mapping


class ContractError(ValueError):
    """The event is not what the contract says; `attributes` are its context attributes as far as they are known."""

    def __init__(self, text: str, attributes: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.attributes: Mapping[str, str] = attributes or {}


class NotAnEventError(ContractError):
    """What came in is no CloudEvent 1.0 with a JSON object as its data."""


class UnknownTypeError(ContractError):
    """The event is of a type that this contract does not have; the text names those that it has."""


class UnknownVersionError(UnknownTypeError):
    """The event is of a known type in a version that is not understood; the text names the one that is."""


class BadDataError(ContractError):
    """A field of the event's data is missing, or holds what it must not; the text names it."""
