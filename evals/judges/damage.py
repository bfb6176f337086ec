"""Degradations of a clip at a given dose, which `fvd_world` is trained to recognise.

Their doses and places are drawn otherwise than those of the calibration faults, which test it.

A dose is in [0, 1]. Lengths in pixels are for a picture 256 high. Shape letters: T frames, H and
W pixels.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from evals.calibration.faults.picture import REFERENCE_PX, through_h264, to_bytes
from evals.extractors.networks.fvd_world import DAMAGES

Order = Int64[np.ndarray, " T"]
Clip = UInt8[np.ndarray, "T H W 3"]
Frame = UInt8[np.ndarray, "H W 3"]

_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def freeze(order: Order, dose: float, rng: np.random.Generator) -> Order:
    """Holds a picture for a share of the frames; then goes on where it was or where it should be.

    Args:
        order: Which source frame is shown in each frame.
        dose: Share of the frames that repeat the one before.
        rng: Says where.

    Returns:
        The new order.
    """
    held = max(2, round(dose * len(order)))
    start = int(rng.integers(1 - held // 2, len(order) - held // 2))
    frozen = order.copy()
    inside = slice(max(1, start), max(1, start + held))
    frozen[inside] = frozen[max(0, start - 1)]
    if rng.random() < 0.3:
        rest = frozen[inside.stop :]
        rest -= min(held, int(rest[0] - frozen[inside.start])) if len(rest) else 0
    return frozen


def shuffle(order: Order, dose: float, rng: np.random.Generator) -> Order:
    """Shows the frames of each window of 2 to 16 frames, longer with the dose, in any order."""
    window = round(2 + 14 * dose**2)
    start = -int(rng.integers(window))
    shuffled = order.copy()
    for first in range(start, len(order), window):
        part = slice(max(0, first), max(0, first + window))
        shuffled[part] = rng.permutation(shuffled[part])
    return shuffled


def stutter(order: Order, dose: float, rng: np.random.Generator) -> Order:
    """Shows every second to fifth frame only, as a video of a lower rate does."""
    every = round(2 + 3 * dose)
    phase = int(rng.integers(every))
    places = np.arange(len(order))
    return order[np.maximum(0, (places + phase) // every * every - phase)]


def skip(order: Order, dose: float, rng: np.random.Generator) -> Order:
    """Leaves out 4 to 16 frames, as a chunk that does not follow the one before."""
    cut = int(rng.integers(2, len(order) - 1))
    return np.concatenate([order[:cut], order[cut:] + round(4 + 12 * dose)])


def jitter(num_frames: int, dose: float, rng: np.random.Generator) -> Float64[np.ndarray, "T 2"]:
    """Shifts every frame by itself, up to 0.5 to 6 pixels."""
    return rng.uniform(-1, 1, (num_frames, 2)) * (0.5 + 5.5 * dose)


def seam(num_frames: int, dose: float, rng: np.random.Generator) -> Float64[np.ndarray, "T 2"]:
    """Shifts all frames from some moment on, by 1 to 10 pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    step = (1 + 9 * dose) * np.array([np.cos(angle), np.sin(angle)])
    return (np.arange(num_frames) >= rng.integers(2, num_frames - 1))[:, None] * step


def moved(frames: Clip, shift: Float64[np.ndarray, "T 2"]) -> Clip:
    """Shifts frames by x and y in pixels of a picture 256 high; the edge is repeated."""
    height, width = frames.shape[1:3]
    moved_frames = []
    for frame, (x, y) in zip(frames, shift * height / REFERENCE_PX, strict=True):
        matrix = np.array([[1, 0, x], [0, 1, y]])
        moved_frames.append(
            cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(moved_frames)


def flicker(frames: Clip, dose: float, rng: np.random.Generator) -> Clip:
    """Changes the exposure from frame to frame, by up to 2 to 20 percent."""
    gains = 1 + rng.uniform(-1, 1, len(frames)) * (0.02 + 0.18 * dose)
    return to_bytes(frames * gains[:, None, None, None])


def blur(frames: Clip, dose: float, rng: np.random.Generator) -> Clip:
    """Blurs by a Gaussian of 0.4 to 4 pixels, or by making the picture that much smaller."""
    sigma = 0.4 * 10**dose * frames.shape[1] / REFERENCE_PX
    if rng.random() < 0.75:
        return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    size = max(8, round(frames.shape[1] / max(1.2, 2.4 * sigma)))
    return np.stack([lower_resolution(frame, size) for frame in frames])


def lower_resolution(frame: Frame, size: int) -> Frame:
    """Makes one picture a square of ``size`` pixels and brings it back to its size."""
    small = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
    full = frame.shape[1], frame.shape[0]
    return np.asarray(cv2.resize(small, full, interpolation=cv2.INTER_CUBIC), np.uint8)


def noise(frames: Clip, dose: float, rng: np.random.Generator) -> Clip:
    """Adds Gaussian noise of 2 to 32 grey levels, new in each frame."""
    sigma = 2 * 16**dose
    return to_bytes(frames + sigma * rng.standard_normal(frames.shape, np.float32))


def compress(frames: Clip, dose: float, rng: np.random.Generator) -> Clip:
    """Codes strongly: as h264 of crf 30 to 48, mostly as single pictures of quality 60 to 4."""
    if rng.random() < 0.15:
        return h264(frames, round(30 + 18 * dose))
    return np.stack([jpeg(frame, round(60 - 56 * dose)) for frame in frames])


def h264(frames: Clip, crf: int) -> Clip:
    """Encodes and decodes a clip; sides must be even."""
    return np.concatenate(list(through_h264(iter([frames]), crf)))


def jpeg(frame: Frame, quality: int) -> Frame:
    """Encodes and decodes one picture."""
    code = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def colour(frames: Clip, dose: float, rng: np.random.Generator) -> Clip:
    """Turns the hue by 10 to 90 degrees, or saturates or fades, brightens or darkens."""
    kind, sign = rng.integers(3), float(rng.choice([-1, 1]))
    if kind == 0:
        return turn_hue(frames, sign * (10 + 80 * dose))
    if kind == 1:
        return saturate(frames, 1 + sign * (0.15 + 0.75 * dose))
    return to_bytes(frames * (1 + sign * (0.08 + 0.5 * dose)))


def saturate(frames: Clip, factor: float) -> Clip:
    """Scales the difference of each colour from grey."""
    grey = frames.mean(axis=3, keepdims=True)
    return to_bytes(grey + (frames - grey) * factor)


def turn_hue(frames: Clip, degrees: float) -> Clip:
    """Turns hue in HSV; saturation and value stay."""
    turned = []
    for frame in frames:
        hsv = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + degrees) % 360
        turned.append(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255)
    return to_bytes(np.stack(turned))


def turn_chroma(frames: Clip, degrees: float) -> Clip:
    """Turns the two colour differences of YIQ; luma stays."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = (np.linalg.inv(_YIQ) @ turn @ _YIQ).astype(np.float32)
    return to_bytes(frames.astype(np.float32) @ matrix.T)


ORDERS: dict[str, Callable[[Order, float, np.random.Generator], Order]] = {
    "freeze": freeze,
    "shuffle": shuffle,
    "stutter": stutter,
    "skip": skip,
}
SHIFTS: dict[str, Callable[[int, float, np.random.Generator], np.ndarray]] = {
    "jitter": jitter,
    "seam": seam,
}
LOOKS: dict[str, Callable[[Clip, float, np.random.Generator], Clip]] = {
    "flicker": flicker,
    "blur": blur,
    "noise": noise,
    "compress": compress,
    "colour": colour,
}
assert (*ORDERS, *SHIFTS, *LOOKS) == DAMAGES
