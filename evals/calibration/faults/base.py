"""Faults: known degradations of a clip, at a known dose.

Shape letters: T frames at 25 fps, H and W pixels, S audio samples at 16 kHz.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from evals.protocols.base import Unscored
from evals.recording.rates import FPS as FPS
from evals.recording.rates import SAMPLE_RATE as SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // FPS
PICTURE, SOUND = "picture", "sound"
BOTH = frozenset({PICTURE, SOUND})

LIP_SYNC_METRICS = (
    "mesh_sync", "mesh_sync_at_zero", "mesh_offset_ms", "envelope_sync", "sync_*", "av_offset*",
)  # fmt: skip

Batches = Iterator[UInt8[np.ndarray, "_T H W 3"]]


@dataclass(frozen=True, kw_only=True)
class SpokenWord:
    """A word with its times.

    Attributes:
        text: As spoken or recognised.
        t0_s: Start.
        t1_s: End.
    """

    text: str
    t0_s: float
    t1_s: float


@dataclass(frozen=True, kw_only=True)
class Faulted:
    """Tracks of a clip with a fault.

    Attributes:
        dose: Realised dose, e.g. 1 of 12 words for a nominal dose of 0.1.
        frames: The picture; ``None`` if unchanged.
        samples: The sound; ``None`` if unchanged.
    """

    dose: float
    frames: Batches | None = None
    samples: Float32[np.ndarray, " S"] | None = None


@runtime_checkable
class World(Protocol):
    """Regenerates a clip with one change; only the synthetic world can."""

    def say(self, transcript: str) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """Same character, voice and scene, other words."""
        ...

    def another_take(self) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """Same words, character, voice and scene, another random take."""
        ...

    def seed_take(self, number: int, share: float) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """The take of a seed so many after the clip's; the first two move towards their mean."""
        ...

    def with_other(self, shares: Float[np.ndarray, " T"]) -> Batches:
        """Same motion, with the character blended with another one by a share per frame."""
        ...


@dataclass(frozen=True, kw_only=True)
class Take:
    """A clean clip, the input of faults.

    Attributes:
        clip_id: Unique among the clips.
        transcript: Spoken text.
        samples: The sound.
        words: With times, exact in the world, otherwise from a recogniser.
        num_frames: Of the picture.
        open_frames: Opens the picture for reading; may be called repeatedly.
        open_other: Opens the picture of another person of the same size, if there is one.
        world: Regenerates the clip; ``None`` for a user's recording.
    """

    clip_id: str
    transcript: str
    samples: Float32[np.ndarray, " S"]
    words: tuple[SpokenWord, ...]
    num_frames: int
    open_frames: Callable[[], Batches]
    open_other: Callable[[], Batches] | None = None
    world: World | None = None

    def require_world(self) -> World:
        """Returns the world behind the clip; raises `Unscored` for a user's recording."""
        if self.world is None:
            raise Unscored("needs the world: it cannot be done to a finished file")
        return self.world


Inject = Callable[[Take, float, np.random.Generator], Faulted]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault, and the expected response of each metric.

    Attributes:
        name: In tables and on the command line.
        label: In figures.
        unit: Of the dose.
        doses: From the lightest to the heaviest.
        few: Doses that are used by default.
        tracks: Tracks that it changes, ``picture`` and ``sound``.
        moves: Metrics that must react, with the sign of their change; 0 for either sign. Names
            may contain ``*``.
        leaves: Metrics that must not react; names as above. A metric in neither is free.
        source: What it imitates, and where it occurs.
        inject: Applies it to a clip, with a dose and a random generator.
        clean: The dose without effect.
    """

    name: str
    label: str
    unit: str
    doses: tuple[float, ...]
    few: tuple[float, ...]
    tracks: frozenset[str]
    moves: Mapping[str, int]
    leaves: tuple[str, ...]
    source: str
    inject: Inject
    clean: float = 0.0

    def apply(self, take: Take, dose: float) -> Faulted:
        """Applies the fault; the same clip and dose give the same bytes.

        Doses are nested: a heavier dose includes the changes of a lighter one, e.g. the same
        words are left out, and more.

        Args:
            take: The clean clip.
            dose: In `unit`; `clean` leaves the clip unchanged.

        Returns:
            The changed tracks and the realised dose.

        Raises:
            Unscored: If the fault cannot be applied to this clip.
        """
        if dose == self.clean:
            return Faulted(dose=dose)
        seed = zlib.crc32(f"{take.clip_id}/{self.name}".encode())
        return self.inject(take, dose, np.random.default_rng(seed))

    def direction_of(self, metric: str) -> int | None:
        """Sign of the change that a metric must show; ``None`` if none is required."""
        signs = [sign for pattern, sign in self.moves.items() if fnmatch(metric, pattern)]
        return signs[0] if signs else None

    def must_leave(self, metric: str) -> bool:
        """Whether a metric must not react."""
        is_moved = self.direction_of(metric) is not None
        return not is_moved and any(fnmatch(metric, pattern) for pattern in self.leaves)


def reordered(
    batches: Batches, order: Int[np.ndarray, " T"]
) -> Iterator[UInt8[np.ndarray, "_T H W 3"]]:
    """Reorders the frames of a clip, with as few in memory as the order allows.

    Args:
        batches: The frames in order.
        order: For each new frame the index of an old one.

    Yields:
        The frames in their new order.
    """
    last_use = {int(old): place for place, old in enumerate(order)}
    held: dict[int, np.ndarray] = {}
    place = 0
    for number, frame in enumerate(frame for batch in batches for frame in batch):
        if number in last_use:
            held[number] = frame
        ready = []
        while place < len(order) and int(order[place]) in held:
            old = int(order[place])
            ready.append(held[old] if last_use[old] > place else held.pop(old))
            place += 1
        if ready:
            yield np.stack(ready)


def map_frames(
    batches: Batches, change: Callable[[np.ndarray, int], UInt8[np.ndarray, "H W 3"]]
) -> Batches:
    """Applies a function of frame and frame number to all frames."""
    number = 0
    for batch in batches:
        yield np.stack([change(frame, number + i) for i, frame in enumerate(batch)])
        number += len(batch)


def ramp(num_frames: int) -> Float[np.ndarray, " T"]:
    """From 0 in the first frame to 1 in the last."""
    return np.linspace(0.0, 1.0, num_frames) if num_frames > 1 else np.ones(num_frames)
