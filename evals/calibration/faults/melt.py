"""Faults of a picture that does not hold together: it melts, or its light flickers."""

import cv2
import numpy as np

from evals.calibration.faults.base import PICTURE, Fault, Faulted, Take, map_frames

REFERENCE_PX = 256
GRID = 8
"""Points a side at which the picture is pulled."""
MEMORY = 0.6
"""Of the pull from one frame to the next."""


def melt(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Pulls the picture smoothly to and fro; the dose is the deviation in pixels of 256."""
    pulls = rng.standard_normal((take.num_frames, GRID, GRID, 2)).astype(np.float32)
    for number in range(1, take.num_frames):
        pulls[number] = MEMORY * pulls[number - 1] + np.sqrt(1 - MEMORY**2) * pulls[number]

    def pulled(frame: np.ndarray, number: int) -> np.ndarray:
        height, width = frame.shape[:2]
        scale = dose * height / REFERENCE_PX
        field = scale * cv2.resize(pulls[number], (width, height), interpolation=cv2.INTER_CUBIC)
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        places = (x + field[..., 0]).astype(np.float32), (y + field[..., 1]).astype(np.float32)
        return np.asarray(
            cv2.remap(frame, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), pulled))


def flicker(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Brightens or darkens each frame by itself; the dose is the deviation in percent."""
    gains = 1 + dose / 100 * rng.standard_normal(take.num_frames)

    def lit(frame: np.ndarray, number: int) -> np.ndarray:
        return np.rint(frame * gains[number]).clip(0, 255).astype(np.uint8)

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), lit))


MELT_FAULTS = (
    Fault(
        name="melt",
        label="melting",
        unit="px sd",
        doses=(0.5, 1, 2, 4),
        few=(1, 4),
        tracks=frozenset({PICTURE}),
        moves={"mesh_wobble": 1, "dynamic_degree": 1},
        leaves=("colour_drift", "exposure_drift"),
        source="Faces that warp from frame to frame, as generators draw them late in a stream.",
        inject=melt,
    ),
    Fault(
        name="flicker",
        label="flicker",
        unit="% sd",
        doses=(0.5, 1, 2, 5),
        few=(1, 5),
        tracks=frozenset({PICTURE}),
        moves={"flicker": 1},
        leaves=(),
        source="Exposure that differs from frame to frame.",
        inject=flicker,
    ),
)
