"""What a row of the ablation table is: settings of training and streaming, and what it tests."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

MODEL = "streamchar_ref"
JOINT = "joint"
SPEECH = "speech"
"""The system that streams rows with weights."""
SETTINGS_OF_STAGE: Mapping[str, tuple[str, ...]] = {
    "distill_regress": ("num_steps", "motion_sigma", "visible"),
    "dmd_chunk": (),
    "dmd_rollout": ("max_chunks", "pointer"),
}
"""Stage of distillation -> settings of `DistillConfig` that are read from it on.

Rows that differ in a later setting share the earlier stages.
"""


class Group(StrEnum):
    """Where a row stands in the table."""

    REFERENCE = "reference"
    TEACHER = "teacher"
    STUDENT = "student"
    ABLATION = "ablation"
    RIVAL = "rival"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a row is trained and streamed.

    Attributes:
        system: Entry point of the system.
        preset: Of the model; by default that of the grid.
        start: Checkpoint of its teacher; by default that of the grid.
        stages: Trained after the teacher, in order; without any the teacher itself streams. The
            stage ``teacher`` trains it further, others make a student of it. With ``speech`` first,
            orchestrator and DiT begin anew: only prompt encoder and VAEs are the teacher's.
        num_steps: Steps of the sampler, in training and in streaming.
        streamed_steps: Steps in streaming where they differ from ``num_steps``; else 0.
        is_guided: Whether a teacher is guided; a student never is.
        visible: What later chunks may look back at, in training and in streaming.
        pointer: What moves the transcript window. In training ``oracle`` stands for ``own``.
        motion_sigma: Highest noise level of motion latents in training; ``None`` is the preset's.
        max_chunks: Longest rollout in training; ``None`` is the preset's.
        orchestrator: ``in_loop`` or ``once``, in training and in streaming; ``none`` needs networks
            that begin anew, see `model.config.without_orchestrator`.
        order: In which order picture and sound are denoised, in training and in streaming:
            ``joint``, ``sound_first`` or ``sound_given``.
        cached_chunks: Past chunks whose keys and values are kept, in training and in streaming; 0
            encodes the end of the previous chunk for each.
        temperature: Standard deviation of the noise that picture and sound start from, in the
            teacher's trajectories, in training and in streaming; ``None`` is the checkpoint's.
    """

    system: str = MODEL
    preset: str = ""
    start: str = ""
    stages: tuple[str, ...] = ()
    num_steps: int = 50
    streamed_steps: int = 0
    is_guided: bool = True
    visible: str = "full"
    pointer: str = "own"
    motion_sigma: float | None = None
    max_chunks: int | None = None
    orchestrator: str = "in_loop"
    order: str = JOINT
    cached_chunks: int = 0
    temperature: float | None = None

    @property
    def has_weights(self) -> bool:
        """Whether it streams a checkpoint."""
        return self.system == MODEL

    @property
    def is_trained(self) -> bool:
        """Whether it streams weights that the grid trains."""
        return bool(self.stages)

    @property
    def begins_anew(self) -> bool:
        """Whether orchestrator and DiT are trained from random weights."""
        return SPEECH in self.stages

    @property
    def is_student(self) -> bool:
        """Whether it is distilled from the teacher."""
        return any(stage in SETTINGS_OF_STAGE for stage in self.stages)

    @property
    def passes(self) -> int:
        """Passes of the picture through the DiT a chunk; 0 without weights.

        Guidance doubles them. A model that speaks first makes as many for the sound alone, which
        are of a fraction of the tokens.
        """
        if not self.has_weights:
            return 0
        steps = self.streamed_steps or self.num_steps
        return steps * (2 if self.is_guided and not self.is_student else 1)

    @property
    def config(self) -> tuple[str, ...]:
        """Parts of the model's config that differ from the teacher's, as ``path=value``."""
        changed = {
            "orchestrator.mode": None if self.orchestrator == "in_loop" else self.orchestrator,
            "order": None if self.order == JOINT else self.order,
            "dit.cached_chunks": self.cached_chunks or None,
            "sampler.temperature": self.temperature,
            "sampler.picture_temperature": self.temperature,
        }
        return tuple(f"{name}={value}" for name, value in changed.items() if value is not None)

    @property
    def distillation(self) -> dict[str, Any]:
        """Settings of `DistillConfig` that differ from the preset's."""
        changed = {
            "num_steps": self.num_steps,
            "motion_sigma": self.motion_sigma,
            "max_chunks": self.max_chunks,
            "visible": None if self.visible == "full" else self.visible,
            "pointer": self.pointer if self.pointer == "fixed_rate" else None,
        }
        return {name: value for name, value in changed.items() if value is not None}

    @property
    def streaming(self) -> dict[str, Any]:
        """Settings of the system, without checkpoint, device and label."""
        if not self.has_weights:
            return {}
        settings: dict[str, Any] = {
            "network": "student" if self.is_student else "plain",
            "num_steps": self.streamed_steps or self.num_steps,
            "context": self.visible,
            "pointer": self.pointer,
        }
        if self.is_student:
            return settings
        unguided = {} if self.is_guided else {"guidance": 1.0, "picture_guidance": 1.0}
        return settings | {"kind": "euler"} | unguided


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: Of the system in recordings and tables; lower case with underscores.
        group: Where it stands in the table.
        setup: How it is trained and streamed.
        tests: What it tests, one line.
        parent: Row from which it differs in one field, and with which it is compared.
        mirrors: The paper's row of the same kind; empty if there is none.
        also_against: Further rows that it is compared with.
    """

    name: str
    group: Group
    setup: Setup
    tests: str
    parent: str = ""
    mirrors: str = ""
    also_against: tuple[str, ...] = ()

    def child(
        self,
        name: str,
        tests: str,
        *,
        group: Group | None = None,
        mirrors: str = "",
        also_against: tuple[str, ...] = (),
        **change: Any,
    ) -> "Row":
        """Makes a row that differs from this one in one field.

        Args:
            name: Of the new row.
            tests: What it tests.
            group: By default that of this row.
            mirrors: The paper's row.
            also_against: Further rows that it is compared with.
            **change: The field of `Setup` and its value.

        Returns:
            The row.

        Raises:
            ValueError: If not exactly one field gets another value.
        """
        setup = replace(self.setup, **change)
        if len(changed_fields(self.setup, setup)) != 1:
            raise ValueError(f"{name} must differ from {self.name} in one field, not in {change}")
        return Row(
            name=name,
            group=group or self.group,
            setup=setup,
            tests=tests,
            parent=self.name,
            mirrors=mirrors,
            also_against=also_against,
        )


def changed_fields(before: Setup, after: Setup) -> dict[str, Any]:
    """Returns the fields in which two setups differ, with the second one's values."""
    names = [field.name for field in fields(Setup)]
    return {
        name: getattr(after, name)
        for name in names
        if getattr(after, name) != getattr(before, name)
    }
