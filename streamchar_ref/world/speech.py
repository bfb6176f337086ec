"""Transcript to speech with exact phoneme and word times.

The voice is Piper's "joe", run directly with ONNX Runtime on our own phonemes. Its graph draws
noise without a seed in two places; `_edit` turns both into inputs, and gives the durations out,
so that one seed always gives the same bytes and every sample is known to belong to a phoneme.

Source:
    Voice "en_US-joe-medium": its recordings are CC0, but it was fine-tuned from the voice "lessac",
    whose terms are for research; the cards of models trained on this speech must say so.
"""

import json
import math
import os
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soxr
from jaxtyping import Float32, Int64

from streamchar_ref.weights import cache_folder, locate, registry
from streamchar_ref.world.lexicon import Sentence, read_text

SAMPLE_RATE = 16_000
SILENCE = "_"
PIPER_RATE, PIPER_HOP = 22_050, 256
LATENT_CHANNELS = 192
NOISE, DURATION_NOISE = 0.667, 0.8  # as the voice asks for
PEAK = 0.9
PAUSES_S = {",": 0.06, ";": 0.1, ":": 0.1, ".": 0.22, "!": 0.22, "?": 0.25, "": 0.12}
LEAD_S, TAIL_S = 0.12, 0.2
VOICES = {"joe": 1.0, "joe_light": 1.28, "joe_deep": 0.9}  # pitch and formants against the original
_EDIT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TimedPhoneme:
    """One speech sound, or a silence, in a waveform.

    Attributes:
        phone: ARPAbet name without stress, ``_`` for silence.
        t0_s: Start.
        t1_s: End; the next one starts there.
        word_index: Into the words of the same `Speech`; -1 for silence.
    """

    phone: str
    t0_s: float
    t1_s: float
    word_index: int


@dataclass(frozen=True, kw_only=True)
class TimedWord:
    """One word in a waveform.

    Attributes:
        text: Lower case, as spoken.
        t0_s: Start of its first phoneme.
        t1_s: End of its last phoneme.
    """

    text: str
    t0_s: float
    t1_s: float


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A spoken transcript.

    Attributes:
        samples: Mono at 16 kHz in [-1, 1].
        phonemes: They tile the waveform from 0 to its end.
        words: In order.
    """

    samples: Float32[np.ndarray, " S"]
    phonemes: tuple[TimedPhoneme, ...]
    words: tuple[TimedWord, ...]

    @property
    def length_s(self) -> float:
        """Playing time."""
        return len(self.samples) / SAMPLE_RATE


def speak(transcript: str, *, voice: str = "joe", seed: int = 0) -> Speech:
    """Says a transcript; the same arguments give the same bytes on one machine and build.

    Args:
        transcript: English text.
        voice: One of `VOICES`.
        seed: Of the voice's small variations in timing and tone.

    Returns:
        The waveform, with the times of all phonemes and words.

    Raises:
        ValueError: If there is no such voice.
        UnreadableText: If the transcript has nothing that can be said.
        WeightsMissing: If the voice or the dictionary is not on this machine.
    """
    if voice not in VOICES:
        raise ValueError(f"unknown voice {voice!r}; known: {', '.join(VOICES)}")
    rng = np.random.default_rng(seed)
    pitch = VOICES[voice]
    sentences = read_text(transcript)
    parts, texts = [_silence(LEAD_S * pitch)], list[str]()
    spans = [_Span(SILENCE, -1, len(parts[0]))]
    for number, sentence in enumerate(sentences):
        pieces = _pieces(sentence)
        wave, durations = _synthesise(pieces, pitch, rng)
        is_last = number == len(sentences) - 1
        pause = _silence((TAIL_S if is_last else PAUSES_S[sentence[-1].mark]) * pitch)
        parts += [wave, pause]
        spans += [*_spans(pieces, durations, len(texts)), _Span(SILENCE, -1, len(pause))]
        texts += [word.text for word in sentence]
    return _assemble(np.concatenate(parts), spans, texts, PIPER_RATE * pitch)


@dataclass(frozen=True)
class _Span:
    phone: str
    word_index: int
    num_samples: int


@dataclass(frozen=True)
class _Piece:
    """What the voice reads for one phoneme or silence."""

    phone: str
    word_index: int
    symbols: str


def _pieces(sentence: Sentence) -> list[_Piece]:
    """Returns phonemes with marks between; a space is read with the phoneme before it."""
    pieces = [_Piece(SILENCE, -1, "^")]
    for index, word in enumerate(sentence):
        ends = index == len(sentence) - 1
        sounds = [_Piece(p.phone, index, p.stress + p.symbols) for p in word.phonemes]
        if not word.mark and not ends:
            sounds[-1] = _Piece(sounds[-1].phone, index, sounds[-1].symbols + " ")
        pieces += sounds
        if word.mark:
            pieces.append(_Piece(SILENCE, -1, word.mark + " " * (not ends)))
    return [*pieces, _Piece(SILENCE, -1, "$")]


def _spans(
    pieces: list[_Piece], durations: Int64[np.ndarray, " N"], words_before: int
) -> list[_Span]:
    """Adds up what the voice gave each symbol and the blank after it; ``$`` has no blank."""
    counts = [2 * len(piece.symbols) for piece in pieces[:-1]] + [1]
    edges = np.cumsum([0, *counts])
    sums = [int(durations[a:b].sum()) for a, b in pairwise(edges)]
    return [
        _Span(piece.phone, piece.word_index + words_before * (piece.word_index >= 0), num_samples)
        for piece, num_samples in zip(pieces, sums, strict=True)
    ]


def _synthesise(
    pieces: list[_Piece], pitch: float, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, " S"], Int64[np.ndarray, " N"]]:
    """Returns the waveform at `PIPER_RATE` and the samples of each symbol; they add up to it."""
    session, symbol_ids = _voice()
    symbols = "_".join("".join(piece.symbols for piece in pieces))
    ids = np.array([[symbol_ids[symbol] for symbol in symbols]], np.int64)
    feeds = {
        "input": ids,
        "input_lengths": np.array([ids.shape[1]], np.int64),
        "scales": np.array([NOISE, pitch, DURATION_NOISE], np.float32),
        "duration_noise": rng.standard_normal((1, 2, ids.shape[1]), np.float32),
        "frame_noise": np.zeros((1, LATENT_CHANNELS, 1), np.float32),
    }
    only_durations = onnxruntime.RunOptions()
    only_durations.only_execute_path_to_fetches = True
    frames = session.run(["durations"], feeds, only_durations)[0].reshape(-1)
    feeds["frame_noise"] = rng.standard_normal((1, LATENT_CHANNELS, int(frames.sum())), np.float32)
    wave = session.run(["output"], feeds)[0].reshape(-1)
    return wave, frames.astype(np.int64) * PIPER_HOP


def _silence(length_s: float) -> Float32[np.ndarray, " S"]:
    return np.zeros(round(length_s * PIPER_RATE), np.float32)


def _assemble(
    wave: Float32[np.ndarray, " S"], spans: list[_Span], texts: list[str], rate: float
) -> Speech:
    """Resamples, and turns sample counts into seconds; played faster, a voice is higher."""
    edges = (np.cumsum([0, *(span.num_samples for span in spans)]) / rate).tolist()
    num_samples = math.ceil(edges[-1] * SAMPLE_RATE)
    samples = soxr.resample(wave, rate, SAMPLE_RATE).astype(np.float32)[:num_samples]
    samples = np.pad(samples * (PEAK / np.abs(samples).max()), (0, num_samples - len(samples)))
    phonemes = _timed(spans, edges)
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for phoneme in phonemes:
        starts.setdefault(phoneme.word_index, phoneme.t0_s)
        ends[phoneme.word_index] = phoneme.t1_s
    words = tuple(
        TimedWord(text=text, t0_s=starts[index], t1_s=ends[index])
        for index, text in enumerate(texts)
    )
    return Speech(samples=samples, phonemes=phonemes, words=words)


def _timed(spans: list[_Span], edges: list[float]) -> tuple[TimedPhoneme, ...]:
    """Joins silences that touch."""
    timed: list[TimedPhoneme] = []
    for span, t0_s, t1_s in zip(spans, edges[:-1], edges[1:], strict=True):
        if timed and span.phone == timed[-1].phone == SILENCE:
            t0_s = timed.pop().t0_s
        timed.append(
            TimedPhoneme(phone=span.phone, t0_s=t0_s, t1_s=t1_s, word_index=span.word_index)
        )
    return tuple(timed)


@cache
def _voice() -> tuple[onnxruntime.InferenceSession, dict[str, int]]:
    folder = locate("piper-joe")
    config = json.loads((folder / "en_US-joe-medium.onnx.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums in a fixed order
    options.inter_op_num_threads = 1
    path = _edited(folder / "en_US-joe-medium.onnx")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, {symbol: ids[0] for symbol, ids in config["phoneme_id_map"].items()}


def _edited(path: Path) -> Path:
    target = cache_folder() / "world" / f"joe-{registry()['piper-joe'].digest}-{_EDIT_VERSION}.onnx"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.part")
        _edit(path, partial)
        partial.replace(target)
    return target


def _edit(path: Path, target: Path) -> None:
    """Turns both noise nodes into inputs, and gives out durations in frames of `PIPER_HOP`."""
    import onnx  # needed once a machine

    model = onnx.load(str(path))
    nodes = {node.op_type: node for node in model.graph.node if node.op_type == "Ceil"}
    renamed = {nodes["Ceil"].output[0]: "durations"}
    for node in [node for node in model.graph.node if node.op_type == "RandomNormalLike"]:
        name = "duration_noise" if node.name.startswith("/dp/") else "frame_noise"
        renamed[node.output[0]] = name
        channels = 2 if name == "duration_noise" else LATENT_CHANNELS
        model.graph.input.append(_value(name, [1, channels, f"{name}_length"]))
        model.graph.node.remove(node)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    model.graph.output.append(_value("durations", [1, 1, "num_symbols"]))
    onnx.save(model, str(target))


def _value(name: str, shape: list[int | str]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
