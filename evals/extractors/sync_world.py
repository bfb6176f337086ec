"""Distances between mouth and sound by the judge `sync_world`, in bounded memory.

Tracks, windows and features are those of the extractor ``syncnet``; only crop and network differ.

Shape letters: L windows, K shifts, S audio samples, E dimensions of an embedding.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from evals.extractors.face_crop import Track, TrackRule, tracks_of
from evals.extractors.mouth_crop import cut_mouth, mouth_squares
from evals.extractors.networks import judge_path
from evals.extractors.networks.sound import log_mel, mel_power
from evals.extractors.networks.sync_world import (
    CROP_PX,
    EMBEDDING_SIZE,
    MEL_FRAMES_A_FRAME,
    NUM_MELS,
    WINDOW_FRAMES,
    WINDOW_MEL_FRAMES,
    SyncWorld,
)
from evals.extractors.networks.weights_file import load_weights
from evals.extractors.track_sync import (
    SAMPLES_A_FRAME,
    MouthEmbedder,
    embed_tracks,
    sound_beside,
    track_features,
)
from evals.numerics.syncnet import shifted_distances
from streamchar_ref.core.one_thread import one_thread

_MOUTH_WINDOWS_AT_ONCE = 16
_SOUND_WINDOWS_AT_ONCE = 128


class SyncWorldExtractor:
    """Embeds mouth and sound of every face track and returns their distances.

    Features: ``distance`` [L, K] for all tracks one after the other, ``start_frame``,
    ``num_windows`` and, by the extractor ``face``, ``track`` for each. The last window of a
    track is dropped, as SyncNet's is.

    Args:
        min_track_frames: A track has more frames.
        min_face_px: Smallest face.
        weights: File; the judge's own by default.
    """

    def __init__(
        self, *, min_track_frames: int = 49, min_face_px: float = 64, weights: Path | None = None
    ) -> None:
        self._network = SyncWorld()
        load_weights(weights or judge_path("sync_world"), self._network)
        self._rule = TrackRule(min_track_frames=min_track_frames, min_face_px=min_face_px)

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> dict[str, np.ndarray]:
        """Returns distances of the file at ``path``, whose sound is ``samples``."""
        tracks = self.tracks(upstream["face"])
        distances = [
            self.distances(mouth, samples[track.start_frame * SAMPLES_A_FRAME :])
            for track, mouth in zip(tracks, self.embed_mouths(path, tracks), strict=True)
        ]
        return track_features(tracks, distances)

    def tracks(self, face: Mapping[str, np.ndarray]) -> list[Track]:
        """Returns the face tracks that are long and large enough."""
        return tracks_of(face, self._rule)

    def embed_mouths(self, path: Path, tracks: Sequence[Track]) -> list[Float32[np.ndarray, "_ E"]]:
        """Embeds every window of five frames of each track of a file."""
        return embed_tracks(
            path,
            tracks,
            squares=mouth_squares,
            cut=partial(cut_mouth, size=CROP_PX),
            mouth=lambda: mouth_embedder(self._network),
        )

    def distances(
        self, mouth: Float32[np.ndarray, "L E"], samples: Float32[np.ndarray, " S"]
    ) -> Float32[np.ndarray, "L2 31"]:
        """Compares a track with its sound; one window less than the mouth has, as SyncNet."""
        sound, num_windows = sound_beside(len(mouth), samples, window_frames=WINDOW_FRAMES)
        return shifted_distances(mouth[:num_windows], self.embed_sound(sound, num_windows))

    @one_thread()
    @torch.inference_mode()
    def embed_sound(
        self, samples: Float32[np.ndarray, " S"], num_windows: int
    ) -> Float32[np.ndarray, "L E"]:
        """Embeds the sound at each of the first ``num_windows`` frames, 0.2 s each."""
        parts = [np.zeros((0, EMBEDDING_SIZE), np.float32)]
        power = mel_power(samples, num_mels=NUM_MELS) if num_windows else np.zeros((0, NUM_MELS))
        for start in range(0, num_windows, _SOUND_WINDOWS_AT_ONCE):
            count = min(_SOUND_WINDOWS_AT_ONCE, num_windows - start)
            first = start * MEL_FRAMES_A_FRAME
            last = first + (count - 1) * MEL_FRAMES_A_FRAME + WINDOW_MEL_FRAMES
            features = log_mel(torch.from_numpy(power[first:last]))
            parts.append(self._network.embed_sound(features[None])[0].numpy())
        return np.concatenate(parts)


def mouth_embedder(network: SyncWorld) -> MouthEmbedder:
    """Returns an embedder of grey crops, uint8 [48, 48]."""

    def embed(crops: np.ndarray) -> np.ndarray:
        scaled = torch.from_numpy(crops).float() / 255
        return network.embed_mouth(scaled[None])[0].numpy()

    return MouthEmbedder(
        embed,
        window_frames=WINDOW_FRAMES,
        windows_at_once=_MOUTH_WINDOWS_AT_ONCE,
        embedding_size=EMBEDDING_SIZE,
    )
