"""Reading and writing files: sizes, rates, offsets, and what is wrong with broken ones."""

import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import (
    audio,
    frames,
    probe,
    scaled_size,
    video_start_s,
)
from streamchar_ref.media.encode import write_lossless, write_mp4
from streamchar_ref.media.wav import write_wav

RATE = 16_000


def numbered_frames(count: int, size: int = 32) -> np.ndarray:
    """Frame t is a flat grey of 4 t, so that a decoded frame says which one it was."""
    levels = (4 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, size, size, 3)).copy()


def which(batch: np.ndarray) -> list[int]:
    return [round(float(level) / 4) for level in batch.mean(axis=(1, 2, 3))]


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def test_lossless_gives_back_every_bit_and_the_same_bytes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 36, 50, 3), dtype=np.uint8)
    for name in ("a.mkv", "b.mkv"):
        write_lossless(tmp_path / name, [pixels[:3], pixels[3:]], fps=25)
    np.testing.assert_array_equal(np.concatenate(list(frames(tmp_path / "a.mkv"))), pixels)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_mp4_keeps_sound_and_picture_together(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    click = np.zeros(2 * RATE, np.float32)
    click[RATE : RATE + 160] = 0.9
    write_mp4(path, [numbered_frames(50)], click, fps=25, sample_rate=RATE)
    heard = audio(path, sample_rate=RATE, start_s=video_start_s(path))
    assert abs(int(np.abs(heard).argmax()) - RATE) < 200  # within 12 ms
    assert which(np.concatenate(list(frames(path, fps=25)))) == list(range(50))


@settings(max_examples=10, deadline=None)
@given(batch=st.integers(1, 40))
def test_batch_size_changes_nothing(tmp_path_factory: pytest.TempPathFactory, batch: int) -> None:
    path = tmp_path_factory.mktemp("media") / "a.mkv"
    write_lossless(path, [numbered_frames(33)], fps=30)
    parts = list(frames(path, fps=25, batch=batch))
    assert all(len(part) == batch for part in parts[:-1])
    assert which(np.concatenate(parts)) == which(np.concatenate(list(frames(path, fps=25))))


def with_late_sound(path: Path, delay_s: float) -> None:
    """An mkv whose sound starts ``delay_s`` after the picture (before it, if negative)."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "bgr0"
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        lead = max(0.0, -delay_s)
        for index, pixels in enumerate(numbered_frames(25)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = index * 40 + round(lead * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = (tone(1.0) * 32767).astype(np.int16)[None]
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate = RATE
        heard.pts, heard.time_base = round(max(0.0, delay_s) * RATE), Fraction(1, RATE)
        container.mux(sound.encode(heard))


def test_sound_that_starts_late_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with_late_sound(path, 0.2)
    assert probe(path).start_offset_s == pytest.approx(0.2, abs=0.002)
    heard = audio(path, sample_rate=RATE, start_s=video_start_s(path))
    assert np.abs(heard[: round(0.19 * RATE)]).max() == 0
    assert np.abs(heard[round(0.2 * RATE) :]).max() > 0.4


def test_sound_that_starts_early_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "early.mkv"
    with_late_sound(path, -0.2)
    heard = audio(path, sample_rate=RATE, start_s=video_start_s(path))
    assert len(heard) == pytest.approx(0.8 * RATE, abs=40)


def test_missing_empty_and_cut_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        probe(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(MediaError, match=r"text\.mp4: cannot be decoded"):
        probe(tmp_path / "text.mp4")
    whole = tmp_path / "whole.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8)
    write_mp4(whole, [noise], None, fps=25, sample_rate=RATE)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(MediaError, match="cut short"):
        list(frames(cut))
    with pytest.raises(MediaError, match="has no sound"):
        audio(whole, sample_rate=RATE)
    write_wav(tmp_path / "a.wav", tone(0.1), sample_rate=RATE)
    with pytest.raises(MediaError, match="has no picture"):
        list(frames(tmp_path / "a.wav"))
    with pytest.raises(MediaError, match="no frames to write"):
        write_mp4(tmp_path / "none.mp4", [], None, fps=25, sample_rate=RATE)


def test_frames_of_several_sizes_are_refused(tmp_path: Path) -> None:
    for width, height in ((64, 48), (48, 64)):
        with av.open(str(tmp_path / f"{width}.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            grey = np.zeros((height, width, 3), np.uint8)
            for _ in range(40):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode())
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "64.ts").read_bytes() + (tmp_path / "48.ts").read_bytes())
    with pytest.raises(MediaError, match=r"both\.ts: frame size changes from 64x48 to 48x64"):
        list(frames(both))


def test_a_title_in_another_encoding_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "QQQQQQQQ"
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.int16), "s16", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
    path.write_bytes(path.read_bytes().replace(b"QQQQQQQQ", b"\xe9\xff\xfeQQQQQ"))
    assert probe(path).sample_rate == RATE


def test_nan_samples_are_refused_on_the_way_in_and_out(tmp_path: Path) -> None:
    broken = tone(0.5)
    broken[4000] = np.nan
    with pytest.raises(MediaError, match="finite"):
        write_wav(tmp_path / "a.wav", broken, sample_rate=RATE)
    path = tmp_path / "b.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(broken[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
    with pytest.raises(MediaError, match=r"NaN or infinite samples from 0\.2"):
        audio(path, sample_rate=RATE)


def test_wav_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(0.1), sample_rate=RATE)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, RATE, 1600)
    heard = audio(tmp_path / "a.wav", sample_rate=RATE)
    np.testing.assert_allclose(heard, tone(0.1), atol=1e-4)  # 16 bits


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0, 44_100), sample_rate=44_100)
    heard = audio(tmp_path / "a.wav", sample_rate=RATE)
    assert len(heard) == pytest.approx(RATE, abs=2)
    np.testing.assert_allclose(heard[1000:15_000], tone(1.0)[1000:15_000], atol=2e-3)


def test_portrait_and_odd_sizes_scale_to_even_numbers() -> None:
    assert scaled_size(1080, 1920, 512) == (512, 910)
    assert scaled_size(33, 33, 512) == (512, 512)


def test_odd_sizes_lose_their_last_row_and_column_and_are_not_rescaled(tmp_path: Path) -> None:
    tall = np.zeros((5, 65, 33, 3), np.uint8)
    tall[:, 30:32] = 255
    write_mp4(tmp_path / "a.mp4", [tall], None, fps=25, sample_rate=RATE)
    (seen,) = frames(tmp_path / "a.mp4")
    assert seen.shape == (5, 64, 32, 3)
    np.testing.assert_allclose(seen[0, :, 5, 0], tall[0, :64, 0, 0], atol=20)


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("width", [32, 272, 512])
def test_the_same_pictures_give_the_same_bytes_at_any_width(
    tmp_path: Path, width: int, is_padded: bool
) -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (64, width, 3), dtype=np.uint8)
    moved = np.stack([np.roll(still, (frame, 2 * frame), (0, 1)) for frame in range(12)])
    written = []
    for count in range(4):
        _ = [rng.bytes(int(size)) for size in rng.integers(1_000, 1_000_000, 10)]  # of the heap
        path = tmp_path / f"{count}.mp4"
        write_mp4(path, [moved], None, fps=25, sample_rate=RATE, is_padded=is_padded)
        written.append(path.read_bytes())
    assert len(set(written)) == 1
    (seen,) = frames(tmp_path / "0.mp4")
    assert seen.shape == moved.shape
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), moved.mean(axis=(0, 1)), atol=25)


@pytest.mark.slow
def test_a_long_video_is_decoded_in_bounded_memory(tmp_path: Path) -> None:
    second = np.random.default_rng(0).integers(0, 256, (25, 192, 192, 3), dtype=np.uint8)
    still = np.repeat(second[:1], 25, axis=0)
    path = tmp_path / "long.mp4"
    write_mp4(
        path, (still for _ in range(90)), tone(90.0), fps=25, sample_rate=RATE, preset="ultrafast"
    )
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from streamchar_ref.media.decode import frames, audio\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = peak(); path = Path(sys.argv[1])\n"
        "count = sum(len(batch) for batch in frames(path, fps=25))\n"
        "samples = len(audio(path, sample_rate=16000))\n"
        "print(count, samples, (peak() - start) / 1024)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(out[0]) == 2_250
    assert float(out[2]) < 100, "MB above the start, of 250 MB of pictures"
