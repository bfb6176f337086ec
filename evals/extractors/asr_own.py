"""Recognisers from weights that the user names with ``--asr``, see `evals.extractors.find_asr`.

All are held to the language of the transcript and to transcription, at temperature 0 and without
text carried from one window to the next.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from evals.extractors.asr_languages import (
    MultilingualTranscriber,
    check_supported,
    whisper_code,
)
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
        """Returns text, words and times, and the language it sounds like; none for silence."""
        knows_others = self._model.is_multilingual
        if not knows_others:
            check_supported(spoken, [ENGLISH])
        found = self.hear(samples, language=whisper_code(spoken), task="transcribe")
        if not knows_others:
            return found
        speech = samples if len(found["words"]) else samples[:0]
        return {**found, **heard_languages(speech, self._languages)}

    def _languages(self, window: Float32[np.ndarray, " S"]) -> Mapping[str, float]:
        import whisper

        mel = whisper.log_mel_spectrogram(
            whisper.pad_or_trim(window), n_mels=self._model.dims.n_mels
        )
        _, found = self._model.detect_language(mel)
        probabilities: Mapping[str, float] = found
        return probabilities


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
        """Returns text, words and times, and the language it sounds like; none for silence.

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
            return features_of([], len(samples)) | language_features({})
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
        found = features_of(lines, len(samples))
        if len(codes) == 1:
            return found
        speech = samples if len(found["words"]) else samples[:0]
        return found | heard_languages(speech, self._languages)

    def _languages(self, window: Float32[np.ndarray, " S"]) -> Mapping[str, float]:
        """Probabilities at the first step of the decoder, as Whisper's own detection."""
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
