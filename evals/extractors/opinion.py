"""Networks of sound that are had by path: UTMOS, and the speaker embeddings of SIM-o.

Both read whole utterances. A longer sound is read in pieces of equal length, as few as there can
be, so that an utterance of up to 30 s is read as it is published.

Shape letters: S samples, K pieces.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

from evals.extractors import SAMPLE_RATE
from evals.extractors.by_path import own_weights
from evals.extractors.networks.speaker_wavlm import (
    EMBEDDING_SIZE,
    embed_sound,
    load_speaker_wavlm,
)
from evals.extractors.networks.utmos import MIN_SAMPLES, load_utmos, rate_sound


class UtmosExtractor:
    """Features ``rating``, ``start_s`` and ``end_s``, all [K].

    Args:
        longest_s: Of a piece.
    """

    def __init__(self, *, longest_s: float = 30.0) -> None:
        self._network = load_utmos(str(own_weights("utmos")))
        self._longest_s = longest_s

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns the opinion of each piece; none of sound that is too short."""
        edges = pieces(len(samples), self._longest_s)
        ratings = [rate_sound(self._network, samples[a:b], SAMPLE_RATE) for a, b in edges]
        return {"rating": np.array(ratings, np.float64), **_times(edges)}


class SpeakerWavLMExtractor:
    """Features ``embedding`` [K, 256] of unit length, ``start_s`` and ``end_s`` [K].

    Args:
        longest_s: Of a piece.
    """

    def __init__(self, *, longest_s: float = 30.0) -> None:
        self._network = load_speaker_wavlm(str(own_weights("wavlm-sv")))
        self._longest_s = longest_s

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns the embedding of each piece; none of sound that is too short."""
        edges = pieces(len(samples), self._longest_s)
        rows = [embed_sound(self._network, samples[a:b], SAMPLE_RATE) for a, b in edges]
        found = np.array(rows, np.float32).reshape(-1, EMBEDDING_SIZE)
        return {"embedding": found, **_times(edges)}


def pieces(num_samples: int, longest_s: float) -> list[tuple[int, int]]:
    """Divides a sound into as few equal pieces as there can be.

    Args:
        num_samples: Of the sound.
        longest_s: Of a piece.

    Returns:
        Start and end of each; none of a sound on which the networks have no frame.
    """
    if num_samples < MIN_SAMPLES:
        return []
    count = math.ceil(num_samples / (longest_s * SAMPLE_RATE))
    edges = np.linspace(0, num_samples, count + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def _times(edges: list[tuple[int, int]]) -> dict[str, np.ndarray]:
    seconds = np.array(edges, np.float64).reshape(-1, 2) / SAMPLE_RATE
    return {"start_s": seconds[:, 0], "end_s": seconds[:, 1]}
