"""Forest, ranks and radar; and one colour, marker and order a system in all figures."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from evals.protocols.info import Direction
from evals.scoring.compare import Comparison
from evals.scoring.results import ScoreRow
from reports.figures.bars import plot_bars
from reports.figures.forest import forest_data, plot_forest
from reports.figures.radar import INNER, plot_radar, radar_data, scaled_values
from reports.figures.ranks import plot_ranks, rank_data, rank_systems
from reports.figures.style import BLACK, COLOURS, colours_of, in_look_order, markers_of, same_look
from reports.gallery import KINDS, USUAL, draw
from reports.load import Runs
from streamchar_ref.cli import main
from tests.reports.factory import INFOS, SYSTEMS
from tests.reports.factory import score_row as row_of
from tests.reports.test_tables import summary


def compared(system: str, delta: float | None, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "suite": "smoke", "metric": "wer", "protocol": "wer/x@1", "system": system,
        "against": "truth", "delta": delta, "unit": "1", "verdict": "inconclusive",
    }  # fmt: skip
    return Comparison(**(fields | changes))


def scores(values: dict[str, list[float]]) -> list[ScoreRow]:
    return [
        replace(row_of("ground_truth", f"s{place}", "cer", value), system=system)
        for system, own in values.items()
        for place, value in enumerate(own)
    ]


def test_a_forest_has_a_row_a_system_with_its_interval_in_print_units() -> None:
    won = compared("ours", -0.02, ci_low=-0.03, ci_high=-0.01, verdict="better")
    ax = plot_forest([won, compared("theirs", 0.01)], direction=Direction.LOWER)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["ours", "theirs"]
    drawn = [np.asarray(line.get_xdata()) for line in ax.lines]
    assert any(np.allclose(ends, [-3.0, -1.0]) for ends in drawn if len(ends) == 2)
    assert ax.get_xlabel() == "\N{GREEK CAPITAL LETTER DELTA} WER [%]\nto truth; left is better"
    faces = [
        to_hex(line.get_markerfacecolor()) for line in ax.lines if str(line.get_marker()) in "os"
    ]
    assert faces[-2:] == [colours_of(["ours", "theirs"])["ours"].lower(), "#ffffff"]


def test_a_forest_says_what_cannot_be_compared() -> None:
    ax = plot_forest([compared("ours", None, verdict="not comparable")], direction=Direction.LOWER)
    assert "not comparable" in [text.get_text() for text in ax.texts]
    assert forest_data([compared("ours", None)]).loc[0, "against"] == "truth"


def test_ranks_are_means_over_prompts_and_the_critical_difference_is_nemenyis() -> None:
    found = rank_systems(
        scores({"a": [0.1, 0.1, 0.2], "b": [0.2, 0.3, 0.1], "c": [0.3, 0.2, 0.3]}), Direction.LOWER
    )
    assert found is not None
    assert found.systems == ("a", "b", "c")
    assert np.allclose(found.mean_ranks, [4 / 3, 2.0, 8 / 3])
    # Demsar 2006, table 5: q is 2.343 for three systems.
    assert found.critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 3)), abs=1e-3)
    assert found.groups == [(0, 2)]
    higher = rank_systems(scores({"a": [1.0, 2.0], "b": [3.0, 4.0]}), Direction.HIGHER)
    assert higher is not None
    assert higher.systems == ("b", "a")


def test_groups_of_ranks_are_the_longest_runs() -> None:
    found = rank_systems(scores({"a": [1.0, 1.0], "b": [2.0, 2.0]}), Direction.LOWER)
    assert found is not None
    ranks = found._replace(
        systems=tuple("abcd"), mean_ranks=np.array([1.0, 1.9, 2.2, 4.0]), critical=1.0
    )
    assert ranks.groups == [(0, 1), (1, 2)]
    ax = plot_ranks(ranks)
    assert any("critical difference 1.00" in text.get_text() for text in ax.texts)
    assert list(rank_data(ranks, "wer")["system"]) == list("abcd")


def test_prompts_that_a_system_lacks_are_left_out_and_counted() -> None:
    rows = scores({"a": [0.1, 0.2, 0.3], "b": [0.2, 0.3]})
    found = rank_systems(rows, Direction.LOWER)
    assert found is not None
    assert (found.num_prompts, found.num_left_out) == (2, 1)
    assert rank_systems(rows, Direction.NONE) is None
    assert rank_systems(scores({"a": [0.1, 0.2]}), Direction.LOWER) is None


def test_a_radar_runs_from_the_worst_to_the_best_whichever_is_better() -> None:
    lower = [summary("a", 0.1), summary("b", 0.3), summary("c", None)]
    higher = [replace(row, metric="mesh_sync", higher_is_better=True) for row in lower]
    assert scaled_values(lower) == {"a": 1.0, "b": pytest.approx(INNER)}
    assert scaled_values(higher) == {"a": pytest.approx(INNER), "b": 1.0}
    by_metric = {"wer": lower, "mesh_sync": higher, "cer": lower}
    ax = plot_radar(by_metric)
    assert ax.get_xticklabels()[0].get_text() == "WER\n30.0 to 10.0 %"
    assert len(radar_data(by_metric)) == 6
    sides = [label.get_horizontalalignment() for label in ax.get_xticklabels()]
    assert sides == ["center", "left", "right"]  # away from the circle


def test_a_system_looks_the_same_wherever_it_is_drawn() -> None:
    with same_look(["ours", "theirs", "truth"], ["truth"], ["theirs", "ours", "truth"]):
        whole = colours_of(["ours", "theirs", "truth"]), markers_of(["ours", "theirs", "truth"])
        assert colours_of(["theirs"])["theirs"] == whole[0]["theirs"] == COLOURS[1]
        assert markers_of(["theirs"])["theirs"] == whole[1]["theirs"]
        assert whole[0]["truth"] == BLACK
        assert in_look_order(["truth", "ours", "theirs"]) == ["theirs", "ours", "truth"]
        ax = plot_bars([summary("truth", 0.1), summary("theirs", 0.2)])
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["theirs", "truth"]
        assert to_hex(ax.patches[0].get_facecolor()) == COLOURS[1].lower()
    assert in_look_order(["b", "a"]) == ["a", "b"]


def runs_of(num_samples: int = 6) -> Runs:
    rows = tuple(
        row_of(system, f"dev_{place}", metric, 0.1 * (1 + order) + 0.01 * place)
        for order, system in enumerate(SYSTEMS[:3])
        for place in range(num_samples)
        for metric in ("wer", "dnsmos_ovrl", "rtf")
    )
    return Runs(paths=(), rows=rows, window_rows=(), infos=INFOS)


def test_the_new_kinds_are_drawn_from_a_run_for_the_systems_that_are_asked_for() -> None:
    metrics = ["wer", "dnsmos_ovrl", "rtf"]
    drawn = draw(runs_of(), kinds=["forest", "ranks", "radar"], metrics=metrics)
    names = [one.name.split("_")[0] for one in drawn]
    assert names == ["forest", "ranks", "ranks", "ranks", "radar"]
    assert set(drawn[0].data["against"]) == {"ground_truth"}
    assert "Areas" in drawn[-1].caption
    few = draw(
        runs_of(), kinds=["forest", "radar"], metrics=metrics,
        systems=["cascade_a", "streamchar_base"], against="cascade_a", width="cvpr_column",
    )  # fmt: skip
    assert set(few[0].data["system"]) == {"streamchar_base"}
    assert set(few[1].data["system"]) == {"cascade_a", "streamchar_base"}
    assert few[0].figure.get_figwidth() == 3.25
    assert not {"forest", "ranks", "radar"} & set(USUAL)
    assert set(USUAL) < set(KINDS)


@pytest.mark.parametrize("arguments", [("--kind", "bars", "--against", "a"), ("--kind", "tree")])
def test_plot_says_what_does_not_fit(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plot", "nowhere", *arguments])
    assert ended.value.code == 2
    assert "forest" in capsys.readouterr().err


def test_a_part_of_a_run_has_the_systems_and_metrics_that_are_asked_for() -> None:
    part = runs_of(2).only(["cascade_a"], ["wer", "rtf"])
    assert {(row.system, row.metric) for row in part.rows} == {
        ("cascade_a", "wer"), ("cascade_a", "rtf"),
    }  # fmt: skip
    assert runs_of(2).only().rows == runs_of(2).rows
