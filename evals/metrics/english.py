"""Which recordings a metric of English speech may measure, and what a reader should know.

A transcript in another language has no number. English that is heard as something else has one:
it is the system that failed, and a note says so.
"""

from collections.abc import Mapping

import numpy as np

from evals.protocols.base import Unscored
from evals.recording.recording import Recording
from evals.text.characters import plain_characters
from evals.text.language import UNKNOWN, WrittenIn, language_code, language_name, written_in
from evals.text.markup import without_markup
from streamchar_ref.media.limits import MAX_LETTERS, excess

CLEAR_LANGUAGE = 0.8
"""Probability from which it is said that speech sounds like another language."""

OTHERS = "other languages have the protocols of whisper-base-multilingual"


def _written_in(recording: Recording) -> WrittenIn:
    return written_in(without_markup(plain_characters(recording.transcript)))


def require_english(recording: Recording) -> None:
    """Refuses a transcript that is tagged as another language, or written in one without a tag.

    Args:
        recording: For its transcript and language.

    Raises:
        Unscored: If it is not English, its tag names no language, or it is longer than the
            limit.
    """
    too_long = excess("the transcript has", len(recording.transcript), MAX_LETTERS, "letters")
    if too_long:
        raise Unscored(too_long, "unavailable")
    try:
        code = language_code(recording.language)
    except ValueError as error:
        raise Unscored(str(error)) from error
    if code not in {"en", UNKNOWN}:
        raise Unscored(
            f"this protocol is for English, the transcript is {language_name(code)} "
            f"({recording.language!r}); {OTHERS}"
        )
    written = _written_in(recording)
    if written.by_script or (written.language and code == UNKNOWN):
        hint = "" if written.by_script else "; set language to 'en' if it is English"
        raise Unscored(
            f"this protocol is for English, the transcript is {written.language}; {OTHERS}{hint}"
        )


def language_notes(recording: Recording, speech: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Says where a number may be about the language: of the text, or of the sound.

    Args:
        recording: For its transcript and language.
        speech: Features of a recogniser; of those here only Whisper tells languages.

    Returns:
        ``language_note`` if there is something to say; the system is not excused by it.
    """
    notes = []
    written = _written_in(recording)
    language = str(speech["language"][0]) if "language" in speech else ""
    sounds_english = not language or speech["english_probability"][0] >= 0.5
    if written.language:
        notes.append(f"the transcript is tagged English and looks {written.language}")
    elif not (written.is_certain or sounds_english):
        notes.append("nothing in the transcript shows that it is English")
    if language not in {"", "en"} and speech["language_probability"][0] >= CLEAR_LANGUAGE:
        share = float(speech["language_probability"][0])
        notes.append(f"the speech sounds {language_name(language)} ({share:.2f})")
    return {"language_note": "; ".join(notes)} if notes else {}
