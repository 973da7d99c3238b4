"""The custom fields, tags and cluster type that carry this system's facts in NetBox: one table, made by bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.records import MODELS

CLUSTER_TYPE_NAME = "Hedgehog Fabric"
CLUSTER_TYPE_SLUG = "hedgehog-fabric"
GROUP = "Fabric"

KEY = "fabric_key"
NAME = "fabric_name"
STALE_SINCE = "fabric_stale_since"
STALE_RUN = "fabric_stale_run"

POLICY = "fabric_delete_policy"
GRACE_RUNS = "fabric_grace_runs"
GRACE_HOURS = "fabric_grace_hours"
RELEASE = "fabric_release"
RUNS = "fabric_runs"
RELEASED = "fabric_released"
APPLIED = "fabric_applied"
MEMORY = "fabric_memory"
FULL_HOURS = "fabric_full_hours"

INTERVAL = "fabric_interval"
WINDOWS = "fabric_windows"
SUSPENDED_UNTIL = "fabric_suspended_until"
SUSPEND_REASON = "fabric_suspend_reason"

_OWNED = tuple(model.content_type for model in MODELS.values() if not (model.shared or model.named))
_CLUSTER = ("virtualization.cluster",)
_DEVICE = ("dcim.device",)


@dataclass(frozen=True, slots=True)
class CustomField:
    """One custom field: its NetBox type, the object types it stands on, and whether people see it and may edit it."""

    name: str
    label: str
    type: str
    on: tuple[str, ...]
    description: str
    editable: bool = False
    hidden: bool = False
    unique: bool = False
    choices: str | None = None
    default: bool | int | str | None = None


@dataclass(frozen=True, slots=True)
class ChoiceSet:
    """The values of a select field: value → label."""

    name: str
    values: Mapping[str, str]


CHOICE_SETS: tuple[ChoiceSet, ...] = (
    ChoiceSet(
        "Fabric adoption",
        {
            "device": "Devices",
            "interface": "Interfaces",
            "cable": "Cables",
            "vrf": "VRFs",
            "vlan_group": "VLAN groups",
            "vlan": "VLANs",
            "prefix": "Prefixes",
            "ip_address": "IP addresses",
            "l2vpn": "L2VPNs",
        },
    ),
    ChoiceSet("Fabric naming", {"plain": "Name as in the fabric", "prefixed": "Fabric name in front"}),
    ChoiceSet(
        "Fabric delete policy",
        {"never": "Leave as it is", "mark": "Mark as stale", "delete": "Mark, and delete after the grace"},
    ),
)

CUSTOM_FIELDS: tuple[CustomField, ...] = (
    CustomField(KEY, "Fabric key", "text", _OWNED, "Identity: fabric/Kind/namespace/name#part", unique=True),
    CustomField(NAME, "Fabric", "text", _OWNED, "The fabric that owns this object"),
    CustomField(
        APPLIED, "Last applied", "json", _OWNED, "Notes of the values last applied, to tell who moved", hidden=True
    ),
    CustomField("fabric_source", "Fabric source", "text", _OWNED, "The Kubernetes object behind it"),
    CustomField(STALE_SINCE, "Stale since", "datetime", _OWNED, "Since when the fabric no longer has it"),
    CustomField(STALE_RUN, "Stale at run", "integer", _OWNED, "The fabric's count of runs when it was marked"),
    CustomField("fabric_asn", "Fabric ASN", "integer", ("dcim.device",), "BGP AS number of the device"),
    CustomField("fabric_vni", "VNI", "integer", ("ipam.vrf", "ipam.prefix"), "Number that the fabric gave its VXLAN"),
    CustomField(
        "fabric_spec",
        "Fabric settings",
        "json",
        ("ipam.vrf", "ipam.prefix", "dcim.interface"),
        "What the fabric's object says and NetBox has no field for",
    ),
    CustomField(
        MEMORY, "Memory", "json", ("ipam.vrf",), "What was last seen to be in sync, on the underlay's VRF", hidden=True
    ),
    CustomField("fabric_peerings", "Peerings", "json", ("ipam.vrf",), "Every peering that this VRF takes part in"),
    CustomField("fabric_mac", "DHCP client", "text", ("ipam.ipaddress",), "MAC address that DHCP keeps it for"),
    CustomField("fabric_applied_gen", "Applied generation", "integer", _DEVICE, "What the agent has applied"),
    CustomField("fabric_desired_gen", "Desired generation", "integer", _DEVICE, "What the fabric wants applied"),
    CustomField("fabric_ready", "Ready", "boolean", _DEVICE, "Whether all that the fabric wants is applied"),
    CustomField("fabric_agent_version", "Agent version", "text", _DEVICE, "Version of the device's fabric agent"),
    CustomField(
        "fabric_nos_version", "NOS version", "text", _DEVICE, "Version of the NOS, or of the gateway's dataplane"
    ),
    CustomField("fabric_nos_name", "NOS name", "text", ("dcim.interface",), "The port's name in the switch's NOS"),
    CustomField("fabric_breakout", "Breakout", "text", ("dcim.interface",), "Breakout mode and lane"),
    CustomField("fabric_secret", "Secret", "text", _CLUSTER, "Name of the kubeconfig's secret", editable=True),
    CustomField(
        "fabric_naming",
        "Device names",
        "select",
        _CLUSTER,
        "How devices are named in NetBox",
        editable=True,
        choices="Fabric naming",
        default="plain",
    ),
    CustomField("fabric_enabled", "Sync enabled", "boolean", _CLUSTER, "Whether to sync", editable=True, default=True),
    CustomField(
        INTERVAL, "Interval", "integer", _CLUSTER, "Seconds between two syncs; 0 is off", editable=True, default=300
    ),
    CustomField(WINDOWS, "Windows", "text", _CLUSTER, "When it may run: Sat 02:00-06:00 Europe/Berlin", editable=True),
    CustomField(SUSPENDED_UNTIL, "Suspended until", "datetime", _CLUSTER, "No sync until then", editable=True),
    CustomField(SUSPEND_REASON, "Suspend reason", "text", _CLUSTER, "Why it is suspended", editable=True),
    CustomField(
        "fabric_insecure_tls",
        "Insecure TLS",
        "boolean",
        _CLUSTER,
        "Accept a kubeconfig that skips TLS verification",
        editable=True,
        default=False,
    ),
    CustomField(
        POLICY,
        "Delete policy",
        "select",
        _CLUSTER,
        "What becomes of objects that the fabric no longer has",
        editable=True,
        choices="Fabric delete policy",
        default="mark",
    ),
    CustomField(GRACE_RUNS, "Grace (runs)", "integer", _CLUSTER, "Runs before a delete", editable=True, default=3),
    CustomField(GRACE_HOURS, "Grace (hours)", "integer", _CLUSTER, "Hours before a delete", editable=True, default=24),
    CustomField(
        FULL_HOURS,
        "Full comparison (hours)",
        "integer",
        _CLUSTER,
        "Hours between two comparisons of everything; 0 for every run",
        editable=True,
        default=24,
    ),
    CustomField(RELEASE, "Release", "text", _CLUSTER, "Release marks of what was held, as told", editable=True),
    CustomField(RUNS, "Runs", "integer", _CLUSTER, "Runs that saw objects wait for their deletion"),
    CustomField(RELEASED, "Released", "json", _CLUSTER, "Kind: until when its gone objects were released"),
    CustomField(
        "fabric_adopt",
        "Adopt existing",
        "multiselect",
        _CLUSTER,
        "Take over objects that people made, by name or address",
        editable=True,
        choices="Fabric adoption",
    ),
    CustomField("fabric_last_attempt", "Last attempt", "datetime", _CLUSTER, "When the last run began"),
    CustomField("fabric_last_success", "Last success", "datetime", _CLUSTER, "When it was last seen to be in sync"),
    CustomField("fabric_last_run", "Last run", "json", _CLUSTER, "Figures of the last run"),
    CustomField("fabric_connection", "Connection", "text", _CLUSTER, "Whether the fabric answered"),
    CustomField("fabric_lease", "Lease", "json", _CLUSTER, "Which run may write for the fabric", hidden=True),
    CustomField(
        "fabric_state", "State", "json", _CLUSTER, "What the next run needs to know of those before", hidden=True
    ),
    CustomField("fabric_result", "Last result", "text", _CLUSTER, "What the last run came to"),
    CustomField("fabric_result_since", "Result since", "datetime", _CLUSTER, "When that result was first seen"),
    CustomField("fabric_error", "Last error", "longtext", _CLUSTER, "What went wrong, and what to do"),
)


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag that people use to steer or find things."""

    slug: str
    name: str
    color: str
    description: str


TAGS: tuple[TagRow, ...] = (
    TagRow("fabric-managed", "fabric-managed", "009688", "Kept true to a Hedgehog fabric by fabric-sync"),
    TagRow("fabric-stale", "fabric-stale", "9e9e9e", "The fabric no longer has this object"),
    TagRow("fabric-hold", "fabric-hold", "ff9800", "fabric-sync does not change or delete this object"),
)

HOLD_TAG = "fabric-hold"
STALE_TAG = "fabric-stale"


def own_tag(slug: str, fabric: str) -> bool:
    """Whether a tag on an object of `fabric` is ours to take away: its groups and its mark, not what people set."""
    return slug == STALE_TAG or slug.startswith((f"fabric-sg-{fabric}-", f"fabric-gwg-{fabric}-"))
