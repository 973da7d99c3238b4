"""Where the proofs happen: small fabrics as files, a sandbox of them, and reports of what was measured."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from functions.enrol import enrol
from functions.kinds import BY_NAME
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.addresses import SECRET_PREFIX, Addresses
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.messaging import REQUESTS_PUSH, Messaging, create_messaging, rest
from infra.sandbox.world import Content, World
from tests.fabric_content import small_cluster

REPORTS = Path(__file__).resolve().parents[2] / "reports"
PATIENCE = 600.0
"""Seconds that a door to NetBox is open for those who look at what came of a proof."""


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up, with fabrics that are registered and were not synced yet."""

    world: World
    at: Addresses
    fabrics: tuple[str, ...]

    def netbox(self) -> NetBox:
        return NetBox(self.at.netbox, self.at.token, Deadline.after(PATIENCE))

    def empty(self) -> None:
        """Empty NetBox, and register the fabrics again."""
        self.world.netbox.reset()
        with self.netbox() as netbox:
            enrol(netbox, self.fabrics, SECRET_PREFIX)

    def publish(self, topic: str, messages: Collection[Mapping[str, Any]]) -> None:
        """Publish messages in their REST form."""
        path = f"/v1/projects/{self.at.project}/topics/{topic}:publish"
        status, answer = rest(self.at.broker, "POST", path, {"messages": list(messages)})
        assert status == 200, (status, answer)

    def retry_soon(self) -> None:
        """Let requests that were refused come again after 2 s and not 10, twice as long each time."""
        path = f"/v1/projects/{self.at.project}/subscriptions/{REQUESTS_PUSH}"
        status, answer = rest(self.at.broker, "DELETE", path)
        assert status == 200, (status, answer)
        create_messaging(self.at.broker, Messaging(self.at.project, self.at.function, first_backoff=2.0))

    def subscribe(self, topic: str) -> str:
        """A new pull subscription to a topic; its name."""
        project, name = f"projects/{self.at.project}", f"{topic}-watched"
        body = {"topic": f"{project}/topics/{topic}", "ackDeadlineSeconds": 60}
        status, answer = rest(self.at.broker, "PUT", f"/v1/{project}/subscriptions/{name}", body)
        assert status == 200, (status, answer)
        return name


@contextmanager
def sandbox(state: Path, fabrics: Iterable[str], **content: Any) -> Iterator[Sandbox]:
    """Small fabrics of these names in a sandbox below `state`, on the real emulator; `content` goes to `Content`."""
    names, world = tuple(fabrics), World(state)
    files = {name: f"{manifests(state / f'{name}.yaml', small_cluster(name))}" for name in names}
    with world.running(lambda text: print(text, flush=True), Content(files, emulator=True, **content)) as at:
        made = Sandbox(world, at, names)
        made.empty()
        yield made


def manifests(file: Path, cluster: Cluster) -> Path:
    """Write a fabric's content to a file, as the sandbox reads it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    things = [dict(item) for kind in BY_NAME for item in cluster.objects(kind)]
    file.write_text(yaml.safe_dump_all(things), encoding="utf-8")
    return file


def write(name: str, figures: Mapping[str, Any], rows: Iterable[Mapping[str, Any]] = ()) -> str:
    """Write a report, as JSON and for people: the figures, then a table of `rows`; the line of figures."""
    REPORTS.mkdir(exist_ok=True)
    table = list(rows)
    (REPORTS / f"{name}.json").write_text(json.dumps({**figures, "rows": table}, indent=1) + "\n", encoding="utf-8")
    text = [f"# {name}", "", *(f"- {what}: {told}" for what, told in figures.items())]
    if table:
        text += ["", f"| {' | '.join(table[0])} |", "|" + "---|" * len(table[0])]
        text += [f"| {' | '.join(str(value) for value in row.values())} |" for row in table]
    (REPORTS / f"{name}.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return " ".join(f"{what}={json.dumps(told, separators=(',', ':'))}" for what, told in figures.items())
