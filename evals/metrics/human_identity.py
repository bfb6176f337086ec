"""VBench-2.0's human identity: in which share of the frames is the face still that of the first?

Shape letters: N frames with exactly one face, D dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from evals.numerics.windows import Series
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import SHARE, Axis
from evals.recording.recording import Recording

SAME_COSINE = 0.4
MIN_FRAMES = 20
WINDOW_S = 2.0


def like_first(embeddings: Float[np.ndarray, "N D"]) -> Bool[np.ndarray, " N"]:
    """Says which faces have a cosine of at least 0.4 to the first one.

    Args:
        embeddings: Of the faces, in playing order; of any length above 0.

    Returns:
        For each face, the first included.

    Source:
        ``human_identity`` of VBench-2.0 (Apache-2.0), rewritten.
    """
    rows = embeddings.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows @ rows[0] >= SAME_COSINE)


class HumanIdentity(Metric):
    """Share of the frames after the first whose face has a cosine of 0.4 or more to the first one.

    Only frames with one face count. A face may drift by more than a radian before it says so.
    """

    name = "human_identity"
    label = "human identity"
    axis = Axis.IDENTITY
    unit = "1"
    higher_is_better = True
    bounds = SHARE
    is_default = False
    needs = ("face", "face18")
    protocol = "human_identity/vbench2-mesh-box@1"
    params: Mapping[str, Any] = {
        "same_cosine": SAME_COSINE,
        "min_frames": MIN_FRAMES,
        "box": "of the mesh",
        "over_videos": "mean",
        "window_s": WINDOW_S,
    }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the share; not measured where VBench-2.0 leaves a video out."""
        faces = features["face18"]
        frames = faces["frame"]
        if not len(frames) or frames[0] != 0:
            raise Unscored("the first frame does not show exactly one face")
        if len(frames) - 1 < MIN_FRAMES:
            raise Unscored(
                f"{len(frames) - 1} frames after the first show exactly one face, "
                f"{MIN_FRAMES} are needed"
            )
        is_same = like_first(faces["embedding"])[1:]
        later = Series(
            frames=frames[1:],
            values=is_same.astype(float),
            num_frames=len(features["face"]["has_mesh"]),
        )
        return Score(
            value=float(is_same.mean()),
            components={"num_frames": len(is_same), "num_same": int(is_same.sum())},
            windows=later.windows(WINDOW_S),
        )


HUMAN_IDENTITY: tuple[Metric, ...] = (HumanIdentity(),)
