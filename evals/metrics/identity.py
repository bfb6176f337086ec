"""Is it still the person of the reference picture, and does that fade with time?

Distances are Euclidean between dlib's face embeddings; dlib's authors call below 0.6 the same
person. Blur and small pictures look like another person to this network, which is why the slope
is freed of sharpness, and why a threshold belongs to a domain.

Shape letters: N embedded frames, K windows.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.metrics.base import Context, Features, Metric, NotMeasured, Score, Window
from evals.metrics.windows import (
    END_SHARE,
    block_bootstrap_ci95,
    ends,
    mean_or_nan,
    regress_out,
    theil_sen,
    windows_of,
)
from evals.recording import Recording


@dataclass(frozen=True, kw_only=True)
class IdentityParams:
    """What decides a number on identity.

    Attributes:
        window_s: Length of a window, and time from one to the next.
        num_draws: Bootstrap samples behind the interval of the slope.
        min_windows: With a face, that a slope needs.
    """

    window_s: float = 2.0
    num_draws: int = 500
    min_windows: int = 5


@dataclass(frozen=True, kw_only=True)
class Series:
    """One number for each embedded frame of a video.

    Attributes:
        frames: Frame numbers at 25 fps.
        values: At these frames.
        num_frames: Of the video, as far as frames were sampled.
    """

    frames: np.ndarray
    values: Float[np.ndarray, " N"]
    num_frames: int

    def mean_in(self, start: int, stop: int) -> float:
        """Returns the mean from one frame to before another; NaN if no frame is there."""
        return mean_or_nan(self.values[(self.frames >= start) & (self.frames < stop)])

    def windows(self, window_s: float) -> tuple[Window, ...]:
        """Returns the mean in each window."""
        return windows_of(self.num_frames, self.mean_in, length_s=window_s, hop_s=window_s)


class _Identity(Metric):
    """What the identity metrics share."""

    needs: tuple[str, ...] = ("face", "identity")

    def __init__(self, *, params: IdentityParams, protocol: str) -> None:
        self.settings = params
        self.protocol = protocol
        self.params = {**asdict(params), "end_share": END_SHARE}


def series(features: Features, values: Float[np.ndarray, " N"]) -> Series:
    """Places values of the embedded frames in the video."""
    return Series(
        frames=features["identity"]["frame"],
        values=values,
        num_frames=len(features["face"]["has_mesh"]),
    )


def embeddings(features: Features) -> Float[np.ndarray, "N 128"]:
    """Returns the embeddings of a video.

    Args:
        features: Of one recording.

    Returns:
        One row for each embedded frame, at least one.

    Raises:
        NotMeasured: If no sampled frame has a usable face.
    """
    found = features["identity"]["embedding"].astype(float)
    if not len(found):
        raise NotMeasured("no usable face in any sampled frame")
    return found


def reference_embedding(recording: Recording, features: Features) -> Float[np.ndarray, "128"]:
    """Returns the embedding of the reference picture.

    Args:
        recording: Says whether there is a picture.
        features: Hold it as ``reference_identity``.

    Returns:
        The embedding of its largest face.

    Raises:
        NotMeasured: If there is no picture, or no face in it.
    """
    if recording.reference_path is None or "reference_identity" not in features:
        raise NotMeasured("no reference picture")
    found = features["reference_identity"]["embedding"].astype(float)
    if not len(found):
        raise NotMeasured("no usable face in the reference picture")
    return found[0]


def distances_to_start(recording: Recording, features: Features) -> tuple[Series, str]:
    """Returns distances to the reference picture or, without one, to the start of the video.

    Args:
        recording: Says whether there is a picture.
        features: Of one recording.

    Returns:
        The distances, and ``reference`` or ``start``.

    Raises:
        NotMeasured: If there is no face to measure, or none to measure from.
    """
    found = embeddings(features)
    try:
        anchor, kind = reference_embedding(recording, features), "reference"
    except NotMeasured:
        first, _ = ends(len(features["face"]["has_mesh"]))
        early = found[features["identity"]["frame"] < first.stop]
        if not len(early):
            raise NotMeasured("no reference, and no usable face at the start") from None
        anchor, kind = early.mean(axis=0), "start"
    return series(features, np.linalg.norm(found - anchor, axis=1)), kind


class IdDistance(_Identity):
    """Mean distance of the face to that of the reference picture."""

    name = "id_distance"
    unit = "1"
    higher_is_better = False

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the mean over the embedded frames, and over those of each window."""
        anchor = reference_embedding(recording, features)
        distances = series(features, np.linalg.norm(embeddings(features) - anchor, axis=1))
        return Score(
            value=float(distances.values.mean()),
            components={
                "num_frames": len(distances.values),
                "p95": float(np.percentile(distances.values, 95)),
            },
            windows=distances.windows(self.settings.window_s),
        )


class IdRank1(_Identity):
    """Share of frames whose nearest reference picture in the run is that of the own identity."""

    name = "id_rank1"
    unit = "1"
    higher_is_better = True

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the share over the embedded frames, and over those of each window.

        Not measured if the run has fewer than two references, or none of this identity.
        """
        references = context.references
        if len(references) < 2:
            raise NotMeasured("fewer than two reference pictures in the run")
        if recording.identity not in references:
            raise NotMeasured(f"no usable reference picture of {recording.identity!r}")
        names = sorted(references)
        anchors = np.array([references[name] for name in names], float)
        gaps = np.linalg.norm(embeddings(features)[:, None] - anchors, axis=2)
        nearest = gaps.argmin(axis=1)
        hits = series(features, (nearest == names.index(recording.identity)).astype(float))
        return Score(
            value=float(hits.values.mean()),
            components={
                "num_references": len(names),
                "chance": 1 / len(names),
                "nearest": {name: int((nearest == row).sum()) for row, name in enumerate(names)},
            },
            windows=hits.windows(self.settings.window_s),
        )


class IdDrift(_Identity):
    """Distance in the last 15 % minus distance in the first 15 %.

    The distance is to the reference picture or, without one, to the mean of the first 15 %; in
    the second case frames of the start lie nearer by construction, so compare only like with like.
    """

    name = "id_drift"
    unit = "1"
    higher_is_better = False

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the contrast of end and start.

        Not measured if start or end has no usable face.
        """
        distances, anchor = distances_to_start(recording, features)
        first, last = ends(distances.num_frames)
        start = distances.mean_in(first.start, first.stop)
        end = distances.mean_in(last.start, last.stop)
        if math.isnan(start) or math.isnan(end):
            raise NotMeasured(f"no usable face at the {'start' if math.isnan(start) else 'end'}")
        return Score(
            value=end - start,
            components={"start": start, "end": end, "anchor": anchor},
            windows=distances.windows(self.settings.window_s),
        )


class IdSlope(_Identity):
    """Theil-Sen slope of the distance per minute, with what sharpness explains taken out."""

    name = "id_slope_per_min"
    unit = "1/min"
    higher_is_better = False

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the slope over windows.

        Not measured if there are too few windows with a face.
        """
        distances, anchor = distances_to_start(recording, features)
        raw = distances.windows(self.settings.window_s)
        log_sharpness = np.log(np.maximum(features["identity"]["sharpness"].astype(float), 1e-6))
        sharpness = series(features, log_sharpness).windows(self.settings.window_s)
        kept = [row for row, window in enumerate(raw) if not math.isnan(window.value)]
        if len(kept) < self.settings.min_windows:
            raise NotMeasured(
                f"{len(kept)} windows with a face, {self.settings.min_windows} needed"
            )
        minutes = np.array([(raw[row].t0_s + raw[row].t1_s) / 120 for row in kept])
        values = np.array([raw[row].value for row in kept])
        corrected = regress_out(values, np.array([sharpness[row].value for row in kept]))
        return Score(
            value=theil_sen(minutes, corrected),
            components={**self._interval(minutes, values, corrected), "anchor": anchor},
            windows=_with_values(raw, dict(zip(kept, corrected.tolist(), strict=True))),
        )

    def _interval(
        self, minutes: np.ndarray, values: np.ndarray, corrected: np.ndarray
    ) -> dict[str, Any]:
        low, high = block_bootstrap_ci95(minutes, corrected, num_draws=self.settings.num_draws)
        return {
            "ci95": [low, high],
            "uncorrected": theil_sen(minutes, values),
            "num_windows": len(minutes),
        }


class IdCoverage(_Identity):
    """Share of the sampled frames that show exactly one face, large enough to tell whose."""

    name = "id_coverage"
    unit = "1"
    higher_is_better = True

    def measure(self, recording: Recording, features: Features, context: Context) -> Score:
        """Returns the share over the video, and over each window.

        Not measured if the video has no frames.
        """
        found = features["identity"]
        if not len(found["sampled"]):
            raise NotMeasured("no frames")
        alone = found["frame"][found["num_faces"] == 1]
        is_covered = np.isin(found["sampled"], alone)
        covered = Series(
            frames=found["sampled"],
            values=is_covered.astype(float),
            num_frames=len(features["face"]["has_mesh"]),
        )
        return Score(
            value=float(is_covered.mean()),
            components={"num_sampled": len(is_covered), "num_embedded": len(found["frame"])},
            windows=covered.windows(self.settings.window_s),
        )


def _with_values(windows: tuple[Window, ...], values: Mapping[int, float]) -> tuple[Window, ...]:
    """Returns the windows with other values; NaN where there is none."""
    return tuple(
        Window(t0_s=window.t0_s, t1_s=window.t1_s, value=values.get(row, math.nan))
        for row, window in enumerate(windows)
    )


_PARAMS = IdentityParams()
IDENTITY: tuple[Metric, ...] = (
    IdDistance(params=_PARAMS, protocol="id_distance/dlib@1"),
    IdRank1(params=_PARAMS, protocol="id_rank1/dlib@1"),
    IdDrift(params=_PARAMS, protocol="id_drift/dlib@1"),
    IdSlope(params=_PARAMS, protocol="id_slope_per_min/dlib@1"),
    IdCoverage(params=_PARAMS, protocol="id_coverage/dlib@1"),
)
