"""Distribution matching of a few-step student: one step of training, whatever the context.

Single chunks of true clips (Stage I) and rollouts (Stage II) differ in where a chunk's context
comes from, and in nothing else.

Shape letters: B batch.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import Condition, prefill
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import sample_chunk, scaled_noise, velocity
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.critic_grid import CriticGrid
from streamchar_ref.train.distill.matching import (
    MatchingGradient,
    critic_loss,
    matching_gradient,
    matching_loss,
    score_sigma,
)
from streamchar_ref.train.distill.regression import DitNetwork, TrajectoryRegression
from streamchar_ref.train.latent_losses import by_noise_level

_NAMES = ("video", "audio")
ShowFn = Callable[[Path, StreamChar], None]


@dataclass(frozen=True, kw_only=True)
class ChunkTask:
    """A chunk that the student is to sample.

    Attributes:
        inputs: What the orchestrator reads.
        context: What the DiT sees.
        noise: Draws standard normal latents of the chunk.
    """

    inputs: OrchestratorInputs
    context: DitContext
    noise: Callable[[], Latents]


class DmdStage(Stage):
    """Trains a student by distribution matching, and the fake score that follows it.

    The student exits at one random step, with gradient in that step alone; both scores see its
    sample with new noise, in the context that it was made in.

    Args:
        teacher: The networks; all but the DiT are shared and frozen. The DiTs of student and scores
            begin as copies of its own.
        config: Of distillation.
        regression: Anchor.
        show: Writes samples of the student into a folder.

    Source:
        Yin et al., arXiv:2311.18828 and 2405.14867 (DMD, DMD2: backward simulation); Huang et
        al., Self Forcing, arXiv:2506.08009 (one exit step for all).
    """

    def __init__(
        self,
        teacher: StreamChar,
        config: DistillConfig,
        *,
        regression: TrajectoryRegression,
        show: ShowFn | None = None,
    ) -> None:
        super().__init__()
        self.student, self.fake_score = DitNetwork(teacher.dit), DitNetwork(teacher.dit)
        self.real_score = DitNetwork(teacher.dit).requires_grad_(False)
        self.config, self._regression, self._show = config, regression, show
        scores = (self.real_score, self.fake_score)
        self._scores = tuple(teacher.with_dit(s.dit, config.score_sampler) for s in scores)
        real, fake = self._scores
        self._grid = CriticGrid(regression, real=real, fake=fake)
        self._students = (teacher.with_dit(self.student.dit, config.sampler),)  # registers nothing

    @property
    def student_model(self) -> StreamChar:
        """The student with the teacher's other networks."""
        return self._students[0]

    @abstractmethod
    def chunk_task(self, draw: Draw) -> ChunkTask:
        """Draws the chunks of an update; those of one step are the same for both groups."""

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of student or fake score."""
        task = self.chunk_task(draw)
        generator = draw.generator(self.student_model.device)
        if draw.group == "student":
            return self._student_loss(task, draw, generator)
        return self._fake_loss(task, draw, generator)

    def log_samples(self, folder: Path) -> None:
        """Writes samples of the student, if there is a function for it."""
        if self._show:
            self._show(folder, self.student_model)

    def divergence(self, row: dict[str, float]) -> str:
        """Names the sign that the student has left the teacher's distribution; empty if none."""
        most = math.inf if self.config.max_grid_ratio is None else self.config.max_grid_ratio
        for name in _NAMES:
            grid = row.get(f"fake_score_grid_ratio_{name}", math.nan)  # of every tenth step
            if grid > most:
                return (
                    f"the fake score no longer knows the teacher's {name}: on a fixed grid of noise"
                    f" levels its loss is {grid:.2f} times that of the true score, more than "
                    f"{most:g}"
                )
        if "student_ratio_video" not in row:  # the student was not due in these steps
            return ""
        ratio, spread = (row[f"student_{name}"] for name in ("ratio_video", "std_video"))
        if not ratio <= self.config.max_ratio:
            return (
                f"the scores disagree about the picture: |fake - real| / |x - real| is {ratio:.2f},"
                f" more than {self.config.max_ratio}"
            )
        if not spread <= self.config.max_spread:
            return (
                f"the picture over-saturates: the student's video latents vary {spread:.2f} times "
                f"as much as the teacher's, more than {self.config.max_spread}"
            )
        return ""

    def _student_loss(
        self, task: ChunkTask, draw: Draw, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        condition, x0 = self.sample(task, draw)
        with torch.no_grad():
            compared = self._compare(condition, task, tuple(x.detach() for x in x0), generator)
        matching = matching_loss(x0, compared.gradient)
        anchor = self._anchor(draw)
        parts = {f"ratio_{name}": r for name, r in zip(_NAMES, compared.ratio, strict=True)}
        parts |= self._spreads(x0)
        parts |= {f"anchor_{name}": each.detach() for name, each in anchor.items()}
        loss = torch.stack(matching).sum()
        if anchor:
            loss = loss + self.config.anchor * torch.stack([*anchor.values()]).sum()
        return loss, parts

    def _fake_loss(
        self, task: ChunkTask, draw: Draw, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            condition, x0 = self.sample(task, draw)
        noise, sigma, noisy = self._noised(task, x0, generator)
        seen = condition.seen_by(self._scores[1], task.context)
        velocities = velocity(seen, noisy, sigma)
        losses = critic_loss(velocities, noise, x0)
        parts = dict(zip(_NAMES, losses, strict=True))
        for name, v, n, x in zip(_NAMES, velocities, noise, x0, strict=True):
            parts |= by_noise_level(name, (v - (n - x)).square(), sigma)
        parts |= self._grid(draw.step)
        return torch.stack(losses).sum(), parts

    def sample(self, task: ChunkTask, draw: Draw) -> tuple[Condition, Latents]:
        """Samples chunks with the student, up to the exit step of this update.

        Args:
            task: The chunks.
            draw: Of the exit step, which is the same for all samples and processes.

        Returns:
            What the student saw, and its prediction of clean latents.
        """
        exits = replace(draw, rank=0, group=f"{draw.group}-exit").generator()
        step = int(torch.randint(self.config.num_steps, (), generator=exits))
        condition = prefill(self.student_model, task.inputs, task.context)
        sampler = self.student_model.config.sampler
        return condition, sample_chunk(condition, sampler, task.noise, gradient_step=step)

    def _compare(
        self, condition: Condition, task: ChunkTask, x0: Latents, generator: torch.Generator
    ) -> MatchingGradient:
        _, sigma, noisy = self._noised(task, x0, generator)
        predictions = []
        for model in self._scores:
            velocities = velocity(condition.seen_by(model, task.context), noisy, sigma)
            predictions.append(
                tuple(
                    flow.x0_from_velocity(x, v, sigma)
                    for x, v in zip(noisy, velocities, strict=True)
                )
            )
        return matching_gradient(x0, real=predictions[0], fake=predictions[1])

    def _noised(
        self, task: ChunkTask, x0: Latents, generator: torch.Generator
    ) -> tuple[Latents, Tensor, Latents]:
        sampler = self.student_model.config.sampler
        shift = sampler.required("shift")
        sigma = score_sigma(len(x0[0]), generator, shift)

        def normal() -> Latents:
            return tuple(
                torch.randn(x.shape, generator=generator, device=generator.device) for x in x0
            )

        noise = scaled_noise(sampler, normal)()
        noisy = tuple(flow.add_noise(x, n, sigma) for x, n in zip(x0, noise, strict=True))
        return noise, sigma, noisy

    def _anchor(self, draw: Draw) -> dict[str, Tensor]:
        if not self.config.anchor:
            return {}
        return self._regression(self.student_model, replace(draw, group=f"{draw.group}-anchor"))

    def _spreads(self, x0: Latents) -> dict[str, Tensor]:
        """Standard deviations of the samples over those of the teacher's."""
        pairs = zip(_NAMES, x0, self._regression.pool.spread, strict=True)
        return {f"std_{name}": x.detach().std() / spread for name, x, spread in pairs}

    @staticmethod
    def normal(draw: Draw, like: Latents) -> Callable[[], Latents]:
        """Returns draws of standard normal latents that the losses of an update do not share."""
        device = like[0].device
        generator = replace(draw, group=f"{draw.group}-samples").generator(device)
        return lambda: tuple(torch.randn(x.shape, generator=generator, device=device) for x in like)
