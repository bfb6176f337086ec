"""Motion of a speaking character: lips from phoneme times, and blinks, brows, gaze, head.

Lips follow the dominance model: each sound pulls every lip parameter towards its target, with a
weight that decays with the distance in time, so that neighbours blend and rounding starts early.
Contacts are exact: lips close fully for p, b and m, and the lower lip touches the teeth for f and
v.

Source:
    Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Float64

from streamchar_ref.world.speech import SILENCE, TimedPhoneme

BLOCK_FRAMES = 256
SHORT_SILENCE_S = 0.12
IDLE = ("blink", "brows", "gaze", "yaw", "pitch", "roll", "sway", "breath")
"""Motion that speech does not determine."""
MAX_GAP = 0.15  # lip gap of the widest vowel, in units of the canvas
_REACH_S = 0.6
_FADE_S = {"gap": 0.045, "width": 0.07, "rounding": 0.085, "tuck": 0.03, "tongue": 0.035}
_LIPS = tuple(_FADE_S)

# phone: (gap, width, rounding, tuck, tongue), twice for diphthongs
_TARGETS: dict[str, tuple[tuple[float, float, float, float, float], ...]] = {
    SILENCE: ((0.0, 0.0, 0.0, 0.0, 0.0),),
    "AA": ((1.0, 0.0, 0.0, 0.0, 0.0),),
    "AE": ((0.9, 0.5, 0.0, 0.0, 0.0),),
    "AH": ((0.62, 0.0, 0.0, 0.0, 0.0),),
    "AO": ((0.8, -0.3, 0.55, 0.0, 0.0),),
    "AW": ((0.95, 0.1, 0.0, 0.0, 0.0), (0.35, -0.6, 0.8, 0.0, 0.0)),
    "AY": ((0.95, 0.1, 0.0, 0.0, 0.0), (0.42, 0.6, 0.0, 0.0, 0.0)),
    "EH": ((0.7, 0.4, 0.0, 0.0, 0.0),),
    "ER": ((0.42, -0.3, 0.45, 0.0, 0.0),),
    "EY": ((0.62, 0.5, 0.0, 0.0, 0.0), (0.38, 0.75, 0.0, 0.0, 0.0)),
    "IH": ((0.46, 0.4, 0.0, 0.0, 0.0),),
    "IY": ((0.36, 0.9, 0.0, 0.0, 0.0),),
    "OW": ((0.62, -0.4, 0.7, 0.0, 0.0), (0.32, -0.8, 0.95, 0.0, 0.0)),
    "OY": ((0.7, -0.5, 0.7, 0.0, 0.0), (0.4, 0.5, 0.0, 0.0, 0.0)),
    "UH": ((0.38, -0.4, 0.55, 0.0, 0.0),),
    "UW": ((0.27, -0.9, 1.0, 0.0, 0.0),),
    "B": ((0.0, 0.0, 0.0, 0.0, 0.0),),
    "P": ((0.0, 0.0, 0.0, 0.0, 0.0),),
    "M": ((0.0, 0.0, 0.0, 0.0, 0.0),),
    "F": ((0.12, 0.1, 0.0, 1.0, 0.0),),
    "V": ((0.12, 0.1, 0.0, 1.0, 0.0),),
    "TH": ((0.28, 0.1, 0.0, 0.0, 1.0),),
    "DH": ((0.28, 0.1, 0.0, 0.0, 1.0),),
    "L": ((0.36, 0.1, 0.0, 0.0, 0.7),),
    "T": ((0.24, 0.2, 0.0, 0.0, 0.2),),
    "D": ((0.24, 0.2, 0.0, 0.0, 0.2),),
    "N": ((0.26, 0.2, 0.0, 0.0, 0.2),),
    "S": ((0.16, 0.4, 0.0, 0.0, 0.0),),
    "Z": ((0.16, 0.4, 0.0, 0.0, 0.0),),
    "SH": ((0.24, -0.5, 0.7, 0.0, 0.0),),
    "ZH": ((0.24, -0.5, 0.7, 0.0, 0.0),),
    "CH": ((0.22, -0.4, 0.65, 0.0, 0.0),),
    "JH": ((0.22, -0.4, 0.65, 0.0, 0.0),),
    "K": ((0.36, 0.1, 0.0, 0.0, 0.0),),
    "G": ((0.36, 0.1, 0.0, 0.0, 0.0),),
    "NG": ((0.36, 0.1, 0.0, 0.0, 0.0),),
    "HH": ((0.42, 0.1, 0.0, 0.0, 0.0),),
    "R": ((0.28, -0.4, 0.5, 0.0, 0.0),),
    "W": ((0.14, -1.0, 1.0, 0.0, 0.0),),
    "Y": ((0.28, 0.6, 0.0, 0.0, 0.0),),
}
_STRONG = {"W": 3.0, "UW": 2.0, "OW": 1.6, "F": 2.0, "V": 2.0, SILENCE: 1.5}
_WEAK = frozenset(("T", "D", "N", "K", "G", "NG", "HH", "S", "Z"))


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Motion of a character, one value per frame.

    Attributes:
        gap: Exact distance of the lips in the middle of the mouth, in units of the canvas.
        width: Of the mouth; -1 narrow, 0 at rest, 1 wide.
        rounding: Lips pushed forward, 0 to 1.
        tuck: Lower lip under the upper teeth, 0 to 1.
        tongue: Tip at the teeth, 0 to 1.
        blink: Eyes closed, 0 to 1.
        brows: Raised, about -1 to 1.
        gaze: To the right, about -1 to 1.
        yaw: Head turned to the right, about -1 to 1.
        pitch: Head down, about -1 to 1.
        roll: Head tilted clockwise, in radians.
        sway: Body to the right, in units of the canvas.
        breath: Shoulders up, in units of the canvas.
    """

    gap: Float32[np.ndarray, " T"]
    width: Float32[np.ndarray, " T"]
    rounding: Float32[np.ndarray, " T"]
    tuck: Float32[np.ndarray, " T"]
    tongue: Float32[np.ndarray, " T"]
    blink: Float32[np.ndarray, " T"]
    brows: Float32[np.ndarray, " T"]
    gaze: Float32[np.ndarray, " T"]
    yaw: Float32[np.ndarray, " T"]
    pitch: Float32[np.ndarray, " T"]
    roll: Float32[np.ndarray, " T"]
    sway: Float32[np.ndarray, " T"]
    breath: Float32[np.ndarray, " T"]

    def __len__(self) -> int:
        return len(self.gap)

    def __getitem__(self, frames: slice) -> "Motion":
        return Motion(**{f.name: getattr(self, f.name)[frames] for f in fields(self)})


def move(
    phonemes: Sequence[TimedPhoneme], *, num_frames: int, fps: float = 25.0, seed: int = 0
) -> Motion:
    """Generates the motion of a speaking character.

    Args:
        phonemes: In order of time; after the last one the character is silent.
        num_frames: Length of the motion.
        fps: Frames per second; a frame shows the middle of its time.
        seed: Of the motion that speech does not determine: blinks, gaze, head.

    Returns:
        The motion, deterministic in the arguments.
    """
    times = (np.arange(num_frames) + 0.5) / fps
    lips = _lips(phonemes, times)
    idle = _idle_motion(phonemes, times, np.random.default_rng([seed, 0x4D]))
    return Motion(**{name: values.astype(np.float32) for name, values in (lips | idle).items()})


def still(num_frames: int = 1) -> Motion:
    """Returns a static motion: eyes open, lips closed, facing the viewer."""
    return Motion(**{f.name: np.zeros(num_frames, np.float32) for f in fields(Motion)})


def _lips(
    phonemes: Sequence[TimedPhoneme], times: Float64[np.ndarray, " T"]
) -> dict[str, Float64[np.ndarray, " T"]]:
    sounds = [p for p in phonemes if p.phone != SILENCE or p.t1_s - p.t0_s > SHORT_SILENCE_S]
    if not sounds or not len(times):
        return {name: np.zeros_like(times) for name in _LIPS}
    pulls = _pulls(sounds)
    blocks = [
        _blend(pulls, times[start : start + BLOCK_FRAMES])
        for start in range(0, len(times), BLOCK_FRAMES)
    ]
    lips = dict(zip(_LIPS, np.concatenate(blocks, axis=1), strict=True))
    lips["gap"] = MAX_GAP * lips["gap"] * (1 - _closure(sounds, times))
    return lips


def _pulls(sounds: Sequence[TimedPhoneme]) -> Float64[np.ndarray, "P 8"]:
    """Rows of start, end, strength and the five targets; diphthongs have two rows."""
    rows = []
    for sound in sounds:
        targets = _TARGETS[sound.phone]
        edges = np.linspace(sound.t0_s, sound.t1_s, len(targets) + 1)
        strength = 0.5 if sound.phone in _WEAK else _STRONG.get(sound.phone, 1.0)
        for target, t0_s, t1_s in zip(targets, edges[:-1], edges[1:], strict=True):
            rows.append((t0_s, t1_s, strength, *target))
    return np.array(rows)


def _blend(
    pulls: Float64[np.ndarray, "P 8"], times: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "5 T"]:
    near = (pulls[:, 1] > times[0] - _REACH_S) & (pulls[:, 0] < times[-1] + _REACH_S)
    rows = pulls[near] if near.any() else pulls[-1:]
    inset = np.minimum(0.03, (rows[:, 1] - rows[:, 0]) * 0.3)
    before = rows[:, 0] + inset - times[:, None]
    distance = np.maximum(np.maximum(before, times[:, None] - rows[:, 1] + inset), 0)
    blended = []
    for index, name in enumerate(_LIPS):
        fade = np.where((before > 0) & (name == "rounding"), 1.4, 1.0) * _FADE_S[name]
        weights = rows[:, 2] * np.exp(-distance / fade) + 1e-12
        blended.append(weights @ rows[:, 3 + index] / weights.sum(axis=1))
    return np.stack(blended)


def _closure(
    sounds: Sequence[TimedPhoneme], times: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, " T"]:
    """1 while the lips must touch: the middle of p, b, m for at least 50 ms, with soft flanks."""
    closed = np.zeros_like(times)
    for sound in sounds:
        if sound.phone not in ("P", "B", "M"):
            continue
        first, last = np.searchsorted(times, (sound.t0_s - 0.2, sound.t1_s + 0.2))
        middle, half = (sound.t0_s + sound.t1_s) / 2, (sound.t1_s - sound.t0_s) / 2
        away = np.abs(times[first:last] - middle) - max(half * 0.6, 0.025)
        soft = 0.5 + 0.5 * np.cos(np.pi * np.clip(away / 0.06, 0, 1))
        closed[first:last] = np.maximum(closed[first:last], soft)
    return closed


def _idle_motion(
    phonemes: Sequence[TimedPhoneme], times: Float64[np.ndarray, " T"], rng: np.random.Generator
) -> dict[str, Float64[np.ndarray, " T"]]:
    length_s = float(times[-1]) + 1 if len(times) else 1.0
    beats = _beats(phonemes, rng)
    nods, lifts = _bumps(times, beats, 0.16), _bumps(times, beats[::3], 0.28)
    return {
        "blink": np.minimum(_bumps(times, _blinks(length_s, rng), 0.075) * 1.35, 1.0),
        "brows": 0.6 * lifts + _drift(times, rng, 0.25, 0.2),
        "gaze": _drift(times, rng, 0.18, 0.35),
        "yaw": _drift(times, rng, 0.55, 0.22),
        "pitch": 0.45 * nods + _drift(times, rng, 0.3, 0.25),
        "roll": _drift(times, rng, 0.028, 0.18),
        "sway": _drift(times, rng, 0.012, 0.12),
        "breath": 0.006 * np.sin(2 * np.pi * (times / 3.6 + rng.random())),
    }


def _blinks(length_s: float, rng: np.random.Generator) -> list[float]:
    moments, now = [], float(rng.uniform(0.6, 2.4))
    while now < length_s:
        moments.append(now)
        now += float(rng.uniform(1.8, 4.6))
    return moments


def _beats(phonemes: Sequence[TimedPhoneme], rng: np.random.Generator) -> list[float]:
    """Times of nods: a random half of the long open vowels."""
    long = [p for p in phonemes if p.phone in _TARGETS and _TARGETS[p.phone][0][0] >= 0.6]
    return [(p.t0_s + p.t1_s) / 2 for p in long if p.t1_s - p.t0_s > 0.09 and rng.random() < 0.5]


def _bumps(
    times: Float64[np.ndarray, " T"], moments: Sequence[float], half_s: float
) -> Float64[np.ndarray, " T"]:
    """Smooth bumps of height 1, combined by their maximum."""
    total = np.zeros_like(times)
    for moment in moments:
        first, last = np.searchsorted(times, (moment - 2 * half_s, moment + 2 * half_s))
        bump = np.cos(np.pi / 4 * (times[first:last] - moment) / half_s) ** 2
        total[first:last] = np.maximum(total[first:last], bump)
    return total


def _drift(
    times: Float64[np.ndarray, " T"], rng: np.random.Generator, size: float, hertz: float
) -> Float64[np.ndarray, " T"]:
    """Slow aperiodic drift: three waves with incommensurable frequencies."""
    total = np.zeros_like(times)
    for factor, share in ((1.0, 0.55), (1.618, 0.3), (2.718, 0.15)):
        frequency = hertz * factor * rng.uniform(0.85, 1.15)
        total += share * np.sin(2 * np.pi * (frequency * times + rng.random()))
    return size * total
