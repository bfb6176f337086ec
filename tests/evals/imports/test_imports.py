"""Results of VBench, VERSA and StreamAV-Bench become rows of a run, apart from measured ones."""

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.explain import app as explain_app
from evals.commands.import_results import app
from evals.imports.vbench import read_vbench
from evals.imports.versa import read_versa
from evals.metrics import EVERY_METRIC, INFOS
from evals.protocols.card import card_of, fill
from evals.protocols.info import Direction, Level
from evals.protocols.tool import imported_infos, is_import, load_tools
from evals.recording.recording import Recording
from evals.scoring.merge import merge
from evals.scoring.persist import score_run
from evals.scoring.recipe import recipe_values
from evals.scoring.results import read_scores, read_windows
from evals.scoring.score import Options
from evals.scoring.verify import check_results
from reports.commands.plot import app as plot_app
from reports.load import load_runs
from reports.tables import wide
from streamchar_ref.core.errors import InputError
from tests.evals.imports.files import NAMES, by_sample, invoke, vbench_file, versa_file
from tests.evals.metrics.test_info import Blinks


def test_every_imported_metric_has_a_name_of_its_own_and_a_card_that_can_be_filled() -> None:
    measured = {metric.name for metric in EVERY_METRIC}
    assert imported_infos().keys().isdisjoint(measured)
    labels = [info.label for info in INFOS.values()]
    assert len(set(labels)) == len(labels)
    for tool in load_tools().values():
        for metric in tool.metrics.values():
            assert INFOS[metric.name].level is Level.DETAIL
            assert is_import(tool.protocol(metric))
            card = card_of(tool.protocol(metric))
            assert card is not None
            assert metric.key in fill(card.recipe, recipe_values(tool.params(metric, "1")))
    assert not any(is_import(metric.protocol) for metric in EVERY_METRIC)


def test_vbench_keeps_each_video_in_the_scale_of_the_total(tmp_path: Path) -> None:
    path = vbench_file(
        tmp_path / "ours_eval_results.json",
        dynamic_degree=[0.5, [{"video_path": r"C:\v\1.mp4", "video_results": True}]],
        object_class=[
            0.75,
            [
                {"video_path": "1.mp4", "video_results": 1.0, "frame_count": 16},
                {"video_path": "2.mp4", "video_results": 0.5, "frame_count": 16},
            ],
        ],
        Human_Identity=[0.8, [{"video_path": "1.mp4", "video_results": -1}]],
        scene=[0.3, []],
        color=[0.3, [{"video_path": "1.mp4", "video_results": float("nan")}]],
        skin_bias=[0.1, []],
    )
    found = read_vbench(path)
    assert by_sample(found, "vbench_imaging_quality")["2"].value == pytest.approx(0.48)
    assert by_sample(found, "vbench_dynamic_degree")["1"].value == 1.0
    assert by_sample(found, "vbench_object_class")["1"].weight == 16
    left_out = by_sample(found, "vbench2_human_identity")["1"]
    assert (left_out.value, left_out.status) == (None, "not_applicable")
    assert by_sample(found, "vbench_scene")["*"].value == 0.3
    assert by_sample(found, "vbench_color")["1"].status == "evaluator_failure"
    assert found.totals["vbench_imaging_quality"] == 0.5
    assert list(found.left_out) == ["skin_bias"]


@pytest.mark.parametrize("total", [0.6, None, float("nan")])
def test_a_video_without_a_number_does_not_change_the_scale_of_the_others(
    total: float | None, tmp_path: Path
) -> None:
    numbers = (float("nan"), 60.0, float("inf"))
    videos = [{"video_path": f"{at}.mp4", "video_results": one} for at, one in enumerate(numbers)]
    path = tmp_path / "x.json"
    for content in (videos, videos[::-1]):
        path.write_text(json.dumps({"imaging_quality": [total, content]}))
        found = by_sample(read_vbench(path), "vbench_imaging_quality")
        assert found["1"].value == pytest.approx(0.6)
        assert (found["0"].value, found["2"].value) == (None, None)


def test_takes_of_a_prompt_are_seeds_of_one_sample_on_request(tmp_path: Path) -> None:
    videos = [
        {"video_path": f"{p}-{k}.mp4", "video_results": 0.5} for p in ("a man", "b") for k in (0, 1)
    ]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"motion_smoothness": [0.5, videos]}))
    plain, takes = read_vbench(path), read_vbench(path, takes=True)
    assert {one.sample_id for one in plain.values} == {"a man-0", "a man-1", "b-0", "b-1"}
    assert {(one.sample_id, one.seed) for one in takes.values} == {
        ("a man", 0), ("a man", 1), ("b", 0), ("b", 1),
    }  # fmt: skip
    said = invoke("vbench", path, "--run", tmp_path / "run", "--system", "ours")
    assert "give --takes" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[1, 2]", "wanted is a file of VBench"),
        ('{"wer": [0.1, []]}', "'wer' is no dimension"),
        ('{"scene": 0.3}', r"scene is 0.3, not \[total, \[videos\]\]"),
        ('{"scene": [0.3, [{"video_results": 1}]]}', "scene, video 0: .* has no video_path"),
        ('{"scene": [0.3, [{"video_path": "a"}]]}', "scene, video 0: video_results is None"),
        ('{"scene": [null, []]}', "holds no number"),
        (
            '{"scene": [1, [{"video_path": "x/a.mp4", "video_results": 1},'
            ' {"video_path": "y/a.mp4", "video_results": 0}]]}',
            "two values of scene for 'a'; samples need names of their own",
        ),
    ],
)
def test_what_is_no_file_of_vbench_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_vbench(path)


def test_versa_is_read_as_json_and_as_python_prints_it(tmp_path: Path) -> None:
    rows = [
        {"key": "s/a.wav", "utmos": 3.0, "sir": float("inf"), "language": "en", "stoi": 0.5},
        {"key": "s/b.wav", "utmos": 4.0, "sir": 10.0, "language": "en"},
    ]
    as_json = versa_file(tmp_path / "a.txt", "\n".join(map(json.dumps, rows)) + "\n")
    printed = "\n".join(map(str, rows)).replace("3.0", "np.float32(3.0)")
    as_python = versa_file(tmp_path / "b.txt", printed)
    for path in (as_json, as_python):
        found = read_versa(path)
        assert {n: v.value for n, v in by_sample(found, "versa_utmos").items()} == {
            "a": 3.0, "b": 4.0,
        }  # fmt: skip
        assert by_sample(found, "versa_sir")["a"].status == "not_applicable"
        missing = by_sample(found, "versa_stoi")["b"]
        assert (missing.status, missing.reason) == (
            "evaluator_failure", "the file has no number for it",
        )  # fmt: skip
        assert list(found.left_out) == ["language"]


def test_word_errors_of_versa_are_a_rate_weighted_by_words(tmp_path: Path) -> None:
    counts = [(1, 0, 1, 8), (0, 2, 0, 2)]
    lines = [
        {"key": f"{at}.wav"}
        | {
            f"whisper_wer_{name}": count
            for name, count in zip(("delete", "insert", "replace", "equal"), row, strict=True)
        }
        for at, row in enumerate(counts)
    ]
    path = versa_file(tmp_path / "w.txt", "\n".join(map(json.dumps, lines)))
    found = by_sample(read_versa(path), "versa_whisper_wer")
    assert (found["0"].value, found["0"].weight) == (0.2, 10)
    assert (found["1"].value, found["1"].weight) == (1.0, 2)
    assert len(read_versa(path).values) == 2  # counts are no metrics of their own
    invoke("versa", path, "--run", tmp_path / "run", "--system", "ours")
    (row,) = load_runs(tmp_path / "run").summaries
    assert row.value == pytest.approx(4 / 12)  # micro, as VERSA's own counts say


def test_stretches_of_a_recording_are_its_curve(tmp_path: Path) -> None:
    lines = [{"key": f"long.wav@{t}.000-{t + 2}.000", "utmos": 3 + t, "mood": t} for t in (0, 1)]
    path = versa_file(tmp_path / "c.txt", "\n".join(map(json.dumps, lines)))
    invoke("versa", path, "--run", tmp_path / "run", "--system", "ours")
    rows = {row.metric: row for row in read_scores(tmp_path / "run" / "scores.jsonl")}
    assert (rows["versa_utmos"].sample_id, rows["versa_utmos"].value) == ("long", 3.5)
    assert load_runs(tmp_path / "run").infos["versa_mood"].direction is Direction.NONE
    curve = [w for w in read_windows(tmp_path / "run" / "windows.csv") if w.metric == "versa_utmos"]
    assert [(w.t0_s, w.t1_s, w.value, w.unit) for w in curve] == [
        (0.0, 2.0, 3.0, "MOS"), (1.0, 3.0, 4.0, "MOS"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("utmos: 3.2", "line 1: 'utmos: 3.2' is no dictionary"),
        ("{'utmos': 3.2}", "line 1: .* has no key"),
        ("{'key': 'a', 'x': __import__('os').getcwd()}", "is no dictionary"),
        ("{'key': 'a.wav', 'utmos': 1}\n{'key': 'b/a.wav', 'utmos': 1}", "'a' is there twice"),
        ("{'key': 'a.wav', 'text': 'x'}", "holds no number"),
        (
            "{'key': 'x/a.wav@0.000-2.000', 'mos': 1}\n{'key': 'y/a.wav@0.000-2.000', 'mos': 3}",
            "line 2: 'a' is there twice; as 'x/a.wav' and 'y/a.wav'; utterances need names of",
        ),
        (
            "{'key': 'a.wav@0.000-2.000', 'utmos': 1}\n{'key': 'a.wav@0.000-2.000', 'utmos': 3}",
            "line 2: 'a' has the stretch 0.000-2.000 twice",
        ),
        (
            "{'key': 'a.wav', 'utmos': 1}\n{'key': 'a.wav@0.000-2.000', 'utmos': 3}",
            "line 2: 'a' is there as a whole and in stretches",
        ),
        (
            "{'key': 'a.wav@0.000-2.000', 'utmos': 3}\n{'key': 'a.wav', 'utmos': 1}",
            "line 2: 'a' is there as a whole and in stretches",
        ),
    ],
)
def test_what_is_no_file_of_versa_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_versa(versa_file(tmp_path / "x.txt", text))


def measured(run: Path) -> list[Recording]:
    samples = [
        Recording(sample_id=n, system="ours", suite="u", transcript="", video_path=Path("none.mp4"))
        for n in NAMES
    ]
    score_run(
        run, samples, metrics=[Blinks()], set_metrics=[], options=Options(jobs=1),
        progress=lambda *_: None,
    )  # fmt: skip
    return samples


def test_imports_stay_beside_measured_rows_and_share_no_line_with_them(tmp_path: Path) -> None:
    run = tmp_path / "run"
    samples = measured(run)
    ours = vbench_file(tmp_path / "ours.json")
    theirs = vbench_file(tmp_path / "theirs.json", gain=0.005)
    invoke("vbench", ours, "--run", run, "--system", "ours")
    invoke("vbench", theirs, "--run", run, "--system", "theirs")
    rows = read_scores(run / "scores.jsonl")
    assert {row.suite for row in rows} == {"u"}  # the suite of the samples in this run
    before = (run / "scores.jsonl").read_bytes()
    measured(run)
    assert (run / "scores.jsonl").read_bytes() == before  # scoring keeps what was imported
    loaded = load_runs(run)
    (table,) = wide(loaded.summaries, comparisons=loaded.comparisons)
    lines = {line.metric: line for line in table.lines}
    assert set(lines) == {
        "blinks_per_min", "vbench_subject_consistency", "vbench_imaging_quality",
    }  # fmt: skip
    assert lines["vbench_subject_consistency"].best == "theirs"  # paired by sample
    assert lines["vbench_subject_consistency"].label == "VBench subject consistency, imported"
    assert set(lines["blinks_per_min"].cells) == {"ours"}
    entries = json.loads((run / "run.json").read_text())
    assert check_results(rows, loaded.summaries, entries) == []
    assert len(samples) == len(NAMES)


def test_a_second_import_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "run"
    measured(run)
    invoke("vbench", vbench_file(tmp_path / "a.json"), "--run", run, "--system", "ours")
    path = tmp_path / "b.json"
    path.write_text(
        json.dumps({"subject_consistency": [0.7, [{"video_path": "1.mp4", "video_results": 0.7}]]})
    )
    arguments = ("vbench", path, "--run", run, "--system", "ours", "--tool-version", "0.1.5")
    invoke(*arguments, "--json")
    rows = read_scores(run / "scores.jsonl")
    values = [row.value for row in rows if row.metric == "vbench_subject_consistency"]
    assert values == [0.7]
    assert sum(row.metric == "vbench_imaging_quality" for row in rows) == len(NAMES)
    assert sum(row.metric == "blinks_per_min" for row in rows) == len(NAMES)
    before = (run / "scores.jsonl").read_bytes()
    invoke(*arguments)
    assert (run / "scores.jsonl").read_bytes() == before


def test_versions_of_a_tool_share_no_mean(tmp_path: Path) -> None:
    for version in ("1", "2"):
        path = vbench_file(tmp_path / f"{version}.json")
        invoke("vbench", path, "--run", tmp_path / "run", "--system", f"s{version}",
               "--tool-version", version)  # fmt: skip
    lines = [
        line
        for table in wide(load_runs(tmp_path / "run").summaries)
        for line in table.lines
        if line.metric == "vbench_imaging_quality"
    ]
    assert [line.mark for line in lines] == ["†", "†"]


def test_a_number_is_explained_with_its_file_and_the_files_own_total(tmp_path: Path) -> None:
    run, path = tmp_path / "run", vbench_file(tmp_path / "ours_eval_results.json")
    invoke("vbench", path, "--run", run, "--system", "ours")
    done = CliRunner().invoke(explain_app, [f"{run}:vbench_imaging_quality"])
    assert done.exit_code == 0, done.output
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"ours: from ours_eval_results.json (sha256 {digest}), which itself" in done.output
    assert "states 0.5" in done.output
    assert f"streamchar import vbench FILE --run {run}" in done.output
    assert "huang2024vbench" in done.output
    alone = CliRunner().invoke(explain_app, ["vbench_imaging_quality", "--json"])
    assert json.loads(alone.output)[0]["axis"] == "appearance"
    done = CliRunner().invoke(explain_app, ["streamav_vq/import-streamav@1"])
    assert "StreamAV-Bench" in done.output


def test_figures_and_joined_runs_hold_imports_too(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    measured(a)
    invoke("vbench", vbench_file(tmp_path / "x.json", scene=[0.3, []]), "--run", a,
           "--system", "ours")  # fmt: skip
    invoke("vbench", vbench_file(tmp_path / "y.json", 0.01), "--run", b, "--system", "theirs")
    arguments = [str(a), str(b), "--kind", "bars", "--metrics", "vbench_imaging_quality"]
    done = CliRunner().invoke(plot_app, [*arguments, "--out", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "figures").glob("*.csv"))
    merge([a, b], tmp_path / "all")
    kept = {row.metric: row for row in read_scores(tmp_path / "all" / "scores.jsonl")}
    assert kept["vbench_scene"].value == 0.3  # one number of a whole set, and no part of one


def test_an_import_needs_a_system_and_a_folder_of_its_own(tmp_path: Path) -> None:
    path = vbench_file(tmp_path / "x.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    for arguments, message in (
        (["--run", str(other), "--system", "s"], "no run folder and not empty"),
        (["--run", str(tmp_path / "r"), "--system", "a/b"], "cannot name a folder"),
        (["--run", str(tmp_path / "r"), "--system", ""], "name it with --system"),
    ):
        done = CliRunner().invoke(app, ["vbench", str(path), *arguments])
        assert done.exit_code == 2
        assert message in done.output.replace("\n", " ")
