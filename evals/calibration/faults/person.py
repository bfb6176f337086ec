"""Faults of identity."""

import numpy as np

from evals.calibration.faults.base import (
    LIP_SYNC_METRICS,
    PICTURE,
    Batches,
    Fault,
    Faulted,
    Take,
    ramp,
)
from evals.protocols.base import Unscored


def other_identity(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Shows another person in the last part of the clip; in the world with the same motion."""
    count = min(max(1, round(dose * take.num_frames)), take.num_frames)
    start = take.num_frames - count
    if take.world is not None:
        shares = (np.arange(take.num_frames) >= start).astype(float)
        return Faulted(dose=count / take.num_frames, frames=take.world.with_other(shares))
    if take.open_other is None:
        raise Unscored(
            "needs another identity: no other recording of the manifest has another groups.identity"
        )
    frames = _spliced(take.open_frames(), take.open_other(), start)
    return Faulted(dose=count / take.num_frames, frames=frames)


def morph(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Blends the character gradually into another one, by this share in the last frame."""
    shares = dose * ramp(take.num_frames)
    return Faulted(dose=dose, frames=take.require_world().with_other(shares))


def _spliced(own: Batches, other: Batches, start: int) -> Batches:
    """Frames of one video up to ``start``, then of the other, whose last frame is held."""
    second = (frame for batch in other for frame in batch)
    number, last = 0, None
    for batch in own:
        shown = []
        for frame in batch:
            last = next(second, last)
            shown.append(frame if number < start or last is None else last)
            number += 1
        yield np.stack(shown)


PERSON_FAULTS = (
    Fault(
        name="other_identity",
        label="another identity",
        unit="share of the clip",
        doses=(0.1, 0.25, 0.5, 0.75, 1.0),
        few=(0.25, 1.0),
        tracks=frozenset({PICTURE}),
        moves={"id_distance": 1, "id_rank1": -1, "id_world_distance": 1, "id_world_rank1": -1,
               "fid_lite0": 1},
        leaves=LIP_SYNC_METRICS,
        source="The character is another one from some time on.",
        inject=other_identity,
    ),
    Fault(
        name="identity_morph",
        label="slow identity morph",
        unit="share at the end",
        doses=(0.1, 0.25, 0.5, 0.75, 1.0),
        few=(0.5, 1.0),
        tracks=frozenset({PICTURE}),
        moves={"id_drift": 1, "id_distance": 1, "id_slope_per_min": 1, "id_world_drift": 1,
               "id_world_slope_per_min": 1},
        leaves=(*LIP_SYNC_METRICS, "dynamic_degree"),
        source="Identity drift as the field describes it; numbers and colours of a drawn "
        "character are interpolated, its kinds of features switch half way.",
        inject=morph,
    ),
)  # fmt: skip
