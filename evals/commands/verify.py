"""Verify a bundle or a run: hashes, summaries, and samples that are measured again."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from evals.commands.terminal import ProgressBar
from evals.recording.media_files import is_run
from evals.recording.recording import Recording
from evals.recording.run_folder import recordings_of
from evals.scoring.bundle import link_media, read_samples, recordings_in, unpack
from evals.scoring.results import ScoreRow, dump_json
from evals.scoring.run_reader import RunReader, read_runs
from evals.scoring.score import default_jobs
from evals.scoring.summary import SummaryRow
from evals.scoring.verify import TOLERANCE, Verification, check_results, recompute
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

app = Verb(__doc__)
DEFAULT_SAMPLES = 3


@app.command()
def verify(
    source: Annotated[Path, typer.Argument(help="FILE.zip of streamchar bundle, or a run folder.")],
    samples: Annotated[
        int | None,
        typer.Option(min=0, help="How many to measure again; 3 if their media are here."),
    ] = None,
    media: Annotated[Path | None, typer.Option(help="Folder with the media of a bundle.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Absolute, and relative beyond 1; larger on another CPU.")
    ] = TOLERANCE,
    cached: Annotated[bool, typer.Option("--cached", help="Take features from the cache.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every sha256, protocol hash and mean, and measure k random samples again.

    Exit code 1 if anything differs, or if samples were asked for and cannot be measured. Example:
    streamchar verify paper.zip --media videos --samples 5
    """
    if media is not None and source.is_dir():
        raise InputError(
            "--media goes with a bundle; those of a run folder lie where they were scored"
        )
    if media is not None and not media.is_dir():
        raise InputError(f"--media {media}: there is no such folder")
    with TemporaryDirectory(prefix="streamchar-verify-") as name:
        folder = source if source.is_dir() else Path(name)
        if source.is_dir() and not is_run(source):
            raise InputError(f"{source}: no run folder")
        wrong = [] if source.is_dir() else _unpacked(source, folder)
        recordings = _of_run(folder) if source.is_dir() else _bundled(folder, media)
        found = _checked(folder, recordings, wrong, samples, seed, tolerance, not cached, jobs)
    if as_json:
        typer.echo(dump_json(asdict(found), indent=1))
    else:
        typer.echo("\n".join(_in_words(source, found)))
    raise typer.Exit(code=1 if found.mismatches else 0)


def _unpacked(bundle: Path, folder: Path) -> list[str]:
    if not bundle.is_file():
        raise InputError(f"{bundle}: there is no such bundle or run folder")
    return [f"{name} {fault}" for name, fault in sorted(unpack(bundle, folder).items())]


def _of_run(run: Path) -> list[Recording]:
    """The recordings of a run; scores whose media went elsewhere are still checked."""
    try:
        return recordings_of(run)
    except (InputError, OSError) as error:
        typer.echo(f"without recordings: {error}", err=True)
        return []


def _bundled(folder: Path, media: Path | None) -> list[Recording]:
    samples = read_samples(folder)
    if media is not None:
        link_media(samples, folder, media)
    return recordings_in(samples, folder)


def _checked(
    folder: Path,
    recordings: Sequence[Recording],
    wrong: Sequence[str],
    samples: int | None,
    seed: int,
    tolerance: float,
    fresh: bool,
    jobs: int | None,
) -> Verification:
    rows, summaries, entries = read_runs([folder], lambda readers: _read(readers[0]))
    wrong = [*wrong, *check_results(rows, summaries, entries)]
    progress = ProgressBar()
    found = recompute(
        recordings,
        rows,
        samples=DEFAULT_SAMPLES if samples is None else samples,
        seed=seed,
        tolerance=tolerance,
        fresh=fresh,
        jobs=jobs or default_jobs(),
        progress=progress,
    )
    progress.close()
    if samples and not any(one.n for one in found.deviations):
        wrong.append(
            "no sample could be measured again: put the media back where they were when they were "
            "scored, or give a bundle theirs with --media FOLDER"
        )
    return Verification(
        samples=found.samples,
        deviations=found.deviations,
        mismatches=[*wrong, *found.mismatches],
        skipped=found.skipped,
    )


def _read(
    reader: RunReader,
) -> tuple[list[ScoreRow], list[SummaryRow] | None, dict[str, Any]]:
    if not reader.is_scored:
        raise InputError(f"{reader.run}: no scores.jsonl there; run `streamchar score` first")
    return reader.rows(), reader.summary(), reader.entries()


def _in_words(source: Path, found: Verification) -> list[str]:
    lines = [f"{source}: measured again: {', '.join(found.samples) or 'nothing, no media here'}"]
    lines += [
        f"  {one.protocol}: largest deviation {one.largest:.3g} of {one.n} ({one.where})"
        for one in found.deviations
    ]
    lines += [f"  {count} rows not measured again: {why}" for why, count in found.skipped.items()]
    lines += [f"MISMATCH: {fault}" for fault in found.mismatches]
    verdict = "as written: every sha256, protocol hash and mean that was checked"
    return [*lines, f"{len(found.mismatches)} mismatches" if found.mismatches else verdict]
