"""Faults of the machine are nobody's failure but ours: injected one by one, kind by place."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from evals.features import cache as features_module
from evals.features import canonical as canonical_module
from evals.features.cache import FEATURES
from evals.features.canonical import ENCODES, encode_path
from evals.recording.recording import Recording
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, score
from streamchar_ref.media import source
from tests.evals.toys import First, recording, toy_extractors, video  # noqa: F401

METRICS = [First("brightness", "level"), First("loudness", "rms")]
ERRNOS = (
    "EIO", "ENOMEM", "EACCES", "EPERM", "ENOENT", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "EROFS",
    "ETIMEDOUT", "ESTALE", "EINTR", "ENOTCONN",
)  # fmt: skip
KINDS = (*ERRNOS, "MemoryError", "RecursionError")
FEW = ("EIO", "ENOSPC", "MemoryError")
"""Of those that every place hands on alike; libav's numbers are told apart where a file opens."""


def of_python(kind: str) -> Exception:
    if kind in ERRNOS:
        return OSError(getattr(errno, kind), os.strerror(getattr(errno, kind)))
    return MemoryError() if kind == "MemoryError" else RecursionError("too deep")


def of_libav(kind: str) -> Exception:
    if kind not in ERRNOS:
        return of_python(kind)
    try:
        av.error.err_check(-getattr(errno, kind), "a.mp4")
    except av.error.FFmpegError as error:
        return error
    raise AssertionError(kind)


@dataclass
class Fault:
    """One fault: where it is met, and how often until it is gone."""

    patch: pytest.MonkeyPatch
    bad: Path
    kind: str

    def raise_in(self, owner: Any, name: str, concerns: Callable[..., bool], make: Any) -> None:
        whole = getattr(owner, name)

        def failing(*args: Any, **options: Any) -> Any:
            if concerns(*args, **options):
                raise make(self.kind)
            return whole(*args, **options)

        self.patch.setattr(owner, name, failing)

    def is_bad(self, path: Any, *_: Any, **__: Any) -> bool:
        return str(path).endswith(str(self.bad))


def opening(fault: Fault) -> None:
    fault.raise_in(source.av, "open", fault.is_bad, of_libav)


def decoding(fault: Fault) -> None:
    fault.raise_in(
        source.PictureDecoder, "decode",
        lambda decoder, _: bool(fault.is_bad(decoder._stream.container.name)), of_libav,
    )  # fmt: skip


def reading(fault: Fault) -> None:
    fault.raise_in(Path, "open", fault.is_bad, of_python)


def looking(fault: Fault) -> None:
    fault.raise_in(Path, "stat", fault.is_bad, of_python)


def encoding(fault: Fault) -> None:
    fault.raise_in(source.av, "open", lambda path, mode="r", **_: mode == "w", of_libav)


def keeping_the_encode(fault: Fault) -> None:
    fault.raise_in(Path, "replace", lambda path, _: f"/{ENCODES}/" in str(path), of_python)


def keeping_features(fault: Fault) -> None:
    fault.raise_in(Path, "write_bytes", lambda path, _: f"/{FEATURES}/" in str(path), of_python)


PLACES = (
    opening, decoding, reading, looking, encoding, keeping_the_encode, keeping_features
)  # fmt: skip


def problems(
    rows: list[ScoreRow], again: list[ScoreRow], undisturbed: list[ScoreRow], what: str
) -> Iterator[str]:
    """Says what is wrong with the rows under a fault, and with those after it."""
    right = {row.key: row for row in undisturbed}
    if {row.key for row in rows} != set(right):
        yield f"{what}: not every sample has its rows"
    for row in rows:
        if row.sample_id == "good" and row != right.get(row.key):
            yield f"{what}: the other sample pays: {row.status}: {row.reason}"
        if row.sample_id == "bad" and row.status not in {"computed", "evaluator_failure"}:
            yield f"{what}: blamed on the system: {row.status}: {row.reason}"
        if row.status == "computed" and row != right.get(row.key):
            yield f"{what}: another value without a word: {row.value}"
    if again != undisturbed:
        yield f"{what}: remembered when it was gone: {[(r.status, r.reason) for r in again]}"


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    monkeypatch.setattr(canonical_module, "SHORT_SIDE", 64)
    return [
        recording(video(tmp_path / f"{name}.mp4", level=level, count=4), sample_id=name)
        for name, level in (("bad", 60), ("good", 120))
    ]


def scored(subjects: list[Recording]) -> list[ScoreRow]:
    return score(subjects, metrics=METRICS, options=Options()).rows


def fresh_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(folder))
    return folder


def found_with(
    place: Callable[[Fault], None],
    kind: str,
    pair: list[Recording],
    undisturbed: list[ScoreRow],
    cache: Path,
) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        fresh_cache(patch, cache)
        if place in {encoding, keeping_the_encode, keeping_features}:
            scored(pair[1:])  # a full disk hits whoever has to write
        with pytest.MonkeyPatch.context() as faulty:
            place(Fault(patch=faulty, bad=pair[0].video_path, kind=kind))
            what = f"{place.__name__} {kind}"
            rows = scored(pair)
        if {row.status for row in rows if row.sample_id == "bad"} == {"computed"}:
            return [f"{what}: was never met"]
        return list(problems(rows, scored(pair), undisturbed, what))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_fault_of_the_machine_is_not_the_systems(
    tmp_path: Path, pair: list[Recording], place: Callable[[Fault], None]
) -> None:
    undisturbed = scored(pair)
    assert {row.status for row in undisturbed} == {"computed"}
    found = [
        problem
        for kind in (KINDS if place is opening else FEW)
        for problem in found_with(place, kind, pair, undisturbed, tmp_path / kind)
    ]
    assert not found, "\n".join(found)


def hit(path: Path, damage: str) -> None:
    """Does to a file what may happen to it at any moment."""
    content = path.read_bytes()
    if damage in {"gone", "a folder"}:
        path.unlink()
    if damage == "a folder":
        path.mkdir()
    if damage == "empty":
        path.write_bytes(b"")
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    if damage == "altered":
        path.write_bytes(content[:-200] + bytes(200))
    if damage == "another":
        shutil.copyfile(path.with_name("other.mp4"), path)


DAMAGES = ("gone", "a folder", "empty", "cut", "altered", "another")


def restore(path: Path, content: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    path.write_bytes(content)


def while_decoded(
    patch: pytest.MonkeyPatch, is_it: Callable[[Path], bool], damage: str, *, before: bool
) -> None:
    """Damages a file at the start or the end of the pass over it, once."""
    whole, done = canonical_module.frames, []

    def damaging(path: Path, **options: Any) -> Iterator[np.ndarray]:
        is_now = is_it(path) and not done
        if is_now and before:
            done.append(hit(path, damage))
        yield from whole(path, **options)
        if is_now and not before:
            done.append(hit(path, damage))

    patch.setattr(canonical_module, "frames", damaging)


@pytest.mark.parametrize("native", [False, True], ids=["canonical", "native"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_features_of_a_file_that_changes_meanwhile_are_kept_under_no_hash(
    tmp_path: Path, pair: list[Recording], before: bool, native: bool
) -> None:
    """The old bytes come back: what was found in the new ones must not be theirs."""
    options = Options(native=native)
    video(tmp_path / "other.mp4", level=200, count=4)
    bad = pair[0].video_path
    content = bad.read_bytes()
    undisturbed = score(pair, metrics=METRICS, options=options).rows
    found: list[str] = []
    for damage in DAMAGES:
        with pytest.MonkeyPatch.context() as patch:
            fresh_cache(patch, tmp_path / damage)
            with pytest.MonkeyPatch.context() as faulty:
                while_decoded(faulty, lambda path: path == bad, damage, before=before)
                rows = score(pair, metrics=METRICS, options=options).rows
            restore(bad, content)
            again = score(pair, metrics=METRICS, options=options).rows
            found += problems(rows, again, undisturbed, damage)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_encode_that_is_damaged_after_its_check_is_made_again(
    tmp_path: Path, pair: list[Recording], before: bool
) -> None:
    undisturbed = scored(pair)
    found: list[str] = []
    for damage in DAMAGES[:-1]:
        with pytest.MonkeyPatch.context() as patch:
            fresh_cache(patch, tmp_path / damage)
            encode = encode_path(pair[0], "frames")

            def is_encode(path: Path, encode: Path = encode) -> bool:
                return path == encode

            with pytest.MonkeyPatch.context() as faulty:
                while_decoded(faulty, is_encode, damage, before=before)
                rows = scored(pair)
            found += problems(rows, scored(pair), undisturbed, damage)
            assert encode.is_file(), damage
    assert not found, "\n".join(found)


@pytest.mark.parametrize("damage", ["gone", "a folder"])
def test_a_file_that_goes_between_listing_and_scoring_costs_its_own_rows(
    tmp_path: Path, pair: list[Recording], damage: str
) -> None:
    undisturbed = scored(pair)
    content = pair[0].video_path.read_bytes()
    hit(pair[0].video_path, damage)
    rows = scored(pair)
    assert {row.status for row in rows if row.sample_id == "bad"} == {"evaluator_failure"}
    restore(pair[0].video_path, content)
    assert not list(problems(rows, scored(pair), undisturbed, damage))


def test_features_that_vanish_from_the_cache_are_not_another_domain(
    pair: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_write", lambda *_: None)
    rows = scored(pair)
    assert {row.status for row in rows} == {"evaluator_failure"}
    assert "gone from the cache" in rows[0].reason


def test_a_copy_of_a_file_that_cannot_be_read_is_measured(
    tmp_path: Path, pair: list[Recording]
) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copyfile(pair[0].video_path, copy)
    subjects = [pair[0], recording(copy, "copy")]
    with pytest.MonkeyPatch.context() as patch:
        opening(Fault(patch=patch, bad=pair[0].video_path, kind="EIO"))
        rows = scored(subjects)
    assert [row.status for row in rows] == ["evaluator_failure", "computed"] * 2


def test_a_verdict_is_given_twice_on_a_file_that_can_be_read(
    tmp_path: Path, pair: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails for a moment makes libav call an mp4 damaged."""
    whole, calls = canonical_module.frames, []

    def fails_once(path: Path, **options: Any) -> Iterator[np.ndarray]:
        calls.append(path)
        if calls.count(path) == 1 and path == pair[0].video_path:
            raise source.MediaError("invalid data")
        return whole(path, **options)

    monkeypatch.setattr(canonical_module, "frames", fails_once)
    assert {row.status for row in scored(pair)} == {"computed"}
    (tmp_path / "text.mp4").write_text("no video")
    (row, *_) = scored([recording(tmp_path / "text.mp4")])
    assert row.status == "generation_failure"
    kept = [path for path in (tmp_path / "cache" / FEATURES).rglob("*") if path.is_file()]
    assert len(kept) == 3 * len(METRICS), "a verdict is kept: it depends on the bytes alone"
