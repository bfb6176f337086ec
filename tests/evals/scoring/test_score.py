"""The scoring engine: nothing dropped, nothing measured twice, order and workers change nothing."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals import extractors
from evals.features import canonical
from evals.features.missing import Missing
from evals.features.store import FeatureStore
from evals.protocols.base import Features, MetricContext, Score
from evals.recording.recording import Recording
from evals.recording.run_folder import read_run
from evals.scoring.persist import score_run
from evals.scoring.results import read_scores
from evals.scoring.score import Options, score
from streamchar_ref.media.wav import write_wav
from tests.evals.toys import ALL, RAN, SPECS, First, by_metric, recording, toy_extractors, video

__all__ = ["toy_extractors"]


def test_each_metric_has_a_row_whatever_happens(tmp_path: Path) -> None:
    scored = score([recording(video(tmp_path / "a.mp4"))], metrics=ALL, options=Options())
    rows = by_metric(scored.rows)
    assert len(scored.rows) == len(ALL)
    assert rows["brightness"].value == pytest.approx(100, abs=2)
    assert rows["change"].value == pytest.approx(0, abs=1e-9)
    assert rows["whole"].value == rows["brightness"].value
    assert rows["loudness"].status == "computed"
    assert rows["broken"].status == "evaluator_failure"
    assert "ZeroDivisionError: inside the network" in rows["broken"].reason
    assert rows["broken"].value is None
    assert rows["needs_weights"].status == "unavailable"
    assert "streamchar weights pull" in rows["needs_weights"].reason
    assert len(scored.logs) == 1
    assert "Traceback" in scored.logs[0]


def test_nothing_is_measured_twice_and_the_files_stay_the_same(tmp_path: Path) -> None:
    subject = [recording(video(tmp_path / "a.mp4"))]
    metrics = [metric for metric in ALL if metric.name not in {"broken", "needs_weights"}]
    run = tmp_path / "run"

    def rescore() -> dict[str, bytes]:
        score_run(
            run, subject, metrics=metrics, set_metrics=[], options=Options(),
            progress=lambda *_: None,
        )  # fmt: skip
        return {path.name: path.read_bytes() for path in run.iterdir()}

    first = rescore()
    assert sorted(set(RAN)) == ["brightness", "clip", "loudness"]
    RAN.clear()
    assert rescore() == first
    assert RAN == []
    assert json.loads(first["run.json"])["protocols"]


def test_a_changed_file_or_setting_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "a.mp4")
    before = score([recording(path)], metrics=ALL[:1], options=Options()).rows[0]
    video(path, level=180)
    after = score([recording(path)], metrics=ALL[:1], options=Options()).rows[0]
    assert after.value == pytest.approx(180, abs=2) != before.value
    newer = replace(extractors.EXTRACTORS["brightness"], version=2)
    monkeypatch.setitem(extractors.EXTRACTORS, "brightness", newer)
    RAN.clear()
    again = score([recording(path)], metrics=ALL[:1], options=Options()).rows[0]
    assert RAN == ["brightness"]
    assert again.protocol_hash != after.protocol_hash
    assert again.value == after.value


def test_order_of_samples_and_metrics_changes_no_row(tmp_path: Path) -> None:
    subjects = [
        recording(video(tmp_path / f"{n}.mp4", level=40 * n), sample_id=str(n)) for n in (1, 2, 3)
    ]
    forward = score(subjects, metrics=ALL, options=Options()).rows
    backward = score(subjects[::-1], metrics=ALL[::-1], options=Options()).rows
    assert sorted(forward, key=lambda r: r.key) == sorted(backward, key=lambda r: r.key)


def test_what_is_wrong_with_a_file_becomes_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    whole = video(tmp_path / "whole.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:3000])
    subjects = [
        recording(tmp_path / "text.mp4", "text"),
        recording(tmp_path / "cut.mp4", "cut"),
        recording(video(tmp_path / "mute.mp4", sound=None), "mute"),
        recording(video(tmp_path / "quiet.mp4", sound=0.0), "quiet"),
        recording(whole, "failed", error="CommandFailed: exit status 1"),
        recording(whole, "good"),
    ]
    scored = score(subjects, metrics=[ALL[0], ALL[2]], options=Options())
    rows = {(row.sample_id, row.metric): row for row in scored.rows}
    assert len(rows) == 12
    assert rows["text", "loudness"].status == "generation_failure"
    assert "cannot be decoded" in rows["text", "brightness"].reason
    assert rows["cut", "brightness"].status == "generation_failure"
    assert rows["mute", "brightness"].status == "computed"
    assert (rows["mute", "loudness"].status, rows["mute", "loudness"].reason) == (
        "not_applicable", "nothing can be heard",
    )  # fmt: skip
    assert rows["quiet", "loudness"].reason == "nothing can be heard"
    assert rows["failed", "loudness"].reason == "CommandFailed: exit status 1"
    assert rows["good", "loudness"].status == "computed"


def test_sound_without_picture_is_still_heard(tmp_path: Path) -> None:

    write_wav(tmp_path / "a.wav", np.full(16_000, 0.2, np.float32), sample_rate=16_000)
    rows = by_metric(
        score([recording(tmp_path / "a.wav")], metrics=ALL[:3], options=Options()).rows
    )
    assert rows["loudness"].value == pytest.approx(0.2, abs=1e-3)
    assert rows["brightness"].reason == "the file has no picture"


def test_a_sound_file_is_heard_alike_beside_any_video(tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    write_wav(sound, noise, sample_rate=16_000)
    beside = [recording(path, audio_path=sound) for path in (video(tmp_path / "a.mp4"), sound)]
    heard = [canonical.sound(one, native=False) for one in beside]
    assert canonical.track_hash(beside[0], "audio", native=False) == canonical.track_hash(
        beside[1], "audio", native=False
    )
    np.testing.assert_array_equal(*heard)


def test_native_scores_stand_beside_canonical_ones(tmp_path: Path) -> None:
    run, subject = tmp_path / "run", [recording(video(tmp_path / "a.mp4"))]
    for native in (False, True, False):
        score_run(
            run, subject, metrics=ALL[:1], set_metrics=[], options=Options(native=native),
            progress=lambda *_: None,
        )  # fmt: skip
    rows = read_scores(run / "scores.jsonl")
    assert [row.protocol for row in rows] == ["brightness/test@1", "brightness/test@1+native"]
    assert len({row.protocol_hash for row in rows}) == 2
    assert set(read_run(run)["protocols"]) == {row.protocol_hash for row in rows}


def test_rows_of_other_metrics_stay_and_those_of_vanished_samples_go(tmp_path: Path) -> None:
    a, b = (recording(video(tmp_path / f"{n}.mp4"), sample_id=n) for n in "ab")
    run = tmp_path / "run"
    for subjects, metrics in (([a, b], ALL[:1]), ([a, b], ALL[2:3]), ([a], ALL[2:3])):
        score_run(
            run, subjects, metrics=metrics, set_metrics=[], options=Options(),
            progress=lambda *_: None,
        )  # fmt: skip
    found = {(row.sample_id, row.metric) for row in read_scores(run / "scores.jsonl")}
    assert found == {("a", "brightness"), ("a", "loudness")}


def test_rows_of_a_file_that_was_replaced_go(tmp_path: Path) -> None:
    a, b = (recording(video(tmp_path / f"{n}.mp4"), sample_id=n) for n in "ab")
    run = tmp_path / "run"

    def rescore(*subjects: Recording, metric: int) -> set[tuple[str, str]]:
        score_run(
            run, subjects, metrics=ALL[metric : metric + 1], set_metrics=[], options=Options(),
            progress=lambda *_: None,
        )  # fmt: skip
        return {(row.sample_id, row.metric) for row in read_scores(run / "scores.jsonl")}

    rescore(a, b, metric=0)
    assert len(rescore(a, b, metric=2)) == 4
    video(a.video_path, level=200)
    every = {("a", "loudness"), ("b", "loudness"), ("b", "brightness")}
    assert rescore(a, b, metric=2) == every
    assert rescore(a, b, metric=0) == every | {("a", "brightness")}
    assert rescore(a, replace(b, transcript="other words"), metric=2) == every - {
        ("b", "brightness")
    } | {("a", "brightness")}


def test_a_world_network_gives_no_number_on_real_video(tmp_path: Path) -> None:
    metric = First("brightness", "level")
    metric.domain = "world"
    real = score([recording(video(tmp_path / "a.mp4"))], metrics=[metric], options=Options()).rows
    assert real[0].value is None
    assert "'world'" in real[0].reason
    drawn = recording(video(tmp_path / "a.mp4"), groups={"domain": "world"})
    assert score([drawn], metrics=[metric], options=Options()).rows[0].status == "computed"


def test_an_infinite_value_is_an_evaluator_failure(tmp_path: Path) -> None:
    class Infinite(First):
        def measure(
            self, recording: Recording, features: Features, context: MetricContext
        ) -> Score:
            return Score(value=math.inf)

    metric = Infinite("brightness", "level")
    row = score([recording(video(tmp_path / "a.mp4"))], metrics=[metric], options=Options()).rows[0]
    assert (row.value, row.status) == (None, "evaluator_failure")


def test_the_cache_keeps_findings_but_not_what_may_be_mended(tmp_path: Path) -> None:
    subject = recording(video(tmp_path / "a.mp4", sound=0.0))
    store = FeatureStore()
    store.measured(subject, list(SPECS))
    kept = store.kept(store.keys(subject), list(SPECS))
    assert set(kept) == {"brightness", "change", "loudness", "whole"}
    assert isinstance(kept["loudness"], Missing)


def test_a_metric_cannot_alter_what_others_read(tmp_path: Path) -> None:
    class Alters(First):
        def measure(
            self, recording: Recording, features: Features, context: MetricContext
        ) -> Score:
            features["brightness"]["level"][:] = 0
            raise AssertionError("was let")

    subject = [recording(video(tmp_path / "a.mp4"))]
    altering = Alters("change", "level")
    altering.needs = ("brightness",)
    rows = by_metric(score(subject, metrics=[altering, ALL[0]], options=Options()).rows)
    assert "read-only" in rows["change"].reason
    assert rows["brightness"].value is not None
    assert rows["brightness"].value > 0


def test_a_metric_that_fails_costs_its_own_row_only(tmp_path: Path) -> None:
    class Fails(First):
        def measure(
            self, recording: Recording, features: Features, context: MetricContext
        ) -> Score:
            raise IndexError("no such window")

    subject = [recording(video(tmp_path / "a.mp4"))]
    scored = score(subject, metrics=[Fails("change", "level"), ALL[0]], options=Options())
    rows = by_metric(scored.rows)
    assert rows["change"].status == "evaluator_failure"
    assert "IndexError: no such window" in rows["change"].reason
    assert rows["brightness"].status == "computed"
    assert "no such window" in scored.logs[0]
