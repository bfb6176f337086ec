"""Distribution matching distillation (DMD): the losses of student and fake score.

The student learns to draw from the distribution of the real score, the teacher. A fake score
follows what the student draws; where the two scores disagree about a noised sample of the student
is where the student's distribution has too much or too little.

    gradient = (mu_fake - mu_real) / mean|x0 - mu_real|        mu = predicted clean data

Source:
    Yin et al., One-step Diffusion with Distribution Matching Distillation, arXiv:2311.18828,
    Eq. 7 and 8 (DMD); Yin et al., arXiv:2405.14867 (DMD2: several steps, a fake score updated
    more often than the student); Huang et al., Self Forcing, arXiv:2506.08009 (rollouts).

Shape letters: b samples.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from streamchar_ref.sampling.flow import Latents, shifted

SCORE_SIGMA_RANGE = (0.02, 0.98)
"""Beyond, one of the two scores has nothing to tell: all is noise, or all is seen."""

_MIN_DISTANCE = 1e-3
"""Of a sample from the real score's prediction, so that a perfect sample is not divided by 0."""


class MatchingGradient(NamedTuple):
    """Where the distribution of a student differs from that of the real score.

    Attributes:
        gradient: With respect to the student's samples and of their shapes, without graph.
        ratio: Of each modality, a scalar: ``mean|mu_fake - mu_real| / mean|x0 - mu_real|``,
            averaged over samples. It stays high when a run diverges, unless the fake score lags
            behind the student: watch the spread of its samples too. NaN if a prediction or a
            sample is not finite, so test ``ratio <= limit``, which NaN fails.
    """

    gradient: Latents
    ratio: tuple[Tensor, ...]


def score_sigma(count: int, generator: torch.Generator, shift: float) -> Float[Tensor, " count"]:
    """Draws the noise levels at which student and scores are compared.

    Args:
        count: One level a sample, common to its modalities.
        generator: Source of randomness; the levels are on its device.
        shift: As of `flow.shifted_sigmas`; 1 draws evenly.

    Returns:
        Levels within `SCORE_SIGMA_RANGE`.
    """
    even = torch.rand(count, generator=generator, device=generator.device)
    return shifted(even, shift).clamp(*SCORE_SIGMA_RANGE)


@torch.no_grad()
def matching_gradient(x0: Latents, *, real: Latents, fake: Latents) -> MatchingGradient:
    """Compares what the two scores predict from noised samples of the student.

    Each modality of each sample is divided by its own distance from the real prediction, so that
    neither noise level nor modality decides how strongly a sample pulls.

    Args:
        x0: Samples of the student, [b, ...] of each modality.
        real: Clean data that the real score predicts from them.
        fake: Clean data that the fake score predicts from them.

    Returns:
        Gradient in float32, with 0 for entries that are not finite, and its ratio.

    Source:
        DMD, arXiv:2311.18828, Eq. 8; a normaliser per modality as in Su et
        al., OmniForcing, arXiv:2603.11647.
    """
    parts = [_compare(*of_one) for of_one in zip(x0, real, fake, strict=True)]
    gradients, ratios = zip(*parts, strict=True)
    return MatchingGradient(gradients, ratios)


def _compare(
    x0: Float[Tensor, " b *rest"], real: Float[Tensor, " b *rest"], fake: Float[Tensor, " b *rest"]
) -> tuple[Float[Tensor, " b *rest"], Float[Tensor, ""]]:
    x0, real, fake = x0.float(), real.float(), fake.float()
    distance = (x0 - real).abs().flatten(1).mean(1).clamp(min=_MIN_DISTANCE)
    gradient = (fake - real) / distance.reshape(-1, *(1,) * (x0.ndim - 1))
    return gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0), gradient.abs().mean()


def matching_loss(x0: Latents, gradient: Latents) -> tuple[Tensor, ...]:
    """Turns a gradient into a loss that has it.

    Args:
        x0: Samples of the student, with graph.
        gradient: As `matching_gradient` returns it.

    Returns:
        Of each modality, a scalar in float32, whose gradient with respect to the samples is
        ``gradient / numel``. Its value tells nothing about progress.

    Source:
        DMD, arXiv:2311.18828, official code: a regression on the moved sample.
    """
    pairs = [(x.float(), g) for x, g in zip(x0, gradient, strict=True)]
    return tuple(F.mse_loss(x, (x - g).detach()) / 2 for x, g in pairs)


def critic_loss(velocity: Latents, noise: Latents, x0: Latents) -> tuple[Tensor, ...]:
    """Trains the fake score on samples of the student: flow matching without weights.

    Args:
        velocity: Prediction of the fake score at ``add_noise(x0, noise, sigma)``.
        noise: What was added.
        x0: Samples of the student; no gradient reaches them.

    Returns:
        Of each modality, a scalar in float32.
    """
    triples = zip(velocity, noise, x0, strict=True)
    return tuple(F.mse_loss(v.float(), n.float() - x.detach().float()) for v, n, x in triples)
