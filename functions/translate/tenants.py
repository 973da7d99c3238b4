"""The tenants of a fabric: its VPCs with their subnets, its externals, and the VLANs and numbers they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from functions.fabric import Fabric
from functions.records import Ref
from functions.snapshot import Snapshot
from functions.translate.issues import Code, Notes
from functions.translate.names import clean
from functions.translate.networks import Network, network_at
from functions.translate.spec import Spec, Thing, things

VLAN_MAX = 4094
VNI_MAX = 16_777_215
DEFAULT = "default"

L2_MODES = frozenset({"", "l2vni"})
"""Modes of a VPC in which its subnets stretch between switches; the empty one is what the Fabric takes by itself."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet of a VPC. `vid` is None where it has no VLAN, `group` where the VLAN has no place in a namespace."""

    vpc: Thing
    key: str
    name: str
    spec: Spec
    network: Network | None
    host_bgp: bool
    vid: int | None
    group: Ref | None = None

    @property
    def title(self) -> str:
        """`<vpc>/<subnet>`, as attachments name it."""
        return f"{self.vpc.name}/{self.name}"


@dataclass(frozen=True, slots=True)
class Tenants:
    """What the families of tenants share.

    `ranges` are the VLANs of each namespace by its name, with the object; `vlans_known` is whether VLANs can be told
    their group. `vnis` is the catalog of VNIs (empty while there is none), None when catalogs are unread.
    """

    fabric: Fabric
    vpcs: Mapping[str, Thing]
    subnets: Mapping[tuple[str, str], Subnet]
    externals: Mapping[str, Thing]
    ranges: Mapping[str, tuple[Thing, list[tuple[int, int]]]]
    vlans_known: bool
    vnis: Spec | None

    def vpc(self, name: str) -> Ref | None:
        """The VRF of the VPC of that name."""
        return self._vrf(self.vpcs.get(name))

    def external(self, name: str) -> Ref | None:
        """The VRF of the External of that name."""
        return self._vrf(self.externals.get(name))

    def _vrf(self, thing: Thing | None) -> Ref | None:
        return Ref("vrf", thing.key(self.fabric.name)) if thing else None

    def vni(self, name: str) -> dict[str, int | None]:
        """The custom field of a VRF's VNI; none at all when it cannot be known. Externals are `ext@<name>`."""
        return {} if self.vnis is None else {"fabric_vni": self.vnis.number("vpcVNIs", name, high=VNI_MAX)}

    def subnet_vni(self, subnet: Subnet) -> int | None:
        """The VNI of a subnet; None if it has none yet (or the catalogs are unread)."""
        return (
            None if self.vnis is None else self.vnis.number("vpcSubnetVNIs", subnet.vpc.name, subnet.name, high=VNI_MAX)
        )


def tenants(snapshot: Snapshot, fabric: Fabric, notes: Notes) -> Tenants:
    """Read the VPCs, externals and VLAN namespaces of `snapshot`."""
    ranges = {
        name: (thing, _ranges(thing)) for name, thing in _by_name(things(snapshot, "VLANNamespace", notes), notes)
    }
    vpcs = dict(_by_name(things(snapshot, "VPC", notes), notes))
    known = snapshot.known("VPC", "VLANNamespace")
    found = [subnet for vpc in vpcs.values() for subnet in _subnets(vpc, fabric)]
    subnets = list(_grouped(found, ranges, fabric, notes)) if known else found
    catalogs = {thing.name: thing.spec for thing in things(snapshot, "Catalog", notes)}
    nothing = Spec({}, "Catalog default/vpcs", notes)
    return Tenants(
        fabric,
        vpcs,
        {(subnet.vpc.name, subnet.name): subnet for subnet in subnets},
        dict(_by_name(things(snapshot, "External", notes), notes)),
        ranges,
        known,
        catalogs.get("vpcs", nothing) if snapshot.known("Catalog") else None,
    )


def _by_name(found: list[Thing], notes: Notes) -> Iterator[tuple[str, Thing]]:
    """Objects by name, as references know them: without a namespace (webhooks allow `default` alone)."""
    seen: set[str] = set()
    for thing in found:
        if thing.name in seen:
            notes.add(thing.source, Code.CLASH, "has the name of one in another namespace; it is left out")
            continue
        seen.add(thing.name)
        yield thing.name, thing


def _ranges(thing: Thing) -> list[tuple[int, int]]:
    """The VLANs of a namespace, sorted and merged: the Fabric keeps neighbours apart, NetBox takes no overlap."""
    found = []
    for row in thing.spec.children("ranges"):
        first = row.number("from", high=VLAN_MAX)
        last = row.number("to", high=VLAN_MAX) or first
        if first is None or last is None or last < first:
            row.malformed((), "is no range of VLANs")
        else:
            found.append((first, last))
    merged: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    if not merged:
        thing.spec.malformed(("ranges",), "holds no VLANs")
    return merged


def _subnets(vpc: Thing, fabric: Fabric) -> Iterator[Subnet]:
    seen: set[str] = set()
    for raw in vpc.spec.names("subnets"):
        name, spec = clean(raw), vpc.spec.child("subnets", raw)
        if not name or name in seen:
            vpc.spec.malformed(("subnets", raw), "has no name of its own")
            continue
        seen.add(name)
        network = network_at(spec, "subnet")
        vid = spec.number("vlan", high=VLAN_MAX)
        key = f"{vpc.key(fabric.name)}#{name}"
        yield Subnet(vpc, key, name, spec, network, spec.flag("hostBGP"), vid)


def _grouped(
    found: list[Subnet], ranges: Mapping[str, tuple[Thing, list[tuple[int, int]]]], fabric: Fabric, notes: Notes
) -> Iterator[Subnet]:
    """Give every VLAN its group: a namespace holds a VLAN once, and only subnets with hostBGP are free of it."""
    taken: set[tuple[str, int]] = set()
    for subnet in sorted(found, key=lambda subnet: (subnet.host_bgp, subnet.key)):
        name = subnet.vpc.spec.text("vlanNamespace") or DEFAULT
        space = ranges.get(name)
        group = None
        if subnet.vid is not None:
            inside = space is not None and any(first <= subnet.vid <= last for first, last in space[1])
            if space and inside and (name, subnet.vid) not in taken:
                taken.add((name, subnet.vid))
                group = Ref("vlan_group", space[0].key(fabric.name))
            elif not subnet.host_bgp:
                why = "is another subnet's" if inside else "is not in it"
                text = f"has the VLAN {subnet.vid} in subnet {subnet.name}, but in the VLANNamespace {name} it {why}"
                notes.add(subnet.vpc.source, Code.VLAN_OUTSIDE, f"{text}: shown without a group")
        yield Subnet(
            subnet.vpc, subnet.key, subnet.name, subnet.spec, subnet.network, subnet.host_bgp, subnet.vid, group
        )
