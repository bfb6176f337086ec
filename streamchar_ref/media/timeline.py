"""Display times of a file's frames, from timestamps and never from the header's frame rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
from av.container import InputContainer

from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.complete import MOST_MISSING
from streamchar_ref.media.limits import Budget
from streamchar_ref.media.source import PictureDecoder, check_step, seconds

DEFAULT_FPS = 25


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """A decoded frame and when a player shows it.

    Attributes:
        frame: As decoded.
        start_s: On the file's clock.
        end_s: Start of the next one; equal to ``start_s`` for a frame too late to be shown.
    """

    frame: av.VideoFrame
    start_s: Fraction
    end_s: Fraction


class FrameClock:
    """Assigns a time to each decoded frame.

    Presentation timestamps are used unless they run backwards more often than decoding timestamps
    (AVI has none); a frame without either follows its predecessor by its duration.

    Source: ``guess_correct_pts`` in libavcodec/decode.c, what FFmpeg's programs and players use.
    """

    def __init__(self, step_s: Fraction) -> None:
        self.step_s = step_s
        self._faults = {"pts": 0, "dts": 0}
        self._last: dict[str, int | None] = {"pts": None, "dts": None}
        self._last_s: Fraction | None = None

    def time_of(self, frame: av.VideoFrame) -> Fraction:
        """Returns the time of the next decoded frame, in seconds of the file's clock."""
        self._count("dts", frame.dts, frame.pts)
        self._count("pts", frame.pts, frame.dts)
        uses_pts = self._faults["pts"] <= self._faults["dts"] or frame.dts is None
        ticks = frame.pts if uses_pts and frame.pts is not None else frame.dts
        if ticks is not None:
            self._last_s = seconds(ticks, frame.time_base)
        elif self._last_s is None:
            self._last_s = Fraction(0)
        else:
            self._last_s += seconds(frame.duration, frame.time_base) or self.step_s
        return self._last_s

    def _count(self, kind: str, ticks: int | None, other: int | None) -> None:
        last = self._last[kind]
        if ticks is not None:
            self._faults[kind] += last is not None and ticks <= last
        self._last[kind] = ticks if ticks is not None else (other if other is not None else last)


def clock_of(stream: av.VideoStream) -> FrameClock:
    """Returns a clock for a track, at its start."""
    return FrameClock(1 / Fraction(stream.guessed_rate or DEFAULT_FPS))


def last_duration(given_s: Fraction, steps_s: Sequence[Fraction], header_s: Fraction) -> Fraction:
    """Returns how long the last frame is shown.

    Args:
        given_s: Duration in the file; 0 if missing.
        steps_s: How long each earlier frame was shown.
        header_s: Step by the header's frame rate, the last resort.

    Returns:
        The duration in the file, unless it is less than half of the median step: some recorders
        write a tick of their clock (``1000 fps``). Then the median step.
    """
    median_s = median(steps_s) if steps_s else Fraction(0)
    if given_s and given_s >= median_s / 2:
        return given_s
    return median_s or header_s


def timed_frames(
    path: Path, container: InputContainer, stream: av.VideoStream
) -> Iterator[TimedFrame]:
    """Decodes a track from start to end.

    Frames hidden by an edit list, and frames before the first key frame, are left out.

    Args:
        path: For messages.
        container: Opened, at its start.
        stream: One of its tracks.

    Yields:
        Every decoded frame once, in the order of decoding.

    Raises:
        MediaError: If there are no frames, their size changes, timestamps jump, or the file is
            truncated or damaged.
        TooLarge: If a limit is exceeded.
    """
    budget = Budget(path=path, what="picture")
    clock, packets = clock_of(stream), _Packets(path, container, stream)
    held: av.VideoFrame | None = None
    held_s = Fraction(0)
    steps_s: list[Fraction] = []
    decoded = 0
    for frame in packets.decode():
        due_s = clock.time_of(frame)
        if held is None:
            held, held_s = frame, due_s
        else:
            _check_size(path, held, frame)
            check_step(path, held_s, due_s)
            if due_s < held_s:
                yield TimedFrame(frame=frame, start_s=due_s, end_s=due_s)
            else:
                budget.show(due_s - held_s, held.width * held.height)
                yield TimedFrame(frame=held, start_s=held_s, end_s=due_s)
                steps_s.append(due_s - held_s)
                held, held_s = frame, due_s
        decoded += 1
    if held is None:
        raise MediaError(f"{path.name}: has no video frames")
    packets.check(decoded)
    given_s = seconds(held.duration, held.time_base)
    length_s = last_duration(given_s, steps_s, clock.step_s)
    budget.show(length_s, held.width * held.height)
    yield TimedFrame(frame=held, start_s=held_s, end_s=held_s + length_s)


def _check_size(path: Path, held: av.VideoFrame, frame: av.VideoFrame) -> None:
    if (held.width, held.height) != (frame.width, frame.height):
        change = f"from {held.width}x{held.height} to {frame.width}x{frame.height}"
        raise MediaError(f"{path.name}: frame size changes {change}")


class _Packets:
    """Reads the packets of a track and counts those that should be decodable."""

    def __init__(self, path: Path, container: InputContainer, stream: av.VideoStream) -> None:
        self._path, self._container, self._stream = path, container, stream
        self._read = self._hidden = 0
        self._has_key = False
        self._decoder = PictureDecoder(stream)

    def decode(self) -> Iterator[av.VideoFrame]:
        """Yields the frames of the track."""
        for packet in self._container.demux():
            if packet.stream is not self._stream:
                continue
            if packet.size:
                self._read += 1
                self._has_key = self._has_key or packet.is_keyframe
                self._hidden += packet.is_discard or not self._has_key
            yield from self._decoder.decode(packet)

    def check(self, decoded: int) -> None:
        """Refuses a file with many undecodable frames."""
        least = 1 - MOST_MISSING
        promised = self._stream.frames
        if promised and decoded < least * (self._read - self._hidden):
            raise MediaError(
                f"{self._path.name}: is damaged: {decoded} of {self._read - self._hidden} frames "
                "can be decoded"
            )
