"""Simulates a player's buffer that is fed by an arrival trace.

Shape letters: K chunks with playable media.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Playback:
    """Start-up delay and stalls of a played stream.

    Attributes:
        startup_s: From the request until the first frame is shown.
        stalls_s: Length of each stall, in order.
        stalls_at_s: Media that had been played when each of them began.
        media_s: Playing time of the stream.
    """

    startup_s: float
    stalls_s: tuple[float, ...]
    stalls_at_s: tuple[float, ...]
    media_s: float

    @property
    def stall_s(self) -> float:
        """Total time stalled."""
        return sum(self.stalls_s)

    @property
    def rebuffer_ratio(self) -> float:
        """Stalled share of the time after start-up."""
        return self.stall_s / (self.stall_s + self.media_s)


def playback(
    t_arrival_s: Float[np.ndarray, " K"],
    media_s: Float[np.ndarray, " K"],
    *,
    prebuffer_s: float = 0.0,
) -> Playback:
    """Simulates playback: it starts when enough is buffered and stalls while a chunk is missing.

    Args:
        t_arrival_s: Arrival of each chunk, from the request.
        media_s: Playing time of each chunk.
        prebuffer_s: Media that must be buffered before playback starts; it starts at the first
            chunk that reaches this, or at the last chunk.

    Returns:
        Start-up, stalls and playing time, in seconds.

    Source:
        Terms after ITU-T P.1203: initial loading delay and stalling events.
    """
    buffered = np.cumsum(media_s)
    first = min(int(np.searchsorted(buffered, prebuffer_s)), len(media_s) - 1)
    startup = clock = float(t_arrival_s[first])
    stalls, places = [], []
    for arrival, duration, end in zip(t_arrival_s, media_s, buffered, strict=True):
        if arrival > clock:
            stalls.append(float(arrival - clock))
            places.append(float(end - duration))
            clock = float(arrival)
        clock += float(duration)
    return Playback(
        startup_s=startup,
        stalls_s=tuple(stalls),
        stalls_at_s=tuple(places),
        media_s=float(buffered[-1]),
    )


def zero_stall_startup_s(
    t_arrival_s: Float[np.ndarray, " K"], media_s: Float[np.ndarray, " K"]
) -> float:
    """Smallest start-up delay without stalls: max(arrival - media start)."""
    media_start = np.cumsum(media_s) - media_s
    return float(np.max(t_arrival_s - media_start))


def lateness_s(
    t_arrival_s: Float[np.ndarray, " K"], media_s: Float[np.ndarray, " K"], *, startup_s: float
) -> Float[np.ndarray, " K"]:
    """Lateness of each chunk relative to its playing time.

    Args:
        t_arrival_s: Arrival of each chunk, from the request.
        media_s: Playing time of each chunk.
        startup_s: Start of playback, from the request.

    Returns:
        Seconds; negative for early chunks.
    """
    return t_arrival_s - (startup_s + np.cumsum(media_s) - media_s)
