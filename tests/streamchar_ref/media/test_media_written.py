"""What is written is whole and holds all that was given, or is not there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.encode import write_lossless, write_mp4
from streamchar_ref.media.wav import write_wav

FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
import numpy as np
from streamchar_ref.media.encode import write_lossless, write_m4a, write_mp4
from streamchar_ref.media.wav import write_wav

folder, count = Path(sys.argv[1]), 12
noise = np.random.default_rng(0)
pixels = noise.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
samples = noise.uniform(-1, 1, 16_000).astype(np.float32)
writers = {
    "a.mkv": lambda path: write_lossless(path, [pixels], fps=25),
    "a.mp4": lambda path: write_mp4(path, [pixels], samples, fps=25, sample_rate=16_000),
    "a.m4a": lambda path: write_m4a(path, samples, sample_rate=16_000),
    "a.wav": lambda path: write_wav(path, samples, sample_rate=16_000),
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
outcome = {}
for name, write in writers.items():
    path = folder / name
    write(path)
    size = path.stat().st_size
    path.unlink()
    for limit in (1, size // 3, size - 60, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write(path)
            found = "written"
        except OSError:
            found = "OSError"
        except Exception as error:
            found = repr(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        outcome[f"{name} {limit} of {size}"] = [found, [p.name for p in folder.iterdir()]]
print(json.dumps(outcome))
"""


def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    outcome = json.loads(ran.stdout)
    assert len(outcome) == 16
    assert outcome == {place: ["OSError", []] for place in outcome}


def test_files_hold_what_was_given_in_the_end(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    assert write_lossless(tmp_path / "a.mkv", [pixels[:3], pixels[3:]], fps=25) == 7
    assert (np.concatenate(list(frames(tmp_path / "a.mkv"))) == pixels).all()
    write_wav(tmp_path / "a.wav", np.zeros(777, np.float32), sample_rate=16_000)
    assert len(audio(tmp_path / "a.wav", sample_rate=16_000)) == 777


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_what_cannot_be_written_names_the_file_and_leaves_what_was_there(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"before")

    def write(batches: list[np.ndarray]) -> None:
        if suffix == "mkv":
            write_lossless(path, batches, fps=25)
        else:
            write_mp4(path, batches, None, fps=25, sample_rate=16_000)

    with pytest.raises(MediaError, match=rf"^a\.{suffix}: no frames to write"):
        write([])
    sizes = [np.zeros((2, size, 32, 3), np.uint8) for size in (32, 34)]
    with pytest.raises(MediaError, match=rf"^a\.{suffix}: frame size changes"):
        write(sizes)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"
