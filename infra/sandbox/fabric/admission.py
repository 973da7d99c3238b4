"""What the webhooks of a fabric do to an object before it is stored: defaults, order, labels."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from infra.sandbox.fabric.offering import BY_KIND, Release
from infra.sandbox.fabric.profiles import annotation

type Json = dict[str, Any]

PREFIX = "fabric.githedgehog.com"
_TYPE_LABELS = {"vpcLoopback": "vpc-loopback", "staticExternal": "static-external"}
_FLAP = {"flapThreshold": 3, "recoveryInterval": 300, "samplingInterval": 30}


def make(kind: str, name: str, spec: Json, *, release: Release = Release.V0_126, **meta: Any) -> Json:
    """An object of a kind as it is after admission; `meta` adds to its metadata."""
    made: Json = {
        "apiVersion": BY_KIND[kind].api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", **meta},
        "spec": spec,
    }
    return admit(made, release)


def admit(made: Json, release: Release = Release.V0_126) -> Json:
    """Fill defaults in and rebuild our labels, in place; the same object is returned."""
    spec: Json = made.setdefault("spec", {})
    default = _DEFAULTS.get(made["kind"])
    if default:
        default(spec, release)
    kept = {key: value for key, value in (made["metadata"].get("labels") or {}).items() if PREFIX + "/" not in key}
    labels = _LABELS[made["kind"]](spec) if made["kind"] in _LABELS else {}
    made["metadata"].pop("labels", None)
    if kept or labels:
        made["metadata"]["labels"] = dict(sorted((kept | labels).items()))
    if made["kind"] == "SwitchProfile":
        made["metadata"]["annotations"] = {f"{PREFIX}/ports": annotation(spec)}
    made.setdefault("status", {})
    return made


def endpoints(spec: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The ends of a connection: (role, device, port); the port is cut off at the first slash."""
    found: list[tuple[str, str, str]] = []

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, Mapping):
            for role, inner in value.items():
                if isinstance(inner, Mapping) and isinstance(inner.get("port"), str):
                    device, _, port = inner["port"].partition("/")
                    found.append((role, device, port))
                else:
                    walk(inner)

    walk(spec)
    return found


def variant(spec: Mapping[str, Any]) -> str:
    """The variant of a connection: its one key."""
    return next(iter(spec))


def _switch(spec: Json, release: Release) -> None:
    group = (spec.get("redundancy") or {}).get("group")
    groups = sorted({*spec.get("groups", ()), *([group] if group else ())})
    if groups:
        spec["groups"] = groups
    spec["vlanNamespaces"] = sorted(spec.get("vlanNamespaces") or ["default"])
    spec.setdefault("redundancy", {})
    spec.setdefault("ecmp", {})
    if release is Release.V0_126:
        spec.setdefault("linkFlapErrDisable", dict(_FLAP))


def _vpc(spec: Json, release: Release) -> None:
    spec.setdefault("ipv4Namespace", "default")
    spec.setdefault("vlanNamespace", "default")
    for subnet in spec.get("subnets", {}).values():
        network = ipaddress.ip_network(subnet["subnet"])
        subnet.setdefault("gateway", str(network[1]))
        dhcp = subnet.setdefault("dhcp", {})
        if dhcp.get("enable"):
            span = dhcp.setdefault("range", {})
            span.setdefault("start", str(network[2]))
            span.setdefault("end", str(network[-1]))  # the webhook ends at the broadcast address
            options = dhcp.setdefault("options", {})
            options.setdefault("interfaceMTU", 9036)
            options.setdefault("leaseTimeSeconds", 3600)


def _ranges(spec: Json, release: Release) -> None:
    for span in spec.get("ranges", ()):
        span.setdefault("to", span["from"])
    spec.get("ranges", []).sort(key=lambda span: span["from"])


def _subnets(spec: Json, release: Release) -> None:
    spec.get("subnets", []).sort()


def _gateway(spec: Json, release: Release) -> None:
    spec.setdefault("logs", {"default": "info", "tags": {"all": "info"}})
    spec.setdefault("workers", 4)
    spec.setdefault("groups", [{"name": "default"}])
    spec.setdefault("profiling", {})


def _peering(spec: Json, release: Release) -> None:
    if release is Release.V0_126:
        spec.setdefault("gatewayGroup", "default")


_DEFAULTS = {
    "Switch": _switch,
    "VPC": _vpc,
    "VLANNamespace": _ranges,
    "IPv4Namespace": _subnets,
    "Gateway": _gateway,
    "GatewayPeering": _peering,
}


def _switch_labels(spec: Json) -> Json:
    labels = {f"{PREFIX}/profile": spec["profile"]}
    labels |= {f"switchgroup.{PREFIX}/{group}": "true" for group in spec.get("groups", ())}
    return labels | {f"vlanns.{PREFIX}/{name}": "true" for name in spec["vlanNamespaces"]}


def _connection_labels(spec: Json) -> Json:
    kind = variant(spec)
    labels = {
        f"{PREFIX}/connection-type": {"vpcLoopback": "vpc-loopback", "staticExternal": "static-external"}.get(
            kind, kind
        )
    }
    if kind in ("mclag", "mclagDomain"):
        labels = {}  # the code of today writes no type for what it no longer supports
    for role, device, _ in endpoints(spec):
        if role != "gateway":
            labels[f"{'server' if role == 'server' else 'switch'}.{PREFIX}/{device}"] = "true"
    within = spec.get("staticExternal", {}).get("withinVPC")
    return labels | ({f"{PREFIX}/vpc": within} if within else {})


def _attachment_labels(spec: Json) -> Json:
    vpc, _, subnet = spec["subnet"].partition("/")
    labels = {f"{PREFIX}/connection": spec["connection"], f"{PREFIX}/subnet": subnet, f"{PREFIX}/vpc": vpc}
    return labels | ({f"{PREFIX}/nativevlan": "true"} if spec.get("nativeVLAN") else {})


def _peering_labels(spec: Json) -> Json:
    first, second = sorted(spec["permit"][0])
    both = {f"vpc.{PREFIX}/{first}": "true", f"vpc.{PREFIX}/{second}": "true"}
    return {f"{PREFIX}/vpc1": first, f"{PREFIX}/vpc2": second} | both


_LABELS: Mapping[str, Callable[[Json], Json]] = {
    "Switch": _switch_labels,
    "Connection": _connection_labels,
    "VPC": lambda s: {f"{PREFIX}/ipv4ns": s["ipv4Namespace"], f"{PREFIX}/vlanns": s["vlanNamespace"]},
    "VPCAttachment": _attachment_labels,
    "VPCPeering": _peering_labels,
    "External": lambda s: {f"{PREFIX}/ipv4ns": s["ipv4Namespace"]},
    "ExternalAttachment": lambda s: {f"{PREFIX}/connection": s["connection"], f"{PREFIX}/external": s["external"]},
    "ExternalPeering": lambda s: {
        f"{PREFIX}/external": s["permit"]["external"]["name"],
        f"{PREFIX}/vpc": s["permit"]["vpc"]["name"],
    },
    "GatewayPeering": lambda s: {f"vpc.gateway.githedgehog.com/{name}": "true" for name in s["peering"]},
}
