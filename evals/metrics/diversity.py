"""How much several takes of one prompt differ: the price of distillation is mode collapse.

Takes are compared at the same phonemes, so that what the words imply counts as equal, and what is
left open (how the head moves, how the voice rises and falls) counts as diverse. A jittering face
is diverse, too: the truth's diversity is the mark, not the largest.

Shape letters: S takes, T frames at 25 fps, C signals.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.metrics.absence import SPEECH, missing_speech, require_face, require_speech
from evals.metrics.followed import FOLLOW_NEEDS, FOLLOW_PARAMS, follow
from evals.metrics.take_signals import (
    MAX_FROM_MEDIAN,
    MOTION_SCALES,
    SMOOTH_FRAMES,
    VOICE_SCALES,
    motion_signals,
    voice_signals,
)
from evals.numerics.spread import (
    BY_PLAYING_TIME,
    MIN_ANCHORS,
    MIN_RUN,
    TEMPO_S,
    Warp,
    align_takes,
    spread_of,
    squared_difference,
)
from evals.protocols.base import Features, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, Axis, spaced
from evals.protocols.takes_metric import SeedTake, TakesMetric, usable_takes
from evals.recording.rates import FPS

PHONEMES = "phonemes_hama"
Signals = Float[np.ndarray, "_T C"]
WarpOf = Callable[[int, int], Warp]
"""From one take to another, by their numbers."""


def motion_spread(
    signals: Sequence[Signals], warp: WarpOf = lambda a, b: BY_PLAYING_TIME
) -> Float[np.ndarray, " C"]:
    """Spread of the motion of several takes, without their resting poses.

    Args:
        signals: Of each take, see `motion_signals`; any number of columns.
        warp: Aligns two takes; by playing time by default.

    Returns:
        For each column, in its unit; NaN where no two takes share a second.
    """
    return spread_of(
        [
            squared_difference(signals[a], signals[b], warp(a, b), centred=True)
            for a, b in combinations(range(len(signals)), 2)
        ]
    )


def voice_spread(signals: Sequence[Signals], warp: WarpOf) -> Float[np.ndarray, " 3"]:
    """Spread of pitch, level and tempo of several takes of the same words.

    Args:
        signals: Pitch and level of each take, see `voice_signals`.
        warp: Aligns two takes by their words; a pair that is not aligned so is left out.

    Returns:
        In semitones, dB and octaves; NaN where no two takes can be compared.
    """
    squared = []
    for a, b in combinations(range(len(signals)), 2):
        between = warp(a, b)
        tempo = between.log_tempo()
        if not between.is_by_words or not len(tempo):
            continue
        heard = squared_difference(signals[a], signals[b], between, centred=False)
        squared.append(np.append(heard, np.mean(tempo**2)))
    return spread_of(squared) if squared else np.full(3, np.nan)


class Diversity(TakesMetric):
    """Mean over signals of their spread over seeds, each in units of a fixed scale.

    Args:
        is_relative: Whether it is divided by the reference system's for the same prompt. The
            reference's is then also the weight, so that the mean over prompts is the ratio of
            both means.
    """

    unit = "1"
    decimals = 2
    higher_is_better = None
    bounds = NON_NEGATIVE
    is_project_specific = True
    scales: Mapping[str, float]

    def __init__(self, *, is_relative: bool = False) -> None:
        what = type(self).name
        self.is_relative = is_relative
        self.label = spaced(what) + (" / reference" if is_relative else "")
        self.distinction = "over that of the reference system" if is_relative else ""
        self.remark = _REMARKS[is_relative]
        self.name = f"{what}_ratio" if is_relative else what
        self.protocol = f"{self.name}/{self.method}@1"
        self.params: Mapping[str, Any] = {
            "scales": dict(self.scales),
            "smooth_frames": SMOOTH_FRAMES,
            "min_run": MIN_RUN,
            "min_anchors": MIN_ANCHORS,
            "min_frames": FPS,
            "is_relative": is_relative,
            **self.settings,
        }

    method: str
    settings: Mapping[str, Any]

    @abstractmethod
    def spread(self, takes: Sequence[SeedTake]) -> tuple[Float[np.ndarray, " C"], dict[str, Any]]:
        """Measures the spread of each signal over takes.

        Args:
            takes: Of one prompt, at least two.

        Returns:
            In the signals' units, and what else a row should say.

        Raises:
            Unscored: If it cannot be measured.
        """

    def measure_takes(self, takes: Sequence[SeedTake], reference: Sequence[SeedTake]) -> Score:
        """Returns the mean of the scaled spreads, or its ratio to the reference's."""
        if self.is_relative and len(reference) < 2:
            raise Unscored(
                "no two seeds of a reference system for this prompt: record it with --seed S, "
                "and name it with --reference unless it is the only ceiling"
            )
        own = self._scored(takes)
        if not self.is_relative:
            return own
        try:
            truth = self._scored(usable_takes(reference))
        except Unscored as why:
            raise Unscored(f"the reference system: {why.reason}", why.status) from why
        if not truth.value > 0:
            raise Unscored("the takes of the reference system are all the same")
        components = {**own.components, "value": own.value, "reference": truth.components}
        components["reference_value"] = truth.value
        return replace(
            own, value=own.value / truth.value, weight=truth.value, components=components
        )

    def _scored(self, takes: Sequence[SeedTake]) -> Score:
        spread, components = self.spread(takes)
        scaled = spread / np.array(list(self.scales.values()))
        if not np.isfinite(scaled).all():
            raise Unscored("no two takes can be compared: they share less than a second")
        return Score(
            value=float(scaled.mean()),
            components={
                "num_takes": len(takes),
                "seeds": [take.recording.seed for take in takes],
                "spread": dict(zip(self.scales, spread.tolist(), strict=True)),
                **components,
            },
        )


_REMARKS = {
    False: "Diversity is the spread over seeds of one prompt; 1 is about that of the drawn world's "
    "ground truth, 0 the same take for every seed. More is not better: jitter is diverse, too.",
    True: "Diversity / reference: 1 is as diverse as the reference system, 0 the same take for "
    "every seed. More than 1 is not better.",
}


class MotionDiversity(Diversity):
    """Spread over seeds of head pose, brows and eyes at the same phonemes.

    Each take's mean pose is removed. Takes with fewer than ten phonemes in common are compared by
    playing time.
    """

    name = "motion_diversity"
    axis = Axis.APPEARANCE
    needs = (*FOLLOW_NEEDS, PHONEMES)
    scales = MOTION_SCALES
    method = "facemesh-hama"
    settings: Mapping[str, Any] = {"follow": FOLLOW_PARAMS}

    def spread(self, takes: Sequence[SeedTake]) -> tuple[Float[np.ndarray, " C"], dict[str, Any]]:
        """Measures the faces that the recordings are about; a take without a face is a failure."""
        signals = []
        for take in takes:
            require_face(take.recording, take.features)
            person = follow(take.recording, take.features).view(take.features)
            signals.append(motion_signals(person["face"]["landmarks"]))
        warps = _warps([_phonemes(take.features) for take in takes])
        by_words = sum(warp.is_by_words for warp in warps.values())
        components = {"num_pairs": len(warps), "num_pairs_by_words": by_words}
        return motion_spread(signals, lambda a, b: warps[a, b]), components


class VoiceDiversity(Diversity):
    """Spread over seeds of pitch, level and tempo at the same phonemes.

    Another voice is an error and no diversity: the distance of speaker embeddings is a component
    and does not count.
    """

    name = "voice_diversity"
    axis = Axis.VOICE
    needs = ("pitch", "audio_envelope", "voice", SPEECH, PHONEMES)
    is_of_speech = True
    scales = VOICE_SCALES
    method = "pitch-level-tempo-hama"
    settings: Mapping[str, Any] = {
        "max_from_median": MAX_FROM_MEDIAN,
        "tempo_s": TEMPO_S,
    }

    def spread(self, takes: Sequence[SeedTake]) -> tuple[Float[np.ndarray, " C"], dict[str, Any]]:
        """Measures takes that say the same; a take without speech is a failure."""
        for take in takes:
            require_speech(take.recording, take.features)
        warps = _warps([_phonemes(take.features) for take in takes])
        by_words = sum(warp.is_by_words for warp in warps.values())
        if not by_words:
            raise missing_speech(
                takes[0].recording, f"no two takes have {MIN_ANCHORS} phonemes in common"
            )
        signals = [voice_signals(take.features) for take in takes]
        components: dict[str, Any] = {"num_pairs": len(warps), "num_pairs_by_words": by_words}
        components["embedding_distance"] = _embedding_distance(
            [take.features["voice"]["embeddings"] for take in takes]
        )
        return voice_spread(signals, lambda a, b: warps[a, b]), components


def _phonemes(features: Features) -> tuple[list[str], np.ndarray]:
    """Returns the phonemes heard; none where there is no sound to hear them in."""
    try:
        heard = features[PHONEMES]
    except Unscored as why:
        if why.status not in {"not_applicable", "generation_failure"}:
            raise
        return [], np.zeros(0)
    return heard["phonemes"].tolist(), heard["start_s"]


def _warps(takes: Sequence[tuple[list[str], np.ndarray]]) -> dict[tuple[int, int], Warp]:
    return {(a, b): align_takes(takes[a], takes[b]) for a, b in combinations(range(len(takes)), 2)}


def _embedding_distance(embeddings: Sequence[Float[np.ndarray, "_K D"]]) -> float | None:
    """Mean of 1 - cosine of the takes' mean speaker embeddings; none if a take has no window."""
    if not all(map(len, embeddings)):
        return None
    means = np.stack([rows.mean(axis=0, dtype=np.float64) for rows in embeddings])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return float(np.mean([1 - one @ other for one, other in combinations(means, 2)]))


DIVERSITY: tuple[TakesMetric, ...] = tuple(
    kind(is_relative=is_relative)
    for kind in (MotionDiversity, VoiceDiversity)
    for is_relative in (False, True)
)
