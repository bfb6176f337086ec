from typing import Any

import numpy as np
import pytest

from evals.compare import DAGGER, Comparison, compare
from evals.jsonl import InputError
from evals.results import ScoreRow
from evals.summary import MetricInfo
from tests.evals.test_results import row

INFOS = {
    "wer": MetricInfo("1", False),
    "sync": MetricInfo("1", True),
    "offset": MetricInfo("ms", None),
}


def scores(system: str, values: Any, **changes: Any) -> list[ScoreRow]:
    return [
        row(system=system, sample_id=f"s{i:03d}", value=float(value), weight=1.0, **changes)
        for i, value in enumerate(values)
    ]


def only(rows: list[ScoreRow], **options: Any) -> Comparison:
    (found,) = compare(rows, INFOS, **options)
    return found


def noisy(shift: float, seed: int = 0, num: int = 40) -> np.ndarray:
    return shift + 0.01 * np.random.default_rng(seed).normal(size=num)


def test_a_clear_difference_is_better_or_worse_by_direction() -> None:
    rows = scores("a", noisy(0.1)) + scores("b", noisy(0.2, seed=1))
    found = only(rows, against="b")
    assert (found.system, found.against, found.verdict) == ("a", "b", "better")  # wer: low is good
    assert found.delta == pytest.approx(-0.1, abs=0.01)
    assert only(rows, against="a").verdict == "worse"
    higher = [ScoreRow(**(vars(one) | {"metric": "sync"})) for one in rows]
    assert only(higher, against="b").verdict == "worse"


def test_noise_is_a_tie() -> None:
    found = only(scores("a", noisy(0.1)) + scores("b", noisy(0.1, seed=1)))
    assert found.verdict == "tied"
    assert found.p_holm is not None
    assert found.p_holm > 0.05


def test_three_agreeing_samples_are_a_tie() -> None:
    found = only(scores("a", [0.1, 0.1, 0.1]) + scores("b", [0.9, 0.9, 0.9]))
    assert (found.verdict, found.p) == ("tied", 0.25)


def test_pairing_sees_what_spread_between_samples_hides() -> None:
    hard = np.random.default_rng(5).uniform(0, 1, 40)  # some samples are hard for both
    found = only(scores("a", hard) + scores("b", hard + noisy(0.02, seed=2)), against="b")
    assert found.verdict == "better"


def test_only_shared_samples_count_and_the_rest_is_said() -> None:
    a = scores("a", [0.1, 0.2, 0.3, 0.4])
    b = scores("b", [0.2, 0.4, 0.6])
    gone = {"value": None, "status": "generation_failure", "reason": "crash", "weight": 0.0}
    b[0] = ScoreRow(**(vars(b[0]) | gone))
    found = only(a + b)
    assert (found.n_pairs, found.n_unpaired) == (2, 2)
    assert found.delta == pytest.approx(((0.2 - 0.4) + (0.3 - 0.6)) / 2, abs=1e-12)


def test_pairs_share_sample_and_seed() -> None:
    found = only(scores("a", [0.1, 0.2], seed=0) + scores("b", [0.1, 0.2], seed=1))
    assert (found.n_pairs, found.n_unpaired, found.verdict) == (0, 4, "not comparable")


@pytest.mark.parametrize(
    ("change", "word"), [({"protocol_hash": "f" * 12}, "hashes"), ({"domain": "world"}, "domains")]
)
def test_other_protocols_and_domains_are_refused_with_a_dagger(
    change: dict[str, str], word: str
) -> None:
    found = only(scores("a", noisy(0.1)) + scores("b", noisy(0.2), **change))
    assert (found.mark, found.verdict, found.delta) == (DAGGER, "not comparable", None)
    assert word in found.reason


def test_a_hash_without_any_number_refuses_nothing() -> None:
    gone = scores("b", noisy(0.2), protocol_hash="f" * 12)
    failed = {"value": None, "status": "not_applicable", "reason": "reference", "weight": 0.0}
    gone = [ScoreRow(**(vars(one) | failed)) for one in gone]
    found = only(scores("a", noisy(0.1)) + gone)
    assert (found.mark, found.reason) == ("", "no sample has a score of both")


def test_metrics_without_a_direction_have_no_verdict() -> None:
    rows = scores("a", noisy(5), metric="offset") + scores("b", noisy(9), metric="offset")
    found = only(rows)
    assert found.verdict == "not comparable"
    assert found.p is not None
    assert found.p_holm is None


def test_a_value_of_a_whole_set_has_no_verdict() -> None:
    rows = [
        row(system=system, sample_id="*", value=value) for system, value in (("a", 1), ("b", 2))
    ]
    found = only(rows)
    assert (found.delta, found.verdict) == (-1, "not comparable")
    assert "whole set" in found.reason


def test_samples_of_one_identity_are_one_witness() -> None:
    rows = scores("a", noisy(0.1)) + scores("b", noisy(0.2, seed=1))
    assert only(rows).verdict == "better"
    found = only(rows, identities={f"smoke/s{i:03d}": f"face{i % 3}" for i in range(40)})
    assert (found.verdict, found.p, found.n_pairs) == ("tied", 0.25, 40)


def test_among_samples_of_one_identity_alone_each_is_a_witness() -> None:
    rows = scores("a", noisy(0.1)) + scores("b", noisy(0.2, seed=1))
    anna = {f"smoke/s{i:03d}": "anna" for i in range(40)}
    assert only(rows, identities=anna) == only(rows)


def test_holm_counts_all_comparisons_of_the_call() -> None:
    near = 0.1 + 0.008 * np.sin(np.arange(40)) + 0.0025
    far = np.full(40, 0.1)
    alone = only(scores("a", near) + scores("b", far))
    assert alone.p is not None
    assert alone.p < 0.05
    others = [
        one
        for k in range(20)
        for system in "ab"
        for one in scores(system, noisy(0.1, seed=10 * k + ord(system)), protocol=f"p{k:02d}@1")
    ]
    among = compare(scores("a", near) + scores("b", far) + others, INFOS)
    assert {one.verdict for one in among if one.protocol == "wer/x@1"} == {"tied"}


def test_suites_are_not_pooled() -> None:
    rows = [
        one
        for suite in ("short", "long")
        for system in "ab"
        for one in scores(system, [1.0, 2.0], suite=suite)
    ]
    assert [one.suite for one in compare(rows, INFOS)] == ["long", "short"]


def test_the_order_of_rows_changes_nothing() -> None:
    rows = scores("a", noisy(0.1)) + scores("b", noisy(0.11, seed=1)) + scores("c", noisy(0.2))
    assert compare(rows, INFOS) == compare(rows[::-1], INFOS)


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(InputError, match="'c'; there are: a"):
        compare(scores("a", [1.0]), INFOS, against="c")


def test_every_pair_of_systems_is_compared_on_every_metric() -> None:
    rng = np.random.default_rng(0)
    rows = [
        one
        for system in "abcde"
        for k in range(10)
        for one in scores(system, rng.normal(size=160), protocol=f"m{k}@1")
    ]
    assert len(compare(rows, INFOS)) == 100
