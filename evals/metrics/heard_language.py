"""Whether what a recogniser heard can be compared with the transcript at all.

A recogniser that translates or transliterates gives a number that says nothing of the speech.
"""

from collections.abc import Mapping

import numpy as np

from evals.metrics.english import CLEAR_LANGUAGE
from evals.protocols.base import Unscored
from evals.text.language import language_name, written_in
from evals.text.spoken_language import (
    MIN_IN_SCRIPT,
    SpokenLanguage,
    chinese_form,
    scripts_in,
    share_in_script,
)

_SOUND_ALIKE = tuple(
    frozenset(codes.split())
    for codes in (
        "ru uk be bg", "hr bs sr sl mk", "no nb nn da sv", "id ms jv jw su", "hi ur", "pt gl",
        "es gl ca", "cs sk", "zh yue", "fa tg", "az tr tk", "nl af",
    )
)  # fmt: skip
"""Languages that Whisper takes for one another."""


def check_heard(spoken: SpokenLanguage, transcript: str, speech: Mapping[str, np.ndarray]) -> None:
    """Refuses speech in another language, and text that is no transcription of the asked one.

    Args:
        spoken: What should be spoken; not English.
        transcript: In that language.
        speech: Features of a recogniser.

    Raises:
        Unscored: As a generation failure if the speech clearly sounds like another language; as
            an evaluator failure if the recogniser translated, or wrote in other letters.
    """
    text = str(speech["text"][0])
    if not any(char.isalpha() for char in text):
        return
    sounds = str(speech["language"][0]) if "language" in speech else ""
    share = float(speech["language_probability"][0]) if sounds else 0.0
    if share >= CLEAR_LANGUAGE and not _alike(sounds, spoken.code):
        raise Unscored(
            f"the speech sounds {language_name(sounds)} ({share:.2f}), {spoken.name} was asked "
            "for: a recogniser held to it translates",
            "generation_failure",
        )
    reason = _not_transcribed(spoken, transcript, text)
    if reason:
        raise Unscored(f"{reason}; heard: {text:.80}", "evaluator_failure")


def _not_transcribed(spoken: SpokenLanguage, transcript: str, text: str) -> str:
    """Says what a recogniser did instead of transcribing; empty if it did transcribe."""
    if (
        share_in_script(spoken.code, transcript)
        >= MIN_IN_SCRIPT
        > share_in_script(spoken.code, text)
    ):
        letters = scripts_in(text).most_common(1)[0][0].capitalize()
        return f"the recogniser translates or respells {spoken.name}: it wrote {letters} letters"
    if written_in(text).is_english and not written_in(transcript).is_english:
        return f"the recogniser translates: it wrote English where {spoken.name} is asked for"
    if spoken.code == "zh" and chinese_form(transcript) * chinese_form(text) < 0:
        forms = ("traditional", "simplified")
        wrote, asked = forms if chinese_form(text) > 0 else forms[::-1]
        return f"the recogniser wrote {wrote} characters, the transcript {asked} ones"
    return ""


def _alike(sounds: str, code: str) -> bool:
    return sounds == code or any({sounds, code} <= group for group in _SOUND_ALIKE)
