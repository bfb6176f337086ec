"""The first speech engine: Piper's voice "joe", run by ONNX Runtime on phonemes.

Its graph draws unseeded noise in two places and rounds durations. `cut_graph` splits it into two
graphs, from symbols to durations and from rounded durations to sound, with noise as input: a seed
always gives the same bytes, a speaking rate can be set, and every sample belongs to a known
phoneme. A higher voice is synthesised slower and played faster: pitch and formants shift together,
times stay exact.

Source:
    Voice "en_US-joe-medium": its recordings are CC0, but it was fine-tuned from the voice "lessac",
    whose terms are for research; the cards of models trained on this speech must say so.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from streamchar_ref.core.files import replacing, sha256_of, write_atomically
from streamchar_ref.weights import cache_folder, locate, registry
from streamchar_ref.world.lexicon import Sentence
from streamchar_ref.world.piper_graph import LATENT_CHANNELS, cut_graph
from streamchar_ref.world.take import (
    SILENCE,
    EngineMissing,
    EngineOutput,
    Span,
    silence,
    words_per_minute,
)
from streamchar_ref.world.voices import Voice

RATE, HOP = 22_050, 256
NOISE, DURATION_NOISE = 0.667, 0.8  # from the voice's config
PAUSES_S = {",": 0.06, ";": 0.1, ":": 0.1, ".": 0.22, "!": 0.22, "?": 0.25, "": 0.12}
LEAD_S, TAIL_S = 0.12, 0.2
MIN_STRETCH, MAX_STRETCH = 0.4, 3.0
_CUT_VERSION = 3


@dataclass(frozen=True)
class _Piece:
    """Input symbols of one phoneme or silence."""

    phone: str
    word_index: int
    symbols: str


@dataclass(frozen=True)
class _Draft:
    """A sentence with durations, before synthesis."""

    pieces: list[_Piece]
    hidden: dict[str, np.ndarray]
    frames: Float32[np.ndarray, " N"]
    pause_s: float

    def lengths(self, stretch: float) -> Int64[np.ndarray, " N"]:
        """Returns the integer number of frames of each symbol."""
        return np.maximum(np.ceil(self.frames * np.float32(stretch)), 1).astype(np.int64)


def say(
    sentences: tuple[Sentence, ...],
    voice: Voice,
    rng: np.random.Generator,
    *,
    rate_wpm: float | None = None,
) -> EngineOutput:
    """Synthesises sentences.

    Args:
        sentences: From `read_text`.
        voice: One of Piper's.
        rng: Of the small variations in timing and tone.
        rate_wpm: Measured words per minute; None for the voice's default.

    Returns:
        The sound at a sample rate that realises the voice's pitch, before formants are changed.

    Raises:
        EngineMissing: If ONNX Runtime is not installed.
    """
    drafts = []
    for number, sentence in enumerate(sentences):
        is_last = number == len(sentences) - 1
        pause_s = TAIL_S if is_last else PAUSES_S[sentence[-1].mark]
        drafts.append(_draft(sentence, pause_s, rng))
    stretch = voice.tempo if rate_wpm is None else _stretch(drafts, voice.pitch, rate_wpm)
    waves = [_wave(draft, stretch * voice.pitch, rng) for draft in drafts]
    lead, _ = silence(LEAD_S * voice.pitch, RATE)
    parts = [lead]
    for draft, wave in zip(drafts, waves, strict=True):
        parts += [wave, silence(draft.pause_s * stretch * voice.pitch, RATE)[0]]
    spans = _spans(drafts, stretch, voice.pitch)
    return EngineOutput(np.concatenate(parts), spans, RATE * voice.pitch)


def _stretch(drafts: list[_Draft], pitch: float, rate_wpm: float) -> float:
    """Finds the stretch of all sounds that meets a rate, with lengths in whole frames."""
    stretch = 1.0
    for _ in range(12):
        factor = words_per_minute(_spans(drafts, stretch, pitch), RATE * pitch) / rate_wpm
        stretch = min(max(stretch * factor, MIN_STRETCH), MAX_STRETCH)
    return stretch


def _spans(drafts: list[_Draft], stretch: float, pitch: float) -> tuple[Span, ...]:
    """Sums the lengths of each phoneme's symbols and of the blanks after them; ``$`` has none."""
    spans, words_before = [silence(LEAD_S * pitch, RATE)[1]], 0
    for draft in drafts:
        counts = [2 * len(piece.symbols) for piece in draft.pieces[:-1]] + [1]
        edges = np.cumsum([0, *counts])
        lengths = draft.lengths(stretch * pitch)
        for piece, (a, b) in zip(draft.pieces, pairwise(edges), strict=True):
            index = piece.word_index + words_before * (piece.word_index >= 0)
            spans.append(Span(piece.phone, index, HOP * int(lengths[a:b].sum())))
        spans.append(silence(draft.pause_s * stretch * pitch, RATE)[1])
        words_before += 1 + max(piece.word_index for piece in draft.pieces)
    return tuple(spans)


def _pieces(sentence: Sentence) -> list[_Piece]:
    """Returns phonemes and punctuation; a space belongs to the phoneme before it."""
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


def _draft(sentence: Sentence, pause_s: float, rng: np.random.Generator) -> _Draft:
    reader, _, symbol_ids = _model()
    pieces = _pieces(sentence)
    symbols = "_".join("".join(piece.symbols for piece in pieces))
    ids = np.array([[symbol_ids[symbol] for symbol in symbols]], np.int64)
    feeds = {
        "input": ids,
        "input_lengths": np.array([ids.shape[1]], np.int64),
        "scales": np.array([NOISE, 1.0, DURATION_NOISE], np.float32),
        "duration_noise": rng.standard_normal((1, 2, ids.shape[1]), np.float32),
    }
    frames, *hidden = reader.run(None, feeds)
    names = [output.name for output in reader.get_outputs()[1:]]
    return _Draft(pieces, dict(zip(names, hidden, strict=True)), frames.reshape(-1), pause_s)


def _wave(draft: _Draft, stretch: float, rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
    lengths = draft.lengths(stretch)
    shape = (1, LATENT_CHANNELS, int(lengths.sum()))
    feeds = draft.hidden | {
        "durations": lengths.astype(np.float32).reshape(1, 1, -1),
        "frame_noise": rng.standard_normal(shape, np.float32),
    }
    wave: np.ndarray = _model()[1].run(["output"], feeds)[0]
    return wave.reshape(-1)


@cache
def _model() -> tuple[Any, Any, dict[str, int]]:
    """Returns the reader, the sounder and the ids of the symbols."""
    try:
        import onnxruntime
    except ImportError as error:
        message = "Piper needs ONNX Runtime; pip install 'streamchar[world]'"
        raise EngineMissing(message) from error
    folder = locate("piper-joe")
    config = json.loads((folder / "en_US-joe-medium.onnx.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums in a fixed order
    options.inter_op_num_threads = 1
    reader, sounder = (
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for path in _halves(folder / "en_US-joe-medium.onnx")
    )
    return reader, sounder, {symbol: ids[0] for symbol, ids in config["phoneme_id_map"].items()}


def _halves(path: Path) -> tuple[Path, Path]:
    """Returns the two cached graphs, which are written again if they were altered."""
    stem = f"joe-{registry()['piper-joe'].digest}-{_CUT_VERSION}"
    folder = cache_folder() / "world"
    targets = folder / f"{stem}-read.onnx", folder / f"{stem}-sound.onnx"
    checksum = folder / f"{stem}.sha256"
    if not (checksum.is_file() and _checksums(targets) == checksum.read_bytes()):
        with replacing(targets[0]) as reader, replacing(targets[1]) as sounder:
            cut_graph(path, reader, sounder)
        write_atomically(checksum, _checksums(targets))
    return targets


def _checksums(targets: Sequence[Path]) -> bytes:
    if not all(target.is_file() for target in targets):
        return b""
    return "\n".join(map(sha256_of, targets)).encode()
