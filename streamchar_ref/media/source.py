"""Opens media files and selects the tracks that a player would play."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
from av.container import InputContainer
from av.stream import Disposition

from streamchar_ref.core.files import check_is_file
from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.limits import check_picture
from streamchar_ref.media.playlist import check_playlist

LONGEST_JUMP_BACK_S = 1
LONGEST_GAP_S = 600
_NOT_A_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails
_FOR_SOME = (
    Disposition.comment
    | Disposition.descriptions
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
)
_DECODE_ANYTHING = ("mpeg4", "msmpeg4", "h263", "flv", "wmv")  # grey where a key frame is missing
_STILLS = {"mjpeg", "png", "bmp", "webp", "tiff"}

_VERDICTS = (errno.EINVAL, errno.ENOSYS, errno.ERANGE, errno.EDOM, errno.EILSEQ, errno.EOVERFLOW)

_TrackT = TypeVar("_TrackT", av.VideoStream, av.AudioStream)


def file_url(path: Path) -> str:
    """Returns a URL for FFmpeg, which would read a prefix before a colon as a protocol."""
    return f"file:{path}"


def fault_of_machine(error: av.error.FFmpegError, path: Path) -> OSError | None:
    """Distinguishes errors of disk, memory, permission or network from verdicts on the file.

    libav's verdicts have their own numbers or one of `_VERDICTS`; all others come from the
    operating system and say nothing about the file's content.

    Args:
        error: Raised by PyAV.
        path: File that was read or written.

    Returns:
        The system's error; ``None`` for a verdict on the file.
    """
    if error.errno in errno.errorcode and error.errno not in _VERDICTS:
        return OSError(error.errno, error.strerror, str(path))
    return None


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Opens a media file for reading.

    Args:
        path: Any name that the file system allows.

    Yields:
        The container; what PyAV raises on broken input inside the block becomes a `MediaError`.

    Raises:
        MediaError: If the file cannot be decoded, or is a playlist that names one that is missing.
        TooLarge: If its pictures are over the limit.
        OSError: If the file is missing, or the machine fails to read it: see `fault_of_machine`.
    """
    check_is_file(path)
    check_playlist(path)
    try:
        # Titles and comments may not be UTF-8; they are not used.
        with av.open(file_url(path), metadata_errors="replace") as container:
            if container.format.name == "concat":
                raise MediaError(f"{path.name}: is a list of files; score them one by one")
            for track in picture_tracks(container)[:1]:
                check_picture(path, track.width, track.height)
            yield container
    except av.error.FFmpegError as error:
        if (fault := fault_of_machine(error, path)) is not None:
            raise fault from error
        raise MediaError(
            f"{path.name}: cannot be decoded; is it cut short or not a media file? "
            f"({error.strerror or error})"
        ) from error


def picture_tracks(container: InputContainer) -> list[av.VideoStream]:
    """Returns the video tracks in order of preference.

    Cover pictures are excluded, whether the file marks them as such or they are a still beside a
    video. The default track comes first, then the order of the file.
    """
    tracks = [s for s in container.streams.video if not s.disposition & _NOT_A_PICTURE]
    moving = [s for s in tracks if s.codec_context.name not in _STILLS]
    return _default_first(moving or tracks)


def sound_tracks(container: InputContainer) -> list[av.AudioStream]:
    """Returns the audio tracks in order of preference.

    The default track comes first, commentaries and descriptions last.
    """
    return _default_first(container.streams.audio)


def _default_first(tracks: Sequence[_TrackT]) -> list[_TrackT]:
    def rank(track: _TrackT) -> tuple[bool, bool]:
        return not track.disposition & Disposition.default, bool(track.disposition & _FOR_SOME)

    return sorted(tracks, key=rank)


class PictureDecoder:
    """Decodes the packets of a video track in the order of the file.

    Packets before the first frame that need an earlier key frame are skipped, as most decoders
    do; later, a damaged packet is an error.

    Args:
        stream: The track.
    """

    def __init__(self, stream: av.VideoStream) -> None:
        self._stream = stream
        self._has_begun = False
        self._waits_for_key = stream.codec_context.name.startswith(_DECODE_ANYTHING)

    def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        """Returns the frames of a packet; an empty packet flushes the decoder."""
        self._waits_for_key = self._waits_for_key and not packet.is_keyframe
        if self._waits_for_key and packet.size:
            return []
        try:
            frames = self._stream.decode(packet)
        except av.error.InvalidDataError:
            if self._has_begun:
                raise
            return []
        self._has_begun = self._has_begun or bool(frames)
        return frames


def first_frame(container: InputContainer, stream: av.VideoStream) -> av.VideoFrame | None:
    """Decodes the first frame that can be shown, from the start of the file."""
    decoder = PictureDecoder(stream)
    for packet in container.demux(stream):
        for frame in decoder.decode(packet):
            return frame
    return None


def seconds(ticks: int | None, time_base: Fraction | None) -> Fraction:
    """Converts ticks to exact seconds; unknown values count as 0."""
    return Fraction(ticks or 0) * (time_base or 0)


def check_step(path: Path, last_s: Fraction, next_s: Fraction) -> None:
    """Refuses timestamps that no player could follow.

    Args:
        path: For the message.
        last_s: Current end of the track.
        next_s: Next timestamp.

    Raises:
        MediaError: If time jumps back by more than a second or ahead by more than ten minutes, as
            in files that were concatenated byte by byte.
    """
    step = next_s - last_s
    if -LONGEST_JUMP_BACK_S <= step <= LONGEST_GAP_S:
        return
    raise MediaError(
        f"{path.name}: timestamps jump from {float(last_s):.2f} s to {float(next_s):.2f} s; if "
        "these are files that were joined, score them one by one or encode the whole anew"
    )
