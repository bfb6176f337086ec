"""How a stage is optimised: one update rule for all of its weights, or one for each group."""

from dataclasses import dataclass, fields, replace

from streamchar_ref.core.device import has_bfloat16
from streamchar_ref.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class UpdateRule:
    """How weights follow their gradient.

    Attributes:
        learning_rate: Peak.
        muon: Update the matrices inside transformer blocks with Muon, all else with AdamW.
        betas: Of AdamW.
        weight_decay: On matrices.
        warmup_steps: Steps of the linear rise to the peak.
        cooldown: Share of all steps, at the end, in which the rate falls linearly to 0.
        clip: Largest norm of the gradient.
        ema_decay: Of the exponential moving average of the weights, once it is warm; with 0 no
            average is kept and the weights themselves are the result.
    """

    learning_rate: float = 5e-4
    muon: bool = False
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    warmup_steps: int = 100
    cooldown: float = 0.4
    clip: float = 1.0
    ema_decay: float = 0.999

    def rate(self, step: int, num_steps: int) -> float:
        """Returns the learning rate of a step: warm-up, plateau, cooldown."""
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        fall = (num_steps - step) / max(1.0, self.cooldown * num_steps)
        return self.learning_rate * min(rise, max(0.0, min(1.0, fall)))


@dataclass(frozen=True, kw_only=True)
class OptimGroup(UpdateRule):
    """Weights of a stage that one loss trains, with their own optimiser, ratio and average.

    Attributes:
        name: Of the group and of its loss, see `stage.Draw.group`.
        parts: Prefixes of the names of its weights, such as ``student.``.
        every: The group is updated in every n-th step, beginning with the first.

    Raises:
        InputError: If ``every`` is not positive.
    """

    name: str
    parts: tuple[str, ...]
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"group {self.name!r} is updated every {self.every} steps")

    def is_due(self, step: int) -> bool:
        """Returns whether the group is updated in a step."""
        return step % self.every == 0

    def num_updates(self, num_steps: int) -> int:
        """Returns how often the group is updated in the first steps."""
        return -(-num_steps // self.every)


@dataclass(frozen=True, kw_only=True)
class OptimConfig(UpdateRule):
    """How a stage is optimised; its own update rule holds where there are no groups.

    Attributes:
        batch: Samples per step and process.
        num_steps: All steps; 0 estimates them from the time limit and the measured step time.
        seed: Of data and noise.
        save_every_s: Seconds between saves.
        log_every: Steps between rows of the log.
        snapshot_every: Steps between snapshots of the weights, for later comparison; 0 makes none.
        bfloat16: Whether products are computed in bfloat16, on devices that have instructions for
            it, see `on`.
        groups: Groups of weights with losses of their own; together they must hold every trained
            weight. Empty for a stage with one loss.
    """

    batch: int = 32
    num_steps: int = 0
    seed: int = 0
    save_every_s: float = 120.0
    log_every: int = 20
    snapshot_every: int = 0
    bfloat16: bool = True
    groups: tuple[OptimGroup, ...] = ()

    def on(self, device: str) -> "OptimConfig":
        """Returns how the stage is optimised on a device: in float32 where bfloat16 is emulated."""
        return replace(self, bfloat16=self.bfloat16 and has_bfloat16(device))

    def all_groups(self) -> tuple[OptimGroup, ...]:
        """Returns the groups; without any, one that has no name and holds all weights."""
        if self.groups:
            return self.groups
        rule = {each.name: getattr(self, each.name) for each in fields(UpdateRule)}
        return (OptimGroup(name="", parts=("",), **rule),)
