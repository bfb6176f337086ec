"""Reads sound as mono, resampled, with every sample at the time of its timestamp.

Shape letters: S audio samples.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import soxr
from av.container import InputContainer
from jaxtyping import Float32

from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.complete import check_complete
from streamchar_ref.media.limits import Budget, check_sound
from streamchar_ref.media.source import (
    check_step,
    first_frame,
    opened,
    picture_tracks,
    seconds,
    sound_tracks,
)
from streamchar_ref.media.timeline import clock_of

LARGEST_DRIFT_S = Fraction(15, 1000)
"""Largest gap between timestamp and sample count before silence is inserted or samples dropped.

Clocks of recorders jitter by a few milliseconds; the shortest packet in use lasts 20 ms.
"""
LEAST_MIX = 0.01
"""Power of a mono mix, relative to the channels' mean, below which the channels cancel."""
_GAIN_RATE = 48_000  # any
_NO_SOUND = np.zeros(0, np.float32)


def audio(
    path: Path, *, sample_rate: int, start_s: float | None = None
) -> Float32[np.ndarray, " S"]:
    """Decodes the sound, mixed to mono and resampled.

    Samples are placed by their timestamps: a gap longer than 15 ms becomes silence, as in a
    player, and longer overlaps are dropped. Channels are mixed by libswresample's matrix, scaled
    so that equal channels keep their level (stereo: the mean). Where the channels cancel, e.g.
    two in opposite phase, the loudest channel is used alone.

    Args:
        path: Any file that FFmpeg's libraries read.
        sample_rate: Of the result, in samples per second.
        start_s: Time on the file's clock that becomes sample 0; by default the first frame that
            can be shown or, without a picture, the first sample.

    Returns:
        Samples in [-1, 1]; louder ones are clipped.

    Raises:
        MediaError: If the file cannot be read, is truncated, has no sound, holds NaN or infinite
            samples, or timestamps that jump.
        TooLarge: If a limit is exceeded, also by silence before the sound.
    """
    check_complete(path)
    samples, first_s = _read(path, sample_rate)
    if not np.isfinite(samples).all():
        where = np.flatnonzero(~np.isfinite(samples))[0] / sample_rate
        raise MediaError(f"{path.name}: sound has NaN or infinite samples from {where:.2f} s on")
    zero_s = float(_zero_s(path, first_s)) if start_s is None else start_s
    Budget(path=path, what="sound").hold(first_s - Fraction(zero_s))
    lead = round((float(first_s) - zero_s) * sample_rate)
    shifted = np.pad(samples, (lead, 0)) if lead > 0 else samples[-lead:]
    return np.clip(shifted, -1.0, 1.0).astype(np.float32)


def first_sample_s(path: Path) -> Fraction | None:
    """Time of the first sample on the file's clock; ``None`` without samples."""
    with opened(path) as container:
        stream = _track(path, container)
        frame = next(container.decode(stream), None)
        return seconds(frame.pts, frame.time_base) if frame else None


def _zero_s(path: Path, first_s: Fraction) -> Fraction:
    with opened(path) as container:
        tracks = picture_tracks(container)
        frame = first_frame(container, tracks[0]) if tracks else None
        return clock_of(tracks[0]).time_of(frame) if frame else first_s


def fallback_channel(path: Path) -> int | None:
    """Finds the channel that replaces a mono mix in which the channels cancel; see `audio`.

    Args:
        path: With sound.

    Returns:
        Index of the channel; ``None`` if the mix is used.

    Raises:
        MediaError: If the file cannot be read or has no sound.
    """
    with opened(path) as container:
        stream = _track(path, container)
        if stream.channels < 2:
            return None
        mixer = _Mixer(stream.sample_rate)
        for frame in container.decode(stream):
            mixer.mono(frame)
        return mixer.fallback_channel


def _read(path: Path, sample_rate: int) -> tuple[np.ndarray, Fraction]:
    """Returns samples and the time of the first on the file's clock."""
    samples, placer = _decode(path, sample_rate, None)
    if placer.mixer.fallback_channel is not None:
        samples, placer = _decode(path, sample_rate, placer.mixer.fallback_channel)
    return samples, placer.first_s or Fraction(0)


def _decode(
    path: Path, sample_rate: int, channel: int | None
) -> "tuple[np.ndarray, _SamplePlacer]":
    """Decodes the mix of all channels, or one of them."""
    parts: list[np.ndarray] = []
    with opened(path) as container:
        stream = _track(path, container)
        placer = _SamplePlacer(path, stream.sample_rate)
        to_rate = soxr.ResampleStream(stream.sample_rate, sample_rate, 1, dtype="float32")
        for frame in container.decode(stream):
            parts += [to_rate.resample_chunk(part) for part in placer.add(frame, channel)]
        parts.append(to_rate.resample_chunk(_NO_SOUND, last=True))
    return np.concatenate(parts), placer


class _SamplePlacer:
    """Places decoded samples by their timestamps: fills gaps and drops overlaps."""

    def __init__(self, path: Path, rate: int) -> None:
        self.first_s: Fraction | None = None
        self.mixer = _Mixer(rate)
        self._path, self._rate, self._written = path, rate, 0
        self._budget = Budget(path=path, what="sound")

    def add(self, frame: av.AudioFrame, channel: int | None) -> Iterator[np.ndarray]:
        """Yields silence for a gap before a frame, then its samples without overlap."""
        samples = self.mixer.mono(frame) if channel is None else self.mixer.one(frame, channel)
        drift = self._drift(frame)
        if drift > 0:
            self._budget.hold(Fraction(drift, self._rate))
            yield np.zeros(drift, np.float32)
        new = samples[-drift:] if drift < 0 else samples
        yield new
        self._written += max(0, drift) + len(new)
        self._budget.last(Fraction(max(0, drift) + len(new), self._rate))

    def _drift(self, frame: av.AudioFrame) -> int:
        """Returns the gap (positive) or overlap (negative) before a frame, in samples."""
        if frame.pts is None:
            return 0
        due_s = seconds(frame.pts, frame.time_base)
        self.first_s = due_s if self.first_s is None else self.first_s
        reached_s = self.first_s + Fraction(self._written, self._rate)
        check_step(self._path, reached_s, due_s)
        drift_s = due_s - reached_s
        return round(drift_s * self._rate) if abs(drift_s) > LARGEST_DRIFT_S else 0


class _Mixer:
    """Converts decoded frames to mono float samples; the channel layout may change."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resamplers: dict[tuple[str, str, int, str], av.AudioResampler] = {}
        self._power: dict[str, np.ndarray] = {}
        self._mixed_power = 0.0

    @property
    def fallback_channel(self) -> int | None:
        """Loudest channel if the mix cancels, else ``None``."""
        if len(self._power) != 1:
            return None  # mono, or a changing layout: no channel is present throughout
        (power,) = self._power.values()
        return int(power.argmax()) if self._mixed_power < LEAST_MIX * power.mean() else None

    def mono(self, frame: av.AudioFrame) -> Float32[np.ndarray, " S"]:
        """Mixes all channels."""
        layout = frame.layout.name
        mixed: np.ndarray = self._convert(frame, "mono")[0] / _gain(layout)
        if layout != "mono":
            power = np.square(self._convert(frame, layout), dtype=np.float64).sum(axis=1)
            self._power[layout] = self._power.get(layout, 0.0) + power
            self._mixed_power += float(np.square(mixed, dtype=np.float64).sum())
        return mixed

    def one(self, frame: av.AudioFrame, channel: int) -> Float32[np.ndarray, " S"]:
        """Selects one channel."""
        selected: np.ndarray = self._convert(frame, frame.layout.name)[channel]
        return selected

    def _convert(self, frame: av.AudioFrame, layout: str) -> np.ndarray:
        key = (frame.format.name, frame.layout.name, frame.sample_rate, layout)
        num_channels = 1 if layout == "mono" else frame.layout.nb_channels
        if key not in self._resamplers:  # interleaved: PyAV crashes on more than 8 planes
            self._resamplers[key] = av.AudioResampler(format="flt", layout=layout, rate=self._rate)
        pieces = [piece.to_ndarray()[0] for piece in self._resamplers[key].resample(frame)]
        mixed = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        return mixed.reshape(-1, num_channels).T


@cache
def _gain(layout: str) -> np.float32:
    """Gain of libswresample's mono mix for equal channels, which could clip."""
    to_mono = av.AudioResampler(format="fltp", layout="mono", rate=_GAIN_RATE)
    num_channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(
        np.ones((1, num_channels), np.float32), format="flt", layout=layout
    )
    frame.sample_rate = _GAIN_RATE
    return np.maximum(to_mono.resample(frame)[0].to_ndarray()[0, 0], np.float32(1))


def _track(path: Path, container: InputContainer) -> av.AudioStream:
    tracks = sound_tracks(container)
    if not tracks:
        raise MediaError(f"{path.name}: has no sound")
    check_sound(path, tracks[0].sample_rate, tracks[0].channels)
    return tracks[0]
