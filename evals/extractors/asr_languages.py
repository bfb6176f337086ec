"""Whisper in the language of the transcript.

Decoding is held to that language and to transcription: Whisper would translate some speech
otherwise. Where the transcript writes numbers in words, figures are suppressed, because Whisper
writes them as it likes ("1, 2, 3" for "uno, dos, tres") and no normaliser reads them in all
languages. For Chinese a prompt in the transcript's characters asks for the same ones.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32

from evals.extractors.asr import WhisperTranscriber
from evals.protocols.base import Unscored
from evals.text.spoken_language import ENGLISH, SpokenLanguage


class MultilingualTranscriber(WhisperTranscriber):
    """`WhisperTranscriber` for any language that Whisper knows.

    Args:
        language: Which language it is held to; for the protocol.
        figures: Which transcripts have theirs suppressed; for the protocol.
        prompt: Key of a `SpokenLanguage` without figures -> text before the speech.
        **settings: See `WhisperTranscriber`.
    """

    def __init__(
        self, *, language: str, figures: str, prompt: Mapping[str, str], **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._prompt = prompt

    def extract(  # type: ignore[override]
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """Returns text, words and times, and the language that the speech sounds like.

        Args:
            samples: The sound.
            spoken: What should be spoken.

        Returns:
            See `evals.extractors.asr`.

        Raises:
            Unscored: If Whisper does not know the language.
        """
        check_supported(spoken, self._model.supported_languages)
        keeps_figures = spoken.has_figures or spoken.code == ENGLISH  # its normaliser reads them
        return self.hear(
            samples,
            language=whisper_code(spoken),
            task="transcribe",
            suppress_tokens=[-1] if keeps_figures else [-1, *self._figure_tokens()],
            initial_prompt=self._prompt.get(spoken.key.removesuffix("+figures")),
        )

    def _figure_tokens(self) -> list[int]:
        tokenizer = self._model.hf_tokenizer
        text = {index: token for token, index in tokenizer.get_vocab(False).items()}
        return sorted(i for i in text if any(char.isdigit() for char in tokenizer.decode([i])))


def whisper_code(spoken: SpokenLanguage) -> str:
    """Returns Whisper's code of a language: it has one Norwegian, and writes Javanese ``jw``."""
    return {"nb": "no", "jv": "jw"}.get(spoken.code, spoken.code)


def check_supported(spoken: SpokenLanguage, known: list[str]) -> None:
    """Refuses a language that a recogniser does not know.

    Args:
        spoken: What should be spoken.
        known: Whisper's codes.

    Raises:
        Unscored: If it is none of them.
    """
    if whisper_code(spoken) not in known:
        what = "is for English alone" if known == ["en"] else f"does not know {spoken.name}"
        raise Unscored(f"the recogniser {what} ({spoken.code!r} is asked for)")
