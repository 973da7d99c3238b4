"""The Hedgehog kinds: one table that everything reads (groups, plurals, what may leave `observe`)."""

from __future__ import annotations

from dataclasses import dataclass

WIRING = "wiring.githedgehog.com"
VPC = "vpc.githedgehog.com"
GATEWAY = "gateway.githedgehog.com"
GWINT = "gwint.githedgehog.com"
AGENT = "agent.githedgehog.com"
DHCP = "dhcp.githedgehog.com"
FABRICATOR = "fabricator.githedgehog.com"


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource kind of a Hedgehog fabric.

    `keep` lists the paths (dotted, below the object) that may leave `observe`; None keeps spec and status whole.
    Kinds that carry credentials (Agent: password hashes, registry passwords; Fabricator: join tokens) must have it.
    `optional` kinds may be forbidden to us without making a run incomplete.
    """

    name: str
    group: str
    plural: str
    keep: tuple[str, ...] | None = None
    optional: bool = False


# No more than is mapped: heartbeats and temperatures move by themselves, and a fabric would never say the same twice.
_AGENT_STATE = (
    "status.lastAppliedGen",
    "status.version",
    "status.state.nos.serialNumber",
    "status.state.nos.softwareVersion",
)
_GATEWAY_AGENT_STATE = (
    "status.agentVersion",
    "status.lastAppliedGen",
    "status.state.dataplane.version",
)

_FABRICATOR_FACTS = (
    "spec.config.control.managementSubnet",  # its neighbours are the join token and the default user's password
    "spec.config.control.controlVIP",
    "spec.config.fabric.mode",
    "spec.config.fabric.managementDHCPStart",
    "spec.config.fabric.managementDHCPEnd",
    "spec.config.fabric.protocolSubnet",
    "spec.config.fabric.vtepSubnet",
    "spec.config.fabric.fabricSubnet",
    "spec.config.fabric.mclagSessionSubnet",
    "spec.config.fabric.vpcWorkaroundSubnet",
    "spec.config.fabric.spineASN",
    "spec.config.fabric.leafASNStart",
    "spec.config.fabric.leafASNEnd",
    "spec.config.fabric.baseVPCCommunity",
    "spec.config.gateway.asn",
    "spec.config.gateway.communities",
    "status.versions.fabricator.controller",
)

KINDS: tuple[Kind, ...] = (
    Kind("SwitchProfile", WIRING, "switchprofiles"),
    Kind("SwitchGroup", WIRING, "switchgroups"),
    Kind("VLANNamespace", WIRING, "vlannamespaces"),
    Kind("Switch", WIRING, "switches"),
    Kind("Server", WIRING, "servers"),
    Kind("Connection", WIRING, "connections"),
    Kind("ServerProfile", WIRING, "serverprofiles"),
    Kind("IPv4Namespace", VPC, "ipv4namespaces"),
    Kind("VPC", VPC, "vpcs"),
    Kind("VPCAttachment", VPC, "vpcattachments"),
    Kind("VPCPeering", VPC, "vpcpeerings"),
    Kind("External", VPC, "externals"),
    Kind("ExternalAttachment", VPC, "externalattachments"),
    Kind("ExternalPeering", VPC, "externalpeerings"),
    Kind("Gateway", GATEWAY, "gateways"),
    Kind("GatewayGroup", GATEWAY, "gatewaygroups"),
    Kind("GatewayPeering", GATEWAY, "gatewaypeerings"),
    Kind("Peering", GATEWAY, "peerings"),  # the name of GatewayPeering before v0.113
    Kind("VPCInfo", GATEWAY, "vpcinfos"),
    Kind("GatewayAgent", GWINT, "gatewayagents", keep=_GATEWAY_AGENT_STATE),
    Kind("Agent", AGENT, "agents", keep=_AGENT_STATE),
    Kind("Catalog", AGENT, "catalogs"),
    Kind("DHCPSubnet", DHCP, "dhcpsubnets", keep=("spec",)),  # its status is the leases
    Kind("FabNode", FABRICATOR, "fabnodes", keep=("spec.roles", "spec.management"), optional=True),
    Kind("ControlNode", FABRICATOR, "controlnodes", keep=("spec.management",), optional=True),
    Kind(
        "Fabricator",
        FABRICATOR,
        "fabricators",
        keep=_FABRICATOR_FACTS,
        optional=True,
    ),
)

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
