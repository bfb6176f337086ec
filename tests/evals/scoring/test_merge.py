"""Joining parts of a run: all rows, one summary, and nothing overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands import merge as merge_command
from evals.recording.recording import Recording
from evals.recording.run_folder import read_run
from evals.scoring.merge import merge
from evals.scoring.persist import score_run
from evals.scoring.results import read_scores, write_scores
from evals.scoring.score import Options
from evals.scoring.summary import read_summary
from reports.load import load_runs
from streamchar_ref.core.errors import InputError
from tests.evals.toys import ALL, recording, toy_extractors, video

__all__ = ["toy_extractors"]


def subjects(folder: Path) -> list[Recording]:
    """Four samples of two people."""
    return [
        recording(
            video(folder / f"{n}.mp4", level=40 * n),
            sample_id=str(n),
            groups={"identity": "anna" if n < 3 else "bert"},
        )
        for n in (1, 2, 3, 4)
    ]


def test_a_joined_run_without_out_lies_beside_the_first_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Path] = []
    monkeypatch.setattr(merge_command, "merge_runs", lambda runs, out: joined.append(out) or 7)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(merge_command.app, ["parts/a", "parts/b"])
    assert joined == [tmp_path / "parts" / "merged"]
    assert f"the joined run goes to {joined[0]}" in done.stderr
    assert f"2 runs, 7 score rows -> {joined[0]}" in done.stdout


def scored(run: Path, recordings: list[Recording]) -> Path:
    score_run(
        run, recordings, metrics=ALL[:1], set_metrics=[], options=Options(),
        progress=lambda *_: None,
    )  # fmt: skip
    return run


def test_joined_parts_are_the_whole(tmp_path: Path) -> None:
    samples = subjects(tmp_path)
    whole = scored(tmp_path / "whole", samples)
    parts = [scored(tmp_path / f"part{k}", samples[k::2]) for k in (0, 1)]
    joined = tmp_path / "joined"
    assert merge(parts, joined) == 4
    for name in ("scores.jsonl", "windows.csv", "summary.json"):
        assert (joined / name).read_bytes() == (whole / name).read_bytes()
    for entry in ("identities", "protocols", "notes"):
        assert read_run(joined)[entry] == read_run(whole)[entry]
    assert merge([joined], tmp_path / "alone") == 4


def test_intervals_of_a_run_draw_people_and_reports_do_so_too(tmp_path: Path) -> None:
    run = scored(tmp_path / "run", subjects(tmp_path))
    (row,) = read_summary(run / "summary.json")
    # Four samples of two people: too few for an interval.
    assert (row.n, row.n_independent, row.ci_low, row.ci_high) == (4, 2, None, None)
    loaded = load_runs(run)
    assert loaded.identities["u/1"] == "anna"
    assert loaded.summaries == [row]


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    samples = subjects(tmp_path)
    run = scored(tmp_path / "run", samples[:1])
    with pytest.raises(InputError, match="no run folder"):
        merge([tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(InputError, match="holds a run already"):
        merge([run], run)
    video(tmp_path / "1.mp4", level=200)
    other = scored(tmp_path / "other", samples[:1])
    with pytest.raises(InputError, match="another value"):
        merge([run, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(read_scores(run / "scores.jsonl")) == 1


def test_a_recording_in_two_parts_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "recordings" / "ours" / "smoke" / "a" / "0").mkdir(parents=True)
    with pytest.raises(InputError, match="in two of the runs"):
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "out")


def test_ranks_among_the_people_of_one_part_are_not_those_of_the_whole(tmp_path: Path) -> None:
    parts = [scored(tmp_path / f"part{k}", subjects(tmp_path)[k::2]) for k in (0, 1)]
    for part, people in zip(parts, (["anna", "bert"], ["bert", "carl"]), strict=True):
        rows = read_scores(part / "scores.jsonl")
        ranked = [
            replace(row, metric="id_rank1", protocol="id_rank1/dlib@1", protocol_hash="r",
                    components={"nearest": dict.fromkeys(people, 1)})
            for row in rows
        ]  # fmt: skip
        write_scores(part / "scores.jsonl", [*rows, *ranked])
    merge(parts, tmp_path / "joined")
    joined = read_scores(tmp_path / "joined" / "scores.jsonl")
    by_metric = {row.metric: (row.status, row.reason) for row in joined}
    assert by_metric["brightness"] == ("computed", "")
    assert by_metric["id_rank1"] == (
        "unavailable",
        "joined from parts, each ranked among its own people; "
        "run: streamchar score RUN --metrics id_rank1",
    )


def test_a_sample_under_two_hashes_of_a_protocol_is_refused(tmp_path: Path) -> None:
    parts = [scored(tmp_path / f"part{k}", subjects(tmp_path)[:2]) for k in (0, 1)]
    rows = read_scores(parts[1] / "scores.jsonl")
    write_scores(parts[1] / "scores.jsonl", [replace(row, protocol_hash="f" * 12) for row in rows])
    with pytest.raises(InputError, match=r"two protocol hashes, #\w+ and #ffffffffffff"):
        merge(parts, tmp_path / "joined")
