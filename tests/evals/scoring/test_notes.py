"""What is said of a file: lengths that were measured, and everything that is not plain."""

import shutil
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from evals.features import canonical
from evals.features.canonical import CANONICAL, NATIVE, picture, sound
from evals.recording.lengths import lengths_of
from evals.recording.recording import Arrival, Trace
from evals.scoring.notes import notes_on
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.wav import write_wav
from tests.evals.real_clips import recording
from tests.streamchar_ref.media_files import (
    RATE,
    copy_packets,
    numbered,
    numbers,
    set_matrix,
    tone,
    write,
    write_tracks,
)

SMALL = "128x32, scaled up to shorter side 512"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(canonical, "SHORT_SIDE", 64)


def notes(path: Path, **fields: object) -> list[str]:
    found = notes_on(recording(video_path=path, **fields))
    return [note for note in found if note not in (SMALL, "the file has no sound")]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts"])
@pytest.mark.parametrize(("frames", "seconds"), [(75, 1.0), (25, 3.0)])
def test_unequal_lengths_are_told_for_every_container(
    tmp_path: Path, suffix: str, frames: int, seconds: float
) -> None:
    webm = suffix == "webm"
    path = write(
        tmp_path / f"a.{suffix}", numbered(frames), tone(seconds, 48_000), rate=48_000,
        vcodec="libvpx-vp9" if webm else "libx264", acodec="libopus" if webm else "aac",
        options={"deadline": "realtime", "cpu-used": "8"} if webm else None,
    )  # fmt: skip
    (note,) = [note for note in notes(path) if "of sound" in note]
    picture_s, sound_s = (float(part.split()[0]) for part in note.split(", "))
    assert picture_s == pytest.approx(frames / 25, abs=0.01)
    assert sound_s == pytest.approx(seconds, abs=0.06)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_plain_file_has_no_notes(tmp_path: Path, suffix: str) -> None:
    assert notes(write(tmp_path / f"a.{suffix}", numbered(50), tone(2.0))) == []


def test_lengths_of_separate_sound_are_told_whatever_its_header_says(tmp_path: Path) -> None:
    video = write(tmp_path / "a.mp4", numbered(100))
    write_wav(tmp_path / "same.wav", tone(4.0, 24_000), sample_rate=24_000)
    assert notes(video, audio_path=tmp_path / "same.wav") == []
    write_wav(tmp_path / "short.wav", tone(1.0), sample_rate=RATE)
    told = "4.00 s of picture, 1.00 s of sound"
    assert notes(video, audio_path=tmp_path / "short.wav") == [told]
    write_wav(tmp_path / "long.wav", tone(4.0), sample_rate=RATE)
    data = (tmp_path / "long.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: 44 + 2 * RATE])
    with wave.open(str(tmp_path / "cut.wav")) as file:
        assert file.getnframes() == 4 * RATE, "the header still says 4 s"
    cut = "the sound file is cut short: it holds 1.00 s of the 4.00 s in its header"
    assert notes(video, audio_path=tmp_path / "cut.wav") == [cut, told]
    whole = write(tmp_path / "whole.flac", None, tone(4.0), acodec="flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    first, second = notes(video, audio_path=tmp_path / "cut.flac")
    assert first.startswith("the sound file is cut short: it holds ")
    assert first.endswith(" of the 4.00 s in its header")
    assert second.startswith("4.00 s of picture, ")


def test_a_cut_file_an_empty_track_and_no_track_are_told_apart(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mkv", numbered(50), tone(2.0))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert notes(cut)[0].startswith("the file is cut short: it holds ")
    mute = write(tmp_path / "mute.mkv", numbered(50))
    assert "the file has no sound" in notes_on(recording(video_path=mute))
    empty = write(tmp_path / "empty.mkv", numbered(50), tone(2.0), lost=[(0.0, 9.0)])
    assert notes(empty) == ["the file has a sound track with nothing in it"]
    assert notes(write(tmp_path / "silent.mkv", numbered(50), 0 * tone(2.0))) == []


def test_a_shortened_recording_of_the_harness_is_told(tmp_path: Path) -> None:
    write_lossless(tmp_path / "video.mkv", [numbered(50)], fps=25)
    write_wav(tmp_path / "audio.wav", tone(0.5), sample_rate=RATE)
    arrivals = tuple(Arrival(t_s=t, num_frames=25, num_samples=RATE) for t in (0.5, 1.0))
    trace = Trace(arrivals=arrivals, fps=25, sample_rate=RATE)
    found = notes(tmp_path / "video.mkv", audio_path=tmp_path / "audio.wav", trace=trace)
    assert found == [
        "2.00 s of picture, 0.50 s of sound",
        "the trace holds 2.00 s of sound, the file 0.50 s",
    ]


def test_rates_are_those_of_the_timestamps(tmp_path: Path) -> None:
    assert notes(write(tmp_path / "a.mp4", numbered(60), fps=30)) == ["30 fps, converted to 25"]
    times = [index / 25 for index in range(50)]
    lying = write(
        tmp_path / "b.webm", numbered(50), vcodec="libvpx-vp9", fps=1000, times_s=times,
        options={"deadline": "realtime", "cpu-used": "8"},
    )  # fmt: skip
    assert notes(lying) == []
    kept = [*range(10), *range(30, 50)]
    stalled = write(tmp_path / "c.mp4", numbered(50)[kept], times_s=[times[i] for i in kept])
    (note,) = notes(stalled)
    assert note.startswith("varying frame rate, 15 fps on the average, a frame stays up to 0.84 s")


def test_what_a_player_changes_is_told(tmp_path: Path) -> None:
    turned = write(tmp_path / "a.mp4", numbered(25), tone(1.0))
    set_matrix(turned, 0, 1, -1, 0)
    assert "picture turned by 90 degrees, as a player shows it" in notes(turned)
    wide = write(tmp_path / "b.mp4", numbered(25), aspect=Fraction(4, 3))
    assert "picture stretched from pixels of 4:3, as a player shows it" in notes(wide)
    two = write_tracks(tmp_path / "c.mkv", numbered(25), [tone(1.0)] * 2, default=1)
    assert notes(two) == ["2 sound tracks; the default one is scored"]
    hole = write(tmp_path / "d.mkv", numbered(50), tone(2.0), acodec="pcm_s16le", lost=[(0.6, 0.9)])
    assert notes(hole) == ["the sound has a hole of 0.30 s in all, filled with silence"]
    phase = write(
        tmp_path / "e.mkv", numbered(25), np.stack([tone(1.0), -tone(1.0)]), acodec="pcm_s16le",
        layout="stereo",
    )  # fmt: skip
    assert notes(phase) == ["the sound channels cancel each other; channel 1 is heard alone"]


def test_a_cut_between_key_frames_is_scored_on_the_clock_of_what_is_shown(tmp_path: Path) -> None:
    options = {"crf": "10", "g": "25", "bf": "0", "sc_threshold": "0"}
    whole = write(tmp_path / "a.ts", numbered(75), tone(3.0), options=options)
    subject = recording(video_path=copy_packets(whole, tmp_path / "b.ts", first_s=0.4))
    for native in (True, False):
        assert len(np.concatenate(list(picture(subject, native=native)))) == 50
        assert len(sound(subject, native=native)) / RATE == pytest.approx(2.0, abs=0.07)
    assert any("before the picture" in note for note in notes(subject.video_path))
    assert not any("of sound" in note for note in notes(subject.video_path))


def test_the_canonical_encode_shows_what_a_player_shows(tmp_path: Path) -> None:
    kept = [*range(10), *range(22, 30)]
    path = write(tmp_path / "a.mp4", numbered(30)[kept], times_s=[index / 25 for index in kept])
    held = [*range(10), *[9] * 12, *range(22, 30)]
    subject = recording(video_path=path)
    assert numbers(np.concatenate(list(picture(subject, native=True)))[None]) == held
    shown = np.concatenate(list(picture(subject, native=False)))
    assert len(shown) == 30
    assert (np.abs(np.diff(shown.astype(int), axis=0)).max(axis=(1, 2, 3))[10:20] < 60).all()


def test_lengths_are_measured_once_for_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mkv", numbered(25), tone(1.0))
    found = lengths_of(path)
    monkeypatch.setattr("evals.recording.lengths.measure", None)
    shutil.copy(path, tmp_path / "b.mkv")
    assert lengths_of(tmp_path / "b.mkv") == found


def test_numbers_of_the_old_clock_are_not_mixed_with_those_of_this_one() -> None:
    assert (CANONICAL["name"], NATIVE["name"]) == ("canonical@2", "native@2")


def test_an_unreadable_file_is_a_note_too(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("nothing")
    assert "cannot be decoded" in notes(tmp_path / "a.mp4")[0]
