"""The kinds of Connection: one table of where their links are, what they join, and how the switches name it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from functions.translate.inventory import GATEWAY_KIND, SERVER_KIND, SWITCH

FABRIC_MTU = 9100
SERVER_MTU = 9036
"""What the Fabric configures unless its installation says otherwise (its defaults: 9100, less 64 towards servers)."""

MCLAG_PEER_CHANNEL = 250
MCLAG_SESSION_CHANNEL = 251
"""The port channels of an MCLAG pair: fixed in the switch agent, above the 1 to 249 that catalogs give out."""


class Far(StrEnum):
    """What a port's description says of the other end."""

    PORT = "port"  # `device/port`
    DEVICE = "device"  # the device alone
    NONE = "none"  # nothing: the other end is not named


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: the field that holds it and the kind of device it is on."""

    at: str
    kind: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of Connection, or one set of links in it.

    `key` is the field below `spec`, `links` the field below that (one object or a list). A link with a single `end`
    leads out of the fabric. `title`, `far` and `named` (the connection's name) make a port's description as the
    switch agent sets it. `mtu` is what the agent sets on switch ports when the connection does not say (None: nothing).
    `bundle`: links of one device form a LAG on it; `channel` is its fixed number, `part` its part in the identity.
    `suffix` is added to cable labels.
    """

    key: str
    links: str
    ends: tuple[End, ...]
    title: str
    far: Far
    named: bool = True
    mtu: int | None = None
    bundle: bool = False
    channel: int | None = None
    part: str = "lag"
    suffix: str = ""


_SERVER = (End("switch", SWITCH), End("server", SERVER_KIND))
_PAIR = (End("switch1", SWITCH), End("switch2", SWITCH))

VARIANTS: tuple[Variant, ...] = (
    Variant("unbundled", "link", _SERVER, "Unbundled", Far.DEVICE, mtu=SERVER_MTU),
    Variant("bundled", "links", _SERVER, "Bundled", Far.DEVICE, mtu=SERVER_MTU, bundle=True),
    Variant("eslag", "links", _SERVER, "ESLAG", Far.DEVICE, mtu=SERVER_MTU, bundle=True),
    Variant("mclag", "links", _SERVER, "MCLAG", Far.DEVICE, mtu=SERVER_MTU, bundle=True),
    Variant(
        "mclagDomain",
        "peerLinks",
        _PAIR,
        "MCLAG peer",
        Far.PORT,
        named=False,
        bundle=True,
        channel=MCLAG_PEER_CHANNEL,
        suffix=" peer",
    ),
    Variant(
        "mclagDomain",
        "sessionLinks",
        _PAIR,
        "MCLAG session",
        Far.PORT,
        named=False,
        bundle=True,
        channel=MCLAG_SESSION_CHANNEL,
        part="session",
        suffix=" session",
    ),
    Variant("fabric", "links", (End("spine", SWITCH), End("leaf", SWITCH)), "Fabric", Far.PORT, mtu=FABRIC_MTU),
    Variant("mesh", "links", (End("leaf1", SWITCH), End("leaf2", SWITCH)), "Mesh", Far.PORT, mtu=FABRIC_MTU),
    Variant(
        "gateway", "links", (End("switch", SWITCH), End("gateway", GATEWAY_KIND)), "Gateway", Far.PORT, mtu=FABRIC_MTU
    ),
    Variant("vpcLoopback", "links", _PAIR, "VPC loopback", Far.NONE),
    Variant("external", "link", (End("switch", SWITCH),), "External", Far.NONE),
    Variant("staticExternal", "link", (End("switch", SWITCH),), "StaticExt", Far.NONE),
)

VARIANT_KEYS = frozenset(variant.key for variant in VARIANTS)
