"""Progress on stderr: one line that overwrites itself on a terminal, few lines elsewhere."""

import sys

import typer
from tqdm import tqdm

from streamchar_ref.core.names import short, visible


class ProgressBar:
    """A bar for callbacks ``(what, done, total)``; without a terminal, first and last as lines."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows where the work is."""
        if not sys.stderr.isatty():
            if done == 0 or done == total:
                typer.echo(f"{what}: {done}/{total}", err=True)
            return
        if self._bar is None or self._bar.total != total or done < self._bar.n:
            self.close()
            # The bar steers the terminal itself; only what it shows is escaped.
            stream = getattr(sys.stderr, "plain_stream", sys.stderr)
            self._bar = tqdm(total=total, leave=False, file=stream)
        self._bar.set_description(short(visible(what)))
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
