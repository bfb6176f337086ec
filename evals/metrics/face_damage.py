"""Does the face hold together, and does the light flicker, from one frame to the next?

Both read second differences in time, x(t) - (x(t-1) + x(t+1)) / 2, which steady movement leaves
near zero: a head that turns, a cut of the light that stays. Shape letters: T frames, L landmarks.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from evals.extractors.face import LEFT_BROW, NOSE, OVAL, RIGHT_BROW, landmark_columns
from evals.metrics.absence import require_face
from evals.metrics.followed import FOLLOW_CHOICE, FOLLOW_NEEDS, FOLLOW_PARAMS, follow
from evals.metrics.full_reference import from_the_eyes
from evals.numerics.windows import mean_or_nan, windows_of
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording

WINDOW_S = 2.0
MIN_FRAMES = 25
_POINTS = landmark_columns((*RIGHT_BROW, *LEFT_BROW, *NOSE, *OVAL))
"""Brows, nose and outline: what neither speech nor a blink moves much."""


class MeshWobble(Metric):
    """How much brows, nose and outline of a face shake against its eyes, in eye distances.

    Head movements do not count: each face is moved, turned and scaled so that its eyes coincide.
    A face that melts, warps or is drawn anew in each frame shakes; so does the mesh itself a
    little, more on small and blurred faces. It is no opinion of how bad that looks.
    """

    name = "mesh_wobble"
    axis = Axis.IDENTITY
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE
    is_default = False
    needs = FOLLOW_NEEDS
    needs_at_times = FOLLOW_CHOICE
    protocol = "mesh_wobble/facemesh@1"
    params: dict[str, Any] = {  # noqa: RUF012
        "points": "brows, nose, outline, seen from the eyes",
        "difference": "second",
        "min_frames": MIN_FRAMES,
        "window_s": WINDOW_S,
        "follow": FOLLOW_PARAMS,
    }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the frames with a face in themselves and in both neighbours."""
        followed = follow(recording, features)
        features = followed.view(features)
        require_face(recording, features)
        values = wobble(features["face"]["landmarks"].astype(float))
        known = values[np.isfinite(values)]
        if len(known) < MIN_FRAMES:
            raise Unscored(f"{len(known)} frames in a row with a face, {MIN_FRAMES} needed")
        return Score(
            value=float(known.mean()),
            components={
                "num_frames": len(known),
                "median": float(np.median(known)),
                "p95": float(np.percentile(known, 95)),
                **followed.components,
            },
            windows=windows_of(
                len(values),
                lambda start, stop: mean_or_nan(values[start:stop]),
                length_s=WINDOW_S,
                hop_s=WINDOW_S,
            ),
        )


def wobble(landmarks: Float[np.ndarray, "T L 2"]) -> Float[np.ndarray, " T"]:
    """Returns the mean length of the points' second differences; NaN at the ends and in gaps."""
    points = from_the_eyes(landmarks)[:, _POINTS]
    values = np.full(len(points), np.nan)
    if len(points) > 2:
        bend = points[1:-1] - (points[:-2] + points[2:]) / 2
        values[1:-1] = np.linalg.norm(bend, axis=2).mean(axis=1)
    return values


class Flicker(Metric):
    """Mean absolute second difference of the picture's mean brightness, in percent of white.

    A ramp and a cut hardly count; a generator that changes its exposure from frame to frame does.
    """

    name = "flicker"
    axis = Axis.APPEARANCE
    unit = "%"
    higher_is_better = False
    bounds = (0.0, 100.0)
    is_default = False
    needs = ("appearance",)
    protocol = "flicker/luma-128px@1"
    params: dict[str, Any] = {"difference": "second", "window_s": WINDOW_S}  # noqa: RUF012

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over all frames with two neighbours."""
        luma = 100 * features["appearance"]["exposure"].astype(float)
        if len(luma) < MIN_FRAMES:
            raise Unscored(f"{len(luma)} frames, {MIN_FRAMES} needed")
        bends = np.full(len(luma), np.nan)
        bends[1:-1] = np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2)
        return Score(
            value=float(np.nanmean(bends)),
            components={"p95": float(np.nanpercentile(bends, 95))},
            windows=windows_of(
                len(bends),
                lambda start, stop: mean_or_nan(bends[start:stop]),
                length_s=WINDOW_S,
                hop_s=WINDOW_S,
            ),
        )


FACE_DAMAGE: tuple[Metric, ...] = (MeshWobble(), Flicker())
