"""Limits: what is too long, too large or never ends gets a clear row, in little time and memory."""

import re
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from evals.features.canonical import picture, sound
from evals.features.extraction import extract, reference_features
from evals.metrics.english import require_english
from evals.protocols.base import Unscored
from evals.recording.record import RecordPlan, record_one
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from evals.text import characters, choices, comparison, english, language, letters, markup, spoken
from evals.text.failures import Run, is_loop
from evals.text.figures import RULES
from evals.text.normalise import NORMALISERS, normalise
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk, limits
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.limits import TooLarge, limit
from streamchar_ref.media.picture import read_picture


def video(path: Path, size: tuple[int, int], times_ms: list[int], last_ms: int = 0) -> Path:
    """Writes frames of noise at given times; the last one stays for ``last_ms``."""
    base = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
        stream.codec_context.time_base = base
        for time_ms in times_ms:
            frame = av.VideoFrame(*size, "rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time_ms, base
            for packet in stream.encode(frame):
                if last_ms and time_ms == times_ms[-1]:
                    packet.duration = last_ms
                container.mux(packet)
        container.mux(stream.encode())
    return path


def wav(path: Path, rate: int, channels: int, num_samples: int = 100) -> Path:
    block = 2 * channels
    data = bytes(block * num_samples)
    head = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * block & 0xFFFF_FFFF, block & 0xFFFF, 16
    )  # fmt: skip
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + head
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip
    return path


def recording(path: Path, **changes: str) -> Recording:
    texts = {"sample_id": "a", "system": "s", "suite": "t", "transcript": "one two"} | changes
    return Recording(video_path=path, **texts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "times_ms", "last_ms", "message"),
    [
        ((16, 16), [0, 40], 3_600_000, "held for 35.. s, the limit is 600.*MAX_HELD_S"),
        ((16, 16), [i * 590_000 for i in range(8)], 0, "held for .* s, the limit is 600"),
        ((16, 16), [i * 10_000 for i in range(722)], 0, "lasts 72.* s, the limit is 7200"),
        ((16, 4096), [0, 40], 0, "has 6.71089e.07 pixels, the limit is 6.4e.07.*MAX_PIXELS"),
        ((16, 1024), [0, 40], 0, "512 x 32768 pixels, and a side may have 16384"),
    ],
)
def test_what_is_over_a_limit_is_unavailable_and_says_how_to_raise_it(
    tmp_path: Path, size: tuple[int, int], times_ms: list[int], last_ms: int, message: str
) -> None:
    path = video(tmp_path / "a.mkv", size, times_ms, last_ms)
    with pytest.raises(TooLarge, match=message):
        next(iter(picture(recording(path), native=False)))
    found = extract(recording(path), ["appearance"], native=False)["appearance"]
    assert found.status == "unavailable"  # type: ignore[union-attr]


def test_limits_can_be_raised_and_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mkv", (16, 16), [0, 40], 20_000)
    assert sum(map(len, frames(path, fps=1))) == 20
    monkeypatch.setenv("STREAMCHAR_MAX_HELD_S", "5")
    with pytest.raises(TooLarge, match=r"the limit is 5;"):
        list(frames(path, fps=1))
    monkeypatch.setenv("STREAMCHAR_MAX_HELD_S", "inf")
    assert sum(map(len, frames(path, fps=1))) == 20
    monkeypatch.setenv("STREAMCHAR_MAX_TOTAL_PIXELS", "300")
    with pytest.raises(TooLarge, match="all its frames have 512 pixels"):
        list(frames(path))
    for wrong in ("many", "-1", "nan", "0"):
        monkeypatch.setenv("STREAMCHAR_MAX_HELD_S", wrong)
        with pytest.raises(InputError, match="is no number above 0"):
            limit(limits.MAX_HELD_S)


def test_an_hour_of_full_hd_is_within_the_limits() -> None:
    budget = limits.Budget(path=Path("a.mp4"), what="picture")
    for _ in range(3600):
        budget.show(Fraction(1), 60 * 1920 * 1080)
    assert limits.batch_size(32, 1920, 1080) == 32
    assert limits.batch_size(32, 7680, 4320) == 2


def test_held_frames_come_in_batches_of_the_size_asked_for(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", (16, 16), [0, 1000, 1040], 3000)
    assert [len(batch) for batch in frames(path, fps=25, batch=8)] == [8] * 12 + [5]


@pytest.mark.parametrize("channels", [8, 24])
def test_sound_of_many_channels_is_mixed(tmp_path: Path, channels: int) -> None:
    assert len(audio(wav(tmp_path / "a.wav", 16_000, channels), sample_rate=16_000)) == 100


@pytest.mark.parametrize(
    ("rate", "channels"), [(0, 1), (10**6, 1), (2**31 - 1, 1), (16_000, 0), (16_000, 1000)]
)
def test_sound_that_no_recorder_writes_is_an_error_of_the_file(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = wav(tmp_path / "a.wav", rate, channels)
    with pytest.raises(ValueError, match=r"cannot be read|cannot be decoded"):
        audio(path, sample_rate=16_000)


def test_silence_is_not_made_up_without_end(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", 16_000, 1)
    with pytest.raises(TooLarge, match="its sound is left out for"):
        audio(path, sample_rate=16_000, start_s=-3600.0)
    assert len(audio(path, sample_rate=16_000, start_s=-1.0)) == 16_100


def test_a_sound_file_longer_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_MAX_SECONDS", "1")
    path = wav(tmp_path / "a.wav", 8000, 1, 16_000)
    with pytest.raises(TooLarge, match="its sound lasts"):
        sound(recording(path), native=True)


def test_a_huge_reference_picture_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(TooLarge, match="MAX_PIXELS"):
        read_picture(path)
    found = reference_features(path, ["identity"])
    assert {each.status for each in found.values()} == {"unavailable"}  # type: ignore[union-attr]
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS > 80e6


class Endless:
    name, fps, sample_rate = "endless", 25, 16_000

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames

    def stream(self, prompt: Prompt, *, seed: int):  # type: ignore[no-untyped-def]
        for index in range(10**9):
            yield AVChunk(
                index=index,
                frames=np.zeros((self.num_frames, 2, 2, 3), np.uint8),
                samples=np.zeros(self.num_frames * 640, np.float32),
            )


@pytest.mark.parametrize("num_frames", [0, 250])
def test_a_stream_without_end_is_a_failure_of_its_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_frames: int
) -> None:
    monkeypatch.setenv("STREAMCHAR_MAX_STREAM_S", "20")
    prompt = Prompt(prompt_id="p", transcript="one", reference=np.zeros((8, 8, 3), np.uint8))
    assert not record_one(Endless(num_frames), prompt, RecordPlan(out=tmp_path, suite="s"))
    error = (tmp_path / "recordings/endless/s/p/0/error.txt").read_text()
    assert "the stream does not end" in error
    assert "STREAMCHAR_MAX_STREAM_S" in error


def test_the_limit_of_a_stream_grows_with_its_text() -> None:
    assert limits.stream_limit_s("") == 300
    assert limits.stream_limit_s("x" * 50_000) > 7200
    assert limits.stream_limit_s("x", 60.0) == pytest.approx(360.6)


def test_a_transcript_over_the_limit_is_not_aligned(tmp_path: Path) -> None:
    with pytest.raises(Unscored, match="the transcript has 500000 letters") as error:
        require_english(recording(tmp_path / "a.mp4", transcript="word " * 100_000))
    assert error.value.status == "unavailable"


# Whatever repeats: four times the signs must take about four times as long, not sixteen times.
REPEATED = (
    "1,", "(", "[", "<", "9", "'", "\u200b", " ", "-", "*", "a.", "a@", "1.", "1-2-", "<!--",
    "<|", "www.", "\u00ab", "http://", "one hundred ", "2020-01-", "[a", "(a", "**a", "a-b-",
)  # fmt: skip
SIZE = 12_000


def _all_patterns() -> list[re.Pattern[str]]:
    modules = (characters, choices, comparison, english, language, letters, markup, spoken)
    found = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, re.Pattern)
    ]
    rules = (*RULES, *letters.BEFORE_FIGURES, *letters.AFTER_FIGURES)
    return [*found, *(pattern for pattern, _ in rules)]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("normaliser", sorted(NORMALISERS))
def test_text_is_normalised_in_time_proportional_to_its_length(normaliser: str) -> None:
    for unit in REPEATED:
        size = SIZE // 4 if normaliser == "spoken-en" else SIZE  # its patterns: see the next test
        text = unit * (size // len(unit)) + "!"
        spoken.readings.cache_clear()
        short_s = _seconds(lambda: normalise(text[: size // 4], normaliser))  # noqa: B023
        long_s = _seconds(lambda: normalise(text, normaliser))  # noqa: B023
        assert long_s < 0.5 or long_s < 10 * short_s, f"{unit!r}: {short_s:.2f} s, {long_s:.2f} s"


def test_no_pattern_looks_to_the_end_of_the_text_from_every_sign() -> None:
    for unit in REPEATED:
        text = unit * (SIZE // len(unit)) + "!"
        for pattern in _all_patterns():
            if "\ue000" in pattern.pattern:  # of choices, whose signs no text can hold
                continue
            spent = _seconds(lambda: sum(1 for _ in pattern.finditer(text)))  # noqa: B023
            assert spent < 1.0, f"{pattern.pattern!r} on {unit!r}"


def test_a_number_of_thousands_of_digits_is_text() -> None:
    assert normalise("9" * 5000, "whisper-en") == "9" * 5000
    assert normalise("1" + "23,456," * 2000, "whisper-en")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a <!-- b --> c", "a c"),
        ("a <!-- b", "a b"),
        ("[a [b] c", "a c"),
        ("*a* (b", "a b"),
        (
            "write to joe.x@mail.example.org now",
            "write to joe dot x at mail dot example dot org now",
        ),
    ],
)
def test_what_is_closed_is_left_out_and_what_is_not_stays(text: str, kept: str) -> None:
    assert normalise(text, "spoken-en") == kept


def test_a_long_loop_is_found_quickly() -> None:
    words = [str(i) for i in range(20_000)]
    assert not is_loop(words, Run(start=10_000, stop=20_000))
    assert is_loop([*words[:9000], *words[:9000]], Run(start=9000, stop=18_000))
    assert not is_loop(["a", "b", "c", "d", "e"], Run(start=0, stop=5))
