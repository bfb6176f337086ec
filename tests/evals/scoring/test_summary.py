import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evals.protocols.info import NON_NEGATIVE, Direction
from evals.recording.recording import Recording
from evals.scoring.persist import identities_of
from evals.scoring.results import STATUSES, ScoreRow
from evals.scoring.summary import (
    MetricInfo,
    bootstrap_clusters,
    infos_of,
    read_summary,
    summarise,
    write_summary,
)  # fmt: skip
from streamchar_ref.core.errors import InputError
from tests.evals.scoring.test_results import row

INFOS = {"wer": MetricInfo("1", False, bounds=(0.0, math.inf))}


def unscored(sample_id: str, status: Any) -> ScoreRow:
    return row(sample_id=sample_id, value=None, status=status, reason=f"{status}!", weight=0.0)


def test_the_mean_is_weighted_by_hand() -> None:
    rows = [row(sample_id="a", value=0.1, weight=10), row(sample_id="b", value=0.4, weight=30)]
    (summary,) = summarise(rows, INFOS)
    assert summary.value == pytest.approx((0.1 * 10 + 0.4 * 30) / 40, abs=1e-15)
    assert (summary.n, summary.coverage) == (2, 1.0)
    assert (summary.unit, summary.higher_is_better) == ("1", False)


def test_coverage_counts_everything_that_applies_by_hand() -> None:
    rows = [
        row(sample_id="a"),
        row(sample_id="b"),
        unscored("c", "not_applicable"),
        unscored("d", "generation_failure"),
        unscored("e", "evaluator_failure"),
        unscored("f", "unavailable"),
        unscored("g", "unavailable"),
    ]
    (summary,) = summarise(rows, INFOS)
    assert summary.coverage == 2 / 6
    assert summary.counts == {
        "computed": 2, "not_applicable": 1, "generation_failure": 1, "evaluator_failure": 1,
        "unavailable": 2,
    }  # fmt: skip
    assert summary.reasons["unavailable!"] == 2
    assert summary.num_failed == 2


@given(st.lists(st.sampled_from(STATUSES), min_size=1, max_size=30))
def test_no_row_is_ever_dropped(statuses: list[str]) -> None:
    rows = [
        row(sample_id=f"s{i}") if status == "computed" else unscored(f"s{i}", status)
        for i, status in enumerate(statuses)
    ]
    (summary,) = summarise(rows, INFOS, draws=10)
    assert sum(summary.counts.values()) == len(rows)
    assert summary.n + sum(summary.reasons.values()) == len(rows)
    if summary.coverage is None:
        assert set(statuses) == {"not_applicable"}
    else:
        assert 0 <= summary.coverage <= 1
        assert (summary.coverage == 1) == (set(statuses) <= {"computed", "not_applicable"})


@pytest.mark.parametrize("change", ["protocol_hash", "domain", "protocol", "suite", "system"])
def test_rows_that_differ_in_what_they_mean_are_never_averaged(change: str) -> None:
    summaries = summarise([row(value=0.0), row(value=1.0, **{change: "world"})], INFOS)
    assert sorted(one.value for one in summaries if one.value is not None) == [0.0, 1.0]


def test_a_metric_on_a_set_brings_its_own_interval() -> None:
    rows = [row(sample_id="*", value=20.0, components={"ci_low": 18.0, "ci_high": 23.0})]
    (summary,) = summarise(rows, {})
    assert (summary.value, summary.ci_low, summary.ci_high) == (20.0, 18.0, 23.0)


def test_one_sample_has_no_interval() -> None:
    (summary,) = summarise([row()], INFOS)
    assert (summary.value, summary.ci_low, summary.ci_high) == (0.25, None, None)


def test_weights_of_zero_have_no_mean() -> None:
    (summary,) = summarise([row(weight=0), row(sample_id="b", weight=0)], INFOS)
    assert summary.value is None
    assert summary.n == 2


def test_the_interval_agrees_with_scipy_bootstrap() -> None:
    values = np.random.default_rng(3).gamma(2.0, 0.05, size=150)
    rows = [row(sample_id=f"s{i}", value=float(v), weight=1.0) for i, v in enumerate(values)]
    (summary,) = summarise(rows, INFOS, draws=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    # Another kind of interval, alike with many samples.
    tolerance = 0.08 * (theirs.high - theirs.low)
    assert summary.ci_low == pytest.approx(theirs.low, abs=tolerance)
    assert summary.ci_high == pytest.approx(theirs.high, abs=tolerance)


def test_samples_of_one_identity_are_drawn_together() -> None:
    values = [0.1, 0.2, 0.4, 0.9, 0.3]
    alone = [row(sample_id=f"s{i}", value=v) for i, v in enumerate(values)]
    twins = [row(sample_id=f"t{i}", value=v) for i, v in enumerate(values)]
    people = {f"smoke/{kind}{i}": f"person {i}" for kind in "st" for i in range(5)}
    (once,) = summarise(alone, INFOS, identities=people)
    (twice,) = summarise(alone + twins, INFOS, identities=people)
    assert (once.value, once.ci_low, once.ci_high) == (twice.value, twice.ci_low, twice.ci_high)
    (strangers,) = summarise(alone + twins, INFOS)
    assert strangers.ci_high < once.ci_high


def test_one_identity_alone_has_an_interval_over_its_samples() -> None:
    rows = [row(sample_id=f"s{i}", value=i / 10) for i in range(8)]
    (summary,) = summarise(rows, INFOS, identities={f"smoke/s{i}": "anna" for i in range(8)})
    (unknown,) = summarise(rows, INFOS)
    assert (summary.ci_low, summary.ci_high) == (unknown.ci_low, unknown.ci_high)
    assert summary.ci_low < summary.value < summary.ci_high


def test_few_people_have_a_number_and_its_n_but_no_interval() -> None:
    rows = [row(sample_id=f"s{i}", value=i / 40) for i in range(40)]
    (summary,) = summarise(rows, INFOS, identities={f"smoke/s{i}": f"p{i % 4}" for i in range(40)})
    assert (summary.n, summary.n_independent) == (40, 4)
    assert (summary.ci_low, summary.ci_high) == (None, None)
    assert summary.value == pytest.approx(np.mean(np.arange(40) / 40))


def test_intervals_stay_inside_what_a_metric_can_be() -> None:
    rows = [row(sample_id=f"s{i}", value=v, weight=1) for i, v in enumerate([0, 0, 0, 0.02, 0, 1])]
    (summary,) = summarise(rows, INFOS)
    assert summary.ci_low == 0.0


def test_offsets_have_a_mean_and_a_mean_absolute_value() -> None:
    values = [200.0, -200.0, 180.0, -180.0, 190.0, -190.0]
    rows = [row(sample_id=f"s{i}", value=v, weight=1.0) for i, v in enumerate(values)]
    (summary,) = summarise(rows, {"wer": MetricInfo("ms", None, zero_is_best=True)})
    assert (summary.value, summary.abs_value) == (0.0, 190.0)
    assert summary.abs_ci_low is not None
    assert 150 < summary.abs_ci_low < 190 < (summary.abs_ci_high or 0) < 230
    assert summary.direction is Direction.ZERO
    ranked = summary.ranked
    assert (ranked.value, ranked.direction) == (190.0, Direction.LOWER)


def test_a_mean_absolute_value_has_no_interval_below_zero() -> None:
    values = [0.0, 0.0, 0.0, 0.0, 1.0, -90.0]
    rows = [row(sample_id=f"s{i}", value=v, weight=1.0) for i, v in enumerate(values)]
    (summary,) = summarise(rows, {"wer": MetricInfo("ms", None, zero_is_best=True)})
    assert summary.abs_ci_low == 0.0
    assert summary.ci_high is not None
    assert summary.ci_high > 0.0


def test_published_summaries_know_that_zero_is_best() -> None:
    folders = Path(__file__).parents[3] / "reports" / "published"
    files = sorted(folders.glob("**/summary.json"))
    assert files
    rows = [one for file in files for one in read_summary(file)]
    offsets = [one for one in rows if "offset" in one.metric]
    assert {one.direction for one in offsets} == {Direction.ZERO}
    assert all(one.has_interval or one.ci_low is None for one in rows)


def test_seeds_of_one_sample_are_drawn_together() -> None:
    rows = [
        row(sample_id=f"s{i}", seed=seed, value=float(i % 2), weight=1.0)
        for i in range(20)
        for seed in range(50)
    ]
    (many,) = summarise(rows, INFOS)
    (few,) = summarise([one for one in rows if one.seed == 0], INFOS)
    assert (many.ci_low, many.ci_high) == (few.ci_low, few.ci_high)
    assert many.n == 1000


def test_summaries_do_not_depend_on_order_and_are_byte_stable(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        row(sample_id=f"s{i}", system=system, value=float(rng.normal()), weight=1 + float(i))
        for i in range(9)
        for system in ("b", "a")
    ]
    write_summary(tmp_path / "one.json", summarise(rows, INFOS))
    write_summary(tmp_path / "two.json", summarise(rows[::-1], INFOS))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    again = read_summary(tmp_path / "one.json")
    assert again == summarise(rows, INFOS)
    write_summary(tmp_path / "two.json", again)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    shown = infos_of(again)["wer"]
    assert shown._replace(label="WER") == shown  # as installed; the file says nothing of it
    assert (shown.unit, shown.direction, shown.bounds) == ("1", Direction.LOWER, (0.0, math.inf))


def test_an_unknown_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"schema_version": 99, "rows": []}')
    with pytest.raises(InputError, match="99"):
        read_summary(tmp_path / "summary.json")


def test_values_lie_inside_their_interval() -> None:
    rng = np.random.default_rng(1)
    rows = [row(sample_id=f"s{i}", value=float(rng.uniform())) for i in range(25)]
    (summary,) = summarise(rows, INFOS)
    assert summary.ci_low is not None
    assert summary.ci_high is not None
    assert summary.value is not None
    assert summary.ci_low < summary.value < summary.ci_high
    assert not math.isnan(summary.ci_low)


def test_values_that_are_all_alike_have_no_interval() -> None:
    (alike,) = summarise([row(sample_id=f"{n}", value=0.5) for n in range(8)], {})
    assert (alike.value, alike.ci_low, alike.ci_high, alike.n) == (0.5, None, None, 8)


def test_the_interval_of_a_set_ends_at_the_bounds_of_the_metric() -> None:
    rows = [row(sample_id="*", value=1.0, components={"ci_low": -4.0, "ci_high": 5.0})]
    info = MetricInfo(unit="1", higher_is_better=False, bounds=NON_NEGATIVE)
    (summary,) = summarise(rows, {rows[0].metric: info})
    assert (summary.ci_low, summary.ci_high) == (0.0, 5.0)


def test_what_is_missing_could_be_as_good_or_as_bad_as_there_is() -> None:
    infos = {"wer": MetricInfo("1", True, bounds=(0.0, 1.0))}
    rows = [row(sample_id=str(n), value=0.8, weight=1.0) for n in range(3)]
    rows.append(unscored("x", "generation_failure"))
    (summary,) = summarise(rows, infos)
    assert (summary.if_worst, summary.if_best) == pytest.approx((0.6, 0.85))
    (lower,) = summarise(rows, {"wer": MetricInfo("1", False, bounds=(0.0, math.inf))})
    assert (lower.if_worst, lower.if_best) == (None, pytest.approx(0.6))  # unbounded above
    (whole,) = summarise(rows[:3], infos)
    assert (whole.if_worst, whole.if_best) == (None, None)
    (aimless,) = summarise(rows, {"wer": MetricInfo("1", None, bounds=(0.0, 1.0))})
    assert (aimless.if_worst, aimless.if_best) == (None, None)


def test_of_signed_values_the_absolute_mean_is_bounded() -> None:
    rows = [row(sample_id=str(n), value=(-1.0) ** n * 30, weight=1.0) for n in range(3)]
    rows.append(unscored("x", "evaluator_failure"))
    (summary,) = summarise(rows, {"wer": MetricInfo("ms", None, zero_is_best=True)})
    assert (summary.if_worst, summary.if_best) == (None, pytest.approx(22.5))


def test_samples_are_of_an_identity_or_else_of_a_voice() -> None:
    groups = [{"identity": "anna", "voice": "v1"}, {"voice": "v1"}, {"voice": "v1"}, {}]
    recordings = [
        Recording(sample_id=f"s{n}", system="s", suite="u", transcript="", video_path=Path("x"),
                  groups=own)
        for n, own in enumerate(groups)
    ]  # fmt: skip
    expected = {"u/s0": "anna", "u/s1": "voice v1", "u/s2": "voice v1"}
    assert identities_of(recordings) == expected
    rows = [row(sample_id=f"s{n}", suite="u") for n in range(4)]
    assert len(set(bootstrap_clusters(rows, expected).tolist())) == 3
