"""What the orchestrator keeps of prompt, transcript and history for all steps of a chunk.

Shape letters: B batch, W transcript window, D width.
"""

from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.networks.durations import FrameAlignment


@dataclass(frozen=True, kw_only=True)
class TranscriptEncoding:
    """The transcript window, encoded.

    Attributes:
        rows: Embeddings before the language model, [B, W, D].
        states: Hidden states after it, [B, W, D].
        durations: Pause and length of each row, see `DurationPredictor`, [B, W, 2].
        fraction: See `OrchestratorInputs`.
    """

    rows: Float[Tensor, "B W D"]
    states: Float[Tensor, "B W D"]
    durations: Float[Tensor, "B W 2"]
    fraction: Float[Tensor, " B"]


class PrefixCache:
    """Keys and values of the prefix, written once and then only read.

    It has what a layer of ``transformers`` asks of a cache and no more, so it cannot grow.

    Attributes:
        encoding: Of the transcript; there as soon as the prefix is written.
        frame_alignment: Predicted times; ``None`` with emergent timing.
    """

    is_compileable = False
    encoding: TranscriptEncoding
    frame_alignment: FrameAlignment | None

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self._is_written = False

    def update(
        self, key: Tensor, value: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keeps a layer's prefix, or returns it with the chunk's own keys and values behind."""
        if not self._is_written:
            self.layers.append((key, value))
            return key, value
        old_key, old_value = self.layers[layer_idx]
        return torch.cat([old_key, key], dim=2), torch.cat([old_value, value], dim=2)

    def close(
        self, encoding: TranscriptEncoding, frame_alignment: FrameAlignment | None
    ) -> "PrefixCache":
        """Ends the writing."""
        self._is_written, self.encoding, self.frame_alignment = True, encoding, frame_alignment
        return self

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Returns the length of the prefix."""
        return self.layers[layer_idx][0].shape[2] if len(self.layers) > layer_idx else 0


def cache_argument(backbone: nn.Module) -> str:
    """Returns what a language model calls its cache: transformers 5.24 renamed the argument."""
    return "cache" if "cache" in signature(backbone.forward).parameters else "past_key_values"
