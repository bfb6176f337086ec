"""Sound to WAV files, with nothing but numpy."""

import wave
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from streamchar_ref.media.chunk import MediaError


def write_wav(path: Path, samples: Float32[np.ndarray, " S"], *, sample_rate: int) -> None:
    """Writes 16-bit PCM; samples outside [-1, 1] are an error, not clipped.

    Args:
        path: A WAV file; written over if there is one.
        samples: Mono, in [-1, 1].
        sample_rate: Samples per second.

    Raises:
        MediaError: If a sample is NaN, infinite or outside [-1, 1].
    """
    if not np.isfinite(samples).all() or np.abs(samples).max(initial=0) > 1:
        raise MediaError(f"{path.name}: samples must be finite and in [-1, 1]")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
