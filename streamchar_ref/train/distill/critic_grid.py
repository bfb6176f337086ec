"""The loss of the fake score on a fixed grid: the same samples, noise and noise levels all along.

The loss of training is of other samples and levels in each step, and of a student that moves, so it
hardly shows whether the fake score still knows the teacher's samples. On the grid it does: beside
the true score's loss on the same it begins at 1, and climbs where the student drags the fake score
away.

Shape letters: B samples, G noise levels.
"""

import torch
from torch import Tensor

from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import scaled_noise, velocity
from streamchar_ref.train.distill.regression import TrajectoryRegression
from streamchar_ref.train.distill.trajectories import TrajectoryBatch, take_rows
from streamchar_ref.train.windows import TrainingWindow

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
EVERY = 10
"""Steps from one measurement to the next, the last of each ten: each row of the log has one."""
SAMPLES = 8
_SEED = 0x6772_6964
_NAMES = ("video", "audio")


class CriticGrid:
    """Measures scores on samples of the guided teacher.

    Args:
        regression: Its pool has the samples and the windows that they belong to.
        real: The true score; it does not change.
        fake: The fake score.
    """

    def __init__(
        self, regression: TrajectoryRegression, *, real: StreamChar, fake: StreamChar
    ) -> None:
        self._regression, self._real, self._fake = regression, real, fake
        self._of_real: dict[str, Tensor] | None = None

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Measures the fake score in every tenth step.

        Args:
            step: Of training.

        Returns:
            ``grid_video_10`` to ``grid_audio_90``: mean squared error of the velocity, by
            modality and noise level in percent; ``grid_ratio_video`` and ``grid_ratio_audio``:
            their mean over that of the true score, infinite where it is not a number. NaN in other
            steps.
        """
        if step % EVERY != EVERY - 1:
            return dict.fromkeys(_columns(), torch.tensor(torch.nan))
        if self._of_real is None:
            self._of_real = self._losses(self._real)
        losses = self._losses(self._fake)
        for name in _NAMES:
            fake, real = (
                torch.stack([each[f"grid_{name}_{_percent(level)}"] for level in LEVELS]).mean()
                for each in (losses, self._of_real)
            )
            ratio = fake / real
            losses[f"grid_ratio_{name}"] = torch.where(ratio.isnan(), torch.inf, ratio)
        return losses

    @torch.no_grad()
    def _losses(self, score: StreamChar) -> dict[str, Tensor]:
        window, trajectories = self._samples()
        clean, levels = trajectories.clean, len(LEVELS)
        device, batch = clean[0].device, len(clean[0])
        rows = torch.arange(batch, device=device).repeat(levels)
        sigma = torch.tensor(LEVELS, device=device).repeat_interleave(batch)
        noise = tuple(each[rows] for each in self._noise(score, clean))
        clean = tuple(each[rows] for each in clean)
        noisy = tuple(flow.add_noise(x, n, sigma) for x, n in zip(clean, noise, strict=True))
        seen = take_rows(window, rows)
        velocities = velocity(prefill(score, seen.inputs, seen.context), noisy, sigma)
        losses: dict[str, Tensor] = {}
        for name, v, n, x in zip(_NAMES, velocities, noise, clean, strict=True):
            by_level = (v - (n - x)).square().flatten(1).mean(dim=1).unflatten(0, (levels, batch))
            for level, loss in zip(LEVELS, by_level.mean(dim=1), strict=True):
                losses[f"grid_{name}_{_percent(level)}"] = loss
        return losses

    def _samples(self) -> tuple[TrainingWindow, TrajectoryBatch]:
        pool = self._regression.pool
        batch = min(SAMPLES, pool.most)
        return pool(Draw(step=0, batch=batch, seed=_SEED))

    def _noise(self, score: StreamChar, clean: Latents) -> Latents:
        generator = torch.Generator(clean[0].device).manual_seed(_SEED)
        return scaled_noise(
            score.config.sampler,
            lambda: tuple(
                torch.randn(x.shape, generator=generator, device=x.device) for x in clean
            ),
        )()


def _columns() -> list[str]:
    by_level = [f"grid_{name}_{_percent(level)}" for name in _NAMES for level in LEVELS]
    return [*by_level, *(f"grid_ratio_{name}" for name in _NAMES)]


def _percent(level: float) -> int:
    return round(100 * level)
