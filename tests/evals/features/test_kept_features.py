"""What the cache holds is read only as it was written, for what it was written; else remade."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evals.extractors import pronunciation
from evals.features import canonical as canonical_module
from evals.features.canonical import canonical
from evals.recording import lengths as lengths_module
from evals.recording.lengths import info_of, lengths_of
from evals.recording.recording import Recording
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, score
from streamchar_ref.core.cache import cache_folder, recall, remember
from streamchar_ref.media.decode import probe
from tests.evals.toys import RAN, First, recording, toy_extractors, video  # noqa: F401

BRIGHTNESS = First("brightness", "level")


def measured(subject: Recording) -> ScoreRow:
    (row,) = score([subject], metrics=[BRIGHTNESS], options=Options()).rows
    return row


def archive(write: Callable[[zipfile.ZipFile], None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        write(file)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def bomb(file: zipfile.ZipFile) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    )
    file.writestr("level.npy", header.getvalue() + bytes(1 << 24))


def zipped_anew(content: bytes) -> bytes:
    def copy(target: zipfile.ZipFile) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            for name in source.namelist():
                target.writestr(name, source.read(name))

    return archive(copy)


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "other values": lambda _: npz(level=np.full(80, 7.0)),
    "NaN": lambda _: npz(level=np.full(80, np.nan)),
    "other names": lambda _: npz(brightness=np.full(80, 100.0)),
    "other shape": lambda _: npz(level=np.full((80, 2), 7.0)),
    "other type": lambda _: npz(level=np.array(["7"] * 80)),
    "no arrays": lambda _: npz(),
    "objects": lambda _: npz(level=np.array([{}, 7], dtype=object)),
    "a reason": lambda _: npz(
        missing_reason=np.array("no sound"), missing_status=np.array("generation_failure")
    ),
    "a bomb": lambda _: archive(bomb),
    "no arrays but text": lambda _: archive(lambda file: file.writestr("../../level", "7")),
    "zipped anew": zipped_anew,
    "seal lost": lambda content: content[:-64],
    "seal of zeros": lambda content: content[:-64] + b"0" * 64,
    "bytes behind": lambda content: content + b"\n",
    "one bit": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "half": lambda content: content[: len(content) // 2],
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("how", ALTERED)
def test_altered_features_are_measured_anew(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical_module, "SHORT_SIDE", 64)
    subject = recording(video(tmp_path / "a.mp4", count=10))
    before = measured(subject)
    (kept,) = cache_folder().rglob("brightness-*.npz")
    whole = kept.read_bytes()
    kept.write_bytes(ALTERED[how](whole))
    RAN.clear()
    assert measured(subject) == before
    assert RAN == ["brightness"]
    assert kept.read_bytes() == whole
    assert measured(subject) == before
    assert RAN == ["brightness"]


@pytest.mark.parametrize("kind", ["*.npz", "features-*/*/*", "features-*/*", "*.json", "hashes"])
def test_what_is_in_the_way_in_the_cache_is_removed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    toy_extractors: None,  # noqa: F811
    kind: str,
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    subject = recording(video(tmp_path / "a.mp4"))
    before = measured(subject)
    for path in [*(tmp_path / "cache").rglob(kind)]:
        if path.is_dir():
            shutil.rmtree(path)
            path.write_text("a file in the place of a folder")
        else:
            path.unlink()
            (path / "inside").mkdir(parents=True)
    assert measured(subject) == before
    assert before.status == "computed"


def test_files_of_one_recording_in_the_place_of_anothers_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical_module, "SHORT_SIDE", 64)
    dark, bright = (
        recording(video(tmp_path / f"{level}.mp4", level=level, count=10)) for level in (50, 200)
    )
    before = measured(dark)
    (of_dark,) = cache_folder().rglob("brightness-*.npz")
    measured(bright)
    (of_bright,) = set(cache_folder().rglob("brightness-*.npz")) - {of_dark}
    of_dark.write_bytes(of_bright.read_bytes())
    assert measured(dark) == before

    for path in (of_dark, of_bright):
        path.unlink()
    source, target = canonical(bright), canonical(dark)
    for suffix in ("", ".sha256"):  # the encode with its own note
        Path(f"{target}{suffix}").write_bytes(Path(f"{source}{suffix}").read_bytes())
    assert measured(dark) == before


NO_MEMOS = [
    b"", b"\xff\xfe", b"null", b"1", b"[]", b"{}", b'{"a": NaN}', b'{"a": 1, "a": 2}',
    b"[" * 100_000, b'"\\ud800"', b"9" * 5000, b'{"stamp": {}, "sha256": []}',
]  # fmt: skip


@pytest.mark.parametrize("content", NO_MEMOS, ids=range(len(NO_MEMOS)))
def test_only_what_was_remembered_is_recalled(content: bytes) -> None:
    assert recall("kind/key") is None
    remember("kind/key", {"words": ["a", 1.5, None]})
    assert recall("kind/key") == {"words": ["a", 1.5, None]}
    path = cache_folder() / "kind" / "key.json"
    whole = path.read_bytes()
    for altered in (content, content + whole[-64:], whole.replace(b"1.5", b"2.5")):
        path.write_bytes(altered)
        assert recall("kind/key") is None
    (cache_folder() / "kind" / "other.json").write_bytes(whole)
    assert recall("kind/other") is None
    path.write_bytes(whole)
    assert recall("kind/key") is not None


def test_a_cache_that_cannot_be_written_costs_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "file"))
    remember("kind/key", 1)
    assert recall("kind/key") is None


def altered_numbers(path: Path) -> bytes:
    """Another value of the right shape."""
    return path.read_bytes().replace(b"1", b"2")


def test_altered_lengths_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mp4", count=11)
    before = lengths_of(path)
    (memo,) = (cache_folder() / "lengths").rglob("*.json")
    for damage in (altered_numbers(memo), json.dumps({"picture_s": "long"}).encode()):
        memo.write_bytes(damage)
        assert lengths_of(path) == before
    monkeypatch.setattr(lengths_module, "measure", None)
    assert lengths_of(path) == before


def test_properties_of_a_content_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = video(tmp_path / "a.mp4", count=11), tmp_path / "b.mp4"
    shutil.copyfile(path, copy)
    assert info_of(path) == probe(path)
    monkeypatch.setattr(lengths_module, "probe", None)
    assert info_of(copy) == probe(path)


@pytest.mark.parametrize("damage", [b"{}", b'{"cat": []}', b'{"cat": ["D", "AO", "G"]}', b"[1]"])
def test_altered_phonemes_are_asked_for_anew(damage: bytes) -> None:
    pytest.importorskip("hama")
    before = pronunciation.nearest_phonemes("a cat", [])
    (memo,) = (cache_folder() / "phonemes").rglob("*.json")
    memo.write_bytes(damage)
    assert tuple(pronunciation.nearest_phonemes("a cat", [])) == tuple(before)
    assert before
