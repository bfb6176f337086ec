"""Tie groups and numbers of prompts, from comparisons."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evals.scoring.compare import Comparison, compare
from evals.scoring.power import plan_prompts
from evals.scoring.ties import tie_groups
from tests.evals.scoring.test_compare import INFOS, noisy, only, scores


def test_a_system_between_two_shares_a_letter_with_both() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=40)
    rows = (
        scores("low", base)
        + scores("middle", base + 0.02 + 0.3 * (-1.0) ** np.arange(40))
        + scores("high", base + 0.04 + 0.001 * rng.normal(size=40))
    )
    (found,) = tie_groups(compare(rows, INFOS, draws=200), INFOS)
    assert list(found.letters.items()) == [("low", "a"), ("middle", "ab"), ("high", "b")]
    flipped = [one | {"metric": "sync", "protocol": "sync/x@1"} for one in map(vars, rows)]
    higher = compare([type(rows[0])(**one) for one in flipped], INFOS, draws=200)
    assert list(tie_groups(higher, INFOS)[0].letters) == ["high", "middle", "low"]


def test_without_a_test_of_every_pair_there_are_no_letters() -> None:
    rows = [one for s in "abc" for one in scores(s, noisy(0.1 * ord(s), seed=ord(s)))]
    assert tie_groups(compare(rows, INFOS, against="a", draws=200), INFOS) == []
    assert len(tie_groups(compare(rows, INFOS, draws=200), INFOS)[0].letters) == 3


def effects(**options: Any) -> Comparison:
    rows = scores("a", noisy(0.1)) + scores("b", noisy(0.11, seed=1))
    return only(rows, against="b", draws=200, **options)


def test_effects_are_those_of_the_pairs() -> None:
    found = effects()
    differences = noisy(0.1) - noisy(0.11, seed=1)
    expected = differences.mean() / differences.std(ddof=1)
    assert found.effect == pytest.approx(expected, rel=0.03)  # Hedges's factor is 0.98
    assert found.superiority == pytest.approx((differences < 0).mean())  # wer: low is good
    assert found.spread == pytest.approx(differences.std(ddof=1))
    assert found.effect_low is not None
    assert found.effect_low < expected < 0


def test_a_metric_without_a_direction_has_no_superiority() -> None:
    rows = scores("a", noisy(5), metric="motion") + scores("b", noisy(9, seed=1), metric="motion")
    found = only(rows, draws=200)
    assert found.superiority is None
    assert found.effect is not None


def test_prompts_needed_follow_the_square_of_the_gap_and_the_clusters() -> None:
    found = effects()
    (observed,) = plan_prompts([found])
    assert observed.is_observed
    assert observed.gap == found.delta
    assert observed.prompts_needed is not None
    (half,) = plan_prompts([found], gaps={"wer": abs(observed.gap) / 2})
    (quarter,) = plan_prompts([found], gaps={"wer": abs(observed.gap) / 4})
    assert quarter.prompts_needed is not None
    assert half.prompts_needed is not None
    assert quarter.prompts_needed == pytest.approx(4 * half.prompts_needed, rel=0.05)
    people = {f"smoke/s{i:03d}": f"face{i % 10}" for i in range(40)}
    (clustered,) = plan_prompts([effects(identities=people)], gaps={"wer": 0.002})
    assert (clustered.n_independent, clustered.n_prompts) == (10, 40)
    assert clustered.prompts_needed == 4 * (clustered.independent_needed or 0)


def test_more_tests_need_more_prompts() -> None:
    found = effects()
    (alone, *_), (among, *_) = plan_prompts([found]), plan_prompts([found] * 20)
    assert among.alpha == alone.alpha / 20
    assert (among.prompts_needed or 0) > (alone.prompts_needed or 0)


def test_tests_without_a_spread_count_as_holm_counts_them() -> None:
    found = effects()
    no_spread = replace(found, spread=None)
    untested = replace(found, p_holm=None, spread=None)
    (planned,) = plan_prompts([found, no_spread, no_spread, untested])
    assert planned.alpha == pytest.approx(0.05 / 3)
