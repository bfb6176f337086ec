"""What a viewer sees of a stream: a player's buffer fed by the arrival trace.

Shape letters: K chunks, each with something to play.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Playback:
    """How a stream played.

    Attributes:
        startup_s: From the request until the first frame shows.
        stalls_s: Length of each stall, in order.
        media_s: Playing time of the stream.
    """

    startup_s: float
    stalls_s: tuple[float, ...]
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
    """Plays a stream: starts when enough is buffered, freezes when the next chunk is not there.

    Args:
        t_arrival_s: Arrival of each chunk, from the request.
        media_s: Playing time of each chunk.
        prebuffer_s: Media that must have arrived before the first frame shows; playing starts at
            the first chunk that reaches it, or at the last.

    Returns:
        Start-up, stalls and playing time, in seconds.

    Source:
        Terms after ITU-T P.1203: initial loading delay and stalling events.
    """
    buffered = np.cumsum(media_s)
    first = min(int(np.searchsorted(buffered, prebuffer_s)), len(media_s) - 1)
    startup = clock = float(t_arrival_s[first])
    stalls = []
    for arrival, duration in zip(t_arrival_s, media_s, strict=True):
        if arrival > clock:
            stalls.append(float(arrival - clock))
            clock = float(arrival)
        clock += float(duration)
    return Playback(startup_s=startup, stalls_s=tuple(stalls), media_s=float(buffered[-1]))


def zero_stall_startup_s(
    t_arrival_s: Float[np.ndarray, " K"], media_s: Float[np.ndarray, " K"]
) -> float:
    """Smallest wait before playing with which no chunk comes late: max(arrival - media start)."""
    media_start = np.cumsum(media_s) - media_s
    return float(np.max(t_arrival_s - media_start))


def lateness_s(
    t_arrival_s: Float[np.ndarray, " K"], media_s: Float[np.ndarray, " K"], *, startup_s: float
) -> Float[np.ndarray, " K"]:
    """How long after its moment each chunk came, if playing started at ``startup_s``.

    Args:
        t_arrival_s: Arrival of each chunk, from the request.
        media_s: Playing time of each chunk.
        startup_s: When the first frame shows, from the request.

    Returns:
        Seconds; negative for chunks that were early.
    """
    return t_arrival_s - (startup_s + np.cumsum(media_s) - media_s)
