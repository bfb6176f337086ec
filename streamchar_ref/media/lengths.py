"""How long picture and sound of a file really are: by its packets, never by headers alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av

from streamchar_ref.media.complete import cut_of
from streamchar_ref.media.limits import check_held
from streamchar_ref.media.sound import LARGEST_DRIFT_S, cancelled_for
from streamchar_ref.media.source import (
    PictureDecoder,
    opened,
    picture_tracks,
    seconds,
    sound_tracks,
)
from streamchar_ref.media.timeline import Clock, clock_of, last_duration

_VP8_SHOWN = 0x10  # bit of a packet's first byte; other packets only help to decode (RFC 6386)


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """What a player gets out of a file.

    Attributes:
        picture_s: From the first frame that can be shown to the end of the last; 0 without.
        sound_s: From time 0 to the end of the sound; 0 without.
        num_frames: Frames shown.
        num_holes: Places where the timestamps of the sound leave some out.
        hole_s: Length of all of them.
        longest_frame_s: How long the frame that stays longest is shown, the last one aside.
        num_damaged: Frames that the decoder could not decode, or had to patch.
        cut: How much of the file is missing, see `complete.cut_of`; empty if it is all there.
        heard_channel: Channel that is heard alone because a mix of all cancels itself out, from
            0; ``None`` if all are mixed.
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
    """Measures a file by the timestamps of its packets, and decodes it for what is damaged.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        Lengths on the clock of `decode.frames` and `sound.audio`; of sound, to a packet.

    Raises:
        MediaError: If the file is missing or unreadable.
        TooLarge: If its pictures stay for longer than the limit allows.
    """
    with opened(path) as container:
        video = next(iter(picture_tracks(container)), None)
        sound = next(iter(sound_tracks(container)), None)
        start_s: Fraction | None = None
        damaged = 0
        pictures: list[_Span] = []
        sounds: list[_Span] = []
        packet_s = _packet_s(sound) if sound else Fraction(0)
        clock = clock_of(video) if video else Clock(Fraction(0))
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
    heard = _in_order(_without_holes(sounds, packet_s))
    shown = _in_order(pictures)
    check_held(path, shown)
    found = _lengths(start_s, shown, heard, clock.step_s)
    channel = cancelled_for(path) if sounds else None
    return replace(found, num_damaged=damaged, cut=cut_of(path), heard_channel=channel)


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
    """Length of every packet, if the codec has one, else 0."""
    return Fraction(sound.codec_context.frame_size, sound.sample_rate or 1)


def _without_holes(spans: Sequence[_Span], packet_s: Fraction) -> list[_Span]:
    """Takes off what an mp4 adds to the length of a packet before a hole."""
    if not spans or not packet_s:
        return list(spans)
    longest_s = max(packet_s, median(span.length_s for span in spans))
    return [replace(span, length_s=min(span.length_s, longest_s)) for span in spans]


def _is_shown(packet: av.Packet) -> bool:
    if packet.stream.codec_context.name != "vp8":
        return True
    return bool(bytes(packet)[0] & _VP8_SHOWN)


def _in_order(spans: Iterable[_Span]) -> list[tuple[Fraction, Fraction]]:
    """Starts and lengths as played; what has no time follows what came before."""
    found: list[tuple[Fraction, Fraction]] = []
    for span in spans:
        after = found[-1][0] + found[-1][1] if found else Fraction(0)
        found.append((after if span.start_s is None else span.start_s, span.length_s))
    return sorted(found)


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
