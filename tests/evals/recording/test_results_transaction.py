"""Whatever moment a kill comes at: readers see old or new results, and the next run is as ever."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.recording.record import record
from evals.recording.recording import Recording
from evals.recording.run_folder import read_recording, read_run, recording_folders, recordings_of
from evals.recording.transaction import missing_from
from evals.scoring import persist as run_scores
from evals.scoring.merge import merge
from evals.scoring.persist import score_run
from evals.scoring.results import ScoreRow, WindowRow, read_scores
from evals.scoring.score import Options, Scored
from reports.load import load_runs
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.decode import frames
from tests.evals.kills import killed_at_each_step, tree
from tests.evals.recording.test_record import Scripted, plan, prompt
from tests.evals.toys import recording


def samples(*names: str) -> list[Recording]:
    return [recording(Path(f"{name}.mp4"), name, groups={"identity": name}) for name in names]


def row(sample_id: str, metric: str, value: float | None = 0.5, **changes: Any) -> ScoreRow:
    fields = {
        "sample_id": sample_id, "system": "s", "suite": "u", "seed": 0, "metric": metric,
        "protocol": f"{metric}/test@1", "protocol_hash": f"hash of {metric}", "domain": "real",
        "value": value, "weight": 1.0, "status": "computed", "reason": "",
    }  # fmt: skip
    return ScoreRow(**(fields | changes))


def curve(sample_id: str, metric: str, value: float = 0.5) -> WindowRow:
    return WindowRow(
        sample_id=sample_id, system="s", suite="u", seed=0, metric=metric,
        protocol=f"{metric}/test@1", t0_s=0.0, t1_s=1.0, value=value,
    )  # fmt: skip


Scoring = Callable[..., None]


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> Scoring:
    """Scores without measuring: each sample gets the same value."""
    monkeypatch.setattr(run_scores, "provenance", lambda: {"versions": {"python": "3"}})
    monkeypatch.setattr(run_scores, "notes_on", lambda recording: [f"on {recording.sample_id}"])

    def score(
        run: Path,
        names: str,
        metric: str,
        value: float = 0.5,
        *,
        whole: str = "",
        log: str = "",
        config: dict[str, Any] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        found = Scored(
            rows=[row(name, metric, value) for name in names.split()],
            windows=[curve(name, metric, value) for name in names.split()],
            protocols={f"hash of {metric}": {"metric": metric, "value": value}},
            logs=[log] if log else [],
        )
        if log:
            failed = {"value": None, "status": "evaluator_failure", "reason": log}
            found = replace(found, rows=[replace(one, **failed) for one in found.rows])

        def measure(*_: object, **__: object) -> Scored:
            meanwhile()
            return found

        monkeypatch.setattr(run_scores, "score", measure)
        score_run(
            run, samples(*names.split()), metrics=[], set_metrics=[], options=Options(),
            progress=lambda *_: None, whole=samples(*whole.split()), config=config,
        )  # fmt: skip

    return score


def seen(run: Path) -> tuple[object, ...]:
    """What readers find."""
    if not missing_from(run) and not read_run(run):
        return ()
    loaded = load_runs(run)
    told = read_run(run)
    return (loaded.rows, loaded.window_rows, loaded.identities, told["protocols"], told["notes"])


def test_a_kill_at_any_step_of_the_first_scoring_leaves_nothing_or_all(
    tmp_path: Path, scoring: Scoring
) -> None:
    scoring(tmp_path / "whole", "a b", "rtf")
    run, undisturbed = tmp_path / "run", tree(tmp_path / "whole")
    states = set()
    for _ in killed_at_each_step(
        lambda: scoring(run, "a b", "rtf"), lambda: shutil.rmtree(run, ignore_errors=True)
    ):
        states.add(seen(run) == seen(tmp_path / "whole"))
        scoring(run, "a b", "rtf")
        assert tree(run) == undisturbed
    assert states == {True, False}


def test_a_kill_at_any_step_leaves_old_or_new_results_and_no_reader_writes(
    tmp_path: Path, scoring: Scoring
) -> None:
    start, run = tmp_path / "start", tmp_path / "run"
    scoring(start, "a b", "wer")
    scoring(start, "a b", "rtf", log="Traceback: no space")

    def begin() -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(start, run)

    begin()
    scoring(run, "a b", "rtf", 0.75)
    undisturbed, new = tree(run), seen(run)
    assert "errors.txt" not in undisturbed
    states = []
    for _ in killed_at_each_step(lambda: scoring(run, "a b", "rtf", 0.75), begin):
        left = tree(run)
        states.append((seen(start), new).index(seen(run)))
        assert tree(run) == left
        scoring(run, "a b", "rtf", 0.75)
        assert tree(run) == undisturbed
    assert states == sorted(states)  # old until the commit, new from then on
    assert set(states) == {0, 1}


def test_a_kill_is_repaired_by_another_command_too(tmp_path: Path, scoring: Scoring) -> None:
    run = tmp_path / "run"
    for _ in killed_at_each_step(
        lambda: scoring(run, "a", "rtf", whole="a b c"),
        lambda: shutil.rmtree(run, ignore_errors=True),
    ):
        scoring(run, "b c", "wer", whole="a b c")
        assert {one.metric for one in read_scores(run / "scores.jsonl")} >= {"wer"}
        assert not [path for path in run.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("lost", ["windows.csv", "summary.json", "run.json"])
def test_what_earlier_versions_left_half_written_is_read_and_scored_again(
    tmp_path: Path, scoring: Scoring, lost: str
) -> None:
    run = tmp_path / "run"
    scoring(run, "a b", "rtf")
    undisturbed = tree(run)
    (run / lost).unlink()
    assert missing_from(run) == [lost]
    assert len(load_runs(run).rows) == 2
    assert load_runs(run).summaries[0].unit == "s/s"
    scoring(run, "a b", "rtf")
    assert tree(run) == undisturbed


def test_a_folder_in_the_way_of_a_result_is_named(tmp_path: Path, scoring: Scoring) -> None:
    (tmp_path / "scores.jsonl").mkdir()
    with pytest.raises(IsADirectoryError, match=r"scores\.jsonl"):
        scoring(tmp_path, "a", "rtf")
    (tmp_path / "scores.jsonl").rmdir()
    scoring(tmp_path, "a", "rtf")
    assert len(read_scores(tmp_path / "scores.jsonl")) == 1


def test_tracebacks_stay_as_long_as_a_row_may_be_about_them(
    tmp_path: Path, scoring: Scoring
) -> None:
    log = tmp_path / "errors.txt"
    scoring(tmp_path, "a", "rtf", log="of a", whole="a b")
    scoring(tmp_path, "b", "rtf", log="of b", whole="a b")
    scoring(tmp_path, "b", "rtf", log="of b", whole="a b")
    assert log.read_text() == "of a\nof b"
    scoring(tmp_path, "a b", "rtf")
    assert not log.exists()


def test_a_kill_at_any_step_of_recording_again_loses_no_recording(tmp_path: Path) -> None:
    start, run = tmp_path / "start", tmp_path / "run"
    record(Scripted([0.1, ValueError("no")]), [prompt()], plan(start))

    def again() -> None:
        system = Scripted([0.1, 0.1])
        record(system, [prompt()], plan(run, retry_failed=True), clock=system.clock)

    def begin() -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(start, run)

    begin()
    again()
    undisturbed, states = tree(run), []
    for _ in killed_at_each_step(again, begin):
        (found,) = recordings_of(run)
        states.append(found.error)
        if not found.error:
            assert sum(map(len, frames(found.video_path))) == 16
        again()
        assert tree(run) == undisturbed
    assert set(states) == {"ValueError: no", ""}
    assert states == sorted(states, reverse=True)


def test_a_kill_at_any_step_of_a_merge_is_made_good_by_the_same_command(
    tmp_path: Path, scoring: Scoring
) -> None:
    parts = [tmp_path / name for name in ("one", "two")]
    for part in parts:
        folder = part / "recordings" / "s" / "u" / part.name / "0"
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text("{}")
        scoring(part, part.name, "rtf")
    assert merge(parts, tmp_path / "whole") == 2
    out, undisturbed = tmp_path / "out", tree(tmp_path / "whole")
    for _ in killed_at_each_step(
        lambda: merge(parts, out), lambda: shutil.rmtree(out, ignore_errors=True)
    ):
        assert merge(parts, out) == 2
        assert tree(out) == undisturbed
        assert [*recording_folders(out)] == ["s/u/one/0", "s/u/two/0"]
    assert merge(parts, out) == 2  # it is there already
    scoring(parts[0], "one", "wer")
    with pytest.raises(InputError, match="holds a run already"):
        merge(parts, out)
    assert tree(out) == undisturbed


def test_what_is_half_recorded_is_no_recording(tmp_path: Path) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path))
    (folder,) = recording_folders(tmp_path).values()
    shutil.copytree(folder, folder.with_name(".0badc0de-1-0badc0de.part"))
    assert [each.sample_id for each in recordings_of(tmp_path)] == ["p"]
    folder.rename(folder.with_name(".0.ready"))
    assert read_recording(*recording_folders(tmp_path).values()).error == ""
