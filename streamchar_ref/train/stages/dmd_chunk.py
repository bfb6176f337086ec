"""Stage I of distillation: distribution matching on single chunks of true clips."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from streamchar_ref.loop.config import OptimConfig, OptimGroup
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.dmd import ChunkTask, DmdStage
from streamchar_ref.train.stages.distillation import distill_data, show_student
from streamchar_ref.train.stages.spec import Budget, StageSpec, budgets
from streamchar_ref.train.windows import TrainingWindow


class DmdChunkStage(DmdStage):
    """Distribution matching in the perfect past of true clips.

    Args:
        teacher: See `DmdStage`.
        config: See `DmdStage`.
        windows: Draws a batch.
        **more: See `DmdStage`.
    """

    name = "dmd_chunk"

    def __init__(
        self,
        teacher: StreamChar,
        config: DistillConfig,
        *,
        windows: Callable[[Draw], TrainingWindow],
        **more: Any,
    ) -> None:
        super().__init__(teacher, config, **more)
        self._windows = windows

    def chunk_task(self, draw: Draw) -> ChunkTask:
        """Draws windows of true clips."""
        window = self._windows(draw)
        return ChunkTask(
            inputs=window.inputs,
            context=window.context,
            noise=self.normal(draw, (window.video, window.audio)),
        )


def dmd_groups(config: DistillConfig) -> tuple[OptimGroup, OptimGroup]:
    """Returns how student and fake score are optimised.

    The fake score is fast, since a small network that has no great prior must follow the student;
    the student is slow, else it runs away.

    Args:
        config: Of distillation.

    Returns:
        Groups of weights.
    """
    student = OptimGroup(
        name="student",
        parts=("student.",),
        every=config.fake_updates,
        learning_rate=config.student_rate,
        betas=(0.0, 0.999),
        weight_decay=0.0,
        warmup_steps=10,
        ema_decay=0.97,
    )
    fake_score = OptimGroup(
        name="fake_score",
        parts=("fake_score.",),
        learning_rate=config.fake_rate,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        warmup_steps=10,
        ema_decay=0.0,
    )
    return student, fake_score


def _make(config: DistillConfig, model: StreamChar, data: TrainingData) -> Stage:
    windows, regression = distill_data(config, model, data)
    return DmdChunkStage(
        model,
        config,
        windows=windows,
        regression=regression,
        show=partial(show_student, model, data),
    )


def dmd_spec(
    name: str,
    make: Callable[[StreamChar, TrainingData], Stage],
    config: DistillConfig,
    budgets: Mapping[str, Budget],
) -> StageSpec:
    """Returns a stage of distribution matching; Stages I and II differ in what is given here."""
    return StageSpec(
        name=name,
        make=make,
        options=config,
        kept_back=("fake_score",),
        hands_over=("student.dit.", "fake_score.dit."),
        samplers={"student": config.sampler, "fake_score": config.score_sampler},
        needs=("teacher", "distill_regress"),
        needs_networks=("student", "real_score"),
        begins_as={"fake_score.": "real_score."},
        is_required=False,
        budgets=budgets,
    )


def spec(config: DistillConfig) -> StageSpec:
    """Returns the stage under these settings."""
    of_presets = budgets(
        OptimConfig(batch=16, groups=dmd_groups(config), log_every=10, save_every_s=60),
        micro_minutes=12,
        base_minutes=4,
        base_batch=256,
    )
    return dmd_spec(DmdChunkStage.name, partial(_make, config), config, of_presets)
