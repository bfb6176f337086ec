"""Runs from disk as tidy data frames."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from glob import glob
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from evals.metrics import INFOS
from evals.protocols.info import MetricInfo
from evals.recording.role import Role, place_of
from evals.recording.system import installed_is_still, installed_role
from evals.scoring.compare import Comparison, Pair, compare
from evals.scoring.protocol_ids import split_protocol
from evals.scoring.results import MEND, ScoreRow, WindowRow
from evals.scoring.run_reader import RunReader, read_runs
from evals.scoring.summary import SummaryRow, infos_of, summarise
from evals.scoring.summary_table import summary_html
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real

Row = TypeVar("Row", ScoreRow, WindowRow)


@dataclass(frozen=True)
class Runs:
    """Scores of one or more runs, side by side.

    A system that two runs have scored on the same samples appears once for each run, as
    ``system (run)``.

    Attributes:
        paths: Run folders.
        rows: Scores of all runs.
        window_rows: Curves of all runs.
        infos: Metric name -> unit and direction.
        identities: See `evals.scoring.summary.bootstrap_clusters`.
        roles: Of the systems, as far as they are known.
        still: Systems that declare to be silent or not to move.
        pairs: What `comparisons` compares, each a system and another one; all pairs by default.
    """

    paths: tuple[Path, ...]
    rows: tuple[ScoreRow, ...]
    window_rows: tuple[WindowRow, ...]
    infos: dict[str, MetricInfo]
    identities: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    still: frozenset[str] = frozenset()
    pairs: tuple[Pair, ...] | None = None

    def under(self, protocols: Collection[str]) -> "Runs":
        """Keeps the scores under some protocols, of any input: as encoded, as it is, as played.

        Args:
            protocols: Ids.

        Returns:
            Runs with the same roles and identities.

        Raises:
            InputError: If no score is under any of them.
        """
        rows = tuple(row for row in self.rows if split_protocol(row.protocol).bare in protocols)
        if not rows:
            names = ", ".join(sorted(protocols))
            raise InputError(f"no scores under {names}; score with the same --profile first")
        windows = tuple(
            row for row in self.window_rows if split_protocol(row.protocol).bare in protocols
        )
        return replace(self, rows=rows, window_rows=windows)

    @cached_property
    def labels(self) -> list[str]:
        """A short name of each run, all different."""
        return _labels(self.paths)

    def role_of(self, system: str) -> Role:
        """Returns the role of a system; by its name if the run does not say."""
        return self.roles.get(system) or installed_role(system)

    @property
    def in_print_order(self) -> list[str]:
        """Systems as figures and the page show them: models, ceilings, other controls."""

        def place(name: str) -> tuple[bool, tuple[bool, bool, str]]:
            role = self.role_of(name)
            return role is not Role.MODEL, place_of(role, name)

        return sorted({row.system for row in self.rows}, key=place)

    def only(
        self, systems: Collection[str] | None = None, metrics: Collection[str] | None = None
    ) -> "Runs":
        """Returns the part of some systems and metrics; all where none are named."""

        def is_asked(row: ScoreRow | WindowRow) -> bool:
            has_system = systems is None or row.system in systems
            return has_system and (metrics is None or row.metric in metrics)

        return replace(
            self,
            rows=tuple(filter(is_asked, self.rows)),
            window_rows=tuple(filter(is_asked, self.window_rows)),
        )

    @cached_property
    def summaries(self) -> list[SummaryRow]:
        """Means over all runs together."""
        return summarise(self.rows, self.infos, identities=self.identities)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every system against every other, or the chosen pairs."""
        return compare(self.rows, self.infos, pairs=self.pairs, identities=self.identities)

    def compared(
        self, *, against: str | None = None, metrics: Collection[str] | None = None
    ) -> list[Comparison]:
        """Compares every system with one of them, or with every other; see `compare`."""
        return compare(
            self.rows, self.infos, against=against, metrics=metrics, identities=self.identities
        )

    @cached_property
    def long(self) -> pd.DataFrame:
        """A row for each sample, metric and protocol; ``value`` is NaN where there is none."""
        return _frame(self.rows, ScoreRow).astype({"value": "float64"})

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each system, suite, metric and protocol."""
        numbers = dict.fromkeys(("value", "ci_low", "ci_high", "coverage"), "float64")
        return _frame(self.summaries, SummaryRow).astype(numbers)

    @cached_property
    def windows(self) -> pd.DataFrame:
        """A row for each stretch of a curve."""
        return _frame(self.window_rows, WindowRow).astype({"value": "float64"})

    def _repr_html_(self) -> str:
        names = ", ".join(escape(path.name) for path in self.paths)
        return f"<p>{len(self.rows)} scores from {names}</p>{summary_html(self.summaries)}"


def load_runs(runs: str | Path | Iterable[str | Path]) -> Runs:
    """Reads run folders.

    Args:
        runs: A folder, a glob such as ``runs/*``, or several of either. What a glob finds and
            has no scores is passed over.

    Returns:
        All runs together.

    Raises:
        InputError: If a file is damaged, or scores and summary of a run are not of each other.
        FileNotFoundError: If a folder has no ``scores.jsonl``, or a glob finds none that has.
    """
    names = [runs] if isinstance(runs, str | Path) else list(runs)
    paths = list(dict.fromkeys(path for name in names for path in _folders(str(name))))
    return read_runs(paths, _loaded)


def _loaded(readers: Sequence[RunReader]) -> Runs:
    paths = [reader.run for reader in readers]
    scores = [reader.rows() for reader in readers]
    windows = [reader.windows() for reader in readers]
    # A scoring that an earlier version was killed in has left a summary of older rows, or none.
    infos = {
        row.metric: INFOS[row.metric] for rows in scores for row in rows if row.metric in INFOS
    }
    for reader, rows in zip(readers, scores, strict=True):
        summaries = reader.summary()
        if summaries is not None:
            _check_agree(reader.run, rows, summaries)
            infos |= infos_of(summaries)
    entries = [reader.entries() for reader in readers]
    people = [entry.get("identities", {}) for entry in entries]
    shared = _in_several(scores)
    labels = _labels(paths)
    return Runs(
        paths=tuple(paths),
        rows=tuple(
            _relabelled(row, label, shared)
            for label, rows in zip(labels, scores, strict=True)
            for row in rows
        ),
        window_rows=tuple(
            _relabelled(row, label, shared)
            for label, rows in zip(labels, windows, strict=True)
            for row in rows
        ),
        infos=infos,
        identities={sample: person for each in people for sample, person in each.items()},
        roles={
            _label_in(run_label, row.system, shared): _role(entry, row.system)
            for run_label, rows, entry in zip(labels, scores, entries, strict=True)
            for row in rows
        },
        still=frozenset(
            _label_in(run_label, system, shared)
            for run_label, rows, entry in zip(labels, scores, entries, strict=True)
            for system in {row.system for row in rows}
            if _is_still(entry, system)
        ),
    )


def _role(entry: Mapping[str, Any], system: str) -> Role:
    """Returns what a run says of its system; an older run does not say."""
    declared = entry.get("roles", {}).get(system)
    return Role(declared) if declared else installed_role(system)


def _is_still(entry: Mapping[str, Any], system: str) -> bool:
    """Returns what a run says of its system, likewise."""
    declared: bool | None = entry.get("still", {}).get(system)
    return installed_is_still(system) if declared is None else declared


def _folders(name: str) -> list[Path]:
    if RunReader(Path(name)).is_scored:
        return [Path(name)]
    matches = [Path(match) for match in sorted(glob(name))]
    matches = [path for path in matches if RunReader(path).is_scored]
    if not matches:
        raise FileNotFoundError(f"{name}: no scores.jsonl there; run `streamchar score` first")
    return matches


def _check_agree(run: Path, rows: Sequence[ScoreRow], summaries: Sequence[SummaryRow]) -> None:
    """Notices a file that lost lines, or that is of another run."""
    counted: Counter[tuple[str, ...]] = Counter(
        (row.system, row.suite, row.metric, row.protocol_hash, row.domain, row.status)
        for row in rows
    )
    summed: Counter[tuple[str, ...]] = Counter(
        {
            (one.system, one.suite, one.metric, one.protocol_hash, one.domain, status): count
            for one in summaries
            for status, count in one.counts.items()
        }
    )
    wrong = next(iter((counted - summed) + (summed - counted)), None)
    if wrong is not None:
        raise InputError(
            f"{run}: scores.jsonl and summary.json differ on {wrong[2]} of {wrong[0]}: "
            f"{counted[wrong]} and {summed[wrong]} rows are {wrong[-1].replace('_', ' ')}; {MEND}"
        )


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    whole = [real(path).parts for path in paths]
    longest = max((len(parts) for parts in whole), default=1)
    for depth in range(1, longest + 1):
        labels = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(labels)) == len(labels):
            break
    return labels


def _in_several(scores: Sequence[Sequence[ScoreRow]]) -> set[str]:
    """Systems for which two runs hold the same sample, metric and protocol."""
    runs_with = Counter(key for rows in scores for key in {row.key[:-1] for row in rows})
    return {key[0] for key, num_runs in runs_with.items() if num_runs > 1}


def _relabelled(row: Row, label: str, shared: set[str]) -> Row:
    name = _label_in(label, row.system, shared)
    return row if name == row.system else replace(row, system=name)


def _label_in(run_label: str, system: str, shared: set[str]) -> str:
    return f"{system} ({run_label})" if system in shared else system


def _frame(rows: Iterable[object], kind: type) -> pd.DataFrame:
    records = [asdict(row) for row in rows]  # type: ignore[call-overload]
    return pd.DataFrame(records, columns=[column.name for column in fields(kind)])
