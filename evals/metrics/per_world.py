"""Phoneme errors of drawn people's speech by the judge `align_world`."""

from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from evals.metrics.english import require_english
from evals.metrics.phoneme_error_rate import phoneme_score
from evals.metrics.text import READING, WINDOW_S
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    Score,
    Unscored,
    require_transcript,
)
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording
from evals.text.spoken import spoken_form
from streamchar_ref.weights import WeightsMissing
from streamchar_ref.world.lexicon import UnreadableText, read_text


class PhonemeErrorRateInWorld(Metric):
    """Phoneme error rate of `align_world` against what the world itself would say.

    The reference has no error of its own, for the world's front end made the training speech;
    it is of no use for other speech. Figures that the world says otherwise than
    `evals.text.spoken` reads them count by the reading that is nearer to what was heard.
    """

    name = "per_world"
    label = "PER-world"
    axis = Axis.TEXT
    is_percent = True
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE
    domain = "world"
    is_default: bool = False

    def __init__(self) -> None:
        self.protocol = "per_world/align-world@2"
        self.needs = ("align_world",)
        self.params = {
            "reference": "world front end",
            "reading": READING,
            "window_s": WINDOW_S,
            "average": "micro",
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns errors per reference phoneme, with their counts and their rate over time."""
        require_transcript(recording)
        require_english(recording)
        recognised = features[self.needs[0]]
        hypothesis = [str(phoneme) for phoneme in recognised["phonemes"]]
        readings = _likely_phones(recording.transcript)
        reference = min(readings, key=lambda phones: Levenshtein.distance(phones, hypothesis))
        return phoneme_score(reference, hypothesis, recognised)


def _likely_phones(transcript: str) -> list[tuple[str, ...]]:
    """What the world says for the transcript as all metrics of text read it, and as it stands."""
    phones = [reference_phones(spoken_form(transcript))]
    try:
        return [*phones, reference_phones(transcript)]
    except Unscored:  # e.g. symbols that only the reading knows
        return phones


@lru_cache(maxsize=1024)
def reference_phones(transcript: str) -> tuple[str, ...]:
    """Returns the ARPAbet names that the world says for a transcript.

    Args:
        transcript: English text.

    Returns:
        Names without stress, silences left out.

    Raises:
        Unscored: If there is nothing that can be said, or the dictionary is missing.
    """
    try:
        sentences = read_text(transcript)
    except UnreadableText as error:
        raise Unscored(str(error)) from error
    except WeightsMissing as error:
        raise Unscored(str(error), "unavailable") from error
    return tuple(
        phoneme.phone for words in sentences for word in words for phoneme in word.phonemes
    )


PER_WORLD: tuple[Metric, ...] = (PhonemeErrorRateInWorld(),)
