"""Phoneme posteriors and times by the judge `align_world`.

Shape letters: S audio samples, T frames of 20 ms, C classes, K phonemes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32

from evals.extractors import SAMPLE_RATE
from evals.extractors.networks import judge_path
from evals.extractors.networks.align_world import NUM_CLASSES, NUM_MELS, AlignWorld
from evals.extractors.networks.sound import HOP_SAMPLES, log_mel, mel_power
from evals.extractors.networks.weights_file import load_weights
from evals.text.progress import FIRST_FRAME_S, FRAMES_PER_S, PHONES
from streamchar_ref.core.one_thread import one_thread

_FRAMES_AT_ONCE = 500
_MARGIN_FRAMES = 25
MEL_FRAMES_A_FRAME = SAMPLE_RATE // FRAMES_PER_S // HOP_SAMPLES


class AlignWorldExtractor:
    """Recognises phonemes in the world's speech.

    Features: ``log_probs`` [T, C] of blank and `evals.text.progress.PHONES`, ``phonemes`` [K] by
    greedy decoding, ``start_s`` [K] of their emissions, ``duration_s`` [1].
    The recording is processed in windows with a margin as wide as the receptive field, so the
    result does not depend on the windows.

    Args:
        weights: File; the judge's by default.
    """

    def __init__(self, *, weights: Path | None = None) -> None:
        self._network = AlignWorld()
        load_weights(weights or judge_path("align_world"), self._network)

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns the features above."""
        log_probs = self.log_probs(samples)
        phonemes, start_s = greedy(log_probs)
        return {
            "log_probs": log_probs,
            "phonemes": phonemes,
            "start_s": start_s,
            "duration_s": np.array([len(samples) / SAMPLE_RATE]),
        }

    @one_thread()
    @torch.inference_mode()
    def log_probs(self, samples: Float32[np.ndarray, " S"]) -> Float16[np.ndarray, "T C"]:
        """Returns log-probabilities of a whole recording."""
        num_frames = len(samples) // (HOP_SAMPLES * MEL_FRAMES_A_FRAME)
        parts = [np.zeros((0, NUM_CLASSES), np.float16)]
        power = mel_power(samples, num_mels=NUM_MELS)[: num_frames * MEL_FRAMES_A_FRAME]
        features = log_mel(torch.from_numpy(power))
        for start in range(0, num_frames, _FRAMES_AT_ONCE):
            first = max(0, start - _MARGIN_FRAMES)
            stop = min(num_frames, start + _FRAMES_AT_ONCE)
            last = min(num_frames, stop + _MARGIN_FRAMES)
            window = features[first * MEL_FRAMES_A_FRAME : last * MEL_FRAMES_A_FRAME]
            log_probs = self._network(window[None])[0, start - first : stop - first]
            parts.append(log_probs.numpy().astype(np.float16))
        return np.concatenate(parts)


def greedy(log_probs: Float[np.ndarray, "T C"]) -> tuple[np.ndarray, np.ndarray]:
    """Decodes phonemes greedily.

    Args:
        log_probs: Blank first.

    Returns:
        Names, and the time in seconds at which each peaks.
    """
    classes = log_probs.argmax(axis=1)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(classes)) + 1, [len(classes)]])
    names, times_s = [], []
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if stop > start and classes[start] > 0:
            peak = start + int(log_probs[start:stop, classes[start]].argmax())
            names.append(PHONES[classes[start] - 1])
            times_s.append(FIRST_FRAME_S + peak / FRAMES_PER_S)
    return np.array(names, dtype=np.str_), np.array(times_s, np.float64)
