"""What a stage of training declares of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.distill.config import DistillConfig


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a stage may use with one preset.

    Attributes:
        minutes: Time of training.
        optim: How the stage is optimised.
    """

    minutes: float
    optim: OptimConfig


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """A stage of training: the one place that says everything about it.

    Attributes:
        name: As on the command line, and of its folder in a run.
        make: Builds the stage around the networks of a model, whose earlier stages are trained,
            and the data that it learns from.
        hands_over: Prefixes of the weights in its state that go into a checkpoint, by name in
            `StreamChar`; those of one of several networks have its name before them, such as
            ``student.dit.``. Where an earlier stage or ``--from`` has handed over weights of such
            a network, training begins with them.
        budgets: By preset.
        needs: Stages that must have been trained before.
        is_required: Whether a whole model needs it.
        kept_back: Networks that only later stages need: no exported checkpoint holds them.
        needs_networks: Networks whose weights earlier stages or ``--from`` must have handed over.
        begins_as: Prefixes of a network and of the one whose weights it begins with, where it has
            none of its own.
        options: Settings of the stage that are no part of the model's config; written beside its
            weights, and a run is resumed with the same ones only.
        samplers: How each of several networks that it hands over is sampled, by its name; ``None``
            in one is the value of the run's config.
    """

    name: str
    make: Callable[[StreamChar, TrainingData], Stage]
    hands_over: tuple[str, ...]
    budgets: Mapping[str, Budget]
    needs: tuple[str, ...] = ()
    is_required: bool = True
    kept_back: tuple[str, ...] = ()
    needs_networks: tuple[str, ...] = ()
    begins_as: Mapping[str, str] = field(default_factory=dict)
    options: DistillConfig | None = None
    samplers: Mapping[str, SamplerConfig] = field(default_factory=dict)

    def budget(self, preset: str) -> Budget:
        """Returns what the stage may use with a preset.

        Args:
            preset: Its name.

        Returns:
            Time and optimisation.

        Raises:
            InputError: If the stage has none for this preset.
        """
        if preset not in self.budgets:
            known = ", ".join(self.budgets)
            raise InputError(f"stage {self.name} has a budget for {known}, not for {preset!r:.60}")
        return self.budgets[preset]


def budgets(
    optim: OptimConfig, *, micro_minutes: float, base_minutes: float, base_batch: int
) -> dict[str, Budget]:
    """Derives the budgets of all trained presets from that of two CPU cores.

    Args:
        optim: Of ``micro``.
        micro_minutes: On two CPU cores.
        base_minutes: On one H100.
        base_batch: Samples a step of ``base``.

    Returns:
        Budgets by preset.
    """
    micro = Budget(minutes=micro_minutes, optim=optim)
    return {
        "tiny": Budget(minutes=0.2, optim=replace(optim, batch=4, log_every=5)),
        "micro": micro,
        "paper_faithful": micro,
        "monolithic": micro,
        "base": Budget(
            minutes=base_minutes, optim=replace(optim, batch=base_batch, ema_decay=0.999)
        ),
    }
