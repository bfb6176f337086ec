"""A metric says of itself how it is shown, and nothing of that is in its protocol hash."""

import math
from itertools import chain
from pathlib import Path

import pytest

import evals.metrics
from evals.metrics import EVERY_METRIC, INFOS, METRICS
from evals.protocols.base import Features, Metric, MetricContext, Score, protocol_hash
from evals.protocols.info import UNBOUNDED, Axis, Level
from evals.recording.recording import Recording
from evals.scoring.results import write_scores
from evals.scoring.score import Options, params_of, score
from evals.scoring.summary import summarise, write_summary
from reports.build import build_report
from reports.figures.bars import plot_bars
from reports.headline import headline_markdown, headline_of
from reports.load import load_runs
from reports.tables import wide
from tests.reports.factory import make_run


class Blinks(Metric):
    """Blinks a minute, from the name of the file."""

    name = "blinks_per_min"
    label = "Blinks"
    axis = Axis.APPEARANCE
    level = Level.HEADLINE
    decimals = 1
    unit = "1/min"
    higher_is_better = True
    protocol = "blinks_per_min/test@1"
    params: dict[str, object] = {}  # noqa: RUF012

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        return Score(value=math.pi * int(recording.sample_id))


def test_a_new_metric_is_one_class_and_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evals.metrics, "METRICS", (*METRICS, Blinks()))
    monkeypatch.setitem(INFOS, Blinks.name, Blinks().info)
    samples = [
        Recording(
            sample_id=str(k), system="s", suite="u", transcript="", video_path=Path("none.mp4")
        )
        for k in range(1, 4)
    ]
    options = Options(jobs=1)
    scored = score(
        samples, metrics=[Blinks()], set_metrics=[], options=options, progress=lambda *_: None
    )
    summaries = summarise(scored.rows, INFOS)
    (table,) = wide(summaries)
    text = headline_markdown(headline_of(table))
    assert "| Blinks ↑ [1/min] (1) | 6.3 |" in text
    axis = plot_bars(summaries).get_xlabel()
    assert axis == "Blinks ↑ [1/min]"
    write_scores(tmp_path / "scores.jsonl", scored.rows)
    write_summary(tmp_path / "summary.json", summaries)
    page = build_report([tmp_path], tmp_path / "report.html").read_text()
    assert "<th>appearance" in page.replace(' colspan="3"', "")
    assert "Blinks<span" in page
    assert ">6.3" in page


@pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda metric: metric.protocol)
def test_protocols_of_one_metric_are_shown_alike(metric: Metric) -> None:
    assert metric.info == INFOS[metric.name]
    assert metric.info.axis is not Axis.OTHER
    assert metric.info.label


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.protocol)
def test_how_a_metric_is_shown_does_not_enter_its_hash(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = protocol_hash(params_of(metric, Options()))
    shown = {"label": "X", "level": Level.DETAIL, "axis": Axis.OTHER, "decimals": 0, "remark": "."}
    for name, value in shown.items():
        monkeypatch.setattr(metric, name, value)
    assert protocol_hash(params_of(metric, Options())) == before


def test_headline_covers_what_a_reader_asks_first() -> None:
    headline = {name for name, info in INFOS.items() if info.level is Level.HEADLINE}
    for needed in ("wer", "mesh_sync", "mesh_offset_ms", "id_distance", "id_drift", "fvd"):
        assert needed in headline
    for needed in ("dnsmos_ovrl", "rtf", "first_chunk_s", "deadline_miss_rate"):
        assert needed in headline
    kept = headline - set(chain(INFOS[name].replaces for name in headline))
    assert len(kept - {"sync_c", "av_offset_frames"}) == 10  # of the world


@pytest.mark.parametrize("name", [name for name, info in INFOS.items() if info.replaces])
def test_what_a_metric_replaces_exists_and_is_of_the_same_axis(name: str) -> None:
    replaced = INFOS[INFOS[name].replaces]
    assert replaced.axis is INFOS[name].axis
    assert not replaced.replaces


def test_a_summary_without_presentation_is_read_as_before(tmp_path: Path) -> None:
    runs = load_runs(make_run(tmp_path / "run"))
    assert "label" not in (tmp_path / "run" / "summary.json").read_text()
    assert runs.infos["wer"]._replace(bounds=UNBOUNDED) == INFOS["wer"]._replace(bounds=UNBOUNDED)
    assert runs.infos["colour_drift"].unit == "dE"  # as the file has it
