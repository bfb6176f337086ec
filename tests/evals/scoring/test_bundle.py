"""Bundles and their verification: nothing altered passes, nothing whole is refused."""

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands import verify as verb
from evals.metrics import METRICS
from evals.metrics.languages import InItsLanguage
from evals.protocols.base import protocol_hash
from evals.recording.run_folder import recordings_of
from evals.scoring import verify
from evals.scoring.bundle import SUMS, bundle_run, link_media, read_samples, recordings_in, unpack
from evals.scoring.persist import score_run
from evals.scoring.results import ScoreRow, read_scores
from evals.scoring.score import Options, params_of
from evals.scoring.verify import _compared, _row_key, check_results, fresh_cache, recompute
from streamchar_ref.core.cache import cache_folder
from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import weights_folder
from tests.evals.toys import ALL, RAN, recording, toy_extractors, video

__all__ = ["toy_extractors"]
TOYS = [ALL[0], ALL[2], ALL[5]]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs it leaves two scored videos of a manifest."""
    return tmp_path_factory.mktemp("scored")


@pytest.fixture
def run(scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scored videos of a manifest, for this test alone."""
    monkeypatch.setattr(verify, "METRICS", TOYS)
    if not (scored / "run").exists():
        score_videos(scored)
    shutil.copytree(scored, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def score_videos(folder: Path) -> None:
    for level in (40, 80):
        video(folder / f"{level}.mp4", level=level, count=8)
    lines = [
        json.dumps({
            "sample_id": f"{level}", "system": "mine", "video_path": f"{level}.mp4",
            "groups": {"suite": "toys"},
        })
        for level in (40, 80)
    ]  # fmt: skip
    (folder / "videos.jsonl").write_text("\n".join(lines))
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"manifest": "../videos.jsonl"}))
    score_run(
        run, recordings_of(run), metrics=TOYS, set_metrics=[], options=Options(),
        progress=lambda *_: None, config={"manifest": "../videos.jsonl"},
    )  # fmt: skip


def bundled(run: Path, out: Path, *, with_media: bool = False) -> Path:
    rows = read_scores(run / "scores.jsonl")
    extra = {"tables/results.md": b"| a |\n"}
    bundle_run(run, recordings_of(run), rows, out, extra=extra, with_media=with_media)
    return out


def altered(bundle: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """A copy in which one or more files hold something else."""
    out = bundle.with_name("altered.zip")
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return out


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(verb.app, [*arguments, "--jobs", "1"])
    return done.exit_code, done.output


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    one, two = (bundled(run, tmp_path / name, with_media=True) for name in ("a.zip", "b.zip"))
    assert one.read_bytes() == two.read_bytes()
    names = zipfile.ZipFile(one).namelist()
    assert {"run.json", "scores.jsonl", "samples.jsonl", "environment.txt", SUMS} <= set(names)
    assert sum(name.startswith("media/") for name in names) == 2
    small = bundled(run, tmp_path / "c.zip")
    assert not any(name.startswith("media/") for name in zipfile.ZipFile(small).namelist())


def test_a_bundle_with_media_is_measured_again_and_found_as_written(
    run: Path, tmp_path: Path
) -> None:
    bundle = bundled(run, tmp_path / "a.zip", with_media=True)
    RAN.clear()
    code, text = said(str(bundle), "--samples", "2")
    assert code == 0, text
    assert "brightness/test@1: largest deviation 0 of 2" in text
    assert RAN.count("brightness") == 2  # from the media, not from the cache


def test_media_are_found_by_content_whatever_their_names(run: Path, tmp_path: Path) -> None:
    bundle = bundled(run, tmp_path / "a.zip")
    elsewhere = tmp_path / "copies" / "deep"
    elsewhere.mkdir(parents=True)
    (tmp_path / "40.mp4").rename(elsewhere / "renamed.mp4")
    (tmp_path / "80.mp4").unlink()
    folder = tmp_path / "unpacked"
    assert unpack(bundle, folder) == {}
    samples = read_samples(folder)
    assert len(link_media(samples, folder, tmp_path / "copies")) == 1
    here = {one.sample_id: one.error for one in recordings_in(samples, folder)}
    assert here == {"40": "", "80": "its media are not here"}
    code, text = said(str(bundle), "--samples", "2", "--media", str(tmp_path / "copies"))
    assert code == 0, text
    assert "largest deviation 0 of 1 (mine/" in text


def test_a_deviation_names_a_system_with_a_blank_in_full() -> None:
    row = ScoreRow(
        sample_id="40", system="my videos", suite="s", seed=0, metric="brightness",
        protocol="brightness/test@1", protocol_hash="0" * 12, domain="real", value=1.0,
        weight=1.0, status="computed", reason="",
    )  # fmt: skip
    (found,) = _compared([row], {_row_key(row): row}, [], Counter(), 0.0).deviations
    assert found.where == "my videos/s/40/0"


def test_without_media_only_what_was_asked_for_is_missed(run: Path, tmp_path: Path) -> None:
    bundle = bundled(run, tmp_path / "a.zip")
    code, text = said(str(bundle))
    assert (code, "nothing, no media here" in text) == (0, True)
    code, text = said(str(bundle), "--samples", "1")
    assert (code, "no sample could be measured again" in text) == (1, True)


def test_an_altered_file_is_named(run: Path, tmp_path: Path) -> None:
    bundle = bundled(run, tmp_path / "a.zip")
    worse = altered(bundle, lambda name, text: text + b" " if name == "tables/results.md" else text)
    code, text = said(str(worse))
    assert code == 1
    assert "MISMATCH: tables/results.md sha256 is" in text


def test_a_value_that_was_changed_everywhere_is_found_by_measuring(
    run: Path, tmp_path: Path
) -> None:
    rows = read_scores(run / "scores.jsonl")
    better = rows[0].value
    assert better is not None
    for name in ("scores.jsonl", "summary.json"):
        path = run / name
        path.write_text(path.read_text().replace(repr(better), repr(better + 1)))
    code, text = said(str(run), "--samples", "2")
    assert code == 1
    assert f"was {better + 1!r}, is {better!r}" in text


def test_a_summary_that_is_not_of_its_rows_is_named(run: Path) -> None:
    path = run / "summary.json"
    content = json.loads(path.read_text())
    rows = content["rows"] if isinstance(content, dict) else content
    rows[0]["value"] += 1
    path.write_text(json.dumps(content))
    code, text = said(str(run), "--samples", "0")
    assert code == 1
    assert "summary.json says" in text


def test_a_hash_that_is_not_of_its_settings_is_named(run: Path) -> None:
    rows = read_scores(run / "scores.jsonl")
    digest = rows[0].protocol_hash
    found = check_results(rows, [], {"protocols": {digest: {"metric": "other"}}})
    assert f"run.json: the settings under #{digest} have the hash" in " ".join(found)
    assert any(f"holds no settings of {rows[-1].protocol}" in line for line in found)


def test_rows_of_other_settings_are_skipped_and_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "METRICS", TOYS[:2])
    found = recompute(recordings_of(run), read_scores(run / "scores.jsonl"), samples=1)
    assert found.skipped == {"whole/test@1 is not installed": 1}
    assert {one.protocol for one in found.deviations} == {"brightness/test@1", "loudness/test@1"}


def test_rows_of_a_language_as_played_are_measured_again() -> None:
    options = Options(as_played=True)
    metric = next(m for m in METRICS if isinstance(m, InItsLanguage))
    subject = recording(Path("a.mp4"), transcript="eins zwei drei", language="de")
    own = metric.params_for(subject)
    assert own == {"language": "de"}
    row = ScoreRow(
        sample_id=subject.sample_id, system=subject.system, suite=subject.suite, seed=0,
        metric=metric.name, protocol=f"{metric.protocol}+as-played",
        protocol_hash=protocol_hash({**params_of(metric, options), **own}),
        domain="real", value=0.5, weight=1.0, status="computed", reason="",
    )  # fmt: skip
    installed, skipped = {metric.protocol: metric}, Counter[str]()
    assert verify._comparable([row], [subject], installed, options, skipped) == [metric]
    assert not verify._comparable([row], [subject], installed, Options(), skipped)
    assert not skipped
    altered = replace(row, protocol_hash="f" * 12)
    assert not verify._comparable([altered], [subject], installed, options, skipped)
    assert skipped.total() == 1


def test_names_outside_the_folder_are_not_unpacked(run: Path, tmp_path: Path) -> None:
    bundle = bundled(run, tmp_path / "a.zip")
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(evil, "w") as target:
        target.writestr(SUMS, source.read(SUMS).decode() + "0" * 64 + "  ../escaped\n")
        for name in source.namelist():
            if name != SUMS:
                target.writestr(name, source.read(name))
        target.writestr("../escaped", b"x")
    folder = tmp_path / "in" / "here"
    assert "no name inside a folder" in unpack(evil, folder)["../escaped"]
    assert not (tmp_path / "in" / "escaped").exists()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a", b"b")
    text = tmp_path / "text.zip"
    text.write_bytes(b"no zip")
    for path, message in ((other, "holds no SHA256SUMS"), (text, "no zip file")):
        with pytest.raises(InputError, match=message):
            unpack(path, tmp_path / "x")


def test_a_fresh_cache_leaves_weights_and_environment_as_they_are(tmp_path: Path) -> None:
    before, weights = cache_folder(), weights_folder()
    with fresh_cache():
        assert cache_folder() != before
        assert weights_folder() == weights
    assert (cache_folder(), weights_folder()) == (before, weights)
