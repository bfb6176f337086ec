"""Settings of distillation, common to its stages."""

from dataclasses import asdict, dataclass
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import VISIBLE

POINTERS = ("own", "fixed_rate")


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """How a student is distilled; each ablation changes one field.

    Attributes:
        num_steps: Steps of the student's sampler. A student of 4 steps also samples with 1 or 2,
            whose noise levels are among its own.
        trajectory_steps: Steps of ``ab2`` in which the guided teacher is integrated.
        num_windows: Guided trajectories that the student regresses.
        window_batch: Windows that are integrated together; no batch of training is larger.
        motion_sigma: Highest noise level of the motion latents in training windows.
        fake_updates: Updates of the fake score for each update of the student.
        student_rate: Learning rate of the student in distribution matching; at 2e-5 ``micro`` ran
            away from its teacher within 30 steps.
        fake_rate: Learning rate of the fake score, a multiple of the student's.
        anchor: Weight of the regression beside distribution matching.
        max_chunks: Longest rollout.
        num_streams: Streams that are rolled out together.
        ramp_updates: Steps after which the longest rollout grows by a chunk, from 2 on.
        visible: What rollouts may look back at, see `ContextOptions`.
        pointer: What moves the transcript window in rollouts: the model's ``own`` pointer, or
            ``fixed_rate``.
        phonemes_per_s: Of the fixed rate.
        max_ratio: Sign of divergence, see `MatchingGradient`: above it the picture over-saturates
            and the sound breaks soon after.
        max_spread: Sign of divergence: standard deviation of the student's video latents over
            that of the guided teacher's.
        max_grid_ratio: Sign of divergence: loss of the fake score on a fixed grid over that of the
            true score, see `CriticGrid`. ``None`` is no limit: it is logged alone, until healthy
            runs have been logged that say where a limit belongs.

    Raises:
        InputError: If a value is out of its range, or the student's noise levels are not among
            those of the trajectories.
    """

    num_steps: int = 4
    trajectory_steps: int = 8
    num_windows: int = 3_200
    window_batch: int = 32
    motion_sigma: float = 0.3
    fake_updates: int = 2
    student_rate: float = 1e-5
    fake_rate: float = 1e-4
    anchor: float = 0.1
    max_chunks: int = 24
    num_streams: int = 16
    ramp_updates: int = 3
    visible: str = "full"
    pointer: str = "own"
    phonemes_per_s: float = 11.2
    max_ratio: float = 0.6
    max_spread: float = 1.15
    max_grid_ratio: float | None = None

    def __post_init__(self) -> None:
        positive = ("num_steps", "num_windows", "window_batch", "fake_updates", "max_chunks")
        for name in (*positive, "num_streams", "ramp_updates"):
            if getattr(self, name) < 1:
                raise InputError(f"distill.{name} is at least 1, not {getattr(self, name)}")
        if self.trajectory_steps < 1 or self.trajectory_steps % self.num_steps:
            raise InputError(
                f"distill.trajectory_steps is a multiple of num_steps, {self.num_steps}, not "
                f"{self.trajectory_steps}"
            )
        if self.fake_updates > 10:
            raise InputError(
                f"distill.fake_updates is at most 10, the steps between rows of the log, where "
                f"divergence is looked for; not {self.fake_updates}"
            )
        if not 0 <= self.motion_sigma <= 1:
            raise InputError(f"distill.motion_sigma lies in [0, 1], it is {self.motion_sigma}")
        if not (self.student_rate > 0 and self.fake_rate > 0):
            raise InputError("distill.student_rate and distill.fake_rate are positive")
        if self.anchor < 0 or not self.phonemes_per_s > 0:
            raise InputError("distill.anchor is not negative, distill.phonemes_per_s is positive")
        if self.max_grid_ratio is not None and not self.max_grid_ratio > 1:
            raise InputError(
                f"distill.max_grid_ratio is above 1, where a fake score begins; not "
                f"{self.max_grid_ratio}"
            )
        for name, known in (("visible", VISIBLE), ("pointer", POINTERS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"distill.{name} is one of {', '.join(known)}, not {getattr(self, name)!r:.60}"
                )

    @property
    def values(self) -> dict[str, Any]:
        """All fields by name; what earlier versions did not have is left out at its default."""
        values = asdict(self)
        if self.max_grid_ratio is None:
            del values["max_grid_ratio"]
        return values

    @property
    def sampler(self) -> SamplerConfig:
        """How the student samples; what it leaves open is the teacher's."""
        return SamplerConfig(
            kind="renoise", num_steps=self.num_steps, guidance=1.0, picture_guidance=1.0
        )

    @property
    def score_sampler(self) -> SamplerConfig:
        """How the scores sample, which need no guidance."""
        return SamplerConfig(
            kind="ab2", num_steps=self.trajectory_steps, guidance=1.0, picture_guidance=1.0
        )

    def longest_rollout(self, step: int) -> int:
        """Returns the longest rollout in a step of the curriculum, in chunks."""
        return min(self.max_chunks, 2 + step // self.ramp_updates)


_PRESETS = {
    "tiny": DistillConfig(
        num_windows=16,
        window_batch=4,
        max_chunks=4,
        num_streams=4,
        ramp_updates=1,
        max_ratio=9.0,
        max_spread=9.0,
    ),
    "base": DistillConfig(num_windows=25_600, window_batch=256, num_streams=128),
}


def distill_config(preset: str) -> DistillConfig:
    """Returns how a preset is distilled by default."""
    return _PRESETS.get(preset, DistillConfig())
