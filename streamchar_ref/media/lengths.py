"""Measures the length of a file's picture and sound by its packets, not by headers alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av

from streamchar_ref.media.complete import cut_of
from streamchar_ref.media.limits import check_held
from streamchar_ref.media.sound import LARGEST_DRIFT_S, fallback_channel
from streamchar_ref.media.source import (
    PictureDecoder,
    opened,
    picture_tracks,
    seconds,
    sound_tracks,
)
from streamchar_ref.media.timeline import FrameClock, clock_of, last_duration

_VP8_SHOWN = 0x10  # bit of a packet's first byte; other packets only help to decode (RFC 6386)


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Lengths and defects of a file, as a player would experience them.

    Attributes:
        picture_s: From the first frame that can be shown to the end of the last; 0 without.
        sound_s: From time 0 to the end of the sound; 0 without.
        num_frames: Frames shown.
        num_holes: Gaps in the timestamps of the sound.
        hole_s: Total length of the gaps.
        longest_frame_s: Longest time a frame is shown, except the last one.
        num_damaged: Frames that the decoder could not decode, or had to conceal.
        cut: How the file is truncated, see `complete.cut_of`; empty if complete.
        heard_channel: Channel (from 0) used alone because a mix of all cancels; ``None`` if all
            are mixed.
    """

    picture_s: float
    sound_s: float
    num_frames: int
    num_holes: int
    hole_s: float
    longest_frame_s: float
    num_damaged: int = 0
    cut: str = ""
    heard_channel: int | None = None

    @property
    def fps(self) -> float:
        """Average frames per second; 0 without picture."""
        return self.num_frames / self.picture_s if self.picture_s else 0.0


def measure(path: Path) -> Lengths:
    """Measures a file by the timestamps of its packets, and decodes it to find damage.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        Lengths on the clock of `decode.frames` and `sound.audio`; for sound, to a packet.

    Raises:
        MediaError: If the file is missing or unreadable.
        TooLarge: If its pictures are held for longer than the limit.
    """
    with opened(path) as container:
        video = next(iter(picture_tracks(container)), None)
        sound = next(iter(sound_tracks(container)), None)
        start_s: Fraction | None = None
        damaged = 0
        pictures: list[_Span] = []
        sounds: list[_Span] = []
        packet_s = _packet_s(sound) if sound else Fraction(0)
        clock = clock_of(video) if video else FrameClock(Fraction(0))
        decoder = _decoder(video) if video else None
        for packet in container.demux([track for track in (video, sound) if track]):
            if packet.stream is video and decoder is not None:
                if packet.size and not packet.is_discard and _is_shown(packet):
                    pictures.append(_Span.of(packet))
                frames = _decoded(decoder, packet)
                if start_s is None:
                    start_s = next(map(clock.time_of, frames or ()), None)
                damaged += 1 if frames is None else sum(frame.is_corrupt for frame in frames)
            elif packet.size and not packet.is_discard:
                sounds.append(_Span.of(packet))
    audio_spans = _in_order(_without_holes(sounds, packet_s))
    video_spans = _in_order(pictures)
    check_held(path, video_spans)
    lengths = _lengths(start_s, video_spans, audio_spans, clock.step_s)
    channel = fallback_channel(path) if sounds else None
    return replace(lengths, num_damaged=damaged, cut=cut_of(path), heard_channel=channel)


def _decoder(video: av.VideoStream) -> PictureDecoder:
    video.thread_type = "AUTO"
    return PictureDecoder(video)


def _decoded(decoder: PictureDecoder, packet: av.Packet) -> list[av.VideoFrame] | None:
    """Frames of a packet; ``None`` if it cannot be decoded."""
    try:
        return decoder.decode(packet)
    except av.error.InvalidDataError:
        return None


@dataclass(frozen=True)
class _Span:
    start_s: Fraction | None
    length_s: Fraction

    @staticmethod
    def of(packet: av.Packet) -> "_Span":
        ticks = packet.pts if packet.pts is not None else packet.dts
        start_s = None if ticks is None else seconds(ticks, packet.time_base)
        return _Span(start_s, seconds(packet.duration, packet.time_base))


def _packet_s(sound: av.AudioStream) -> Fraction:
    """Fixed packet length of the codec, else 0."""
    return Fraction(sound.codec_context.frame_size, sound.sample_rate or 1)


def _without_holes(spans: Sequence[_Span], packet_s: Fraction) -> list[_Span]:
    """Limits packet lengths: an mp4 extends the packet before a gap."""
    if not spans or not packet_s:
        return list(spans)
    longest_s = max(packet_s, median(span.length_s for span in spans))
    return [replace(span, length_s=min(span.length_s, longest_s)) for span in spans]


def _is_shown(packet: av.Packet) -> bool:
    if packet.stream.codec_context.name != "vp8":
        return True
    return bool(bytes(packet)[0] & _VP8_SHOWN)


def _in_order(spans: Iterable[_Span]) -> list[tuple[Fraction, Fraction]]:
    """Starts and lengths in playing order; a span without a time follows its predecessor."""
    timed: list[tuple[Fraction, Fraction]] = []
    for span in spans:
        after = timed[-1][0] + timed[-1][1] if timed else Fraction(0)
        timed.append((after if span.start_s is None else span.start_s, span.length_s))
    return sorted(timed)


def _lengths(
    start_s: Fraction | None,
    pictures: list[tuple[Fraction, Fraction]],
    sounds: list[tuple[Fraction, Fraction]],
    step_s: Fraction,
) -> Lengths:
    shown = [span for span in pictures if start_s is not None and span[0] >= start_s]
    starts = [start for start, _ in shown]
    steps = [after - before for before, after in pairwise(starts)]
    picture_s = Fraction(0)
    if shown:
        picture_s = starts[-1] - starts[0] + last_duration(shown[-1][1], steps, step_s)
    ends = [start + length for start, length in sounds]
    holes = [
        start - end
        for end, (start, _) in zip(ends, sounds[1:], strict=False)
        if start - end > LARGEST_DRIFT_S
    ]
    zero_s = start_s if start_s is not None else (sounds[0][0] if sounds else Fraction(0))
    return Lengths(
        picture_s=float(picture_s),
        sound_s=max(0.0, float(max(ends) - zero_s)) if ends else 0.0,
        num_frames=len(shown),
        num_holes=len(holes),
        hole_s=float(sum(holes)),
        longest_frame_s=float(max(steps, default=picture_s)),
    )
