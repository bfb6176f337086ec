"""Limits on files and streams, so that none exhausts memory or time.

===============================  ========  ====================================================
variable                         default   limit
===============================  ========  ====================================================
``STREAMCHAR_MAX_SECONDS``       7200      picture or sound of a file
``STREAMCHAR_MAX_HELD_S``        600       time that pictures are held beyond 10 s each, and silence
                                           inserted where a file lacks sound
``STREAMCHAR_MAX_PIXELS``        64e6      in a picture, as stored and as shown or scaled
``STREAMCHAR_MAX_TOTAL_PIXELS``  1e12      in all frames of a file: two hours of 1080p60
``STREAMCHAR_MAX_LETTERS``       300e3     in a transcript: five hours of speech
``STREAMCHAR_MAX_STREAM_S``      by text   frames or sound that a system streams for a prompt, see
                                           `stream_limit_s`
===============================  ========  ====================================================

A file over a limit is not scored: its rows are ``unavailable``, since the limit belongs to the
harness and not to the recording. A stream that does not end is a failure of its system.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from streamchar_ref.core.errors import InputError
from streamchar_ref.media.chunk import MediaError

MAX_SECONDS = "STREAMCHAR_MAX_SECONDS"
MAX_HELD_S = "STREAMCHAR_MAX_HELD_S"
MAX_PIXELS = "STREAMCHAR_MAX_PIXELS"
MAX_TOTAL_PIXELS = "STREAMCHAR_MAX_TOTAL_PIXELS"
MAX_LETTERS = "STREAMCHAR_MAX_LETTERS"
MAX_STREAM_S = "STREAMCHAR_MAX_STREAM_S"
_DEFAULTS = {
    MAX_SECONDS: 7200.0,
    MAX_HELD_S: 600.0,
    MAX_PIXELS: 64e6,
    MAX_TOTAL_PIXELS: 1e12,
    MAX_LETTERS: 300e3,
}
FREE_HOLD_S = 10
"""Time a picture may be shown before it counts as held."""
MAX_SAMPLE_RATE = 768_000
MAX_CHANNELS = 64
MAX_SIDE = 16_384
"""Longest side of a scaled picture: the maximum of x264."""
MAX_BATCH_BYTES = 200 * 2**20
"""Size of frames decoded at a time: 32 of 1920 x 1080."""
STREAM_S = 300.0
STREAM_S_A_LETTER = 0.6
"""Eight times as long as English takes."""
CHUNKS_A_SECOND = 100


class TooLarge(MediaError):
    """A file exceeds a limit; the message names the limit and how to raise it."""


def limit(name: str) -> float:
    """Returns a limit: the value of its environment variable, or the default.

    Args:
        name: Of the variable.

    Returns:
        A positive number, which may be infinite.

    Raises:
        InputError: If the variable is set to anything else.
    """
    text = os.environ.get(name, "")
    if not text:
        return _DEFAULTS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise InputError(f"{name}={text!r} is no number above 0")
    return value


def excess(what: str, value: float | Fraction, name: str, unit: str) -> str:
    """Describes how a value exceeds a limit.

    Args:
        what: Beginning of the sentence, e.g. ``its picture lasts``.
        value: To compare with the limit.
        name: Of the limit.
        unit: Of both.

    Returns:
        A sentence; empty within the limit.
    """
    most = limit(name)
    if value <= most:
        return ""
    return (
        f"{what} {float(value):.6g} {unit}, the limit is {most:.6g}; "
        f"to measure it, raise the environment variable {name}"
    )


def check(path: Path, what: str, value: float | Fraction, name: str, unit: str) -> None:
    """Raises `TooLarge` with the sentence of `excess`, if there is one."""
    sentence = excess(what, value, name, unit)
    if sentence:
        raise TooLarge(f"{path.name}: {sentence}")


def check_picture(path: Path, width: int, height: int, what: str = "a picture of") -> None:
    """Refuses pictures with more pixels than a frame may have."""
    check(path, f"{what} {width} x {height} has", width * height, MAX_PIXELS, "pixels")


def check_scaled(path: Path, width: int, height: int) -> None:
    """Refuses pictures that are too long for their width once they are scaled."""
    if max(width, height) > MAX_SIDE:
        raise TooLarge(
            f"{path.name}: scaled to be scored it has {width} x {height} pixels, and a side may "
            f"have {MAX_SIDE}; score it with --native"
        )


def check_sound(path: Path, sample_rate: int, channels: int) -> None:
    """Refuses implausible sample rates and numbers of channels.

    Args:
        path: For the message.
        sample_rate: From the header.
        channels: From the header.

    Raises:
        MediaError: If they are out of range.
    """
    if not 0 < sample_rate <= MAX_SAMPLE_RATE:
        raise MediaError(f"{path.name}: a sample rate of {sample_rate} Hz cannot be read")
    if not 0 < channels <= MAX_CHANNELS:
        raise MediaError(f"{path.name}: sound of {channels} channels cannot be read")


def batch_size(wanted: int, width: int, height: int) -> int:
    """Returns how many RGB frames fit into `MAX_BATCH_BYTES`, at most as many as wanted."""
    return max(1, min(wanted, MAX_BATCH_BYTES // max(1, 3 * width * height)))


@dataclass(kw_only=True)
class Budget:
    """Enforces the limits while one track is read.

    Attributes:
        path: For messages.
        what: ``picture`` or ``sound``.
    """

    path: Path
    what: str
    _seconds: Fraction = Fraction(0)
    _held_s: Fraction = Fraction(0)
    _pixels: int = 0

    def show(self, length_s: Fraction, pixels: int) -> None:
        """Counts a picture and how long it is shown; raises `TooLarge` beyond a limit."""
        self._pixels += pixels
        check(self.path, "all its frames have", self._pixels, MAX_TOTAL_PIXELS, "pixels")
        self.hold(length_s - FREE_HOLD_S)
        self.last(length_s)

    def last(self, length_s: Fraction) -> None:
        """Counts seconds; raises `TooLarge` beyond the limit."""
        self._seconds += length_s
        check(self.path, f"its {self.what} lasts", self._seconds, MAX_SECONDS, "s")

    def hold(self, length_s: Fraction) -> None:
        """Counts seconds of a held picture or missing sound; raises `TooLarge` beyond the limit."""
        self._held_s += max(Fraction(0), length_s)
        what = "pictures are held for" if self.what == "picture" else "its sound is left out for"
        check(self.path, what, self._held_s, MAX_HELD_S, "s")


def check_held(path: Path, spans: Sequence[tuple[Fraction, Fraction]]) -> None:
    """Refuses a file whose pictures are held too long, before any is decoded.

    Args:
        path: For the message.
        spans: Start and length of each picture, in order of time.

    Raises:
        TooLarge: If the time held or the total length exceeds its limit.
    """
    if not spans:
        return
    steps_s = [after - before for (before, _), (after, _) in pairwise(spans)]
    held_s = sum((max(Fraction(0), s - FREE_HOLD_S) for s in (*steps_s, spans[-1][1])), Fraction(0))
    check(path, "pictures are held for", held_s, MAX_HELD_S, "s")
    check(path, "its picture lasts", sum(steps_s, spans[-1][1]), MAX_SECONDS, "s")


def stream_limit_s(transcript: str, last_piece_s: float = 0.0) -> float:
    """Returns the longest stream allowed for a prompt.

    Args:
        transcript: Of the prompt.
        last_piece_s: When its last piece arrives.

    Returns:
        Seconds: 300 + 0.6 per character + ``last_piece_s``, unless the variable overrides it.
    """
    if os.environ.get(MAX_STREAM_S):
        return limit(MAX_STREAM_S)
    return STREAM_S + STREAM_S_A_LETTER * len(transcript) + last_piece_s


@dataclass(kw_only=True)
class StreamBudget:
    """Enforces the length limit while a system streams for one prompt.

    Attributes:
        limit_s: From `stream_limit_s`.
        fps: Frames per second.
        sample_rate: Samples per second.
    """

    limit_s: float
    fps: float
    sample_rate: float
    _frames: int = 0
    _samples: int = 0
    _chunks: int = 0

    def add(self, num_frames: int, num_samples: int) -> None:
        """Counts a chunk.

        Args:
            num_frames: Of the chunk.
            num_samples: Of the chunk.

        Raises:
            MediaError: If frames or sound exceed the limit, or there are more than 100 chunks per
                second of it.
        """
        self._frames, self._samples = self._frames + num_frames, self._samples + num_samples
        self._chunks += 1
        seconds = max(self._frames / self.fps, self._samples / self.sample_rate)
        if seconds > self.limit_s or self._chunks > CHUNKS_A_SECOND * self.limit_s:
            raise MediaError(
                f"the stream does not end: {seconds:.1f} s in {self._chunks} chunks, and the "
                f"limit for this transcript is {self.limit_s:.6g} s; if it is meant to be so "
                f"long, set the environment variable {MAX_STREAM_S}"
            )
