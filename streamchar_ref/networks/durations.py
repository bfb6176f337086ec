"""Durations and pauses of phonemes, predicted before a chunk is sampled.

Times count audio latents from the beginning of the chunk.

Shape letters: B batch, W transcript window, A audio latents of a chunk, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from streamchar_ref.networks.text import FIRST_PHONE


@dataclass(frozen=True, kw_only=True)
class PhonemeTimes:
    """Start and end of each phoneme of a transcript window.

    Attributes:
        start: Infinite where there is no phoneme or its time is unknown, [B, W].
        end: The same.
    """

    start: Float[Tensor, "B W"]
    end: Float[Tensor, "B W"]


@dataclass(frozen=True, kw_only=True)
class FrameAlignment:
    """Phonemes of a transcript window spread over the audio latents of a chunk.

    Attributes:
        shares: Of its time that belong to silence and to each row of the window, [B, A, 1 + W].
        phase: Latents since the phoneme there began and until it ends, [B, A, 2].
    """

    shares: Float[Tensor, "B A W1"]
    phase: Float[Tensor, "B A 2"]


class DurationPredictor(nn.Module):
    """Predicts for each row the silence before it and its length, both as log(1 + latents).

    Args:
        width: D.

    Source:
        As in FastSpeech (Ren et al., arXiv:1905.09263), from the states of a language model that
        also reads the audio history.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        out = nn.Linear(width, 2)
        nn.init.zeros_(out.weight)
        out.bias.data = torch.tensor([0.0, 1.1])  # no pause; two latents, 80 ms
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), out)

    def forward(self, text: Float[Tensor, "B W D"]) -> Float[Tensor, "B W 2"]:
        """Returns pause and length of each row."""
        durations: Tensor = self.layers(text).float()
        return durations


def phoneme_times(
    durations: Float[Tensor, "B W 2"], tokens: Int64[Tensor, "B W"], *, behind: int
) -> PhonemeTimes:
    """Adds up durations from the pointer on.

    Args:
        durations: From `DurationPredictor`.
        tokens: First column of the transcript window.
        behind: Rows before the pointer.

    Returns:
        The times; infinite from the first row on that is no phoneme.
    """
    is_said = (tokens[:, behind:] >= FIRST_PHONE).cumprod(dim=1).bool()
    pause, length = durations[:, behind:].expm1().clamp(min=0).unbind(-1)
    end = (pause + length).cumsum(dim=1)
    never = durations.new_full(is_said.shape, torch.inf)
    start, end = (torch.where(is_said, x, never) for x in (end - length, end))
    return PhonemeTimes(
        **{
            name: F.pad(x, (behind, 0), value=torch.inf)
            for name, x in (("start", start), ("end", end))
        }
    )


def length_regulate(times: PhonemeTimes, *, num_latents: int) -> FrameAlignment:
    """Spreads phonemes over audio latents.

    Args:
        times: When they are said.
        num_latents: A.

    Returns:
        The alignment.
    """
    left = torch.arange(num_latents, device=times.start.device)[:, None]
    start, end = times.start[:, None], times.end[:, None]
    overlap = (end.clamp(max=num_latents).minimum(left + 1) - start.maximum(left)).clamp(min=0)
    silence = (1 - overlap.sum(dim=-1, keepdim=True)).clamp(min=0)
    shares = torch.cat([silence, overlap], dim=-1)
    middle, is_here = left + 0.5, overlap > 0
    ages = [torch.where(is_here, x, 0.0) for x in (middle - start, end - middle)]
    phase = torch.stack([(overlap * age).sum(dim=-1) for age in ages], dim=-1)
    return FrameAlignment(shares=shares / shares.sum(dim=-1, keepdim=True), phase=phase)


def duration_loss(
    durations: Float[Tensor, "B W 2"], times: PhonemeTimes, *, behind: int
) -> Float[Tensor, ""]:
    """Smooth-L1 distance of pauses and lengths, as logarithms.

    Args:
        durations: Foretold.
        times: True ones; what lies before the chunk counts as over.
        behind: Rows before the pointer, which are not predicted.

    Returns:
        Mean over rows whose times are known.
    """
    start, end = (x[:, behind:].clamp(min=0) for x in (times.start, times.end))
    before = F.pad(end[:, :-1], (1, 0))
    is_known = end.isfinite()
    true = torch.stack([start - before, end - start], dim=-1)
    true = torch.where(is_known[..., None], true, 0.0).clamp(min=0).log1p()
    error = F.smooth_l1_loss(durations[:, behind:], true, beta=0.2, reduction="none")
    return (error * is_known[..., None]).sum() / is_known.sum().clamp(min=1)
