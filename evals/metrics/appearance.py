"""Does the picture change colour, brighten or blur while it runs, and does it move at all?

Shape letters: T frames at 25 fps.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from evals.numerics.windows import END_SHARE, FPS, ends, mean_or_nan, windows_of
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording


@dataclass(frozen=True, kw_only=True)
class AppearanceParams:
    """What decides a number on appearance.

    Attributes:
        window_s: Length of a window, and time from one to the next.
        min_motion_percent_per_s: Frames around which the fastest 5 % of pixels move less, in
            percent of the picture's height per second, stand still. A frozen picture stays below
            0.30 in the canonical encode, a drawn character that idles is above 0.54, a person
            who pauses above 2.8.
        still_frames: Frames around each over which that is averaged: the codec's refresh of a
            still picture is a few frames long, and low frame rates repeat frames.
    """

    window_s: float = 2.0
    min_motion_percent_per_s: float = 0.4
    still_frames: int = 25


class _Drift(Metric):
    """Contrast of a feature between the last and the first 15 % of a video.

    Windows hold the same contrast of each window with the first 15 %.
    """

    axis = Axis.APPEARANCE
    needs = ("appearance",)
    feature: str

    def __init__(self, *, params: AppearanceParams, protocol: str) -> None:
        self.settings = params
        self.protocol = protocol
        self.params = {"window_s": params.window_s, "end_share": END_SHARE}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the contrast of the last with the first 15 %, and of each window."""
        values = features["appearance"][self.feature].astype(float)
        values = values.reshape(len(values), -1)
        first, last = ends(len(values))
        start = values[first].mean(axis=0)

        def against_start(begin: int, stop: int) -> float:
            return self.contrast(start, values[begin:stop].mean(axis=0))

        return Score(
            value=against_start(last.start, last.stop),
            components={"start": start.tolist(), "end": values[last].mean(axis=0).tolist()},
            windows=windows_of(
                len(values),
                against_start,
                length_s=self.settings.window_s,
                hop_s=self.settings.window_s,
            ),
        )

    def contrast(self, start: np.ndarray, end: np.ndarray) -> float:
        """Returns how far ``end`` is from ``start``."""
        raise NotImplementedError


class ColourDrift(_Drift):
    """Distance in CIE L*a*b* (Delta E 1976) between the mean colours of start and end."""

    name = "colour_drift"
    unit = "dE76"
    higher_is_better = False
    bounds = NON_NEGATIVE
    feature = "lab_mean"

    def contrast(self, start: np.ndarray, end: np.ndarray) -> float:
        """Returns the Euclidean distance of two Lab colours."""
        return float(np.linalg.norm(end - start))


class ExposureDrift(_Drift):
    """Change of mean luma from start to end, in levels of [0, 1]; negative when it darkens."""

    name = "exposure_drift"
    unit = "1"
    higher_is_better = None
    zero_is_best = True
    feature = "exposure"

    def contrast(self, start: np.ndarray, end: np.ndarray) -> float:
        """Returns the signed difference."""
        return float(end[0] - start[0])


class SharpnessDrift(_Drift):
    """Relative change of sharpness from start to end; negative when it blurs."""

    name = "sharpness_drift"
    unit = "1"
    higher_is_better = None
    zero_is_best = True
    bounds = (-1.0, math.inf)
    feature = "sharpness"

    def contrast(self, start: np.ndarray, end: np.ndarray) -> float:
        """Returns the change as share of the start.

        Not measured if the start is a plain area, which has no sharpness.
        """
        if start[0] <= 0:
            raise Unscored("the picture starts without any detail")
        return float(end[0] / start[0] - 1)


def _smooth(values: np.ndarray, num_frames: int) -> np.ndarray:
    """Mean over the frames around each; fewer at the ends."""
    window = np.ones(min(num_frames, len(values)))
    total = np.convolve(values.astype(float), window, "same")
    return total / np.convolve(np.ones(len(values)), window, "same")


class DynamicDegree(Metric):
    """Mean length of the optical flow, in percent of the picture's height per second.

    Frames that stand still count as 0, so that encoding noise on a frozen picture is no motion.
    """

    name = "dynamic_degree"
    axis = Axis.APPEARANCE
    is_project_specific = True
    unit = "%/s"
    higher_is_better = None
    bounds = NON_NEGATIVE
    needs = ("appearance",)

    def __init__(self, *, params: AppearanceParams, protocol: str) -> None:
        self.settings = params
        self.protocol = protocol
        self.params = asdict(params)

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the mean over all frames but the first.

        Not measured if there are fewer than two frames.
        """
        appearance = features["appearance"]
        if len(appearance["flow_mean"]) < 2:
            raise Unscored("fewer than two frames")
        to_percent_per_s = 100 * FPS
        fastest = _smooth(appearance["flow_top"][1:], self.settings.still_frames) * to_percent_per_s
        is_moving = np.append(False, fastest >= self.settings.min_motion_percent_per_s)
        motion = np.where(is_moving, appearance["flow_mean"].astype(float) * to_percent_per_s, 0.0)
        motion[0] = math.nan
        return Score(
            value=mean_or_nan(motion),
            components=self._components(is_moving[1:], appearance["is_duplicate"][1:]),
            windows=windows_of(
                len(motion),
                lambda start, stop: mean_or_nan(motion[start:stop]),
                length_s=self.settings.window_s,
                hop_s=self.settings.window_s,
            ),
        )

    def _components(self, is_moving: np.ndarray, is_duplicate: np.ndarray) -> dict[str, Any]:
        return {
            "share_of_moving_frames": float(is_moving.mean()),
            "share_of_duplicates": float(is_duplicate.mean()),
            "longest_freeze_s": longest_run(is_duplicate) / FPS,
        }


def longest_run(flags: Bool[np.ndarray, " T"]) -> int:
    """Returns the length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


_PARAMS = AppearanceParams()
APPEARANCE: tuple[Metric, ...] = (
    ColourDrift(params=_PARAMS, protocol="colour_drift/lab-128px@1"),
    ExposureDrift(params=_PARAMS, protocol="exposure_drift/luma-128px@1"),
    SharpnessDrift(params=_PARAMS, protocol="sharpness_drift/laplacian-256px@1"),
    DynamicDegree(params=_PARAMS, protocol="dynamic_degree/dis-128px@1"),
)
