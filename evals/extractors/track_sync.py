"""Shared code of the lip-sync extractors: embeds face tracks and the sound beside them.

Shape letters: L windows, K shifts, S audio samples, E dimensions of an embedding.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from evals.extractors import FPS, SAMPLE_RATE
from evals.extractors.face_crop import Track
from evals.numerics.syncnet import MARGIN
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.media.decode import frames as decoded_frames

SAMPLES_A_FRAME = SAMPLE_RATE // FPS


class MouthEmbedder:
    """Embeds the crops of one track, a fixed number of windows at a time.

    The number is fixed because matrix products of other shapes round differently; so the result
    does not depend on how the crops arrive.

    Args:
        embed: Crops [N, ...] to embeddings of their windows [N - window_frames + 1, E].
        window_frames: Frames in a window.
        windows_at_once: Windows per call of ``embed``.
        embedding_size: E.
    """

    def __init__(
        self,
        embed: Callable[[np.ndarray], np.ndarray],
        *,
        window_frames: int,
        windows_at_once: int,
        embedding_size: int,
    ) -> None:
        self._embed = embed
        self._window_frames = window_frames
        self._num_frames = windows_at_once + window_frames - 1
        self._pending: list[np.ndarray] = []
        self._embeddings = [np.zeros((0, embedding_size), np.float32)]

    def push(self, crop: np.ndarray) -> None:
        """Adds the next crop."""
        self._pending.append(crop)
        if len(self._pending) == self._num_frames:
            self._flush()
            self._pending = self._pending[-(self._window_frames - 1) :]

    def finish(self) -> Float32[np.ndarray, "L E"]:
        """Returns the embeddings of all windows."""
        if len(self._pending) >= self._window_frames:
            self._flush()
        self._pending = []
        return np.concatenate(self._embeddings)

    @one_thread()
    @torch.inference_mode()
    def _flush(self) -> None:
        self._embeddings.append(self._embed(np.stack(self._pending)))


def embed_tracks(
    path: Path,
    tracks: Sequence[Track],
    *,
    squares: Callable[[np.ndarray], np.ndarray],
    cut: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mouth: Callable[[], MouthEmbedder],
    batches: Iterable[np.ndarray] | None = None,
) -> list[Float32[np.ndarray, "_ E"]]:
    """Embeds each face track of a file, which is read once.

    Args:
        path: Of the video.
        tracks: To embed.
        squares: Face boxes of a track to the squares to crop.
        cut: Frame and square to a crop.
        mouth: Creates the embedder of one track.
        batches: Its frames at 25 fps, if other than those that a player shows.

    Returns:
        Embeddings of each track.
    """
    embedders = [mouth() for _ in tracks]
    crops = [squares(track.box) for track in tracks]
    index = 0
    shown = decoded_frames(path, fps=FPS) if batches is None else batches
    for batch in shown if tracks else ():
        for frame in batch:
            for track, embedder, boxes in zip(tracks, embedders, crops, strict=True):
                if track.start_frame <= index < track.stop_frame:
                    embedder.push(cut(frame, boxes[index - track.start_frame]))
            index += 1
    return [embedder.finish() for embedder in embedders]


def sound_beside(
    num_mouths: int, samples: Float32[np.ndarray, " S"], *, window_frames: int
) -> tuple[Float32[np.ndarray, " S2"], int]:
    """Returns the sound beside a track, and the number of windows to compare.

    Args:
        num_mouths: Windows of the track.
        samples: From the track's first frame on.
        window_frames: Frames in a window.

    Returns:
        The sound, and one window less than both have, as published.
    """
    num_frames = num_mouths + window_frames - 1
    num_with_sound = min(num_frames, len(samples) // SAMPLES_A_FRAME)
    return samples[: num_frames * SAMPLES_A_FRAME], max(0, num_with_sound - window_frames)


def track_features(
    tracks: Sequence[Track], distances: Sequence[Float32[np.ndarray, "_ K"]]
) -> dict[str, np.ndarray]:
    """Concatenates the features of all tracks."""
    return {
        "distance": np.concatenate([np.zeros((0, 2 * MARGIN + 1), np.float32), *distances]),
        "start_frame": np.array([track.start_frame for track in tracks], np.int64),
        "track": np.array([track.number for track in tracks], np.int64),
        "num_windows": np.array([len(distance) for distance in distances], np.int64),
    }
