"""Whisper in the language of the transcript.

Decoding is held to that language and to transcription: Whisper would translate some speech
otherwise. Where the transcript writes numbers in words, figures are suppressed, because Whisper
writes them as it likes ("1, 2, 3" for "uno, dos, tres") and no normaliser reads them in all
languages. Chinese in the other form than the transcript's, traditional or simplified, is heard
again after a prompt in the right one. In languages without spaces, of which loops are not
measured, a text that repeats itself beyond Whisper's limit is heard again without repeated tokens:
Whisper would sample there, which no two runs do alike.
"""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from evals.extractors.asr import WhisperTranscriber
from evals.protocols.base import Unscored
from evals.text.spoken_language import ENGLISH, SpokenLanguage, chinese_form

MAX_COMPRESSION = 2.4
"""Whisper's own limit, beyond which it takes its text for a loop."""


class HeldToLanguage(ABC):
    """A Whisper that is held to the language of the transcript, and to transcription."""

    @property
    @abstractmethod
    def languages(self) -> Sequence[str]:
        """Whisper's codes of the languages that it knows."""

    @abstractmethod
    def hear_spoken(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage, **held: Any
    ) -> Mapping[str, np.ndarray]:
        """Recognises speech; ``held`` are the options that hold it to language and task."""

    def extract(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """Returns text, words and times, and the language that the speech sounds like.

        Args:
            samples: The sound.
            spoken: What should be spoken.

        Returns:
            See `evals.extractors.asr`; no words for silence, and no language by a network that
            knows one alone.

        Raises:
            Unscored: If it does not know the language.
        """
        check_supported(spoken, self.languages)
        held = {"language": whisper_code(spoken), "task": "transcribe"}
        return self.hear_spoken(samples, spoken, **held)


class MultilingualTranscriber(HeldToLanguage, WhisperTranscriber):  # type: ignore[misc]
    """`WhisperTranscriber` for any language that Whisper knows.

    Args:
        language: Which language it is held to; for the protocol.
        figures: Which transcripts have theirs suppressed; for the protocol.
        prompt: ``zh`` or ``zh-hant`` -> text before Chinese speech that is heard again.
        no_repeat: Tokens in a row that no second hearing of a loop may repeat.
        **settings: See `WhisperTranscriber`.
    """

    def __init__(
        self,
        *,
        language: str,
        figures: str,
        prompt: Mapping[str, str],
        no_repeat: int,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._prompt, self._no_repeat = prompt, no_repeat

    @property
    def languages(self) -> Sequence[str]:
        """Whisper's codes of the languages that it knows."""
        known: list[str] = self._model.supported_languages
        return known

    def hear_spoken(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage, **held: Any
    ) -> Mapping[str, np.ndarray]:
        """Hears speech, a second time where figures, script or loops ask for it."""
        keeps_figures = spoken.has_figures or spoken.code == ENGLISH  # its normaliser reads them
        options = {
            **held,
            "suppress_tokens": [-1] if keeps_figures else [-1, *self._figure_tokens()],
        }
        found = self.hear(samples, **options)
        text = str(found["text"][0])
        if _is_other_form(spoken, text):
            prompt = self._prompt["zh-hant" if spoken.is_traditional else "zh"]
            return self.hear(samples, **options, initial_prompt=prompt)
        if not spoken.has_spaces and compression(text) > MAX_COMPRESSION:
            return self.hear(samples, **options, no_repeat_ngram_size=self._no_repeat)
        return found

    def _figure_tokens(self) -> list[int]:
        tokenizer = self._model.hf_tokenizer
        text = {index: token for token, index in tokenizer.get_vocab(False).items()}
        return sorted(i for i in text if any(char.isdigit() for char in tokenizer.decode([i])))


def compression(text: str) -> float:
    """Returns the length of a text over its compressed length, by which Whisper knows its loops."""
    written = text.encode()
    return len(written) / len(zlib.compress(written))


def _is_other_form(spoken: SpokenLanguage, text: str) -> bool:
    form = chinese_form(text)
    return spoken.code == "zh" and (form < 0 if spoken.is_traditional else form > 0)


def whisper_code(spoken: SpokenLanguage) -> str:
    """Returns Whisper's code of a language: it has one Norwegian, and writes Javanese ``jw``."""
    return {"nb": "no", "jv": "jw"}.get(spoken.code, spoken.code)


def check_supported(spoken: SpokenLanguage, known: Sequence[str]) -> None:
    """Refuses a language that a recogniser does not know.

    Args:
        spoken: What should be spoken.
        known: Whisper's codes.

    Raises:
        Unscored: If it is none of them.
    """
    if whisper_code(spoken) not in known:
        what = (
            "is for English alone" if list(known) == [ENGLISH] else f"does not know {spoken.name}"
        )
        raise Unscored(f"the recogniser {what} ({spoken.code!r} is asked for)")
