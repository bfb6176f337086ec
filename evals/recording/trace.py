"""The clock of a trace that came with a finished file: from how long the file really is."""

from collections.abc import Sequence
from pathlib import Path

from evals.recording.lengths import lengths_of
from evals.recording.rates import FPS, SAMPLE_RATE
from evals.recording.recording import Arrival, Trace
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.decode import probe

USUAL_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
MOST_LOST = 0.05
FURTHEST_OFF = 3


def trace_of_file(
    arrivals: Sequence[Arrival], *, video_path: Path, audio_path: Path | None
) -> Trace:
    """Gives chunks that are counted in frames and samples their length in seconds.

    A file's frame rate is its number of frames over its length by timestamps. Samples are counted
    at the rate of the sound file, or, if that does not fit the picture and another usual rate
    does to 1 %, at that one: a system's own sound may have been resampled for the file.

    Args:
        arrivals: Chunks in order.
        video_path: What they became.
        audio_path: Their sound, if it is in a file of its own.

    Returns:
        The trace.

    Raises:
        InputError: If chunks and file differ by more than a factor of three in length.
        MediaError: If a file cannot be read.
    """
    held = lengths_of(video_path)
    frames = sum(arrival.num_frames for arrival in arrivals)
    samples = sum(arrival.num_samples for arrival in arrivals)
    is_same = abs(frames - held.num_frames) <= MOST_LOST * held.num_frames
    fps = frames / held.picture_s if held.picture_s and is_same else held.fps or float(FPS)
    picture_s = frames / fps
    _check_length(picture_s, held.picture_s)
    own_rate = probe(audio_path or video_path).sample_rate or SAMPLE_RATE
    rate = _fitting_rate(samples, picture_s, own_rate)
    return Trace(arrivals=tuple(arrivals), fps=fps, sample_rate=rate)


def _fitting_rate(samples: int, picture_s: float, own_rate: int) -> int:
    if not samples or not picture_s or abs(samples / own_rate / picture_s - 1) <= MOST_LOST:
        return own_rate
    needed = samples / picture_s
    return next((rate for rate in USUAL_RATES if abs(needed / rate - 1) <= 0.01), own_rate)


def _check_length(arrived_s: float, held_s: float) -> None:
    if min(arrived_s, held_s) * FURTHEST_OFF < max(arrived_s, held_s) and min(arrived_s, held_s):
        raise InputError(
            f"the trace holds {arrived_s:.2f} s of picture, the file {held_s:.2f} s: trace_path "
            "names the trace of another recording"
        )
