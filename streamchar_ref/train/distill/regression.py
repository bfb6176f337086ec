"""Regression of the guided teacher's samples: Stage 0, and the anchor of the later ones.

Shape letters: B batch, C channels.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.causal import dit_of
from streamchar_ref.networks.dit import JointDiT
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import velocity
from streamchar_ref.train.distill.trajectories import TrajectoryBatch, TrajectoryPool
from streamchar_ref.train.latent_losses import apply_pixel_metric, video_weight
from streamchar_ref.train.windows import TrainingWindow

FROM_NOISE = 0.5
"""Share of samples at the highest noise level, where most is to be learned."""


class DitNetwork(nn.Module):
    """A DiT as one of several networks, whose weights have the name of this network before theirs.

    Args:
        dit: Where its weights are copied from.
    """

    def __init__(self, dit: JointDiT) -> None:
        super().__init__()
        self.dit = dit_of(dit.config, dit.geometry).to(dit.video_in.weight.device)
        self.dit.load_state_dict(dit.state_dict())


class TrajectoryRegression:
    """Squared error of a student's prediction of the trajectories' ends.

    Args:
        pool: Draws trajectories.
        sensitivity: Of pixels to latents, see `pixel_sensitivity`.
    """

    def __init__(self, pool: TrajectoryPool, sensitivity: Float[Tensor, "C C"]) -> None:
        self.pool, self._sensitivity = pool, sensitivity

    def __call__(self, student: StreamChar, draw: Draw) -> dict[str, Tensor]:
        """Returns the losses of video and audio, by name.

        Args:
            student: Predicts clean latents at its own noise levels.
            draw: Of the windows and levels.

        Returns:
            Means over windows; an error at a low noise level counts more, by 1 / sigma.
        """
        window, trajectories = self.pool(draw)
        generator = draw.generator(window.video.device)
        level = draw_levels(len(window.video), len(self.pool.sigmas), generator)
        sigma = torch.tensor(self.pool.sigmas, device=level.device)[level]
        predicted = predict_clean(student, window, trajectories.at(level), sigma)
        return self._errors(predicted, window, trajectories, sigma)

    def _errors(
        self,
        predicted: Latents,
        window: TrainingWindow,
        trajectories: TrajectoryBatch,
        sigma: Float[Tensor, " B"],
    ) -> dict[str, Tensor]:
        clean_video, clean_audio = trajectories.clean
        miss = apply_pixel_metric(predicted[0] - clean_video, self._sensitivity)
        video = (miss.square() * video_weight(clean_video, window.mouth)).flatten(1).mean(dim=1)
        audio = (predicted[1] - clean_audio).square().flatten(1).mean(dim=1)
        return {"video": (video / sigma).mean(), "audio": (audio / sigma).mean()}


def draw_levels(batch: int, count: int, generator: torch.Generator) -> Int64[Tensor, " B"]:
    """Draws indices of the student's noise levels, half of them the highest.

    Args:
        batch: B.
        count: Noise levels of the student.
        generator: Of the draw.

    Returns:
        Indices from 0, the highest level.
    """
    device = generator.device
    if count == 1:
        return torch.zeros(batch, dtype=torch.long, device=device)
    lower = torch.randint(1, count, (batch,), generator=generator, device=device)
    is_noise = torch.rand(batch, generator=generator, device=device) < FROM_NOISE
    return torch.where(is_noise, 0, lower)


def predict_clean(
    model: StreamChar, window: TrainingWindow, x: Latents, sigma: Float[Tensor, " B"]
) -> Latents:
    """Predicts the clean latents of windows, without guidance.

    Args:
        model: The networks.
        window: What they see.
        x: Noisy video and audio latents.
        sigma: Their noise level.

    Returns:
        Clean video and audio latents.
    """
    condition = prefill(model, window.inputs, window.context)
    velocities = velocity(condition, x, sigma)
    return tuple(
        flow.x0_from_velocity(noisy, v, sigma) for noisy, v in zip(x, velocities, strict=True)
    )
