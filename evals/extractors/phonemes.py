"""Recognised phonemes with times, and the reference pronunciation of words.

Both come from hama (one person's project, pinned): its recogniser and its grapheme-to-phoneme
model share phoneme set and conventions (``the`` is always DH-IY).

Shape letters: S samples, K phonemes, T frames of 20 ms, C symbols, R rows.
"""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

import numpy as np
from hama import ASRModel, ASRResult, G2PModel
from jaxtyping import Float32

from evals.extractors import SAMPLE_RATE
from streamchar_ref.weights.packaged import verify_package

FRAME_SAMPLES = 320  # of one output of the recogniser
FRAMES_PER_S = SAMPLE_RATE // FRAME_SAMPLES
MIN_SAMPLES = 10 * FRAME_SAMPLES  # shorter recordings hold no phoneme
MIN_POSTERIOR = 0.001
"""Smallest posterior of a phoneme that is kept beside the best path."""


class HamaPhonemes:
    """Phonemes by hama's CTC recogniser.

    The recogniser reads at most 30 s and silently drops the rest, so the recording is processed in
    windows with margins.
    ``start_s`` is the time of the CTC emission, the acoustic centre of the phoneme and not its
    onset (against exact durations: median error 1 ms, median absolute deviation 16 ms); ``end_s``
    is the next emission.

    Beside the best path, the features have a row for each frame and phoneme with a posterior of
    at least `MIN_POSTERIOR`.

    Args:
        window_s: Length of a window without margins.
        margin_s: Context before and after a window, whose output is discarded.
    """

    def __init__(self, *, window_s: int, margin_s: int) -> None:
        self._model = _Recogniser()
        tokens = self._model.decoder_tokens
        self._names = np.array(tokens, dtype=np.str_)
        self._is_sound = np.array([not (t.startswith("<") or t.isspace()) for t in tokens])
        self._window = window_s * FRAMES_PER_S
        self._margin = margin_s * FRAMES_PER_S

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns ``phonemes``, ``start_s`` and ``end_s`` [K], and ``duration_s`` [1].

        And [R] each: ``likely``, the probable phonemes, ``likely_s``, their times, and
        ``posterior``.
        """
        windows = list(self._windows(samples))
        tokens = [token for window, _ in windows for token in window]
        posteriors = [np.zeros((0, len(self._names)), np.float32), *(p for _, p in windows)]
        posterior = np.concatenate(posteriors) * self._is_sound
        frames, classes = np.nonzero(posterior >= MIN_POSTERIOR)
        result = ASRResult(
            phonemes=[],
            phoneme_text="",
            word_phoneme_text="",
            token_ids=[],
            frame_token_ids=tokens,
            num_frames=len(tokens),
        )
        spans = self._model.phoneme_spans(result)
        return {
            "phonemes": np.array([span.phoneme for span in spans], dtype=np.str_),
            "start_s": np.array([span.start_ms / 1000 for span in spans], dtype=np.float64),
            "end_s": np.array([span.end_ms / 1000 for span in spans], dtype=np.float64),
            "duration_s": np.array([len(samples) / SAMPLE_RATE]),
            "likely": self._names[classes],
            "likely_s": frames / FRAMES_PER_S,
            "posterior": posterior[frames, classes],
        }

    def _windows(
        self, samples: Float32[np.ndarray, " S"]
    ) -> Iterator[tuple[list[int], Float32[np.ndarray, "_T C"]]]:
        """Tokens and posteriors of the frames of each window."""
        num_frames = len(samples) // FRAME_SAMPLES
        for start in range(0, num_frames, self._window):
            first = max(0, start - self._margin)
            last = min(num_frames, start + self._window + self._margin)
            piece = samples[first * FRAME_SAMPLES : last * FRAME_SAMPLES]
            if len(piece) >= MIN_SAMPLES:
                tokens = self._model.transcribe_waveform(piece, SAMPLE_RATE).frame_token_ids
                own = min(num_frames, start + self._window) - first
                yield (
                    tokens[start - first : own],
                    np.exp(self._model.log_probs[start - first : own]),
                )


class _Recogniser(ASRModel):
    """Hama's recogniser, extended by access to its log-probabilities.

    Attributes:
        log_probs: Of all symbols in the frames of the last call.
    """

    log_probs: Float32[np.ndarray, "T C"]

    def _decode_single(self, log_probs: np.ndarray, out_length: int) -> ASRResult:
        result = super()._decode_single(log_probs, out_length)
        self.log_probs = np.asarray(log_probs[: result.num_frames], np.float32)
        return result


@cache
def _g2p() -> G2PModel:
    verify_package("hama")
    return G2PModel()


@lru_cache(maxsize=65_536)
def pronounce(word: str) -> tuple[str, ...]:
    """Phonemes of one lower-case word; cached, as it takes about 20 ms."""
    phonemes = (a.phoneme for a in _g2p().predict(word, split_delimiter=None).alignments)
    return tuple(phoneme for phoneme in phonemes if phoneme.strip())
