"""Make a NetBox ready and register fabrics in it, in one go: what a sandbox and a demonstration begin with."""

from __future__ import annotations

from collections.abc import Iterable

from functions import registry
from functions.bootstrap import bootstrap
from functions.errors import Code, SyncStopped
from infra.netbox import NetBox


def enrol(netbox: NetBox, names: Iterable[str], secret_prefix: str, page_url: str | None = None) -> list[str]:
    """Bootstrap, then register each fabric that is not there yet, in a site of its own name; the new ones.

    Its secret is `<secret_prefix><name>`. With `page_url` each gets links to the page there.
    Raises what `bootstrap` and `registry.add` raise.
    """
    for _ in bootstrap(netbox, page_url):
        pass
    added = []
    for name in names:
        if is_registered(netbox, name):
            continue
        registry.ensure_site(netbox, name)
        registry.add(netbox, name, site=name, secret=f"{secret_prefix}{name}")
        added.append(name)
    return added


def is_registered(netbox: NetBox, name: str) -> bool:
    """Whether a fabric of that name is in the registry."""
    try:
        registry.find(netbox, name)
    except SyncStopped as stopped:
        if stopped.problem.code is Code.UNKNOWN_FABRIC:
            return False
        raise
    return True
