"""Faults of the picture alone. Lengths in pixels refer to a height of 256."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.ndimage import gaussian_filter

from evals.calibration.faults.base import (
    FPS,
    LIP_SYNC_METRICS,
    PICTURE,
    SAMPLE_RATE,
    Batches,
    Fault,
    Faulted,
    Take,
    map_frames,
    ramp,
    reordered,
)
from streamchar_ref.media.decode import frames
from streamchar_ref.media.encode import write_mp4

REFERENCE_PX = 256
CHUNK_FRAMES = 32
_GREY = np.full(3, 1 / np.sqrt(3))
_IDENTITY_METRICS = (
    "id_distance", "id_rank1", "id_drift", "id_slope_per_min", "id_world*",
)  # fmt: skip
_APPEARANCE_METRICS = ("colour_drift", "exposure_drift", "sharpness_drift")


def hue_ramp(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Rotates all colours about the grey axis, by ``dose`` degrees in the last frame."""
    angles = np.deg2rad(dose) * ramp(take.num_frames)

    def turned(frame: np.ndarray, number: int) -> np.ndarray:
        return to_bytes(frame.astype(np.float32) @ rotation(angles[number]).T)

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), turned))


def rotation(angle: float) -> np.ndarray:
    """Returns the rotation of RGB about grey (Rodrigues' formula), float32 [3, 3]."""
    x, y, z = _GREY
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turn.astype(np.float32)


def exposure_ramp(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Brightens linear light, by ``dose`` stops in the last frame."""
    gains = 2.0 ** (dose * ramp(take.num_frames))

    def brighter(frame: np.ndarray, number: int) -> np.ndarray:
        return _exposure_table(gains[number])[frame]

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), brighter))


def _exposure_table(gain: float) -> np.ndarray:
    """Lookup table of bytes: sRGB to linear light, times the gain, and back."""
    code = np.arange(256) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear * gain, 0, 1)
    back = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return to_bytes(255 * back)


def blur(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Blurs all frames by a Gaussian of this standard deviation."""
    return _blurred(take, dose, np.ones(take.num_frames))


def blur_ramp(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Blurs increasingly, up to this standard deviation in the last frame."""
    return _blurred(take, dose, ramp(take.num_frames))


def _blurred(take: Take, dose: float, shares: np.ndarray) -> Faulted:
    def blurred(frame: np.ndarray, number: int) -> np.ndarray:
        sigma = dose * shares[number] * _scale(frame)
        return to_bytes(gaussian_filter(frame.astype(np.float32), (sigma, sigma, 0)))

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), blurred))


def freeze(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Holds one frame for a share of the clip, then jumps to the current frame."""
    held = min(max(1, round(dose * take.num_frames)), take.num_frames - 1)
    start = 1 + round(float(rng.random()) * (take.num_frames - 1 - held))
    order = np.arange(take.num_frames)
    order[start : start + held] = start - 1
    return Faulted(dose=held / take.num_frames, frames=reordered(take.open_frames(), order))


def shuffle(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Permutes the frames in each window of this length randomly, never identically."""
    window = round(dose)
    order = np.arange(take.num_frames)
    for start in range(0, take.num_frames, window):
        part = order[start : start + window]
        mixed = rng.permutation(part)
        order[start : start + window] = part[::-1] if np.array_equal(mixed, part) else mixed
    return Faulted(dose=window, frames=reordered(take.open_frames(), order))


def jitter(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Shifts each frame by a random integer number of pixels; the dose is the deviation."""
    unit_moves = rng.standard_normal((take.num_frames, 2))

    def moved(frame: np.ndarray, number: int) -> np.ndarray:
        dy, dx = np.round(unit_moves[number] * dose * _scale(frame)).astype(int)
        return translated(frame, int(dy), int(dx))

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), moved))


def seam(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Shifts every second chunk of 32 frames sideways."""

    def moved(frame: np.ndarray, number: int) -> np.ndarray:
        is_odd = number // CHUNK_FRAMES % 2
        return translated(frame, 0, round(dose * _scale(frame)) if is_odd else 0)

    return Faulted(dose=dose, frames=map_frames(take.open_frames(), moved))


def translated(frame: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Shifts a picture down and right, replicating the edge."""
    rows = np.clip(np.arange(frame.shape[0]) - dy, 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(frame.shape[1]) - dx, 0, frame.shape[1] - 1)
    return frame[rows[:, None], columns]


def reencode(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Encodes the picture as H.264 once."""
    return Faulted(dose=round(dose), frames=through_h264(take.open_frames(), round(dose)))


def through_h264(batches: Batches, crf: int) -> Iterator[np.ndarray]:
    """Encodes and decodes a picture.

    Args:
        batches: RGB frames.
        crf: Constant rate factor of x264, 0 to 51.

    Yields:
        As many RGB frames; an odd last row or column is gone.
    """
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "video.mp4"
        write_mp4(path, batches, None, fps=FPS, sample_rate=SAMPLE_RATE, crf=crf, is_padded=True)
        yield from frames(path)


def _scale(frame: np.ndarray) -> float:
    return frame.shape[0] / REFERENCE_PX


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Rounds and clips to uint8."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


_PICTURE_ONLY = frozenset({PICTURE})
PICTURE_FAULTS = (
    Fault(
        name="hue_ramp",
        label="hue ramp",
        unit="degrees at the end",
        doses=(5, 10, 20, 40, 80),
        few=(10, 20, 40),
        tracks=_PICTURE_ONLY,
        moves={"colour_drift": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, "exposure_drift", "sharpness_drift",
                "dynamic_degree"),
        source="Colours creep in autoregressive video; it is the same person all the time.",
        inject=hue_ramp,
    ),
    Fault(
        name="exposure_ramp",
        label="exposure ramp",
        unit="stops at the end",
        doses=(0.125, 0.25, 0.5, 1),
        few=(0.25, 1),
        tracks=_PICTURE_ONLY,
        moves={"exposure_drift": 1, "colour_drift": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, "dynamic_degree"),
        source="Autoregressive video brightens and saturates with each chunk.",
        inject=exposure_ramp,
    ),
    Fault(
        name="blur",
        label="blur",
        unit="px sigma",
        doses=(0.5, 1, 2, 4),
        few=(0.5, 2),
        tracks=_PICTURE_ONLY,
        moves={"fid_lite0": 1, "fvd_world": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, *_APPEARANCE_METRICS),
        source="A weak decoder; recognisers of faces take it for another person.",
        inject=blur,
    ),
    Fault(
        name="blur_ramp",
        label="blur ramp",
        unit="px sigma at the end",
        doses=(0.5, 1, 2, 4),
        few=(1, 2),
        tracks=_PICTURE_ONLY,
        moves={"sharpness_drift": -1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, "colour_drift", "exposure_drift"),
        source="Detail is lost with each chunk.",
        inject=blur_ramp,
    ),
    Fault(
        name="freeze",
        label="freeze",
        unit="share of the clip",
        doses=(0.05, 0.1, 0.25, 0.5, 0.75),
        few=(0.1, 0.25, 0.5),
        tracks=_PICTURE_ONLY,
        moves={"dynamic_degree": -1, "mesh_sync": -1, "mesh_sync_at_zero": -1,
               "envelope_sync": -1, "sync_c_world": -1, "sync_d_world": 1, "fvd_world": 1},
        leaves=(*_IDENTITY_METRICS, *_APPEARANCE_METRICS, "fid_lite0"),
        source="A stream that stalls and catches up.",
        inject=freeze,
    ),
    Fault(
        name="frame_shuffle",
        label="frame shuffle",
        unit="frames in a window",
        doses=(2, 4, 8, 16),
        few=(2, 8),
        tracks=_PICTURE_ONLY,
        moves={"dynamic_degree": 1, "fvd_world": 1, "sync_c_world": -1, "sync_d_world": 1},
        leaves=(*_IDENTITY_METRICS, *_APPEARANCE_METRICS, "fid_lite0"),
        source="Wrong order in time, to which features of single pictures are blind.",
        inject=shuffle,
    ),
    Fault(
        name="jitter",
        label="jitter",
        unit="px sd",
        doses=(0.5, 1, 2, 4),
        few=(1, 4),
        tracks=_PICTURE_ONLY,
        moves={"dynamic_degree": 1, "fvd_world": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, *_APPEARANCE_METRICS, "fid_lite0"),
        source="Frames that do not hang together.",
        inject=jitter,
    ),
    Fault(
        name="chunk_seam",
        label="chunk-seam jump",
        unit="px",
        doses=(1, 2, 4, 8, 16),
        few=(2, 8),
        tracks=_PICTURE_ONLY,
        moves={"fvd_world": 1, "dynamic_degree": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, *_APPEARANCE_METRICS),
        source="A jump where a chunk of 32 frames meets the next one.",
        inject=seam,
    ),
    Fault(
        name="reencode",
        label="H.264 again",
        unit="crf",
        doses=(23, 28, 33, 38, 43, 48),
        few=(33, 43),
        tracks=_PICTURE_ONLY,
        moves={"fid_lite0": 1, "fvd_world": 1},
        leaves=(*_IDENTITY_METRICS, *LIP_SYNC_METRICS, "colour_drift", "exposure_drift"),
        source="Files that were compressed before they were scored.",
        inject=reencode,
        clean=-1,  # not encoded at all; 0 would be
    ),
)  # fmt: skip
