"""Stage of the orchestrator alone: a speech model with a small flow head on its states.

Shape letters: B batch, A audio latents of a chunk, Ca their channels, D width.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref import flow
from streamchar_ref.model.layers import NoiseLevel, modulate
from streamchar_ref.orchestrator import Orchestrator, Plan
from streamchar_ref.pointer import alignment_loss, pointer_loss
from streamchar_ref.train.loop import Draw, Stage
from streamchar_ref.train.windows import Window

BLIND = 0.5
"""Share of windows in which the orchestrator plans without the noisy sound."""


class FlowHead(nn.Module):
    """Velocity of an audio latent from the orchestrator's state there; for training only.

    Args:
        width: D.
        channels: Ca.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.noisy_in = nn.Linear(channels, width)
        self.state_in = nn.Linear(width, width)
        self.level = NoiseLevel(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.mix = nn.Conv1d(width, width, 5, padding=2)
        self.layers = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU())
        self.out = nn.Linear(3 * width, channels)

    def forward(
        self,
        states: Float[Tensor, "B A D"],
        noisy: Float[Tensor, "B A Ca"],
        sigma: Float[Tensor, " B"],
    ) -> Float[Tensor, "B A Ca"]:
        """Returns velocities."""
        x = self.noisy_in(noisy) + self.state_in(states)
        x = x + self.mix(x.mT).mT
        shift, scale = self.modulation(self.level(sigma))[:, None, None].chunk(2, dim=-1)
        return self.out(self.layers(modulate(x[:, None], shift, scale)[:, 0]))


class SpeechStage(Stage):
    """Trains the orchestrator to place and to voice the transcript.

    Args:
        orchestrator: Network.
        windows: Draws a batch.
        audio_channels: Ca.
        show: Writes samples of flow head and orchestrator into a folder.
    """

    name = "orchestrator"

    def __init__(
        self,
        orchestrator: Orchestrator,
        windows: Callable[[Draw], Window],
        *,
        audio_channels: int,
        show: Callable[[Path, FlowHead], None] | None = None,
    ) -> None:
        super().__init__()
        self.orchestrator = orchestrator
        self.flow_head = FlowHead(orchestrator.config.width, audio_channels)
        self._windows, self._show = windows, show

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        window, generator = self._windows(draw), draw.generator()
        noise = torch.randn(window.audio.shape, generator=generator).to(window.audio)
        sigma = draw_sigma(len(noise), generator).to(window.audio)
        is_blind = (torch.rand(len(noise), generator=generator) < BLIND).to(noise.device)
        noisy = flow.add_noise(window.audio, noise, sigma)
        plan = self.orchestrator(window.script, noisy, sigma, is_blind)
        velocity = self.flow_head(plan.states, noisy, sigma)
        parts = {"audio": F.mse_loss(velocity.float(), noise - window.audio)}
        parts |= reading_losses(plan, window, self.orchestrator.config.pointer)
        return weighted(parts), parts

    def trained(self) -> dict[str, Tensor]:
        """Returns the orchestrator's weights; the head is not kept."""
        return {n: t for n, t in self.state_dict().items() if n.startswith("orchestrator.")}

    def picture(self, folder: Path) -> None:
        """Writes samples, if it was told how."""
        if self._show:
            self._show(folder, self.flow_head)


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
