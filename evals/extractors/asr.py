"""Speech recognisers: text and word times.

All recognisers return the same features: ``text`` [1], ``words`` [W], ``word_start_s`` and
``word_end_s`` [W], ``duration_s`` [1]. Words are the space-separated parts of the recogniser's
text; Whisper's timed pieces ("$25", ".50", "10", "%") only provide times. Recordings of any length
are processed completely. A recording whose peak is below `SILENCE_PEAK` is skipped, because
recognisers hallucinate on silence (Whisper: "you", "thank you"). Whisper also identifies the
language, see `WhisperTranscriber`.

Shape letters: S samples, W words, C characters, P pieces.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from rapidfuzz.distance import Levenshtein

from evals.extractors import SAMPLE_RATE
from streamchar_ref.core.files import has_file
from streamchar_ref.weights import WeightsMissing, locate
from streamchar_ref.weights.packaged import verify_package

WHISPER_OPTIONS: dict[str, Any] = {
    "language": "en",
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}
"""Options of both Whisper implementations: no sampling, no text carried between windows."""
SILENCE_PEAK = 1e-4  # -80 dBFS: below the dither of 16-bit speech recordings

TimedText = tuple[str, float, float]  # text, start and end in seconds


@dataclass(frozen=True, kw_only=True)
class TranscriptLine:
    """A segment of speech as recognised.

    Attributes:
        text: Of the recogniser.
        start_s: Start in seconds.
        end_s: End in seconds.
        pieces: Timed parts of the text, if the recogniser provides times.
    """

    text: str
    start_s: float
    end_s: float
    pieces: Sequence[TimedText] = ()

    def words(self) -> list[TimedText]:
        """Space-separated words with times; without timed pieces in proportion to characters."""
        words = self.text.split()
        pieces = [piece for piece in self.pieces if piece[0].strip()]
        if not pieces:
            return spread_words(self.text, self.start_s, self.end_s)
        edges = _character_edges_s("".join(words), pieces)
        ends = np.cumsum([len(word) for word in words]).tolist()
        return [
            (word, float(edges[end - len(word), 0]), float(edges[end - 1, 1]))
            for word, end in zip(words, ends, strict=True)
        ]


def _character_edges_s(text: str, pieces: Sequence[TimedText]) -> Float[np.ndarray, "C 2"]:
    """Start and end of each character; characters in no piece span the gap of their neighbours."""
    joined, edges = "", []
    for piece, start_s, end_s in pieces:
        characters = "".join(piece.split())
        joined += characters
        cuts = np.linspace(start_s, end_s, len(characters) + 1)
        edges += list(pairwise(cuts))
    if joined == text:
        return np.array(edges)
    blocks = Levenshtein.opcodes(joined, text).as_matching_blocks()
    timed = {b.b + i: edges[b.a + i] for b in blocks for i in range(b.size)}
    starts, ends = [], []
    last_s = pieces[0][1]
    for index in range(len(text)):  # an untimed character may lie anywhere in the gap
        starts.append(timed[index][0] if index in timed else last_s)
        last_s = timed[index][1] if index in timed else last_s
    next_s = pieces[-1][2]
    for index in reversed(range(len(text))):
        ends.append(timed[index][1] if index in timed else next_s)
        next_s = timed[index][0] if index in timed else next_s
    return np.array(list(zip(starts, reversed(ends), strict=True)))


def features_of(lines: Iterable[TranscriptLine], num_samples: int) -> dict[str, np.ndarray]:
    """Converts recognised lines to the common features of recognisers.

    Args:
        lines: In order; lines without letters or digits are dropped (Whisper writes noise as ".").
        num_samples: Of the recording.

    Returns:
        ``text``, ``words``, ``word_start_s``, ``word_end_s`` and ``duration_s``.
    """
    kept = [line for line in lines if any(char.isalnum() for char in line.text)]
    words = [word for line in kept for word in line.words()]
    return {
        "text": np.array([" ".join(line.text.strip() for line in kept)], dtype=np.str_),
        "words": np.array([word for word, _, _ in words], dtype=np.str_),
        "word_start_s": np.array([start for _, start, _ in words], dtype=np.float64),
        "word_end_s": np.array([end for _, _, end in words], dtype=np.float64),
        "duration_s": np.array([num_samples / SAMPLE_RATE]),
    }


def is_silent(samples: Float32[np.ndarray, " S"]) -> bool:
    """Whether no sample reaches `SILENCE_PEAK`."""
    return float(np.abs(samples).max(initial=0.0)) < SILENCE_PEAK


def spread_words(line: str, start_s: float, end_s: float) -> list[TimedText]:
    """Divides the time of a line among its words in proportion to their characters.

    Args:
        line: Words separated by spaces.
        start_s: Start of the line.
        end_s: End of the line.

    Returns:
        The words, without gaps between them.
    """
    words = line.split()
    ends = np.cumsum([len(word) + 1 for word in words])
    edges = start_s + (end_s - start_s) * np.concatenate([[0], ends]) / max(1, *ends, 1)
    return [(word, float(edges[i]), float(edges[i + 1])) for i, word in enumerate(words)]


class MoonshineTranscriber:
    """Moonshine tiny-en, with the weights inside the vendor's wheel.

    Silero VAD (as packaged in faster-whisper) detects speech, which is split at pauses into lines;
    each line is recognised with silence around it. The library's own segmentation is off: it
    varies by a frame from run to run, and its time grows superlinearly with the recording.
    The model gives no word times: the time of a line is divided in proportion to characters.

    Args:
        max_line_s: Longest line; longer speech is split at its last pause.
        min_pause_s: Shortest pause that ends a line.
        margin_s: Recording kept around detected speech.
        padding_s: Silence added before and after each line.
    """

    def __init__(
        self, *, max_line_s: float, min_pause_s: float, margin_s: float, padding_s: float
    ) -> None:
        from faster_whisper.vad import VadOptions  # slow to import
        from moonshine_voice.transcriber import ModelArch, Transcriber
        from moonshine_voice.utils import get_model_path

        verify_package("faster-whisper")  # contains the speech detector
        options = {"vad_threshold": 0, "vad_max_segment_duration": 60, "return_audio_data": "false"}
        self._transcriber = Transcriber(
            get_model_path("tiny-en"), model_arch=ModelArch.TINY, options=options
        )
        self._vad = VadOptions(
            max_speech_duration_s=max_line_s,
            min_silence_duration_ms=round(1000 * min_pause_s),
            speech_pad_ms=round(1000 * margin_s),
        )
        self._padding = np.zeros(round(padding_s * SAMPLE_RATE), dtype=np.float32)
        self._margin_s = margin_s

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        return features_of([] if is_silent(samples) else self._lines(samples), len(samples))

    def _lines(self, samples: Float32[np.ndarray, " S"]) -> list[TranscriptLine]:
        from faster_whisper.vad import get_speech_timestamps

        lines = []
        for speech in get_speech_timestamps(samples, self._vad):
            start, end = speech["start"], speech["end"]
            padded = np.concatenate([self._padding, samples[start:end], self._padding])
            transcript = self._transcriber.transcribe_without_streaming(
                padded.tolist(), SAMPLE_RATE
            )
            text = " ".join(line.text for line in transcript.lines)
            start_s, end_s = self._without_margin(start / SAMPLE_RATE, end / SAMPLE_RATE)
            lines.append(TranscriptLine(text=text, start_s=start_s, end_s=end_s))
        return lines

    def _without_margin(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Removes the margins; a line shorter than its margins is unchanged."""
        if end_s - start_s <= 2 * self._margin_s:
            return start_s, end_s
        return start_s + self._margin_s, end_s - self._margin_s


class _OneThreadFilters:
    """Mel filters whose product does not depend on the number of BLAS threads.

    Differences in the last bit would occasionally change a recognised word.
    """

    def __init__(self, filters: np.ndarray) -> None:
        self.filters = filters

    def __matmul__(self, spectrum: np.ndarray) -> np.ndarray:
        return np.einsum("mf,ft->mt", self.filters, spectrum)  # never calls BLAS


class WhisperTranscriber:
    """Whisper base in int8 by faster-whisper, from pinned weights.

    One thread and one temperature, because fallback temperatures sample at random. No text is
    carried from one 30 s window to the next, so that errors do not propagate. Long pauses are
    removed before recognition by a permissive speech detector, because Whisper hallucinates on
    silence. Decoding is fixed to English; the detected language is averaged over the windows
    (`language_features`).

    Args:
        beam_size: Of the search.
        compute_type: Of the weights in memory, see CTranslate2.
        speech_threshold: Speech probability above which the detector keeps the sound.
        min_silence_s: Shortest silence that is removed.
        folder: Of another Whisper in CTranslate2's format.
    """

    def __init__(
        self,
        *,
        beam_size: int,
        compute_type: str,
        speech_threshold: float,
        min_silence_s: float,
        folder: Path | None = None,
    ) -> None:
        from faster_whisper import WhisperModel

        packed = folder or locate("whisper-base")
        self._model = WhisperModel(
            "whisper-base" if folder is None else str(folder),
            device="cpu",
            compute_type=compute_type,
            cpu_threads=1,
            files=None if folder and has_file(folder / "model.bin") else whisper_files(packed),
        )
        features = self._model.feature_extractor
        features.mel_filters = _OneThreadFilters(features.mel_filters)
        self._encode_window = self._model.encode
        self._model.encode = self._encode  # each window is encoded once for words and language
        self._windows: list[dict[str, float]] = []
        self._beam_size = beam_size
        self._vad = {
            "threshold": speech_threshold,
            "min_silence_duration_ms": round(1000 * min_silence_s),
        }

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        return self.hear(samples)

    def hear(self, samples: Float32[np.ndarray, " S"], **options: Any) -> Mapping[str, np.ndarray]:
        """As `extract`, with other `WHISPER_OPTIONS`."""
        if is_silent(samples):
            return features_of([], len(samples)) | language_features({})
        self._windows = []
        segments, _ = self._model.transcribe(
            samples,
            beam_size=self._beam_size,
            **(WHISPER_OPTIONS | options),
            vad_filter=True,
            vad_parameters=self._vad,
        )
        lines = (
            TranscriptLine(
                text=segment.text,
                start_s=float(segment.start),
                end_s=float(segment.end),
                pieces=[(w.word, float(w.start), float(w.end)) for w in segment.words or ()],
            )
            for segment in segments
        )
        features = features_of(lines, len(samples))
        windows = self._windows if len(features["words"]) else []
        total = Counter[str]()
        for window in windows:
            total.update({language: share / len(windows) for language, share in window.items()})
        return features | language_features(total)

    def _encode(self, features: np.ndarray) -> Any:
        """Encodes a window and records the language probabilities of the decoder's first step."""
        encoded = self._encode_window(features)
        languages = self._model.model.detect_language(encoded)[0]
        self._windows.append({token.strip("<|>"): float(share) for token, share in languages})
        return encoded


def language_features(probability: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Returns the most likely language as arrays.

    Args:
        probability: Of each language code; empty without speech.

    Returns:
        ``language`` [1], its ``language_probability`` [1] and ``english_probability`` [1]; an
        empty language has NaN for both.
    """
    likeliest = max(probability, key=probability.__getitem__, default="")
    values = [probability.get(code, np.nan) for code in (likeliest, "en")]
    return {
        "language": np.array([likeliest], dtype=np.str_),
        "language_probability": np.array(values[:1], dtype=np.float64),
        "english_probability": np.array(values[1:], dtype=np.float64),
    }


def whisper_files(folder: Path) -> dict[str, bytes]:
    """Reads the files of a CTranslate2 Whisper; ``model.bin`` is joined from its two parts."""
    names = ("config.json", "tokenizer.json", "vocabulary.txt")
    parts = (folder / f"model.bin.part{i}" for i in (1, 2))
    model = b"".join(part.read_bytes() for part in parts)
    return {"model.bin": model} | {name: (folder / name).read_bytes() for name in names}


class OpenAIWhisperTranscriber:
    """OpenAI's Whisper with its original weights, as a cross-check.

    Needs the package openai-whisper and the weights file that an environment variable names.

    Args:
        beam_size: Of the search.
        variable: Its name.

    Raises:
        WeightsMissing: If the variable names no file.
    """

    def __init__(self, *, beam_size: int, variable: str = "STREAMCHAR_OPENAI_WHISPER") -> None:
        import whisper

        path = Path(os.environ.get(variable, ""))
        if not path.is_file():
            raise WeightsMissing(
                f"set {variable} to a weights file of openai-whisper, e.g. base.pt"
            )
        self._model: Any = whisper.load_model(str(path), device="cpu")
        self._beam_size = beam_size

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        return self.hear(samples)

    def hear(self, samples: Float32[np.ndarray, " S"], **options: Any) -> Mapping[str, np.ndarray]:
        """As `extract`, with other `WHISPER_OPTIONS`."""
        if is_silent(samples):
            return features_of([], len(samples))
        result = self._model.transcribe(
            samples,
            beam_size=self._beam_size,
            **(WHISPER_OPTIONS | options),
            fp16=False,
        )
        lines = (
            TranscriptLine(
                text=segment["text"],
                start_s=float(segment["start"]),
                end_s=float(segment["end"]),
                pieces=[(w["word"], float(w["start"]), float(w["end"])) for w in segment["words"]],
            )
            for segment in result["segments"]
        )
        return features_of(lines, len(samples))
