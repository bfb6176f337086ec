"""Progress-aware pointer: how far into the transcript the speech has got.

Positions count phonemes from the window's pointer: 0 is the phoneme that is about to be said.

Shape letters: B batch, A audio latents of a chunk, W transcript window, D width.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

SILENCE = 0
"""Class of the alignment for latents in which nothing is said; text positions follow it."""


@dataclass(frozen=True, kw_only=True)
class PointerOutput:
    """Where each audio latent of a chunk is in the transcript.

    Attributes:
        position: Phonemes spoken by the end of each latent, from the window's pointer, [B, A].
        alignment: Logits over silence and the positions of the window, [B, A, 1 + W].
        text: What the transcript says there, gathered by the alignment, [B, A, D].
    """

    position: Float[Tensor, "B A"]
    alignment: Float[Tensor, "B A W1"]
    text: Float[Tensor, "B A D"]


class ProgressPointer(nn.Module):
    """Reads the progress off the states of audio and transcript.

    What is said is gathered from the transcript where the pointer is, so that the audio condition
    need not find it again.

    Args:
        width: D.
        kind: ``progress`` adds up an advance a latent, which is never negative, so the pointer
            cannot go back, and the alignment keeps near it; ``soft_position`` is the mean position
            under the attention to the transcript plus an offset, which can.
        behind: Rows of the window before the pointer.

    Source:
        The task is StreamChar's (arXiv:2605.25659, Eq. 5); its exact form is not known.
    """

    def __init__(
        self, width: int, *, kind: Literal["progress", "soft_position"], behind: int
    ) -> None:
        super().__init__()
        self.kind, self.behind = kind, behind
        self.advance = nn.Linear(width, 1)
        nn.init.constant_(self.advance.bias, math.log(math.expm1(0.4)))  # 10 phonemes a second
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.silence = nn.Parameter(torch.zeros(width))
        self.reach = nn.Parameter(torch.full((1,), math.log(2.0)))  # phonemes, as a logarithm

    def forward(
        self,
        states: Float[Tensor, "B A D"],
        text: Float[Tensor, "B W D"],
        fraction: Float[Tensor, " B"],
    ) -> PointerOutput:
        """Reads a chunk.

        Args:
            states: Of the chunk's positions.
            text: Of the transcript window.
            fraction: Of the phoneme at the pointer that has been said already.

        Returns:
            Positions, alignment and what it gathers.
        """
        rows = self._rows(text)
        logits = (self.query(states) @ self.key(rows).mT / math.sqrt(states.shape[-1])).float()
        steps = F.softplus(self.advance(states).float())[..., 0]
        if self.kind == "progress":
            position = steps.cumsum(dim=1)
            logits = logits + self._nearness(
                position - steps / 2 + fraction[:, None], rows.shape[1]
            )
        else:
            places = torch.arange(text.shape[1], device=text.device) - self.behind + 1.0
            position = (logits[..., 1:].softmax(dim=-1) * places).sum(dim=-1) + steps - 0.4
        gathered = self.gather(logits.softmax(dim=-1), text)
        return PointerOutput(position=position, alignment=logits, text=gathered)

    def gather(
        self, shares: Float[Tensor, "B A W1"], text: Float[Tensor, "B W D"]
    ) -> Float[Tensor, "B A D"]:
        """Gathers what the transcript says.

        Args:
            shares: Of silence and of each row of the window, at each latent.
            text: Of the transcript window.

        Returns:
            What is said at each latent.
        """
        values = self.value(self._rows(text))
        return shares.to(values.dtype) @ values

    def _rows(self, text: Float[Tensor, "B W D"]) -> Float[Tensor, "B W1 D"]:
        return torch.cat([self.silence.expand(len(text), 1, -1), text], dim=1)

    def _nearness(self, position: Float[Tensor, "B A"], num_rows: int) -> Float[Tensor, "B A W1"]:
        """Scores rows by their distance from the pointer; silence, the first, has none."""
        middle = torch.arange(num_rows - 1, device=position.device) - self.behind + 0.5
        distance = (middle - position[..., None]) * torch.exp(-self.reach)
        return F.pad(-0.5 * distance.square(), (1, 0))


def pointer_loss(
    progress: PointerOutput,
    position: Float[Tensor, "B A"],
    counts: Bool[Tensor, " B"],
    *,
    kind: Literal["progress", "soft_position"] = "progress",
) -> Float[Tensor, ""]:
    """Smooth-L1 distance to the true positions.

    Args:
        progress: Predicted.
        position: True ones, in phonemes.
        counts: Samples that do.
        kind: ``soft_position`` counts the end of the chunk only, as the paper is reported to do;
            ``progress`` all latents (a quarter) and the end.

    Returns:
        Mean over the samples that count; 0 if none does.
    """
    error = F.smooth_l1_loss(progress.position, position, reduction="none")
    error = error[:, -1] + (0 if kind == "soft_position" else error.mean(dim=1) / 4)
    return (error * counts).sum() / counts.sum().clamp(min=1)


def alignment_loss(progress: PointerOutput, target: Int64[Tensor, "B A"]) -> Float[Tensor, ""]:
    """Cross-entropy of the position that is being said.

    Args:
        progress: Predicted.
        target: `SILENCE`, or 1 + row of the window; -1 where the row lies outside.

    Returns:
        Mean over latents inside; 0 if none is.
    """
    logits = progress.alignment.flatten(0, 1).float()
    total = F.cross_entropy(logits, target.flatten(), ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)
