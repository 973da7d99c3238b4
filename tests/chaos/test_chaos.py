"""A fault of each sort: one outcome by the deadline, and nobody harmed. The whole matrix: `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults import CLOCKS, HTTP, REPRESENTATIVE, SIGNALS, Case, Place, cases
from tests.chaos.stage import Stage, staged
from tests.house import MARGIN
from tests.netbox_content import bootstrapped
from tests.netbox_fixtures import ServedNetBox


@pytest.fixture(scope="module")
def stage(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(bootstrapped(netbox_server), tmp_path_factory.mktemp("chaos")) as made:
        yield made


@pytest.mark.parametrize("case", REPRESENTATIVE, ids=lambda case: f"{case.fault}, {case.place}, {case.moment}")
def test_whatever_strikes_one_outcome_tells_it_in_time_and_nobody_is_harmed(stage: Stage, case: Case) -> None:
    verdict = stage.play(case)
    assert verdict.good, verdict
    assert verdict.overshoot_ms < MARGIN * 1000


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_run_killed_at_any_moment_leaves_what_the_next_one_brings_to_its_end(stage: Stage, share: float) -> None:
    verdict = stage.kill(share)
    assert verdict.good, verdict


def test_the_matrix_has_every_fault_at_every_place_and_moment() -> None:
    whole = list(cases())
    assert len(whole) == len(set(whole)) == len(HTTP) * 9 + (len(SIGNALS) + len(CLOCKS) + 1) * 3 + 3
    assert {case.place for case in whole} == set(Place)
    assert set(REPRESENTATIVE) <= set(whole)
