"""Distribution matching on a mixture of five Gaussians, told by the energy distance to the data.

Two samples of the data differ by less than 0.002.
"""

import math

import pytest
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from streamchar_ref.sampling.flow import shifted_sigmas
from tests.streamchar_ref.train.distill.toy_dmd import (
    BATCH,
    DmdSettings,
    ToyDmd,
    ToyVelocity,
    draw,
    train_teacher,
)

ANGLES = torch.arange(5) * 2 * math.pi / 5
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
WEIGHTS = torch.tensor([0.3, 0.25, 0.2, 0.15, 0.1])
DEVIATION = 0.1
ONE_STEP, FOUR_STEPS = shifted_sigmas(1), shifted_sigmas(4)


def mixture(count: int, generator: Generator) -> Float[Tensor, "B 2"]:
    mode = torch.multinomial(WEIGHTS, count, replacement=True, generator=generator)
    return CENTRES[mode] + DEVIATION * torch.randn(count, 2, generator=generator)


def nothing(generator: Generator) -> Float[Tensor, "B 0"]:
    return torch.zeros(BATCH, 0)


def energy_distance(network: ToyVelocity, sigmas: tuple[float, ...]) -> float:
    generator = Generator().manual_seed(99)
    with torch.no_grad():
        samples = draw(network, torch.zeros(2000, 0), sigmas, generator)
    data = mixture(2000, generator)
    between, within, of_data = (
        torch.cdist(a, b).mean() for a, b in ((samples, data), (samples, samples), (data, data))
    )
    return float(2 * between - within - of_data)


@pytest.fixture(scope="module")
def teacher() -> ToyVelocity:
    torch.manual_seed(0)
    network = ToyVelocity(2, 0)
    return train_teacher(network, lambda g: (mixture(BATCH, g), nothing(g)), updates=800)


def distilled(teacher: ToyVelocity, settings: DmdSettings, seed: int = 1) -> float:
    student = ToyDmd(teacher, settings, seed).run(nothing)
    return energy_distance(student, settings.sigmas)


def test_a_student_of_one_step_comes_near_the_data(teacher: ToyVelocity) -> None:
    before = energy_distance(teacher, ONE_STEP)
    after = distilled(teacher, DmdSettings(updates=200, sigmas=ONE_STEP))
    assert after < before / 8
    assert after < energy_distance(teacher, FOUR_STEPS)


def test_a_student_of_four_steps_beats_the_teacher_at_its_steps(teacher: ToyVelocity) -> None:
    before = energy_distance(teacher, FOUR_STEPS)
    assert distilled(teacher, DmdSettings(updates=250, sigmas=FOUR_STEPS)) < 0.75 * before
