"""Progress on stderr: one line that overwrites itself on a terminal, few lines elsewhere."""

import sys
from collections.abc import Callable
from time import monotonic

import typer
from tqdm import tqdm

from streamchar_ref.core.names import short, visible

EVERY_S = 30.0
"""Between two lines where there is no terminal."""


class ProgressBar:
    """A bar for callbacks ``(what, done, total)`` with an estimate of the time that is left.

    Without a terminal, the first and the last step are lines, and one in half a minute between.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._bar: tqdm[None] | None = None
        self._clock = clock
        self._total, self._done, self._first = 0, 0, 0
        self._start_s = self._shown_s = clock()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows where the work is."""
        if total != self._total or done < self._done:  # another piece of work
            self._total, self._first, self._start_s = total, done, self._clock()
        self._done = done
        if not sys.stderr.isatty():
            self._print(what)
            return
        if self._bar is None or self._bar.total != total or done < self._bar.n:
            self.close()
            # The bar steers the terminal itself; only what it shows is escaped.
            stream = getattr(sys.stderr, "plain_stream", sys.stderr)
            layout = "{desc} {n_fmt}/{total_fmt} |{bar}|{postfix}"
            self._bar = tqdm(total=total, leave=False, file=stream, bar_format=layout)
        self._bar.set_description(short(visible(what)), refresh=False)
        self._bar.set_postfix_str(self.time_left(), refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.refresh()

    def time_left(self) -> str:
        """Returns e.g. ``about 4 min left``, at the pace so far; empty while there is none."""
        made = self._done - self._first
        if made < 1 or self._done >= self._total:
            return ""
        pace_s = (self._clock() - self._start_s) / made
        return f"about {in_words(pace_s * (self._total - self._done))} left"

    def _print(self, what: str) -> None:
        now_s = self._clock()
        is_end = self._done in {self._first, self._total}
        if is_end or now_s - self._shown_s >= EVERY_S:
            self._shown_s = now_s
            left = self.time_left()
            aside = f", {left}" if left else ""
            typer.echo(f"{what}: {self._done}/{self._total}{aside}", err=True)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def in_words(seconds: float) -> str:
    """Returns a duration as roughly as it is known: ``40 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    return f"{hours} h" + (f" {rest} min" if rest else "")
