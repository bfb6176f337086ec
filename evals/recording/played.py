"""What a viewer saw and heard of a stream, given when its chunks arrived.

Playback starts with the first chunk. While the next chunk is missing, the last frame stays and
nothing is heard; picture and sound go on together when it is there, so that lips stay with their
sound. The wait before the first frame is no part of it.

Shape letters: T frames, H and W pixels, S audio samples.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from evals.recording.playback import playback
from evals.recording.rates import FPS, SAMPLE_RATE
from evals.recording.recording import Recording, Trace
from streamchar_ref.media.limits import MAX_HELD_S, excess

Holds = Sequence[tuple[int, int]]
"""After which frame playback pauses, and for how many frames; in order."""
POLICY: dict[str, Any] = {
    "name": "played@1",
    "start": "first playable chunk",
    "prebuffer_s": 0.0,
    "while a chunk is missing": "last frame frozen, sound silent, both go on together",
    "grid_fps": FPS,
}


def as_played(recording: Recording) -> Recording:
    """Returns a recording that is scored with the pauses that a viewer had.

    Args:
        recording: With the trace of a warm run.

    Returns:
        The recording with its holds; itself if it never stalled for half a frame or more; one that
        has no scores, and says why, if there are no such times.
    """
    if recording.error:
        return recording
    trace = recording.trace
    if trace is None:
        why = recording.trace_error or "the file was not recorded by the harness"
        status, reason = recording.trace_status, f"no arrival times: {why}"
        return replace(recording, error=reason, error_status=status)
    if not trace.is_warm:
        reason = "cold run: no warm-up request went before it"
        return replace(recording, error=reason, error_status="not_applicable")
    if not len(trace.media_s):
        return replace(recording, error="nothing arrived that could be played")
    stalled_s = playback(trace.t_playable_s, trace.media_s).stall_s
    if too_long := excess("its stalls last", stalled_s, MAX_HELD_S, "s"):
        return replace(recording, error=too_long, error_status="unavailable")
    return replace(recording, holds=holds_of(trace))


def holds_of(trace: Trace) -> tuple[tuple[int, int], ...]:
    """Plays a trace and returns its stalls on the grid of the canonical encode.

    Args:
        trace: With playable chunks.

    Returns:
        Stalls in frames. The sum of all stalls so far is rounded rather than each of them, so that
        many short ones add up to what they are.
    """
    played = playback(trace.t_playable_s, trace.media_s)
    ends = np.round(np.cumsum([0.0, *played.stalls_s]) * FPS).astype(int)
    places = np.round(np.array(played.stalls_at_s) * FPS).astype(int)
    holds: dict[int, int] = {}
    for place, length in zip(places.tolist(), np.diff(ends).tolist(), strict=True):
        if length:
            holds[max(place, 1)] = holds.get(max(place, 1), 0) + length
    return tuple(holds.items())


def with_frozen_frames(
    batches: Iterable[UInt8[np.ndarray, "_T H W 3"]], holds: Holds
) -> Iterator[UInt8[np.ndarray, "_T H W 3"]]:
    """Repeats the last frame before each hold.

    Args:
        batches: Frames in order.
        holds: Those after the last frame are left out: nothing follows them.

    Yields:
        Frames in order.
    """
    left, start = list(holds), 0
    last: np.ndarray | None = None
    for batch in batches:
        stop = start + len(batch)
        while left and left[0][0] < stop:
            place, length = left.pop(0)
            before = batch[: place - start]
            if len(before):
                yield before
                last = before[-1]
            if last is not None:
                yield from _repeated(last, length)
            batch, start = batch[place - start :], place
        if len(batch):
            yield batch
            last = batch[-1]
        start = stop


def _repeated(frame: UInt8[np.ndarray, "H W 3"], count: int) -> Iterator[np.ndarray]:
    """Yields a frame many times, in batches of a second."""
    for start in range(0, count, FPS):
        yield np.repeat(frame[None], min(FPS, count - start), axis=0)


def with_silence(samples: Float32[np.ndarray, " S"], holds: Holds) -> Float32[np.ndarray, " _S"]:
    """Puts silence where the picture is held.

    Args:
        samples: At 16 kHz.
        holds: In frames of the picture; those after the last sample are left out.

    Returns:
        Samples with zeros in between; ``samples`` itself without holds.
    """
    if not holds:
        return samples
    a_frame = SAMPLE_RATE // FPS
    parts, start = [], 0
    for place, length in holds:
        if place * a_frame >= len(samples):
            break
        parts += [samples[start : place * a_frame], np.zeros(length * a_frame, np.float32)]
        start = place * a_frame
    return np.concatenate([*parts, samples[start:]])
