"""A fabric as it is configured in NetBox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from functions.contract import valid_name as valid_name


class Naming(StrEnum):
    """How devices of a fabric are named in NetBox, where names are unique per site."""

    PLAIN = "plain"  # the name of the Kubernetes object
    PREFIXED = "prefixed"  # <fabric>-<name>


class DeletePolicy(StrEnum):
    """What becomes of objects that the fabric no longer has."""

    NEVER = "never"  # nothing: they are reported, and stay as they are
    MARK = "mark"  # tag them and note since when; people delete them
    DELETE = "delete"  # mark them, and delete them after the grace


@dataclass(frozen=True, slots=True)
class Deletion:
    """How a fabric's deletes are configured, and what was counted for them.

    An object is deleted when it was marked for `grace_runs` runs and for the time of `grace` by our own clock.
    `runs` counts the runs that saw objects wait. `release` are the marks that people gave to let a mass of objects
    pass; by them the objects of a kind were `released` that were marked until then.
    """

    policy: DeletePolicy = DeletePolicy.MARK
    grace_runs: int = 3
    grace: timedelta = timedelta(hours=24)
    runs: int = 0
    release: frozenset[str] = frozenset()
    released: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fabric:
    """One Hedgehog fabric: its anchor in NetBox (a cluster) and how it is to be synced.

    `name` is the cluster's name (a slug of at most 16 characters) and `cluster_id` its id in NetBox;
    `site` (slug) and `site_id` are the site that its devices are created in;
    `secret` names the kubeconfig in the secret store.
    `deletion` is how objects end that the fabric no longer has;
    `adopt` names the NetBox models of which people's objects may be taken over (none unless told).
    `suspended_until` is when a suspension by people ends;
    `insecure_tls` accepts a kubeconfig that skips TLS verification; every outcome then says so.
    """

    name: str
    cluster_id: int
    site: str
    secret: str
    naming: Naming = Naming.PLAIN
    enabled: bool = True
    insecure_tls: bool = False
    adopt: frozenset[str] = frozenset()
    site_id: int = 0
    suspended_until: datetime | None = None
    deletion: Deletion = field(default_factory=Deletion)
