"""Motion of a flat character: key poses with easing, as in cartoon animation.

Each sound maps to one of ten mouth shapes. A shape is a key that is held for a part of the sound;
between keys the mouth eases, more slowly out of a shape than into it, and starts before the sound.
Weak consonants that are too short for a drawing are skipped. Exaggeration, easing and lookahead
vary by take. The head moves from pose to pose and rests, the eyes jump, the brows are held.

Source:
    The ten mouth shapes and their sounds are those of Preston Blair, "Cartoon Animation", 1994
    (first in "Advanced Animation", 1947): A-I, E, O, U, W-Q, M-B-P, F-V, L, the remaining
    consonants, and rest. The numbers are original.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64

from streamchar_ref.world.motion import Motion
from streamchar_ref.world.speech import SILENCE, TimedPhoneme

MAX_GAP = 0.16
_PAUSE_S = 0.16
_DRAWING_S = 0.055
_LIPS = ("gap", "width", "rounding", "tuck", "tongue")

# shape: (gap, width, rounding, tuck, tongue)
SHAPES: dict[str, tuple[float, float, float, float, float]] = {
    "rest": (0.0, 0.0, 0.0, 0.0, 0.0),
    "AI": (0.84, 0.25, 0.0, 0.0, 0.0),
    "E": (0.47, 0.95, 0.0, 0.0, 0.15),
    "O": (0.68, -0.65, 0.75, 0.0, 0.0),
    "U": (0.31, -0.75, 0.85, 0.0, 0.0),
    "WQ": (0.10, -0.9, 1.0, 0.0, 0.0),
    "MBP": (0.0, -0.1, 0.0, 0.0, 0.0),
    "FV": (0.07, 0.2, 0.0, 1.0, 0.0),
    "L": (0.52, 0.15, 0.0, 0.0, 1.0),
    "etc": (0.20, 0.45, 0.1, 0.0, 0.3),
}

# phone: its shapes in order; two for diphthongs
PHONE_SHAPES: dict[str, tuple[str, ...]] = {
    SILENCE: ("rest",),
    "AA": ("AI",), "AE": ("AI",), "AH": ("AI",), "AO": ("O",), "AW": ("AI", "U"),
    "AY": ("AI", "E"), "EH": ("E",), "ER": ("U",), "EY": ("E",), "IH": ("E",), "IY": ("E",),
    "OW": ("O", "U"), "OY": ("O", "E"), "UH": ("U",), "UW": ("U",), "B": ("MBP",),
    "P": ("MBP",), "M": ("MBP",), "F": ("FV",), "V": ("FV",), "L": ("L",), "TH": ("L",),
    "DH": ("L",), "W": ("WQ",), "R": ("WQ",), "T": ("etc",), "D": ("etc",), "N": ("etc",),
    "S": ("etc",), "Z": ("etc",), "SH": ("etc",), "ZH": ("etc",), "CH": ("etc",), "JH": ("etc",),
    "K": ("etc",), "G": ("etc",), "NG": ("etc",), "HH": ("etc",), "Y": ("E",),
}  # fmt: skip
_SIZE = {"AH": 0.66, "IH": 0.75, "IY": 0.82, "AE": 0.95, "AA": 1.08, "DH": 0.6, "TH": 0.7,
         "HH": 1.35, "K": 1.2, "G": 1.2, "S": 0.7, "Z": 0.7, "R": 1.6, "Y": 0.6}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AnimationStyle:
    """Animation parameters of a take.

    Attributes:
        size: Exaggeration of all shapes.
        wobble: Variation in size between drawings.
        lead_s: Time by which a shape precedes its sound; rounding precedes it by more.
        attack: Share of a sound before its shape is reached.
        release: Share of a sound after its shape is released.
        ease: Above 1, leaving a shape is slower than reaching the next.
        liveliness: Size of head motion.
    """

    size: float
    wobble: float
    lead_s: float
    attack: float
    release: float
    ease: float
    liveliness: float


def draw_animation_style(rng: np.random.Generator) -> AnimationStyle:
    """Samples the animation parameters of a take."""
    return AnimationStyle(
        size=float(rng.uniform(0.72, 1.15)),
        wobble=float(rng.uniform(0.02, 0.14)),
        lead_s=float(rng.uniform(0.0, 0.04)),
        attack=float(rng.uniform(0.2, 0.4)),
        release=float(rng.uniform(0.15, 0.35)),
        ease=float(rng.uniform(1.0, 1.9)),
        liveliness=float(rng.uniform(0.4, 1.3)),
    )


def move(
    phonemes: Sequence[TimedPhoneme], *, num_frames: int, fps: float = 25.0, seed: int = 0
) -> Motion:
    """Generates the motion of a speaking flat character.

    Args:
        phonemes: In order of time; after the last one the character is silent.
        num_frames: Length of the motion.
        fps: Frames per second; a frame shows the middle of its time.
        seed: Of the animation parameters, blinks, gaze and head.

    Returns:
        The motion, deterministic in the arguments.
    """
    times = (np.arange(num_frames) + 0.5) / fps
    rng = np.random.default_rng([seed, 0xF1A7])
    animation = draw_animation_style(rng)
    parts = _lips(phonemes, times, animation, rng) | _idle_motion(phonemes, times, animation, rng)
    return Motion(**{f.name: parts[f.name].astype(np.float32) for f in fields(Motion)})


def _lips(
    phonemes: Sequence[TimedPhoneme],
    times: Float64[np.ndarray, " T"],
    animation: AnimationStyle,
    rng: np.random.Generator,
) -> dict[str, Float64[np.ndarray, " T"]]:
    sounds = [p for p in phonemes if p.phone != SILENCE or p.t1_s - p.t0_s > _PAUSE_S]
    if not sounds or not len(times):
        return {name: np.zeros_like(times) for name in _LIPS}
    keys = _keys(sounds, animation, rng)
    lips = {}
    for index, name in enumerate(_LIPS):
        early_s = animation.lead_s + (0.04 if name in ("rounding", "width") else 0.0)
        lips[name] = _ease_through(keys[:, :2], keys[:, 2 + index], times, early_s, animation.ease)
    lips["gap"] = np.clip(MAX_GAP * lips["gap"], 0, MAX_GAP) * (1 - _shut(sounds, times))
    lips["width"] = np.clip(lips["width"], -1, 1)
    return lips


def _keys(
    sounds: Sequence[TimedPhoneme], animation: AnimationStyle, rng: np.random.Generator
) -> Float64[np.ndarray, "K 7"]:
    """Rows of start and end of the hold, and the five values of the shape."""
    rows: list[tuple[float, ...]] = []
    for sound in sounds:
        shapes = PHONE_SHAPES[sound.phone]
        factor = (
            animation.size * _SIZE.get(sound.phone, 1.0) * (1 + animation.wobble * rng.normal())
        )
        if shapes == ("etc",) and sound.t1_s - sound.t0_s < _DRAWING_S and rows:
            continue
        edges = np.linspace(sound.t0_s, sound.t1_s, len(shapes) + 1)
        for shape, t0_s, t1_s in zip(shapes, edges[:-1], edges[1:], strict=True):
            gap, *others = SHAPES[shape]
            length = t1_s - t0_s
            hold = (t0_s + animation.attack * length, t1_s - animation.release * length)
            rows.append((*hold, gap * factor, *others))
    return np.array(rows)


def _ease_through(
    holds: Float64[np.ndarray, "K 2"],
    values: Float64[np.ndarray, " K"],
    times: Float64[np.ndarray, " T"],
    early_s: float,
    ease: float,
) -> Float64[np.ndarray, " T"]:
    """Interpolates keys with holds and easing; transitions start ``early_s`` early."""
    begins, ends = holds[:, 0], np.maximum(holds[:, 1] - early_s, holds[:, 0])
    last = np.searchsorted(begins, times, side="right") - 1
    first = np.clip(last, 0, len(begins) - 1)
    after = np.minimum(first + 1, len(begins) - 1)
    length = np.maximum(begins[after] - ends[first], 1e-6)
    share = np.clip((times - ends[first]) / length, 0, 1)
    share = np.where((last < 0) | (after == first), 0, share)
    slow = share**ease
    slow = slow / (slow + (1 - share) ** 1.2 + 1e-12)
    return values[first] + (values[after] - values[first]) * slow


def _shut(
    sounds: Sequence[TimedPhoneme], times: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, " T"]:
    """1 while the lips must touch; they close in two frames and open in three."""
    shut = np.zeros_like(times)
    for sound in sounds:
        if PHONE_SHAPES[sound.phone] != ("MBP",):
            continue
        middle = 0.55 * sound.t0_s + 0.45 * sound.t1_s
        half = max(0.3 * (sound.t1_s - sound.t0_s), 0.0225)
        first, last = np.searchsorted(times, (middle - half - 0.06, middle + half + 0.09))
        near = times[first:last]
        rise = 1 - (middle - half - near) / 0.05
        fall = 1 - (near - middle - half) / 0.08
        shut[first:last] = np.maximum(shut[first:last], np.clip(np.minimum(rise, fall), 0, 1))
    return shut


def _idle_motion(
    phonemes: Sequence[TimedPhoneme],
    times: Float64[np.ndarray, " T"],
    animation: AnimationStyle,
    rng: np.random.Generator,
) -> dict[str, Float64[np.ndarray, " T"]]:
    size = animation.liveliness
    words = _word_starts(phonemes)
    nods = [t for t in words if rng.random() < 0.3]
    return {
        "blink": _blinks(times, rng),
        "brows": _poses(times, rng, (-0.5, 1.0), every_s=1.4, turn_s=0.12),
        "gaze": _poses(times, rng, (-1.0, 1.0), every_s=1.1, turn_s=0.04),
        "yaw": size * _poses(times, rng, (-0.9, 0.9), every_s=1.7, turn_s=0.34),
        "pitch": size * _poses(times, rng, (-0.6, 0.6), every_s=2.1, turn_s=0.3)
        + 0.5 * _dips(times, nods, 0.09, 0.22),
        "roll": size * _poses(times, rng, (-0.09, 0.09), every_s=2.4, turn_s=0.45),
        "sway": size * _poses(times, rng, (-0.03, 0.03), every_s=3.0, turn_s=0.6),
        "breath": 0.005 * _triangle(times / float(rng.uniform(2.4, 4.2)) + rng.random()),
    }


def _word_starts(phonemes: Sequence[TimedPhoneme]) -> list[float]:
    starts, previous = [], -1
    for sound in phonemes:
        if sound.word_index >= 0 and sound.word_index != previous:
            starts.append(sound.t0_s)
        previous = sound.word_index
    return starts


def _poses(
    times: Float64[np.ndarray, " T"],
    rng: np.random.Generator,
    between: tuple[float, float],
    *,
    every_s: float,
    turn_s: float,
) -> Float64[np.ndarray, " T"]:
    """Poses held for random times, with transitions that start fast and stop softly."""
    length_s = float(times[-1]) + 1 if len(times) else 1.0
    value = float(rng.uniform(*between)) * 0.5
    total = np.full_like(times, value)
    now = float(rng.exponential(every_s))
    while now < length_s:
        target = float(rng.uniform(*between))
        share = np.clip((times - now) / (turn_s * float(rng.uniform(0.8, 1.3))), 0, 1)
        total += (target - value) * (1 - (1 - share) ** 2) * share**0.5
        value = target
        now += 0.3 + turn_s + float(rng.exponential(every_s))
    return total


def _blinks(
    times: Float64[np.ndarray, " T"], rng: np.random.Generator
) -> Float64[np.ndarray, " T"]:
    """Blinks with log-normal intervals, some doubled; lids close in two frames, open in four."""
    length_s = float(times[-1]) + 1 if len(times) else 1.0
    moments, now = [], float(rng.uniform(0.3, 2.0))
    while now < length_s:
        moments += [now, now + 0.28] if rng.random() < 0.15 else [now]
        now += 0.5 + float(rng.lognormal(0.8, 0.6))
    return np.minimum(1.35 * _dips(times, moments, 0.09, 0.18), 1.0)


def _dips(
    times: Float64[np.ndarray, " T"], moments: Sequence[float], fall_s: float, rise_s: float
) -> Float64[np.ndarray, " T"]:
    """Spikes of height 1 with straight flanks of different length."""
    total = np.zeros_like(times)
    for moment in moments:
        first, last = np.searchsorted(times, (moment - fall_s, moment + rise_s))
        away = times[first:last] - moment
        spike = 1 - np.where(away < 0, -away / fall_s, away / rise_s)
        total[first:last] = np.maximum(total[first:last], spike)
    return total


def _triangle(phase: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    return 1 - 4 * np.abs((phase % 1) - 0.5)
