"""Detects truncated files by their bytes, packets and headers."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.layout import missing_part
from streamchar_ref.media.playlist import parts_of
from streamchar_ref.media.source import opened, seconds
from streamchar_ref.media.wav import promised_s

MOST_MISSING = 0.05
"""Tolerated relative error of the header of a complete file."""
_LENGTH_IN_HEADER = ("matroska", "flv")
_EXACT_LENGTH_IN_HEADER = ("flac",)
_LEAST_S = Fraction(1, 100)


def check_complete(path: Path) -> None:
    """Refuses a truncated file, whose missing end would be scored as never generated.

    Args:
        path: Any file that FFmpeg's libraries read.

    Raises:
        MediaError: If it is cut short, or cannot be read.
    """
    cut = cut_of(path)
    if cut:
        raise MediaError(f"{path.name}: {cut}")


def cut_of(path: Path) -> str:
    """Describes how a file is truncated.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        A sentence such as ``is cut short: it holds 2.00 s of the 8.00 s in its header``; empty for
        a complete file. A container without lengths, as of a live stream, may end anywhere.

    Raises:
        MediaError: If the file cannot be read.
    """
    with opened(path) as container:
        part = next(filter(None, map(missing_part, (path, *parts_of(path)))), "")
        tracks, end_s = _read(container)
        part = part or _missing_packet(path, tracks)
        part = part or _missing_by_header(container, tracks, end_s)
        if not part:
            return ""
        held_s, whole_s = _shortest(path, container, tracks)
    if whole_s - held_s > _LEAST_S:
        header = f"it holds {float(held_s):.2f} s of the {float(whole_s):.2f} s in its header"
        return f"is cut short: {header}"
    return f"is cut short: it ends at {float(held_s):.2f} s, and a {part} is not all there"


@dataclass
class _TrackPackets:
    """Counts and times of a track's packets."""

    stream: av.VideoStream | av.AudioStream
    packets: int = 0
    start_s: Fraction | None = None
    end_s: Fraction = Fraction(0)
    last: tuple[bool, int | None, int] = (False, None, 0)

    def add(self, packet: av.Packet) -> None:
        """Counts a packet."""
        self.packets += 1
        self.last = (packet.is_corrupt, packet.pos, packet.size)
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            self.end_s += seconds(packet.duration, packet.time_base)
            return
        start_s = seconds(ticks, packet.time_base)
        self.start_s = start_s if self.start_s is None else min(self.start_s, start_s)
        self.end_s = max(self.end_s, start_s + seconds(packet.duration, packet.time_base))

    @property
    def held_s(self) -> Fraction:
        """From the start (by the header, if given) to the end of the last packet."""
        if self.stream.start_time is not None:
            return self.end_s - seconds(self.stream.start_time, self.stream.time_base)
        return self.end_s - (self.start_s or 0)

    @property
    def promised_s(self) -> Fraction:
        """Length by the header, 0 if missing; for AVI the number of frames counts, too."""
        length_s = seconds(self.stream.duration, self.stream.time_base)
        if self.stream.container.format.name == "avi" and self.stream.type == "video":
            return max(length_s, seconds(self.stream.frames, self.stream.time_base))
        return length_s


def _read(container: InputContainer) -> tuple[list[_TrackPackets], Fraction]:
    """Reads all packets; returns video and audio tracks, and the latest end of any track."""
    streams: list[av.VideoStream | av.AudioStream] = []
    streams += container.streams.video
    streams += container.streams.audio
    tracks = {stream.index: _TrackPackets(stream) for stream in streams}
    end_s = Fraction(0)
    for packet in container.demux():
        end_s = max(end_s, seconds((packet.pts or 0) + (packet.duration or 0), packet.time_base))
        if packet.size and packet.stream_index in tracks:
            tracks[packet.stream_index].add(packet)
    return list(tracks.values()), end_s


def _missing_packet(path: Path, tracks: list[_TrackPackets]) -> str:
    """Names a last packet that is cut off by the end of the file; PCM is exempt."""
    size = path.stat().st_size
    for track in tracks:
        is_corrupt, position, length = track.last
        is_at_end = position is None or position + length >= size
        if is_corrupt and is_at_end and not track.stream.codec_context.name.startswith("pcm_"):
            return "packet"
    return ""


def _missing_by_header(
    container: InputContainer, tracks: list[_TrackPackets], end_s: Fraction
) -> str:
    """Names a track with far fewer packets or seconds than its header announces.

    The count in an mp4's header includes frames that an edit list hides, so a track is complete
    if it has all packets or reaches its announced end.
    """
    names = container.format.name
    least = 1 - MOST_MISSING
    for track in tracks:
        is_counted = names != "avi" or track.stream.type == "video"  # a late sound is counted too
        has_few = is_counted and track.packets < least * track.stream.frames
        if has_few and track.held_s < least * track.promised_s:
            return "track"
        if names in _EXACT_LENGTH_IN_HEADER and track.promised_s - track.held_s > _LEAST_S:
            return "track"
    whole_s = Fraction(container.duration or 0, av.time_base)
    is_promised = any(name in names for name in _LENGTH_IN_HEADER)
    return "track" if is_promised and end_s < least * whole_s else ""


def _shortest(
    path: Path, container: InputContainer, tracks: list[_TrackPackets]
) -> tuple[Fraction, Fraction]:
    """Seconds present and seconds announced of the track that lost most."""
    whole_s = Fraction(container.duration or 0, av.time_base)
    of_wav_s = Fraction(promised_s(path))
    pairs = [(track.held_s, max(track.promised_s, of_wav_s) or whole_s) for track in tracks]
    return max(pairs, key=lambda pair: pair[1] - pair[0], default=(Fraction(0), whole_s))
