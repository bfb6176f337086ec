"""SyncNet on the crops of the published pipelines: their encode, S3FD, their tracks.

Left out of the scripts: the JPEG files of quality 2 between encode, detector and crop, and the XVID
file of each crop. A frame gives one face to a track, not several.
Shape letters: T frames, N faces, S audio samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from evals.extractors.face_crop import (
    Track,
    TrackRule,
    crop_squares,
    cut_square,
    face_tracks,
    overlap,
)
from evals.extractors.networks.s3fd import detect, load_s3fd
from evals.extractors.networks.syncnet import CROP_SIZE, load_syncnet
from evals.extractors.reencode import Encode, reencoded
from evals.extractors.scenes import CutDetector
from evals.extractors.syncnet import mouth_embedder, sync_distances
from evals.extractors.track_sync import SAMPLES_A_FRAME, embed_tracks, track_features
from streamchar_ref.core.device import placed
from streamchar_ref.weights import locate

DETECTION_SCALE = 0.25
MIN_SCORE = 0.9
CROP_SCALE = 0.40


class SyncNetS3fd:
    """Embeds every face track that S3FD finds; features as of `SyncNetExtractor`.

    Args:
        encode: That the pipeline makes first.
        min_track_frames: A track has more frames, and its scene at least as many.
    """

    def __init__(self, *, encode: Encode, min_track_frames: int) -> None:
        self._network = placed(load_syncnet(str(locate("syncnet") / "syncnet_v2.model")))
        self._detector = load_s3fd(str(locate("s3fd") / "sfd_face.pth"))
        self._encode: Encode = encode
        self._rule = TrackRule(min_track_frames=min_track_frames)

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> dict[str, np.ndarray]:
        """Returns distances of the file at ``path``, whose sound is ``samples``."""
        tracks = self._tracks(path)
        mouths = embed_tracks(
            path,
            tracks,
            squares=partial(crop_squares, crop_scale=CROP_SCALE),
            cut=partial(cut_square, size=CROP_SIZE),
            mouth=lambda: mouth_embedder(self._network),
            batches=reencoded(path, self._encode),
        )
        distances = [
            sync_distances(self._network, mouth, samples[track.start_frame * SAMPLES_A_FRAME :])
            for track, mouth in zip(tracks, mouths, strict=True)
        ]
        return track_features(tracks, distances)

    def _tracks(self, path: Path) -> list[Track]:
        cuts, faces = CutDetector(), []
        for batch in reencoded(path, self._encode):
            for frame in batch:
                cuts.push(frame)
                faces.append(
                    detect(self._detector, frame, scale=DETECTION_SCALE, min_score=MIN_SCORE)
                )
        return detected_tracks(faces, cuts.scenes(), self._rule)


def detected_tracks(
    faces: Sequence[Float32[np.ndarray, "_ 4"]],
    scenes: Sequence[tuple[int, int]],
    rule: TrackRule,
) -> list[Track]:
    """Joins the detections of each scene to tracks.

    Args:
        faces: Boxes in each frame, the surest first.
        scenes: First and past-the-last frame of each.
        rule: Thresholds.

    Returns:
        Tracks scene by scene; within one in the order in which they begin.

    Source:
        ``track_shot`` of joonson/syncnet_python (MIT), rewritten: the first face that is left
        begins a track, which goes on with the first overlapping face of later frames.
    """
    tracks: list[Track] = []
    for start, stop in scenes:
        if stop - start < rule.min_track_frames:
            continue
        left = [list(boxes) for boxes in faces[start:stop]]
        while any(left):
            box = _next_run(left, rule)
            found = face_tracks(box, np.isfinite(box[:, 0]).astype(int), rule)
            tracks += [
                replace(track, start_frame=start + track.start_frame, number=len(tracks))
                for track in found
            ]
    return tracks


def _next_run(left: list[list[np.ndarray]], rule: TrackRule) -> np.ndarray:
    """Takes the faces of one track out of what is left; NaN in frames without one."""
    box = np.full((len(left), 4), np.nan)
    last: int | None = None
    for frame, faces in enumerate(left):
        if last is not None and frame - last > rule.max_gap_frames:
            break
        for index, face in enumerate(faces):
            one = face.astype(np.float64)
            if last is None or overlap(one, box[last]) > rule.min_overlap:
                box[frame], last = one, frame
                del faces[index]
                break
    return box
