"""What extractors take and return, by what they read of a sample.

Shape letters: T frames, H and W pixels, S audio samples.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from evals.text.spoken_language import SpokenLanguage


class FrameExtractor(Protocol):
    """Processes a video in order, in batches of at most 32 frames."""

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> Mapping[str, np.ndarray]:
        """Processes the next frames.

        Args:
            frames: RGB.
            upstream: Result of `update` of each extractor named in ``after`` for the same frames;
                under ``source`` the ``scale`` of the frames: pixels of the original file per
                pixel, at most 1.

        Returns:
            Arrays for later extractors, with frames as first axis; may be empty.
        """
        ...

    def finish(self) -> Mapping[str, np.ndarray]:
        """Returns the features of the whole video; no object arrays."""
        ...


class AudioExtractor(Protocol):
    """Processes a complete waveform."""

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns features, text as arrays of ``str``; silent videos have 0 samples."""
        ...


class SpokenExtractor(Protocol):
    """Processes a complete waveform in which a known language should be spoken."""

    def extract(
        self, samples: Float32[np.ndarray, " S"], spoken: SpokenLanguage
    ) -> Mapping[str, np.ndarray]:
        """Returns features; they are kept apart by `SpokenLanguage.key`."""
        ...


class ClipExtractor(Protocol):
    """Processes a video file and upstream features."""

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> Mapping[str, np.ndarray]:
        """Returns features of the file at ``path``, whose sound is ``samples``."""
        ...


class PairExtractor(Protocol):
    """Compares a video with its ground truth, frame by frame."""

    def update(self, frame: UInt8[np.ndarray, "H W 3"], truth: UInt8[np.ndarray, "H W 3"]) -> None:
        """Takes the frames that both show at one time; RGB, of one size."""
        ...

    def finish(self) -> Mapping[str, np.ndarray]:
        """Returns the features of all pairs."""
        ...
