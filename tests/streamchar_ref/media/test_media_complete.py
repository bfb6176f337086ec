"""A file whose end is missing is refused; a good one, however odd, is not."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from streamchar_ref.media import MediaError
from streamchar_ref.media.complete import cut_of
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.lengths import measure
from streamchar_ref.media.wav import write_wav
from tests.streamchar_ref.cut_files import CONTAINERS, PROMISE_NOTHING, cuts, make, values
from tests.streamchar_ref.media_files import RATE, copy_packets, numbered, tone, write


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_cut_file_is_refused_or_gives_what_the_whole_one_does(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path, name)
    expected = values(whole)
    refused = 0
    for cut in cuts(whole, count=5, seed=len(name)):
        try:
            found = values(cut)
        except MediaError:
            refused += 1
        else:
            assert found == expected, f"{cut.stat().st_size} of {whole.stat().st_size} bytes"
    assert refused >= 3


@pytest.mark.parametrize("name", PROMISE_NOTHING)
def test_without_a_promise_what_ends_between_two_packets_is_whole(
    tmp_path: Path, name: str
) -> None:
    whole = make(tmp_path, name)
    content, border = whole.read_bytes(), {"ts": 188, "mpg": 2048}.get(name)
    with av.open(str(whole)) as container:
        starts = [packet.pos for packet in container.demux() if packet.size]
    half = len(content) // 2
    places = (
        range(half // border * border, len(content), border)
        if border
        else starts[len(starts) // 2 :]
    )
    assert any(_cut_at(whole, place) == "" for place in places[:20])


def _cut_at(whole: Path, place: int) -> str:
    cut = whole.with_name(f"cut{whole.suffix}")
    cut.write_bytes(whole.read_bytes()[:place])
    return cut_of(cut)


@pytest.mark.parametrize("name", ["ts", "mpg", "flv, live", "mkv, live", "webm, live"])
def test_a_packet_that_is_not_all_there_is_told_without_any_promise(
    tmp_path: Path, name: str
) -> None:
    whole = make(tmp_path, name)
    size = whole.stat().st_size
    for place in (size * 2 // 5, size * 4 // 5):
        assert _cut_at(whole, place // 2048 * 2048 + 77).startswith("is cut short: "), place


@pytest.mark.parametrize("name", CONTAINERS | PROMISE_NOTHING)
def test_a_whole_file_is_not_called_cut_or_damaged(tmp_path: Path, name: str) -> None:
    found = measure(make(tmp_path, name))
    assert (found.cut, found.num_damaged) == ("", 0)


def test_it_is_told_how_much_is_there(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mkv", numbered(100), tone(4.0))
    content = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match=r"cut\.mkv: is cut short: it holds (.*) s of the 4.0\d s"):
        audio(cut, sample_rate=RATE)


def test_sound_behind_the_picture_is_missed_too(tmp_path: Path) -> None:
    whole = make(tmp_path, "mp4, fragments")
    content = whole.read_bytes()
    second = content.find(b"moof", content.find(b"moof") + 4)
    first_sound = content.find(b"mdat") + 200
    assert first_sound < second
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[:first_sound])
    with pytest.raises(MediaError, match=r"cut\.mp4: is cut short"):
        audio(cut, sample_rate=RATE)


def test_an_index_that_lost_a_track_is_not_a_file_without_sound(tmp_path: Path) -> None:
    whole = make(tmp_path, "mov")
    content = whole.read_bytes()
    second_track = content.rfind(b"trak") - 4
    assert content.rfind(b"mdat") < second_track
    cut = tmp_path / "cut.mov"
    cut.write_bytes(content[:second_track])
    with pytest.raises(MediaError, match=r"cut\.mov: .*cut short"):
        list(frames(cut))


@pytest.mark.parametrize(
    ("suffix", "key"), [("mkv", b"\x44\x89\x88"), ("flv", b"\x08duration\x00")]
)
def test_a_header_that_promises_more_is_not_believed(
    tmp_path: Path, suffix: str, key: bytes
) -> None:
    path = write(tmp_path / f"a.{suffix}", numbered(50), tone(2.0, 44_100), rate=44_100)
    assert cut_of(path) == ""
    content = bytearray(path.read_bytes())
    place = content.find(key) + len(key)
    (length,) = struct.unpack(">d", content[place : place + 8])
    content[place : place + 8] = struct.pack(">d", 2 * length)
    path.write_bytes(content)
    assert "s of the 4.0" in cut_of(path)


def test_a_riff_size_beyond_the_end_is_told_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(2.0), sample_rate=RATE)
    content = path.read_bytes()
    for length, is_cut in ((4 * 2 * RATE, True), (0xFFFF_FFFF, False), (0, False)):
        path.write_bytes(content[:40] + struct.pack("<I", length) + content[44:])
        assert bool(cut_of(path)) == is_cut


@pytest.mark.parametrize("first_s", [0.2, 1.0])
def test_an_edit_list_is_no_cut(tmp_path: Path, first_s: float) -> None:
    whole = write(
        tmp_path / "whole.mp4", numbered(75), tone(3.0), options={"crf": "10", "g": "250"}
    )
    cut = copy_packets(whole, tmp_path / "cut.mp4", first_s=first_s, last_s=2.8, shift_s=first_s)
    assert cut_of(cut) == ""


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov", "ts"])
@pytest.mark.parametrize("seconds", [0.4, 9.0])
def test_tracks_of_other_lengths_are_no_cut(tmp_path: Path, suffix: str, seconds: float) -> None:
    acodec = "mp2" if suffix == "avi" else "aac"
    assert cut_of(write(tmp_path / f"a.{suffix}", numbered(50), tone(seconds), acodec=acodec)) == ""


def test_what_the_decoder_patches_is_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    options = {"crf": "20", "g": "4", "bf": "0"}
    path = write(tmp_path / "a.mp4", noise, options=options)
    assert measure(path).num_damaged == 0
    with av.open(str(path)) as container:
        places = [packet.pos + packet.size // 2 for packet in container.demux() if packet.size]
    content = bytearray(path.read_bytes())
    for place in places[4:20:4]:
        content[place : place + 16] = b"\xff" * 16
    path.write_bytes(content)
    found = measure(path)
    assert found.cut == ""
    assert 1 <= found.num_damaged <= 16, "not every flipped bit is noticed by a decoder"
    assert found.num_frames == 40
