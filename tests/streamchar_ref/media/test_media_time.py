"""The picture's clock: what a player shows at each moment, whatever headers say."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames, probe, video_start_s
from streamchar_ref.media.encode import write_lossless, write_mp4
from streamchar_ref.media.lengths import measure
from streamchar_ref.media.timeline import FrameClock, last_duration
from tests.streamchar_ref.media_files import (
    RATE,
    click_times_s,
    clicks,
    copy_packets,
    numbered,
    numbers,
    tone,
    write,
)


def ffmpeg_fps(path: Path, fps: int = 25) -> list[int]:
    """Numbers of the frames that FFmpeg's own filter gives."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        nodes = [graph.add_buffer(template=stream), graph.add("setpts", "PTS-STARTPTS"),
                 graph.add("fps", f"fps={fps}"), graph.add("buffersink")]  # fmt: skip
        graph.link_nodes(*nodes).configure()
        shown: list[np.ndarray] = []
        for frame in (*container.decode(stream), None):
            graph.push(frame)
            while True:
                try:
                    shown.append(graph.pull().to_ndarray(format="rgb24")[None])
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    return numbers(shown)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("fps", [5, 8, 12.5, 15, 20, 24, 30000 / 1001, 30, 48, 50, 60])
def test_any_rate_is_converted_as_ffmpegs_fps_filter_does(
    tmp_path: Path, fps: float, suffix: str
) -> None:
    path = write(tmp_path / f"a.{suffix}", numbered(round(3 * fps)), fps=fps)
    shown, reference = numbers(frames(path, fps=25)), ffmpeg_fps(path)
    assert abs(len(shown) - 75) <= 1
    assert shown[: len(reference) - 2] == reference[:-2]  # how long the last stays is not pushed


@pytest.mark.parametrize("seed", range(3))
def test_a_varying_rate_is_converted_as_ffmpegs_fps_filter_does(tmp_path: Path, seed: int) -> None:
    steps = np.random.default_rng(seed).choice([7, 16, 33, 40, 100, 480], 40) / 1000
    path = write(tmp_path / "a.mp4", numbered(40), times_s=np.cumsum(steps).tolist())
    shown, reference = numbers(frames(path, fps=25)), ffmpeg_fps(path)
    assert shown[: len(reference) - 2] == reference[:-2]


def test_a_frame_is_held_until_the_next_is_due(tmp_path: Path) -> None:
    kept = [0, 1, 2, 15, 16, 17]  # 0.5 s stall
    path = write(tmp_path / "a.mp4", numbered(18)[kept], times_s=[i / 25 for i in kept])
    assert numbers(frames(path, fps=25)) == [0, 1, *[2] * 13, 15, 16, 17]
    assert numbers(frames(path)) == kept


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mpg"])
def test_25_fps_files_give_every_frame_once_and_untouched(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 32, 64, 3), np.uint8)
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    path = write(tmp_path / f"a.{suffix}", pixels, vcodec=codec)
    with av.open(str(path)) as container:
        stored = list(container.decode(video=0))
        assert len(stored) == 30
        plain = np.stack([frame.to_ndarray(format="rgb24") for frame in stored])
        small = np.stack([
            frame.reformat(format="rgb24").reformat(width=48, height=24, interpolation="BICUBIC")
            .to_ndarray() for frame in stored
        ])  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(list(frames(path, fps=25))), plain)
    np.testing.assert_array_equal(np.concatenate(list(frames(path))), plain)
    np.testing.assert_array_equal(np.concatenate(list(frames(path, fps=25, short_side=24))), small)


def test_a_header_with_another_rate_does_not_matter(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.webm", numbered(50), vcodec="libvpx-vp9", fps=1000,
        times_s=[i / 25 for i in range(50)], options={"deadline": "realtime", "cpu-used": "8"},
    )  # fmt: skip
    assert probe(path).fps == 1000
    assert numbers(frames(path, fps=25)) == list(range(50))
    assert measure(path).fps == pytest.approx(25)
    assert measure(path).picture_s == pytest.approx(2.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts", "avi"])
def test_lengths_are_known_for_every_container(tmp_path: Path, suffix: str) -> None:
    codecs = {"webm": ("libvpx-vp9", "libopus"), "avi": ("libx264", "pcm_s16le")}
    vcodec, acodec = codecs.get(suffix, ("libx264", "aac"))
    options = {"deadline": "realtime", "cpu-used": "8"} if suffix == "webm" else None
    path = write(
        tmp_path / f"a.{suffix}", numbered(50), tone(1.0, 48_000), rate=48_000, vcodec=vcodec,
        acodec=acodec, options=options,
    )  # fmt: skip
    found = measure(path)
    assert found.picture_s == pytest.approx(2.0, abs=0.001)
    assert found.sound_s == pytest.approx(1.0, abs=0.06)
    assert len(audio(path, sample_rate=RATE)) / RATE == pytest.approx(found.sound_s, abs=0.03)


@pytest.mark.parametrize("bframes", ["0", "2"])
@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_time_0_of_a_cut_between_key_frames_is_the_first_frame_that_can_be_shown(
    tmp_path: Path, suffix: str, bframes: str
) -> None:
    times = [0.5, 1.3, 2.2, 2.9]
    options = {"crf": "10", "g": "25", "bf": bframes, "sc_threshold": "0"}
    whole = write(
        tmp_path / f"whole.{suffix}", numbered(75), clicks(times, 3.0, 48_000), rate=48_000,
        options=options,
    )  # fmt: skip
    cut = copy_packets(whole, tmp_path / f"cut.{suffix}", first_s=0.4)
    assert numbers(frames(cut, fps=25)) == list(range(25, 75))
    heard = click_times_s(audio(cut, sample_rate=RATE, start_s=video_start_s(cut)))
    assert heard == pytest.approx([0.3, 1.2, 1.9], abs=0.012)
    assert click_times_s(audio(cut, sample_rate=RATE)) == heard
    assert measure(cut).picture_s == pytest.approx(2.0, abs=0.001)
    assert measure(cut).num_frames == 50


QUICK = {"deadline": "realtime", "cpu-used": "8", "g": "25"}


@pytest.mark.parametrize(
    ("suffix", "vcodec", "options"),
    [
        ("ts", "mpeg2video", {"g": "25", "bf": "0"}),
        ("mkv", "mpeg4", {"g": "25", "b": "8000000"}),
        ("webm", "libvpx", QUICK),
        ("webm", "libvpx-vp9", QUICK),
        ("mkv", "libx264", {"g": "25", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}),
    ],
)
def test_frames_without_their_key_frame_are_left_out_whatever_the_codec(
    tmp_path: Path, suffix: str, vcodec: str, options: dict[str, str]
) -> None:
    whole = write(
        tmp_path / f"whole.{suffix}", numbered(75), clicks([0.5, 1.3, 2.2], 3.0, 48_000),
        rate=48_000, vcodec=vcodec, acodec="libopus", options=options,
    )  # fmt: skip
    cut = copy_packets(whole, tmp_path / f"cut.{suffix}", first_s=0.4)
    shown = numbers(frames(cut, fps=25))
    assert shown == list(range(shown[0], 75))
    assert shown[0] in {24, 25}
    expected = [time - shown[0] / 25 for time in (0.5, 1.3, 2.2) if time > shown[0] / 25]
    heard = click_times_s(audio(cut, sample_rate=RATE))
    assert heard == pytest.approx(expected, abs=0.015)
    assert measure(cut).picture_s == pytest.approx(len(shown) / 25, abs=0.001)


@pytest.mark.parametrize("bframes", ["0", "2"])
@pytest.mark.parametrize("first_s", [0.2, 1.0, 2.0])
def test_an_edit_list_hides_frames_and_nothing_is_wrong(
    tmp_path: Path, first_s: float, bframes: str
) -> None:
    times = [0.5, 1.3, 2.2, 2.6]
    whole = write(
        tmp_path / "whole.mp4", numbered(75), clicks(times, 3.0, 48_000), rate=48_000,
        options={"crf": "10", "g": "250", "bf": bframes},
    )  # fmt: skip
    cut = copy_packets(whole, tmp_path / "cut.mp4", first_s=first_s, last_s=2.8, shift_s=first_s)
    with av.open(str(cut)) as container:
        header = container.streams.video[0].frames
    first = round(first_s * 25)
    shown = numbers(frames(cut, fps=25))
    assert header >= 68 > len(shown)
    assert shown == list(range(first, first + len(shown)))
    assert len(shown) == pytest.approx(70 - first, abs=2)  # the last B frames refer beyond the cut
    expected = [time - first_s for time in times if time > first_s]
    assert click_times_s(audio(cut, sample_rate=RATE)) == pytest.approx(expected, abs=0.012)
    assert measure(cut).picture_s == pytest.approx(len(shown) / 25, abs=0.041)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8)
    whole = tmp_path / f"whole.{suffix}"
    if suffix == "mp4":
        write_mp4(whole, [noise], tone(4.0), fps=25, sample_rate=RATE)
    else:
        write_lossless(whole, [noise], fps=25)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(MediaError, match=rf"cut\.{suffix}: is cut short"):
        list(frames(cut))


def test_a_cut_off_file_with_an_edit_list_is_refused_too(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (75, 64, 64, 3), dtype=np.uint8)
    whole = write(tmp_path / "whole.mp4", noise, options={"crf": "10", "g": "250", "bf": "0"})
    edited = copy_packets(whole, tmp_path / "edited.mp4", first_s=0.4, shift_s=0.4)
    assert sum(map(len, frames(edited))) == 65
    data = edited.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), "the index comes first"
    edited.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match=r"edited\.mp4: is cut short"):
        list(frames(edited))


@pytest.mark.parametrize("share", [0.8, 0.9])
@pytest.mark.parametrize(("suffix", "vcodec"), [("avi", "mpeg4"), ("avi", "ffv1"), ("flv", "flv")])
def test_a_cut_is_told_whatever_the_demuxer_makes_of_the_length(
    tmp_path: Path, suffix: str, vcodec: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8)
    whole = write(tmp_path / f"whole.{suffix}", noise, vcodec=vcodec)
    assert sum(map(len, frames(whole))) == 100
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: round(whole.stat().st_size * share)])
    with pytest.raises(MediaError, match=r"cut\.\w+: (is cut short|cannot be decoded)"):
        list(frames(cut))


def test_packets_before_the_first_key_frame_are_no_damage(tmp_path: Path) -> None:
    options = {"crf": "10", "g": "25", "bf": "0", "preset": "ultrafast"}
    whole = write(tmp_path / "whole.mkv", numbered(75), options=options)
    cut = copy_packets(whole, tmp_path / "cut.mp4", first_s=0.2)
    assert numbers(frames(cut, fps=25)) == list(range(25, 75))


def test_joined_files_whose_clock_starts_anew_are_refused(tmp_path: Path) -> None:
    part = write(tmp_path / "part.ts", numbered(50), tone(2.0))
    both = tmp_path / "both.ts"
    both.write_bytes(part.read_bytes() * 2)
    with pytest.raises(MediaError, match=r"both\.ts: timestamps jump from .* encode the whole"):
        list(frames(both))
    with pytest.raises(MediaError, match=r"both\.ts: timestamps jump"):
        audio(both, sample_rate=RATE)


def frame_at(pts: int | None, dts: int | None = None, duration: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts, frame.dts, frame.time_base, frame.duration = pts, dts, Fraction(1, 25), duration
    return frame


def test_frames_without_timestamps_follow_each_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h264", numbered(30), fps=25, container="h264")
    assert numbers(frames(path, fps=25)) == list(range(30))
    clock = FrameClock(Fraction(1, 10))
    times = [clock.time_of(frame_at(None)) for _ in range(3)]
    assert times == [0, Fraction(1, 10), Fraction(2, 10)]
    assert clock.time_of(frame_at(None, duration=5)) == Fraction(2, 10) + Fraction(5, 25)


def test_timestamps_that_run_backwards_give_way_to_those_of_decoding() -> None:
    clock = FrameClock(Fraction(1, 25))
    given = [(0, 0), (2, 1), (1, 2), (4, 3), (3, 4)]
    times = [25 * clock.time_of(frame_at(pts, dts)) for pts, dts in given]
    assert times == [0, 2, 2, 3, 4]


def test_avi_with_b_frames_has_its_frames_in_order(tmp_path: Path) -> None:
    options = {"crf": "10", "bf": "2"}
    path = write(tmp_path / "a.avi", numbered(50), options=options)
    shown = numbers(frames(path, fps=25))
    assert len(shown) == 50
    assert shown == sorted(shown)
    assert shown[3:] == list(range(3, 50))


@pytest.mark.parametrize(
    ("given", "steps", "expected"),
    [
        (Fraction(1, 25), [Fraction(1, 25)] * 9, Fraction(1, 25)),
        (Fraction(0), [Fraction(1, 25)] * 9, Fraction(1, 25)),
        (Fraction(1, 1000), [Fraction(1, 25)] * 9, Fraction(1, 25)),
        (Fraction(1, 25), [Fraction(1, 25)] * 3 + [Fraction(5)], Fraction(1, 25)),
        (Fraction(2), [Fraction(1, 25)] * 9, Fraction(2)),
        (Fraction(0), [], Fraction(1, 30)),
        (Fraction(1), [], Fraction(1)),
    ],
)
def test_the_last_frame_stays_as_long_as_it_says_or_as_the_others(
    given: Fraction, steps: list[Fraction], expected: Fraction
) -> None:
    assert last_duration(given, steps, Fraction(1, 30)) == expected


def test_a_single_frame_is_one_frame(tmp_path: Path) -> None:
    assert numbers(frames(write(tmp_path / "a.mp4", numbered(1, start=5)), fps=25)) == [5]
    still = tmp_path / "a.png"
    path = write(still, numbered(1, 9), vcodec="png", pix_fmt="rgb24", container="image2")
    assert numbers(frames(path, fps=25)) == [9]
