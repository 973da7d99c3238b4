"""What the connections of a fabric join: who uses which port, which ports form a LAG, and which links are cables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from functions.fabric import Fabric
from functions.records import Ref
from functions.snapshot import Snapshot
from functions.translate.inventory import SWITCH, Device, Inventory
from functions.translate.issues import Code, Notes
from functions.translate.names import DESCRIPTION_LIMIT, NAME_LIMIT, digest, shorten
from functions.translate.spec import Spec, Thing, things
from functions.translate.variants import VARIANT_KEYS, VARIANTS, End, Far, Variant

_MTU_MAX = 65_536
_CHANNEL_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Wire:
    """One link of a connection as it is written; `ends` are (device, port) texts in the order of the variant.

    An end that could not be read is None; the other one still counts as used. `link` is the whole of the link.
    """

    connection: Thing
    variant: Variant
    ends: tuple[tuple[str, str] | None, ...]
    link: Spec


@dataclass(frozen=True, slots=True)
class Lag:
    """One LAG on one device. `name` is None when it cannot be known in this run (the catalogs are unread)."""

    key: str
    device: Device
    connection: Thing
    name: str | None
    channel: int | None
    description: str | None
    mtu: int | None

    @property
    def ref(self) -> Ref:
        """The LAG's record."""
        return Ref("interface", self.key)


@dataclass(frozen=True, slots=True)
class Use:
    """What one port is used for: an end of `wire`, the one at `place`.

    `description` and `mtu` are what the switch agent sets.
    """

    device: Device
    port: str
    wire: Wire
    description: str
    mtu: int | None
    lag: Lag | None
    cabled: bool
    place: int = 0

    @property
    def ref(self) -> Ref:
        """The port's record."""
        return Ref("interface", self.device.port_key(self.port))

    @property
    def end(self) -> Spec:
        """What the link says of this end (its port, its address)."""
        return self.wire.link.child(self.wire.variant.ends[self.place].at)


@dataclass(frozen=True, slots=True)
class Wiring:
    """All uses of ports by (device key, port), all LAGs, and the links whose two ends are both theirs alone."""

    uses: Mapping[tuple[str, str], Use]
    lags: tuple[Lag, ...]
    cables: tuple[tuple[Use, Use], ...]


def wiring(snapshot: Snapshot, fabric: Fabric, devices: Inventory, notes: Notes) -> Wiring:
    """Read every Connection of `snapshot`.

    A port belongs to the first link (by namespace, connection and ends as written) that names it; a later one is
    noted. Each end is settled for itself, so that what is unknown at one end changes nothing at the other.
    """
    wires = sorted(_wires(things(snapshot, "Connection", notes), notes), key=_order)
    lags = _Lags(snapshot, fabric, notes)
    uses: dict[tuple[str, str], Use] = {}
    cables: list[tuple[Use, Use]] = []
    for wire in wires:
        mine = [_settle(wire, place, snapshot, devices, uses, lags, notes) for place in range(len(wire.ends))]
        if len(mine) == 2 and mine[0] and mine[1]:
            cables.append((mine[0], mine[1]))
    return Wiring(uses, tuple(lags.made.values()), tuple(cables))


def _order(wire: Wire) -> tuple[object, ...]:
    thing = wire.connection
    return (thing.namespace, thing.name, VARIANTS.index(wire.variant), [end or ("", "") for end in wire.ends])


def _wires(connections: Iterable[Thing], notes: Notes) -> Iterator[Wire]:
    for thing in connections:
        present = sorted(key for key in VARIANT_KEYS if thing.spec.has(key))
        others = [key for key in thing.spec.names() if thing.spec.has(key) and key not in VARIANT_KEYS]
        if others and not present:
            text = f"is of the type {', '.join(others)}, which is not mapped: its ports look unused"
            notes.add(thing.source, Code.UNKNOWN_TYPE, text)
        elif len(present) != 1:
            text = f"is of {len(present)} types ({', '.join(present) or 'none'}) where it should be of one"
            notes.add(thing.source, Code.MALFORMED, text)
        for variant in VARIANTS:
            if variant.key in present:
                for link in _links(thing.spec.child(variant.key), variant):
                    yield Wire(thing, variant, tuple(_end(link, end) for end in variant.ends), link)


def _links(body: Spec, variant: Variant) -> list[Spec]:
    return [body.child("link")] if variant.links == "link" else body.children(variant.links)


def _end(link: Spec, end: End) -> tuple[str, str] | None:
    text = link.text(end.at, "port") or ""
    device, _, port = (part.strip() for part in text.partition("/"))  # a server's port may hold more of them
    if device and port:
        return device, port
    link.malformed((end.at, "port"), "names no `device/port`")
    return None


def _settle(
    wire: Wire,
    place: int,
    snapshot: Snapshot,
    devices: Inventory,
    uses: dict[tuple[str, str], Use],
    lags: _Lags,
    notes: Notes,
) -> Use | None:
    end, kind, thing = wire.ends[place], wire.variant.ends[place].kind, wire.connection
    if end is None:
        return None
    device = devices.find(kind, thing.namespace, end[0])
    if device is None:
        if snapshot.known(kind):
            notes.add(thing.source, Code.DANGLING, f"leads to the {kind} {end[0]}, which the fabric does not have")
        return None
    port = device.ports.normalise(end[1])
    if device.ports.get(port) is None:
        text = f"uses {end[0]}/{end[1]}, which that switch does not have (its profile and breakouts); left out"
        notes.add(thing.source, Code.PORT_NOT_IN_PROFILE, text)
        return None
    if other := uses.get((device.key, port)):
        text = f"uses {end[0]}/{port}, which belongs to {other.wire.connection.name} already; left out"
        notes.add(thing.source, Code.PORT_IN_USE, text)
        return None
    lag = lags.of(wire, device, place) if wire.variant.bundle else None
    use = Use(
        device,
        port,
        wire,
        shorten(_description(wire, place, member=True), DESCRIPTION_LIMIT),
        _mtu(wire),
        lag,
        cabled=len(wire.ends) == 2,
        place=place,
    )
    uses[device.key, port] = use
    return use


def _mtu(wire: Wire) -> int | None:
    return wire.connection.spec.number(wire.variant.key, "mtu", high=_MTU_MAX) or wire.variant.mtu


def _description(wire: Wire, place: int, *, member: bool) -> str:
    """What the agent writes on the port (`member`) or on the LAG it belongs to (the device alone, never its port)."""
    variant = wire.variant
    far = wire.ends[1 - place] if variant.far is not Far.NONE and len(wire.ends) == 2 else None
    parts = [variant.title]
    if far:
        parts.append("/".join(far) if variant.far is Far.PORT and member else far[0])
    if variant.named:
        parts.append(wire.connection.name)
    return " ".join(parts)


class _Lags:
    """The LAGs, made when their first member is met."""

    def __init__(self, snapshot: Snapshot, fabric: Fabric, notes: Notes) -> None:
        self.made: dict[str, Lag] = {}
        self._fabric = fabric
        self._notes = notes
        self._taken: set[tuple[str, str]] = set()
        self._catalogs = (
            {thing.name: thing.spec for thing in things(snapshot, "Catalog", notes)}
            if snapshot.known("Catalog")
            else None
        )

    def of(self, wire: Wire, device: Device, place: int) -> Lag:
        """The LAG that `device`'s end of `wire` belongs to."""
        part = wire.variant.part if device.thing.kind == SWITCH else "bond"
        key = f"{wire.connection.key(self._fabric.name)}#{part}:{device.thing.name}"
        if key not in self.made:
            self.made[key] = self._make(key, wire, device, place)
        return self.made[key]

    def _make(self, key: str, wire: Wire, device: Device, place: int) -> Lag:
        thing = wire.connection
        if device.thing.kind != SWITCH:
            return Lag(key, device, thing, f"bond-{digest(thing.name)}", None, None, None)
        channel = wire.variant.channel or self._channel(thing, device)
        name = shorten(f"lag:{thing.name}", NAME_LIMIT)
        if channel and (device.key, f"PortChannel{channel}") in self._taken:
            self._notes.add(thing.source, Code.NAME_COLLISION, f"PortChannel{channel} is taken on {device.thing.name}")
            channel = None
        if channel:
            name = f"PortChannel{channel}"
            self._taken.add((device.key, name))
        known = wire.variant.channel is not None or self._catalogs is not None
        text = shorten(_description(wire, place, member=False), DESCRIPTION_LIMIT)
        return Lag(key, device, thing, name if known else None, channel, text, _mtu(wire))

    def _channel(self, thing: Thing, device: Device) -> int | None:
        """The number from the catalog of the switch's redundancy group or of the switch; None if not given out yet."""
        group = device.thing.spec.text("redundancy", "group")
        places = ([f"redundancy.{group}"] if group else []) + [f"switch.{device.thing.name}"]
        for place in places:
            catalog = (self._catalogs or {}).get(place)
            if catalog and (number := catalog.number("portChannelIDs", thing.name, high=_CHANNEL_MAX)):
                return number
        return None
