"""How well a recogniser that knows no words hears the phonemes of the transcript."""

from collections.abc import Mapping, Sequence

import numpy as np

from evals.extractors.pronunciation import nearest_phonemes
from evals.metrics.english import require_english
from evals.metrics.text import READING, WINDOW_S, error_counts, error_windows
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    Score,
    Unscored,
    require_transcript,
)  # fmt: skip
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording
from evals.text.align import align


class PhonemeErrorRate(Metric):
    """Phoneme error rate of a phoneme recogniser against the transcript's pronunciation.

    A recogniser of words repairs garbled ones in good prose; this one knows no words. The floor
    is not 0: on clear synthetic speech it is some 7 %, errors of the pronouncing model included.
    """

    name = "phoneme_error_rate"
    label = "PER"
    axis = Axis.TEXT
    is_percent = True
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE
    is_default: bool = True

    def __init__(self) -> None:
        self.protocol = "phoneme_error_rate/hama@2"
        self.needs = ("phonemes_hama",)
        self.params = {
            "reference": "hama 1.7.0 G2PModel",
            "reading": READING,
            "window_s": WINDOW_S,
            "average": "micro",
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns errors per reference phoneme, with their counts and their rate over time."""
        require_transcript(recording)
        require_english(recording)
        recognised = features[self.needs[0]]
        hypothesis = tuple(str(phoneme) for phoneme in recognised["phonemes"])
        reference = _reference_phonemes(recording.transcript, hypothesis)
        return phoneme_score(reference, hypothesis, recognised)


def phoneme_score(
    reference: Sequence[str], hypothesis: Sequence[str], recognised: Mapping[str, np.ndarray]
) -> Score:
    """Scores recognised phonemes.

    Args:
        reference: Phonemes of the transcript, at least one.
        hypothesis: Recognised ones.
        recognised: Features with ``start_s`` of each recognised phoneme and ``duration_s``.

    Returns:
        Errors per reference phoneme, with their counts and their rate over time.
    """
    alignment = align(reference, hypothesis)
    # CTC emits a phoneme at its centre, which `start_s` is: a span of no length.
    span_s = np.stack([recognised["start_s"], recognised["start_s"]], axis=1).astype(np.float64)
    return Score(
        value=alignment.num_errors / len(reference),
        weight=float(len(reference)),
        components={**error_counts(alignment), "reference_phonemes": len(reference)},
        windows=error_windows(alignment, span_s, float(recognised["duration_s"][0])),
    )


def _reference_phonemes(transcript: str, hypothesis: Sequence[str]) -> Sequence[str]:
    try:
        reference = nearest_phonemes(transcript, hypothesis)
    except ImportError as error:
        raise Unscored(f"the package {error.name} is not installed", "unavailable") from error
    if not reference:
        raise Unscored("the transcript has no words")
    return reference


PHONEMES: tuple[Metric, ...] = (PhonemeErrorRate(),)
