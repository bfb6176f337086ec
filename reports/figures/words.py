"""What became of the script: each word said, changed, skipped or added, on the clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from evals.scoring.results import ScoreRow
from reports.figures.style import ABOVE, BAD, COLOURS, WARN, drawn, in_look_order

# equal, sub, del, ins are the edit operations that turn the script into what was heard.
OPERATIONS = {
    "equal": ("said", "#93a5b1"),
    "sub": ("other word", WARN),
    "del": ("skipped", BAD),
    "ins": ("added or repeated", COLOURS[0]),
}


@dataclass(frozen=True, kw_only=True)
class WordStrip:
    """The words of one recording.

    Attributes:
        system: What made it.
        sample_id: Of which prompt.
        seed: Of the generation.
        label: System and sample.
        words: Time and operation of each word, in order of time.
    """

    system: str
    sample_id: str
    seed: int
    label: str
    words: tuple[tuple[float, str], ...]

    @property
    def num_errors(self) -> int:
        """Words that were changed, skipped or added."""
        return sum(operation != "equal" for _, operation in self.words)


def word_strips(rows: Iterable[ScoreRow], metric: str = "wer") -> list[WordStrip]:
    """Reads ``components["alignment"]``, a list of ``[t_s, operation]``.

    Rows without it are left out.

    Args:
        rows: Scores of any metric.
        metric: Whose alignment.

    Returns:
        A strip for each recording, by system and sample.
    """
    strips = []
    rows = list(rows)
    systems = in_look_order(row.system for row in rows)
    has_seeds = len({(row.suite, row.sample_id, row.seed) for row in rows}) > len(
        {(row.suite, row.sample_id) for row in rows}
    )
    for row in sorted(rows, key=lambda row: (systems.index(row.system), row.key)):
        alignment = row.components.get("alignment")
        if row.metric == metric and alignment:
            words = [
                (float(t_s), str(operation)) for t_s, operation in alignment if t_s is not None
            ]
            aligned = tuple(sorted(word for word in words if word[1] in OPERATIONS))
            seed = f" seed {row.seed}" if has_seeds else ""
            strips.append(
                WordStrip(
                    system=row.system,
                    sample_id=row.sample_id,
                    seed=row.seed,
                    label=f"{row.system} / {row.sample_id}{seed}",
                    words=aligned,
                )
            )
    return strips


def plot_word_strips(strips: Sequence[WordStrip], *, ax: Axes | None = None) -> Axes:
    """Draws a row of ticks for each recording; errors stand taller than words that were said.

    Words skipped in a row share a moment, so the number of errors stands beside the row.

    Args:
        strips: From top to bottom.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    for place, strip in enumerate(strips):
        for operation, (_, colour) in OPERATIONS.items():
            times = [t_s for t_s, name in strip.words if name == operation]
            reach = 0.26 if operation == "equal" else 0.42
            ax.vlines(times, place - reach, place + reach, color=colour, lw=1.1)
        ax.annotate(
            str(strip.num_errors),
            (1.008, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize="x-small",
        )
    ax.set_yticks(range(len(strips)), [drawn(strip.label) for strip in strips])
    ax.set_ylim(len(strips) - 0.4, -0.6)
    ax.set_xlabel("playing time [s]")
    ax.grid(False, axis="y")
    ax.legend(
        handles=[Patch(color=colour, label=name) for name, colour in OPERATIONS.values()],
        ncols=4,
        **ABOVE,
    )
    return ax


def word_data(strips: Sequence[WordStrip]) -> pd.DataFrame:
    """What `plot_word_strips` draws, a row for each word."""
    records = [
        {"recording": strip.label, "t_s": t_s, "operation": operation}
        for strip in strips
        for t_s, operation in strip.words
    ]
    return pd.DataFrame(records, columns=["recording", "t_s", "operation"])
