"""Speech progress in a transcript, by CTC forced alignment with a phoneme recogniser.

Viterbi decoding aligns the recogniser's frames with the transcript's phonemes, over alternating
blank and phoneme states. Three extensions of the usual steps: a jump from any state to any
phoneme at a fixed cost (skips and repeats), waiting in a blank during speech that is not in the
transcript, and an end in any state.

Shape letters: T frames, C classes (0 is blank, ``i + 1`` is ``PHONES[i]``), P phonemes of the
transcript, Z = 2 P + 1 states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from evals.text.best_path import JumpingPath
from streamchar_ref.world.tables import PHONES as PHONES

FRAMES_PER_S = 50
FIRST_FRAME_S = 0.005
"""Middle of frame 0; frames are 20 ms apart."""
FLOOR = -8.0
"""Lower bound of log-probabilities, which limits the cost of a mispronounced phoneme."""
JUMP = -10.0
"""Score of a jump."""
FILLER = -2.5
"""Score of a frame of other speech while the path waits, relative to its best phoneme."""
SHORTEST_LEAP = 8
"""Fewer phonemes in a row after a forward jump that is later undone are an alignment error."""
LEAST_RESUMED = 0.5
"""So are any number where the path resumes further on by this share of them: the place in the text
went on meanwhile, so an unclear passage was taken for one like it; what is said early stays due."""
LONGEST_LEAD_FRAMES = 4
"""Longest time from the onset of a phoneme to the frame where it is emitted."""


@dataclass(frozen=True, kw_only=True)
class SpokenPath:
    """The phonemes emitted along the best path, in order of time.

    Attributes:
        frame: Frame of each emission.
        index: Phoneme of the transcript; decreases at a repeat, jumps ahead at a skip.
        num_jumps: Skips and repeats.
    """

    frame: Int64[np.ndarray, " N"]
    index: Int64[np.ndarray, " N"]
    num_jumps: int


def spoken_progress(
    log_probs: Float[np.ndarray, "T C"], phonemes: Sequence[str]
) -> Float64[np.ndarray, " T"]:
    """Counts the transcript's phonemes begun by each frame.

    The count is a position in the text: skipped phonemes count, repeated ones do not count again.
    A forward jump is ignored if the path later returns and it was to a few phonemes only, or the
    path returns to where the text would have been: in a long text some later passage resembles any
    unclear words, and a monotonic count would stay there.

    Args:
        log_probs: Of the recogniser `align_world`, 50 frames a second.
        phonemes: Of the transcript, names in `PHONES`.

    Returns:
        Non-decreasing counts from 0 to at most P.

    Raises:
        ValueError: If a phoneme is not in `PHONES`.
    """
    path = spoken_path(log_probs, phonemes)
    is_kept = ~_misread(path.index)
    begun = np.zeros(len(log_probs))
    for frame, index in zip(onset_frames(path.frame)[is_kept], path.index[is_kept], strict=True):
        begun[frame] = max(begun[frame], index + 1)
    return np.maximum.accumulate(begun) if len(begun) else begun


def _misread(index: Int64[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Marks forward jumps that are alignment errors, see `spoken_progress`."""
    marked = np.zeros(len(index), bool)
    cuts = np.flatnonzero(np.diff(index) != 1) + 1
    lowest_after = np.minimum.accumulate(index[::-1])[::-1]
    reached = -1
    for start, stop in pairwise([0, *cuts.tolist(), len(index)]):
        comes_back = stop < len(index) and lowest_after[stop] <= index[start]
        if comes_back and index[start] > reached + 1 and _is_error(index, start, stop, reached):
            marked[start:stop] = True
        elif start < stop:
            reached = max(reached, int(index[stop - 1]))
    return marked


def _is_error(index: Int64[np.ndarray, " N"], start: int, stop: int, reached: int) -> bool:
    """Whether a forward jump that is later undone, of some emissions, was never said there."""
    length, resumed = stop - start, int(index[stop]) - (reached + 1)
    returns_at_once = index[stop] <= index[start]
    return length < SHORTEST_LEAP or (returns_at_once and resumed >= LEAST_RESUMED * length)


def onset_frames(emitted: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """Estimates phoneme onsets: halfway from the previous emission, as emissions peak inside."""
    before = np.concatenate([emitted[:1] - 2 * LONGEST_LEAD_FRAMES, emitted[:-1]])
    middle = (before + emitted + 1) // 2
    return np.maximum(middle, emitted - LONGEST_LEAD_FRAMES).clip(min=0)


def spoken_path(log_probs: Float[np.ndarray, "T C"], phonemes: Sequence[str]) -> SpokenPath:
    """Aligns frames with phonemes.

    Args:
        log_probs: As in `spoken_progress`.
        phonemes: As in `spoken_progress`.

    Returns:
        The most likely path.

    Raises:
        ValueError: If a phoneme is not in `PHONES`.
    """
    unknown = sorted(set(phonemes) - set(PHONES))
    if unknown:
        raise ValueError(f"not ARPAbet: {', '.join(unknown)}")
    nothing = np.zeros(0, np.int64)
    if not len(log_probs) or not phonemes:
        return SpokenPath(frame=nothing, index=nothing, num_jumps=0)
    labels = np.array([PHONES.index(phoneme) + 1 for phoneme in phonemes])
    floored = np.maximum(log_probs.astype(np.float32), FLOOR)
    waiting = np.maximum(floored[:, 0], floored[:, 1:].max(axis=1) + FILLER)
    states, jumps = JumpingPath(
        log_probs=floored, waiting=waiting, labels=labels, jump=JUMP
    ).decode()
    return _emissions(floored, labels, states, jumps)


def _emissions(
    log_probs: Float[np.ndarray, "T C"],
    labels: Int64[np.ndarray, " P"],
    states: Int64[np.ndarray, " T"],
    jumps: list[int],
) -> SpokenPath:
    """Keeps the most likely frame of each visit to a phoneme; a jump starts a new visit."""
    cuts = np.flatnonzero(np.diff(states)) + 1
    edges = [0, *sorted({*cuts.tolist(), *jumps}), len(states)]
    frames, indices = [], []
    for start, stop in pairwise(edges):
        state = int(states[start])
        if state % 2:
            inside = log_probs[start:stop, labels[state // 2]]
            frames.append(start + int(inside.argmax()))
            indices.append(state // 2)
    return SpokenPath(
        frame=np.array(frames, np.int64), index=np.array(indices, np.int64), num_jumps=len(jumps)
    )


def at_times(
    progress: Float[np.ndarray, " T"], times_s: Float[np.ndarray, " V"]
) -> Float64[np.ndarray, " V"]:
    """Samples progress at given times.

    Args:
        progress: From `spoken_progress`.
        times_s: Seconds from the start of the recording; clamped to its end.

    Returns:
        Phonemes begun by then.
    """
    frames = np.floor((times_s - FIRST_FRAME_S) * FRAMES_PER_S + 0.5).astype(int) - 1
    padded = np.concatenate([[0.0], progress])
    return padded[np.clip(frames + 1, 0, len(progress))]


def at_video_frames(
    progress: Float[np.ndarray, " T"], *, num_frames: int, fps: float
) -> Float64[np.ndarray, " V"]:
    """Samples progress at the end of each video frame, like the world's ground truth.

    Args:
        progress: From `spoken_progress`.
        num_frames: Of the video.
        fps: Of the video.

    Returns:
        Phonemes begun by the end of each frame.
    """
    return at_times(progress, (np.arange(num_frames) + 1) / fps)
