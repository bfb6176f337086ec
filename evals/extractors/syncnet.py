"""SyncNet's distances between mouth and sound, in bounded memory.

Shape letters: L windows, K shifts, S audio samples, E dimensions of an embedding.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int16
from torch import Tensor

from evals.extractors import FPS
from evals.extractors.face_crop import (
    Track,
    TrackRule,
    crop_squares,
    cut_square,
    resize,
    tracks_of,
)
from evals.extractors.mfcc import mfcc
from evals.extractors.networks.door import WrongConvention, require_pixels
from evals.extractors.networks.syncnet import (
    CROP_SIZE,
    WINDOW_FRAMES,
    WINDOW_MFCC_FRAMES,
    SyncNet,
    load_syncnet,
)
from evals.extractors.track_sync import (
    SAMPLES_A_FRAME,
    MouthEmbedder,
    embed_tracks,
    sound_beside,
    track_features,
)
from evals.numerics.syncnet import shifted_distances
from streamchar_ref.core.device import placed, run_placed
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.media.decode import frames as decoded_frames
from streamchar_ref.weights import locate

MFCC_FRAMES_A_VIDEO_FRAME = 4
_MOUTH_WINDOWS_AT_ONCE = 8
_SOUND_WINDOWS_AT_ONCE = 64


class SyncNetExtractor:
    """Embeds mouth and sound of every face track and returns their distances.

    Features: ``distance`` [L, K] for all tracks one after the other, ``start_frame``,
    ``num_windows`` and, by the extractor ``face``, ``track`` for each. The last window of a
    track is dropped, as published.

    Args:
        crop: ``mesh`` for squares around the face boxes of the extractor ``face``, ``none`` for
            the whole picture.
        crop_scale: Margin around the box.
        min_track_frames: A track has more frames.
        min_face_px: Smallest face.
    """

    def __init__(
        self,
        *,
        crop: Literal["mesh", "none"] = "mesh",
        crop_scale: float = 0.40,
        min_track_frames: int = 50,
        min_face_px: float = 100,
    ) -> None:
        self._network = placed(load_syncnet(str(locate("syncnet") / "syncnet_v2.model")))
        self._crop = crop
        self._crop_scale = crop_scale
        self._rule = TrackRule(min_track_frames=min_track_frames, min_face_px=min_face_px)

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> dict[str, np.ndarray]:
        """Returns distances of the file at ``path``, whose sound is ``samples``."""
        if self._crop == "none":
            mouths = [self._embed_whole_frames(path)]
            tracks = [Track(start_frame=0, box=np.zeros((0, 4)))]
        else:
            tracks = tracks_of(upstream["face"], self._rule)
            mouths = self._embed_tracks(path, tracks)
        distances = [
            sync_distances(self._network, mouth, samples[track.start_frame * SAMPLES_A_FRAME :])
            for track, mouth in zip(tracks, mouths, strict=True)
        ]
        return track_features(tracks, distances)

    def _embed_whole_frames(self, path: Path) -> Float32[np.ndarray, "L E"]:
        mouth = mouth_embedder(self._network)
        for batch in decoded_frames(path, fps=FPS):
            for frame in batch:
                mouth.push(resize(frame, size=CROP_SIZE))
        return mouth.finish()

    def _embed_tracks(
        self, path: Path, tracks: Sequence[Track]
    ) -> list[Float32[np.ndarray, "_ E"]]:
        return embed_tracks(
            path,
            tracks,
            squares=partial(crop_squares, crop_scale=self._crop_scale),
            cut=partial(cut_square, size=CROP_SIZE),
            mouth=lambda: mouth_embedder(self._network),
        )


def sync_distances(
    network: SyncNet, mouth: Float32[np.ndarray, "L E"], samples: Float32[np.ndarray, " S"]
) -> Float32[np.ndarray, "L2 31"]:
    """Compares mouth and sound; one window less than the mouth has, as published.

    Args:
        network: With weights.
        mouth: Embeddings of a track.
        samples: From the track's first frame on.

    Returns:
        Distance of each window at each shift.
    """
    sound, num_windows = sound_beside(len(mouth), samples, window_frames=WINDOW_FRAMES)
    audio = embed_sound(network, int16_samples(sound), num_windows)
    return shifted_distances(mouth[:num_windows], audio)


def mouth_embedder(
    network: SyncNet, *, windows_at_once: int = _MOUTH_WINDOWS_AT_ONCE
) -> MouthEmbedder:
    """Returns an embedder of RGB crops, uint8 [224, 224, 3]."""

    def embed(crops: np.ndarray) -> np.ndarray:
        bgr = require_pixels(crops, "SyncNet")[..., ::-1].transpose(3, 0, 1, 2)
        return run_placed(network.embed_mouth, torch.from_numpy(bgr.astype(np.float32)))

    return MouthEmbedder(
        embed,
        window_frames=WINDOW_FRAMES,
        windows_at_once=windows_at_once,
        embedding_size=network.embedding_size,
    )


@one_thread()
@torch.inference_mode()
def embed_sound(
    network: SyncNet,
    samples: np.ndarray,
    num_windows: int,
    *,
    windows_at_once: int = _SOUND_WINDOWS_AT_ONCE,
) -> Float32[np.ndarray, "L E"]:
    """Embeds the sound at each of ``num_windows`` video frames, 0.2 s each.

    Args:
        network: With weights.
        samples: 16-bit integers at 16 kHz, int16 [S].
        num_windows: Frames.
        windows_at_once: Windows per call of the network.

    Returns:
        Embeddings.

    Raises:
        WrongConvention: If the samples are no 16-bit integers, e.g. floats in [-1, 1].
    """
    if samples.dtype != np.int16:
        raise WrongConvention(
            f"SyncNet's cepstra are of 16-bit integers, not of {samples.dtype}: see int16_samples"
        )
    if num_windows == 0:
        return np.zeros((0, network.embedding_size), np.float32)
    cepstra = torch.from_numpy(mfcc(samples).astype(np.float32))
    windows = cepstra.unfold(0, WINDOW_MFCC_FRAMES, MFCC_FRAMES_A_VIDEO_FRAME)[:num_windows]
    blocks: tuple[Tensor, ...] = windows.split(windows_at_once)
    return np.concatenate([run_placed(network.embed_sound, block) for block in blocks])


def int16_samples(samples: Float32[np.ndarray, " S"]) -> Int16[np.ndarray, " S"]:
    """Rounds to 16 bits like FFmpeg, so that cepstra match those of a wav file."""
    return np.rint(samples * 32768.0).clip(-32768, 32767).astype(np.int16)
