"""Videos without a manifest: which are found, what they are called, what belongs to them."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from evals.recording.media_files import check_names_of_folders, recordings_of_files
from evals.recording.run_folder import recordings_of
from evals.scoring.evaluate import evaluate
from evals.scoring.results import read_windows
from streamchar_ref.cli import main
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.media.wav import write_wav


def streamchar(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


def video(path: Path, *, with_sound: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = [np.full((25, 64, 64, 3), 90, np.uint8)]
    sound = 0.1 * np.sin(np.arange(16_000) / 10).astype(np.float32) if with_sound else None
    write_mp4(path.with_suffix(".mp4"), picture, sound, fps=25, sample_rate=16_000)
    return path.with_suffix(".mp4").rename(path)


def tone(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    return path


def test_a_folder_is_a_system_and_texts_lie_beside_its_videos(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name in ("b.mp4", "a.webm", "sub/c.MOV", ".hidden.mp4", ".cache/d.mp4", "odd.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    video(folder / "plain")  # no suffix: opened to see
    (folder / "notes.png").write_bytes(b"no video")
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfhello there\r\n")
    (folder / "readme.txt").write_text("of nothing")
    found = recordings_of_files([folder])
    assert [(r.system, r.sample_id, r.transcript) for r in found] == [
        ("mine", "a", "hello there"),
        ("mine", "b", ""),
        ("mine", "plain", ""),
        ("mine", "sub-c", ""),
    ]
    assert recordings_of_files([folder]) == found
    assert {r.system for r in recordings_of_files([folder], "other")} == {"other"}


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    for name in ("x.mp4", "x.mov", "a/x.mp4", "b/x.mp4", "a-x.mp4", "a-x.mov", "a/x.mov"):
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).touch()
    found = recordings_of_files([tmp_path / "s"])
    assert len({r.sample_id for r in found}) == len(found) == 7
    assert next(r for r in found if r.video_path == tmp_path / "s" / "b/x.mp4").sample_id == "b-x"
    pair = [tmp_path / "s" / "a" / "x.mp4", tmp_path / "s" / "b" / "x.mp4"]
    assert [r.recording_id for r in recordings_of_files(pair)] == ["a/files/x/0", "b/files/x/0"]
    assert [r.sample_id for r in recordings_of_files(pair, "one")] == ["a-x.mp4", "b-x.mp4"]
    assert recordings_of_files(pair[::-1]) == recordings_of_files(pair)


def test_two_folders_of_one_name_are_not_scored_as_one_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [video(tmp_path / model / "out" / "x.mp4").parent for model in ("a", "b")]
    assert streamchar("score", *folders, "--metrics", "exposure_drift") == 2
    told = capsys.readouterr().err
    assert f"{folders[0]} and {folders[1]} have the same name" in told
    assert "--system" in told
    with pytest.raises(InputError, match="have the same name"):
        evaluate(folders, metrics=["exposure_drift"])
    check_names_of_folders([folders[0], folders[0] / "x.mp4", folders[0]])


def test_one_file_named_twice_is_one_sample(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").touch()
    assert len(recordings_of_files([tmp_path, tmp_path / "x.mp4"])) == 1


def test_a_link_back_and_a_run_in_the_folder_are_not_searched(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "run.json").write_text("{}")
    (folder / "run" / "y.mp4").touch()
    (folder / "x.mp4").touch()
    (folder / "back").symlink_to(folder)
    assert [r.sample_id for r in recordings_of_files([folder])] == ["x"]


def test_a_silent_video_has_the_sound_file_beside_it(tmp_path: Path) -> None:
    video(tmp_path / "mute.mp4", with_sound=False)
    video(tmp_path / "full.mp4")
    for name in ("mute", "full", "alone"):
        tone(tmp_path / f"{name}.wav")
    found = {r.sample_id: r for r in recordings_of_files([tmp_path])}
    assert found.keys() == {"mute", "full", "alone"}
    assert found["mute"].audio_path == tmp_path / "mute.wav"
    assert found["full"].audio_path is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("none", "there is no such file or folder"),
        ("empty/", "holds no videos, and is no run folder"),
        ("a.jsonl", "named with --manifest"),
        ("a.png", "is no video and no sound"),
        ("a.xyz", "is no video and no sound"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: str, message: str
) -> None:
    place = tmp_path / make
    if make.endswith("/"):
        place.mkdir()
    elif make != "none":
        place.touch()
    with pytest.raises(InputError, match=message):
        recordings_of_files([place])
    assert streamchar("score", place, "--out", tmp_path / "run") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").touch()
    (tmp_path / "x.txt").write_bytes("caf\u00e9".encode("latin-1"))
    (found,) = recordings_of_files([tmp_path])
    assert "x.txt: not UTF-8" in found.error
    assert found.error_status == "evaluator_failure"


def test_videos_are_scored_without_a_manifest_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "mine" / "a.mp4")
    (tmp_path / "mine" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "mine" / "a.txt").write_text("hello there")
    options = ("--metrics", "colour_drift", "--jobs", "1")
    assert streamchar("score", "mine", *options) == 1  # one of them is broken
    said = capsys.readouterr().err
    assert "scores go to runs/mine; choose another folder with --out" in said
    assert "videos of mine: 2; with a transcript (NAME.txt beside it): 1" in said
    run = tmp_path / "runs" / "mine"
    rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    status = {(row["sample_id"], row["metric"]): row["status"] for row in rows}
    assert status["a", "colour_drift"] == "computed"
    assert status["broken", "colour_drift"] == "generation_failure"
    (curve,) = read_windows(run / "windows.csv")
    assert (curve.metric, curve.quantity, curve.unit) == ("colour_drift", "colour_drift", "dE76")
    assert len(recordings_of(run)) == 2
    first = (run / "scores.jsonl").read_bytes()
    assert streamchar("score", run, *options) == 1
    assert (run / "scores.jsonl").read_bytes() == first
    video(tmp_path / "other.mp4")
    assert streamchar("score", "other.mp4", *options, "--out", run) == 2
    assert "holds scores of ../../mine; choose another --out" in capsys.readouterr().err


def test_without_a_transcript_text_metrics_do_not_apply_and_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "nothing"))
    video(tmp_path / "mine" / "a.mp4")
    names = "wer,cer,completion,loops,longest_skip_words,phoneme_error_rate,per_world,colour_drift"
    line = {"sample_id": "a", "system": "mine", "video_path": "a.mp4"}
    world = line | {"sample_id": "w", "groups": {"domain": "world"}, "transcript": None}
    manifest = tmp_path / "mine" / "m.jsonl"
    manifest.write_text(json.dumps(line) + "\n" + json.dumps(world))
    run = tmp_path / "run"
    options = ("--manifest", manifest, "--out", run, "--metrics", names, "--jobs", 1)
    assert streamchar("score", *options) == 0
    rows = [json.loads(row) for row in (run / "scores.jsonl").read_text().splitlines()]
    text = [row for row in rows if row["metric"] != "colour_drift"]
    assert len(text) > 14
    assert {row["status"] for row in text} == {"not_applicable"}
    others = {row["reason"] for row in text if row["metric"] != "per_world"}
    assert others == {"there is no transcript"}
    assert {row["status"] for row in rows if row["metric"] == "colour_drift"} == {"computed"}


def test_a_run_is_scored_alone_and_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "recordings").mkdir(parents=True)
    (tmp_path / "x.mp4").touch()
    for arguments, message in (
        ((run, tmp_path / "x.mp4"), "is a run folder; score it alone"),
        ((run, "--system", "a"), "--system goes with videos"),
        ((run, "--out", tmp_path / "o"), "scores of a run are written into it"),
        ((run,), "holds no recordings"),
        ((), "give a run folder, videos"),
        ((tmp_path / "x.mp4", "--out", run), "holds recordings of its own"),
        ((tmp_path / "x.mp4", "--system", "a/b"), "system 'a/b' cannot name a folder"),
    ):
        assert streamchar("score", *arguments) == 2
        assert message in capsys.readouterr().err


def test_a_run_knows_the_language_that_its_videos_were_scored_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = tmp_path / "mine", tmp_path / "run"
    folder.mkdir()
    write_wav(folder / "a.wav", np.full(16_000, 0.1, np.float32), sample_rate=16_000)
    (folder / "a.txt").write_text("Bitte Ruhe")
    arguments = ("score", folder, "--out", run, "--metrics", "rtf", "--jobs", "1")
    assert streamchar(*arguments) == 0
    assert [one.spoken_key for one in recordings_of(run)] == ["en"]
    assert streamchar(*arguments, "--language", "de") == 0
    assert [one.spoken_key for one in recordings_of(run)] == ["de"]
    assert streamchar(*arguments, "--language", "pt") == 2
    assert "with --language de; choose another --out" in capsys.readouterr().err
