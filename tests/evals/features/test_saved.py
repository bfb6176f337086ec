"""Saved features of a reference set give the numbers of its videos, or say why they cannot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evals import extractors
from evals.commands.data import app
from evals.extractors import ExtractorSpec
from evals.features.saved import load_features, save_features
from evals.metrics.video import FrechetMetric, KernelMetric
from evals.protocols.set_metric import SetMetric
from evals.recording.recording import Recording
from evals.scoring.evaluate import evaluate
from evals.scoring.explain_run import explain_number
from evals.scoring.persist import score_run
from evals.scoring.reference_set import check_saved, chosen_reference
from evals.scoring.results import ScoreRow, read_scores
from evals.scoring.score import Options, score
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4

KINDS: dict[str, Any] = {"extractor": "tiles", "counted": "frame"}
SETS: list[SetMetric] = [
    FrechetMetric(name="fid_lite0", protocol="fid_lite0/toy@1", ddof=1, **KINDS),
    KernelMetric(name="kvd", protocol="kvd/toy@1", **KINDS),
]


class Tiles:
    """Mean grey of 2 x 2 tiles of every frame."""

    def __init__(self, gain: float = 1.0) -> None:
        self.rows: list[np.ndarray] = []

    def update(self, frames: np.ndarray, upstream: object) -> dict[str, np.ndarray]:
        count, height, width, _ = frames.shape
        tiles = frames[:, : height // 2 * 2, : width // 2 * 2].astype(np.float32).mean(-1)
        self.rows += list(tiles.reshape(count, 2, height // 2, 2, width // 2).mean((2, 4)))
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        return {"features": np.array(self.rows).reshape(-1, 4)}


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    for name in ("tiles", "others"):
        monkeypatch.setitem(extractors.EXTRACTORS, name, spec(name))


def spec(name: str = "tiles", **params: Any) -> ExtractorSpec:
    return ExtractorSpec(
        name=name, track="frames", implementation=f"{__name__}:Tiles", params=params
    )


def clip(folder: Path, system: str, at: int, count: int = 12) -> Recording:
    path = folder / f"{system}{at}.mp4"
    rng = np.random.default_rng([at, *system.encode()])
    pixels = np.repeat(rng.integers(0, 255, (count, 8, 8, 3)), 8, axis=1).repeat(8, axis=2)
    write_mp4(path, [pixels.astype(np.uint8)], None, fps=25, sample_rate=16_000)
    return Recording(sample_id=str(at), system=system, suite="u", transcript="", video_path=path)


def rows_of(recordings: list[Recording], **options: Any) -> list[ScoreRow]:
    scored = score(recordings, metrics=[], set_metrics=SETS, options=Options(**options))
    return [row for row in scored.rows if row.system == "mine"]


@pytest.fixture
def sets(tmp_path: Path) -> tuple[list[Recording], list[Recording]]:
    """Clips of the reference, whose order by name is not that of their numbers, and of a system."""
    real = [clip(tmp_path, "real", at) for at in (10, 9, 2)]
    return real, [clip(tmp_path, "mine", at) for at in range(3)]


def test_saved_features_give_the_rows_of_the_videos_bit_for_bit(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    expected = rows_of([*mine, *real], reference_system="real")
    assert [row.status for row in expected] == ["computed", "computed"]
    save_features(tmp_path / "real.npz", real, ["tiles"])
    for one in real:
        one.video_path.unlink()
    saved = load_features(tmp_path / "real.npz")
    assert rows_of(mine, saved=saved) == expected  # value, components and protocol hash
    assert len({clip.sha256 for clip in saved.clips}) == 3


def test_features_of_another_protocol_are_an_error_that_says_in_what(
    sets: tuple[list[Recording], list[Recording]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, mine = sets
    save_features(tmp_path / "real.npz", real[:1], ["tiles"])
    saved = load_features(tmp_path / "real.npz")
    with pytest.raises(InputError, match="without --native"):
        rows_of(mine, saved=saved, native=True)
    monkeypatch.setitem(extractors.EXTRACTORS, "tiles", spec(gain=2.0))
    with pytest.raises(InputError, match=r"of another protocol \(#\w+, here #\w+\): .*gain"):
        rows_of(mine, saved=saved)
    other = [FrechetMetric(name="fvd", protocol="fvd/x@1", ddof=1, extractor="i3d", counted="clip")]
    with pytest.raises(InputError, match="features of tiles, and none of i3d, which fvd/x@1 need"):
        check_saved(saved, other, native=False)


def test_what_a_file_lacks_is_unavailable_and_what_is_of_another_domain_does_not_apply(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    save_features(tmp_path / "real.npz", real[:2], ["tiles"])
    saved = load_features(tmp_path / "real.npz")
    lacking = FrechetMetric(
        name="fvd_world", protocol="x/y@1", ddof=1, extractor="others", counted="clip"
    )
    found = score(mine, metrics=[], set_metrics=[*SETS, lacking], options=Options(saved=saved))
    row = next(row for row in found.rows if row.protocol == "x/y@1")
    assert (row.status, "real.npz holds features of tiles alone" in row.reason) == (
        "unavailable", True,
    )  # fmt: skip
    drawn = [replace(one, groups={"domain": "world"}) for one in mine]
    assert {row.status for row in rows_of(drawn, saved=saved)} == {"not_applicable"}


def test_a_file_that_was_altered_or_is_another_is_refused(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    path = tmp_path / "real.npz"
    with pytest.raises(InputError, match=r"of one system and domain, not of mine .* real"):
        save_features(path, [*real, *mine], ["tiles"])
    save_features(path, real[:1], ["tiles"])
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(InputError, match="altered since; save it anew"):
        load_features(path)
    with pytest.raises(InputError, match="--reference 'nobody' is none of: s; nor is it a file"):
        chosen_reference("nobody", ["s"], option="--reference")


def test_the_order_of_a_reference_is_hashed_since_features_are_drawn_in_it(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    real.append(clip(tmp_path, "real", 3))  # 48 frames against 36
    renamed = [replace(one, sample_id=f"{at}") for at, one in enumerate(real, start=5)]
    found = {}
    for name, clips in (("real", real), ("renamed", renamed)):
        found[name] = rows_of([*mine, *clips], reference_system="real")
        path = tmp_path / f"{name}.npz"
        save_features(path, clips, ["tiles"])
        assert rows_of(mine, saved=load_features(path)) == found[name]
    for one, other in zip(*found.values(), strict=True):
        assert one.value != other.value
        assert one.protocol_hash != other.protocol_hash


def test_a_set_has_no_distance_to_its_own_clips_in_a_file(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    saved = save_features(tmp_path / "real.npz", real, ["tiles"])
    copies = [replace(real[0], system="mine", sample_id="copy"), *mine]
    options = Options(saved=saved)
    scored = score([*real, *mine], metrics=[], set_metrics=SETS, options=options)
    own = {row.protocol_hash for row in scored.rows if row.system == "real"}
    found = [row for row in scored.rows if row.system == "real"] + rows_of(copies, saved=saved)
    assert [(row.value, row.status) for row in found] == [(None, "not_applicable")] * 4
    assert found[0].reason == "3 of the 3 clips of real.npz are in this set"
    assert found[-1].reason == "1 of the 3 clips of real.npz are in this set"
    assert [scored.protocols[digest]["reference"] for digest in own] == [None, None]
    others = [row for row in scored.rows if row.system == "mine"]
    assert others == rows_of(mine, saved=saved)
    assert all(row.value for row in others)


def test_failed_streams_are_left_out_and_what_cannot_be_read_is_an_error(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    real, mine = sets
    path = tmp_path / "real.npz"
    expected = rows_of([*mine, *real], reference_system="real")
    failed = replace(clip(tmp_path, "real", 1), error="it crashed")  # with a part of its video
    saved = save_features(path, [failed, *real], ["tiles"])
    assert rows_of(mine, saved=saved) == expected
    assert [row.status for row in expected] == ["computed", "computed"]
    failed.video_path.unlink()
    assert save_features(path, [failed, *real], ["tiles"]).clips == saved.clips
    damaged = replace(real[0], error="no index", error_status="evaluator_failure")
    with pytest.raises(InputError, match="real/u/10/0 cannot be read: no index"):
        save_features(path, [damaged, real[1]], ["tiles"])
    with pytest.raises(InputError, match=r"tiles of 1: .*real1\.mp4"):
        save_features(path, [replace(failed, error=""), *real], ["tiles"])


def test_a_set_is_saved_from_the_command_line(tmp_path: Path) -> None:
    manifest, out = tmp_path / "clips.jsonl", tmp_path / "real.npz"
    lines = [
        {"sample_id": str(at), "system": system, "video_path": f"{system}{at}.mp4",
         "groups": {"domain": "world"}}
        for system in ("real", "mine") for at in range(2)
    ]  # fmt: skip
    manifest.write_text("\n".join(map(json.dumps, lines)))
    for line in lines:
        clip(tmp_path, str(line["system"]), int(str(line["sample_id"])), count=17)

    def said(*more: str) -> str:
        arguments = ["--manifest", str(manifest), "--out", str(out), "--jobs", "1", *more]
        return CliRunner().invoke(app, ["features", *arguments]).output.replace("\n", " ")

    assert "no distance between sets" in said("--metrics", "wer")
    assert "--system: one of mine, real" in said("--metrics", "fvd_world")
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        (run / "recordings").mkdir(parents=True)
    arguments = ["features", *map(str, runs), "--metrics", "fvd_world", "--out", str(out)]
    two = CliRunner().invoke(app, arguments)
    assert (two.exit_code, "is a run, and is read alone" in two.output) == (2, True)
    assert not out.exists()
    done = said("--metrics", "fvd_world,kvd_world", "--system", "real")
    assert "features of real: 2 clips by fvd_world" in done
    saved = load_features(out)
    assert (saved.system, saved.domain, len(saved.clips)) == ("real", "world", 2)


def test_the_run_and_its_explanation_name_the_file(
    sets: tuple[list[Recording], list[Recording]], tmp_path: Path
) -> None:
    (real, *_), mine = sets
    out, run = tmp_path / "real.npz", tmp_path / "run"
    save_features(out, [real], ["tiles"])
    options = Options(**chosen_reference(str(out), ["mine"], option="--reference"))
    score_run(
        run, mine[:1], metrics=[], set_metrics=SETS[1:], options=options, progress=lambda *_: None
    )
    told = json.loads((run / "run.json").read_text())
    (params,) = told["protocols"].values()
    assert told["saved_references"] == {params["reference"]["content"]: "real.npz"}
    (number,) = explain_number(run, "kvd")
    assert "features in real.npz" in " ".join(number.notes)
    with pytest.raises(InputError, match="nor is it a file of saved features"):
        evaluate([mine[0].video_path], metrics="fvd", reference="nobody")


def test_clips_of_two_domains_have_no_distance(
    sets: tuple[list[Recording], list[Recording]],
) -> None:
    real, mine = sets
    drawn = [replace(one, groups={"domain": "world"}) for one in mine]
    for own in (drawn, [*drawn[:1], *mine[1:]]):
        for row in rows_of([*real, *own], reference_system="real"):
            assert (row.status, row.value) == ("not_applicable", None)
            assert row.reason == "clips of domains real and world have no distance together"


def test_a_distance_goes_when_its_set_changes(
    tmp_path: Path, sets: tuple[list[Recording], list[Recording]]
) -> None:
    real, mine = sets

    def scored(own: list[Recording], metric: SetMetric) -> set[tuple[str, str]]:
        score_run(
            tmp_path / "run", [*real, *own], metrics=[], set_metrics=[metric],
            options=Options(reference_system="real"), progress=lambda *_: None,
        )  # fmt: skip
        rows = read_scores(tmp_path / "run" / "scores.jsonl")
        return {(row.system, row.metric) for row in rows}

    both = {(system, metric.name) for system in ("mine", "real") for metric in SETS}
    scored(mine, SETS[0])
    assert scored(mine, SETS[1]) == both
    for others in (mine[1:], mine):
        assert scored(others, SETS[1]) == both - {("mine", SETS[0].name)}
        assert scored(others, SETS[0]) == both
