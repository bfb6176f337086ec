"""Picture and sound of two files are encoded, measured and kept apart, and no number changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.features.cache import load_kept, track_keys
from evals.features.canonical import canonical, encode_path, picture, sound, track_hash
from evals.features.extraction import extract
from evals.recording.recording import Recording
from evals.scoring.score import Options, score
from streamchar_ref.media.decode import audio, frames, video_start_s
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.wav import write_wav
from tests.evals.toys import ALL, RAN, recording, toy_extractors

__all__ = ["toy_extractors"]
MEASURED = [ALL[0], ALL[2], ALL[5]]
NAMES = ["brightness", "loudness", "whole"]


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.features.canonical.SHORT_SIDE", 64)


def two_files(
    folder: Path, *, level: int = 100, loud: float = 0.3, num_samples: int = 31_111
) -> Recording:
    rng = np.random.default_rng(level)
    pixels = np.clip(rng.normal(level, 20, (50, 64, 64, 3)), 0, 255).astype(np.uint8)
    video, wav = folder / f"{level}.mkv", folder / f"{loud}.wav"
    if not video.is_file():
        write_lossless(video, [pixels], fps=25)
    tone = loud * np.sin(np.arange(num_samples) * 0.07).astype(np.float32)
    if not wav.is_file():
        write_wav(wav, tone, sample_rate=16_000)
    return recording(video, f"{level}-{loud}", audio_path=wav)


@pytest.mark.parametrize("num_samples", [1_000, 31_111, 40_000])
def test_tracks_encoded_apart_are_those_of_a_joint_encode(tmp_path: Path, num_samples: int) -> None:
    clip = two_files(tmp_path, num_samples=num_samples)
    joint = canonical(clip)
    together = np.concatenate(list(frames(joint, fps=25)))
    assert np.array_equal(np.concatenate(list(picture(clip, native=False))), together)
    heard = audio(joint, sample_rate=16_000, start_s=video_start_s(joint))
    assert np.array_equal(sound(clip, native=False), heard)
    kept = {encode_path(clip, track) for track in ("frames", "audio", "clip")}
    assert len(kept) == 3
    assert all(path.is_file() for path in kept)


def test_what_is_shared_is_measured_once(tmp_path: Path) -> None:
    clean = two_files(tmp_path)
    louder = two_files(tmp_path, loud=0.5)
    brighter = replace(two_files(tmp_path, level=150), audio_path=clean.audio_path, sample_id="b")
    extract(clean, NAMES, native=False)
    assert RAN == ["brightness", "loudness", "clip"]
    RAN.clear()
    extract(louder, NAMES, native=False)
    assert RAN == ["loudness", "clip"]
    RAN.clear()
    extract(brighter, NAMES, native=False)
    assert RAN == ["brightness", "clip"]


def test_recordings_that_share_a_track_are_scored_in_one_go(tmp_path: Path) -> None:
    subjects = [two_files(tmp_path, loud=loud) for loud in (0.2, 0.4, 0.6)]
    rows = score(subjects, metrics=MEASURED[:2], options=Options()).rows
    assert [row.status for row in rows] == ["computed"] * 6
    assert RAN.count("brightness") == 1
    assert RAN.count("loudness") == 3
    assert len({row.value for row in rows if row.metric == "brightness"}) == 1
    alone = [score([s], metrics=MEASURED[:2], options=Options()).rows for s in subjects]
    assert sorted(r.key for part in alone for r in part) == sorted(row.key for row in rows)


def test_a_file_with_both_tracks_has_one_key(tmp_path: Path) -> None:
    clip = two_files(tmp_path)
    joint = replace(clip, audio_path=None)
    joint_keys, keys = (dict(track_keys(each, native=False)) for each in (joint, clip))
    assert joint_keys.pop("spoken") == f"{joint_keys['audio']}-en"
    assert keys.pop("spoken") == f"{keys['audio']}-en"
    assert len(set(joint_keys.values())) == 1
    assert len(set(keys.values())) == 3
    assert track_hash(clip, "frames", native=False) == track_hash(joint, "frames", native=False)
    assert track_hash(clip, "frames", native=True) != track_hash(clip, "frames", native=False)


def test_features_outlive_their_files(tmp_path: Path) -> None:
    clip = two_files(tmp_path)
    extract(clip, NAMES, native=False)
    keys = track_keys(clip, native=False)
    found = load_kept(keys, NAMES)
    clip.video_path.unlink()
    kept = load_kept(keys, NAMES)
    assert set(kept) == set(found) == set(NAMES)
