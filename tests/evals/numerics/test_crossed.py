"""Intervals over prompts and trainings together."""

import numpy as np
import pytest

from evals.numerics.crossed import CrossedMean, crossed_mean


def crossed(values: np.ndarray) -> CrossedMean:
    """The mean of a table with a row for each training and a column for each prompt."""
    trainings, prompts = np.indices(values.shape)
    return crossed_mean(
        values.ravel(),
        weights=np.ones(values.size),
        clusters=prompts.ravel(),
        trainings=trainings.ravel(),
    )


def drawn(rng: np.random.Generator, training: float, prompt: float, noise: float) -> np.ndarray:
    by_training = training * rng.standard_normal((3, 1))
    by_prompt = prompt * rng.standard_normal((1, 12))
    return by_training + by_prompt + noise * rng.standard_normal((3, 12))


@pytest.mark.parametrize(
    ("training", "prompt", "noise"),
    [(1.0, 0.0, 0.3), (0.0, 1.0, 0.3), (0.5, 1.0, 0.5), (0.0, 0.0, 1.0)],
)
def test_it_covers_at_least_nine_times_in_ten(training: float, prompt: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    means = [crossed(drawn(rng, training, prompt, noise)) for _ in range(800)]
    covered = np.mean([mean.low <= 0 <= mean.high for mean in means])
    assert covered > 0.92


def test_prompts_alone_would_be_too_sure_where_trainings_differ() -> None:
    rng = np.random.default_rng(1)
    means = [crossed(drawn(rng, 1.0, 0.2, 0.2)) for _ in range(300)]
    halves = [1.96 * mean.error_of_clusters for mean in means]
    covered = np.mean([abs(mean.value) <= half for mean, half in zip(means, halves, strict=True)])
    assert covered < 0.4


def test_the_mean_is_that_of_a_corpus() -> None:
    mean = crossed_mean(
        np.array([1.0, 0.0]),
        weights=np.array([3.0, 1.0]),
        clusters=np.array([0, 1]),
        trainings=np.array([0, 0]),
    )
    assert mean.value == 0.75


@pytest.mark.parametrize(("trainings", "prompts"), [(1, 12), (3, 4)])
def test_no_interval_from_one_training_or_few_prompts(trainings: int, prompts: int) -> None:
    mean = crossed(np.random.default_rng(2).standard_normal((trainings, prompts)))
    assert np.isnan([mean.low, mean.high]).all()
    assert (mean.num_trainings, mean.num_clusters) == (trainings, prompts)


def test_equal_values_have_no_spread() -> None:
    mean = crossed(np.full((3, 6), 2.0))
    assert (mean.value, mean.low, mean.high) == (2.0, 2.0, 2.0)
