"""The plan of a generated fabric: its size, its address pools, and which ports are still free."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from infra.sandbox.fabric import profiles
from infra.sandbox.fabric.admission import make
from infra.sandbox.fabric.offering import Release

type Json = dict[str, Any]

SPINE_ASN, LEAF_ASN, GATEWAY_ASN = 65100, 65101, 65534
_FABRIC_LINKS = 16384  # /31s in 172.30.128.0/17


class TopologyError(ValueError):
    """A topology that cannot be built: it says which limit was hit."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a generated fabric is. The defaults are the lab: 5 switches, 6 servers.

    Attributes:
        links: wires per pair of switches.
        orphans: leaves outside any redundancy group; the others form pairs (the odd one out is an orphan too).
        mclag: how many of the pairs are MCLAG instead of ESLAG.
        subnets: per VPC, at most 20.
        attachments: VPC attachments, spread over the server connections (None: one per connection).
        static_externals: connections of that variant.
        loopbacks: give every orphan leaf a vpcLoopback connection.
        hardware: profiles with breakout ports instead of the virtual switch.
        agents: also make Agents and GatewayAgents (they are the bulk of a fabric's bytes).
    """

    spines: int = 2
    leaves: int = 3
    links: int = 2
    orphans: int = 1
    mclag: int = 0
    servers: int = 6
    vpcs: int = 3
    subnets: int = 2
    attachments: int | None = None
    externals: int = 1
    static_externals: int = 0
    loopbacks: bool = False
    gateways: int = 0
    hardware: bool = False
    agents: bool = True

    @property
    def switches(self) -> int:
        return self.spines + self.leaves


LAB = Size()
EVERYTHING = replace(
    LAB, leaves=6, mclag=1, servers=14, subnets=3, externals=2, static_externals=2, loopbacks=True, gateways=2,
    hardware=True,
)  # fmt: skip


@dataclass(slots=True)
class SwitchPlan:
    """One switch that is being wired: access ports are taken from the front, uplinks from the back."""

    name: str
    role: str
    profile: str
    breakouts: dict[str, str]
    free: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.free.extend(profiles.available(profiles.profiles()[self.profile], self.breakouts))

    def access(self) -> str:
        """The next port for servers and the outside."""
        return self._take(front=True)

    def uplink(self) -> str:
        """The next port for other switches."""
        return self._take(front=False)

    def bring_forward(self, cage: str) -> None:
        """Let the lanes of a cage be the next access ports."""
        own = [port for port in self.free if port.startswith(f"{cage}/")]
        self.free = deque([*own, *(port for port in self.free if port not in own)])

    def _take(self, *, front: bool) -> str:
        if not self.free:
            raise TopologyError(f"{self.name} ({self.profile}) has no port left")
        return f"{self.name}/{self.free.popleft() if front else self.free.pop()}"


@dataclass(slots=True)
class Draft:
    """A fabric in the making: what exists so far, and the next free number of everything."""

    size: Size
    rng: random.Random
    release: Release
    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    switches: dict[str, SwitchPlan] = field(default_factory=dict)
    pairs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _counters: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, name: str, spec: Json, **meta: Any) -> Json:
        """Admit and keep an object."""
        if (kind, name) in self.objects:
            raise TopologyError(f"{kind} {name} was made twice")
        made = make(kind, name, spec, release=self.release, **meta)
        self.objects[kind, name] = made
        return made

    def specs(self, kind: str) -> Mapping[str, Json]:
        """The specs of a kind by name."""
        return {name: made["spec"] for (of, name), made in self.objects.items() if of == kind}

    def count(self, what: str, start: int = 0, limit: int | None = None) -> int:
        """The next number of a sequence.

        Raises:
            TopologyError: `limit` numbers are used up.
        """
        number = self._counters.get(what, start)
        if limit is not None and number - start >= limit:
            raise TopologyError(f"no {what} left: the plan has {limit}")
        self._counters[what] = number + 1
        return number

    def address(self, pool: str, first: str, limit: int) -> str:
        """The next address of a pool, without a length."""
        return str(IPv4Address(int(ip_address(first)) + self.count(pool, limit=limit)))

    def management(self) -> str:
        return self.address("management addresses", "172.30.0.6", 1000) + "/21"

    def protocol(self) -> str:
        return self.address("protocol addresses", "172.30.8.0", 1024) + "/32"

    def vtep(self) -> str:
        return self.address("VTEP addresses", "172.30.12.0", 1024) + "/32"

    def link(self) -> tuple[str, str]:
        """Both addresses of the next fabric link."""
        base = int(ip_address("172.30.128.0")) + 2 * self.count("fabric links", limit=_FABRIC_LINKS)
        return f"{IPv4Address(base)}/31", f"{IPv4Address(base + 1)}/31"

    def mac(self) -> str:
        number = self.count("MAC addresses", limit=65536)
        return f"0c:20:12:{number >> 8:02x}:{number & 255:02x}:00"

    def spelled(self, port: str) -> str:
        """A port as somebody may have typed it: the first lane of a cage now and then by the cage alone."""
        device, _, name = port.partition("/")
        plan = self.switches[device]
        cage = profiles.cage_of(name)
        single = (
            name == f"{cage}/1" and len(profiles.lanes(profiles.profiles()[plan.profile], cage, plan.breakouts)) == 1
        )
        return f"{device}/{cage}" if single and self.rng.random() < 0.5 else port


def numbered(prefix: str, count: int) -> list[str]:
    """Names with as many digits as the count needs, at least two: `leaf-01`."""
    width = max(2, len(str(count)))
    return [f"{prefix}-{number:0{width}d}" for number in range(1, count + 1)]
