"""What simulated fabrics hold, and how a process of their own is steered."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from infra.sandbox.fabric.manifests import Cluster, ManifestError
from infra.sandbox.fabric.serve import serve
from infra.sandbox.fabric.spec import SpecError, read_spec
from tests.sandbox.fabric_asker import Asker


def test_sample_manifests_are_served_whole(shared: Path) -> None:
    samples = shared / "hedgehog" / "samples"
    content = [samples / "spineleaf-8x24.cluster.yaml", samples / "spineleaf-8x24.controller.yaml.gz"]
    with serve({"sample": content}) as running:
        _, page = Asker(running["sample"]).get("/apis/agent.githedgehog.com/v1beta1/agents?limit=500")
        assert len(page["items"]) == len(running["sample"].cluster.names("Switch")) == 28
        assert page["items"][0]["status"]["lastHeartbeat"] == "2026-07-24T12:00:00Z"


def test_a_store_moves_generation_with_spec_alone_and_version_with_everything() -> None:
    cluster = Cluster()
    made = {"apiVersion": "wiring.githedgehog.com/v1beta1", "kind": "Server", "metadata": {"name": "a"}, "spec": {}}
    cluster.create(made)
    seen = [cluster.get("Server", "a")["metadata"]]  # type: ignore[index]
    for change in ({"metadata": {"labels": {"x": "y"}}}, {"spec": {"description": "b"}}, {"status": {"ok": True}}):
        cluster.patch("Server", "a", change)
        seen.append(cluster.get("Server", "a")["metadata"])  # type: ignore[index]
    assert [meta["generation"] for meta in seen] == [1, 1, 2, 2]
    versions = [int(meta["resourceVersion"]) for meta in seen]
    assert versions == sorted(set(versions))
    assert len({(meta["uid"], meta["creationTimestamp"]) for meta in seen}) == 1
    cluster.delete("Server", "a")
    cluster.create(made)
    assert cluster.get("Server", "a")["metadata"]["uid"] != seen[0]["uid"]  # type: ignore[index]


@pytest.mark.parametrize(
    "manifest",
    [
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}},
        {"kind": "Switch", "apiVersion": "wiring.githedgehog.com/v9", "metadata": {"name": "x"}},
        {"kind": "Switch", "apiVersion": "wiring.githedgehog.com/v1beta1", "metadata": {}},
    ],
)
def test_what_is_no_hedgehog_object_is_not_stored(manifest: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        Cluster().create(manifest)


@pytest.mark.parametrize("text", ["topology:torus", "topology:mesh,leafs=2", "topology:mesh,leaves=9", "x.yaml,size=2"])
def test_a_content_that_makes_no_sense_is_refused_with_what_would(text: str) -> None:
    with pytest.raises(SpecError):
        read_spec("x", text)


# Another process.


def test_a_process_of_its_own_serves_is_steered_and_ends_at_once(tmp_path: Path) -> None:
    arguments = [
        "--state",
        str(tmp_path),
        "a=topology:spine_leaf,leaves=2,seed=3",
        "b=topology:mesh",
        "--fault",
        "b=hang",
    ]
    process = subprocess.Popen([sys.executable, "-m", "infra.sandbox.fabric", *arguments])
    try:
        book = tmp_path / "fabrics.json"
        deadline = time.monotonic() + 60
        while not book.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        known = json.loads(book.read_text())
        assert sorted(known["fabrics"]) == ["a", "b"]
        kubeconfig = tmp_path / "secrets" / known["fabrics"]["b"]["secret"]
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        assert call(known["admin"], "GET", "faults/b")[0]["trouble"] == "hang"
        assert call(known["admin"], "PUT", "faults/b", []) == []
        assert len(call(known["admin"], "POST", "churn/b", {"seed": 1, "steps": 2})) == 2
        api = client.CustomObjectsApi(config.new_client_from_config_dict(yaml.safe_load(kubeconfig.read_text())))
        switches = api.list_cluster_custom_object("wiring.githedgehog.com", "v1beta1", "switches", limit=500)
        assert len(switches["items"]) == 3
        assert [one["method"] for one in call(known["admin"], "GET", "audit/b")] == ["GET"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert not book.exists()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=20)


def call(admin: str, method: str, path: str, given: Any = None) -> Any:
    data = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(f"{admin}/-/{path}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())
