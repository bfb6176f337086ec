"""Files are known by content: no change goes unnoticed, and nothing broken stays in the cache."""

import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evals.features import canonical as canonical_module
from evals.features.canonical import canonical, canonical_sound
from evals.recording.content import content_hash
from evals.recording.recording import Recording
from evals.scoring.score import Options, score
from streamchar_ref.core import cache
from streamchar_ref.core.cache import ensure_cached
from streamchar_ref.media import encode
from streamchar_ref.media.wav import write_wav
from tests.evals.toys import First, by_metric, recording, toy_extractors, video  # noqa: F401

METRICS = [First("brightness", "level"), First("loudness", "rms")]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, so that hashes are remembered."""
    monkeypatch.setattr(cache, "SETTLED_S", -1.0)


def replace_unseen(path: Path, new: bytes) -> None:
    """Changes a file in place; size, modification time and inode stay."""
    before = path.stat()
    assert len(new) == before.st_size
    time.sleep(0.02)  # the clock of the file system ticks every few milliseconds
    path.write_bytes(new)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size, before.st_mtime_ns, before.st_ino,
    )  # fmt: skip


@pytest.mark.usefixtures("settled")
def test_a_file_changed_behind_size_and_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    first = content_hash(path)
    assert content_hash(path) == first
    replace_unseen(path, b"two")
    assert content_hash(path) != first


@pytest.mark.usefixtures("settled")
def test_a_changed_video_of_the_same_size_and_time_is_scored_anew(tmp_path: Path) -> None:
    path, other = (video(tmp_path / f"{level}.mp4", level=level) for level in (60, 180))
    size = max(path.stat().st_size, other.stat().st_size)
    for one in (path, other):
        one.write_bytes(one.read_bytes().ljust(size, b"\0"))
    before = by_metric(score([recording(path)], metrics=METRICS, options=Options()).rows)
    replace_unseen(path, other.read_bytes())
    after = by_metric(score([recording(path)], metrics=METRICS, options=Options()).rows)
    assert before["brightness"].value == pytest.approx(60, abs=4)
    assert after["brightness"].value == pytest.approx(180, abs=4)


def test_a_hash_is_remembered_only_once_the_clock_can_show_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    content_hash(path)
    hashes = tmp_path / "cache" / "hashes"
    assert not list(hashes.rglob("*.json"))
    monkeypatch.setattr(cache, "SETTLED_S", -1.0)
    content_hash(path)
    assert len(list(hashes.rglob("*.json"))) == 1


def test_a_file_of_the_cache_is_made_once_and_again_when_it_was_damaged(tmp_path: Path) -> None:
    target, made = tmp_path / "kept" / "file", []

    def write(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"whole")

    for _ in range(2):
        assert ensure_cached(target, write) == target
    assert len(made) == 1
    for damage in (b"who", b"whale"):
        target.write_bytes(damage)
        ensure_cached(target, write)
        assert target.read_bytes() == b"whole"
    target.with_name("file.sha256").write_bytes(b"\xff\x00")
    ensure_cached(target, write)
    target.unlink()
    ensure_cached(target, write)
    assert len(made) == 5


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", [b"", b"\xff", b"{}", b"1", b'{"stamp": [1, 2, 3, 4]}'])
def test_a_damaged_memory_of_hashes_is_written_over(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    before = content_hash(path)
    cache._settled_hash.cache_clear()  # as in the next process
    (memo,) = (tmp_path / "cache" / "hashes").rglob("*.json")
    memo.write_bytes(damage)
    assert content_hash(path) == before


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_encode_is_remade_and_the_scores_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(canonical_module, "SHORT_SIDE", 64)
    subject = recording(video(tmp_path / "a.mp4"))
    encoded = canonical(subject)
    whole = encoded.read_bytes()
    middle = len(whole) // 2
    broken = {"cut": whole[:middle], "altered": whole[:middle] + bytes(len(whole) - middle)}
    encoded.write_bytes(broken.get(damage, b""))
    rows = by_metric(score([subject], metrics=METRICS, options=Options()).rows)
    assert {row.status for row in rows.values()} == {"computed"}
    assert rows["brightness"].value == pytest.approx(100, abs=4)
    assert encoded.read_bytes() == whole


def test_an_encode_that_cannot_be_read_is_our_failure_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical_module, "SHORT_SIDE", 64)
    subject = recording(video(tmp_path / "a.mp4"))
    encoded = canonical(subject)
    with monkeypatch.context() as patch:  # damage that came with its own right hash
        patch.setattr(canonical_module, "ensure_cached", lambda target, write: target)
        encoded.write_bytes(encoded.read_bytes()[:2000])
        rows = by_metric(score([subject], metrics=METRICS, options=Options()).rows)
    assert {row.status for row in rows.values()} == {"evaluator_failure"}
    again = by_metric(score([subject], metrics=METRICS, options=Options()).rows)
    assert {row.status for row in again.values()} == {"computed"}


def test_a_full_disk_is_not_the_systems_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, np.full(16_000, 0.1, np.float32), sample_rate=16_000)
    subject: Recording = recording(video(tmp_path / "a.mp4"), audio_path=path)

    def full(*_: object) -> None:
        raise encode.av.error.OSError(errno.ENOSPC, "No space left on device", "a.m4a")

    monkeypatch.setattr(encode, "_encode_sound", full)
    with pytest.raises(OSError, match="No space left"):
        canonical_sound(subject)


def test_a_cache_folder_that_goes_away_is_not_the_systems_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(target: Path, write: Callable[[Path], None]) -> Path:
        write(tmp_path / "gone" / target.name)
        return target

    (tmp_path / "gone").write_bytes(b"a file where the folder was")

    monkeypatch.setattr(canonical_module, "ensure_cached", gone)
    rows = score([recording(video(tmp_path / "a.mp4"))], metrics=METRICS, options=Options()).rows
    assert {row.status for row in rows} == {"evaluator_failure"}
    assert all(re.search(r"Error: .*\bgone\b", row.reason) for row in rows)


def test_a_file_that_is_gone_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content_hash(tmp_path / "gone.mp4")
