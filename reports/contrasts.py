"""Declared contrasts of an ablation table: each row against its parent and at equal passes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from evals.numerics.crossed import CrossedMean, crossed_mean
from evals.protocols.info import Direction
from evals.scoring.compare import Comparison, Pair, compare
from evals.scoring.paired import PairedValues
from evals.scoring.results import SET_ID, ScoreRow, csv_text, dump_json, guard_cell
from evals.scoring.summary import UNKNOWN
from reports.axes import absolute_label, label_of, scale_of, unit_of
from reports.load import Runs
from reports.numbers import NOT_APPLICABLE, rounded, rounded_with_ends
from reports.pairs import pairs_csv, pairs_markdown
from reports.render import escape_markdown
from streamchar_ref.core.files import remove_abandoned, write_atomically

Contrasts = Mapping[str, tuple[str, ...]]
"""Row -> rows that it is compared with."""


@dataclass(frozen=True, kw_only=True)
class TrainedContrast:
    """A difference of two rows over prompts and trainings.

    Attributes:
        suite: Which prompts.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        system: A row.
        against: The other.
        unit: Of the difference.
        is_absolute: Whether absolute values were compared, as where zero is best.
        mean: System minus against.
        by_training: Training seed -> difference.
    """

    suite: str
    metric: str
    protocol: str
    system: str
    against: str
    unit: str
    is_absolute: bool
    mean: CrossedMean
    by_training: Mapping[int, float]


def compare_rows(
    runs: Runs, contrasts: Contrasts, metrics: Sequence[str]
) -> dict[str, list[Comparison]]:
    """Compares each row with what it declares; Holm counts the tests of one row.

    Args:
        runs: Scores.
        contrasts: What is compared.
        metrics: In which metrics.

    Returns:
        Row -> its comparisons; rows without any are left out.
    """
    scored = {row.system for row in runs.rows}
    found = {
        name: compare(
            runs.rows,
            runs.infos,
            pairs=[Pair(name, other) for other in others if other in scored],
            metrics=metrics,
            identities=runs.identities,
        )
        for name, others in contrasts.items()
        if name in scored
    }
    return {name: comparisons for name, comparisons in found.items() if comparisons}


def compare_trainings(
    runs: Runs, contrasts: Contrasts, metrics: Sequence[str], suite: str
) -> list[TrainedContrast]:
    """Compares rows that were trained more than once.

    Args:
        runs: Scores; the seed of a stream is that of its training.
        contrasts: What is compared.
        metrics: In which metrics.
        suite: Of which prompts.

    Returns:
        A contrast for each pair, metric and protocol with at least two trainings.
    """
    groups: dict[tuple[str, str, str], dict[tuple[str, int], ScoreRow]] = defaultdict(dict)
    for row in runs.rows:
        if row.suite == suite and row.metric in metrics and row.sample_id != SET_ID:
            groups[row.system, row.metric, row.protocol][row.sample_id, row.seed] = row
    found = [
        _contrast(ours, groups.get((other, metric, protocol), {}), runs, other)
        for (name, metric, protocol), ours in sorted(groups.items())
        for other in contrasts.get(name, ())
    ]
    return [one for one in found if one is not None]


def write_contrasts(
    folder: Path,
    by_row: Mapping[str, Sequence[Comparison]],
    trainings: Sequence[TrainedContrast],
    tests: Mapping[str, str],
) -> None:
    """Writes ``compare.md``, ``.csv`` and ``.json``, and ``trainings`` where there are several.

    Args:
        folder: Where to.
        by_row: From `compare_rows`.
        trainings: From `compare_trainings`.
        tests: Row -> what it tests.
    """
    every = [one for comparisons in by_row.values() for one in comparisons]
    sections = [
        f"## {name}: {tests[name]}\n\n{pairs_markdown(comparisons)}"
        for name, comparisons in by_row.items()
    ]
    content = {
        "compare.md": "\n".join(sections),
        "compare.csv": pairs_csv(every),
        "compare.json": dump_json([asdict(one) for one in every], indent=1) + "\n",
    }
    if trainings:
        content |= {
            "trainings.md": trainings_markdown(trainings),
            "trainings.csv": _trainings_csv(trainings),
        }
    remove_abandoned(folder, deep=False)
    for name, text in content.items():
        write_atomically(folder / name, text.encode(errors="replace"))


def trainings_markdown(contrasts: Sequence[TrainedContrast]) -> str:
    """Prints a line for each contrast, with the difference of each training."""
    head = (
        "metric", "protocol", "system", "against", "difference", "95 % interval",
        "error: prompts", "error: trainings", "by training",
    )  # fmt: skip
    lines = [" | ".join(head), " | ".join(["---"] * 4 + ["---:"] * 5)]
    lines += [" | ".join(map(escape_markdown, _cells(one))) for one in contrasts]
    note = (
        "Difference: system minus against, the same prompts and noise, of absolute values where it "
        "says |...|. The interval covers other prompts and other trainings: their variances are "
        "added, with Satterthwaite's degrees of freedom. With three trainings that disagree it is "
        "wide."
    )
    return "\n".join([*(f"| {line} |" for line in lines), "", note]) + "\n"


def _contrast(
    ours: Mapping[tuple[str, int], ScoreRow],
    theirs: Mapping[tuple[str, int], ScoreRow],
    runs: Runs,
    against: str,
) -> TrainedContrast | None:
    pairs = [
        (ours[key], theirs[key])
        for key in sorted(ours.keys() & theirs.keys())
        if ours[key].value is not None and theirs[key].value is not None
    ]
    if len({row.seed for row, _ in pairs}) < 2 or _hashes(pairs) > 1:
        return None
    first, seeds = pairs[0][0], np.array([row.seed for row, _ in pairs])
    info = runs.infos.get(first.metric, UNKNOWN)
    both = PairedValues.of(pairs, runs.identities, direction=info.direction)
    values, weights = both.first - both.second, both.weights
    return TrainedContrast(
        suite=first.suite,
        metric=first.metric,
        protocol=first.protocol,
        system=first.system,
        against=against,
        unit=info.unit,
        is_absolute=info.direction is Direction.ZERO,
        mean=crossed_mean(values, weights=weights, clusters=both.clusters, trainings=seeds),
        by_training={
            int(seed): float(np.average(values[seeds == seed], weights=weights[seeds == seed]))
            for seed in np.unique(seeds)
            if weights[seeds == seed].sum() > 0
        },
    )


def _hashes(pairs: Sequence[tuple[ScoreRow, ScoreRow]]) -> int:
    return len({row.protocol_hash for pair in pairs for row in pair})


def _cells(one: TrainedContrast) -> list[str]:
    scale = scale_of(one.metric)

    def shown(value: float) -> str:
        return NOT_APPLICABLE if np.isnan(value) else rounded(value * scale)

    mean = one.mean
    name = absolute_label(one.metric) if one.is_absolute else label_of(one.metric)
    difference, ends = shown(mean.value), NOT_APPLICABLE
    if not np.isnan(mean.low):
        difference, ends = rounded_with_ends(
            *(scale * number for number in (mean.value, mean.low, mean.high))
        )
    return [
        f"{name} {unit_of(one.metric, one.unit)}".strip(),
        one.protocol,
        one.system,
        one.against,
        difference,
        ends,
        shown(mean.error_of_clusters),
        shown(mean.error_of_trainings),
        ", ".join(f"{seed}: {shown(value)}" for seed, value in one.by_training.items()),
    ]


def _trainings_csv(contrasts: Sequence[TrainedContrast]) -> str:
    names = [column.name for column in fields(CrossedMean)]
    body = [
        [guard_cell(text) for text in (one.suite, one.metric, one.protocol, one.system,
                                       one.against, one.unit)]
        + [repr(one.is_absolute)]
        + [repr(getattr(one.mean, name)) for name in names]
        + [" ".join(f"{seed}:{value!r}" for seed, value in one.by_training.items())]
        for one in contrasts
    ]  # fmt: skip
    head = ["suite", "metric", "protocol", "system", "against", "unit", "is_absolute", *names]
    head += ["by_training"]
    return csv_text([head, *body])
