"""Recognisers from weights that the user names with ``--asr``, see `evals.extractors.find_asr`.

All are held to the language of the transcript and to transcription, at temperature 0 and without
text carried from one window to the next.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from evals.extractors import SAMPLE_RATE
from evals.extractors.asr import (
    OpenAIWhisperTranscriber,
    TranscriptLine,
    features_of,
    is_silent,
)
from evals.extractors.asr_languages import (
    MultilingualTranscriber,
    check_supported,
    whisper_code,
)
from evals.text.spoken_language import ENGLISH, SpokenLanguage
from streamchar_ref.weights import WeightsMissing


def _weights(variable: str) -> Path:
    path = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not path.exists():
        raise WeightsMissing(f"no recogniser is named; score with --asr, which sets {variable}")
    return path


class OwnFasterWhisper(MultilingualTranscriber):
    """A CTranslate2 Whisper, with the settings of the packaged one.

    Args:
        language: Which language it is held to; for the protocol.
        variable: Environment variable with its folder.
        **settings: See `MultilingualTranscriber`.
    """

    def __init__(self, *, language: str, variable: str, **settings: Any) -> None:
        super().__init__(language=language, folder=_weights(variable), **settings)


class OwnOpenAIWhisper(OpenAIWhisperTranscriber):
    """OpenAI's Whisper from a file of weights.

    Args:
        language: Which language it is held to; for the protocol.
        variable: Environment variable with its path.
        beam_size: Of the search.
    """

    def __init__(self, *, language: str, variable: str, beam_size: int) -> None:
        super().__init__(beam_size=beam_size, variable=variable)

    def extract(  # type: ignore[override]
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        if not self._model.is_multilingual:
            check_supported(spoken, [ENGLISH])
        return self.hear(samples, language=whisper_code(spoken), task="transcribe")


class OwnTransformers:
    """A Whisper of transformers; greedily, as seed-tts-eval decodes, but at any length.

    Words share the time of their segment by characters.

    Args:
        language: Which language it is held to; for the protocol.
        variable: Environment variable with its folder.
        **decoding: Options of ``generate``.
    """

    def __init__(self, *, language: str, variable: str, **decoding: Any) -> None:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        folder = str(_weights(variable))
        self._processor: Any = WhisperProcessor.from_pretrained(folder, local_files_only=True)
        model: Any = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True)
        self._model = model.eval()
        self._decoding = decoding

    def extract(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence.

        Args:
            samples: The sound.
            spoken: What should be spoken.

        Returns:
            See `evals.extractors.asr`.

        Raises:
            Unscored: If it does not know the language.
        """
        import torch

        config = self._model.generation_config
        codes = getattr(config, "lang_to_id", None) or {f"<|{ENGLISH}|>": 0}
        check_supported(spoken, [code.strip("<|>") for code in codes])
        if is_silent(samples):
            return features_of([], len(samples))
        inputs = self._processor(
            samples, sampling_rate=SAMPLE_RATE, return_tensors="pt", truncation=False,
            padding="longest", return_attention_mask=True,
        )  # fmt: skip
        if inputs["input_features"].shape[-1] < 3_000:  # one window, which the model pads
            inputs = self._processor(
                samples, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True
            )
        held = {"language": whisper_code(spoken), "task": "transcribe"} if len(codes) > 1 else {}
        with torch.inference_mode():
            heard = self._model.generate(
                **inputs, **held, **self._decoding, return_timestamps=True, return_segments=True
            )
        lines = self._lines(heard["segments"][0], len(samples) / SAMPLE_RATE)
        return features_of(lines, len(samples))

    def _lines(self, segments: list[dict[str, Any]], duration_s: float) -> Iterator[TranscriptLine]:
        """Segments as lines; the last one may end in the padding."""
        for segment in segments:
            text = self._processor.tokenizer.decode(segment["tokens"], skip_special_tokens=True)
            start_s, end_s = (min(float(segment[end]), duration_s) for end in ("start", "end"))
            yield TranscriptLine(text=text, start_s=start_s, end_s=max(start_s, end_s))
