"""Settings of the chunk sampler."""

from dataclasses import dataclass, fields, replace
from typing import Any

KINDS = ("euler", "ab2", "renoise")


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How the latents of a chunk are sampled.

    A checkpoint holds one without ``None``; elsewhere ``None`` stands for the checkpoint's value,
    see `over`.

    Attributes:
        num_steps: Evaluations of the model a chunk (twice as many with guidance).
        shift: Moves the noise levels towards 1, see `flow.shifted_sigmas`. Training draws its
            noise levels with it, too.
        kind: ``euler``; ``ab2``, second-order Adams-Bashforth on the same grid; ``renoise``
            predicts clean latents and adds fresh noise, for few-step students.
        guidance: Scale of classifier-free guidance of the audio by the audio condition. If this
            and the next are 1 it costs nothing, else a second pass through the DiT.
        picture_guidance: The same for the video.
        temperature: Standard deviation of the starting noise of the audio; below 1 the speech is
            more regular than what was seen in training.
        picture_temperature: The same for the video.

    Source:
        Temperatures: as in Mehta et al., Matcha-TTS, arXiv:2309.03199, for speech.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_steps: int | None = None
    shift: float | None = None
    kind: str | None = None
    guidance: float | None = None
    picture_guidance: float | None = None
    temperature: float | None = None
    picture_temperature: float | None = None

    def __post_init__(self) -> None:
        if self.num_steps is not None and not (type(self.num_steps) is int and self.num_steps > 0):
            raise ValueError(f"sampler.num_steps is a whole number from 1 on: {self.num_steps!r}")
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"sampler.kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        for name in ("shift", "temperature", "picture_temperature"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"sampler.{name} must be above 0, not {value}")
        for name in ("guidance", "picture_guidance"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"sampler.{name} must not be negative, not {value}")

    def over(self, defaults: "SamplerConfig") -> "SamplerConfig":
        """Returns ``defaults`` with every value that is set here in its place."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(defaults, **{n: value for n, value in chosen.items() if value is not None})

    def required(self, name: str) -> Any:
        """Returns a value that sampling cannot do without.

        Args:
            name: Of the field.

        Returns:
            Its value.

        Raises:
            ValueError: If it is not set.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"sampler.{name} is not set; take the checkpoint's, see over()")
        return value


DEFAULT = SamplerConfig(
    num_steps=50,
    shift=1.0,
    kind="euler",
    guidance=1.0,
    picture_guidance=1.0,
    temperature=1.0,
    picture_temperature=1.0,
)
"""Of a model without guidance."""
