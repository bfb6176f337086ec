"""The harness as a library: one call from files to results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evals.metrics import INFOS
from evals.recording.manifest import load_manifest, recordings_of_rows
from evals.recording.media_files import check_names_of_folders, is_run, recordings_of_files
from evals.recording.recording import Recording
from evals.recording.run_folder import recordings_of
from evals.scoring.choice import choose_metrics, names_of
from evals.scoring.compare import Comparison, compare
from evals.scoring.export import leaderboard, model_card, track_summary
from evals.scoring.hashes import systems_by_hash, told_apart
from evals.scoring.names import resolve_names
from evals.scoring.persist import identities_of, score_run, summaries_of
from evals.scoring.reference_set import chosen_reference
from evals.scoring.results import ScoreRow, WindowRow, ordered_windows
from evals.scoring.run_reader import read_runs
from evals.scoring.score import Options, default_jobs, score
from evals.scoring.speech_protocols import choose_for
from evals.scoring.summary import SummaryRow
from evals.scoring.summary_table import summary_html, summary_latex, summary_text
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.trackers import tracking

Source = str | Path | Sequence[str | Path] | Sequence[Mapping[str, Any]] | pd.DataFrame
"""What can be scored; see `evaluate`."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Results:
    """What `evaluate` measured; shows itself as a table.

    Attributes:
        rows: One a sample, metric and protocol.
        windows: Metrics over playing time.
        identities: See `evals.scoring.summary.bootstrap_clusters`.
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

    @property
    def wide(self) -> pd.DataFrame:
        """A line for each sample, a column for each metric; NaN where there is no value.

        The column of a metric with several protocols has the name of the protocol; that of a
        protocol with several hashes, whose values must not stand together, the hash beside it.
        """
        names = column_names(self.rows)
        cells = pd.DataFrame(
            [
                {
                    **{name: getattr(row, name) for name in _SAMPLE},
                    "metric": names[row.protocol, row.protocol_hash],
                    "value": row.value,
                }
                for row in self.rows
            ],
            columns=[*_SAMPLE, "metric", "value"],
        ).astype({"value": "float64"})
        order = list(dict.fromkeys(cells["metric"]))
        table = cells.set_index([*_SAMPLE, "metric"])["value"].unstack("metric")
        return table[order].rename_axis(columns=None)

    def compare(
        self, against: str | None = None, *, metrics: str | Sequence[str] = ()
    ) -> pd.DataFrame:
        """Compares systems on the samples that both have; see `evals.scoring.compare.compare`.

        Args:
            against: Compare each other system with this one; all pairs by default.
            metrics: Names; all by default. Holm's adjustment is over these alone.

        Returns:
            A line for each pair of systems and metric, columns as in `Comparison`.

        Raises:
            InputError: If there is no such system or metric.
        """
        names = resolve_names(names_of(metrics), INFOS, "unknown metric")
        found = compare(
            self.rows, INFOS, against=against, metrics=names or None, identities=self.identities
        )
        columns = list(Comparison.__dataclass_fields__)
        return pd.DataFrame([asdict(one) for one in found], columns=columns)

    def to_latex(self) -> str:
        """Returns the summary as a LaTeX table; the preamble needs ``booktabs``."""
        return summary_latex(self.summary)

    def to_model_card(self, system: str, *, model: str = "") -> str:
        """Returns a system's scores as the head of a model card, see `export.model_card`."""
        return model_card(self.summary, system, model=model)

    def to_leaderboard(self) -> str:
        """Returns the summary as JSON, see `export.leaderboard`."""
        return leaderboard(self.summary)

    def track(self, tracker: str, folder: Path, *, run_name: str = "scores", step: int = 0) -> None:
        """Logs the summary to ``tensorboard``, ``wandb`` or ``trackio``, see `tracking`."""
        with tracking(tracker, folder, run_name) as log:
            track_summary(self.summary, log, step=step)

    def __repr__(self) -> str:
        return summary_text(self.summary)

    def _repr_html_(self) -> str:
        return summary_html(self.summary)


_SAMPLE = ("system", "suite", "sample_id", "seed")


def column_names(rows: Sequence[ScoreRow]) -> dict[tuple[str, str], str]:
    """Returns a name for each protocol and hash: the shortest that tells it from the others.

    Args:
        rows: Of any metrics; a hash decides where there is a value.

    Returns:
        Protocol and hash -> metric, protocol, or protocol and hash.
    """
    protocols: dict[str, set[str]] = {}
    several = systems_by_hash(rows)
    for row in rows:
        protocols.setdefault(row.metric, set()).add(row.protocol)
    return {
        (row.protocol, row.protocol_hash): told_apart(row, several)
        if row.protocol in several or len(protocols[row.metric]) > 1
        else row.metric
        for row in rows
    }


def evaluate(
    source: Source,
    *,
    metrics: str | Sequence[str] = (),
    protocol: str = "default",
    profile: str = "",
    native: bool = False,
    as_played: bool = False,
    reference: str = "",
    language: str = "",
    asr: str = "",
    jobs: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Results:
    """Scores videos, the lines of a manifest, or the recordings of a run.

    Args:
        source: A run folder; a JSONL manifest; a video, a folder of videos, or a list of such (see
            `recordings_of_files`); or the lines of a manifest as dictionaries or as a data frame.
            Scores are written into a run folder only.
        metrics: Metrics or axes, in a list or separated by commas; all by default.
        protocol: ``default``, ``all`` or a protocol id.
        profile: Name of a set of protocols in place of one.
        native: Score the files as they are rather than their canonical encode.
        as_played: Score what a viewer saw and heard, given the arrival times.
        reference: System that Frechet distances and diversity refer to, or a file of its features
            by `streamchar data features`.
        language: Of the transcripts beside videos; rows and manifests have a field for it.
        asr: Another recogniser, see `evals.extractors.find_asr.find_asr`.
        jobs: Worker processes; one a core by default.
        progress: Told ``(what, done, total)``.

    Returns:
        Rows and curves.

    Raises:
        InputError: If the source breaks its format or a name is unknown; it is a `ValueError`.
    """
    names = names_of(metrics)
    choose_metrics(names, protocol if not asr else "default", profile=profile)
    recordings, run = _recordings(source, language)
    chosen, chosen_sets = choose_for(recordings, names, protocol, asr, profile=profile)
    systems = sorted({recording.system for recording in recordings})
    options = Options(
        native=native,
        as_played=as_played,
        jobs=jobs or default_jobs(),
        **chosen_reference(reference, systems, option="reference"),
    )
    what: dict[str, Any] = {
        "metrics": chosen,
        "set_metrics": chosen_sets,
        "options": options,
        "progress": progress,
    }
    if run is None:
        scored = score(recordings, **what)
        rows, windows = scored.rows, ordered_windows(scored.windows)
    else:
        rows = score_run(run, recordings, **what)
        (windows,) = read_runs([run], lambda readers: [each.windows() for each in readers])
    return Results(rows=rows, windows=windows, identities=identities_of(recordings))


def _recordings(source: Source, language: str) -> tuple[list[Recording], Path | None]:
    """What to score, and the run folder that it is from, if it is from one."""
    if isinstance(source, pd.DataFrame):
        lines = source.to_dict("records")
        return recordings_of_rows(
            {str(name): _plain(cell) for name, cell in line.items() if not _is_missing(cell)}
            for line in lines
        ), None
    if isinstance(source, str | Path):
        path = Path(source)
        if is_run(path):
            return recordings_of(path), path
        if path.suffix == ".jsonl":
            return load_manifest(path), None
        return recordings_of_files([path], language=language), None
    items = list(source) if isinstance(source, Iterable) else [source]
    if items and all(isinstance(item, Mapping) for item in items):
        return recordings_of_rows(item for item in items if isinstance(item, Mapping)), None
    paths = [Path(item) for item in items if isinstance(item, str | Path)]
    if not paths or len(paths) < len(items):
        raise InputError("source is a path, a list of paths, a list of rows, or a data frame")
    check_names_of_folders(paths)
    return recordings_of_files(paths, language=language), None


def _plain(cell: Any) -> Any:
    """A number of numpy's as one of Python's; a whole number that pandas made a float is whole."""
    plain = cell.item() if hasattr(cell, "item") else cell
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or cell is pd.NA
