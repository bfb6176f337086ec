"""SyncNet's scores under their published names, by the official weights.

Several face tracks of the person whom a recording is about (see `evals.metrics.followed`) are
averaged by their number of windows; the offset is that of the longest track. Each track is in the
components.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from evals.metrics.absence import require_face
from evals.metrics.followed import FOLLOW_CHOICE, FOLLOW_NEEDS, FOLLOW_PARAMS, Followed, follow
from evals.numerics.syncnet import (
    MARGIN,
    SyncScore,
    is_real_pair,
    masked_curve,
    mean_curve,
    read_curve,
    windowed_scores,
)
from evals.numerics.windows import FPS, theil_sen
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import Axis, Level
from evals.recording.recording import Recording

FRAME_MS = 1000 / FPS


class SyncNetMetric(Metric):
    """A score read off SyncNet's distances; with official weights only.

    Args:
        crop: ``mesh-crop`` for squares around the face, ``wav2lip-no-crop`` for the whole
            picture as Wav2Lip's LRS script does.
        window_s: Length of the windows of the curve over playing time.
    """

    axis = Axis.LIP_SYNC
    domain = "real"
    is_of_speech = True
    extractors: ClassVar[Mapping[str, str]] = {
        "mesh-crop": "syncnet",
        "wav2lip-no-crop": "syncnet-no-crop",
    }

    def __init__(self, *, crop: str = "mesh-crop", window_s: float = 2.0) -> None:
        self._extractor = self.extractors[crop]
        self._is_cropped = crop != "wav2lip-no-crop"
        self.needs = (self._extractor, *(FOLLOW_NEEDS if self._is_cropped else ()))
        self.needs_at_times = FOLLOW_CHOICE
        self.protocol = f"{self.name}/{crop}@1"
        self.params: Mapping[str, Any] = {
            "margin_frames": MARGIN,
            "padding": "zeros",
            "window_s": window_s,
            "tracks": "of one person: mean by windows; offset of the longest",
            **({"follow": FOLLOW_PARAMS} if self._is_cropped else {}),
        }
        self.is_default = type(self).is_default and crop == "mesh-crop"
        self.window_frames = round(window_s * FPS)

    @abstractmethod
    def read(self, score: SyncScore) -> float:
        """Picks this metric's number."""

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures all tracks of the person whom the recording is about."""
        tracks, followed = self.tracks(recording, features)
        scores = [read_curve(mean_curve(distance)) for _, distance in tracks]
        sizes = [len(distance) for _, distance in tracks]
        return Score(
            value=self._over_tracks(scores, sizes),
            components={**self._components(tracks, scores), **followed.components},
            windows=self._windows(tracks),
        )

    def tracks(
        self, recording: Recording, features: Features
    ) -> tuple[list[tuple[int, np.ndarray]], Followed]:
        """Returns first frame and distances of each track of that person, and the choice.

        Not measured if there is no track.
        """
        distances = features[self._extractor]
        followed = follow(recording, features) if self._is_cropped else Followed()
        tracks = _tracks(distances, followed)
        if not tracks and self._is_cropped:
            require_face(recording, features)
        if not tracks:
            raise Unscored("no face track that is long and large enough, with sound")
        return tracks, followed

    def _over_tracks(self, scores: list[SyncScore], sizes: list[int]) -> float:
        return float(np.average([self.read(score) for score in scores], weights=sizes))

    def _components(
        self, tracks: list[tuple[int, np.ndarray]], scores: list[SyncScore]
    ) -> dict[str, Any]:
        longest = int(np.argmax([len(distance) for _, distance in tracks]))
        score, distance = scores[longest], tracks[longest][1]
        is_real = is_real_pair(len(distance))
        masked = read_curve(masked_curve(distance, is_real))
        return {
            "num_windows": sum(len(distance) for _, distance in tracks),
            "num_tracks": len(tracks),
            "track_values": [self.read(score) for score in scores],
            "sync_c0": score.sync_c0,
            "sync_d0": score.sync_d0,
            "sync_c_mask": masked.sync_c,
            "sync_d_mask": masked.sync_d,
            "offset_frames": score.offset_frames,
            "offset_is_censored": score.is_censored,
        } | self._offsets_over_time(distance)

    def _offsets_over_time(self, distance: np.ndarray) -> dict[str, Any]:
        spans = list(windowed_scores(distance, window_frames=self.window_frames))
        if not spans:
            return {
                "offset_histogram": {},
                "offset_within_1_share": None,
                "offset_slope_ms_per_min": None,
            }
        offsets = np.array([score.offset_frames for _, _, score in spans])
        minutes = np.array([(start + stop) / 2 / FPS / 60 for start, stop, _ in spans])
        slope = theil_sen(minutes, offsets * FRAME_MS)
        return {
            "offset_histogram": {str(k): n for k, n in sorted(Counter(offsets.tolist()).items())},
            "offset_within_1_share": float(np.mean(np.abs(offsets) <= 1)),
            "offset_slope_ms_per_min": slope if np.isfinite(slope) else None,
        }

    def _windows(self, tracks: list[tuple[int, np.ndarray]]) -> tuple[MetricWindow, ...]:
        return tuple(
            MetricWindow(
                t0_s=(first + start) / FPS, t1_s=(first + stop) / FPS, value=float(self.read(score))
            )
            for first, distance in tracks
            for start, stop, score in windowed_scores(distance, window_frames=self.window_frames)
        )


class SyncConfidence(SyncNetMetric):
    """LSE-C: how much better the best shift fits than the median one."""

    name = "sync_c"
    label = "Sync-C"
    level = Level.HEADLINE
    replaces = "mesh_sync"
    unit = "1"
    higher_is_better = True

    def read(self, score: SyncScore) -> float:
        """Returns the confidence."""
        return score.sync_c


class SyncDistance(SyncNetMetric):
    """LSE-D: distance between mouth and sound at the best shift."""

    name = "sync_d"
    label = "Sync-D"
    unit = "1"
    higher_is_better = False

    def read(self, score: SyncScore) -> float:
        """Returns the distance."""
        return score.sync_d


class AvOffset(SyncNetMetric):
    """Frames of 40 ms by which the sound is early (positive) or late; 0 is best.

    At +-15 it is censored: the true offset may lie outside the search.
    """

    name = "av_offset_frames"
    label = "AV offset"
    level = Level.HEADLINE
    replaces = "mesh_offset_ms"
    unit = "frames"
    higher_is_better = None
    zero_is_best = True

    def read(self, score: SyncScore) -> float:
        """Returns the offset."""
        return float(score.offset_frames)

    def _over_tracks(self, scores: list[SyncScore], sizes: list[int]) -> float:
        return self.read(scores[int(np.argmax(sizes))])


def _tracks(features: Mapping[str, np.ndarray], followed: Followed) -> list[tuple[int, np.ndarray]]:
    """First frame and distances of each track of one person that has any."""
    sizes = features["num_windows"]
    parts = np.split(features["distance"], np.cumsum(sizes)[:-1]) if len(sizes) else []
    rows = zip(
        features["start_frame"].tolist(), parts, followed.has(features["track"]), strict=True
    )
    return [(start, part) for start, part, is_own in rows if is_own and len(part)]


PUBLISHED = (SyncConfidence(), SyncDistance(), AvOffset())
WITHOUT_CROP = tuple(
    metric(crop="wav2lip-no-crop") for metric in (SyncConfidence, SyncDistance, AvOffset)
)
"""Not computed by default: comparable only with tables made by Wav2Lip's LRS script."""


class SyncNetPythonMetric(Metric):
    """A SyncNet score as the package ``syncnet-python`` takes it over the tracks of a file.

    Args:
        name: ``sync_c`` (largest of the tracks), ``sync_d`` (smallest; maybe of another track) or
            ``av_offset_frames`` (of the track with the largest confidence).

    Source:
        github.com/nawta/SyncNet_py309_313, version 0.2.3: what its pipeline returns.
    """

    axis = Axis.LIP_SYNC
    domain = "real"
    is_default = False
    needs = ("syncnet_python",)

    def __init__(self, name: str) -> None:
        official = {"sync_c": SyncConfidence, "sync_d": SyncDistance, "av_offset_frames": AvOffset}
        template = official[name]
        self.name, self.label, self.unit = name, template.label, template.unit
        self.higher_is_better = template.higher_is_better
        self.zero_is_best = template.zero_is_best
        self.level, self.replaces = template.level, template.replaces
        self.protocol = f"{name}/syncnet-python@1"
        self.params = {"tracks": "largest confidence, smallest distance"}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Reads one number off the tracks."""
        tracks = features["syncnet_python"]
        if not len(tracks["confidence"]):
            raise Unscored("no face track that is long and large enough")
        best = int(np.argmax(tracks["confidence"]))
        values = {
            "sync_c": tracks["confidence"][best],
            "sync_d": tracks["distance"].min(),
            "av_offset_frames": tracks["offset_frames"][best],
        }
        return Score(
            value=float(values[self.name]), components={"num_tracks": len(tracks["confidence"])}
        )


SECOND_BACK_END = tuple(
    SyncNetPythonMetric(name) for name in ("sync_c", "sync_d", "av_offset_frames")
)
