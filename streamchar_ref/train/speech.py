"""Stage of speech: orchestrator and DiT learn to read and to speak, before they see anything.

Shape letters: B batch, A audio latents of a chunk, W width of the audio condition.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref import flow
from streamchar_ref.checkpoint import part_of
from streamchar_ref.model.dit import JointDiT
from streamchar_ref.orchestrator import Orchestrator, Plan
from streamchar_ref.pointer import alignment_loss, pointer_loss
from streamchar_ref.text import PHONES
from streamchar_ref.train.loop import Draw, Stage
from streamchar_ref.train.windows import Window

BLIND = 0.2
"""Share of windows in which the orchestrator plans without the noisy sound."""
CONDITION_DROP = 0.1
"""Share of windows in which the DiT is not told what to say."""
AID = 0.2
"""Weight of what is read off the middle of the DiT."""


class SpeechStage(Stage):
    """Trains orchestrator and DiT to read and to say the transcript, as if there were no picture.

    Args:
        orchestrator: Network.
        dit: Network; what it needs for pictures stays as it is.
        windows: Draws a batch.
        shift: Of the noise levels, see `draw_sigma`.
        show: Writes samples into a folder.
    """

    name = "speech"

    def __init__(
        self,
        orchestrator: Orchestrator,
        dit: JointDiT,
        windows: Callable[[Draw], Window],
        *,
        shift: float = 1.0,
        show: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.orchestrator, self.dit = orchestrator, dit
        self.phones = nn.Linear(dit.config.width, 1 + len(PHONES))
        self._windows, self._shift, self._show = windows, shift, show

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        window, generator = self._windows(draw), draw.generator()
        noise = torch.randn(window.audio.shape, generator=generator).to(window.audio)
        sigma = draw_sigma(len(noise), generator, self._shift).to(window.audio)
        is_blind = (torch.rand(len(noise), generator=generator) < BLIND).to(noise.device)
        noisy = flow.add_noise(window.audio, noise, sigma)
        plan = self.orchestrator(window.script, noisy, sigma, is_blind)
        condition = dropped(plan.condition, self.dit.no_condition, generator)
        context = self.dit.encode_context(window.context, sound_only=True)
        velocity, middle = self.dit.speak(noisy, sigma, condition, context)
        parts = {"audio": F.mse_loss(velocity.float(), noise - window.audio)}
        parts |= reading_losses(plan, window, self.orchestrator.config.pointer)
        aid = F.cross_entropy(self.phones(middle).flatten(0, 1).float(), window.phones.flatten())
        return weighted(parts) + AID * aid, parts | {"aid": aid}

    def trained(self) -> dict[str, Tensor]:
        """Returns the weights of both networks."""
        return part_of(self.state_dict(), "orchestrator.", "dit.")

    def picture(self, folder: Path) -> None:
        """Writes samples, if it was told how."""
        if self._show:
            self._show(folder)


def dropped(
    condition: Float[Tensor, "B A W"], nothing: Float[Tensor, " W"], generator: torch.Generator
) -> Float[Tensor, "B A W"]:
    """Takes the audio condition away from some windows, for guidance."""
    keep = torch.rand(len(condition), generator=generator) >= CONDITION_DROP
    return torch.where(keep.to(condition.device)[:, None, None], condition, nothing)


WEIGHTS = {"alignment": 0.5, "pointer": 0.1, "phones": 0.3, "over": 0.1}


def reading_losses(plan: Plan, window: Window, pointer: str) -> dict[str, Tensor]:
    """Computes how well the orchestrator knows its place.

    Args:
        plan: What it said.
        window: The truth.
        pointer: Kind of pointer.

    Returns:
        Losses by name: alignment, pointer, phones, over.
    """
    kind = "soft_position" if pointer == "soft_position" else "progress"
    phones = F.cross_entropy(plan.phones.flatten(0, 1).float(), window.phones.flatten())
    return {
        "alignment": alignment_loss(plan.progress, window.alignment),
        "pointer": pointer_loss(plan.progress, window.position, kind=kind),  # type: ignore[arg-type]
        "phones": phones,
        "over": F.binary_cross_entropy_with_logits(plan.is_over.float(), window.is_over),
    }


def weighted(parts: dict[str, Tensor]) -> Tensor:
    """Adds losses with their weights; those without one count fully."""
    return torch.stack([WEIGHTS.get(name, 1.0) * part for name, part in parts.items()]).sum()


def draw_sigma(
    count: int, generator: torch.Generator, shift: float = 1.0
) -> Float[Tensor, " count"]:
    """Draws noise levels, most of them in the middle.

    Args:
        count: How many.
        generator: Of the draw.
        shift: Moves them up, see `flow.shifted_sigmas`.

    Returns:
        Levels in (0, 1).

    Source:
        Esser et al., arXiv:2403.03206: logit-normal levels.
    """
    u = torch.randn(count, generator=generator).sigmoid()
    return shift * u / (1 + (shift - 1) * u)
