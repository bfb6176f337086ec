"""Whether the voice stays the same, and how good listeners would find it.

Shape letters: K windows, D dimensions of an embedding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.metrics.absence import SPEECH, missing_speech, seconds_of_speech
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import Axis, Level
from evals.recording.recording import Recording

WINDOW_S = 1.6
ANCHOR_S = 5.0
"""Speech at the start that later windows are compared with."""
MIN_ANCHORS = 3
END_SHARE = 0.15
MIN_END_WINDOWS = 2
MIN_SPEECH = 0.5
"""Share of a window that must be speech for a voice to be read off it."""
MIN_LEVEL_DBFS = -60.0
"""Below it a window is silence, on which DNSMOS says nothing."""
MIN_SPEECH_S = 0.5
"""Of speech in a window that DNSMOS, an opinion of speech, is asked about."""
DNSMOS_WINDOW_S = 9.01


def similarity_to_start(
    embeddings: Float[np.ndarray, "K D"], start_s: Float[np.ndarray, " K"]
) -> tuple[Float[np.ndarray, " K"], int]:
    """Compares each window with the mean of the windows in the first 5 s of speech.

    A window inside those 5 s is compared with the others there that share no sound with it, so
    that the start has no advantage over the rest.

    Args:
        embeddings: Of unit length, in playing order.
        start_s: Start of each window of 1.6 s.

    Returns:
        Cosine of each window, and how many windows the first 5 s hold.

    Raises:
        Unscored: If the first 5 s hold fewer than three windows.
    """
    if not len(start_s):
        raise Unscored(f"no speech as long as a window of {WINDOW_S:g} s")
    num_anchors = int(np.sum(start_s + WINDOW_S <= start_s[0] + ANCHOR_S + 1e-9))
    if num_anchors < MIN_ANCHORS:
        raise Unscored(f"{num_anchors} windows with speech in its first {ANCHOR_S:g} s")
    apart = np.abs(start_s[:, None] - start_s[:num_anchors]) >= WINDOW_S - 1e-9
    if not apart.any(axis=1).all():
        raise Unscored(f"the first {ANCHOR_S:g} s of speech hold no two windows apart")
    means = apart.astype(np.float64) @ embeddings[:num_anchors].astype(np.float64)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.einsum("kd,kd->k", means, embeddings.astype(np.float64)), num_anchors


class VoiceMetric(Metric):
    """A number from the similarity of Resemblyzer's embeddings to those of the start."""

    axis = Axis.VOICE
    unit = "1"
    needs = ("voice", SPEECH)
    is_of_speech = True

    def __init__(self) -> None:
        self.protocol = f"{self.name}/resemblyzer-own-start@1"
        self.params: Mapping[str, Any] = {
            "anchor_s": ANCHOR_S,
            "min_anchors": MIN_ANCHORS,
            "end_share": END_SHARE,
            "min_end_windows": MIN_END_WINDOWS,
            "min_speech": MIN_SPEECH,
        }

    def _curve(self, features: Features) -> tuple[np.ndarray, np.ndarray, int]:
        """Start and similarity of the windows that hold speech, and how many are the start."""
        start_s = features["voice"]["start_s"]
        spoken_s = seconds_of_speech(features[SPEECH], start_s, start_s + WINDOW_S)
        is_speech = spoken_s >= MIN_SPEECH * WINDOW_S
        start_s, embeddings = start_s[is_speech], features["voice"]["embeddings"][is_speech]
        similarity, num_anchors = similarity_to_start(embeddings, start_s)
        return start_s, similarity, num_anchors


class VoiceSimilarity(VoiceMetric):
    """Mean cosine of all later speech to the first 5 s of speech of the same recording.

    It says whether the voice stays what it was, not whether it is the voice that was asked for.
    """

    name = "voice_similarity"
    higher_is_better = True
    bounds = (-1.0, 1.0)

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the windows after the first 5 s."""
        start_s, similarity, num_anchors = self._curve(features)
        later = start_s >= start_s[0] + ANCHOR_S - 1e-9
        if not later.any():
            raise Unscored(f"no speech after its first {ANCHOR_S:g} s")
        return Score(
            value=float(similarity[later].mean()),
            components={
                "num_windows": int(later.sum()),
                "num_anchors": num_anchors,
                "within_start": float(similarity[:num_anchors].mean()),
                "p05": float(np.percentile(similarity[later], 5)),
            },
            windows=_windows(start_s, start_s + WINDOW_S, similarity),
        )


class VoiceDrift(VoiceMetric):
    """Mean similarity in the first 15 % of the recording minus that in the last 15 %."""

    name = "voice_drift"
    higher_is_better = False

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Compares both ends, each with at least two windows of speech."""
        start_s, similarity, _ = self._curve(features)
        duration = float(features["voice"]["duration_s"])
        centre = start_s + WINDOW_S / 2
        first = centre <= END_SHARE * duration
        last = (centre >= (1 - END_SHARE) * duration) & (start_s >= start_s[0] + ANCHOR_S - 1e-9)
        if min(first.sum(), last.sum()) < MIN_END_WINDOWS:
            raise Unscored(
                f"{first.sum()} and {last.sum()} windows with speech in the first and last 15 %; "
                f"{MIN_END_WINDOWS} are needed"
            )
        ends = float(similarity[first].mean()), float(similarity[last].mean())
        return Score(
            value=ends[0] - ends[1],
            components={
                "first": ends[0],
                "last": ends[1],
                "num_first": int(first.sum()),
                "num_last": int(last.sum()),
            },
        )


_RATINGS = {"ovrl": "overall", "sig": "speech", "bak": "background", "p808": "P.808"}
_RATED = {
    "ovrl": "overall, by P.835",
    "sig": "of the speech itself, by P.835",
    "bak": "of the background, by P.835",
    "p808": "overall, by P.808",
}


class Dnsmos(Metric):
    """Estimated mean opinion of the sound, 1 (bad) to 5 (excellent).

    Args:
        rating: ``ovrl``, ``sig`` (the speech itself) or ``bak`` (freedom from noise) by P.835;
            ``p808`` is overall quality by P.808.
        windows: ``covering`` or ``published``; see `DnsmosExtractor`.
    """

    axis = Axis.VOICE
    unit = "MOS"
    higher_is_better = True
    bounds = (1.0, 5.0)
    is_of_speech = True

    def __init__(self, *, rating: str, windows: str = "covering") -> None:
        self._rating = rating
        self._extractor = "dnsmos" if windows == "covering" else "dnsmos-published"
        self.name = f"dnsmos_{rating}"
        self.label = f"DNSMOS {_RATINGS[rating]}"
        self.distinction = _RATED[rating]
        self.level = Level.HEADLINE if rating == "ovrl" else Level.DETAIL
        self.is_default = windows == "covering"
        self.needs = (self._extractor, SPEECH)
        self.protocol = f"{self.name}/{windows}@1"
        self.params: Mapping[str, Any] = {
            "min_level_dbfs": MIN_LEVEL_DBFS,
            "min_speech_s": MIN_SPEECH_S,
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the windows that hold speech."""
        opinions = features[self._extractor]
        is_loud = opinions["level_dbfs"] >= MIN_LEVEL_DBFS
        stop_s = np.minimum(opinions["start_s"] + DNSMOS_WINDOW_S, opinions["duration_s"])
        is_rated = is_loud & (
            seconds_of_speech(features[SPEECH], opinions["start_s"], stop_s) >= MIN_SPEECH_S
        )
        if not is_rated.any():
            raise missing_speech(recording, f"no window with {MIN_SPEECH_S:g} s of speech")
        ratings = np.where(is_rated, opinions[self._rating], np.nan)
        return Score(
            value=float(np.nanmean(ratings)),
            components={
                "num_windows": int(is_rated.sum()),
                "num_silent": int((~is_loud).sum()),
                "num_without_speech": int((is_loud & ~is_rated).sum()),
            },
            windows=_windows(opinions["start_s"], stop_s, ratings),
        )


def _windows(
    start_s: Float[np.ndarray, " K"],
    stop_s: Float[np.ndarray, " K"],
    values: Float[np.ndarray, " K"],
) -> tuple[MetricWindow, ...]:
    return tuple(
        MetricWindow(t0_s=float(start), t1_s=float(stop), value=float(value))
        for start, stop, value in zip(start_s, stop_s, values, strict=True)
    )


VOICE = (VoiceSimilarity(), VoiceDrift())
DNSMOS = tuple(
    Dnsmos(rating=rating, windows=windows)
    for windows in ("covering", "published")
    for rating in _RATINGS
)
