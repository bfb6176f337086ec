"""Which frames the program FFmpeg shows when it is told ``-r RATE``.

The option does not convert to the nearest frame, as the filter ``fps`` does: a frame is dropped
only once the output is more than 1.1 frames ahead of it, so that after the first second of a
faster video the picture is late by one to two output frames.
"""

from dataclasses import dataclass
from fractions import Fraction

MOST_AHEAD = Fraction(11, 10)
FILL_BACK = Fraction(6, 10)


@dataclass(kw_only=True)
class ConstantRate:
    """Counts output frames as FFmpeg's option ``-r`` does.

    Attributes:
        rate: Output frames a second.
        done: Output frames so far.

    Source:
        ``video_sync_process`` of FFmpeg's fftools/ffmpeg_enc.c, case ``VSYNC_CFR``; compared with
        FFmpeg 9.0.2 in tests/streamchar_ref/media/test_cfr.py.
    """

    rate: Fraction
    done: int = 0

    def repeats(self, start_s: Fraction, length_s: Fraction) -> tuple[int, int]:
        """Takes the next input frame.

        Args:
            start_s: Since the first frame.
            length_s: For which it is shown.

        Returns:
            How often the frame before it is shown once more, and how often it is shown itself.
        """
        ahead = start_s * self.rate - self.done
        until = ahead + length_s * self.rate
        if until < -MOST_AHEAD:
            return 0, 0
        count = round(until) if until > MOST_AHEAD else 1
        before = round(ahead - FILL_BACK) if ahead > MOST_AHEAD and until > MOST_AHEAD else 0
        self.done += count
        return before, count - before
