"""Diversity under the collapse of seeds: pairs of takes at each dose, and where they come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.calibration import calibrate, seed_pairs
from evals.calibration.calibrate import CalibrationPlan
from evals.calibration.faults import BESIDE, FAULTS
from evals.calibration.faults import takes as takes_module
from evals.calibration.faults.seeds import COLLAPSED, PARTNER, THIRD_TAKE
from evals.calibration.faults.takes import SyntheticWorld, WorldTakeSpec
from evals.calibration.results import _response, expectation_of
from evals.calibration.units import CLEAN, Unit
from evals.metrics.diversity import DIVERSITY, Diversity
from evals.protocols.takes_metric import SeedTake
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from tests.evals.metrics.test_diversity import RECORDING, take

DOSES = (0.25, 0.5, 1.0)
PICTURE = np.zeros((8, 8, 3), np.uint8)
SEED_OF = {CLEAN: 0, PARTNER: 0, "another_take": 1, COLLAPSED: 1, THIRD_TAKE: 2}


@pytest.fixture
def plan(tmp_path: Path) -> CalibrationPlan:
    names = [f"clip{number}" for number in range(12)]
    return CalibrationPlan(
        out=tmp_path,
        clips={name: Prompt(prompt_id=name, transcript="a", reference=PICTURE) for name in names},
        suite="toys",
        faults={COLLAPSED: DOSES},
        metrics=[],
        takes_metrics=DIVERSITY,
    )


def toy_take(pairs: seed_pairs._Pairs, clip: str, fault: str, dose: float) -> SeedTake:
    collapse = dose if fault in (COLLAPSED, PARTNER) else 0.0
    return take(10 * int(clip.removeprefix("clip")) + SEED_OF[fault], share=1 - collapse)


@pytest.mark.parametrize("metric", DIVERSITY, ids=lambda metric: metric.name)
def test_diversity_falls_with_the_share_by_which_seeds_collapse(
    metric: Diversity, plan: CalibrationPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_pairs._Pairs, "_take", toy_take)
    found = seed_pairs.pair_response(plan, {}, metric)
    assert found.reason == ""
    values = [cell.value / found.clean for cell in found.cells]
    assert values == pytest.approx([0.75, 0.5, 0.0], abs=0.03)
    assert found.floor > 0, "what another clean take changes"
    if metric.is_relative:
        assert (found.clean, found.clean_sd) == pytest.approx((1.0, 0.0))
    response = _response(COLLAPSED, metric, found.cells, found.clean, found.clean_sd, found.floor)
    assert expectation_of(COLLAPSED, metric) == ("moves", -1)
    assert (response.verdict, response.is_monotone) == ("detected", True)


def test_what_no_pair_has_is_said(plan: CalibrationPlan) -> None:
    found = seed_pairs.pair_response(plan, {}, DIVERSITY[0])
    assert found.reason == "no pair of takes"
    assert all(cell.is_detected is None for cell in found.cells)


def test_pairs_are_made_where_they_are_asked_for_and_can_be(plan: CalibrationPlan) -> None:
    units = dict(calibrate._rounds(plan))["takes"]
    assert [unit for unit in units if unit.clip == "clip0"] == [
        *(Unit("clip0", PARTNER, dose) for dose in DOSES), Unit("clip0", THIRD_TAKE, 1.0),
    ]  # fmt: skip
    assert {unit.fault for unit in units} <= set(BESIDE)
    files: dict[str, Recording] = {"clip0": RECORDING}
    for without in (
        replace(plan, takes_metrics=()), replace(plan, faults={}), replace(plan, clips=files),
    ):  # fmt: skip
        assert dict(calibrate._rounds(without))["takes"] == []
    assert not set(BESIDE) & set(FAULTS)


def test_two_seeds_of_the_world_meet_at_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takes_module, "SIZE", 16)
    spec = WorldTakeSpec(transcript="Good morning.", identity=3, voice="joe", seed=5)
    world = SyntheticWorld(spec)
    first, second = (world.seed_take(number, 1.0) for number in (0, 1))
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(next(first[0]), next(second[0]))
    own, clean = world.seed_take(0, 0.0)[1], world.clip.samples
    assert np.array_equal(own, clean)
    assert np.array_equal(world.seed_take(1, 0.0)[1], world.another_take()[1])
    half = [world.seed_take(number, 0.5)[1] for number in (0, 1)]
    assert not np.array_equal(half[0], half[1])
