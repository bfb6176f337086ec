"""Stage 0 of distillation: a student regresses where the guided teacher's trajectories end.

Beside it, a score is tuned on the same samples: a many-step model that needs no guidance, which
distribution matching takes for the true score.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.loop.config import OptimConfig, OptimGroup
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.sampler import scaled_noise, velocity
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.matching import critic_loss
from streamchar_ref.train.distill.regression import DitNetwork, TrajectoryRegression
from streamchar_ref.train.latent_losses import draw_sigma
from streamchar_ref.train.stages.distillation import distill_data, show_student
from streamchar_ref.train.stages.spec import StageSpec, budgets

STUDENT = OptimGroup(
    name="student", parts=("student.",), learning_rate=3e-4, muon=True, warmup_steps=20,
    weight_decay=0.0, ema_decay=0.99,
)  # fmt: skip
REAL_SCORE = OptimGroup(
    name="real_score", parts=("real_score.",), every=4, learning_rate=2e-4, muon=True,
    warmup_steps=20, weight_decay=0.0, ema_decay=0.98,
)  # fmt: skip


class RegressStage(Stage):
    """Trains a student and the true score on samples of the guided teacher.

    Args:
        teacher: The networks; student and score begin as copies of its DiT.
        regression: Loss of the student.
        config: Samplers of both.
        show: Writes samples of the student into a folder.
    """

    name = "distill_regress"

    def __init__(
        self,
        teacher: StreamChar,
        regression: TrajectoryRegression,
        config: DistillConfig,
        *,
        show: Callable[[Path, StreamChar], None] | None = None,
    ) -> None:
        super().__init__()
        self.student, self.real_score = DitNetwork(teacher.dit), DitNetwork(teacher.dit)
        self._models = {
            "student": teacher.with_dit(self.student.dit, config.sampler),
            "real_score": teacher.with_dit(self.real_score.dit, config.score_sampler),
        }
        self._regression, self._show = regression, show

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of student or score."""
        if draw.group == "student":
            parts = self._regression(self._models["student"], draw)
        else:
            parts = self._flow_matching(self._models["real_score"], draw)
        return torch.stack([*parts.values()]).sum(), parts

    def log_samples(self, folder: Path) -> None:
        """Writes samples of the student, if there is a function for it."""
        if self._show:
            self._show(folder, self._models["student"])

    def _flow_matching(self, model: StreamChar, draw: Draw) -> dict[str, Tensor]:
        """Flow matching of the teacher's samples, from noise of the student's temperature."""
        window, trajectories = self._regression.pool(draw)
        clean, generator = trajectories.clean, draw.generator(window.video.device)
        noise = scaled_noise(
            model.config.sampler,
            lambda: tuple(
                torch.randn(x.shape, generator=generator, device=x.device) for x in clean
            ),
        )()
        shift = model.config.sampler.required("shift")
        sigma: Float[Tensor, " B"] = draw_sigma(len(window.video), generator, shift)
        noisy = tuple(flow.add_noise(x, n, sigma) for x, n in zip(clean, noise, strict=True))
        velocities = velocity(prefill(model, window.inputs, window.context), noisy, sigma)
        video, audio = critic_loss(velocities, noise, clean)
        return {"video": video, "audio": audio}


def _make(config: DistillConfig, model: StreamChar, data: TrainingData) -> Stage:
    _, regression = distill_data(config, model, data)
    return RegressStage(model, regression, config, show=partial(show_student, model, data))


def spec(config: DistillConfig) -> StageSpec:
    """Returns the stage under these settings."""
    return StageSpec(
        name=RegressStage.name,
        make=partial(_make, config),
        options=config,
        kept_back=("real_score",),
        hands_over=("student.dit.", "real_score.dit."),
        samplers={"student": config.sampler, "real_score": config.score_sampler},
        needs=("prompt", "video_vae", "audio_vae", "teacher"),
        is_required=False,
        budgets=budgets(
            OptimConfig(batch=32, groups=(STUDENT, REAL_SCORE)),
            micro_minutes=28,
            base_minutes=4,
            base_batch=256,
        ),
    )
