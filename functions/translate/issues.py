"""What translation has to say about objects that it could not take as they are: never fatal, always named."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Code(StrEnum):
    """Why an object, or a part of it, did not become the record one would expect."""

    MALFORMED = "malformed"  # a value of the wrong type or form, or an object without a name
    DANGLING = "dangling"  # a reference to an object that the fabric does not have
    UNKNOWN_PROFILE = "unknown_profile"  # a switch whose profile the fabric does not have: its ports are not known
    UNKNOWN_ROLE = "unknown_role"  # a switch role outside the closed list
    UNKNOWN_TYPE = "unknown_type"  # a connection of a type that is not mapped: its ports look unused
    UNKNOWN_MODE = "unknown_mode"  # a breakout mode that the port's profile does not support
    PORT_NOT_IN_PROFILE = "port_not_in_profile"  # a port that the switch does not have in its present breakouts
    PORT_IN_USE = "port_in_use"  # a port that another connection (or link) has already taken
    ADDRESS_IN_USE = "address_in_use"  # an address that another object has already taken
    SERIAL_MISMATCH = "serial_mismatch"  # the switch tells another serial number than its object does
    VLAN_OUTSIDE = "vlan_outside"  # a VLAN that its namespace does not hold, or has given to another subnet
    NAME_COLLISION = "name_collision"  # the name was taken, so that another one was given
    CLASH = "clash"  # two records would be one object in NetBox: the later one is left out


BLINDING = frozenset({Code.MALFORMED, Code.UNKNOWN_PROFILE, Code.CLASH})
"""Codes after which records may be missing that the fabric does want: absences then prove nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Issue:
    """One finding about one object of the fabric.

    `source` is `Kind namespace/name`; `text` says what was found and what was done about it.
    """

    source: str
    code: Code
    text: str

    @property
    def kind(self) -> str:
        """The kind of the object that the issue is about."""
        return self.source.partition(" ")[0]


@dataclass(slots=True)
class Notes:
    """The issues of one translation, as they are found."""

    found: set[Issue] = field(default_factory=set)

    def add(self, source: str, code: Code, text: str) -> None:
        """Note `text` about `source`; the same finding twice is one."""
        self.found.add(Issue(source, code, text))

    def blinded(self) -> frozenset[str]:
        """The kinds of which an object could not be taken in full."""
        return frozenset(issue.kind for issue in self.found if issue.code in BLINDING)
