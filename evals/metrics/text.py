"""What was said against the transcript: words, characters, phonemes, failures of long speech."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.features.view import made_once
from evals.metrics.absence import missing_speech
from evals.metrics.english import language_notes, require_english
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    MetricWindow,
    Score,
    Unscored,
    require_transcript,
)  # fmt: skip
from evals.protocols.info import NON_NEGATIVE, SHARE, Axis, Level
from evals.recording.recording import Recording
from evals.text.align import Alignment, align, error_curve, operations_s, place_words
from evals.text.comparison import compare_texts
from evals.text.failures import Failures, find_failures, seconds_per_word
from evals.text.normalise import SPOKEN
from evals.text.spoken import STEPS

WINDOW_S = 15.0
READING = {"steps": [*STEPS, "fewest errors"], "version": 2}
"""How a transcript is read, see `evals.text.spoken`: part of the hash of what rests on it."""
NORMALISER_PARAMS: dict[str, dict[str, Any]] = {
    SPOKEN: {"reading": READING, "then": ["whisper-en 20250625", "compounds"]},
    "whisper-en": {"source": "openai-whisper 20250625"},
    "seed-tts-en": {},
    "raw": {},
}
RECOGNISERS = {
    "moonshine-tiny": "asr_moonshine",
    "whisper-base": "asr_whisper",
    "openai-whisper": "asr_openai_whisper",
}


@dataclass(frozen=True, kw_only=True)
class Speech:
    """Reference words beside recognised words, both normalised.

    Shape letters: M recognised words.

    Attributes:
        reference: Words of the transcript.
        hypothesis: Recognised words.
        span_s: Start and end of each recognised word, shape [M, 2].
        duration_s: Length of the recording.
        alignment: Of the two.
    """

    reference: Sequence[str]
    hypothesis: Sequence[str]
    span_s: Float[np.ndarray, "M 2"]
    duration_s: float
    alignment: Alignment

    def failures(self) -> Failures:
        """Errors by kind."""
        return find_failures(self.reference, self.hypothesis, self.alignment)


def compare_speech(
    recording: Recording, speech: Mapping[str, np.ndarray], normaliser: str
) -> Speech:
    """Normalises and aligns a transcript and what a recogniser heard.

    Args:
        recording: For its transcript and language.
        speech: Features of a recogniser, see `evals.extractors.asr`.
        normaliser: A key of `evals.text.normalise.NORMALISERS`.

    Returns:
        Both sides, with times.

    Raises:
        Unscored: If the transcript has no words or is not English.
    """
    require_english(recording)
    return align_speech(recording, speech, normaliser)


def align_speech(recording: Recording, speech: Mapping[str, np.ndarray], normaliser: str) -> Speech:
    """As `compare_speech`, in any language.

    Args:
        recording: For its transcript.
        speech: Features of a recogniser.
        normaliser: A key of `evals.text.normalise.NORMALISERS`.

    Returns:
        Both sides, with times.

    Raises:
        Unscored: If the transcript has no words.
    """
    reference, words = compare_texts(recording.transcript, str(speech["text"][0]), normaliser)
    # A normaliser can leave a lone full stop of text that is nothing but punctuation.
    if not any(sign.isalnum() for word in reference for sign in word):
        raise Unscored("the transcript has no words")
    raw_s = np.stack([speech["word_start_s"], speech["word_end_s"]], axis=1).astype(np.float64)
    return Speech(
        reference=reference,
        hypothesis=words,
        span_s=place_words(words, [str(word) for word in speech["words"]], raw_s, normaliser),
        duration_s=float(speech["duration_s"][0]),
        alignment=align(reference, words),
    )


def error_counts(alignment: Alignment) -> dict[str, int]:
    """Returns hits, substitutions, deletions and insertions as JSON values."""
    return {
        "hits": alignment.num_hits,
        "substitutions": alignment.num_substitutions,
        "deletions": alignment.num_deletions,
        "insertions": alignment.num_insertions,
    }


def error_windows(
    alignment: Alignment, span_s: Float[np.ndarray, "M 2"], duration_s: float
) -> tuple[MetricWindow, ...]:
    """Returns the error rate in windows of `WINDOW_S`; see `evals.text.align.error_curve`."""
    curve = error_curve(alignment, span_s, duration_s, window_s=WINDOW_S)
    return tuple(MetricWindow(t0_s=t0, t1_s=t1, value=rate) for t0, t1, rate in curve.tolist())


class TranscriptMetric(Metric):
    """A metric on a recogniser's words; subclasses set the class attributes and `measure`.

    Args:
        recogniser: A key of `RECOGNISERS`.
        normaliser: A key of `evals.text.normalise.NORMALISERS`; part of the protocol's name
            unless it is ``spoken-en``.
        extractor: Whose features are read, if not those of `RECOGNISERS`.
        is_default: Whether it is measured when nothing else is asked for.
    """

    version = 2
    is_default: bool = True

    def __init__(
        self,
        recogniser: str,
        normaliser: str = SPOKEN,
        *,
        extractor: str = "",
        is_default: bool = True,
    ) -> None:
        suffix = "" if normaliser == SPOKEN else f"+{normaliser}"
        self.protocol = f"{self.name}/{recogniser}{suffix}@{self.version}"
        self.needs = (extractor or RECOGNISERS[recogniser],)
        self.normaliser = normaliser
        self.is_default = is_default
        self.params: Mapping[str, Any] = {
            "normaliser": normaliser,
            **NORMALISER_PARAMS[normaliser],
            **self.own_params(),
        }

    def own_params(self) -> dict[str, Any]:
        """Further settings of the subclass."""
        return {}

    def compare(self, recording: Recording, features: Features) -> Speech:
        """Aligns this metric's recogniser with the transcript; see `compare_speech`."""
        require_transcript(recording)
        extractor = self.needs[0]
        return made_once(
            features,
            ("compared", extractor, self.normaliser),
            lambda: compare_speech(recording, features[extractor], self.normaliser),
        )

    def notes(self, recording: Recording, speech: Mapping[str, np.ndarray]) -> dict[str, str]:
        """What a reader should know of the language; see `language_notes`."""
        return language_notes(recording, speech)


class _OfSpokenWords(TranscriptMetric):
    """A metric that has no value where no words were heard."""

    def own_params(self) -> dict[str, Any]:
        """What becomes of such a recording."""
        return {"without_words": "no value"}

    def compare(self, recording: Recording, features: Features) -> Speech:
        """As for all metrics of transcripts; not measured if no words were heard."""
        speech = super().compare(recording, features)
        if not speech.hypothesis:
            raise missing_speech(recording, "no words were heard")
        return speech


class WordErrorRate(TranscriptMetric):
    """Word error rate: (substitutions + deletions + insertions) / reference words.

    The mean over recordings, weighted by reference words, is the corpus (micro) rate; it can
    exceed 1.
    """

    name = "wer"
    label = "WER"
    axis = Axis.TEXT
    level = Level.HEADLINE
    is_percent = True
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def own_params(self) -> dict[str, Any]:
        """The window of the curve and how recordings are averaged."""
        return {"window_s": WINDOW_S, "average": "micro"}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns errors per reference word, with their counts and the rate along the recording."""
        speech = self.compare(recording, features)
        alignment = speech.alignment
        return Score(
            value=alignment.num_errors / len(speech.reference),
            weight=float(len(speech.reference)),
            components={
                **error_counts(alignment),
                "reference_words": len(speech.reference),
                "misplaced_words": speech.failures().num_misplaced,
                "heard": str(features[self.needs[0]]["text"][0]),
                **self.notes(recording, features[self.needs[0]]),
                "alignment": operations_s(alignment, speech.span_s, speech.duration_s),
            },
            windows=error_windows(alignment, speech.span_s, speech.duration_s),
        )


class CharacterErrorRate(TranscriptMetric):
    """Character error rate of the normalised texts, single spaces counted as in jiwer."""

    name = "cer"
    label = "CER"
    axis = Axis.TEXT
    is_percent = True
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def own_params(self) -> dict[str, Any]:
        """How recordings are averaged."""
        return {"average": "micro"}

    def between_words(self, recording: Recording) -> str:
        """What is written between two words, and counted."""
        return " "

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns errors per reference character, with their counts."""
        speech = self.compare(recording, features)
        between = self.between_words(recording)
        reference = between.join(speech.reference)
        alignment = align(reference, between.join(speech.hypothesis))
        return Score(
            value=alignment.num_errors / len(reference),
            weight=float(len(reference)),
            components={**error_counts(alignment), "reference_characters": len(reference)},
        )


class Completion(TranscriptMetric):
    """Share of the reference words up to the last one that was surely said.

    What is skipped on the way does not lower it; a speech that breaks off does.
    """

    name = "completion"
    axis = Axis.TEXT
    is_percent = True
    unit = "1"
    higher_is_better = True
    bounds = SHARE

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the share, and what was left when the speech ended."""
        speech = self.compare(recording, features)
        failures = speech.failures()
        silence_s = speech.duration_s - float(speech.span_s[-1:, 1].max(initial=0.0))
        return Score(
            value=failures.completion,
            components={
                "reference_words": failures.num_words,
                "words_reached": failures.num_reached,
                "early_stop_words": failures.early_stop_words,
                "silence_after_last_word_s": round(max(0.0, silence_s), 3),
            },
        )


class Loops(_OfSpokenWords):
    """Loops per minute: runs of three or more inserted words that repeat what came just before."""

    name = "loops"
    axis = Axis.TEXT
    unit = "1/min"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns loops per minute of the recording, with their number, times and words."""
        speech = self.compare(recording, features)
        failures = speech.failures()
        return Score(
            value=60 * len(failures.loops) / speech.duration_s,
            weight=speech.duration_s,
            components={
                "num_loops": len(failures.loops),
                "looped_words": sum(map(len, failures.loops)),
                "longest_insertion_words": failures.longest_insertion,
                "excess_4grams": failures.excess_ngrams,
                "loops": [
                    {
                        "t0_s": round(float(speech.span_s[run.start, 0]), 3),
                        "t1_s": round(float(speech.span_s[run.stop - 1, 1]), 3),
                        "heard": " ".join(speech.hypothesis[run.start : run.stop]),
                    }
                    for run in failures.loops
                ],
            },
        )


class LongestSkip(_OfSpokenWords):
    """Words in the longest run of reference words left out before the speech ended."""

    name = "longest_skip_words"
    label = "longest skip"
    axis = Axis.TEXT
    unit = "words"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the longest skip in words; in seconds at this speaker's own rate beside it."""
        speech = self.compare(recording, features)
        failures = speech.failures()
        skipped_s = failures.longest_skip * seconds_per_word(speech.alignment, speech.span_s)
        longest = max(failures.skips, key=len, default=None)
        return Score(
            value=float(failures.longest_skip),
            components={
                "num_skips": len(failures.skips),
                "skipped_words": sum(map(len, failures.skips)),
                "longest_skip_s": None if math.isnan(skipped_s) else round(skipped_s, 3),
                "skipped": "" if longest is None else _words(speech.reference, longest),
            },
        )


def _words(words: Sequence[str], run: Any) -> str:
    return " ".join(words[run.start : run.stop])


ERROR_RATES: tuple[Metric, ...] = (
    WordErrorRate("moonshine-tiny"),
    WordErrorRate("whisper-base"),
    WordErrorRate("whisper-base", "whisper-en", is_default=False),
    WordErrorRate("moonshine-tiny", "whisper-en", is_default=False),
    WordErrorRate("whisper-base", "seed-tts-en", is_default=False),
    WordErrorRate("whisper-base", "raw", is_default=False),
    WordErrorRate("openai-whisper", is_default=False),
    CharacterErrorRate("whisper-base"),
    CharacterErrorRate("moonshine-tiny", is_default=False),
)
COMPLETENESS: tuple[Metric, ...] = (
    Completion("whisper-base"),
    Completion("moonshine-tiny", is_default=False),
    Loops("whisper-base"),
    Loops("moonshine-tiny", is_default=False),
    LongestSkip("whisper-base"),
    LongestSkip("moonshine-tiny", is_default=False),
)
