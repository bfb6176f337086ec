"""Ranks of systems over prompts, and which of them are too close to tell: critical difference.

Shape letters: N prompts, K systems.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from evals.protocols.info import Direction
from evals.scoring.results import SET_ID, ScoreRow
from reports.figures.style import BLACK, colours_of, drawn, markers_of

ALPHA = 0.05


class Ranks(NamedTuple):
    """Mean ranks of systems over the prompts that all of them have.

    Attributes:
        systems: Best first.
        mean_ranks: 1 is best, [K].
        num_prompts: Behind the ranks.
        num_left_out: Prompts that some system has no value of.
        critical: Smallest difference of two mean ranks that Nemenyi's test shows.
        p: Of Friedman's test that all systems are alike; NaN for two systems.
    """

    systems: tuple[str, ...]
    mean_ranks: Float[np.ndarray, " K"]
    num_prompts: int
    num_left_out: int
    critical: float
    p: float

    @property
    def groups(self) -> list[tuple[int, int]]:
        """First and last place of each longest run of systems closer than ``critical``."""
        last = [
            int(np.flatnonzero(self.mean_ranks - rank < self.critical)[-1])
            for rank in self.mean_ranks
        ]
        runs = [(first, end) for first, end in enumerate(last) if end > first]
        inside = [any(end >= run[1] for _, end in runs[:place]) for place, run in enumerate(runs)]
        return [run for run, is_inside in zip(runs, inside, strict=True) if not is_inside]


def rank_systems(rows: Sequence[ScoreRow], direction: Direction) -> Ranks | None:
    """Ranks systems prompt by prompt; seeds of a prompt are averaged first.

    Args:
        rows: Scores of one metric under one protocol hash.
        direction: Which values are better.

    Returns:
        Mean ranks; ``None`` with fewer than two systems or two shared prompts, or where no value
        is better than another.

    Source:
        Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006, 3.2.
    """
    takes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.value is not None and row.sample_id != SET_ID:
            takes[row.system][row.sample_id].append(row.value)
    systems = sorted(takes)
    if len(systems) < 2 or direction is Direction.NONE:
        return None
    every = set().union(*(takes[name] for name in systems))
    shared = sorted(sample for sample in every if all(sample in takes[name] for name in systems))
    if len(shared) < 2:
        return None
    costs = np.array(
        [
            [np.mean([direction.cost(value) for value in takes[name][sample]]) for name in systems]
            for sample in shared
        ]
    )
    means = rankdata(costs, axis=1).mean(axis=0)
    order = np.argsort(means, kind="stable")
    num_systems = len(systems)
    quantile = float(studentized_range.ppf(1 - ALPHA, num_systems, np.inf)) / np.sqrt(2)
    return Ranks(
        systems=tuple(systems[place] for place in order),
        mean_ranks=means[order],
        num_prompts=len(shared),
        num_left_out=len(every) - len(shared),
        critical=quantile * float(np.sqrt(num_systems * (num_systems + 1) / (6 * len(shared)))),
        p=_friedman_p(costs),
    )


def _friedman_p(costs: Float[np.ndarray, "N K"]) -> float:
    if costs.shape[1] < 3 or np.all(costs == costs[:, :1]):
        return float("nan")
    return float(friedmanchisquare(*costs.T).pvalue)


def plot_ranks(ranks: Ranks, *, ax: Axes | None = None) -> Axes:
    """Draws mean ranks on a line, best left; bars join systems that are too close to tell.

    Args:
        ranks: From `rank_systems`.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    num_systems = len(ranks.systems)
    colours, markers = colours_of(ranks.systems), markers_of(ranks.systems)
    top = 0.55 * len(ranks.groups) + 0.6
    for place, (system, rank) in enumerate(zip(ranks.systems, ranks.mean_ranks, strict=True)):
        is_left = place < (num_systems + 1) // 2
        depth = top + 0.8 * (place if is_left else num_systems - 1 - place)
        edge = 0.85 if is_left else num_systems + 0.15
        ax.plot([rank, rank, edge], [0, depth, depth], color=colours[system], lw=0.9)
        ax.plot(rank, 0, marker=markers[system], color=colours[system], markersize=5,
                clip_on=False, zorder=3)  # fmt: skip
        ax.text(edge, depth, f" {drawn(system)}  {rank:.2f} ", va="center", fontsize=7,
                ha="right" if is_left else "left", color="#222222")  # fmt: skip
    for level, (first, last) in enumerate(ranks.groups):
        ends = ranks.mean_ranks[first] - 0.04, ranks.mean_ranks[last] + 0.04
        ax.plot(ends, [0.45 + 0.55 * level] * 2, color=BLACK, lw=2.6, solid_capstyle="butt")
    depth = top + 0.8 * ((num_systems + 1) // 2)
    ax.plot([1, 1 + ranks.critical], [-1.5, -1.5], color=BLACK, lw=1.0, marker="|", markersize=5)
    ax.text(1, -1.75, f"critical difference {ranks.critical:.2f}", fontsize=7, va="bottom")
    ax.set_ylim(depth, -2.6)
    ax.set_xlim(0.8, max(num_systems, 1 + ranks.critical) + 0.2)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.spines["top"].set(visible=True, position=("data", 0))
    ax.xaxis.set_ticks_position("top")
    ax.set_xticks(range(1, num_systems + 1))
    ax.set_yticks([])
    ax.grid(False)
    return ax


def rank_data(ranks: Ranks, metric: str) -> pd.DataFrame:
    """What `plot_ranks` draws, a row for each system."""
    return pd.DataFrame(
        {
            "metric": metric,
            "system": ranks.systems,
            "mean_rank": ranks.mean_ranks,
            "n_prompts": ranks.num_prompts,
            "critical_difference": ranks.critical,
            "p_friedman": ranks.p,
        }
    )
