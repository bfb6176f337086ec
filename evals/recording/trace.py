"""Converts the trace of a finished file from frames and samples to seconds."""

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
    """Determines frame rate and sample rate of a trace from its file.

    The frame rate is the number of frames over the length by timestamps. The sample rate is that
    of the sound file, unless it contradicts the picture and another common rate fits to 1 %, by
    the length of the picture or, as the two may differ, of the sound: a system's sound may have
    been resampled for the file.

    Args:
        arrivals: Chunks in order.
        video_path: The finished video.
        audio_path: Its sound, if it is a separate file.

    Returns:
        The trace.

    Raises:
        InputError: If chunks and file differ by more than a factor of three in length.
        MediaError: If a file cannot be read.
    """
    lengths = lengths_of(video_path)
    frames = sum(arrival.num_frames for arrival in arrivals)
    samples = sum(arrival.num_samples for arrival in arrivals)
    is_same = abs(frames - lengths.num_frames) <= MOST_LOST * lengths.num_frames
    fps = frames / lengths.picture_s if lengths.picture_s and is_same else lengths.fps or float(FPS)
    picture_s = frames / fps
    _check_length(picture_s, lengths.picture_s)
    own_rate = probe(audio_path or video_path).sample_rate or SAMPLE_RATE
    sound = lengths if audio_path is None else lengths_of(audio_path)
    rate = _fitting_rate(samples, own_rate, picture_s, sound.sound_s if is_same else 0.0)
    return Trace(arrivals=tuple(arrivals), fps=fps, sample_rate=rate)


def _fitting_rate(samples: int, own_rate: int, picture_s: float, sound_s: float) -> int:
    if not samples or not picture_s:
        return own_rate
    for needed in (samples / seconds for seconds in (picture_s, sound_s) if seconds):
        if abs(needed / own_rate - 1) <= MOST_LOST:
            return own_rate
        for rate in USUAL_RATES:
            if abs(needed / rate - 1) <= 0.01:
                return rate
    return own_rate


def _check_length(arrived_s: float, held_s: float) -> None:
    if min(arrived_s, held_s) * FURTHEST_OFF < max(arrived_s, held_s) and min(arrived_s, held_s):
        raise InputError(
            f"the trace holds {arrived_s:.2f} s of picture, the file {held_s:.2f} s: trace_path "
            "names the trace of another recording"
        )
