"""What each field is set to when the page on the mapping is held against translation, where any text would not do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A value for a field, and how it shows in NetBox (`shown`; as itself unless told, not at all if empty).

    `keys` are the keys of the maps on the way, from the left; the first one there is taken where none is named.
    `on` names the object; the first of its kind that has the part of the spec is taken unless told.
    """

    value: Any
    shown: str | None = None
    keys: tuple[str, ...] = ()
    on: str | None = None


_PORT = Case("leaf-01/E1/20", "E1/20")
_SERVER_PORT = Case("server-01/new0", "new0")
_MTU = Case(4321)
_LAGGED = {"links[].switch.port": _PORT, "links[].server.port": _SERVER_PORT, "mtu": _MTU}


def _link(kind: str, one: str, two: str) -> dict[str, Case]:
    at = f"spec.{kind}.links[]"
    ports = {f"{at}.{end}.port": _PORT for end in (one, two)}
    return ports | {f"{at}.{end}.ip": Case("10.8.77.0/31") for end in (one, two)}


VALUES: Mapping[str, Mapping[str, Case]] = {
    "SwitchProfile": {
        "spec.displayName": Case("Gamma Three"),
        "spec.portGroups{}.profile": Case("SFP28-25G", "25gbase-x-sfp28"),
        "spec.portProfiles{}.breakout.default": Case("4x25G", keys=("QSFP28-100G",)),
        "spec.portProfiles{}.breakout.supported{}.offsets[]": Case("7", "Ethernet47", keys=("QSFP28-100G", "1x100G")),
        "spec.portProfiles{}.speed.default": Case("10G", "10000000", keys=("SFP28-25G",)),
        "spec.portProfiles{}.speed.supported[]": Case("1G", keys=("SFP28-25G",)),
        "spec.ports{}.baseNOSName": Case("Ethernet88", keys=("E1/40",)),
        "spec.ports{}.group": Case("g1", "10gbase-t", keys=("E1/24",)),
        "spec.ports{}.label": Case("77a", keys=("E1/1",)),
        "spec.ports{}.management": Case(True, keys=("E1/24",)),
        "spec.ports{}.nos": Case("Ethernet88", keys=("E1/1",)),
        "spec.ports{}.profile": Case("RJ45-10G", "10gbase-t", keys=("E1/24",)),
    },
    "Switch": {
        "spec.asn": Case(4242),
        "spec.boot.mac": Case("02:00:00:00:00:77", on="leaf-01"),
        "spec.ip": Case("172.30.0.77/21"),
        "spec.portAutoNegs{}": Case(True, keys=("E1/1",)),
        "spec.portBreakouts{}": Case("4x25G", keys=("E1/40",)),
        "spec.portGroupSpeeds{}": Case("1G", "1000000", keys=("g1",)),
        "spec.portSpeeds{}": Case("10G", "10000000", keys=("E1/24",)),
        "spec.profile": Case("other-2"),
        "spec.protocolIP": Case("172.30.8.77/32"),
        "spec.redundancy.group": Case("rg-1"),
        "spec.role": Case("border-leaf"),
        "spec.vtepIP": Case("172.30.12.77/32"),
    },
    "VLANNamespace": {"spec.ranges[].from": Case(1002), "spec.ranges[].to": Case(1002)},
    "Connection": {
        "spec.unbundled.link.switch.port": Case("leaf-01/E1/20", "E1/20"),
        "spec.unbundled.link.server.port": _SERVER_PORT,
        "spec.unbundled.mtu": _MTU,
        **{f"spec.{kind}.{name}": case for kind in ("bundled", "eslag", "mclag") for name, case in _LAGGED.items()},
        **{
            f"spec.mclagDomain.{links}[].{end}.port": Case(f"leaf-0{end[-1]}/E1/20", "E1/20")
            for links in ("peerLinks", "sessionLinks")
            for end in ("switch1", "switch2")
        },
        **_link("fabric", "leaf", "spine"),
        **_link("mesh", "leaf1", "leaf2"),
        **_link("gateway", "switch", "gateway"),
        "spec.gateway.links[].gateway.port": Case("gw-1/new0", "new0"),
        "spec.vpcLoopback.links[].switch1.port": _PORT,
        "spec.vpcLoopback.links[].switch2.port": _PORT,
        "spec.external.link.switch.port": _PORT,
        "spec.staticExternal.link.switch.port": _PORT,
        "spec.staticExternal.link.switch.ip": Case("10.7.0.77/24"),
        "spec.staticExternal.link.switch.nextHop": Case("10.7.0.77"),
        "spec.staticExternal.link.switch.subnets[]": Case("10.77.0.0/24"),
        "spec.staticExternal.link.switch.vlan": Case(1077),
        "spec.staticExternal.withinVPC": Case("vpc-2"),
    },
    "IPv4Namespace": {"spec.subnets[]": Case("10.77.0.0/16")},
    "VPC": {
        "spec.mode": Case("l3vni"),
        "spec.staticRoutes[].prefix": Case("10.77.0.0/24"),
        "spec.subnets{}.dhcp.enable": Case(True, keys=("b",)),
        "spec.subnets{}.dhcp.range.end": Case("10.0.1.77"),
        "spec.subnets{}.dhcp.range.start": Case("10.0.1.77"),
        "spec.subnets{}.dhcp.static{}.ip": Case("10.0.1.7"),
        "spec.subnets{}.gateway": Case("10.0.1.7"),
        "spec.subnets{}.subnet": Case("10.0.0.0/23"),
        "spec.subnets{}.vlan": Case(1077),
        "spec.vlanNamespace": Case("wide"),
    },
    "VPCAttachment": {
        "spec.connection": Case("mclag", ""),
        "spec.nativeVLAN": Case(True, on="at-3"),
        "spec.subnet": Case("vpc-3/a", on="at-2"),
    },
    "VPCPeering": {"spec.permit[]{}.subnets[]": Case("b")},
    "External": {"spec.static.prefixes[]": Case("10.77.0.0/24")},
    "ExternalAttachment": {
        "spec.connection": Case("external-2", "E1/14.10", on="leaf-01--ext-1"),
        "spec.external": Case("ext-2", on="leaf-01--ext-1"),
        "spec.neighbor.asn": Case(4242),
        "spec.neighbor.ip": Case("100.1.10.77"),
        "spec.static.ip": Case("100.1.20.77/24"),
        "spec.static.remoteIP": Case("100.1.20.77"),
        "spec.switch.ip": Case("100.1.10.77/24"),
    },
    "ExternalPeering": {
        "spec.permit.vpc.name": Case("vpc-2"),
        "spec.permit.external.name": Case("ext-2"),
    },
    "Gateway": {
        "spec.asn": Case(4242),
        "spec.interfaces{}.ips[]": Case("10.9.2.77/24"),
        "spec.protocolIP": Case("10.9.0.77/32", on="gw-2"),
        "spec.vtepIP": Case("10.9.1.77/32", on="gw-2"),
        "spec.vtepMAC": Case("02:00:00:00:00:77", on="gw-1"),
    },
    "GatewayPeering": {
        "spec.gatewayGroup": Case("gg"),
        "spec.peering{}.expose[].nat.static": Case({"told": {}}, "told"),
    },
    "Catalog": {
        "spec.portChannelIDs{}": Case(77),
        "spec.vpcSubnetVNIs{}{}": Case(77),
        "spec.vpcVNIs{}": Case(77),
    },
    "DHCPSubnet": {
        "spec.cidrBlock": Case("172.30.0.0/20"),
        "spec.startIP": Case("172.30.4.77"),
        "spec.endIP": Case("172.30.4.77"),
    },
    "Agent": {"status.lastAppliedGen": Case(7)},
    "GatewayAgent": {"status.lastAppliedGen": Case(7)},
    "ControlNode": {
        "spec.management.ip": Case("172.30.0.77/21", on="control-2"),
        "spec.management.interface": Case("told0"),
    },
    "FabNode": {
        "spec.management.ip": Case("172.30.0.77/21", on="node-2"),
        "spec.management.interface": Case("told0", on="node-1"),
        "spec.roles[]": Case("gateway", "fabric-gateway"),
    },
    "Fabricator": {
        **{
            f"spec.config.{name}": Case("10.77.0.0/16")
            for name in (
                "control.managementSubnet", "fabric.protocolSubnet", "fabric.vtepSubnet", "fabric.fabricSubnet",
                "fabric.mclagSessionSubnet", "fabric.vpcWorkaroundSubnet",
            )
        },
        **{
            f"spec.config.{name}": Case(4242)
            for name in ("fabric.spineASN", "fabric.leafASNStart", "fabric.leafASNEnd", "gateway.asn")
        },
        "spec.config.gateway.communities{}": Case("told"),
    },
}  # fmt: skip
"""By kind and field. Other fields get a text, a number or the other truth, as their schema wants."""
