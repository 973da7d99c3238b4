"""The floor: the rows that a run of ours has sent, sent again into an empty NetBox by a loop that does nothing else."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pynetbox
import requests

from bench.stage import Sent, Stage
from functions.records import BY_CONTENT_TYPE, MODELS
from infra.netbox import Row

INTERFACES, SITES = "dcim/interfaces", "dcim/sites"

TARGETS: Mapping[str, str] = {
    "cluster": "virtualization/clusters",
    "device": "dcim/devices",
    "device_type": "dcim/device-types",
    "group": "ipam/vlan-groups",
    "l2vpn": "vpn/l2vpns",
    "lag": INTERFACES,
    "manufacturer": "dcim/manufacturers",
    "parent": INTERFACES,
    "platform": "dcim/platforms",
    "primary_ip4": "ipam/ip-addresses",
    "primary_mac_address": "dcim/mac-addresses",
    "rir": "ipam/rirs",
    "site": SITES,
    "sites": SITES,
    "tagged_vlans": "ipam/vlans",
    "untagged_vlan": "ipam/vlans",
    "vlan": "ipam/vlans",
    "vrf": "ipam/vrfs",
}
"""Field → where what it refers to is (a role is another thing on a device than elsewhere)."""

type Ids = dict[tuple[str, int], int]
"""Path and id then → id now: in another order, or at once, NetBox gives other numbers."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Rows of one model that may go at the same time, with the ids that they had when they were first sent."""

    verb: str
    path: str
    rows: tuple[tuple[int, Row], ...]

    @property
    def name(self) -> str:
        """What is written: the model, and whether it is changed only (late fields)."""
        return self.path if self.verb == "create" else f"{self.path} (changes)"


def waves_of(sent: list[Sent]) -> list[Wave]:
    """All rows, in as few waves as their references allow; what our run writes of its own result is left out."""
    order = [model.path for model in MODELS.values()]
    depths: dict[tuple[str, int], int] = {}
    grouped: dict[tuple[bool, int, int], list[tuple[int, Row]]] = defaultdict(list)
    for each in sent:
        if each.path == TARGETS["cluster"]:
            continue
        for id_, row in zip(each.ids, each.rows, strict=True):
            changed = each.verb != "create"
            alike = [depths.get(ref, -1) for ref in _refs(each.path, row) if ref[0] == each.path]
            depth = 0 if changed else 1 + max(alike, default=-1)
            if not changed:
                depths[each.path, id_] = depth
            grouped[changed, order.index(each.path), depth].append((id_, row))
    return [
        Wave("update" if at[0] else "create", order[at[1]], tuple(sorted(grouped[at], key=_place)))
        for at in sorted(grouped)
    ]


def _place(pair: tuple[int, Row]) -> tuple[int, int]:
    # By device: two requests that count the ports of the same devices in another order end in a deadlock.
    return pair[1].get("device", 0), pair[0]


def bulk_loop(stage: Stage, waves: list[Wave], batch: int, at_once: int) -> tuple[float, dict[str, float]]:
    """Seconds in all and by kind: `batch` rows a request, `at_once` requests, wave by wave; no reads, no checks."""
    stage.empty()
    ids: Ids = {}
    sessions = [requests.Session() for _ in range(at_once)]
    free = list(sessions)

    def send(wave: Wave, some: tuple[tuple[int, Row], ...]) -> None:
        session = free.pop()
        session.headers["Authorization"] = f"Bearer {stage.token}"
        write = session.post if wave.verb == "create" else session.patch
        answer = write(
            f"{stage.url}/api/{wave.path}/", json=[moved(wave.path, row, ids) for _, row in some], timeout=600
        )
        answer.raise_for_status()
        if wave.verb == "create":
            ids.update({(wave.path, id_): row["id"] for (id_, _), row in zip(some, answer.json(), strict=True)})
        free.append(session)

    by_kind: dict[str, float] = defaultdict(float)
    with ThreadPoolExecutor(at_once) as pool:
        for wave in waves:
            started = time.monotonic()
            cut = [wave.rows[at : at + batch] for at in range(0, len(wave.rows), batch)]
            for done in [pool.submit(send, wave, some) for some in cut]:
                done.result()
            by_kind[wave.name] += time.monotonic() - started
    for session in sessions:
        session.close()
    return sum(by_kind.values()), dict(by_kind)


def object_loop(stage: Stage, waves: list[Wave]) -> float:
    """Seconds for the same rows one by one, as a script with pynetbox does it: create, or get and save."""
    stage.empty()
    ids: Ids = {}
    api = pynetbox.api(stage.url, token=stage.token)
    started = time.monotonic()
    for wave in waves:
        app, name = wave.path.split("/")
        endpoint = getattr(getattr(api, app), name.replace("-", "_"))
        for id_, row in wave.rows:
            values = moved(wave.path, row, ids)
            if wave.verb == "create":
                ids[wave.path, id_] = endpoint.create(values).id
            else:
                endpoint.get(values.pop("id")).update(values)
    return time.monotonic() - started


def moved(path: str, row: Row, ids: Ids) -> Row:
    """A row with the ids that things have now."""
    return {name: _moved(path, row, name, value, ids) for name, value in row.items()}


def _moved(path: str, row: Row, name: str, value: Any, ids: Ids) -> Any:
    target = _target(path, row, name)
    if name.endswith("_terminations"):
        return [{**end, "object_id": ids.get((INTERFACES, end["object_id"]), end["object_id"])} for end in value]
    if target is None:
        return value
    if isinstance(value, list):
        return [ids.get((target, each), each) for each in value]
    return ids.get((target, value), value)


def _target(path: str, row: Row, name: str) -> str | None:
    """Where the object of a field is; None for a field that refers to none."""
    if name == "id":
        return path
    if name == "role":
        return "dcim/device-roles" if path == "dcim/devices" else "ipam/roles"
    if (type_ := row.get(name.removesuffix("_id") + "_type")) and name.endswith("_id"):
        return MODELS[BY_CONTENT_TYPE[type_]].path
    return TARGETS.get(name)


def _refs(path: str, row: Row) -> Iterator[tuple[str, int]]:
    for name, value in row.items():
        if name != "id" and (target := _target(path, row, name)):
            yield from ((target, each) for each in (value if isinstance(value, list) else [value]))
