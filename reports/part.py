"""What may share a figure, and what figures of all kinds need of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.recording.recording import Recording
from evals.scoring.summary import SummaryRow
from reports.axes import label_of, variant_of
from reports.figures.save import Drawn
from reports.figures.style import WIDTHS_IN
from reports.figures.survival import FailureRule
from reports.load import Runs
from reports.one_hash import of_one_hash
from streamchar_ref.core.names import file_name


@dataclass(frozen=True, kw_only=True)
class Part:
    """What may share a figure: one suite of one domain.

    Attributes:
        suite: Which prompts.
        domain: ``real`` or ``world``.
        runs: Scores and curves of this part alone.
        recordings: With traces, if they are known.
        width_in: Of each figure.
        across: Small figures that stand side by side in this width.
        rule: When a stream has failed.
        left_out: Metric -> a sentence on systems that must not share its figures.
        against: What differences are to; empty for the usual one.
    """

    suite: str
    domain: str
    runs: Runs
    recordings: tuple[Recording, ...]
    width_in: float
    across: int = 1
    rule: FailureRule
    left_out: Mapping[str, str]
    against: str = ""

    def noted(self, drawn: Drawn) -> Drawn:
        """Says in the caption which systems a figure leaves out."""
        shown = set(drawn.data["metric"]) if "metric" in drawn.data else set()
        notes = [note for metric, note in self.left_out.items() if metric in shown]
        return replace(drawn, caption=" ".join([drawn.caption, *notes]))

    def variant_of(self, metric: str, protocol: str) -> str:
        """Names the protocol of a number where the metric has several here; else empty."""
        several = {row.protocol for row in self.runs.rows if row.metric == metric}
        return variant_of(protocol) if len(several) > 1 else ""

    def label_of(self, metric: str, protocol: str) -> str:
        """Returns the name of a metric, with its protocol where it has several here."""
        return ", ".join(filter(None, (label_of(metric), self.variant_of(metric, protocol))))


def parts_of(
    runs: Runs,
    recordings: Sequence[Recording],
    width: str,
    rule: FailureRule,
    against: str = "",
) -> Iterator[Part]:
    """Yields each suite and domain of some runs.

    Args:
        runs: Scores and curves.
        recordings: With traces, if they are known.
        width: A name of `reports.figures.style.WIDTHS_IN`.
        rule: When a stream has failed.
        against: What differences are to.

    Yields:
        Parts, none without scores.
    """
    places = sorted({(row.suite, row.domain) for row in runs.rows})
    for suite, domain in places:
        rows = tuple(row for row in runs.rows if (row.suite, row.domain) == (suite, domain))
        samples = {(row.system, row.sample_id, row.seed) for row in rows}
        windows = [
            row
            for row in runs.window_rows
            if row.suite == suite and (row.system, row.sample_id, row.seed) in samples
        ]
        rows, curves, left_out = of_one_hash(rows, windows)
        yield Part(
            suite=suite,
            domain=domain,
            runs=replace(runs, rows=rows, window_rows=curves),
            recordings=tuple(r for r in recordings if (r.suite, r.domain) == (suite, domain)),
            width_in=WIDTHS_IN[width],
            across=2 if width == "report" else 1,
            rule=rule,
            left_out=left_out,
            against=against,
        )


def rows_of(part: Part, metric: str) -> list[SummaryRow]:
    """Summaries of one metric under one protocol hash: the one that most systems have.

    Systems without a number under any hash of that protocol are there, too, to say why.
    """
    groups: dict[tuple[str, str], list[SummaryRow]] = {}
    for row in part.runs.summaries:
        if row.metric == metric:
            groups.setdefault((row.protocol, row.protocol_hash), []).append(row)

    def rank(rows: list[SummaryRow]) -> tuple[int, str, str]:
        scored = sum(row.value is not None for row in rows)
        return -scored, rows[0].protocol, rows[0].protocol_hash

    chosen = min(groups.values(), key=rank, default=[])
    if metric in part.left_out:  # there may be numbers under the other hash
        return chosen
    numbers = {row.system for rows in groups.values() for row in rows if row.value is not None}
    others = {
        row.system: row
        for (protocol, _), rows in groups.items()
        for row in rows
        if chosen and protocol == chosen[0].protocol and row.system not in numbers
    }
    return list(({row.system: row for row in chosen} | others).values())


def one_axis(part: Part, *, height_in: float, share: float = 1.0) -> tuple[Figure, Axes]:
    """Returns a figure with one axis, as wide as a share of the part's figures."""
    figure = Figure(figsize=(part.width_in * share, height_in))
    return figure, figure.subplots()


def figure_name(kind: str, metric: str, part: Part) -> str:
    """Returns a name for files: kind, metric, suite and domain."""
    parts = (kind, metric, part.suite, part.domain)
    text = "_".join(name for name in parts if name)
    return file_name(text)
