"""Distribution matching on a ring of five Gaussians, of which two classes share one.

A quality is told by the energy distance to the data of each class, where two samples of the data
differ by about 0.002, and by the spread of samples against that of the data.
"""

import math
from typing import NamedTuple

import pytest
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from streamchar_ref.sampling import flow
from streamchar_ref.sampling.flow import shifted_sigmas
from tests.streamchar_ref.train.distill.toy_dmd import (
    BATCH,
    DmdSettings,
    ToyDmd,
    ToyVelocity,
    draw,
    guided_velocity,
    train_teacher,
)

ANGLES = torch.arange(5) * 2 * math.pi / 5
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
WEIGHTS = torch.tensor([[0.5, 0.3, 0.2, 0.0, 0.0], [0.0, 0.0, 0.2, 0.3, 0.5]])
DEVIATION = 0.1
ONE_STEP, FOUR_STEPS = shifted_sigmas(1), shifted_sigmas(4)
COPIED = DmdSettings(
    updates=150,
    sigmas=shifted_sigmas(4, 5.0),
    score_shift=5.0,
    fake_rate=2e-5,
    guidance=4.0,
)
"""Of public recipes for video models of billions of weights: much noise for student and scores, a
fake score five times slower than the student, and guidance of the real score."""

EVALUATED = torch.eye(2).repeat(1000, 1)


def ring(context: Float[Tensor, "B 2"], generator: Generator) -> Float[Tensor, "B 2"]:
    """Draws data of the classes that a context names."""
    mode = torch.multinomial(context @ WEIGHTS, 1, generator=generator)[:, 0]
    return CENTRES[mode] + DEVIATION * torch.randn(len(mode), 2, generator=generator)


def classes(generator: Generator) -> Float[Tensor, "B 2"]:
    return torch.eye(2)[torch.randint(2, (BATCH,), generator=generator)]


def with_dropped_classes(generator: Generator) -> tuple[Tensor, Tensor]:
    context = classes(generator)
    kept = torch.rand(BATCH, 1, generator=generator) > 0.2
    return ring(context, generator), context * kept


class Quality(NamedTuple):
    distance: float
    spread: float


def quality(samples: Float[Tensor, "B 2"]) -> Quality:
    """Compares samples of `EVALUATED` with data."""
    data = ring(EVALUATED, Generator().manual_seed(99))
    distances = [energy_distance(samples[k::2], data[k::2]) for k in range(2)]
    return Quality(sum(distances) / 2, float(samples.std() / data.std()))


def energy_distance(samples: Float[Tensor, "A 2"], data: Float[Tensor, "B 2"]) -> float:
    pairs = (samples, data), (samples, samples), (data, data)
    between, within, of_data = (torch.cdist(a, b).mean() for a, b in pairs)
    return float(2 * between - within - of_data)


@torch.no_grad()
def student_quality(network: ToyVelocity, sigmas: tuple[float, ...]) -> Quality:
    return quality(draw(network, EVALUATED, sigmas, Generator().manual_seed(98)))


@torch.no_grad()
def guided_quality(teacher: ToyVelocity, guidance: float) -> Quality:
    """Of 30 Euler steps."""
    noise = torch.randn(len(EVALUATED), 2, generator=Generator().manual_seed(98))

    def velocity(xs: flow.Latents, sigma: Tensor) -> flow.Latents:
        return (guided_velocity(teacher, xs[0], sigma, EVALUATED, guidance),)

    return quality(flow.euler(velocity, (noise,), shifted_sigmas(30))[0])


@pytest.fixture(scope="module")
def teacher() -> ToyVelocity:
    torch.manual_seed(0)
    return train_teacher(ToyVelocity(2, 2), with_dropped_classes, updates=800)


class Distilled(NamedTuple):
    quality: Quality
    last_ratio: float


def distilled(teacher: ToyVelocity, settings: DmdSettings, seed: int = 1) -> Distilled:
    dmd = ToyDmd(teacher, settings, seed)
    student = dmd.run(classes)
    last = dmd.ratios[-40:]
    return Distilled(student_quality(student, settings.sigmas), sum(last) / len(last))


@pytest.mark.slow
def test_a_student_of_one_step_comes_near_the_data(teacher: ToyVelocity) -> None:
    student = distilled(teacher, DmdSettings(updates=200, sigmas=ONE_STEP))
    assert student.quality.distance < student_quality(teacher, ONE_STEP).distance / 4
    assert student.quality.distance < student_quality(teacher, FOUR_STEPS).distance
    assert 0.85 < student.quality.spread < 1.15


def test_a_student_of_four_steps_beats_the_teacher_at_its_steps(teacher: ToyVelocity) -> None:
    student = distilled(teacher, DmdSettings(updates=200, sigmas=FOUR_STEPS))
    assert student.quality.distance < 0.7 * student_quality(teacher, FOUR_STEPS).distance
    assert 0.85 < student.quality.spread < 1.15
    assert student.last_ratio < 0.75


def test_settings_copied_from_large_models_overshoot_even_the_guided_teacher(
    teacher: ToyVelocity,
) -> None:
    student, goal = distilled(teacher, COPIED), guided_quality(teacher, COPIED.guidance)
    assert student.quality.distance > student_quality(teacher, COPIED.sigmas).distance
    assert student.quality.distance > 2 * goal.distance
    assert student.quality.spread > 1.4 * goal.spread
    assert student.last_ratio > 0.85
