"""Collapse of the seeds of one prompt, which metrics of several takes are calibrated on.

Two takes of a clip, of its own seed and of the next, move towards their mean. The faulted clip is
the second; the first at the same dose, `PARTNER`, is measured beside it.
"""

import numpy as np

from evals.calibration.faults.base import BOTH, Fault, Faulted, Inject, Take

COLLAPSED, PARTNER, THIRD_TAKE = "seeds_collapsed", "seeds_collapsed_partner", "third_take"


def second_take(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Generates the take of the next seed, moved towards the mean of both by this share."""
    batches, samples = take.require_world().seed_take(1, dose)
    return Faulted(dose=dose, frames=batches, samples=samples)


def _first_take(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Generates the take of the clip's own seed, moved likewise."""
    batches, samples = take.require_world().seed_take(0, dose)
    return Faulted(dose=dose, frames=batches, samples=samples)


def _third_take(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Generates the take of the seed after the next."""
    batches, samples = take.require_world().seed_take(2, 0.0)
    return Faulted(dose=dose, frames=batches, samples=samples)


def _beside(name: str, label: str, inject: Inject) -> Fault:
    return Fault(
        name=name, label=label, unit="", doses=(1.0,), few=(1.0,), tracks=BOTH, moves={},
        leaves=(), source="Is measured beside another take.", inject=inject,
    )  # fmt: skip


SEED_FAULTS = (
    Fault(
        name=COLLAPSED,
        label="seeds collapsed",
        unit="share of the way to their mean",
        doses=(0.25, 0.5, 0.75, 1.0),
        few=(0.5, 1.0),
        tracks=BOTH,
        moves={"motion_diversity*": -1, "voice_diversity*": -1},
        leaves=("completion", "loops", "longest_skip_words", "id_rank1", "id_world_rank1"),
        source="Mode collapse, the price of few-step students: every seed gives nearly the same "
        "take. Idle motion is averaged; the voice loses the variation of its seed.",
        inject=second_take,
    ),
)
BESIDE: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        _beside(PARTNER, "the clip's own seed, collapsed", _first_take),
        _beside(THIRD_TAKE, "a third clean take", _third_take),
    )
}
"""Takes that stand beside a faulted or a clean one; no row of a table."""
