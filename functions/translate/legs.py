"""Legs: where a switch is routed on a port, or on one VLAN of it - externals, static ones, hosts that speak BGP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from functions.records import Json, Ref
from functions.translate.attachments import Attachment, carrier
from functions.translate.canonical import canonical, told
from functions.translate.inventory import Device
from functions.translate.issues import Code
from functions.translate.names import DESCRIPTION_LIMIT, NAME_LIMIT, shorten
from functions.translate.networks import Address, address_at
from functions.translate.scene import Scene
from functions.translate.spec import Spec, Thing, things
from functions.translate.tenants import VLAN_MAX
from functions.translate.wiring import Use

KINDS = ("VPC", "VPCAttachment", "External", "ExternalAttachment", "Connection")
"""What must be known before a port may be said to be in no VRF."""

_ASN_MAX = 4_294_967_295


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a VRF on one switch.

    `vlan` None is the port itself, else a virtual interface below it. `vrf` None is a VRF that the fabric does not
    have, or (not `vrf_known`) one that cannot be known in this run. `near` is the switch's address, `far` what it
    talks to, `length` their prefix length, `behind` the prefixes behind it; `spec` is what has no home in NetBox.
    """

    thing: Thing
    use: Use
    vlan: int | None
    vrf: Ref | None
    vrf_known: bool
    description: str
    near: Address | None = None
    far: Address | None = None
    length: int | None = None
    asn: int | None = None
    behind: tuple[str, ...] = ()
    spec: Json = None
    fabric: str = ""

    @property
    def device(self) -> Device:
        """The switch."""
        return self.use.device

    @property
    def parent(self) -> Ref:
        """The port, or the LAG that it belongs to."""
        return carrier(self.use)

    @property
    def key(self) -> str:
        """The identity of the interface that the leg is."""
        if self.vlan is None:
            return self.parent.key
        return f"{self.thing.key(self.fabric)}#{self.device.thing.name}"

    @property
    def name(self) -> str:
        """The virtual interface's name: `<port>.<vlan>`."""
        port = self.use.lag.name if self.use.lag else self.use.port
        return shorten(f"{port}.{self.vlan}", NAME_LIMIT)


def legs(scene: Scene, attached: Iterable[Attachment]) -> list[Leg]:
    """Every leg, in the order of what they are and of their names; the first to claim a port itself has it."""
    found = [*_hosts(scene, attached), *_externals(scene), *_statics(scene)]
    return [leg for leg in found if leg.use.lag is None or leg.use.lag.name is not None]


def _leg(scene: Scene, thing: Thing, use: Use, vlan: int | None, vrf: tuple[Ref | None, bool], text: str) -> Leg:
    description = shorten(text, DESCRIPTION_LIMIT)
    return Leg(thing, use, vlan, vrf[0], vrf[1], description, fabric=scene.fabric.name)


def _hosts(scene: Scene, attached: Iterable[Attachment]) -> Iterator[Leg]:
    """A subnet with hostBGP is routed at the port: on its VLAN, or on the port itself where it has none."""
    for attachment in attached:
        subnet = attachment.subnet
        if subnet is not None and subnet.host_bgp:
            vrf = (scene.tenants.vpc(subnet.vpc.name), True)
            for use in attachment.uses:
                yield _leg(scene, attachment.thing, use, subnet.vid, vrf, f"Host BGP {subnet.title}")


def _externals(scene: Scene) -> Iterator[Leg]:
    ports = _ports(scene, "external")
    for thing in things(scene.snapshot, "ExternalAttachment", scene.notes):
        connection, external = thing.spec.text("connection") or "", thing.spec.text("external") or ""
        use, vrf = ports.get(connection), scene.tenants.external(external)
        if use is None and scene.snapshot.known("Connection", "Switch"):
            text = f"attaches to {connection or '(none)'}, which is no external Connection with a port of the fabric"
            scene.notes.add(thing.source, Code.DANGLING, text)
        if vrf is None and scene.snapshot.known("External"):
            text = f"attaches the External {external or '(none)'}, which the fabric does not have"
            scene.notes.add(thing.source, Code.DANGLING, text)
        if use is not None:
            known = scene.snapshot.known("External")
            yield _external(thing, use, (vrf, known), f"External {external}", scene.fabric.name)


def _external(thing: Thing, use: Use, vrf: tuple[Ref | None, bool], text: str, fabric: str) -> Leg:
    """A BGP neighbour behind a port, or (`static`) a next hop; manuals leave `switch` and `neighbor` out of the
    latter, clusters hold them empty."""
    spec = thing.spec
    static = spec.child("static")
    side = static if static.data else spec.child("switch")
    near = address_at(side, "ip")
    far = address_at(static, "remoteIP") if static.data else address_at(spec, "neighbor", "ip")
    asn = spec.number("neighbor", "asn", high=_ASN_MAX)
    acl = [canonical(row.data) for row in sorted(spec.children("inboundACL", "statements"), key=_sequence)]
    return Leg(
        thing,
        use,
        side.number("vlan", high=VLAN_MAX),
        vrf[0],
        vrf[1],
        shorten(text, DESCRIPTION_LIMIT),
        near[0] if near else None,
        far[0] if far else None,
        near[1] if near else None,
        asn,
        (),
        told(
            neighbor=told(asn=asn, ip=str(far[0]) if far and not static.data else None),
            static=told(ip=static.text("ip"), remoteIP=str(far[0]) if far else None, proxy=static.flag("proxy"))
            if static.data
            else None,
            inboundACL=acl,
        ),
        fabric,
    )


def _sequence(row: Spec) -> tuple[int, str]:
    return row.number("seq", high=2**31) or 0, str(canonical(row.data))


def _statics(scene: Scene) -> Iterator[Leg]:
    """Connections to something that routes nothing back: within a VPC, or in the underlay."""
    for use in _ports(scene, "staticExternal").values():
        thing = use.wire.connection
        body = thing.spec.child("staticExternal")
        link, vpc = body.child("link", "switch"), body.text("withinVPC")
        vrf = scene.tenants.vpc(vpc) if vpc else scene.addresses.vrf
        if vpc and vrf is None and scene.snapshot.known("VPC"):
            scene.notes.add(thing.source, Code.DANGLING, f"is within the VPC {vpc}, which the fabric does not have")
        near, far = address_at(link, "ip"), address_at(link, "nextHop")
        yield Leg(
            thing,
            use,
            link.number("vlan", high=VLAN_MAX),
            vrf,
            not vpc or scene.snapshot.known("VPC"),
            use.description,
            near[0] if near else None,
            far[0] if far else None,
            near[1] if near else None,
            None,
            tuple(link.texts("subnets")),
            told(withinVPC=vpc, nextHop=str(far[0]) if far else None, subnets=sorted(link.texts("subnets"))),
            scene.fabric.name,
        )


def _ports(scene: Scene, variant: str) -> dict[str, Use]:
    """The port of every connection of that kind, by the connection's name; each has one."""
    found: dict[str, Use] = {}
    for uses in scene.uses.values():
        for use in uses:
            if use.wire.variant.key == variant:
                found.setdefault(use.wire.connection.name, use)
    return dict(sorted(found.items()))
