"""Face tracks and square crops for SyncNet, from one face box per frame.

Shape letters: T frames of the video, N frames of a track, H and W pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float64, Integer, Real, UInt8
from scipy.signal import medfilt

PAD_VALUE = 110
"""Grey value outside the picture in the published crop."""


@dataclass(frozen=True, kw_only=True)
class TrackRule:
    """Thresholds of a track: the published values, with LatentSync's minimum length.

    Attributes:
        min_track_frames: A track has more frames with a face than this.
        max_gap_frames: Longest gap without a face inside a track.
        min_overlap: Intersection over union of neighbouring boxes must exceed this.
        min_face_px: Mean of the longer side of the box must exceed this.
    """

    min_track_frames: int = 50
    max_gap_frames: int = 25
    min_overlap: float = 0.5
    min_face_px: float = 100


@dataclass(frozen=True, kw_only=True)
class Track:
    """One face over neighbouring frames.

    Attributes:
        start_frame: First frame.
        box: x0, y0, x1, y1 in pixels for every frame, [N, 4].
        number: Of the track of the extractor ``face``; -1 where it is the main face.
    """

    start_frame: int
    box: np.ndarray
    number: int = -1

    @property
    def stop_frame(self) -> int:
        """The frame after the last."""
        return self.start_frame + len(self.box)


def tracks_of(face: Mapping[str, np.ndarray], rule: TrackRule) -> list[Track]:
    """Finds the tracks of every face of a video.

    Args:
        face: Features of the extractor ``face``.
        rule: Thresholds.

    Returns:
        Tracks by start; tracks of different faces may overlap in time.
    """
    if not len(face.get("all_track", ())):
        return face_tracks(face["box"], face["num_faces"], rule)
    tracks: list[Track] = []
    for number in np.unique(face["all_track"]).tolist():
        rows = face["all_track"] == number
        box = np.full(face["box"].shape, np.nan)
        box[face["all_frame"][rows]] = face["all_box"][rows]
        own_tracks = face_tracks(box, face["num_faces"], rule)
        tracks += [replace(track, number=number) for track in own_tracks]
    return sorted(tracks, key=lambda track: track.start_frame)


def face_tracks(
    box: Real[np.ndarray, "T 4"], num_faces: Integer[np.ndarray, " T"], rule: TrackRule
) -> list[Track]:
    """Joins boxes into tracks and fills short gaps linearly.

    Args:
        box: x0, y0, x1, y1 in pixels; NaN without a face.
        num_faces: Faces in each frame.
        rule: Thresholds.

    Returns:
        Tracks in playing order, without overlap.

    Source:
        ``track_shot`` of joonson/syncnet_python (MIT), rewritten; its three comparisons are
        strict.
    """
    with_face = np.flatnonzero((num_faces > 0) & np.isfinite(box).all(axis=1))
    runs: list[list[int]] = []
    for frame in with_face.tolist():
        if runs and _continues(box, runs[-1][-1], frame, rule):
            runs[-1].append(frame)
        else:
            runs.append([frame])
    tracks = [_interpolated(box, run) for run in runs if len(run) > rule.min_track_frames]
    return [track for track in tracks if _face_px(track) > rule.min_face_px]


def crop_squares(box: Real[np.ndarray, "N 4"], *, crop_scale: float) -> Integer[np.ndarray, "N 4"]:
    """Computes the square to crop from each frame of a track.

    Args:
        box: Face boxes of a track.
        crop_scale: Margin as a share of half the box; 0.40 as published.

    Returns:
        x0, y0, x1, y1 in whole pixels, smoothed over 13 frames; may reach outside the picture.

    Source:
        ``crop_video`` of joonson/syncnet_python (MIT), rewritten.
    """
    box = box.astype(np.float64)
    half = medfilt(np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]) / 2, 13)
    x = medfilt((box[:, 0] + box[:, 2]) / 2, 13)
    y = medfilt((box[:, 1] + box[:, 3]) / 2, 13)
    side = half * (1 + crop_scale)
    pad = np.floor(half * (1 + 2 * crop_scale))  # as published, so that it rounds alike
    x, y = x + pad, y + pad
    edges = [x - side, y - half, x + side, y + half * (1 + 2 * crop_scale)]
    return (np.floor(np.stack(edges, axis=1)) - pad[:, None]).astype(np.int64)


def cut_square(
    frame: UInt8[np.ndarray, "H W 3"], square: Integer[np.ndarray, " 4"], *, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Crops a square, grey outside the picture, and resizes it bilinearly."""
    x0, y0, x1, y1 = (int(edge) for edge in square)
    cut = np.full((max(1, y1 - y0), max(1, x1 - x0), 3), PAD_VALUE, np.uint8)
    height, width = frame.shape[:2]
    inside = frame[max(0, y0) : max(0, min(y1, height)), max(0, x0) : max(0, min(x1, width))]
    top, left = max(0, -y0), max(0, -x0)
    cut[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return resize(cut, size=size)


def resize(frame: UInt8[np.ndarray, "H W 3"], *, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Resizes to a square as OpenCV does by default: bilinear, no antialiasing."""
    return np.asarray(cv2.resize(frame, (size, size)), np.uint8)


def overlap(one: Float64[np.ndarray, " 4"], other: Float64[np.ndarray, " 4"]) -> float:
    """Computes intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(shared / (sum(areas) - shared))


def _continues(box: np.ndarray, last: int, frame: int, rule: TrackRule) -> bool:
    if frame - last > rule.max_gap_frames:
        return False
    one, other = box[last].astype(np.float64), box[frame].astype(np.float64)
    return overlap(one, other) > rule.min_overlap


def _interpolated(box: np.ndarray, run: list[int]) -> Track:
    frames = np.arange(run[0], run[-1] + 1)
    sides = [np.interp(frames, run, box[run, side]) for side in range(4)]
    return Track(start_frame=run[0], box=np.stack(sides, axis=1))


def _face_px(track: Track) -> float:
    width, height = (track.box[:, 2:] - track.box[:, :2]).mean(axis=0)
    return float(max(width, height))
