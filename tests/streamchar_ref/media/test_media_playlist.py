"""Playlists stand for the files that they name."""

from pathlib import Path

import pytest

from evals.recording.content import content_hash
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.playlist import parts_of
from tests.streamchar_ref.media_files import (
    RATE,
    click_times_s,
    clicks,
    copy_packets,
    numbered,
    numbers,
    write,
)


def playlist(folder: Path, first: int = 0) -> Path:
    """Three seconds in three segments, and a playlist of one stream above theirs."""
    folder.mkdir()
    options = {"crf": "10", "g": "25", "bf": "0", "preset": "ultrafast"}
    whole = write(
        folder / "whole.ts", numbered(75, first), clicks([0.5, 1.5, 2.5], 3.0), options=options
    )
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for index in range(3):
        copy_packets(
            whole, folder / f"{index}.ts", first_s=index, last_s=index + 1 if index < 2 else 9
        )
        lines += ["#EXTINF:1.0,", f"{index}.ts"]
    whole.unlink()
    (folder / "media.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    path = folder / "all.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nmedia.m3u8\n")
    return path


def test_a_playlist_is_played_from_its_first_file_to_its_last(tmp_path: Path) -> None:
    path = playlist(tmp_path / "a")
    assert numbers(list(frames(path, fps=25))) == list(range(75))
    heard = click_times_s(audio(path, sample_rate=RATE))
    assert heard == pytest.approx([0.5, 1.5, 2.5], abs=0.015)


def test_playlists_of_one_text_are_two_where_their_files_are(tmp_path: Path) -> None:
    one, same, other = (playlist(tmp_path / name, first) for name, first in
                        (("a", 0), ("b", 0), ("c", 100)))  # fmt: skip
    assert one.read_bytes() == other.read_bytes()
    names = ["media.m3u8", "0.ts", "1.ts", "2.ts"]
    assert parts_of(one) == [one.parent / name for name in names]
    assert content_hash(one) == content_hash(same)
    assert content_hash(one) != content_hash(other)


def test_what_ffmpeg_would_leave_out_is_refused(tmp_path: Path) -> None:
    path = playlist(tmp_path / "a")
    media = path.with_name("media.m3u8")
    text = media.read_text()
    media.write_text(text.replace("#EXT-X-ENDLIST\n", ""))
    with pytest.raises(MediaError, match=r"media\.m3u8: is a playlist without an end"):
        list(frames(path))
    media.write_text(text)
    path.with_name("1.ts").unlink()
    with pytest.raises(MediaError, match=r"names 1\.ts, and there is no such file"):
        list(frames(path))
    path.with_name("list.txt").write_text("ffconcat version 1.0\nfile 0.ts\nfile 2.ts\n")
    with pytest.raises(MediaError, match=r"list\.txt: is a list of files"):
        list(frames(path.with_name("list.txt")))


def test_playlists_that_name_each_other_end(tmp_path: Path) -> None:
    path = tmp_path / "a.m3u8"
    path.write_text('#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\na.m3u8\n')
    assert parts_of(path) == []
    assert len(content_hash(path)) == 24
