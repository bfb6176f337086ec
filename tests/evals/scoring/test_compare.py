from typing import Any

import numpy as np
import pytest

from evals.scoring.compare import DAGGER, Comparison, Pair, compare, families_in_words, why_nothing
from evals.scoring.power import plan_prompts
from evals.scoring.results import ScoreRow
from evals.scoring.summary import MetricInfo
from streamchar_ref.core.errors import InputError
from tests.evals.scoring.test_results import row

INFOS = {
    "wer": MetricInfo("1", False),
    "sync": MetricInfo("1", True),
    "offset": MetricInfo("ms", None, zero_is_best=True),
    "motion": MetricInfo("%/s", None),
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


def test_noise_is_inconclusive_and_no_tie() -> None:
    found = only(scores("a", noisy(0.1)) + scores("b", noisy(0.1, seed=1)))
    assert (found.verdict, found.reason) == ("inconclusive", "")
    assert found.p_holm is not None
    assert found.p_holm > 0.05


def test_ranks_among_other_people_are_not_compared() -> None:
    few, many = ({"nearest": dict.fromkeys(names, 1)} for names in ("ab", "abcd"))
    ours = scores("a", noisy(0.1), components=few)
    found = only(ours + scores("b", noisy(0.2), components=many))
    assert (found.verdict, found.mark) == ("not comparable", DAGGER)
    assert found.reason == "ranked among other people (2 and 4): score both in one run"
    assert only(ours + scores("b", noisy(0.2), components=few)).verdict == "better"


def test_three_agreeing_samples_cannot_show_anything_and_it_is_said() -> None:
    found = only(scores("a", [0.1, 0.1, 0.1]) + scores("b", [0.9, 0.9, 0.9]))
    assert (found.verdict, found.p, found.smallest_p) == ("inconclusive", 0.25, 0.25)
    assert found.reason == "with 3 independent pairs p is at least 0.25"
    assert (found.delta, found.ci_low, found.ci_high) == (pytest.approx(-0.8), None, None)


def test_so_many_tests_that_few_pairs_can_show_nothing_is_said() -> None:
    rows = [
        one
        for k in range(20)
        for system, value in (("a", 0.1), ("b", 0.9))
        for one in scores(system, [value + 0.01 * i for i in range(9)], protocol=f"p{k:02d}@1")
    ]
    found = compare(rows, INFOS)
    assert {one.verdict for one in found} == {"inconclusive"}
    assert found[0].reason == (
        "with 9 independent pairs p is at least 0.0039, and there are 20 tests; "
        "choose fewer with --metrics"
    )


def test_holm_counts_the_chosen_metrics_alone() -> None:
    near = 0.1 + 0.008 * np.sin(np.arange(40)) + 0.0025
    rows = scores("a", near) + scores("b", np.full(40, 0.1))
    for k in range(20):
        for system in "ab":
            seed = 10 * k + ord(system)
            rows += scores(system, noisy(0.1, seed=seed), metric=f"m{k}", protocol=f"m{k}/x@1")
    infos = INFOS | {f"m{k}": MetricInfo("1", False) for k in range(20)}
    (among,) = (one for one in compare(rows, infos) if one.metric == "wer")
    (alone,) = compare(rows, infos, metrics=["wer"])
    assert (among.verdict, alone.verdict) == ("inconclusive", "worse")
    assert alone.p_holm == alone.p == among.p


def test_imported_metrics_are_a_family_of_their_own() -> None:
    near = 0.1 + 0.008 * np.sin(np.arange(40)) + 0.0025
    rows = scores("a", near) + scores("b", np.full(40, 0.1))
    infos, imported = dict(INFOS), []
    for k in range(20):
        name = f"vbench_{k}"
        infos[name] = MetricInfo("1", False)
        for at, system in enumerate("ab"):
            values = noisy(0.1 + 0.01 * at, seed=10 * k + at)
            imported += scores(system, values, metric=name, protocol=f"{name}/import-vbench@1")
    (alone,) = compare(rows, infos, draws=500)
    both = compare(rows + imported, infos, draws=500)
    assert (alone.verdict, alone) == ("worse", both[-1])
    assert both[:-1] == compare(imported, infos, draws=500)
    plans = {row.metric: row.alpha for row in plan_prompts(both)}
    assert (plans["wer"], plans["vbench_0"]) == (0.05, pytest.approx(0.05 / 20))
    assert [families_in_words(some) for some in ([alone], both)] == ["", ", imported ones apart"]


def test_offsets_are_compared_by_their_absolute_values() -> None:
    late, early = noisy(-207.0), noisy(10.0, seed=1)
    rows = scores("late", late, metric="offset") + scores("near", early, metric="offset")
    found = only(rows, against="near")
    assert (found.verdict, found.is_absolute) == ("worse", True)
    assert found.delta == pytest.approx(np.mean(np.abs(late) - np.abs(early)), abs=1e-9)
    assert found.ci_low == pytest.approx(found.delta, abs=0.1)
    # +200 and -200 have a mean of 0 and are worse than 10 throughout.
    swings = scores("swings", 200.0 * (-1.0) ** np.arange(40), metric="offset")
    assert only(swings + rows[40:], against="near").verdict == "worse"


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


def test_systems_of_several_languages_are_paired_within_each() -> None:
    german, french = {"protocol_hash": "d" * 12}, {"protocol_hash": "e" * 12}

    def languages(system: str, values: np.ndarray, *hashes: dict[str, str]) -> list[ScoreRow]:
        rows = scores(system, values)
        return [
            ScoreRow(**(vars(one) | hashes[index % len(hashes)])) for index, one in enumerate(rows)
        ]

    a = languages("a", noisy(0.1), german, french)
    found = only(a + languages("b", noisy(0.2, seed=1), german, french), against="b")
    assert (found.mark, found.verdict, found.n_pairs) == ("", "better", 40)
    for others in ([french, german], [german]):
        found = only(a + languages("b", noisy(0.2, seed=1), *others))
        assert (found.mark, found.verdict) == (DAGGER, "not comparable")
        assert "hashes" in found.reason


def test_a_hash_without_any_number_refuses_nothing() -> None:
    gone = scores("b", noisy(0.2), protocol_hash="f" * 12)
    failed = {"value": None, "status": "not_applicable", "reason": "reference", "weight": 0.0}
    gone = [ScoreRow(**(vars(one) | failed)) for one in gone]
    found = only(scores("a", noisy(0.1)) + gone)
    assert (found.mark, found.reason) == ("", "no sample has a score of both")


def test_metrics_without_a_direction_have_no_verdict() -> None:
    rows = scores("a", noisy(5), metric="motion") + scores("b", noisy(9), metric="motion")
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
    assert (found.verdict, found.p, found.n_pairs) == ("inconclusive", 0.25, 40)
    assert (found.n_independent, found.ci_low) == (3, None)


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
    assert {one.verdict for one in among if one.protocol == "wer/x@1"} == {"inconclusive"}


def test_named_pairs_are_compared_and_no_others() -> None:
    rows = [
        one
        for system in "abc"
        for protocol in ("p@1", "q@1")
        for one in scores(system, noisy(0.1, seed=ord(system)), protocol=protocol)
    ]
    found = compare(rows, INFOS, pairs={"p@1": [Pair("c", "a"), Pair("b", "nowhere")]})
    assert [(one.protocol, one.system, one.against) for one in found] == [("p@1", "c", "a")]


def test_a_partner_picked_from_many_makes_p_larger() -> None:
    near = 0.1 + 0.008 * np.sin(np.arange(40)) + 0.0025
    rows = scores("a", near) + scores("b", np.full(40, 0.1))
    plain, picked = (only(rows, pairs={"wer/x@1": [Pair("a", "b", n)]}) for n in (1, 20))
    assert plain.p_holm is not None
    assert plain.p_holm < 0.05
    assert picked.p_holm == pytest.approx(20 * (picked.p or 0.0))
    assert (plain.verdict, picked.verdict) == ("worse", "inconclusive")


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


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (scores("a", [0.1, 0.2]), "only 'a' has scores: a comparison needs two systems"),
        ([], "there are no scores: a comparison needs two systems"),
        (
            scores("a", [0.1], protocol="wer/x@1") + scores("b", [0.1], protocol="wer/y@1"),
            "no metric was measured for two of a, b in one suite and protocol",
        ),
    ],
)
def test_nothing_to_compare_says_what_is_missing(rows: list[ScoreRow], message: str) -> None:
    assert compare(rows, INFOS) == []
    assert why_nothing(rows).startswith(message)
