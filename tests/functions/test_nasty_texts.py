"""Texts that people put into a fabric: what NetBox trims, refuses or folds must not come back as a difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.events import SyncRequest
from functions.outcome import Outcome
from functions.run import Run
from functions.sync import sync
from infra.deadline import Deadline
from infra.netbox import NetBox
from infra.sandbox.fabric.manifests import Cluster
from infra.sandbox.fabric.serve import serve
from infra.secrets import DirectorySecrets
from tests.fabric_content import small_cluster
from tests.netbox_content import bootstrapped, changes, opened, with_fabric
from tests.netbox_fixtures import ServedNetBox

TEXTS = {
    "padded": "  padded \t",
    "lines": "two\r\nlines\n",
    "control": "a\x00b\x1b[31mc\x7f",
    "long": "word " * 100,
    "emoji": "🦔 " * 60,
    "folded": "ﬁ Å e\u0301 \uff21\uff22\u00a0\u200b\u2028x",
    "markup": "<script>alert(1)</script> {{ 7*7 }} '; DROP TABLE x; --",
    "blank": " \t ",
    "right-to-left": "\u202eabc\u202c",
}


def nasty(name: str) -> Cluster:
    """A small fabric; for each text, a switch and a server that carry it wherever people may write."""
    cluster = small_cluster(name, switches=1)
    (leaf,) = [thing for thing in cluster.objects("Switch") if thing["metadata"]["name"] == "leaf-1"]
    for title, text in TEXTS.items():
        spec: dict[str, Any] = {**leaf["spec"], "description": text, "boot": {"serial": text}}
        meta = {"name": f"leaf-{title}", "namespace": "default"}
        switch = {"apiVersion": leaf["apiVersion"], "kind": "Switch", "metadata": meta, "spec": spec}
        server = {**switch, "kind": "Server", "metadata": {**meta, "name": f"s-{title}"}, "spec": {"description": text}}
        ends = {"server": {"port": f"s-{title}/{text.strip()}"}, "switch": {"port": f"leaf-{title}/E1/1"}}
        link = {**server, "kind": "Connection", "metadata": {**meta, "name": f"c-{title}"}}
        cluster.load([switch, server, {**link, "spec": {"unbundled": {"link": ends}}}])
    return cluster


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectorySecrets]:
    place = tmp_path_factory.mktemp("fabrics")
    with serve({"nasty": nasty("nasty")}, place):
        yield DirectorySecrets(place / "secrets", "fabric-")


def run(served: ServedNetBox, secrets: DirectorySecrets, id_: str) -> Outcome:
    deadline = Deadline.after(120.0, reserve=3.0)
    with NetBox(served.url, served.token_v2, deadline) as netbox:
        return sync(Run(SyncRequest("nasty", id_, id_), secrets, deadline), netbox)


def test_nothing_that_people_write_is_refused_or_written_twice(
    netbox_server: ServedNetBox, secrets: DirectorySecrets
) -> None:
    served = bootstrapped(netbox_server)
    with opened(served) as netbox:
        with_fabric(netbox, "nasty")
        first = run(served, secrets, "one")
        assert first.problem is None
        assert first.refused == ()
        before = changes(netbox)
        second = run(served, secrets, "two")
        assert (second.written, second.refused, changes(netbox)) == (0, (), before)
        assert second.result is first.result
        names = {row["name"] for row in netbox.read("dcim/devices", {"cf_fabric_name": "nasty"})}
        assert {f"leaf-{title}" for title in TEXTS} <= names
        assert {f"s-{title}" for title in TEXTS} <= names
