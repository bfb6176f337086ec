"""Writes WAV files with numpy alone."""

import errno
import struct
import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from streamchar_ref.core.files import replacing
from streamchar_ref.media.chunk import MediaError

_HEADER = 44


def write_wav(path: Path, samples: Float32[np.ndarray, " S"], *, sample_rate: int) -> None:
    """Writes 16-bit PCM; samples outside [-1, 1] are an error, not clipped.

    Args:
        path: A WAV file; replaced atomically.
        samples: Mono, in [-1, 1].
        sample_rate: Samples per second.

    Raises:
        MediaError: If a sample is NaN, infinite or outside [-1, 1].
        OSError: If it cannot be written, or does not hold all samples afterwards.
    """
    if not np.isfinite(samples).all() or np.abs(samples).max(initial=0) > 1:
        raise MediaError(f"{path.name}: samples must be finite and in [-1, 1]")
    content = np.round(samples * 32767).astype("<i2").tobytes()
    with replacing(path) as partial:
        # A file that `wave` cannot open itself leaves an object behind whose end is an error.
        with partial.open("wb") as opened, wave.open(opened, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(content)
        if partial.stat().st_size != _HEADER + len(content):
            raise OSError(errno.EIO, f"cannot write {path.name}: not all samples were written")


def promised_s(path: Path) -> float:
    """Reads the length in a WAV file's header, which FFmpeg clips to the size of the file.

    Args:
        path: Any file.

    Returns:
        Seconds; 0 for other files, and for an unknown length, as of a file written into a pipe.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return 0.0
        bytes_a_second = 0
        while len(head := file.read(8)) == 8:
            name, size = head[:4], struct.unpack("<I", head[4:])[0]
            if name == b"data":
                is_known = bytes_a_second and 0 < size < 0xFFFF_FF00
                return size / bytes_a_second if is_known else 0.0
            body = file.read(min(size, 64))
            if name == b"fmt " and len(body) >= 12:
                bytes_a_second = struct.unpack("<I", body[8:12])[0]
            file.seek(size + size % 2 - len(body), 1)
    return 0.0
