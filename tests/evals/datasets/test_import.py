"""Published indexes are read as published; clips, texts and features of real faces are kept."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evals.commands.data import app
from evals.datasets.build import SAVED, ImportPlan, import_clips
from evals.datasets.indexes import IndexedClip, read_index, seconds
from evals.features.saved import load_features
from evals.recording.manifest import load_manifest
from evals.suites import load_suite
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.encode import write_mp4
from tests.evals.real_clips import HEAD, clip_path

EMTD = """URL,Start Timecode,End Timecode
https://www.youtube.com/watch?v=aaa-_1,00:00:00.400,00:00:00.800
https://www.youtube.com/watch?v=aaa-_1,00:00:00.840,00:00:01.240
https://youtu.be/gone,00:01:00.000,00:01:05.000
"""
TALKVID = [
    {
        "id": "videovideoaaa-_1-scene1", "height": 64, "width": 64, "fps": 25.0,
        "start-time": 0.4, "start-frame": 10, "end-time": 0.8, "end-frame": 20,
        "info": {
            "Person ID": "597", "Language": "English",
            "Video Link": "https://www.youtube.com/watch?v=aaa-_1",
        },
    }
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))


def source(path: Path, count: int = 40) -> Path:
    """A film in which each frame has its own grey, and the sound follows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    greys = np.arange(count) * 4 + 40
    pixels = np.broadcast_to(greys[:, None, None, None], (count, 64, 96, 3)).astype(np.uint8)
    samples = np.repeat(greys / 500, 640).astype(np.float32) * np.tile([1, -1], count * 320)
    write_mp4(path, [pixels], samples.astype(np.float32), fps=25, sample_rate=16_000)
    return path


def emtd(root: Path) -> Path:
    source(root / "videos" / "aaa-_1.mp4")
    name = "echomimicv2_benchmark_url+start_timecode+end_timecode.txt"
    (root / name).write_text(EMTD)
    return root


def imported(root: Path, out: Path, dataset: str = "emtd", **changes: object) -> ImportPlan:
    fields = {"dataset": dataset, "root": root, "out": out, "recogniser": ""} | changes
    return ImportPlan(**fields)  # type: ignore[arg-type]


def test_a_clip_has_the_frames_and_the_sound_of_its_time_codes(tmp_path: Path) -> None:
    root, out = emtd(tmp_path / "emtd"), tmp_path / "suite"
    found = import_clips(read_index("emtd", root), imported(root, out))
    assert found.clips == ["aaa-_1_0", "aaa-_1_1"]
    assert found.gone == {"gone_0": "no video named gone"}
    path = out / "clips" / "aaa-_1_1.mp4"
    shown = np.concatenate(list(frames(path, fps=25))).mean(axis=(1, 2, 3))
    assert len(shown) == 10
    assert shown == pytest.approx(40 + 4 * np.arange(21, 31), abs=2.5)
    sound = audio(path, sample_rate=16_000)[640:-640]
    assert np.abs(sound).mean() == pytest.approx((40 + 4 * 25.5) / 500, rel=0.15)


def test_texts_are_edited_between_two_runs_and_survivors_have_their_hashes(tmp_path: Path) -> None:
    root, out = emtd(tmp_path / "emtd"), tmp_path / "suite"
    arguments = ["import", "emtd", "--root", str(root), "--out", str(out), "--recogniser", ""]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "2 clips, 1 gone" in first.output
    table = out / "transcripts.tsv"
    table.write_text(table.read_text().replace("_1_0\t\trecognised", "_1_0\tGood evening.\tedited"))
    assert CliRunner().invoke(app, [*arguments, "--json"]).exit_code == 0
    (prompt,) = load_suite(out / "emtd.jsonl")
    assert (prompt.prompt_id, prompt.transcript) == ("aaa-_1_0", "Good evening.")
    assert prompt.reference.shape == (64, 96, 3)
    assert prompt.groups["identity"] == "aaa-_1"
    assert [one.transcript for one in load_manifest(out / "manifest.jsonl")] == [
        "Good evening.",
        "",
    ]
    survivors = [json.loads(line) for line in (out / "survivors.jsonl").read_text().splitlines()]
    assert [len(line["sha256"]) + len(line["source_sha256"]) for line in survivors] == [128, 128]
    assert json.loads((out / "gone.jsonl").read_text())["clip_id"] == "gone_0"


def test_hdtf_clips_are_cropped_as_published_where_the_height_is_that_of_the_index(
    tmp_path: Path,
) -> None:
    root = tmp_path / "HDTF_dataset"
    source(root / "Radio1.mp4")
    source(root / "bbb.mp4")
    for name, text in {
        "annotion_time": "Radio1.mp4 00:00-00:01\nRadio2.mp4 00:00-00:01 00:01-00:02\n",
        "video_url": "\ufeffRadio1 https://www.youtube.com/watch?v=a\n"
                     "Radio2 https://www.youtube.com/watch?v=bbb&t=6s\n",
        "resolution": "Radio1.mp4 64\nRadio2.mp4 720\n",
        "crop_wh": "Radio1_0.mp4 8 48 4 56\nRadio2_0.mp4 0 500 0 500\n",
    }.items():  # fmt: skip
        (root / f"RD_{name}.txt").write_text(text, encoding="utf-8")
    out = tmp_path / "suite"
    found = import_clips(read_index("hdtf", root), imported(root, out, "hdtf"))
    assert found.clips == ["Radio1_0", "Radio2_0"]
    assert "ends" in found.gone["Radio2_1"]
    assert "for 720 rows, the video has 64" in found.notes["Radio2_0"]
    sizes = [next(frames(out / "clips" / f"{clip}.mp4", fps=25)).shape[1:3] for clip in found.clips]
    assert sizes == [(56, 48), (64, 96)]


def test_talkvid_names_person_and_language(tmp_path: Path) -> None:
    (tmp_path / "filtered.json").write_text(json.dumps(TALKVID))
    (clip,) = read_index("talkvid", tmp_path)
    assert clip == IndexedClip(
        clip_id="videovideoaaa-_1-scene1", sources=("aaa-_1",), start_s=0.4, end_s=0.8,
        groups={"identity": "597", "language": "English"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "name", "content", "message"),
    [
        ("emtd", "x.txt", "", "github.com/antgroup/echomimic_v2"),
        ("talkvid", "x.json", '[{"id": "a"}]', "is not as published"),
        ("hdtf", "RD_annotion_time.txt", "Radio1.mp4 00:30-00:20", "ends before it begins"),
        ("vox", "x.txt", "", "unknown dataset 'vox'"),
    ],
)
def test_an_index_that_is_not_as_published_is_refused(
    tmp_path: Path, dataset: str, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_index(dataset, tmp_path)


def test_time_codes_are_hours_minutes_and_seconds() -> None:
    assert seconds("00:01:02.500") == 62.5
    assert seconds("02:05") == 125
    with pytest.raises(ValueError, match="no time code"):
        seconds("1:2:3:4")


def test_features_of_the_clips_are_saved_on_request(tmp_path: Path) -> None:
    root, out = emtd(tmp_path / "emtd"), tmp_path / "suite"
    plan = imported(root, out, features=("appearance",))
    import_clips(read_index("emtd", root), plan)
    saved = load_features(out / SAVED)
    assert [clip.sample_id for clip in saved.clips] == ["aaa-_1_0", "aaa-_1_1"]
    survivors = [json.loads(line) for line in (out / "survivors.jsonl").read_text().splitlines()]
    assert [clip.sha256 for clip in saved.clips] == [line["sha256"] for line in survivors]
    assert not (tmp_path / "features").exists()


def test_a_real_clip_is_cut_at_its_time_codes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "aaa-_1.mp4").symlink_to(clip_path(HEAD).resolve())
    entry = TALKVID[0] | {"start-time": 1.0, "end-time": 2.0}
    (root / "index.json").write_text(json.dumps([entry]))
    out = tmp_path / "suite"
    import_clips(read_index("talkvid", root), imported(root, out, "talkvid"))
    (sample,) = load_manifest(out / "manifest.jsonl")
    assert sample.language == "en"
    assert sum(map(len, frames(sample.video_path, fps=25))) == 25
