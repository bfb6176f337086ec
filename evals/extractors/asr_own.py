"""Recognisers from weights that the user names with ``--asr``, see `evals.extractors.find_asr`.

All are held to the language of the transcript and to transcription, at temperature 0 and without
text carried from one window to the next.
"""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    language_features,
)
from evals.extractors.asr_languages import HeldToLanguage, MultilingualTranscriber
from evals.text.spoken_language import ENGLISH, SpokenLanguage
from streamchar_ref.weights import WeightsMissing

WINDOW = 30 * SAMPLE_RATE
"""Samples that Whisper hears at once."""


def _weights(variable: str) -> Path:
    path = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not path.exists():
        raise WeightsMissing(f"no recogniser is named; score with --asr, which sets {variable}")
    return path


def heard_languages(
    samples: Float32[np.ndarray, " S"],
    probabilities: Callable[[Float32[np.ndarray, " S"]], Mapping[str, float]],
) -> dict[str, np.ndarray]:
    """Averages over the windows of Whisper, each by its duration, which language is heard.

    Args:
        samples: Of speech.
        probabilities: Language code -> probability in a window.

    Returns:
        See `language_features`.
    """
    total = Counter[str]()
    for start in range(0, len(samples), WINDOW):
        window = samples[start : start + WINDOW]
        share = len(window) / len(samples)
        total.update({code: share * float(p) for code, p in probabilities(window).items()})
    return language_features(total)


class OwnFasterWhisper(MultilingualTranscriber):
    """A CTranslate2 Whisper, with the settings of the packaged one.

    Args:
        language: Which language it is held to; for the protocol.
        variable: Environment variable with its folder.
        **settings: See `MultilingualTranscriber`.
    """

    def __init__(self, *, language: str, variable: str, **settings: Any) -> None:
        super().__init__(language=language, folder=_weights(variable), **settings)


class WindowedLanguages(HeldToLanguage):
    """A Whisper whose language is heard window by window, beside its words."""

    @abstractmethod
    def probabilities(self, window: Float32[np.ndarray, " S"]) -> Mapping[str, float]:
        """Returns language code -> probability that a window is in it."""

    def extract(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """As `HeldToLanguage.extract`."""
        found = super().extract(samples, spoken)
        if len(self.languages) == 1:
            return found
        speech = samples if len(found["words"]) else samples[:0]
        return {**found, **heard_languages(speech, self.probabilities)}


class OwnOpenAIWhisper(WindowedLanguages, OpenAIWhisperTranscriber):  # type: ignore[misc]
    """OpenAI's Whisper from a file of weights.

    Args:
        language: Which language it is held to; for the protocol.
        variable: Environment variable with its path.
        beam_size: Of the search.
    """

    def __init__(self, *, language: str, variable: str, beam_size: int) -> None:
        super().__init__(beam_size=beam_size, variable=variable)

    @property
    def languages(self) -> Sequence[str]:
        """Whisper's codes of the languages that it knows."""
        import whisper

        is_multilingual = self._model.is_multilingual
        return list(whisper.tokenizer.LANGUAGES) if is_multilingual else [ENGLISH]

    def hear_spoken(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage, **held: Any
    ) -> Mapping[str, np.ndarray]:
        """Hears speech once."""
        return self.hear(samples, **held)

    def probabilities(self, window: Float32[np.ndarray, " S"]) -> Mapping[str, float]:
        """Returns what Whisper's own detection gives."""
        import whisper

        mel = whisper.log_mel_spectrogram(
            whisper.pad_or_trim(window), n_mels=self._model.dims.n_mels
        )
        _, found = self._model.detect_language(mel)
        probabilities: Mapping[str, float] = found
        return probabilities


class OwnTransformers(WindowedLanguages):
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

    @property
    def languages(self) -> Sequence[str]:
        """Whisper's codes of the languages that it knows."""
        codes = getattr(self._model.generation_config, "lang_to_id", None) or [ENGLISH]
        return [code.strip("<|>") for code in codes]

    def hear_spoken(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage, **held: Any
    ) -> Mapping[str, np.ndarray]:
        """Hears speech once; a network for English alone takes no language and no task."""
        import torch

        if is_silent(samples):
            return features_of([], len(samples)) | language_features({})
        inputs = self._processor(
            samples, sampling_rate=SAMPLE_RATE, return_tensors="pt", truncation=False,
            padding="longest", return_attention_mask=True,
        )  # fmt: skip
        if inputs["input_features"].shape[-1] < 3_000:  # one window, which the model pads
            inputs = self._processor(
                samples, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True
            )
        held = held if len(self.languages) > 1 else {}
        with torch.inference_mode():
            heard = self._model.generate(
                **inputs, **held, **self._decoding, return_timestamps=True, return_segments=True
            )
        lines = self._lines(heard["segments"][0], len(samples) / SAMPLE_RATE)
        return features_of(lines, len(samples))

    def probabilities(self, window: Float32[np.ndarray, " S"]) -> Mapping[str, float]:
        """Returns probabilities at the first step of the decoder, as Whisper's own detection."""
        import torch

        config = self._model.generation_config
        inputs = self._processor(window, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        start = torch.tensor([[config.decoder_start_token_id]])
        with torch.inference_mode():
            logits = self._model(**inputs, decoder_input_ids=start).logits[0, 0]
        shares = logits[list(config.lang_to_id.values())].float().softmax(0).tolist()
        return {
            code.strip("<|>"): share for code, share in zip(config.lang_to_id, shares, strict=True)
        }

    def _lines(self, segments: list[dict[str, Any]], duration_s: float) -> Iterator[TranscriptLine]:
        """Segments as lines; the last one may end in the padding."""
        for segment in segments:
            text = self._processor.tokenizer.decode(segment["tokens"], skip_special_tokens=True)
            start_s, end_s = (min(float(segment[end]), duration_s) for end in ("start", "end"))
            yield TranscriptLine(text=text, start_s=start_s, end_s=max(start_s, end_s))
