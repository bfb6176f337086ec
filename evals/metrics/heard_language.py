"""Whether what a recogniser heard can be compared with the transcript at all.

A recogniser that translates or transliterates gives a number that says nothing of the speech.
"""

from collections.abc import Mapping

import numpy as np

from evals.extractors.asr_languages import MAX_COMPRESSION, compression
from evals.metrics.english import CLEAR_LANGUAGE
from evals.protocols.base import Unscored
from evals.text.language import written_in
from evals.text.spoken_language import (
    MIN_IN_SCRIPT,
    SpokenLanguage,
    chinese_form,
    scripts_in,
    share_in_script,
)


def repetition_note(text: str) -> list[str]:
    """Says that a recognised text repeats itself: the speech does, or the recogniser fails.

    Args:
        text: As recognised.

    Returns:
        One sentence, or none.
    """
    ratio = compression(text)
    if ratio <= MAX_COMPRESSION:
        return []
    return [f"the recognised text repeats itself ({ratio:.1f} times its compressed length)"]


def check_heard(spoken: SpokenLanguage, transcript: str, speech: Mapping[str, np.ndarray]) -> None:
    """Refuses English speech, and text that is no transcription of the asked language.

    Speech that sounds like a third language is scored with a note: Whisper errs there (eSpeak's
    Russian, heard without an error, sounds Polish to it with 0.81).

    Args:
        spoken: What should be spoken; not English.
        transcript: In that language.
        speech: Features of a recogniser.

    Raises:
        Unscored: As a generation failure if the speech clearly sounds English; as
            an evaluator failure if the recogniser translated, or wrote in other letters.
    """
    text = str(speech["text"][0])
    if not any(char.isalpha() for char in text):
        return
    english = float(speech["english_probability"][0]) if "english_probability" in speech else 0.0
    if english >= CLEAR_LANGUAGE:
        raise Unscored(
            f"the speech sounds English ({english:.2f}), {spoken.name} was asked for: a recogniser "
            "held to it translates",
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
