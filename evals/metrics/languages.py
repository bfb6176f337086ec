"""What was said against the transcript, in other languages than English.

Whisper hears the language of the transcript, and both sides are compared as Whisper's authors do:
words where they are separated by spaces, else characters. Each language has a protocol hash of its
own, so that no mean is over several.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evals.metrics.english import CLEAR_LANGUAGE, language_notes
from evals.metrics.heard_language import check_heard, repetition_note
from evals.metrics.text import (
    CharacterErrorRate,
    Completion,
    LongestSkip,
    Loops,
    Speech,
    TranscriptMetric,
    WordErrorRate,
    align_speech,
    compare_speech,
)
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    Score,
    Unscored,
    require_transcript,
)
from evals.recording.recording import Recording
from evals.text.language import language_name
from evals.text.normalise import BASIC, BASIC_LETTERS, SPOKEN
from evals.text.spoken_language import (
    ENGLISH,
    WITHOUT_SPACES,
    SpokenLanguage,
    spoken_language,
)
from streamchar_ref.media.limits import MAX_LETTERS, excess

MULTILINGUAL = "whisper-base-multilingual"
NORMALISERS = {
    "with spaces": BASIC,
    "without spaces": [BASIC_LETTERS, *sorted(WITHOUT_SPACES)],
    "source": "openai-whisper 20250625, as in transformers",
}


def language_of(recording: Recording) -> SpokenLanguage:
    """Decides in which language a recording should speak.

    Args:
        recording: For its transcript and language.

    Returns:
        The language.

    Raises:
        Unscored: If there is no transcript, it is too long, or its language is open.
    """
    require_transcript(recording)
    too_long = excess("the transcript has", len(recording.transcript), MAX_LETTERS, "letters")
    if too_long:
        raise Unscored(too_long, "unavailable")
    try:
        return spoken_language(recording.language, recording.transcript)
    except ValueError as error:
        raise Unscored(str(error)) from error


class InItsLanguage(TranscriptMetric):
    """A metric on what a recogniser heard in the language of the transcript.

    Args:
        recogniser: Its name in the protocol.
        extractor: Of track ``spoken``.
        with_english: Whether English is measured, too, by the default rules of English.
        is_default: Whether it is measured when nothing else is asked for.
    """

    version = 1
    counts_words = True

    def __init__(
        self,
        recogniser: str,
        extractor: str,
        *,
        with_english: bool = False,
        is_default: bool = True,
    ) -> None:
        super().__init__(recogniser, SPOKEN, extractor=extractor, is_default=is_default)
        english = {"english": dict(self.params)} if with_english else {}
        self.with_english = with_english
        self.params = {"normalisers": NORMALISERS, **english, **self.own_params()}

    def params_for(self, recording: Recording) -> Mapping[str, Any]:
        """The language: no mean is over several."""
        try:
            return {"language": language_of(recording).code}
        except Unscored:
            return {}

    def compare(self, recording: Recording, features: Features) -> Speech:
        """Aligns what was heard with the transcript.

        Args:
            recording: Of any language.
            features: With those of the recogniser.

        Returns:
            Both sides, with times.

        Raises:
            Unscored: If the language is open, has no words that could be counted, or was
                translated.
        """
        spoken = language_of(recording)
        if spoken.code == ENGLISH:
            if self.with_english:
                return compare_speech(recording, features[self.needs[0]], SPOKEN)
            raise Unscored(f"English has protocols of its own: {self.name}/whisper-base@2")
        if self.counts_words and not spoken.has_spaces:
            hint = "; see cer" if self.name == "wer" else ""
            raise Unscored(f"it counts words, and {spoken.name} separates none by spaces{hint}")
        heard = features[self.needs[0]]
        speech = align_speech(recording, heard, BASIC if spoken.has_spaces else BASIC_LETTERS)
        check_heard(spoken, recording.transcript, heard)
        return speech

    def notes(self, recording: Recording, speech: Mapping[str, np.ndarray]) -> dict[str, str]:
        """The language, how it is known, and whether the speech sounds like it."""
        spoken = language_of(recording)
        if spoken.code == ENGLISH:
            return language_notes(recording, speech)
        said = []
        if not recording.language:
            said.append(f"{spoken.name} by the look of the transcript; no language was given")
        sounds = str(speech["language"][0]) if "language" in speech else ""
        share = float(speech["language_probability"][0]) if sounds else 0.0
        if sounds not in {"", spoken.code} and share >= CLEAR_LANGUAGE:
            said.append(f"the speech sounds {language_name(sounds)} ({share:.2f})")
        said += repetition_note(str(speech["text"][0]))
        return {"language": spoken.code} | ({"language_note": "; ".join(said)} if said else {})


class WordErrorRateOfLanguage(WordErrorRate, InItsLanguage):
    """Word error rate in the language of the transcript."""


class CharacterErrorRateOfLanguage(CharacterErrorRate, InItsLanguage):
    """Character error rate in the language of the transcript."""

    counts_words = False

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """As in English; with the text and the notes that some languages have nowhere else."""
        score = super().measure(recording, features, context)
        heard = features[self.needs[0]]
        more = {"heard": str(heard["text"][0]), **self.notes(recording, heard)}
        return replace(score, components={**score.components, **more})

    def between_words(self, recording: Recording) -> str:
        """Nothing where characters are counted instead of words."""
        return " " if language_of(recording).has_spaces else ""


class CompletionOfLanguage(Completion, InItsLanguage):
    """Completion in the language of the transcript."""


class LoopsOfLanguage(Loops, InItsLanguage):
    """Loops in the language of the transcript."""


class LongestSkipOfLanguage(LongestSkip, InItsLanguage):
    """Longest skip in the language of the transcript."""


OF_LANGUAGES: tuple[type[InItsLanguage], ...] = (
    WordErrorRateOfLanguage,
    CharacterErrorRateOfLanguage,
    CompletionOfLanguage,
    LoopsOfLanguage,
    LongestSkipOfLanguage,
)
LANGUAGES: tuple[Metric, ...] = tuple(
    kind(MULTILINGUAL, "asr_whisper_multilingual", is_default=False) for kind in OF_LANGUAGES
)
"""Measured where a run holds other languages than English; `evals.scoring.speech_protocols`."""
