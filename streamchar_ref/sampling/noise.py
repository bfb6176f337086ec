"""Noise of many streams, each from a generator of its own.

What a stream draws depends on its seed and on how often it has drawn, never on who shares its
batch, nor on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class NoiseSource:
    """Generators of a batch of streams between two chunks; immutable, so a rollout can branch.

    Attributes:
        states: Of the generator of each stream, on the CPU.
        num_chunks: For how many chunks each has been used.
    """

    states: tuple[Tensor, ...]
    num_chunks: tuple[int, ...]

    @classmethod
    def of_seeds(cls, seeds: Sequence[int]) -> "NoiseSource":
        """Returns sources that have drawn nothing yet, one a stream."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return cls(
            states=tuple(each.get_state() for each in generators), num_chunks=(0,) * len(generators)
        )

    @classmethod
    def stack(cls, sources: Sequence["NoiseSource"]) -> "NoiseSource":
        """Makes one batch of several."""
        return cls(
            states=tuple(state for source in sources for state in source.states),
            num_chunks=tuple(count for source in sources for count in source.num_chunks),
        )

    def row(self, index: int) -> "NoiseSource":
        """Returns the source of one stream."""
        return NoiseSource(states=(self.states[index],), num_chunks=(self.num_chunks[index],))

    def open(self) -> "NoiseDraw":
        """Begins the draws of a chunk."""
        generators = []
        for state in self.states:
            generators.append(torch.Generator())
            generators[-1].set_state(state)
        return NoiseDraw(generators, self.num_chunks)


class NoiseDraw:
    """The draws of one chunk.

    Args:
        generators: One a stream; they move on.
        num_chunks: For how many chunks each was used before.
    """

    def __init__(self, generators: Sequence[torch.Generator], num_chunks: tuple[int, ...]) -> None:
        self._generators, self._num_chunks = generators, num_chunks

    def normal(self, *shape: int, device: torch.device) -> Float[Tensor, " B *shape"]:
        """Draws standard normal noise of this shape for each stream."""
        drawn = [torch.randn(shape, generator=each) for each in self._generators]
        return torch.stack(drawn).to(device)

    def normal_after_first(self, *shape: int, device: torch.device) -> Float[Tensor, " B *shape"]:
        """As `normal`, but a stream in its first chunk draws nothing: zeros."""
        drawn = [
            torch.randn(shape, generator=each) if count else torch.zeros(shape)
            for each, count in zip(self._generators, self._num_chunks, strict=True)
        ]
        return torch.stack(drawn).to(device)

    def close(self) -> NoiseSource:
        """Returns the sources after this chunk."""
        return NoiseSource(
            states=tuple(each.get_state() for each in self._generators),
            num_chunks=tuple(count + 1 for count in self._num_chunks),
        )
