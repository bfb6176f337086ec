"""What the stages of distillation share: training windows and guided trajectories."""

from dataclasses import asdict
from pathlib import Path

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.orders import JOINT
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.regression import TrajectoryRegression
from streamchar_ref.train.distill.trajectories import trajectory_pool
from streamchar_ref.train.samples import chunk_samples
from streamchar_ref.train.stages.latent_windows import (
    BOTH,
    chunk_clips,
    clip_sensitivity,
    preview_window,
    window_source,
)
from streamchar_ref.train.windows import WindowPool


def distill_augmentation(config: DistillConfig) -> ContextAugmentation:
    """Returns how the context of training windows is degraded: as streams degrade it, no more."""
    return ContextAugmentation(
        motion_noise=0.5,
        motion_sigma=config.motion_sigma,
        motion_drop=0.0,
        sink_drop=0.1,
        reference_drop=0.0,
        prompt_drop=0.0,
        history_sigma=0.3,
        history_drop=0.0,
        pointer_off=0.2,
        pointer_phonemes=2,
        visible=config.visible,
    )


def distill_data(
    config: DistillConfig, teacher: StreamChar, data: TrainingData
) -> tuple[WindowPool, TrajectoryRegression]:
    """Makes the windows of distillation, and the trajectories of the guided teacher on them.

    Args:
        config: How many and how.
        teacher: All networks trained.
        data: Of the run; what is missing is made.

    Returns:
        Windows, and the loss of regression.

    Raises:
        InputError: If the teacher does not denoise picture and sound together, or has no
            orchestrator.
    """
    if not teacher.config.has_orchestrator:
        raise InputError(
            "a teacher without an orchestrator has no student: rollouts move the transcript by a "
            "pointer; stream the teacher itself"
        )
    if teacher.config.order != JOINT:
        raise InputError(
            f"a teacher of order={teacher.config.order} has no student: distillation is of picture "
            "and sound together; stream the teacher itself"
        )
    teacher.requires_grad_(False).eval()
    clips = chunk_clips(teacher, data, *BOTH)
    augmentation = distill_augmentation(config)
    windows = window_source(teacher, clips, augmentation)
    pool = trajectory_pool(
        teacher,
        windows,
        config,
        data.folder,
        origin={
            "corpus": data.corpus.digest,
            "clips": len(clips),
            "data_seed": data.seed,
            "augmentation": asdict(augmentation),
        },
        seed=data.seed,
        progress=lambda what, done, total: data.progress(f"{what} {done}/{total}"),
    )
    return windows, TrajectoryRegression(pool, clip_sensitivity(teacher, clips))


def show_student(
    teacher: StreamChar, data: TrainingData, folder: Path, student: StreamChar
) -> None:
    """Writes samples of a student on held-out windows, below the truth."""
    window = preview_window(teacher, data, *BOTH)
    if window is not None:
        chunk_samples(folder, student, window)
