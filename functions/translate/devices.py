"""Devices: switches, servers and gateways, with the shared records that they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from functions.fields import TAGS
from functions.records import Json, Record, Ref, Value
from functions.translate import state
from functions.translate.asns import ASN_MAX
from functions.translate.inventory import (
    CONTROL_KIND,
    GATEWAY_KIND,
    NAMED,
    NODE_KIND,
    SERVER_KIND,
    SWITCH,
    Device,
    of_kind,
)
from functions.translate.issues import Code
from functions.translate.names import DESCRIPTION_LIMIT, LABEL_LIMIT, shorten, slug
from functions.translate.profiles import GATEWAY
from functions.translate.scene import Scene
from functions.translate.spec import Thing

ROLES: Mapping[str, tuple[str, str]] = {
    "fabric-spine": ("Fabric spine", "3f51b5"),
    "fabric-server-leaf": ("Fabric server leaf", "009688"),
    "fabric-border-leaf": ("Fabric border leaf", "ff5722"),
    "fabric-mixed-leaf": ("Fabric mixed leaf", "4caf50"),
    "fabric-switch": ("Fabric switch", "607d8b"),
    "fabric-server": ("Fabric server", "9e9e9e"),
    "fabric-gateway": ("Fabric gateway", "9c27b0"),
    "fabric-control": ("Fabric control node", "795548"),
}
"""Device roles by slug: name and colour. `fabric-switch` is for a switch whose role is none of Hedgehog's."""

_ROLE_OF = {SERVER_KIND: "fabric-server", GATEWAY_KIND: "fabric-gateway", CONTROL_KIND: "fabric-control"}

SWITCH_ROLES = frozenset({"spine", "server-leaf", "border-leaf", "mixed-leaf"})

MANAGED = "fabric-managed"
_FABRIC_COLOUR, _GROUP_COLOUR = "00bcd4", "ffc107"
_MANAGED_COLOUR = next(tag.color for tag in TAGS if tag.slug == MANAGED)


def translate(scene: Scene) -> Iterator[Record]:
    """Every device with its tags, role, type, manufacturer and platform."""
    agents = state.agents(scene)
    for kind, _ in NAMED:
        for device in of_kind(scene.inventory, kind):
            tags = list(_tags(scene, device))
            yield from tags
            agent = agents.get((kind, device.thing.name))
            yield from _device(scene, device, agent, frozenset(tag.key for tag in tags))


def _tag(key: str, name: str, colour: str) -> Record:
    return Record("tag", key, {"name": shorten(name, LABEL_LIMIT), "slug": key, "color": colour})


def fabric_tag(fabric: str) -> Record:
    """The tag that every device of a fabric carries."""
    return _tag(f"fabric-{fabric}", f"fabric-{fabric}", _FABRIC_COLOUR)


def _tags(scene: Scene, device: Device) -> Iterator[Record]:
    yield _tag(MANAGED, MANAGED, _MANAGED_COLOUR)
    yield fabric_tag(scene.fabric.name)
    spec = device.thing.spec
    if device.thing.kind == SWITCH:
        redundancy = spec.text("redundancy", "group")
        groups = sorted({*spec.texts("groups"), *([redundancy] if redundancy else [])})
        yield from _groups(scene, device, "SwitchGroup", "sg", "switch group", groups)
    elif device.thing.kind == GATEWAY_KIND:
        groups = sorted({name for group in spec.children("groups") if (name := group.text("name"))})
        yield from _groups(scene, device, "GatewayGroup", "gwg", "gateway group", groups)


def _groups(scene: Scene, device: Device, kind: str, short: str, title: str, groups: list[str]) -> Iterator[Record]:
    existing = scene.groups.get(kind)
    for group in groups:
        if existing is not None and group not in existing:
            text = f"is in the {kind} {group}, which the fabric does not have"
            scene.notes.add(device.thing.source, Code.DANGLING, text)
        key = slug(f"fabric-{short}-{scene.fabric.name}-{group}")
        yield _tag(key, f"{scene.fabric.name} {title} {group}", _GROUP_COLOUR)


def _role(scene: Scene, device: Device) -> Ref:
    kind = device.thing.kind
    if kind == NODE_KIND:
        return Ref("device_role", "fabric-gateway" if device.make == GATEWAY else "fabric-control")
    if kind != SWITCH:
        return Ref("device_role", _ROLE_OF[kind])
    role = device.thing.spec.text("role") or "(none)"
    if role not in SWITCH_ROLES:
        text = f"has the role {role}, which is none of Hedgehog's: shown as a plain switch"
        scene.notes.add(device.thing.source, Code.UNKNOWN_ROLE, text)
        role = "switch"
    return Ref("device_role", f"fabric-{role}")


def _device(scene: Scene, device: Device, agent: Thing | None, tags: frozenset[str]) -> Iterator[Record]:
    make, spec, role = device.make, device.thing.spec, _role(scene, device)
    if make is None:
        return
    name, colour = ROLES[role.key]
    yield Record(role.model, role.key, {"name": name, "slug": role.key, "color": colour})
    yield from make.records()
    fields: dict[str, Value] = {
        "name": device.name,
        "device_type": make.device_type,
        "role": role,
        "site": Ref("site", scene.fabric.site),
        "cluster": Ref("cluster", scene.fabric.name),
        "status": "active",
    }
    custom: dict[str, Json] = {"fabric_source": device.thing.origin, **state.custom(scene, device, agent)}
    if make.platform_ref:
        fields["platform"] = make.platform_ref
    if serial := state.serial(scene, device, agent):
        fields["serial"] = serial
    if settings := state.settings(device):
        fields["local_context_data"] = settings
    if scene.built and (primary := scene.addresses.primary(device)):
        fields["primary_ip4"] = primary
    if device.thing.kind in (SWITCH, SERVER_KIND) and (text := spec.text("description")):
        fields["description"] = shorten(text, DESCRIPTION_LIMIT)
    if device.thing.kind in (SWITCH, GATEWAY_KIND):
        custom["fabric_asn"] = spec.number("asn", high=ASN_MAX)
    yield Record("device", device.key, fields, custom, tags)
