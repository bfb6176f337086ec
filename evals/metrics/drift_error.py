"""Video drift errors after LV-Bench: of VBench's subject consistency, and of our own sharpness.

A drift error is blind to its sign, counts early drift most, and is 0 for whatever drifts evenly
where the measure itself starts anew in each chunk, as subject consistency does.

Shape letters: T frames.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from evals.metrics.subject import consistency
from evals.numerics.drift_error import CHUNKS, drift_error_of
from evals.numerics.windows import FPS
from evals.protocols.base import (
    Curve,
    Features,
    Metric,
    MetricContext,
    MetricWindow,
    Score,
    Unscored,
)
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording


class DriftError(Metric):
    """Weighted sum of the relative changes of ten chunks against the first, see `curve`."""

    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE
    is_default = False
    min_chunk_frames = 1
    params: Mapping[str, Any] = {
        "chunks": CHUNKS,
        "weights_of_chunks": "linear",
        "frames_left_over": "dropped",
        "over_videos": "mean",
    }

    @abstractmethod
    def num_frames(self, features: Features) -> int:
        """Returns the length of the video."""

    @abstractmethod
    def of_chunk(self, features: Features, start: int, stop: int) -> float:
        """Returns the measure of the frames [start, stop)."""

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the drift error; the curve has the measure of each chunk."""
        count = self.num_frames(features)
        size = count // CHUNKS
        if size < self.min_chunk_frames:
            raise Unscored(
                f"{count} frames make {CHUNKS} chunks of {size}; "
                f"{self.min_chunk_frames} are needed in each"
            )
        value, chunks = drift_error_of(count, lambda a, b: self.of_chunk(features, a, b))
        if math.isinf(value):
            raise Unscored("the first chunk has the value 0, so that the drift error is infinite")
        return Score(
            value=value,
            components={"chunks": chunks, "signed_change": chunks[-1] / chunks[0] - 1},
            windows=tuple(
                MetricWindow(t0_s=at * size / FPS, t1_s=(at + 1) * size / FPS, value=chunk)
                for at, chunk in enumerate(chunks)
            ),
        )


class SubjectDriftError(DriftError):
    """VDE of VBench's subject consistency in ten chunks, as LV-Bench takes it.

    Each chunk is compared with its own first frame: a face that changes evenly has no drift error.
    """

    name = "vde_subject"
    label = "VDE subject"
    axis = Axis.IDENTITY
    needs = ("dino",)
    protocol = "vde_subject/lv-bench@1"
    curve = Curve(quantity="subject_consistency", unit="1")
    min_chunk_frames = 2

    def num_frames(self, features: Features) -> int:
        """Returns the number of embedded frames, which are all."""
        return len(features["dino"]["embedding"])

    def of_chunk(self, features: Features, start: int, stop: int) -> float:
        """Returns the consistency of the chunk alone."""
        return float(consistency(features["dino"]["embedding"][start:stop])[1:].mean())


class SharpnessDriftError(DriftError):
    """The same sum for the variance of the Laplacian; no VDE clarity, which is by MUSIQ."""

    name = "vde_sharpness"
    label = "VDE sharpness"
    axis = Axis.APPEARANCE
    needs = ("appearance",)
    is_project_specific = True
    protocol = "vde_sharpness/laplacian-256px@1"
    curve = Curve(quantity="sharpness", unit="1")

    def num_frames(self, features: Features) -> int:
        """Returns the number of frames."""
        return len(features["appearance"]["sharpness"])

    def of_chunk(self, features: Features, start: int, stop: int) -> float:
        """Returns the mean over the chunk's frames."""
        return float(np.mean(features["appearance"]["sharpness"][start:stop], dtype=np.float64))


DRIFT_ERRORS: tuple[Metric, ...] = (SubjectDriftError(), SharpnessDriftError())
