"""How near a video is to its ground truth, frame by frame in playing time from the first of each.

Only the time that both show is compared; how much that is, is in every row. A generated talking
head may be right and yet not be the one that was filmed, so that these belong to reconstruction
and re-enactment, not to generation from text. The metrics of the mesh have names of their own: the
published LMD, AED and APD are by other landmarks and by coefficients of a 3D model.

Shape letters: T frames at 25 fps, L landmarks, P numbers.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.extractors.face import (
    LANDMARKS,
    LEFT_BROW,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_BROW,
    landmark_columns,
)
from evals.metrics.absence import require_face
from evals.metrics.followed import FOLLOW_CHOICE, FOLLOW_NEEDS, FOLLOW_PARAMS, follow
from evals.numerics.windows import mean_or_nan, windows_of
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    Score,
    Unscored,
    other_size,
)
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording

WINDOW_S = 2.0
MIN_FRAMES = 25
"""With a face in both videos, that a distance of landmarks needs."""
_RIGHT_EYE, _LEFT_EYE = landmark_columns((33, 133)), landmark_columns((362, 263))
_LIPS = landmark_columns((*LIPS_OUTER, *LIPS_INNER))
_CORNERS = landmark_columns((61, 291))
_LIP_GAP = landmark_columns((13, 14))
_LIDS = (landmark_columns((159, 145)), landmark_columns((386, 374)))
_BROWS = (landmark_columns(RIGHT_BROW), landmark_columns(LEFT_BROW))
(_NOSE_TIP,) = landmark_columns((4,))


class PictureReference(Metric):
    """Mean over frames of a comparison of whole pictures.

    Args:
        name: Of the metric and its array.
        extractor: Of the track ``pair``.
        protocol: What follows the name.
        unit: Of the value.
        higher_is_better: Direction.
        bounds: Of the value.
        label: Name in tables.
        distinction: Which comparison, in words.
    """

    axis = Axis.VIDEO
    is_default = False

    def __init__(
        self,
        *,
        name: str,
        extractor: str,
        protocol: str,
        unit: str,
        higher_is_better: bool,
        bounds: tuple[float, float],
        label: str,
        distinction: str,
    ) -> None:
        self.distinction = distinction
        self.name, self.label, self.unit = name, label, unit
        self.higher_is_better, self.bounds = higher_is_better, bounds
        self.needs = (extractor,)
        self.protocol = f"{name}/{protocol}"
        self.params: Mapping[str, Any] = {
            "aligned": "by time from the first frame of each",
            "over_frames": "mean",
            "window_s": WINDOW_S,
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the frames that both videos show."""
        found = features[self.needs[0]]
        values = found[self.name]
        if not len(values):
            raise Unscored("the video and its ground truth share no frame")
        return Score(
            value=float(values.mean()),
            components={
                "num_frames": int(found["num_frames"]),
                "num_truth_frames": int(found["num_truth_frames"]),
                "num_compared": len(values),
                "worst": float(values.min() if self.higher_is_better else values.max()),
            },
            windows=windows_of(
                len(values),
                lambda start, stop: float(values[start:stop].mean()),
                length_s=WINDOW_S,
                hop_s=WINDOW_S,
            ),
        )


class MeshReference(Metric):
    """A distance of two meshes at each moment, of the person whom the recording is about."""

    axis = Axis.VIDEO
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE
    is_default = False
    is_project_specific = True
    needs = (*FOLLOW_NEEDS, "truth_face")
    needs_at_times = FOLLOW_CHOICE

    def __init__(self) -> None:
        self.protocol = f"{self.name}/facemesh@1"
        self.params: Mapping[str, Any] = {
            "aligned": "by time from the first frame of each",
            "min_frames": MIN_FRAMES,
            "window_s": WINDOW_S,
            "follow": FOLLOW_PARAMS,
        }

    @abstractmethod
    def distances(
        self, own: Float[np.ndarray, "T L 2"], truth: Float[np.ndarray, "T L 2"]
    ) -> Float[np.ndarray, " T"]:
        """Compares landmarks in pixels; NaN where one of them has no face."""

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the frames with a face in both videos."""
        truth = features["truth_face"]["landmarks"].astype(float)
        followed = follow(recording, features)
        features = followed.view(features)
        require_face(recording, features)
        own = features["face"]["landmarks"].astype(float)
        count = min(len(own), len(truth))
        values = self.distances(own[:count], truth[:count])
        num_compared = int(np.isfinite(values).sum())
        if num_compared < MIN_FRAMES:
            raise Unscored(
                f"{num_compared} frames with a face in the video and in its ground truth, "
                f"{MIN_FRAMES} needed"
            )
        return Score(
            value=float(np.nanmean(values)),
            components={
                "num_frames": len(own),
                "num_truth_frames": len(truth),
                "num_compared": num_compared,
                **followed.components,
            },
            windows=windows_of(
                count,
                lambda start, stop: mean_or_nan(values[start:stop]),
                length_s=WINDOW_S,
                hop_s=WINDOW_S,
            ),
        )


class MeshLandmarkDistance(MeshReference):
    """Mean distance of all landmarks, where they are in the picture, in eye distances.

    The place of the head counts, as in the published distance of faces.
    """

    name = "mesh_lmd_face"
    label = "mesh LMD face"

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Compares places in pictures of one size only."""
        own, truth = features["truth_face"]["sizes"].tolist()
        if own != truth:
            raise other_size(own, truth)
        return super().measure(recording, features, context)

    def distances(
        self, own: Float[np.ndarray, "T L 2"], truth: Float[np.ndarray, "T L 2"]
    ) -> Float[np.ndarray, " T"]:
        """Compares places in the picture."""
        return np.asarray(np.linalg.norm(own - truth, axis=2).mean(axis=1) / eye_distance(truth))


class MeshLipDistance(MeshReference):
    """Mean distance of the landmarks of the lips, seen from the eyes, in eye distances.

    Both faces are moved, turned and scaled so that their eyes coincide: the head's pose and place
    in the picture do not count, except for what a turn out of the picture's plane does.
    """

    name = "mesh_lmd_lips"
    label = "mesh LMD lips"
    axis = Axis.LIP_SYNC

    def distances(
        self, own: Float[np.ndarray, "T L 2"], truth: Float[np.ndarray, "T L 2"]
    ) -> Float[np.ndarray, " T"]:
        """Compares lips in the frame of the eyes."""
        gap = from_the_eyes(own)[:, _LIPS] - from_the_eyes(truth)[:, _LIPS]
        return np.asarray(np.linalg.norm(gap, axis=2).mean(axis=1))


class MeshExpressionDistance(MeshReference):
    """Mean absolute difference of six measures of expression, in eye distances.

    The opening of the lips, the width of the mouth, the opening of each eye, the height of each
    brow. It stands in for AED, which compares coefficients of a 3D model, and is not AED.
    """

    name = "mesh_aed"
    label = "mesh AED"

    def distances(
        self, own: Float[np.ndarray, "T L 2"], truth: Float[np.ndarray, "T L 2"]
    ) -> Float[np.ndarray, " T"]:
        """Compares expressions."""
        return np.asarray(np.abs(expression(own) - expression(truth)).mean(axis=1))


class MeshPoseDistance(MeshReference):
    """Mean absolute difference of three measures of pose.

    The nose along and across the line of the eyes, in eye distances (the head turns, nods), and
    the angle of that line in radians (it tilts). It stands in for APD and is not APD.
    """

    name = "mesh_apd"
    label = "mesh APD"

    def distances(
        self, own: Float[np.ndarray, "T L 2"], truth: Float[np.ndarray, "T L 2"]
    ) -> Float[np.ndarray, " T"]:
        """Compares poses."""
        gap = pose(own) - pose(truth)
        gap[:, 2] = (gap[:, 2] + math.pi) % (2 * math.pi) - math.pi
        return np.asarray(np.abs(gap).mean(axis=1))


def eye_distance(landmarks: Float[np.ndarray, "T L 2"]) -> float:
    """Median distance of the middles of the eyes over a video, in pixels; NaN without a face."""
    lengths = np.linalg.norm(_eye_line(landmarks)[0], axis=1)
    known = lengths[np.isfinite(lengths)]
    return float(np.median(known)) if len(known) else math.nan


def from_the_eyes(landmarks: Float[np.ndarray, "T L 2"]) -> Float[np.ndarray, "T L 2"]:
    """Moves, turns and scales each face so that its eyes lie at (-0.5, 0) and (0.5, 0)."""
    line, middle = _eye_line(landmarks)
    length = np.linalg.norm(line, axis=1)
    along = line / np.maximum(length, 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    shifted = (landmarks - middle[:, None]) / np.maximum(length, 1e-6)[:, None, None]
    return np.stack(
        [(shifted * along[:, None]).sum(axis=2), (shifted * across[:, None]).sum(axis=2)], axis=2
    )


def expression(landmarks: Float[np.ndarray, "T L 2"]) -> Float[np.ndarray, "T 6"]:
    """Returns the measures of `MeshExpressionDistance`."""
    face = from_the_eyes(landmarks)

    def gap(columns: list[int]) -> np.ndarray:
        return np.asarray(np.linalg.norm(face[:, columns[0]] - face[:, columns[1]], axis=1))

    brows = [-face[:, columns, 1].mean(axis=1) for columns in _BROWS]
    return np.stack([gap(_LIP_GAP), gap(_CORNERS), *(gap(lids) for lids in _LIDS), *brows], axis=1)


def pose(landmarks: Float[np.ndarray, "T L 2"]) -> Float[np.ndarray, "T 3"]:
    """Returns the measures of `MeshPoseDistance`."""
    line, _ = _eye_line(landmarks)
    nose = from_the_eyes(landmarks)[:, _NOSE_TIP]
    return np.stack([nose[:, 0], nose[:, 1], np.arctan2(line[:, 1], line[:, 0])], axis=1)


def _eye_line(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vector from the right eye to the left one of the person, and the point between them."""
    assert landmarks.shape[1] == len(LANDMARKS)
    right, left = (landmarks[:, eye].mean(axis=1) for eye in (_RIGHT_EYE, _LEFT_EYE))
    return left - right, (left + right) / 2


FULL_REFERENCE: tuple[Metric, ...] = (
    PictureReference(
        name="psnr", label="PSNR", distinction="peak signal-to-noise ratio",
        extractor="full_reference", protocol="rgb-mean-of-frames@1",
        unit="dB", higher_is_better=True, bounds=(-math.inf, 100.0),
    ),
    PictureReference(
        name="ssim", label="SSIM", distinction="structural similarity",
        extractor="full_reference", protocol="gaussian-rgb@1",
        unit="1", higher_is_better=True, bounds=(-1.0, 1.0),
    ),
    PictureReference(
        name="lpips", label="LPIPS", distinction="learned distance of AlexNet's features",
        extractor="lpips_alex", protocol="alex-0.1@1",
        unit="1", higher_is_better=False, bounds=NON_NEGATIVE,
    ),
    MeshLandmarkDistance(),
    MeshLipDistance(),
    MeshExpressionDistance(),
    MeshPoseDistance(),
)  # fmt: skip
