"""How an engine shares a model among streams, and what it says."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.streaming.stream import Precision

EnginePrecision = Literal["float32", "bfloat16", "fp8"]


class EngineFull(InputError):
    """No further stream can be served without stalls."""


class EngineStopped(RuntimeError):
    """The networks failed, as when their device is lost; the chunks before were all returned."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How streams share a model.

    Attributes:
        max_streams: At once.
        batch: Streams that are denoised together; 0 is one on a CPU, where a batch gains nothing,
            and all elsewhere.
        overlap: Decode in a second thread while the next chunk is denoised.
        picture_precision: ``bfloat16`` decodes pictures in half precision: three times as fast on a
            CPU that has instructions for it, five times as slow on one that has not; frames differ
            by a few grey levels.
        exact: On a CPU, compute each stream as if it were alone, and the two passes of a guided
            step one after the other, as `stream` does. Without it they are computed together, and
            latents differ in the last bits; elsewhere that is always so.
        compiled: Compile the blocks of the DiT for this machine, which takes half a minute the
            first time and needs a C++ compiler; latents differ in the fifth digit, see
            `Engine.warm_up`.
        graphs: Record a chunk as one CUDA graph for each size of a batch; needs ``device=cuda``.
        precision: Of DiT and orchestrator. ``bfloat16`` halves their weights; ``fp8`` also computes
            the linear layers of the DiT's blocks in float8, see `networks.fp8`, and needs a GPU of
            Nvidia's compute capability 8.9 or later, as Hopper's 9.0.
        first_latents: Video latents of a stream that are sent before its first chunk is decoded
            whole; 0 sends whole chunks only.
        admit_all: Admit up to ``max_streams`` even where stalls must be expected.
        ahead_s: How far ahead of playing a stream may be made; a server makes little that is thrown
            away when the text changes.

    Raises:
        InputError: If a value is out of its range.
    """

    max_streams: int = 16
    batch: int = 0
    overlap: bool = True
    picture_precision: Precision = "float32"
    exact: bool = True
    compiled: bool = False
    graphs: bool = False
    precision: EnginePrecision = "float32"
    first_latents: int = 2
    admit_all: bool = False
    ahead_s: float = math.inf

    def __post_init__(self) -> None:
        if self.max_streams < 1 or self.batch < 0 or self.first_latents < 0:
            raise InputError(
                "engine: max_streams is at least 1, batch and first_latents at least 0, not "
                f"{self.max_streams}, {self.batch} and {self.first_latents}"
            )
        if self.precision not in get_args(EnginePrecision):
            raise InputError(
                f"engine: precision is one of {', '.join(get_args(EnginePrecision))}, not "
                f"{self.precision!r}"
            )
        if not self.ahead_s > 0:
            raise InputError(f"engine: ahead_s is positive, not {self.ahead_s}")


@dataclass(frozen=True, kw_only=True)
class EngineChunk:
    """What the engine has made for one of its streams.

    Attributes:
        stream: Its number.
        chunk: To be played after the earlier ones.
        is_last: Whether the stream ends with it.
    """

    stream: int
    chunk: AVChunk
    is_last: bool


class RecentMean:
    """Mean of the last values, which count half after five more."""

    KEPT = 0.87

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def add(self, value: float) -> None:
        """Counts a value."""
        self._sum = self.KEPT * self._sum + value
        self._weight = self.KEPT * self._weight + 1

    @property
    def value(self) -> float:
        """The mean; 0 without values."""
        return self._sum / self._weight if self._weight else 0.0
