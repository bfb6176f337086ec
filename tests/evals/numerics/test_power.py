"""Numbers of prompts: against tables and simulation, and aware of clusters."""

import numpy as np
import pytest

from evals.numerics.power import (
    PairedSpread,
    clusters_needed,
    detectable_gap,
    paired_spread,
    power_of,
)
from evals.numerics.statistics import paired_difference


def spread_of(differences: np.ndarray, clusters: np.ndarray | None = None) -> PairedSpread | None:
    own = np.arange(len(differences)) if clusters is None else clusters
    return paired_spread(
        differences,
        weights=np.ones(len(differences)),
        clusters=own,
        prompts=np.arange(len(differences)),
    )


@pytest.mark.parametrize(
    ("effect", "power", "expected"),
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (0.5, 0.9, 44)],
)
def test_the_numbers_are_those_of_the_tables(effect: float, power: float, expected: int) -> None:
    """Two-sided paired t test at 0.05, as G*Power and Cohen's tables have it."""
    assert clusters_needed(effect, 1.0, alpha=0.05, power=power) == expected


def test_the_test_of_compare_has_that_power() -> None:
    rng = np.random.default_rng(0)
    zero = np.zeros(34)
    p_values = [
        paired_difference(rng.normal(0.5, 1, 34), zero, draws=50, flips=999).p for _ in range(300)
    ]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.8, abs=0.07)


def test_the_detectable_gap_is_the_inverse() -> None:
    gap = detectable_gap(2.0, 34, alpha=0.05)
    assert gap is not None
    assert gap == pytest.approx(2.0 * 0.5, rel=0.02)
    assert power_of(gap, 2.0, 34, alpha=0.05) == pytest.approx(0.8, abs=1e-3)


def test_pairs_that_do_not_vary_show_any_gap() -> None:
    assert detectable_gap(0.0, 34, alpha=0.05) == 0.0
    assert power_of(1e-12, 0.0, 34, alpha=0.05) == 1.0
    assert detectable_gap(0.0, 5, alpha=0.05) is None


def test_copies_of_a_prompt_are_prompts_but_no_witnesses() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    one = spread_of(values)
    many = spread_of(np.repeat(values, 5), np.repeat(np.arange(12), 5))
    assert one is not None
    assert many is not None
    assert many.spread == pytest.approx(one.spread)
    assert one.spread == pytest.approx(values.std(ddof=1))
    assert (many.num_clusters, many.num_prompts, many.prompts_a_cluster) == (12, 60, 5.0)


def test_few_clusters_show_nothing_however_large_the_gap() -> None:
    assert power_of(1e9, 1.0, 5, alpha=0.05) == 0.0  # p of a sign-flip test is at least 1/16
    assert detectable_gap(1.0, 5, alpha=0.05) is None
    assert clusters_needed(1e9, 1.0, alpha=0.05) == 6
    assert spread_of(np.arange(4.0)) is None


def test_where_signs_must_all_agree_the_power_is_that_they_do() -> None:
    """Twelve clusters near the smallest p: one that disagrees is too much for signs."""
    rng = np.random.default_rng(2)
    zero = np.zeros(12)
    alpha = 2.5 / 2**12  # the smallest p there can be is 2 / 2**12
    p_values = [paired_difference(rng.normal(2.0, 1, 12), zero, draws=20).p for _ in range(200)]
    shown = np.mean(np.array(p_values) < alpha)
    assert power_of(2.0, 1.0, 12, alpha=alpha) == pytest.approx(shown, abs=0.1)
    assert power_of(2.0, 1.0, 12, alpha=0.05) > 0.99


def test_no_gap_needs_more_than_can_be_named() -> None:
    assert clusters_needed(0.0, 1.0, alpha=0.05) is None
    assert clusters_needed(1e-6, 1.0, alpha=0.05) is None
    assert clusters_needed(0.1, 0.0, alpha=0.05) == 6  # no spread at all
