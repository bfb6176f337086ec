"""Distribution matching at the size of a toy: a small velocity network and the loop of DMD.

What is under test is the package's own: `flow.renoise` draws the samples of a student, `matching`
gives the losses. Shape letters: B samples, X values of one, C values of its context.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from streamchar_ref.loop.ema import update_mean, use_mean
from streamchar_ref.sampling import flow
from streamchar_ref.train.distill import matching

BATCH = 256
_FREQUENCIES = torch.exp(torch.linspace(0.0, 5.0, 8))

Contexts = Callable[[Generator], Float[Tensor, "B C"]]
Data = Callable[[Generator], tuple[Float[Tensor, "B X"], Float[Tensor, "B C"]]]


class ToyVelocity(nn.Module):
    """A residual MLP that predicts the velocity of a sample in its context."""

    def __init__(self, num_values: int, num_context: int, width: int = 64) -> None:
        super().__init__()
        self.num_values = num_values
        self.read = nn.Linear(num_values + num_context + 2 * len(_FREQUENCIES), width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(3))
        self.write = nn.Linear(width, num_values)

    def forward(
        self, x: Float[Tensor, "B X"], sigma: Float[Tensor, " B"], context: Float[Tensor, "B C"]
    ) -> Float[Tensor, "B X"]:
        """Returns the velocity at noise level ``sigma``."""
        phase = sigma[:, None] * _FREQUENCIES
        hidden = self.read(torch.cat([x, context, phase.sin(), phase.cos()], dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.write(hidden)


def _block(width: int) -> nn.Module:
    middle = nn.Linear(width, 2 * width)
    return nn.Sequential(nn.LayerNorm(width), middle, nn.SiLU(), nn.Linear(2 * width, width))


def guided_velocity(
    network: ToyVelocity,
    x: Float[Tensor, "B X"],
    sigma: Float[Tensor, " B"],
    context: Float[Tensor, "B C"],
    guidance: float,
) -> Float[Tensor, "B X"]:
    """Moves a velocity away from that in a context of zeros; 1 leaves it."""
    velocity = network(x, sigma, context)
    if guidance == 1.0:
        return velocity
    return torch.lerp(network(x, sigma, torch.zeros_like(context)), velocity, guidance)


def draw(
    network: ToyVelocity,
    context: Float[Tensor, "B C"],
    sigmas: tuple[float, ...],
    generator: Generator,
    gradient_step: int | None = None,
) -> Float[Tensor, "B X"]:
    """Draws samples with the steps of a student."""

    def noise() -> flow.Latents:
        return (torch.randn(len(context), network.num_values, generator=generator),)

    def velocity(xs: flow.Latents, sigma: Tensor) -> flow.Latents:
        return (network(xs[0], sigma, context),)

    (x0,) = flow.renoise(velocity, noise(), sigmas, fresh_noise=noise, gradient_step=gradient_step)
    return x0


def train_teacher(network: ToyVelocity, data: Data, *, updates: int) -> ToyVelocity:
    """Trains a network by flow matching and gives it its averaged weights."""
    generator = Generator().manual_seed(0)
    optim = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.0, fused=True)
    decay = torch.optim.lr_scheduler.LambdaLR(
        optim, lambda done: min(1.0, (done + 1) / 50) * math.cos(math.pi / 2 * done / updates) ** 2
    )
    mean = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    for done in range(updates):
        x0, context = data(generator)
        noise = torch.randn(x0.shape, generator=generator)
        sigma = torch.sigmoid(torch.randn(len(x0), generator=generator))
        velocity = network(flow.add_noise(x0, noise, sigma), sigma, context)
        _step(optim, matching.critic_loss((velocity,), (noise,), (x0,))[0])
        decay.step()
        update_mean(mean, network.named_parameters(), decay=0.99, num_updates=done + 1)
    use_mean(mean, network)
    return network


@dataclass(frozen=True)
class DmdSettings:
    """What decides whether distribution matching converges.

    Attributes:
        updates: Of the student.
        sigmas: Noise levels of the student, from 1 to 0.
        score_shift: Of the noise levels at which the scores are compared.
        rate: Learning rate of the student.
        fake_rate: Learning rate of the fake score.
        fake_updates: For each one of the student.
        guidance: Of the real score, as `guided_velocity` has it.
    """

    updates: int
    sigmas: tuple[float, ...]
    score_shift: float = 1.0
    rate: float = 1e-4
    fake_rate: float = 1e-3
    fake_updates: int = 5
    guidance: float = 1.0


class ToyDmd:
    """Student and fake score, both of which start as copies of the teacher.

    Attributes:
        student: After `run`, with its averaged weights.
        ratios: Of each update of the student, as `matching.MatchingGradient` has it.
    """

    def __init__(self, teacher: ToyVelocity, settings: DmdSettings, seed: int = 0) -> None:
        self.student, self.ratios = copy.deepcopy(teacher), list[float]()
        self._teacher, self._fake = teacher, copy.deepcopy(teacher)
        self._settings, self._generator = settings, Generator().manual_seed(seed)
        self._optim = _adam(self.student, settings.rate, momentum=0.0)
        self._fake_optim = _adam(self._fake, settings.fake_rate, momentum=0.9)

    def run(self, contexts: Contexts) -> ToyVelocity:
        """Trains the student on contexts that are drawn anew for every update."""
        mean = {name: weight.detach().clone() for name, weight in self.student.named_parameters()}
        for done in range(self._settings.updates):
            for _ in range(self._settings.fake_updates):
                self._update_fake(contexts(self._generator))
            self._update_student(contexts(self._generator))
            update_mean(mean, self.student.named_parameters(), decay=0.98, num_updates=done + 1)
        use_mean(mean, self.student)
        return self.student

    def _update_fake(self, context: Float[Tensor, "B C"]) -> None:
        with torch.no_grad():
            x0 = self._draw(context)
        x, noise, sigma = self._noised(x0)
        velocity = self._fake(x, sigma, context)
        _step(self._fake_optim, matching.critic_loss((velocity,), (noise,), (x0,))[0])

    def _update_student(self, context: Float[Tensor, "B C"]) -> None:
        x0 = self._draw(context)
        x, _, sigma = self._noised(x0.detach())
        with torch.no_grad():
            guidance = self._settings.guidance
            velocities = (
                guided_velocity(self._teacher, x, sigma, context, guidance),
                self._fake(x, sigma, context),
            )
            real, fake = (flow.x0_from_velocity(x, v, sigma) for v in velocities)
        gradient, (ratio,) = matching.matching_gradient((x0,), real=(real,), fake=(fake,))
        _step(self._optim, matching.matching_loss((x0,), gradient)[0])
        self.ratios.append(float(ratio))

    def _draw(self, context: Float[Tensor, "B C"]) -> Float[Tensor, "B X"]:
        sigmas = self._settings.sigmas
        step = int(torch.randint(len(sigmas) - 1, (1,), generator=self._generator))
        return draw(self.student, context, sigmas, self._generator, gradient_step=step)

    def _noised(
        self, x0: Float[Tensor, "B X"]
    ) -> tuple[Float[Tensor, "B X"], Float[Tensor, "B X"], Float[Tensor, " B"]]:
        sigma = matching.score_sigma(len(x0), self._generator, self._settings.score_shift)
        noise = torch.randn(x0.shape, generator=self._generator)
        return flow.add_noise(x0, noise, sigma), noise, sigma


def _adam(network: nn.Module, rate: float, *, momentum: float) -> torch.optim.Optimizer:
    betas = (momentum, 0.999)
    return torch.optim.AdamW(network.parameters(), rate, betas, weight_decay=0.0, fused=True)


def _step(optim: torch.optim.Optimizer, loss: Tensor) -> None:
    optim.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(optim.param_groups[0]["params"], 10.0)
    optim.step()
