"""What a fault is: a known thing that goes wrong in a clip, at a known dose.

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

FPS = 25
SAMPLE_RATE = 16_000
FRAME_SAMPLES = SAMPLE_RATE // FPS
PICTURE, SOUND = "picture", "sound"
BOTH = frozenset({PICTURE, SOUND})

Batches = Iterator[UInt8[np.ndarray, "_T H W 3"]]


@dataclass(frozen=True, kw_only=True)
class SpokenWord:
    """A word and when it is heard.

    Attributes:
        text: As spoken or heard.
        t0_s: Start.
        t1_s: End.
    """

    text: str
    t0_s: float
    t1_s: float


@dataclass(frozen=True, kw_only=True)
class Faulted:
    """Tracks of a clip with a fault in it.

    Attributes:
        dose: The dose that was realised, e.g. 1 of 12 words where 0.1 was asked for.
        frames: The picture; ``None`` if it is the clean one.
        samples: The sound; ``None`` if it is the clean one.
    """

    dose: float
    frames: Batches | None = None
    samples: Float32[np.ndarray, " S"] | None = None


@runtime_checkable
class World(Protocol):
    """What only the synthetic world can do with a clip: make it anew with one thing changed."""

    def say(self, transcript: str) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """The same character, voice and scene with other words."""
        ...

    def another_take(self) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """The same words, character, voice and scene, said and moved another time."""
        ...

    def with_other(self, shares: Float[np.ndarray, " T"]) -> Batches:
        """The same movement by a character that has a share of another one in each frame."""
        ...


@dataclass(frozen=True, kw_only=True)
class Take:
    """A clean clip, as the faults see it.

    Attributes:
        clip_id: Unique among the clips.
        transcript: What is said.
        samples: The sound.
        words: With times, exact in the world, otherwise as a recogniser heard them.
        num_frames: Of the picture.
        open_frames: Reads the picture front to back, as often as it is called.
        open_other: Reads the picture of another person of the same size, if there is one.
        world: Makes it anew; ``None`` for a user's own clip.
    """

    clip_id: str
    transcript: str
    samples: Float32[np.ndarray, " S"]
    words: tuple[SpokenWord, ...]
    num_frames: int
    open_frames: Callable[[], Batches]
    open_other: Callable[[], Batches] | None = None
    world: World | None = None

    def made_anew(self) -> World:
        """The world behind the clip; `Unscored` if it is a user's own."""
        if self.world is None:
            raise Unscored("needs the world: it cannot be done to a finished file")
        return self.world


Inject = Callable[[Take, float, np.random.Generator], Faulted]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault, and what each metric must make of it.

    Attributes:
        name: In tables and on the command line.
        label: In figures.
        unit: Of the dose.
        doses: From the lightest to the heaviest.
        few: Those that are used unless all are asked for.
        tracks: Which tracks it touches, ``picture`` and ``sound``.
        moves: Metrics that must react, with the sign of their change; 0 where either sign may
            come. Names may have ``*``, for metrics that are not known here.
        leaves: Metrics that must not react; names as above. A metric in neither is free.
        source: What it stands for, and where it was seen.
        inject: Makes it: takes a clip, a dose and a generator of random numbers.
        clean: The dose at which nothing is done.
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
        """Makes the fault; the same clip and dose give the same bytes.

        A heavier dose keeps what the lighter one did: the same words are left out, and more.

        Args:
            take: The clean clip.
            dose: In `unit`; at `clean` the clip stays as it is.

        Returns:
            The tracks that changed, and the dose they realise.

        Raises:
            NotMeasured: If this clip cannot have this fault.
        """
        if dose == self.clean:
            return Faulted(dose=dose)
        seed = zlib.crc32(f"{take.clip_id}/{self.name}".encode())
        return self.inject(take, dose, np.random.default_rng(seed))

    def direction_of(self, metric: str) -> int | None:
        """Sign of the change that a metric must show; ``None`` if it need not show any."""
        signs = [sign for pattern, sign in self.moves.items() if fnmatch(metric, pattern)]
        return signs[0] if signs else None

    def must_leave(self, metric: str) -> bool:
        """Whether a metric must not react."""
        is_moved = self.direction_of(metric) is not None
        return not is_moved and any(fnmatch(metric, pattern) for pattern in self.leaves)


def reordered(
    batches: Batches, order: Int[np.ndarray, " T"]
) -> Iterator[UInt8[np.ndarray, "_T H W 3"]]:
    """Shows the frames of a clip in another order, with as few in memory as the order allows.

    Args:
        batches: The frames, front to back.
        order: For each new frame the number of an old one.

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


def each_frame(
    batches: Batches, change: Callable[[np.ndarray, int], UInt8[np.ndarray, "H W 3"]]
) -> Batches:
    """Changes each frame, told its number."""
    number = 0
    for batch in batches:
        yield np.stack([change(frame, number + i) for i, frame in enumerate(batch)])
        number += len(batch)


def ramp(num_frames: int) -> Float[np.ndarray, " T"]:
    """From 0 in the first frame to 1 in the last."""
    return np.linspace(0.0, 1.0, num_frames) if num_frames > 1 else np.ones(num_frames)
