from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.protocols.info import Direction
from evals.recording.recording import Arrival, Trace
from evals.scoring.curves import DriftCurve, drift_curves
from evals.scoring.summary import SummaryRow
from reports import gallery
from reports.figures.bars import front, plot_bars, plot_pareto, summary_data
from reports.figures.drift import drift_data, mean_and_band, plot_drift
from reports.figures.latency import LabelledTrace, plot_latency
from reports.figures.save import Drawn, data_csv, figure_bytes, save_figure
from reports.figures.style import COLOURS, GREY, WIDTHS_IN, colours_of
from reports.figures.words import WordStrip, plot_word_strips, word_strips
from reports.gallery import USUAL, draw
from reports.load import load_runs
from tests.reports.factory import make_run, recordings, score_rows
from tests.reports.test_tables import COUNTS, offset, summary


def curve(values: np.ndarray, system: str = "ours") -> DriftCurve:
    times_s = np.arange(values.shape[1], dtype=float)
    return DriftCurve(
        system=system,
        metric="id_distance",
        protocol="id@1",
        quantity="id_distance",
        times_s=times_s,
        starts_s=times_s - 0.5,
        ends_s=np.tile(times_s + 0.5, (len(values), 1)),
        values=values,
    )


def trace(*arrivals_s: float) -> LabelledTrace:
    arrivals = tuple(Arrival(t_s=t_s, num_frames=25, num_samples=16_000) for t_s in arrivals_s)
    whole = Trace(arrivals=arrivals, fps=25.0, sample_rate=16_000)
    return LabelledTrace(system="ours", label="ours / a", trace=whole)


def legend(ax: Axes) -> list[str]:
    found = ax.get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def test_the_band_is_the_t_interval_of_each_window() -> None:
    values = np.random.default_rng(0).normal(size=(7, 4))
    mean, band = mean_and_band(values)
    low, high = scipy.stats.t.interval(
        0.95, df=6, loc=values.mean(axis=0), scale=scipy.stats.sem(values, axis=0)
    )
    np.testing.assert_allclose(mean - band, low, atol=1e-12)
    np.testing.assert_allclose(mean + band, high, atol=1e-12)


def test_gaps_are_left_out_window_by_window() -> None:
    mean, band = mean_and_band(np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(mean, [2.0, 5.0, np.nan])
    assert np.isfinite(band).tolist() == [True, False, False]


def test_drift_names_units_direction_and_counts() -> None:
    ax = Figure().subplots()
    plot_drift([curve(np.ones((3, 4)))], direction=Direction.LOWER, unit="cm", ax=ax)
    assert ax.get_xlabel() == "playing time [s]"
    assert ax.get_ylabel() == "id distance ↓ [cm]"
    assert legend(ax) == ["ours (n=3)"]


def band(ax: Axes) -> np.ndarray:
    """Corners of the pointwise band, [V, 2]; none if there is no area."""
    found, _ = ax.collections
    paths = found.get_paths()
    return np.concatenate([path.vertices for path in paths]) if paths else np.empty((0, 2))


@pytest.mark.parametrize("num", [2, 7])
def test_few_recordings_are_thin_lines_and_have_no_band(num: int) -> None:
    values = np.random.default_rng(0).exponential(size=(num, 12))
    ax = plot_drift([curve(values)], ax=Figure().subplots())
    thin = [line for line in ax.get_lines() if line.get_linewidth() < 0.6]
    np.testing.assert_allclose([line.get_ydata() for line in thin], values)
    assert not np.isfinite(band(ax)).all(axis=1).any()
    data = drift_data([curve(values)])
    assert data["ci_low"].isna().all()
    assert (data["sample"] != "").sum() == num * 12


def test_a_band_stays_inside_what_the_metric_can_be() -> None:
    rates = (np.random.default_rng(0).random((8, 12)) < 0.1).astype(float)
    ax = plot_drift([curve(rates)], bounds=(0.0, 1.0), ax=Figure().subplots())
    assert len(ax.get_lines()) == 2  # the mean, dotted and whole
    edges = band(ax)[:, 1]
    assert edges.min() == 0.0
    assert 0.1 < edges.max() <= 1.0
    assert mean_and_band(rates)[1].max() > rates.mean(axis=0).max()  # it would have reached below 0
    assert drift_data([curve(rates)], (0.0, 1.0))["ci_low"].min() == 0.0


def test_the_band_of_the_whole_curve_is_wider_and_inside_the_bounds() -> None:
    values = np.random.default_rng(1).normal(size=(12, 15))
    data = drift_data([curve(values)], (-1.0, 1.0))
    inner, outer = (data[f"{kind}_high"] - data[f"{kind}_low"] for kind in ("ci", "curve"))
    assert (outer > inner).all()
    assert data["curve_low"].min() >= -1
    few = drift_data([curve(values[:5])])
    assert few["curve_low"].isna().all()


@pytest.mark.parametrize(
    ("metric", "quantity", "label"),
    [
        ("id_drift", "", "id drift ↓"),
        ("id_drift", "id_distance", "id distance ↓"),
        (
            "id_slope_per_min",
            "corrected id distance",
            "corrected id distance",
        ),
    ],
)
def test_a_curve_has_the_name_of_what_it_is_of(
    tmp_path: Path, metric: str, quantity: str, label: str
) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    rows = tuple(
        replace(row, metric=metric, quantity=quantity or metric, unit="1")
        for row in runs.window_rows
        if row.metric == "id_distance"
    )
    (drawn,) = draw(replace(runs, window_rows=rows), kinds=["drift"], metrics=[metric])
    assert drawn.figure.axes[0].get_ylabel() == label
    assert drawn.title == f"{label.removesuffix(' ↓')} over playing time"
    assert ("What id" in drawn.caption) == (quantity != "")


def test_windows_become_curves_of_equal_grids(tmp_path: Path) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    curves = drift_curves(runs.windows, "wer")
    assert [one.system for one in curves] == sorted(one.system for one in curves)
    assert {one.values.shape for one in curves} == {(3, 20)}
    assert curves[0].times_s[0] == 7.5
    assert len(drift_data(curves)) == 4 * 20 * (1 + 3)  # the means, and each recording
    assert drift_curves(runs.windows, "nothing") == []


def test_chunks_after_their_deadline_are_below_zero() -> None:
    late = trace(0.5, 1.0, 4.0)  # the third chunk is due at 2.5 s
    np.testing.assert_allclose(late.ahead_s, [0.0, 0.5, -1.5], atol=1e-12)
    assert late.zero_stall_s == pytest.approx(2.0)
    ax = plot_latency([late], ax=Figure().subplots())
    assert ax.get_ylim()[0] < -1.5
    assert "zero-stall start-up 2.00 s" in legend(ax)[0]


def test_word_strips_come_from_the_alignment_and_only_from_it() -> None:
    strips = word_strips(score_rows())
    assert len(strips) == 11  # one recording failed
    assert word_strips([row for row in score_rows() if row.metric != "wer"]) == []
    ax = plot_word_strips(strips, ax=Figure().subplots())
    assert next(iter(ax.get_yticklabels())).get_text() == "cascade_a / dev_001"


def test_words_skipped_at_one_moment_are_counted_beside_their_row() -> None:
    words = ((0.0, "del"),) * 16 + ((1.0, "equal"), (2.0, "ins"))
    silent = WordStrip(system="a", sample_id="b", seed=0, label="a / b", words=words)
    said = replace(silent, words=((1.0, "equal"),))
    ax = plot_word_strips([silent, said], ax=Figure().subplots())
    assert [(text.get_text(), text.xy[1]) for text in ax.texts] == [("17", 0), ("0", 1)]


def test_bars_say_why_a_system_has_none() -> None:
    gone = summary("b", None, counts=COUNTS | {"unavailable": 3})
    ax = plot_bars([summary("a", 0.1, 0.02), gone], ax=Figure().subplots())
    assert any("n/s (3)" in text.get_text() for text in ax.texts)
    assert ax.get_xlabel() == "WER ↓ [%]"


def test_bars_side_by_side_have_the_same_rows_whatever_systems_a_metric_has() -> None:
    rows = [summary("a", 0.1), summary("c", 0.3)]
    ax = plot_bars(rows, systems={"a", "b", "c"}, ax=Figure().subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in ax.patches] == [0, 2]


def test_only_undominated_systems_are_on_the_front() -> None:
    def point(system: str, rtf: float, sync: float) -> tuple[SummaryRow, SummaryRow]:
        y = summary(system, sync, metric="mesh_sync", higher_is_better=True)
        return summary(system, rtf, metric="rtf"), y

    points = [point("fast", 0.1, 0.2), point("good", 1.0, 0.9), point("bad", 1.1, 0.5)]
    twin = point("twin", 1.0, 0.9)
    assert front([*points, twin]) == {"fast", "good", "twin"}
    ceiling = point("ground_truth", 0.0, 1.0)
    every = [*points, twin, ceiling]
    ax = plot_pareto(every, unranked={"ground_truth"}, ax=Figure().subplots())
    colours = {str(line.get_label()): line.get_color() for line in ax.get_lines()}
    assert [name for name in ("fast", "good", "bad") if colours[name] == GREY] == ["bad"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("RTF ↓", "mesh sync ↑")


def test_the_only_model_is_not_grey_beside_controls_that_beat_it() -> None:
    points = [
        (summary(name, x, metric="rtf"), summary(name, y))
        for name, x, y in (("mine", 1.0, 0.1), ("still", 0.0, 0.05), ("truth", 0.1, 0.0))
    ]
    names = ("", "moonshine-tiny")
    ax = plot_pareto(points, unranked={"still", "truth"}, variants=names, ax=Figure().subplots())
    assert GREY not in {line.get_color() for line in ax.get_lines()}
    hollow = {str(line.get_label()) for line in ax.get_lines()
              if line.get_markerfacecolor() == "white"}  # fmt: skip
    assert hollow == {"still", "truth"}
    assert ax.get_ylabel() == "WER ↓ [%]\nmoonshine-tiny"


def test_offsets_are_drawn_and_ranked_by_their_absolute_values() -> None:
    late, near = offset("late", -207.0), offset("near", -10.0)
    ax = plot_bars([late, near], ax=Figure().subplots())
    assert [bar.get_width() for bar in ax.patches] == [207.0, 10.0]
    assert ax.get_xlabel() == "|mesh offset| ↓ [ms]"
    points = [(row, summary(row.system, 0.1, metric="wer")) for row in (late, near)]
    assert front(points) == {"near"}
    ax = plot_pareto(points, ax=Figure().subplots())
    assert ax.get_xlabel() == "|mesh offset| ↓ [ms]"
    data = summary_data([late, near])
    assert (data["value"].tolist(), data["is_absolute"].all()) == ([207.0, 10.0], True)


def test_nothing_beats_anything_where_no_value_is_better() -> None:
    points = [
        (summary(name, x, metric="dynamic_degree", higher_is_better=None), summary(name, y))
        for name, x, y in (("a", 1.0, 0.1), ("b", 2.0, 0.2))
    ]
    assert front(points) == {"a", "b"}


def test_a_run_has_all_kinds_of_figures_and_leaves_the_settings_alone(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    runs = load_runs(make_run(tmp_path / "run"))
    drawn = draw(runs, recordings=recordings(tmp_path))
    assert {one.name.split("_")[0] for one in drawn} == set(USUAL)
    assert all(len(one.data) for one in drawn)
    assert dict(mpl.rcParams) == before
    assert draw(runs, kinds=["latency"]) == []  # no recordings, no trace


def test_figures_fit_the_column(tmp_path: Path) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    for one in draw(runs, width="cvpr_column"):
        assert one.figure.get_figwidth() <= WIDTHS_IN["cvpr_column"]


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_same_data_is_the_same_file(tmp_path: Path, kind: str) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    files = [
        figure_bytes(draw(runs, kinds=["pareto"])[0].figure, kind) for _ in range(2)
    ]  # fmt: skip
    assert files[0] == files[1]
    for word in (b"CreationDate", b"<dc:date>", b"matplotlib.org", b"Software"):
        assert word not in files[0]


def test_pdf_text_is_text() -> None:
    figure = Figure()
    plot_drift([curve(np.ones((2, 3)))], ax=figure.subplots())
    pdf = figure_bytes(figure, "pdf")
    assert b"/FontFile2" in pdf  # TrueType, not outlines as in type 3
    assert b"/Type3" not in pdf


def test_data_lies_beside_each_figure_and_holds_no_formula(tmp_path: Path) -> None:
    data = pd.DataFrame({"system": ["=x", "b"], "value": [-0.1, np.nan], "n": [1, 2]})
    one = Drawn(name="one", title="One", caption="Line: mean.", figure=Figure(), data=data)
    paths = save_figure(one, tmp_path / "figures")
    assert [path.name for path in paths] == ["one.pdf", "one.png", "one.csv", "one.txt"]
    assert paths[3].read_text() == "One. Line: mean.\n"
    assert paths[2].read_text() == data_csv(data) == "system,value,n\n'=x,-0.1,1\nb,,2\n"


def test_a_system_keeps_its_colour_whatever_the_order() -> None:
    assert (
        colours_of(["b", "a"]) == colours_of(["a", "b"]) == dict(zip("ab", COLOURS, strict=False))
    )


def test_a_figure_names_the_recogniser_where_there_are_two(tmp_path: Path) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    others = [
        replace(row, protocol="wer/other@1", protocol_hash="1" * 12)
        for row in runs.rows
        if row.metric == "wer" and row.system != "ground_truth"
    ]
    both = replace(runs, rows=(*runs.rows, *others))
    labels = {
        kind: [ax.get_xlabel() + ax.get_ylabel() for ax in one.figure.axes]
        for kind in ("bars", "pareto", "forest")
        for one in draw(both, kinds=[kind], metrics=["rtf", "wer"])
    }
    assert all(any("default" in label for label in found) for found in labels.values()), labels
    alone = draw(runs, kinds=["bars"], metrics=["wer"])[0].figure.axes[0]
    assert alone.get_xlabel() == "WER ↓ [%]"


def test_prompts_without_room_are_counted_and_each_system_shows_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    few = draw(runs, kinds=["wer"])[0]
    assert "Words of the first" not in few.caption
    assert set(few.data["recording"].dropna().str.split(" / ").str[1]) == {
        "dev_001", "dev_002", "dev_003",
    }  # fmt: skip
    monkeypatch.setattr(gallery, "MAX_STRIPS", 8)
    many = draw(runs, kinds=["wer"])[0]
    assert "Words of the first 2 of 3 prompts, by name." in many.caption
    shown = many.data["recording"].dropna().str.split(" / ")
    assert (
        {name for system, name in shown if system == "ground_truth"}
        == {name for system, name in shown if system == "static_portrait"}
        == {"dev_001", "dev_002"}
    )
