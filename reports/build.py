"""From run folders to tables, figures and the report page."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.recording.recording import Recording
from evals.recording.run_folder import read_run, recordings_of
from evals.recording.transaction import WAIT_S
from evals.scoring.compare import Pair
from evals.scoring.run_reader import read_runs
from reports.cautions import cautions
from reports.figures.save import save_figure
from reports.gallery import Drawn, draw
from reports.grid import write_grid
from reports.headline import headline_markdown, headline_of
from reports.load import Runs, load_runs
from reports.media import film_strip, small_video
from reports.page import Content, page
from reports.render import latex, markdown
from reports.table_csv import tables_csv
from reports.tables import Table, wide
from reports.watch import MAX_PLAYED, Player, Strip, shown, worst_first
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real, remove_abandoned, write_atomically
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.names import file_name
from streamchar_ref.media import MediaError


def build_report(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "",
    pairs: Sequence[Pair] | None = None,
    player: Player = small_video,
    strip: Strip = film_strip,
    systems: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
) -> Path:
    """Writes the report page; into a run folder, also its ``tables/`` and ``figures/``.

    Args:
        folders: Runs.
        out: The HTML file.
        title: Of the page; by default the names of the runs.
        pairs: Systems that are compared; all pairs by default, which take long where there are
            dozens of systems.
        player: Makes the video of a recording.
        strip: Makes its film strip.
        systems: Which; all by default.
        metrics: Which; all by default.

    Returns:
        ``out``.

    Raises:
        FileNotFoundError: If a folder holds no scores.
        InputError: If another process writes a report into the same run and does not end.
    """
    runs = load_runs(folders)
    is_home = len(runs.paths) == 1 and real(out).parent == real(runs.paths[0])
    owned = only_writer(out.parent, verb="report", wait_s=WAIT_S) if is_home else nullcontext()
    with owned:
        runs, provenance = read_runs(folders, lambda readers: _loaded(folders))
        runs = runs.only(systems, metrics)
        runs = replace(runs, pairs=None if pairs is None else tuple(pairs))
        sources = find_recordings(runs)
        faults: list[str] = []
        figures = draw(runs, recordings=sources.recordings, faults=faults)
        names = ", ".join(real(path).name for path in runs.paths)
        content = Content(
            title=title or f"Streaming characters: {names}",
            runs=runs,
            provenance=provenance,
            comparisons=runs.comparisons,
            figures=figures,
            recordings=sources.recordings,
            notes=(*sources.missing, *faults),
            player=player,
            strip=strip,
        )
        if is_home:
            write_tables(runs, out.parent / "tables")
            write_figures(figures, out.parent / "figures")
        remove_abandoned(out.parent, deep=False)
        write_atomically(out, page(content).encode(errors="replace"))
    return out


def _loaded(folders: Sequence[Path]) -> tuple[Runs, dict[str, Any]]:
    runs = load_runs(folders)
    return runs, {real(path).name: read_run(path) for path in runs.paths}


def printed(folders: Sequence[Path], *, every_metric: bool = False) -> str:
    """Returns the tables of some runs as Markdown.

    Args:
        folders: Runs.
        every_metric: Not only those of the headline.

    Returns:
        A table for each suite and domain.
    """
    runs = load_runs(folders)
    tables = tables_of(runs)
    if every_metric:
        return "\n".join(markdown(table) for table in tables)
    care = [
        cautions(headline_of(one), runs.still, comparisons=runs.comparisons, complete=one)
        for one in tables
    ]
    return "\n".join(
        headline_markdown(headline_of(table), texts)
        for table, texts in zip(tables, care, strict=True)
    )


def tables_of(runs: Runs) -> list[Table]:
    """Returns the tables of all metrics and systems, one for each suite and domain."""
    return wide(runs.summaries, comparisons=runs.comparisons, roles=runs.roles)


@dataclass(frozen=True, kw_only=True)
class FoundRecordings:
    """Recordings behind some scores.

    Attributes:
        recordings: Of systems whose scores are there.
        missing: Runs whose files cannot be read any more, and why.
    """

    recordings: tuple[Recording, ...] = ()
    missing: tuple[str, ...] = ()


def find_recordings(runs: Runs) -> FoundRecordings:
    """Looks for the recordings behind ``runs``; scores are of use without them.

    Without recordings there are no players and no arrivals.

    Args:
        runs: Scores.

    Returns:
        What is there, and what is not.
    """
    loaded: list[Recording] = []
    missing = []
    scored = {row.system for row in runs.rows}
    for path, label in zip(runs.paths, runs.labels, strict=True):
        try:
            recordings = recordings_of(path)
        except (InputError, MediaError, OSError) as error:
            missing.append(f"without recordings: {error}")
            continue
        for recording in recordings:
            system = recording.system
            system = system if system in scored else f"{system} ({label})"
            loaded.append(replace(recording, system=system))
    kept = tuple(recording for recording in loaded if recording.system in scored)
    return FoundRecordings(recordings=kept, missing=tuple(missing))


def write_grids(folders: Sequence[Path], out: Path) -> list[Path]:
    """Writes one mp4 for each prompt that the page shows: its systems side by side.

    Args:
        folders: Runs.
        out: The page; the videos stand beside it, as ``PAGE_grid_PROMPT.mp4``.

    Returns:
        The videos, the worst prompt first.
    """
    runs = load_runs(folders)
    content = shown(runs, find_recordings(runs).recordings, {}, small_video, film_strip)
    written = []
    for (suite, sample_id), recordings in list(worst_first(content).items())[:MAX_PLAYED]:
        name = file_name(f"{out.stem}_grid_{suite}_{sample_id}")
        written.append(write_grid(out.with_name(f"{name}.mp4"), recordings))
    return written


def write_tables(runs: Runs, folder: Path) -> None:
    """Writes all tables as Markdown, LaTeX and CSV."""
    tables = tables_of(runs)
    content = {
        "results.md": "\n".join(markdown(table) for table in tables),
        "results.tex": "\n".join(latex(table) for table in tables),
        "results.csv": tables_csv(tables),
    }
    remove_abandoned(folder, deep=False)
    for name, text in content.items():
        write_atomically(folder / name, text.encode(errors="replace"))


def write_figures(figures: Sequence[Drawn], folder: Path) -> list[Path]:
    """Writes each figure as PDF and PNG, with its data as CSV and its caption as text."""
    remove_abandoned(folder, deep=False)
    return [path for drawn in figures for path in save_figure(drawn, folder)]
