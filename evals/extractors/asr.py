"""Speech recognisers: what was said, word by word with times.

Every recogniser here returns the same features: ``text`` [1], ``words`` [W], ``word_start_s`` and
``word_end_s`` [W], ``duration_s`` [1]. The text is the recogniser's own, and the words are what
stands between its blanks: Whisper's timed pieces ("$25", ".50", "10", "%") say when, never what.
All of the recording is read, however long it is, and a recording whose peak is below
`SILENCE_PEAK` is not shown to any recogniser, as they make up words for silence (Whisper: "you",
"thank you"). Whisper also says which language it hears, see `WhisperTranscriber`.

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
from streamchar_ref.weights import WeightsMissing, locate
from streamchar_ref.weights.packaged import verify_package

WHISPER_OPTIONS: dict[str, Any] = {
    "language": "en",
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}
"""Of both implementations of Whisper: no sampling, nothing carried over."""
SILENCE_PEAK = 1e-4  # -80 dBFS: below the dither of 16-bit speech recordings

Word = tuple[str, float, float]  # as written, start and end in seconds


@dataclass(frozen=True, kw_only=True)
class Line:
    """A stretch of speech as a recogniser wrote it.

    Attributes:
        text: Its own text.
        start_s: Start in seconds.
        end_s: End in seconds.
        pieces: Timed parts of the text, where the recogniser times them.
    """

    text: str
    start_s: float
    end_s: float
    pieces: Sequence[Word] = ()

    def words(self) -> list[Word]:
        """What stands between blanks, with times; without timed pieces by share of characters."""
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


def _character_edges_s(text: str, pieces: Sequence[Word]) -> Float[np.ndarray, "C 2"]:
    """Start and end of each character; those that no piece has lie between their neighbours."""
    joined, edges = "", []
    for piece, start_s, end_s in pieces:
        characters = "".join(piece.split())
        joined += characters
        cuts = np.linspace(start_s, end_s, len(characters) + 1)
        edges += list(pairwise(cuts))
    if joined == text:
        return np.array(edges)
    blocks = Levenshtein.opcodes(joined, text).as_matching_blocks()
    found = {b.b + i: edges[b.a + i] for b in blocks for i in range(b.size)}
    starts, ends = [], []
    last_s = pieces[0][1]
    for index in range(len(text)):  # a missing one may lie anywhere in the gap
        starts.append(found[index][0] if index in found else last_s)
        last_s = found[index][1] if index in found else last_s
    next_s = pieces[-1][2]
    for index in reversed(range(len(text))):
        ends.append(found[index][1] if index in found else next_s)
        next_s = found[index][0] if index in found else next_s
    return np.array(list(zip(starts, reversed(ends), strict=True)))


def features_of(lines: Iterable[Line], num_samples: int) -> dict[str, np.ndarray]:
    """Returns what was heard as the arrays that every recogniser gives.

    Args:
        lines: In order; one without letter or digit holds no words (Whisper hears noise as ".").
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


def spread_words(line: str, start_s: float, end_s: float) -> list[Word]:
    """Gives each word of a line its share of the line's time, by its characters.

    Args:
        line: Words with spaces between.
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

    Speech is found by Silero VAD (as packaged in faster-whisper) and cut at pauses into lines;
    each line is recognised with silence around it. The library's own cutter is off: its lines move
    by a frame from run to run, and its time grows faster than the recording.
    Word times are not in the model: each word gets its share of its line by its characters.

    Args:
        max_line_s: Longest line; longer speech is cut at its last pause.
        min_pause_s: Shortest pause that ends a line.
        margin_s: Recording kept around the speech that the detector found.
        padding_s: Silence put before and after each line.
    """

    def __init__(
        self, *, max_line_s: float, min_pause_s: float, margin_s: float, padding_s: float
    ) -> None:
        from faster_whisper.vad import VadOptions  # slow to import
        from moonshine_voice.transcriber import ModelArch, Transcriber
        from moonshine_voice.utils import get_model_path

        verify_package("faster-whisper")  # has the detector of speech
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

    def _lines(self, samples: Float32[np.ndarray, " S"]) -> list[Line]:
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
            lines.append(Line(text=text, start_s=start_s, end_s=end_s))
        return lines

    def _without_margin(self, start_s: float, end_s: float) -> tuple[float, float]:
        """The speech itself; a line shorter than its margins is left as it is."""
        if end_s - start_s <= 2 * self._margin_s:
            return start_s, end_s
        return start_s + self._margin_s, end_s - self._margin_s


class _OneThreadFilters:
    """Mel filters whose product does not depend on the number of BLAS threads.

    It otherwise differs in the last bit, and with it now and then a word.
    """

    def __init__(self, filters: np.ndarray) -> None:
        self.filters = filters

    def __matmul__(self, spectrum: np.ndarray) -> np.ndarray:
        return np.einsum("mf,ft->mt", self.filters, spectrum)  # never calls BLAS


class WhisperTranscriber:
    """Whisper base in int8 by faster-whisper, from pinned weights.

    One thread and one temperature: fallback temperatures draw at random. No text is carried from
    one 30 s window to the next, so that an error cannot feed itself. Long stretches without any
    speech are left out before recognition, by a detector that is set to let pass whatever may be
    speech, since Whisper fills silence with words. It is told that the speech is English; which
    language it would have heard is the mean over its windows (`language_features`).

    Args:
        beam_size: Of the search.
        compute_type: Of the weights in memory, see CTranslate2.
        speech_threshold: Probability from which the detector takes a moment for speech.
        min_silence_s: Shortest silence that is left out.
    """

    def __init__(
        self, *, beam_size: int, compute_type: str, speech_threshold: float, min_silence_s: float
    ) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            "whisper-base",
            device="cpu",
            compute_type=compute_type,
            cpu_threads=1,
            files=whisper_files(locate("whisper-base")),
        )
        features = self._model.feature_extractor
        features.mel_filters = _OneThreadFilters(features.mel_filters)
        self._encode_window = self._model.encode
        self._model.encode = self._encode  # each window is encoded once, for words and language
        self._windows: list[dict[str, float]] = []
        self._beam_size = beam_size
        self._vad = {
            "threshold": speech_threshold,
            "min_silence_duration_ms": round(1000 * min_silence_s),
        }

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        if is_silent(samples):
            return features_of([], len(samples)) | language_features({})
        self._windows = []
        segments, _ = self._model.transcribe(
            samples,
            beam_size=self._beam_size,
            **WHISPER_OPTIONS,
            vad_filter=True,
            vad_parameters=self._vad,
        )
        lines = (
            Line(
                text=segment.text,
                start_s=float(segment.start),
                end_s=float(segment.end),
                pieces=[(w.word, float(w.start), float(w.end)) for w in segment.words or ()],
            )
            for segment in segments
        )
        heard = features_of(lines, len(samples))
        windows = self._windows if len(heard["words"]) else []
        total = Counter[str]()
        for window in windows:
            total.update({language: share / len(windows) for language, share in window.items()})
        return heard | language_features(total)

    def _encode(self, features: np.ndarray) -> Any:
        """Encodes a window, and asks the decoder's first step which language it holds."""
        encoded = self._encode_window(features)
        found = self._model.model.detect_language(encoded)[0]
        self._windows.append({token.strip("<|>"): float(share) for token, share in found})
        return encoded


def language_features(probability: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Returns the likeliest language as arrays.

    Args:
        probability: Of each language code; empty where no speech was heard.

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
    """Reads the files of a CTranslate2 Whisper, ``model.bin`` from its two parts."""
    names = ("config.json", "tokenizer.json", "vocabulary.txt")
    parts = (folder / f"model.bin.part{i}" for i in (1, 2))
    model = b"".join(part.read_bytes() for part in parts)
    return {"model.bin": model} | {name: (folder / name).read_bytes() for name in names}


class OpenAIWhisperTranscriber:
    """OpenAI's own Whisper with its own weights, a check on the packaged ones.

    Needs the package openai-whisper and its weights file, named by ``$STREAMCHAR_OPENAI_WHISPER``.

    Args:
        beam_size: Of the search.

    Raises:
        WeightsMissing: If the variable names no file.
    """

    def __init__(self, *, beam_size: int) -> None:
        import whisper

        path = Path(os.environ.get("STREAMCHAR_OPENAI_WHISPER", ""))
        if not path.is_file():
            raise WeightsMissing(
                "set STREAMCHAR_OPENAI_WHISPER to a weights file of openai-whisper, e.g. base.pt"
            )
        self._model: Any = whisper.load_model(str(path), device="cpu")
        self._beam_size = beam_size

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns text, words and times; none for silence."""
        if is_silent(samples):
            return features_of([], len(samples))
        result = self._model.transcribe(
            samples,
            beam_size=self._beam_size,
            **WHISPER_OPTIONS,
            fp16=False,
        )
        lines = (
            Line(
                text=segment["text"],
                start_s=float(segment["start"]),
                end_s=float(segment["end"]),
                pieces=[(w["word"], float(w["start"]), float(w["end"])) for w in segment["words"]],
            )
            for segment in result["segments"]
        )
        return features_of(lines, len(samples))
