"""Reference phonemes of transcripts, cached on disk, as a new word takes tens of milliseconds."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from evals.text.choices import best_reading, sentences
from evals.text.spoken import readings, words_of
from evals.text.tables import TABLES
from streamchar_ref.core.cache import recall, remember


def nearest_phonemes(transcript: str, heard: Sequence[str]) -> Sequence[str]:
    """Returns the reference phonemes of an English transcript.

    Of several readings (see `evals.text.choices`), the one closest to the recognised phonemes is
    chosen.

    Args:
        transcript: To be spoken.
        heard: Recognised phonemes, of hama's set.

    Returns:
        Phonemes of hama's set, in spoken order.

    Raises:
        ImportError: If the package ``hama`` is not installed.
    """
    pieces = readings(transcript)
    sounds = _pronunciations({w for piece in pieces for text in piece for w in words_of(text)})

    @cache
    def sound_of(sentence: str) -> tuple[str, ...]:
        return tuple(p for word in words_of(sentence) for p in sounds.get(word, ()))

    def sound(spoken: str) -> tuple[str, ...]:
        return tuple(phoneme for part in sentences(spoken) for phoneme in sound_of(part))

    return sound(best_reading(pieces, sound, heard))


def _pronunciations(words: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Phonemes of each word, cached by the set of words.

    Loanwords that the model mispronounces are respelled: ``cafe``, ``naive``.
    """
    model = _model_version()
    spellings = {word: TABLES["respelled"].get(word, word) for word in sorted(words)}
    text = json.dumps([f"hama {model}", spellings])
    name = f"phonemes/{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    sounds: dict[str, Sequence[str]] | None = recall(name)
    if sounds is None:
        from evals.extractors.phonemes import pronounce

        sounds = {word: pronounce(respelled) for word, respelled in spellings.items()}
        remember(name, sounds)
    return sounds


@cache
def _model_version() -> str:
    try:
        return version("hama")
    except PackageNotFoundError as error:
        raise ImportError("hama is not installed", name="hama") from error
