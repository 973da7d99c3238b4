"""A fabric as it is configured in NetBox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?")


def valid_name(name: object) -> bool:
    """Whether `name` can name a fabric: a lower-case slug of at most 16 characters."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class Naming(StrEnum):
    """How devices of a fabric are named in NetBox, where names are unique per site."""

    PLAIN = "plain"  # the name of the Kubernetes object
    PREFIXED = "prefixed"  # <fabric>-<name>


@dataclass(frozen=True, slots=True)
class Fabric:
    """One Hedgehog fabric: its anchor in NetBox (a cluster) and how it is to be synced.

    `name` is the cluster's name (a slug of at most 16 characters) and `cluster_id` its id in NetBox;
    `site` (slug) and `site_id` are the site that its devices are created in;
    `secret` names the kubeconfig in the secret store.
    `insecure_tls` accepts a kubeconfig that skips TLS verification; every outcome then says so.
    """

    name: str
    cluster_id: int
    site: str
    secret: str
    naming: Naming = Naming.PLAIN
    enabled: bool = True
    insecure_tls: bool = False
    site_id: int = 0
