"""Externals: a VRF each, what lies behind them, and the addresses on both sides of every port that leads out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from functions.records import Record, Ref
from functions.translate import asns
from functions.translate.attachments import attachments
from functions.translate.canonical import told
from functions.translate.issues import Code
from functions.translate.legs import Leg, legs
from functions.translate.names import LABEL_LIMIT, shorten
from functions.translate.networks import Address, Network, as_network, unfit, written
from functions.translate.peerings import Peerings, peerings
from functions.translate.scene import Scene
from functions.translate.spec import Thing
from functions.translate.tenants import DEFAULT

ROLE = "fabric-external"


def translate(scene: Scene) -> Iterator[Record]:
    """The VRFs and prefixes of Externals, then what their attachments and the static connections add."""
    peered = peerings(scene)
    for external in scene.tenants.externals.values():
        yield from _external(scene, external, peered)
    found = [leg for leg in legs(scene, attachments(scene)) if leg.device.writable]
    for leg in found:
        if leg.asn:
            yield from asns.records(scene.fabric.site, leg.asn)
    yield from _addresses(scene, [leg for leg in found if leg.vrf is not None])
    yield from _subnets(scene, found)


def _external(scene: Scene, external: Thing, peered: Peerings) -> Iterator[Record]:
    spec, fabric = external.spec, scene.fabric.name
    key = external.key(fabric)
    prefixes = list(_networks(external.spec.texts("static", "prefixes")))
    for text, network in prefixes:
        if network is None:
            spec.malformed(("static", "prefixes"), f"holds {text}, which is no prefix")
    networks = sorted({network for _, network in prefixes if network is not None}, key=_place)
    yield Record(
        "vrf",
        key,
        {"name": shorten(f"{fabric}:ext:{external.name}", LABEL_LIMIT), "enforce_unique": True},
        {
            "fabric_source": external.origin,
            "fabric_spec": told(
                ipv4Namespace=spec.text("ipv4Namespace") or DEFAULT,
                inboundCommunity=spec.text("inboundCommunity"),
                outboundCommunity=spec.text("outboundCommunity"),
                staticPrefixes=[str(network) for network in networks],
            ),
            **scene.tenants.vni(f"ext@{external.name}"),
            **peered.of_external(external.name),
        },
    )
    for network in networks:
        yield from _prefix(scene, f"{key}#{network}", network, Ref("vrf", key), external)


def _networks(texts: Iterable[str]) -> Iterator[tuple[str, Network | None]]:
    return ((text, as_network(text)) for text in texts)


def _place(network: Network) -> tuple[int, Network]:
    return network.version, network


def _prefix(scene: Scene, key: str, network: Network, vrf: Ref, source: Thing) -> Iterator[Record]:
    """A prefix beyond a port; NetBox refuses one of length 0 (`Prefix.clean`), so that a default route is none."""
    if network.prefixlen == 0:
        return
    yield Record("role", ROLE, {"name": "Fabric external", "slug": ROLE})
    yield Record(
        "prefix",
        key,
        {
            "prefix": str(network),
            "vrf": vrf,
            "status": "active",
            "role": Ref("role", ROLE),
            "scope": Ref("site", scene.fabric.site),
        },
        {"fabric_source": source.origin},
    )


def _addresses(scene: Scene, found: list[Leg]) -> Iterator[Record]:
    """The switches' addresses on their interfaces, and those of who they talk to, which NetBox knows no device of.

    In a VRF an address is one object: several switches may talk to one neighbour, and a neighbour may be a switch.
    """
    taken: set[tuple[Ref, Address]] = {(scene.addresses.vrf, place.address) for place in scene.addresses.places}
    for leg in found:
        if leg.vrf is None or leg.near is None:
            continue
        length = leg.near.max_prefixlen if leg.length is None else leg.length
        if (why := unfit(leg.near, length)) is not None:
            leg.thing.spec.malformed((), f"gives a switch {written(leg.near, length)}, {why}")
        elif (leg.vrf, leg.near) in taken:
            text = f"gives a switch {leg.near}, which is taken in the same VRF; it is left out"
            scene.notes.add(leg.thing.source, Code.ADDRESS_IN_USE, text)
        else:
            taken.add((leg.vrf, leg.near))
            yield Record(
                "ip_address",
                f"{leg.thing.key(scene.fabric.name)}#address:{leg.device.thing.name}",
                {
                    "address": written(leg.near, length),
                    "vrf": leg.vrf,
                    "status": "active",
                    "assigned_object": Ref("interface", leg.key),
                },
                {"fabric_source": leg.thing.origin},
            )
    for leg in found:
        if leg.vrf is not None and leg.far is not None and (leg.vrf, leg.far) not in taken:
            taken.add((leg.vrf, leg.far))
            yield Record(
                "ip_address",
                f"{leg.vrf.key}#far:{leg.far}",
                {"address": written(leg.far, _length(leg, leg.far)), "vrf": leg.vrf, "status": "active"},
                {"fabric_source": leg.thing.origin},
            )


def _length(leg: Leg, far: Address) -> int | None:
    """The prefix length of a neighbour: the switch's own where they are in one network."""
    network = as_network(written(leg.near, leg.length)) if leg.near is not None else None
    return leg.length if network is not None and far in network else None


def _subnets(scene: Scene, found: list[Leg]) -> Iterator[Record]:
    """What lies behind the next hop of a static connection, in the VRF that it is reached from."""
    subnets = scene.tenants.subnets.values()
    taken = {(scene.tenants.vpc(subnet.vpc.name), subnet.network) for subnet in subnets}
    for leg in found:
        for text, network in _networks(leg.behind):
            if network is None:
                leg.thing.spec.malformed(("staticExternal", "link", "switch", "subnets"), f"holds {text}, no prefix")
            elif leg.vrf is not None and (leg.vrf, network) not in taken:
                taken.add((leg.vrf, network))
                yield from _prefix(scene, f"{leg.vrf.key}#behind:{network}", network, leg.vrf, leg.thing)
