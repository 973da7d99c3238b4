"""A small Hedgehog fabric for tests that walk one through the whole house."""

from __future__ import annotations

from typing import Any

from functions.kinds import BY_NAME
from infra.sandbox.fabric.manifests import Cluster


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A manifest of the kind, in the namespace `default`."""
    group = BY_NAME[kind].group
    return {
        "apiVersion": f"{group}/v1beta1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def small_cluster(name: str, switches: int = 2, ports: int = 4) -> Cluster:
    """`switches` switches of `ports` ports each in a row, cabled to the next, and a server on the first."""
    profile = {
        "displayName": "Acme One",
        "nosType": "sonic-bcm-base",
        "portProfiles": {"SFP28-25G": {"speed": {"default": "25G", "supported": ["10G", "25G"]}}},
        "ports": {"M1": {"management": True, "nos": "Management0", "oniePortName": "eth0"}}
        | {
            f"E1/{number}": {"label": str(number), "nos": f"Ethernet{number - 1}", "profile": "SFP28-25G"}
            for number in range(1, ports + 1)
        },
    }
    things = [thing("SwitchProfile", "acme-one", profile), thing("Server", "server-1", {})]
    leaf = {"profile": "acme-one", "role": "server-leaf"}
    things += [thing("Switch", f"leaf-{number}", leaf) for number in range(1, switches + 1)]
    for number in range(1, switches):
        ends = {"leaf1": {"port": f"leaf-{number}/E1/2"}, "leaf2": {"port": f"leaf-{number + 1}/E1/3"}}
        things.append(thing("Connection", f"mesh-{number}", {"mesh": {"links": [ends]}}))
    link = {"server": {"port": "server-1/enp2s1"}, "switch": {"port": "leaf-1/E1/1"}}
    things.append(thing("Connection", "server-1--unbundled", {"unbundled": {"link": link}}))
    return Cluster(name).load(things)
