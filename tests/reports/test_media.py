import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from evals.recording.recording import Recording
from reports.media import STRIP_FRAMES, film_strip, small_video
from streamchar_ref.media.encode import write_mp4


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Two seconds that grow brighter, with a tone."""
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    levels = np.linspace(20, 230, 50).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (50, 96, 64, 3))
    tone = 0.1 * np.sin(np.arange(32_000) * 2 * np.pi * 220 / 16_000)
    path = tmp_path / "video.mp4"
    write_mp4(
        path, [np.ascontiguousarray(frames)], tone.astype(np.float32), fps=25, sample_rate=16_000
    )
    return Recording(sample_id="a", system="ours", suite="s", transcript="", video_path=path)


def test_the_strip_goes_from_start_to_end(recording: Recording) -> None:
    strip = film_strip(recording)
    times_s = [t_s for t_s, _ in strip]
    assert (len(strip), times_s[0]) == (STRIP_FRAMES, 0.0)
    assert times_s[-1] == pytest.approx(49 / 25, abs=0.05)
    levels = [np.asarray(Image.open(io.BytesIO(png))).mean() for _, png in strip]
    assert (np.diff(levels) > 10).all()


def test_the_player_gets_a_small_video_with_sound(recording: Recording) -> None:
    content = small_video(recording)
    assert content is not None
    with av.open(io.BytesIO(content), "r") as container:
        assert container.streams.video[0].codec.name == "h264"
        assert container.streams.audio[0].codec.name == "aac"
        assert len(list(container.decode(video=0))) == 50
    assert small_video(recording) == content


def test_failed_recordings_have_neither(tmp_path: Path) -> None:
    failed = Recording(
        sample_id="a",
        system="ours",
        suite="s",
        transcript="",
        video_path=tmp_path / "none.mkv",
        error="it crashed",
    )
    assert small_video(failed) is None
    assert film_strip(failed) == []
