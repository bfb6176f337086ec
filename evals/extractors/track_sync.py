"""What extractors of lip-sync share: face tracks of a file, sound beside them, what is kept.

Shape letters: L windows, K shifts, S audio samples, E dimensions of an embedding.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from evals.extractors import FPS, SAMPLE_RATE
from evals.extractors.face_crop import Track
from evals.numerics.syncnet import MARGIN
from streamchar_ref.media.decode import frames as decoded_frames

SAMPLES_A_FRAME = SAMPLE_RATE // FPS


@runtime_checkable
class Mouth(Protocol):
    """Turns crops of one track into embeddings."""

    def push(self, crop: np.ndarray) -> None:
        """Takes the next crop."""
        ...

    def finish(self) -> Float32[np.ndarray, "L E"]:
        """Returns the embeddings of all windows."""
        ...


def embed_tracks(
    path: Path,
    tracks: Sequence[Track],
    *,
    squares: Callable[[np.ndarray], np.ndarray],
    cut: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mouth: Callable[[], Mouth],
) -> list[Float32[np.ndarray, "_ E"]]:
    """Embeds each face track of a file, which is read once.

    Args:
        path: Of the video.
        tracks: To embed.
        squares: Boxes of a track to what is cut out of its frames.
        cut: Frame and square to a crop.
        mouth: Makes what takes the crops of one track.

    Returns:
        Embeddings of each track.
    """
    mouths = [mouth() for _ in tracks]
    places = [squares(track.box) for track in tracks]
    index = 0
    for batch in decoded_frames(path, fps=FPS) if tracks else ():
        for frame in batch:
            for track, taker, place in zip(tracks, mouths, places, strict=True):
                if track.start_frame <= index < track.stop_frame:
                    taker.push(cut(frame, place[index - track.start_frame]))
            index += 1
    return [taker.finish() for taker in mouths]


def sound_beside(
    num_mouths: int, samples: Float32[np.ndarray, " S"], *, window_frames: int
) -> tuple[Float32[np.ndarray, " S2"], int]:
    """Returns the sound beside a track, and how many windows of both there are to compare.

    Args:
        num_mouths: Windows of the track.
        samples: From the track's first frame on.
        window_frames: Frames in a window.

    Returns:
        The sound, and one window less than there are, as published.
    """
    num_frames = num_mouths + window_frames - 1
    num_heard = min(num_frames, len(samples) // SAMPLES_A_FRAME)
    return samples[: num_frames * SAMPLES_A_FRAME], max(0, num_heard - window_frames)


def track_features(
    tracks: Sequence[Track], distances: Sequence[Float32[np.ndarray, "_ K"]]
) -> dict[str, np.ndarray]:
    """Returns features of all tracks, one after the other; there may be none."""
    return {
        "distance": np.concatenate([np.zeros((0, 2 * MARGIN + 1), np.float32), *distances]),
        "start_frame": np.array([track.start_frame for track in tracks], np.int64),
        "track": np.array([track.number for track in tracks], np.int64),
        "num_windows": np.array([len(distance) for distance in distances], np.int64),
    }
