"""Which kinds a fabric of a given release offers: groups, versions, names, printer columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Release(StrEnum):
    """The fabric releases whose kinds can be simulated."""

    V0_87 = "v0.87"  # June 2025: no gateway kinds
    V0_99 = "v0.99"  # gateways from their own repository; the kind Peering, not yet GatewayPeering
    V0_126 = "v0.126"  # July 2026: gateway kinds are part of fabric, GatewayPeering


_ALL = frozenset(Release)
_GATEWAY = frozenset({Release.V0_99, Release.V0_126})
_OLD_GATEWAY = frozenset({Release.V0_99})
_NEW_GATEWAY = frozenset({Release.V0_126})

type Column = tuple[str, str, str, int]
"""A printer column: heading, type, path below the object (dotted), priority."""

AGE: Column = ("Age", "date", ".metadata.creationTimestamp", 0)


@dataclass(frozen=True, slots=True)
class Offer:
    """One custom resource kind as its CRD describes it."""

    kind: str
    group: str
    version: str
    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("hedgehog", "fabric")
    releases: frozenset[Release] = _ALL
    columns: tuple[Column, ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    @property
    def resource(self) -> str:
        """The resource as errors name it: `switches.wiring.githedgehog.com`."""
        return f"{self.plural}.{self.group}"


WIRING, VPC, GATEWAY = "wiring.githedgehog.com", "vpc.githedgehog.com", "gateway.githedgehog.com"
AGENT, DHCP, GWINT = "agent.githedgehog.com", "dhcp.githedgehog.com", "gwint.githedgehog.com"
FABRICATOR = "fabricator.githedgehog.com"
_W = ("hedgehog", "wiring", "fabric")
_E = ("hedgehog", "fabric", "external")
_G = ("hedgehog", "hedgehog-gateway")


def _text(*pairs: tuple[str, str] | tuple[str, str, int]) -> tuple[Column, ...]:
    return (*((pair[0], "string", pair[1], pair[2] if len(pair) == 3 else 0) for pair in pairs), AGE)


OFFERS: tuple[Offer, ...] = (
    Offer(
        "Connection", WIRING, "v1beta1", "connections", ("conn",), _W,
        columns=_text(("Type", r".metadata.labels.fabric\.githedgehog\.com/connection-type")),
    ),
    Offer("ServerProfile", WIRING, "v1beta1", "serverprofiles", (), _W),
    Offer(
        "Switch", WIRING, "v1beta1", "switches", ("sw",), _W,
        columns=_text(
            ("Profile", ".spec.profile"), ("Role", ".spec.role"), ("Descr", ".spec.description"),
            ("Groups", ".spec.groups"), ("Redundancy", ".spec.redundancy", 1), ("Boot", ".spec.boot", 1),
        ),
    ),
    Offer("SwitchGroup", WIRING, "v1beta1", "switchgroups", ("sg",), _W, columns=(AGE,)),
    Offer(
        "SwitchProfile", WIRING, "v1beta1", "switchprofiles", ("sp",), _W,
        columns=_text(
            ("DisplayName", ".spec.displayName"), ("OtherNames", ".spec.otherNames"),
            ("Ports", r".metadata.annotations.fabric\.githedgehog\.com/ports"),
        ),
    ),
    Offer("VLANNamespace", WIRING, "v1beta1", "vlannamespaces", ("vlanns",), _W, columns=(AGE,)),
    Offer(
        "Server", WIRING, "v1beta1", "servers", ("srv",), _W,
        columns=_text(("Type", ".spec.type"), ("Descr", ".spec.description")),
    ),
    Offer(
        "ExternalAttachment", VPC, "v1beta1", "externalattachments", ("extattach",), _E,
        columns=_text(("External", ".spec.external"), ("Connection", ".spec.connection")),
    ),
    Offer(
        "VPC", VPC, "v1beta1", "vpcs",
        columns=_text(("IPv4NS", ".spec.ipv4Namespace"), ("VLANNS", ".spec.vlanNamespace"), ("VNI", ".status.vni", 1)),
    ),
    Offer("External", VPC, "v1beta1", "externals", ("ext",), _E, columns=_text(("IPv4NS", ".spec.ipv4Namespace"))),
    Offer(
        "VPCAttachment", VPC, "v1beta1", "vpcattachments", ("vpcattach",),
        columns=_text(("VPCSUBNET", ".spec.subnet"), ("Connection", ".spec.connection")),
    ),
    Offer("VPCPeering", VPC, "v1beta1", "vpcpeerings", ("vpcpeer",), columns=_text(("Remote", ".spec.remote"))),
    Offer(
        "ExternalPeering", VPC, "v1beta1", "externalpeerings", ("extpeering", "extpeer"), _E,
        columns=_text(("VPC", ".spec.permit.vpc.name"), ("External", ".spec.permit.external.name")),
    ),
    Offer("IPv4Namespace", VPC, "v1beta1", "ipv4namespaces", ("ipns",), columns=_text(("Subnets", ".spec.subnets"))),
    Offer(
        "Agent", AGENT, "v1beta1", "agents", ("ag",), ("hedgehog",),
        columns=(
            ("Role", "string", ".spec.role", 0), ("Descr", "string", ".spec.description", 0),
            ("Heartbeat", "date", ".status.lastHeartbeat", 1), ("Applied", "date", ".status.lastAppliedTime", 0),
            ("AppliedG", "integer", ".status.lastAppliedGen", 0), ("CurrentG", "integer", ".metadata.generation", 0),
            ("Version", "string", ".status.version", 0), ("Age", "date", ".metadata.creationTimestamp", 10),
        ),
    ),
    Offer("Catalog", AGENT, "v1beta1", "catalogs", (), ("hedgehog",)),
    Offer(
        "DHCPSubnet", DHCP, "v1beta1", "dhcpsubnets", ("dhcp",), ("hedgehog",),
        columns=_text(("Subnet", ".spec.subnet"), ("CIDRBlock", ".spec.cidrBlock"), ("Gateway", ".spec.gateway")),
    ),
    Offer("GatewayGroup", GATEWAY, "v1alpha1", "gatewaygroups", ("gwgr",), _G, _GATEWAY),
    Offer(
        "GatewayPeering", GATEWAY, "v1alpha1", "gatewaypeerings", ("gwpeer",), _G, _NEW_GATEWAY,
        _text(("GatewayGroup", ".spec.gatewayGroup")),
    ),
    Offer("Peering", GATEWAY, "v1alpha1", "peerings", ("peer",), _G, _OLD_GATEWAY, (AGE,)),
    Offer(
        "Gateway", GATEWAY, "v1alpha1", "gateways", ("gw",), _G, _GATEWAY,
        _text(("ProtoIP", ".spec.protocolIP"), ("VTEPIP", ".spec.vtepIP")),
    ),
    Offer(
        "VPCInfo", GATEWAY, "v1alpha1", "vpcinfos", ("gwvpc",), _G, _GATEWAY,
        _text(("InternalID", ".status.internalID")),
    ),
    Offer(
        "GatewayAgent", GWINT, "v1alpha1", "gatewayagents", ("gwag",), _G, _GATEWAY,
        (
            ("Applied", "date", ".status.lastAppliedTime", 0), ("AppliedG", "integer", ".status.lastAppliedGen", 0),
            ("CurrentG", "integer", ".metadata.generation", 0), ("Version", "string", ".status.agentVersion", 0), AGE,
        ),
    ),
    Offer("Fabricator", FABRICATOR, "v1beta1", "fabricators", ("fab",), ("hedgehog", "fabricator")),
    Offer("ControlNode", FABRICATOR, "v1beta1", "controlnodes", (), ("hedgehog", "fabricator")),
    Offer("FabNode", FABRICATOR, "v1beta1", "fabnodes", (), ("hedgehog", "fabricator")),
)  # fmt: skip

BY_KIND: dict[str, Offer] = {offer.kind: offer for offer in OFFERS}
GROUPS: frozenset[str] = frozenset(offer.group for offer in OFFERS)


def offered(release: Release) -> tuple[Offer, ...]:
    """The kinds that a fabric of `release` offers, in the order of the table."""
    return tuple(offer for offer in OFFERS if release in offer.releases)
