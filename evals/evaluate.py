"""The harness as a library: one call from files to results."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from evals.choice import choose_metrics
from evals.manifest import load_manifest
from evals.results import ScoreRow, WindowRow, read_windows
from evals.run_folder import recordings_of
from evals.run_scores import identities_of, score_run, summaries_of
from evals.score import Options, default_jobs
from evals.summary import SummaryRow


@dataclass(frozen=True, kw_only=True)
class Results:
    """What `evaluate` measured; shows itself as a table in a notebook.

    Attributes:
        rows: One a sample, metric and protocol.
        windows: Metrics over playing time.
        identities: See `evals.summary.drawn_together`.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    identities: dict[str, str]

    @property
    def summary(self) -> list[SummaryRow]:
        """Means, intervals and counts of each system and metric."""
        return summaries_of(self.rows, self.identities)

    @property
    def long(self) -> pd.DataFrame:
        """Tidy table: a line for each row."""
        return pd.DataFrame([asdict(row) for row in self.rows])

    def _repr_html_(self) -> str:
        lines = [
            f"<tr><td>{escape(row.system)}</td><td>{escape(row.protocol)}</td>"
            f"<td>{'' if row.value is None else f'{row.value:.4g}'}</td><td>{row.n}</td></tr>"
            for row in self.summary
        ]
        head = "<tr><th>system</th><th>metric</th><th>value</th><th>n</th></tr>"
        return f"<table>{head}{''.join(lines)}</table>"


def evaluate(
    source: str | Path,
    *,
    metrics: Sequence[str] = (),
    protocol: str = "default",
    native: bool = False,
    reference: str = "",
    jobs: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Results:
    """Scores the videos of a manifest or the recordings of a run.

    Args:
        source: A JSONL manifest, or a run folder; scores are written into a run folder only.
        metrics: Names; all by default.
        protocol: ``default``, ``all`` or a protocol id.
        native: Score the files as they are rather than their canonical encode.
        reference: System that is the reference set of Frechet distances.
        jobs: Worker processes; one a core by default.
        progress: Told ``(what, done, total)``.

    Returns:
        Rows and curves.

    Raises:
        InputError: If the source breaks its format or a name is unknown.
    """
    path = Path(source)
    is_run = path.is_dir()
    recordings = recordings_of(path) if is_run else load_manifest(path)
    chosen, chosen_sets = choose_metrics(metrics, protocol)
    options = Options(native=native, jobs=jobs or default_jobs(), reference_system=reference)
    with TemporaryDirectory() as scratch:
        folder = path if is_run else Path(scratch)
        rows = score_run(
            folder,
            recordings,
            metrics=chosen,
            set_metrics=chosen_sets,
            options=options,
            progress=progress,
        )
        return Results(
            rows=rows,
            windows=read_windows(folder / "windows.csv"),
            identities=identities_of(recordings),
        )
