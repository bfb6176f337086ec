"""Sync-C, Sync-D and offset with the crops and the averages of published evaluation scripts.

All read SyncNet's distances on the crops of S3FD (`evals.extractors.syncnet_s3fd`), so that they
differ in the encode, the shortest track, and in what becomes of several tracks of one file. Nobody
is followed: every face counts, as in the scripts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.metrics.published import AvOffset, SyncConfidence, SyncDistance
from evals.numerics.syncnet import MARGIN, SyncScore, mean_curve, read_curve
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import Axis
from evals.recording.recording import Recording

Reduce = Callable[[Sequence[SyncScore]], float]
"""What becomes of the scores of a file's tracks."""


@dataclass(frozen=True, kw_only=True)
class SyncRecipe:
    """How one script turns a file into numbers.

    Attributes:
        name: Of the protocol.
        extractor: With its encode and its shortest track.
        tracks: The rule in words, part of the protocol.
        by_track: Whether the mean over a set is over tracks, not over files.
        confidence: Sync-C of a file.
        distance: Sync-D of a file; none where the script prints none.
        offset: AV offset of a file.
    """

    name: str
    extractor: str
    tracks: str
    by_track: bool
    confidence: Reduce
    distance: Reduce | None
    offset: Reduce


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _of_surest(scores: Sequence[SyncScore]) -> float:
    return float(max(scores, key=lambda score: score.sync_c).offset_frames)


def _per_track(name: str, extractor: str) -> SyncRecipe:
    """A line a track, which tables then average."""
    return SyncRecipe(
        name=name,
        extractor=extractor,
        tracks="mean over tracks; a set is averaged over its tracks",
        by_track=True,
        confidence=lambda scores: _mean([score.sync_c for score in scores]),
        distance=lambda scores: _mean([score.sync_d for score in scores]),
        offset=lambda scores: _mean([score.offset_frames for score in scores]),
    )


RECIPES = (
    _per_track("joonson-s3fd", "syncnet-s3fd-100"),
    SyncRecipe(
        name="latentsync-s3fd",
        extractor="syncnet-s3fd-50-h264",
        tracks="mean confidence over tracks; mean offset cut to a whole frame",
        by_track=False,
        confidence=lambda scores: _mean([score.sync_c for score in scores]),
        distance=None,
        offset=lambda scores: float(int(_mean([score.offset_frames for score in scores]))),
    ),
    SyncRecipe(
        name="mocha-s3fd",
        extractor="syncnet-s3fd-50",
        tracks="largest confidence, smallest distance, maybe of two tracks; offset of the surest",
        by_track=False,
        confidence=lambda scores: max(score.sync_c for score in scores),
        distance=lambda scores: min(score.sync_d for score in scores),
        offset=_of_surest,
    ),
)
"""Wav2Lip's script for real videos runs joonson's pipeline and averages its lines: it is
``joonson-s3fd``. Its LRS script crops nothing: it is ``wav2lip-no-crop``."""


class RecipeSync(Metric):
    """One SyncNet score as one script takes it.

    Args:
        name: ``sync_c``, ``sync_d`` or ``av_offset_frames``.
        recipe: Of the script.
    """

    axis = Axis.LIP_SYNC
    domain = "real"
    is_default = False
    is_of_speech = True

    def __init__(self, name: str, recipe: SyncRecipe) -> None:
        official = {"sync_c": SyncConfidence, "sync_d": SyncDistance, "av_offset_frames": AvOffset}
        template = official[name]
        self.name, self.label, self.unit = name, template.label, template.unit
        self.higher_is_better, self.zero_is_best = template.higher_is_better, template.zero_is_best
        self.level, self.replaces = template.level, template.replaces
        self.needs = (recipe.extractor,)
        self.protocol = f"{name}/{recipe.name}@1"
        self.params: Mapping[str, Any] = {
            "margin_frames": MARGIN,
            "padding": "zeros",
            "tracks": recipe.tracks,
        }
        self._by_track = recipe.by_track
        self._reduce = _reduction(name, recipe)

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Scores each track, and the file by the rule of the script."""
        distances = features[self.needs[0]]
        sizes = distances["num_windows"]
        parts = np.split(distances["distance"], np.cumsum(sizes)[:-1]) if len(sizes) else []
        scores = [read_curve(mean_curve(part)) for part in parts if len(part)]
        if not scores:
            raise Unscored("S3FD finds no face track that is long and large enough, with sound")
        return Score(
            value=self._reduce(scores),
            weight=float(len(scores)) if self._by_track else 1.0,
            components={
                "num_tracks": len(scores),
                "num_windows": int(sizes.sum()),
                "tracks": [
                    {"sync_c": s.sync_c, "sync_d": s.sync_d, "offset_frames": s.offset_frames}
                    for s in scores
                ],
            },
        )


def _reduction(name: str, recipe: SyncRecipe) -> Reduce:
    rules = {
        "sync_c": recipe.confidence, "sync_d": recipe.distance, "av_offset_frames": recipe.offset,
    }  # fmt: skip
    rule = rules[name]
    if rule is None:
        raise ValueError(f"the script of {recipe.name} prints no {name}")
    return rule


BY_RECIPE: tuple[Metric, ...] = tuple(
    RecipeSync(name, recipe)
    for recipe in RECIPES
    for name in ("sync_c", "sync_d", "av_offset_frames")
    if name != "sync_d" or recipe.distance is not None
)
