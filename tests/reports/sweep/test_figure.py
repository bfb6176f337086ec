"""The small multiples of a sweep show what its numbers say."""

import pytest
from matplotlib.axes import Axes

from reports.figures.steps import ALARM_COLOUR
from reports.sweep.figure import sweep_figure
from reports.sweep.results import sweep_of
from tests.reports.sweep.test_results import INFOS, made

LEVELS = {"wer": {1: 0.5, 2: 0.2, 30: 0.3}, "mesh_sync_at_zero": {1: 0.2, 2: None, 30: 0.4}}


def lines(ax: Axes, marker: str, colour: str = "") -> list[list[float]]:
    """The x of all lines with a marker."""
    found = [line for line in ax.get_lines() if line.get_marker() == marker]
    return [list(line.get_xdata()) for line in found if colour in {"", line.get_color()}]  # type: ignore[arg-type]


def test_each_metric_has_a_panel_with_its_best_step_and_alarms() -> None:
    drawn = sweep_figure(made(LEVELS, {"wer": 0.25, "mesh_sync_at_zero": 0.3}))
    wer, sync = drawn.figure.axes
    assert lines(wer, "o")[0] == [1, 2, 30]
    assert lines(wer, "o")[1] == [2]
    assert lines(wer, "x", ALARM_COLOUR) == [[30]]
    assert lines(sync, "o")[1] == [30]
    assert lines(sync, "x") == [[]]
    (legend,) = drawn.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "baseline: plain", "student", "best step", "worse than the best before",
    ]  # fmt: skip


def test_values_are_drawn_as_tables_print_them_and_kept_as_they_are() -> None:
    drawn = sweep_figure(made({"wer": {1: 0.5, 2: 0.2}}, {"wer": 0.25}))
    (line,) = [one for one in drawn.figure.axes[0].get_lines() if one.get_label() == "student"]
    assert line.get_ydata() == pytest.approx([50, 20], abs=1)
    assert drawn.data["network"].tolist() == ["student", "student", "baseline"]
    assert drawn.data["value"].tolist() == pytest.approx([0.5, 0.2, 0.25], abs=0.01)
    assert drawn.data["step"].tolist()[:2] == [1, 2]


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="no metric"):
        sweep_figure(sweep_of([], [], infos=INFOS, identities={}))
