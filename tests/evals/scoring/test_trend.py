"""Trends of one and of several recordings, and what a bound says of them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evals.numerics.statistics import bootstrap_mean
from evals.numerics.trend import har_slope
from evals.scoring.results import ScoreRow
from evals.scoring.trend import TrendRow, of_kinds, trends

Value = Callable[[float], float]


def windows(*samples: Value, system: str = "ours", num: int = 20) -> pd.DataFrame:
    """Windows of 15 s of each sample; its value is a function of the minute."""
    rows = [
        {
            "sample_id": f"p{index}", "system": system, "suite": "long", "seed": 0,
            "metric": "wer", "protocol": "wer/a@1", "t0_s": 15.0 * k, "t1_s": 15.0 * (k + 1),
            "value": value((k + 0.5) / 4), "quantity": "wer", "unit": "1",
        }
        for index, value in enumerate(samples)
        for k in range(num)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def noisy(slopes: list[float]) -> list[Value]:
    rng = np.random.default_rng(0)
    return [line(slope, rng) for slope in slopes]


def line(slope: float, rng: np.random.Generator | None = None) -> Value:
    def value(minute: float) -> float:
        return 0.1 + slope * minute + (0.01 * float(rng.normal()) if rng is not None else 0.0)

    return value


def only(rows: list[TrendRow]) -> TrendRow:
    (row,) = rows
    return row


def test_one_recording_has_the_interval_of_dependent_windows() -> None:
    table = windows(*noisy([0.02]))
    row = only(trends(table))
    slope = har_slope(np.arange(20) / 4 + 0.125, table["value"].to_numpy())
    assert (row.slope, row.ci_low, row.ci_high) == pytest.approx(
        (slope.value, slope.low, slope.high)
    )
    assert (row.n, row.n_independent, row.n_windows, row.minutes) == (1, 1, 20, 5.0)
    assert row.change == pytest.approx(5 * slope.value)
    assert row.reason == ""


def test_a_short_recording_has_a_slope_and_says_why_it_has_no_interval() -> None:
    row = only(trends(windows(*noisy([0.02]), num=7)))
    assert row.slope is not None
    assert row.ci_low is None
    assert row.reason == "one recording with 7 measured windows: an interval needs 8"


def test_five_recordings_have_the_interval_of_a_mean() -> None:
    slopes = np.array([0.01, 0.02, 0.03, 0.0, 0.04, -0.01])
    table = windows(*(line(slope) for slope in slopes))
    row = only(trends(table))
    mean = bootstrap_mean(slopes)
    assert (row.slope, row.ci_low, row.ci_high) == pytest.approx((mean.value, mean.low, mean.high))
    assert (row.n, row.n_independent, row.reason) == (6, 6, "")


def test_four_recordings_have_a_mean_slope_alone() -> None:
    row = only(trends(windows(*noisy([0.01, 0.03, 0.0, 0.02]))))
    assert row.slope == pytest.approx(0.015, abs=0.005)
    assert (row.ci_low, row.reason) == (None, "4 independent recordings: an interval needs 5")
    assert row.within(1.0).verdict == "not shown to be inside"


def test_recordings_of_one_person_are_drawn_together() -> None:
    table = windows(*noisy([0.01, 0.03, 0.0, 0.02, 0.01, 0.0]))
    people = {f"long/p{index}": f"person {index // 2}" for index in range(6)}
    row = only(trends(table, identities=people))
    assert (row.n, row.n_independent, row.ci_low) == (6, 3, None)


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [(0.05, "inside"), (0.02, "not shown to be inside"), (0.005, "outside")],
)
def test_the_verdict_is_where_the_whole_interval_lies(bound: float, verdict: str) -> None:
    for sign in (1, -1):
        row = only(trends(windows(*noisy([sign * 0.02]))))
        assert row.verdict == ""
        judged = row.within(bound)
        assert (judged.bound, judged.verdict) == (bound, verdict)


def test_what_was_not_measured_is_counted_and_covers_no_time() -> None:
    table = windows(*noisy([0.0, 0.0, 0.0]))
    is_late = (table["sample_id"] == "p1") & (table["t0_s"] >= 150)
    is_gap = (table["sample_id"] == "p0") & (table["t0_s"] == 60)
    is_gone = (table["sample_id"] == "p2") & (table["t0_s"] >= 30)
    table.loc[is_late | is_gap | is_gone, "value"] = np.nan
    row = only(trends(table))
    assert (row.n, row.n_left_out, row.n_windows, row.n_missing) == (2, 1, 29, 11)
    assert (row.minutes, row.longest_minutes) == (2.5, 5.0)


def test_the_last_window_counts_with_its_own_length() -> None:
    table = windows(lambda minute: minute, lambda minute: minute)
    last = (table["sample_id"] == "p0") & (table["t0_s"] == 285)
    table.loc[last, ["t1_s", "value"]] = (291.0, 4.8)  # its centre, in minutes
    row = only(trends(table))
    assert row.slope == pytest.approx(1.0)
    assert (row.minutes, row.longest_minutes) == pytest.approx((4.85, 5.0))


def test_a_system_of_which_nothing_was_measured_is_there() -> None:
    gone = windows(lambda minute: np.nan, system="gone")
    first, second = trends(pd.concat([windows(*noisy([0.0])), gone]), systems=["gone", "ours"])
    assert (first.system, first.slope, first.n, first.n_left_out) == ("gone", None, 0, 1)
    assert first.reason == "no recording has 3 measured windows"
    assert first.within(1.0).verdict == "not shown to be inside"
    assert (second.system, second.n) == ("ours", 1)


@pytest.mark.parametrize("num", [1, 6])
def test_equal_values_prove_nothing(num: int) -> None:
    row = only(trends(windows(*[lambda minute: 0.7] * num)))
    assert (row.slope, row.ci_low) == (0.0, None)
    assert "no sc" in row.reason or "no spread" in row.reason


def test_suites_and_protocols_are_lines_of_their_own() -> None:
    table = windows(*noisy([0.0]))
    other = table.assign(protocol="wer/b@1")
    found = trends(pd.concat([table, other, table.assign(suite="short")]))
    assert [(row.suite, row.protocol) for row in found] == [
        ("long", "wer/a@1"), ("long", "wer/b@1"), ("short", "wer/a@1"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["protocol_hash", "domain"])
def test_recordings_of_different_kinds_share_no_slope(kind: str) -> None:
    rows = [
        ScoreRow(**{
            "sample_id": f"p{place}", "system": "ours", "suite": "long", "seed": 0,
            "metric": "wer", "protocol": "wer/a@1", "protocol_hash": "a", "domain": "real",
            "value": 0.1, "weight": 1.0, "status": "computed", "reason": "",
            kind: "a" if place < 6 else "b",
        })
        for place in range(12)
    ]  # fmt: skip
    table = of_kinds(windows(*noisy([0.1] * 6 + [-0.1] * 6)), rows)
    first, second = trends(table)
    assert (getattr(first, kind), getattr(second, kind)) == ("a", "b")
    assert (first.n, second.n) == (6, 6)
    assert (first.slope, second.slope) == pytest.approx((0.1, -0.1), abs=0.01)
