"""What a player shows and plays of a file: turned, with square pixels, the right tracks."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.encode import write_lossless, write_m4a, write_mp4
from streamchar_ref.media.picture import read_picture
from tests.streamchar_ref.media_files import (
    RATE,
    numbered,
    numbers,
    set_matrix,
    tone,
    write,
    write_tracks,
    write_with_cover,
)


def quarters(height: int = 64, width: int = 96) -> np.ndarray:
    """A picture whose corners are four levels of grey, none like another when turned."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = 40, 100
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = 160, 220
    return picture


TURNS = {
    "turned by 90 degrees": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "turned by 180 degrees": ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    "turned by 270 degrees": ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
}
MIRRORED = {
    "upside down": ((1, 0, 0, -1), lambda x: x[::-1]),
    "transposed": ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2)),
    "transversed": ((0, -1, -1, 0), lambda x: np.rot90(x, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", [*TURNS, *MIRRORED])
def test_the_display_matrix_is_followed(tmp_path: Path, name: str) -> None:
    matrix, player = (TURNS | MIRRORED)[name]
    path = write(tmp_path / "a.mp4", np.repeat(quarters()[None], 5, axis=0))
    set_matrix(path, *matrix)
    expected = player(quarters())
    (seen,) = frames(path, fps=25)
    assert seen.shape[1:] == expected.shape
    assert np.abs(seen[2].astype(int) - expected).mean() < 4
    (small,) = frames(path, fps=25, short_side=32)
    assert np.abs(small[2].astype(int) - expected[::2, ::2]).mean() < 8
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]
    assert str(info.display) == (name if name in TURNS else "mirrored")


def test_our_turns_are_those_of_ffmpegs_program(tmp_path: Path) -> None:
    """`av_display_rotation_get` is what its autorotation goes by."""
    path = write(tmp_path / "a.mp4", np.repeat(quarters()[None], 5, axis=0))
    set_matrix(path, *TURNS["turned by 90 degrees"][0])
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    turned = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
    np.testing.assert_array_equal(next(iter(frames(path)))[0], turned)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("aspect", "size"), [((4, 3), (128, 64)), ((16, 15), (102, 64)), ((3, 4), (96, 85))]
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, suffix: str, aspect: tuple[int, int], size: tuple[int, int]
) -> None:
    pixels = np.repeat(quarters()[None], 3, axis=0)
    path = write(tmp_path / f"a.{suffix}", pixels, aspect=Fraction(*aspect))
    (seen,) = frames(path)
    assert (seen.shape[2], seen.shape[1]) == size == (probe(path).width, probe(path).height)
    (small,) = frames(path, short_side=32)
    shown_aspect = 96 / 64 * aspect[0] / aspect[1]
    assert small.shape[2] / small.shape[1] == pytest.approx(shown_aspect, rel=0.04)
    assert str(probe(path).display) == f"stretched from pixels of {aspect[0]}:{aspect[1]}"


def test_turned_pixels_that_are_not_square_are_both(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", np.repeat(quarters()[None], 3, axis=0), aspect=Fraction(4, 3))
    set_matrix(path, *TURNS["turned by 90 degrees"][0])
    (seen,) = frames(path)
    assert seen.shape == (3, 128, 64, 3)
    (small,) = frames(path, short_side=32)
    assert small.shape == (3, 64, 32, 3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cover_is_no_picture_track(tmp_path: Path, suffix: str) -> None:
    path = write_with_cover(tmp_path / f"a.{suffix}", numbered(25), tone(1.0))
    assert numbers(frames(path, fps=25)) == list(range(25))
    assert probe(path).video_tracks == 1
    assert (probe(path).width, probe(path).height) == (128, 32)


def test_a_file_with_a_cover_alone_has_no_picture(tmp_path: Path) -> None:
    path = write_with_cover(tmp_path / "a.mp4", None, tone(1.0))
    assert probe(path).video_codec == ""
    assert len(audio(path, sample_rate=RATE)) == pytest.approx(RATE, abs=1024)
    with pytest.raises(MediaError, match="has no picture"):
        list(frames(path))


def test_tracks_are_counted(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", numbered(5), [tone(0.2)] * 2, default=1)
    assert (probe(path).video_tracks, probe(path).audio_tracks) == (1, 2)


NAMES = ["a:b", "http:x", "concat:a|b", "100%", "%03d", "-i", "two words", "\u00e9\u4e2d", "a'b\"c"]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"latin-\xe9")])
def test_any_file_name_can_be_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    video, lossless, sound = (Path(f"{name}.{end}") for end in ("mp4", "mkv", "m4a"))
    write_mp4(video, [numbered(5)], tone(0.2), fps=25, sample_rate=RATE)
    write_lossless(lossless, [numbered(5)], fps=25)
    write_m4a(sound, tone(0.2), sample_rate=RATE)
    assert numbers(frames(video)) == numbers(frames(lossless)) == list(range(5))
    assert len(audio(video, sample_rate=RATE)) == len(audio(sound, sample_rate=RATE)) > 0
    Image.fromarray(quarters()).save(f"{name}.png")
    np.testing.assert_array_equal(read_picture(Path(f"{name}.png")), quarters())
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".mkv", ".m4a", ".png"}


def test_what_8_bit_rgb_cannot_show_is_named(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.mp4", numbered(5))
    assert probe(plain).oddities == ()
    deep = write(tmp_path / "b.mkv", numbered(5), vcodec="ffv1", pix_fmt="yuv420p10le")
    assert probe(deep).oddities == ()
    assert numbers(frames(deep)) == list(range(5))
    glass = write(tmp_path / "c.mkv", numbered(5), vcodec="ffv1", pix_fmt="yuva420p")
    assert probe(glass).oddities == ()  # opaque
    options = {"x264-params": "tff=1:interlaced=1"}
    woven = write(tmp_path / "d.mp4", numbered(5), options=options)
    assert "interlaced" in probe(woven).oddities[0]
    options = {"x264-params": "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"}
    bright = write(tmp_path / "e.mp4", numbered(5), options=options)
    assert "PQ" in probe(bright).oddities[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Stored as a camera would: turned the other way than the tag says."""
    stored = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: np.rot90(x, 2),
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
        8: lambda x: np.rot90(x, -1),
    }[orientation](quarters())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    seen = read_picture(path)
    assert seen.shape == quarters().shape
    assert np.abs(seen.astype(int) - quarters()).mean() < 3


def test_transparency_lies_on_white_and_deep_grey_is_not_clipped(tmp_path: Path) -> None:
    hidden = np.zeros((4, 4, 4), np.uint8)
    hidden[:2] = (10, 20, 30, 255)
    Image.fromarray(hidden).save(tmp_path / "a.png")
    seen = read_picture(tmp_path / "a.png")
    assert seen[0, 0].tolist() == [10, 20, 30]
    assert seen[3, 3].tolist() == [255, 255, 255]
    palette = Image.fromarray(hidden).quantize(4)
    palette.save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png")[3, 3].tolist() == [255, 255, 255]
    deep = np.full((4, 4), 128 << 8, np.uint16)
    Image.fromarray(deep).save(tmp_path / "c.png")
    assert read_picture(tmp_path / "c.png")[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("dtype", "factor"), [("<i4", 1), ("<i4", 257), ("f4", 1), ("f4", 1 / 255)]
)
def test_grey_of_32_bits_is_seen_as_meant(tmp_path: Path, dtype: str, factor: float) -> None:
    grey = np.tile(np.arange(0, 256, 5), (4, 1))
    Image.fromarray((grey * factor).astype(dtype)).save(tmp_path / "a.tif")
    seen = read_picture(tmp_path / "a.tif").astype(int)
    assert np.abs(seen - grey[..., None]).max() <= 1


def test_what_is_no_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(MediaError, match=r"a\.png: not a picture"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_picture(tmp_path / "none.png")
    Image.fromarray(quarters(512, 512)).save(tmp_path / "b.jpg")
    cut = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(MediaError, match=r"b\.jpg: not a picture"):
        read_picture(tmp_path / "b.jpg")
