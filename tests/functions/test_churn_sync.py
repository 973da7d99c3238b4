"""A short script of changes to a small fabric, synced step by step into the real NetBox: after each step it holds what
the fabric says, after the last what a fresh sync into an empty one makes of it (the long one: `python -m bench.churn`).
"""

from __future__ import annotations

from pathlib import Path

from bench.churn import AT_ONCE, content, differences, different
from functions.outcome import Result
from infra.sandbox.fabric.churn import steps
from infra.sandbox.fabric.topology import spine_leaf
from tests.netbox_content import bootstrapped
from tests.netbox_fixtures import ServedNetBox
from tests.story import Story, story

NAME = "churned"


def follow(told: Story) -> None:
    """Sync, and once more where something was marked: it goes in the run after."""
    for _ in range(2):
        outcome = told.sync()
        assert outcome.result is Result.SUCCEEDED, (outcome.reasons, outcome.refused)
        if not any("marked" in counts for counts in outcome.objects.values()):
            return


def test_after_every_change_netbox_is_what_a_fresh_sync_makes_of_the_fabric(
    netbox_server: ServedNetBox, tmp_path: Path
) -> None:
    cluster = spine_leaf(NAME, spines=1, leaves=2, links=1, servers=3, vpcs=2, externals=0, agents=False)
    done = set()
    with story(bootstrapped(netbox_server), tmp_path / "stepped", NAME, cluster, **AT_ONCE) as told:
        told.seconds = 240
        for change in steps(cluster, 33, 12):
            done.add(change.action)
            follow(told)
            assert list(differences(told.netbox, cluster, NAME)) == [], change.text
        assert told.sync().written == 0
        stepped = content(told.netbox, NAME)
    assert len(done) >= 7, done
    with story(bootstrapped(netbox_server), tmp_path / "fresh", NAME, cluster, **AT_ONCE) as told:
        assert different(stepped, content(told.netbox, NAME)) == []
