"""The sound's clock, its channels and its formats."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamchar_ref.media.decode import audio
from streamchar_ref.media.lengths import measure
from tests.streamchar_ref.media_files import (
    RATE,
    audio_packets,
    click_times_s,
    clicks,
    copy_packets,
    numbered,
    tone,
    write,
    write_tracks,
)

TIMES = [0.3, 0.8, 1.6, 2.1, 2.7]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "libopus"), ("mkv", "pcm_s16le"), ("mp4", "aac"), ("webm", "libopus")],
)
@pytest.mark.parametrize("lost", [((1.0, 1.32),), ((0.4, 0.42), (1.0, 1.1), (1.8, 1.9))])
def test_a_hole_in_the_timestamps_is_silence(
    tmp_path: Path, suffix: str, codec: str, lost: tuple[tuple[float, float], ...]
) -> None:
    samples = clicks(TIMES, 3.0, 48_000)
    path = write(tmp_path / f"a.{suffix}", None, samples, rate=48_000, acodec=codec, lost=lost)
    heard = audio(path, sample_rate=RATE)
    assert click_times_s(heard) == pytest.approx(TIMES, abs=0.016)
    assert len(heard) / RATE == pytest.approx(3.0, abs=0.05)
    found = measure(path)
    assert found.num_holes >= 1
    assert found.hole_s == pytest.approx(sum(end - start for start, end in lost), abs=0.08)
    assert found.sound_s == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("codec", ["libopus", "flac", "pcm_s16le"])
@pytest.mark.parametrize("largest_ms", [0, 5])
def test_jitter_of_the_timestamps_tears_nothing(
    tmp_path: Path, codec: str, largest_ms: int
) -> None:
    rng = np.random.default_rng(0)
    shifts = np.round(rng.uniform(-largest_ms, largest_ms, 400))
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        sound = out.add_stream(codec, rate=48_000, layout="mono")
        packets = audio_packets(sound, tone(3.0, 48_000), 48_000)
        for packet, shift in zip(packets, shifts, strict=False):
            packet.pts += round(float(shift) / 1000 / packet.time_base)
            packet.dts = packet.pts
            out.mux(packet)
    heard = audio(tmp_path / "a.mkv", sample_rate=48_000)[2000:140_000]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    peak = int(spectrum.argmax())
    outside = spectrum.sum() - spectrum[peak - 50 : peak + 51].sum()
    assert outside / spectrum.sum() < 1e-4  # a torn tone has clicks
    assert measure(tmp_path / "a.mkv").num_holes == 0


def test_overlapping_sound_is_heard_once(tmp_path: Path) -> None:
    def early(index: int) -> int:
        return -480 * min(max(index - 50, 0), 10)  # ten pieces overlap by half

    samples = clicks(TIMES, 3.0, 48_000)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        sound = out.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for packet in audio_packets(sound, samples, 48_000, late=early):
            out.mux(packet)
    expected = [time if time < 1 else time - 0.1 for time in TIMES]
    heard = audio(tmp_path / "a.mkv", sample_rate=RATE)
    assert click_times_s(heard) == pytest.approx(expected, abs=0.016)
    assert len(heard) / RATE == pytest.approx(2.9, abs=0.016)


def test_priming_of_the_codec_is_taken_off_and_edit_lists_are_followed(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "aac"), ("a.m4a", "aac"), ("a.webm", "libopus")):
        path = write(tmp_path / name, None, clicks(TIMES, 3.0, 48_000), rate=48_000, acodec=codec)
        assert click_times_s(audio(path, sample_rate=RATE)) == pytest.approx(TIMES, abs=0.003)


def test_a_sound_file_of_its_own_begins_with_its_first_sample(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as out:
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for packet in audio_packets(sound, clicks(TIMES, 3.0), RATE, late=lambda _: 2 * RATE):
            out.mux(packet)
    heard = audio(tmp_path / "a.mka", sample_rate=RATE)
    assert click_times_s(heard) == pytest.approx(TIMES, abs=0.002)
    assert measure(tmp_path / "a.mka").sound_s == pytest.approx(3.0, abs=0.001)
    late = audio(tmp_path / "a.mka", sample_rate=RATE, start_s=0.0)
    assert click_times_s(late) == pytest.approx([time + 2 for time in TIMES], abs=0.002)


def test_sound_before_the_picture_in_a_cut_is_left_out(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "a.ts", numbered(75), clicks(TIMES, 3.0, 48_000), rate=48_000,
        options={"g": "25", "bf": "0", "sc_threshold": "0"},
    )  # fmt: skip
    cut = copy_packets(whole, tmp_path / "cut.ts", first_s=0.5)
    assert measure(cut).sound_s == pytest.approx(2.0, abs=0.03)
    assert len(audio(cut, sample_rate=RATE)) / RATE == pytest.approx(2.0, abs=0.03)


def both_channels(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right])


def test_channels_in_opposite_phase_are_not_silence(tmp_path: Path) -> None:
    voice = tone(1.0)
    path = write(
        tmp_path / "a.mkv", None, both_channels(0.8 * voice, -voice), acodec="pcm_s16le",
        layout="stereo",
    )  # fmt: skip
    assert measure(path).heard_channel is None  # a tenth of the amplitude is left
    opposite = write(
        tmp_path / "b.mkv", None, both_channels(0.99 * voice, -voice), acodec="pcm_s16le",
        layout="stereo",
    )  # fmt: skip
    assert measure(opposite).heard_channel == 1
    np.testing.assert_allclose(audio(opposite, sample_rate=RATE), -voice, atol=1e-3)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [(1.0, 1.0, 1.0), (1.0, 0.0, 0.5), (0.0, 1.0, 0.5), (0.0, 0.0, 0.0)],
)
def test_ordinary_stereo_is_the_mean_of_both(
    tmp_path: Path, left: float, right: float, expected: float
) -> None:
    voice = tone(1.0)
    path = write(
        tmp_path / "a.mkv", None, both_channels(left * voice, right * voice), acodec="pcm_s16le",
        layout="stereo",
    )  # fmt: skip
    assert measure(path).heard_channel is None
    np.testing.assert_allclose(audio(path, sample_rate=RATE), expected * voice, atol=1e-3)


def test_a_voice_in_the_centre_of_surround_sound_is_heard(tmp_path: Path) -> None:
    channels = np.zeros((6, RATE), np.float32)
    channels[2] = tone(1.0)
    path = write(tmp_path / "a.mkv", None, channels, acodec="pcm_s16le", layout="5.1")
    heard = audio(path, sample_rate=RATE)
    assert np.corrcoef(heard, tone(1.0))[0, 1] > 0.999
    assert np.abs(heard).max() > 0.1


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_any_sample_format_and_8_khz_give_the_same_tone(tmp_path: Path, codec: str) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as out:
        sound = out.add_stream(codec, rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1.0, 8000)[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), 0
        wanted = av.AudioResampler(sound.codec_context.format.name, "mono", 8000)
        for piece in wanted.resample(frame):
            out.mux(sound.encode(piece))
        out.mux(sound.encode())
    heard = audio(tmp_path / "a.wav", sample_rate=RATE)
    assert len(heard) == pytest.approx(RATE, abs=4)
    np.testing.assert_allclose(heard[500:15_500], tone(1.0)[500:15_500], atol=0.02)


def test_the_default_track_is_heard(tmp_path: Path) -> None:
    sounds = [tone(1.0, hz=300), tone(1.0, hz=1000)]
    for default, suffix in ((0, "mkv"), (1, "mkv"), (1, "mp4")):
        path = write_tracks(tmp_path / f"a.{suffix}", numbered(25), sounds, default=default)
        spectrum = np.abs(np.fft.rfft(audio(path, sample_rate=RATE)[:RATE]))
        assert int(spectrum.argmax()) == pytest.approx([300, 1000][default], abs=2)


@pytest.mark.slow
def test_an_hour_of_sound_is_read_in_bounded_memory(tmp_path: Path) -> None:
    minute = (tone(60.0) * 32_767).astype(np.int16)[None]
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for index in range(60):
            frame = av.AudioFrame.from_ndarray(minute, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = index * minute.shape[1]
            out.mux(sound.encode(frame))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from streamchar_ref.media.decode import audio\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = peak(); samples = audio(Path(sys.argv[1]), sample_rate=16000)\n"
        "print(len(samples), (peak() - start) / 1024)"
    )
    out_text = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.mkv")],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert int(out_text[0]) == 3600 * RATE
    assert float(out_text[1]) < 1200, "MB, of 230 MB of samples"
